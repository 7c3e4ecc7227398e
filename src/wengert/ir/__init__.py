"""The graph as data, and the passes that return another graph.

Values, nodes and guards; building, verifying, printing and parsing, simplifying.
May import: errors.
"""

from wengert.ir import text as text  # gives a graph its text form
