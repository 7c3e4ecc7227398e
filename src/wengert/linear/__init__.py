"""Local Jacobians as data, and how they are multiplied together.

The accumulation of nonzeros is here; sweeps over whole functions are in `matrices`.
May import: errors, ir, ops, trace, transform, sparse.
"""
