"""Charts and tables of plain data: with matplotlib, as SVG, and as HTML.

A module per idea draws it in both ways: on axes of matplotlib for the method `plot` of an object,
and as SVG for pages, notebooks and the documentation. Nothing here knows what the numbers are of.
May import: errors.
"""
