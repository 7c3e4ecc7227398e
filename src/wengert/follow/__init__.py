"""Following Python code: a copy of the user's function whose calls may mean something else.

The code objects of a function are rewritten so that each call and each ``a[i]`` asks a table first.
May import: errors.
"""
