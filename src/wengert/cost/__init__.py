"""What a graph costs before it runs: operations by kind, multiply-adds, bytes.

Counted from the rows of the operation table, or while a graph runs in NumPy.
May import: errors, charts, ir, ops.
"""
