"""The graph and its passes: build, verify, print and parse, simplify."""

from wengert.ir import text as text  # gives a graph its text form
