"""What stands for functions of Python and NumPy in code that is followed, where NumPy cannot ask.

``np.array([x, y])``, ``np.zeros(n)`` that is filled afterwards, ``math.exp(x)`` and ``float(x)``.
May import: errors, follow, ops, trace, trace.numpy.
"""
