"""LLVM code of one element of each elementwise operation.

Tables of lowerings beside the rows of the operation table.
May import: errors, llvm, ir, ops.
"""
