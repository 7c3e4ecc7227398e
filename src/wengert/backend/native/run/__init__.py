"""Compiled programs: their arena, their threads, and the verifier of what they read.

A call binds arrays to a program and runs it without Python in between.
May import: errors, llvm, ir, backend, backend.native.schedule, backend.native.emit.
"""
