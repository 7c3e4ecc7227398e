"""Sparsity patterns read off a graph, node by node.

A pattern is never too small: an operation without a rule counts as full.
May import: errors, ir, ops, sparse.
"""
