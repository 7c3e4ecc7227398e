"""NumPy's functions and methods on traced values, a module per family.

Each function is stated in terms of rows of the operation table.
May import: errors, ops, trace.
"""
