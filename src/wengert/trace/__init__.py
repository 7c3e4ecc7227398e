"""From ordinary NumPy code to a recorded list of operations.

Tracers, the recordings, views and memory layout, and what a recording notices of its surroundings.
May import: errors, follow, ir, ops.
"""
