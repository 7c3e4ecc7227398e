"""Tables, curves and progress for people.

Everything has a form in plain text, for output that is not a terminal.
May import: errors, tables, charts, cost, memory, jit, devices, matrices, analysis, drawing,
wengert, train.
"""
