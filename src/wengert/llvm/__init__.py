"""LLVM: from text to functions in memory, optimised and kept on disk.

It knows nothing of graphs.
May import: errors, files.
"""
