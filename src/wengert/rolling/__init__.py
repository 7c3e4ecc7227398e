"""Loops that were recorded trip by trip become loops of the graph again.

Finding stretches of operations that repeat, showing that they are the trips of a loop, writing it.
May import: ir, ops.
"""
