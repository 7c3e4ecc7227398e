"""Loops of the user's code, found while it is recorded for `wg.cost`.

Each trip is told from the next by the places in the code that decide it.
May import: errors, follow, ir, ops, trace.
"""
