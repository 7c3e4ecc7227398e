"""The command line: a module per command.

Exit codes: 0 all well, 1 a check failed, 2 the input has to be changed, 130 interrupted.
May import: errors, cost, devices, matrices, analysis, drawing, wengert, testing, train, report.
"""
