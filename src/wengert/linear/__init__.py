"""Local Jacobians as data, and how they are multiplied together.

The linear graph of a function is here, its accumulation in any order, and that of nonzeros; sweeps
over whole functions are in `matrices`.
May import: errors, tables, charts, ir, ops, trees, trace, transform, sparse, orders.
"""
