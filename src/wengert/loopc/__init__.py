"""Restricted Python over integer arrays, compiled to machine code.

Colouring's loops over the vertices of a graph run through it.
May import: errors, llvm.
"""
