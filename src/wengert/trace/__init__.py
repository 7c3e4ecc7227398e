"""From ordinary NumPy code to a recorded graph."""
