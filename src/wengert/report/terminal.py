"""Tables on the terminal: rich ones there, plain text where the output goes to a file or a pipe."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wengert.tables import align

__all__ = ["show_lines", "show_table"]


def show_table(
    console: Console,
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Collection[int] = (0,),
) -> None:
    """Print a table; nothing where it has no rows.

    On a terminal it has a frame and is as wide as the terminal at most. Elsewhere it is text with
    two blanks between the columns, of which nothing is cut off.

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
    table = Table(title=Text(title), title_justify="left", show_header=any(head))
    last = len(rows[0]) - 1
    for i in range(len(rows[0])):
        name = head[i] if head else ""
        whole = i not in left
        folds = i == last and i in left and i > 0
        table.add_column(
            name,
            justify="left" if i in left else "right",
            no_wrap=whole or folds,
            overflow="ellipsis" if folds else "fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def show_lines(console: Console, lines: Sequence[str]) -> None:
    """Print lines as they are: a terminal folds those that are too long, a file keeps them."""
    for line in lines:
        console.print(line, soft_wrap=not console.is_terminal)
