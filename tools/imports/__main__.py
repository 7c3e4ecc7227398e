"""Print the imports by folder: ``python -m tools.imports [--mermaid | --layers]``."""

from __future__ import annotations

import sys

from tools.imports.drawing import as_mermaid, as_text, layers_as_text


def main() -> None:
    """Print one of the forms of the drawing."""
    chosen = sys.argv[1:]
    if chosen == ["--mermaid"]:
        print(as_mermaid())
    elif chosen == ["--layers"]:
        print(layers_as_text())
    elif not chosen:
        print(as_text())
    else:
        sys.exit(f"unknown arguments {' '.join(chosen)}: {__doc__}")


if __name__ == "__main__":
    main()
