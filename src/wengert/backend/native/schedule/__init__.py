"""From a graph to steps: fused loops, products, gathers, sorts, calls of NumPy.

The steps say which buffers they read and write, and where those lie in the arena.
May import: errors, llvm, ir, ops, backend.native.scalar.
"""
