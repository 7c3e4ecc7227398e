"""NumPy's linear algebra on traced values."""
