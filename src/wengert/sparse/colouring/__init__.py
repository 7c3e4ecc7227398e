"""Colourings of the graphs that belong to a sparsity pattern.

Distance-2, star and acyclic colourings, bicolouring, orders of vertices, and recovery of the
entries.
May import: errors, charts, loopc.
"""
