"""Drawings: functions and their derivatives as graphs, as pictures, pages and texts.

May import: errors, ir, ops, trees, trace, transform, cost, memory, jit, devices,
matrices, analysis.loops.
"""
