"""From steps to the text of an LLVM module.

Loop nests, products through BLAS, sorts, and the parts that threads share.
May import: errors, llvm, ir, backend.native.scalar, backend.native.schedule.
"""
