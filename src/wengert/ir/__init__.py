"""The graph and its passes: build, verify, print and parse, simplify."""
