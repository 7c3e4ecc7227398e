"""What runs a graph: the NumPy reference, and native code in a folder of its own.

A backend compiles a graph to a program; a program takes arrays and returns arrays.
May import: errors, ir, ops.
"""
