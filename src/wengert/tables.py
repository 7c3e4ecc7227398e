"""Tables as text, for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["align"]


def align(rows: Sequence[Sequence[str]], left: Collection[int] = (0,), gap: str = "  ") -> str:
    """Line up the cells of a table: columns numbered in `left` at the left, others at the right."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        gap.join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
