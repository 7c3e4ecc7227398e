"""HTML of tables, figures and whole pages, from plain data; nothing in it asks for another file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape
from typing import NamedTuple

from wengert.charts.styles import style

__all__ = [
    "Part",
    "cards",
    "code",
    "details",
    "figure",
    "fragment",
    "frame",
    "page",
    "paragraphs",
    "table",
]


POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What a browser lets a page do: nothing from anywhere else."""


class Part(NamedTuple):
    """A section of a page: its name in the address, its heading, and its HTML."""

    name: str
    heading: str
    body: str


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str = "",
    left: Collection[int] = (0,),
    codes: Collection[int] = (),
    shares: Sequence[float] | None = None,
) -> str:
    """Return a table of texts.

    Parameters
    ----------
    head : sequence of str
        Names of the columns; all empty for a table without a head.
    rows : sequence of sequence of str
    caption : str
    left : collection of int
        Columns at the left; the others, of numbers, are at the right.
    codes : collection of int
        Columns of code.
    shares : sequence of float, optional
        Of each row, from 0 to 1, shown as a bar below its first cell.
    """

    def cell(i: int, text: str, tag: str, extra: str = "") -> str:
        kind = ' class="left"' if i in left else ""
        inner = f"<code>{escape(text)}</code>" if i in codes and text else escape(text)
        return f"<{tag}{kind}{extra}>{inner}</{tag}>"

    lines = [f"<caption>{escape(caption)}</caption>"] if caption else []
    if any(head):
        cells = "".join(cell(i, name, "th", ' scope="col"') for i, name in enumerate(head))
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for k, row in enumerate(rows):
        first = cell(0, row[0], "th", ' scope="row"') if row else ""
        if shares is not None:
            bar = f'<i style="width:{100 * min(max(shares[k], 0.0), 1.0):.1f}%"></i></th>'
            first = first.replace('class="left"', 'class="left bar"').replace("</th>", bar)
        rest = "".join(cell(i, text, "td") for i, text in enumerate(row) if i)
        lines.append(f"<tr>{first}{rest}</tr>")
    lines.append("</tbody>")
    return '<div class="scroll"><table>' + "\n".join(lines) + "</table></div>"


def figure(drawing: str, caption: str = "") -> str:
    """Return a figure with a caption."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{drawing}{below}</figure>"


def details(summary: str, body: str, *, is_open: bool = False) -> str:
    """Return what opens and closes."""
    return f"<details{' open' * is_open}><summary>{escape(summary)}</summary>{body}</details>"


def frame(page: str, title: str) -> str:
    """Return a page within the page."""
    return f'<iframe title="{escape(title)}" loading="lazy" srcdoc="{escape(page)}"></iframe>'


def cards(entries: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a row of cards."""
    inner = "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in entries)
    return f'<dl class="cards">{inner}</dl>'


def paragraphs(lines: Sequence[str]) -> str:
    """Return a paragraph for each line that is not empty."""
    return "".join(f"<p>{escape(line)}</p>" for line in lines if line)


def code(text: str) -> str:
    """Return a block of code."""
    return f"<pre><code>{escape(text)}</code></pre>"


def fragment(*bodies: str) -> str:
    """Return what a notebook shows below a cell, with a style sheet that touches nothing else."""
    sheet = style("chart") + style("tables")
    return f'<div class="wengert"><style>{sheet}</style>{"".join(bodies)}</div>'


def page(title: str, lead: str, parts: Sequence[Part], *, top: str = "", foot: str = "") -> str:
    """Return a whole page, which needs no network, follows light and dark, and prints on A4.

    Parameters
    ----------
    title, lead : str
        The heading, and a line below it.
    parts : sequence of Part
    top : str
        HTML above the first part.
    foot : str
        A line at the end.
    """
    links = "".join(f'<li><a href="#{p.name}">{escape(p.heading)}</a></li>' for p in parts)
    sections = "\n".join(
        f'<section id="{p.name}" aria-labelledby="{p.name}-heading">'
        f'<h2 id="{p.name}-heading">{escape(p.heading)}</h2>\n{p.body}</section>'
        for p in parts
    )
    sheet = style("chart") + style("tables") + style("page")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="wengert">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{sheet}</style>
</head>
<body>
<a class="skip" href="#{parts[0].name if parts else "top"}">Skip to the content</a>
<header id="top"><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main class="wengert">
{top}
{sections}
<footer>{escape(foot)}</footer>
</main>
</body>
</html>
"""
