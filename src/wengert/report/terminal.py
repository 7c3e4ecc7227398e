"""Tables on the terminal: rich ones there, plain text where the output goes to a file or a pipe."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wengert.charts.words import shortened
from wengert.tables import align

__all__ = ["show_lines", "show_table"]

GAP = 3
"""Characters between two columns on a terminal."""
LEAST = 12
"""Characters of a last column that are worth showing."""


def show_table(
    console: Console,
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Collection[int] = (0,),
) -> None:
    """Print a table; nothing where it has no rows.

    On a terminal it is as wide as that at most: a last column of text is shortened, or left out.
    Elsewhere it is text with two blanks between the columns, of which nothing is cut off.

    Parameters
    ----------
    console : Console
    title : str
    head : sequence of str
        Names of the columns; empty for a table without a head.
    rows : sequence of sequence of str
    left : collection of int
        Columns at the left; the others, of numbers, are at the right.
    """
    if not rows:
        return
    if not console.is_terminal:
        text = align([*([list(head)] if any(head) else []), *map(list, rows)], left)
        show_lines(console, [*([title] if title else []), *text.splitlines(), ""])
        return
    names = list(head) or [""] * len(rows[0])
    cells = [list(row) for row in rows]
    if len(names) > 2 and len(names) - 1 in left:
        names, cells = _fitted(names, cells, console.width)
    table = Table(
        title=Text(title, "bold"),
        title_justify="left",
        show_header=any(names),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for i, name in enumerate(names):
        folds = len(names) == 2 and i == 1
        table.add_column(name, justify="left" if i in left else "right", no_wrap=not folds)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _fitted(
    head: list[str], rows: list[list[str]], width: int
) -> tuple[list[str], list[list[str]]]:
    """Shorten the last column to what the others leave; leave out columns that do not fit."""
    widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
    for n in range(len(head) - 1, 0, -1):
        room = width - sum(widths[:n]) - GAP * n - 2
        if room >= min(widths[n], LEAST):
            return head[: n + 1], [[*row[:n], shortened(row[n], room)] for row in rows]
    return head[:1], [row[:1] for row in rows]


def show_lines(console: Console, lines: Sequence[str]) -> None:
    """Print lines as they are: a terminal folds those that are too long, a file keeps them."""
    for line in lines:
        console.print(line, soft_wrap=not console.is_terminal)
