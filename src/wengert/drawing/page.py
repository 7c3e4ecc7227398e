"""One page of HTML with a drawing in it, which needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from wengert.drawing.model import Diagram, Section
from wengert.drawing.svg import svg
from wengert.drawing.text import equations

__all__ = ["cell", "page"]

_STYLE = """
body{margin:0;font:15px/1.5 system-ui,"DejaVu Sans",sans-serif;color-scheme:light dark}
main{padding:1rem}section{padding:0 1rem 1rem}svg{max-width:100%;height:auto}
pre{overflow-x:auto}
"""


def page(drawing: Diagram, title: str | None, sections: Sequence[Section]) -> str:
    """Return the page; see `Diagram.html`."""
    first = Section("Equations", f"<pre>{escape(equations(drawing))}</pre>")
    parts = "\n".join(
        f"<section><h2>{escape(s.title)}</h2>{s.html}</section>" for s in (first, *sections)
    )
    picture = svg(drawing, "auto")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title or drawing.name)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main>{picture}</main>\n{parts}</body></html>\n"
    )


def cell(drawing: Diagram) -> str:
    """Return what a notebook shows."""
    return f'<div style="overflow-x:auto">{svg(drawing, "auto")}</div>'
