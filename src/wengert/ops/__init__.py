"""The operation table: one row per operation, a module per family.

A row evaluates, infers shapes, differentiates, batches, counts and gives the sparsity pattern.
May import: errors, ir.
"""
