"""SciPy's sparse matrices, as constants: products, factors, and solvers.

May import: errors, follow, ops, trace, trace.python.
"""
