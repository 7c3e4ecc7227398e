"""What a plan needs of memory: how much, when, and for which of the user's lines."""

from __future__ import annotations

import linecache
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import InputError, UnsupportedError, user_line
from wengert.ir.graph import Graph, Node, Value

__all__ = ["Array", "Memory", "is_backward", "residual_values", "size_of", "size_text"]


class Array(NamedTuple):
    """An array between the inputs and the outputs of a plan.

    Attributes
    ----------
    nbytes : int
        Bytes that it takes, with what they are rounded up by.
    shape : tuple of int
    dtype : str
    role : str
        ``residual`` (made by the function and kept for its derivative), ``forward`` or ``backward``
        (used up where it is made), ``workspace`` (of a step, for itself).
    op : str
        What makes it.
    line : tuple of (str, int) or None
        The user's file and line; in a backward pass, those of what is differentiated.
    first, last : int
        Steps of the program between which it is held, both included.
    """

    nbytes: int
    shape: tuple[int, ...]
    dtype: str
    role: str
    op: str
    line: tuple[str, int] | None
    first: int
    last: int

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """Return a row of a table: size, array, role, operation, and the user's line."""
        shape = ", ".join(map(str, self.shape))
        place = _place(self) if self.line else ""
        size = size_text(self.nbytes)
        return size, f"{self.dtype}[{shape}]", self.role, self.op, place, _source(self)

    def __str__(self) -> str:
        """Return a line for people."""
        shape = ", ".join(map(str, self.shape))
        text = f"{size_text(self.nbytes):>10}  {self.dtype}[{shape}]  {self.role}, {self.op}"
        if self.line is None:
            return text
        name, number = self.line
        source = _source(self)
        return f"{text}  {os.path.basename(name)}:{number}" + (f": {source}" if source else "")


@dataclass(frozen=True)
class Memory:
    """Bytes that one run of a plan needs.

    Attributes
    ----------
    inputs, outputs : int
        Of the arrays that go in and come out; the outputs are new in each run.
    constants : int
        Of captured arrays, held by reference.
    peak : int or None
        Of everything in between. A native plan lays it out before it runs, in one block that it
        keeps and that later runs use again; runs at the same time have a block each. What NumPy
        needs inside an operation that it evaluates is not counted. None for a plan that runs in
        NumPy, which allocates as it goes.
    budget : int or None
        What `peak` was to be at most.
    extra_flops : int
        Operations done again to stay within the budget.
    gap : float or None
        By how much they exceed a bound of what any such plan needs, in forward passes; 0 where
        nothing is done again. None without a budget.
    """

    inputs: int
    outputs: int
    constants: int
    peak: int | None
    budget: int | None = None
    extra_flops: int = 0
    gap: float | None = None
    _graph: Graph | None = field(default=None, repr=False, compare=False)
    _footprint: Callable[[], Any] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def arrays(self) -> tuple[Array, ...]:
        """Every array that is in memory in between, in the order of their first step."""
        if self._footprint is None or self._graph is None:
            return ()
        return _arrays(self._graph, self._laid_out.held)

    @property
    def spans(self) -> dict[Value, tuple[int, int]]:
        """Between which steps memory holds the values of the plan's graph."""
        if self._footprint is None:
            return {}
        return {h.value: (h.first, h.last) for h in self._laid_out.held}

    @cached_property
    def _laid_out(self) -> Any:
        assert self._footprint is not None
        return self._footprint()

    @cached_property
    def timeline(self) -> tuple[int, ...]:
        """Bytes held in each step of the program."""
        if self._footprint is None:
            return ()
        change = np.zeros(self._laid_out.steps + 2, np.int64)
        for a in self.arrays:
            change[a.first] += a.nbytes
            change[a.last + 1] -= a.nbytes
        return tuple(np.cumsum(change)[: self._laid_out.steps + 1].tolist())

    @cached_property
    def alive(self) -> tuple[Array, ...]:
        """The arrays that are held in the fullest step, largest first."""
        if not self.timeline:
            return ()
        step = int(np.argmax(self.timeline))
        found = [a for a in self.arrays if a.first <= step <= a.last]
        return tuple(sorted(found, key=lambda a: (-a.nbytes, a.first)))

    @property
    def residuals(self) -> int:
        """Bytes of what the function computes and keeps for its derivative."""
        return sum(a.nbytes for a in self.arrays if a.role == "residual")

    @property
    def workspace(self) -> int | None:
        """Bytes of the peak that are not residuals, with the gaps between arrays."""
        if self.peak is None:
            return None
        return self.peak - sum(a.nbytes for a in self.alive if a.role == "residual")

    def parts(self, by: str = "role", most: int = 6) -> dict[str, tuple[int, ...]]:
        """Return the bytes held in each step, by what they are for.

        Parameters
        ----------
        by : {"role", "line"}
            The role of the arrays, or the user's line that made them.
        most : int
            Lines that are told apart: those that hold most bytes at a time. The others are
            ``other lines``.

        Raises
        ------
        InputError
            For anything else than "role" and "line".
        """
        if by not in ("role", "line"):
            raise InputError(f'by={by!r}: give by="role" or by="line"' + user_line())
        steps = len(self.timeline)
        change: dict[str, Any] = {}
        if by == "role":
            change = {role: np.zeros(steps + 1, np.int64) for role in _ROLES}
        for a in self.arrays:
            name = a.role if by == "role" else _place(a)
            row = change.setdefault(name, np.zeros(steps + 1, np.int64))
            row[a.first] += a.nbytes
            row[a.last + 1] -= a.nbytes
        held = {name: np.cumsum(row)[:steps] for name, row in change.items() if row.any()}
        if by == "line" and len(held) > most:
            ranked = sorted(held, key=lambda name: -int(held[name].max(initial=0)))
            rest = np.sum([held[name] for name in ranked[most:]], axis=0)
            held = {name: held[name] for name in held if name in ranked[:most]}
            held["other lines"] = rest
        return {name: tuple(row.tolist()) for name, row in held.items()}

    def plot(self, ax: Any = None, *, by: str = "role") -> Any:
        """Draw the bytes held in each step with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.
        by : {"role", "line"}
            What the layers are: residuals, forward, backward and workspace, or the user's lines.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        UnsupportedError
            For a plan that runs in NumPy, which allocates as it goes.
        """
        from wengert.charts.axes import axes_for
        from wengert.charts.stack import plot_stack

        stack = self.stack(by)
        return plot_stack(axes_for(ax, "memory.plot()"), stack)

    def stack(self, by: str = "role", title: str = "memory held between inputs and outputs") -> Any:
        """Return what `plot` draws, as data: a `wengert.charts.stack.Stack`."""
        from wengert.charts.palette import PASSES
        from wengert.charts.stack import Stack

        if self._footprint is None:
            raise UnsupportedError(
                "there is no timeline of this memory: the plan runs in NumPy, which allocates as "
                'it goes; wg.jit(f, backend="native") lays memory out beforehand' + user_line()
            )
        parts = self.parts(by) or {"nothing": (0,)}
        first = [a.first for a in self.arrays if a.role == "backward"]
        turn = min(first, default=None)
        chosen = PASSES if by == "role" else {}
        return Stack(parts, "other lines", None, self.budget, turn, title, chosen)

    def _repr_html_(self) -> str:
        """Return the totals, the timeline, and the arrays of the fullest step, for a notebook."""
        from wengert.charts.html import figure, fragment, paragraphs
        from wengert.charts.stack import svg_stack

        parts = [paragraphs([str(self)])]
        if self._footprint is not None and self.timeline:
            parts += [figure(svg_stack(self.stack())), self.html_table()]
        return fragment(*parts)

    def html_table(self, rows: int = 12) -> str:
        """Return the arrays that are held in the fullest step as a table of HTML."""
        from wengert.charts import words
        from wengert.charts.html import table

        head = ("bytes", "array", "role", "made by", "line", "")
        shown = self.alive[:rows]
        cells = [[words.shortened(cell, 72) for cell in a.cells()] for a in shown]
        rest = self.alive[rows:]
        if rest:
            more = size_text(sum(a.nbytes for a in rest))
            cells.append([more, f"in {len(rest)} more", "", "", "", ""])
        what = "held when most is"
        return table(head, cells, caption=what, left=(1, 2, 3, 4, 5), codes=(5,))

    def chart(self, width: int = 60, height: int = 8) -> str:
        """Draw the bytes held, from the first step to the last.

        Parameters
        ----------
        width, height : int
            Characters of the drawing at most, without its labels.
        """
        held = self.timeline
        if not held or not max(held):
            return "nothing is held in between"
        columns = [max(part) for part in np.array_split(held, min(width, len(held)))]
        top = max(held)
        rows = []
        for level in range(height, 0, -1):
            label = size_text(top * level // height) if level in (height, 1) else ""
            bars = "".join(" █"[bool(c * height > top * (level - 1))] for c in columns)
            rows.append(f"{label:>10} {bars}".rstrip())
        return "\n".join([*rows, f"{'step':>10} 0{len(held) - 1:>{len(columns) - 1}}"])

    def table(self, rows: int = 12) -> str:
        """List the arrays that are held in the fullest step, and the lines that made them."""
        shown = [str(a) for a in self.alive[:rows]]
        rest = self.alive[rows:]
        if rest:
            shown.append(f"{size_text(sum(a.nbytes for a in rest)):>10}  in {len(rest)} more")
        return "\n".join(shown)

    def __str__(self) -> str:
        """Return a line for people."""
        between = "" if self.peak is None else f", {self.peak:,} in between at most"
        if self.budget is not None:
            between += f" (budget {self.budget:,}: {self.extra_flops:,} operations done again)"
        return (
            f"{self.inputs:,} bytes in, {self.outputs:,} out, {self.constants:,} of captured "
            f"arrays{between}"
        )


_ROLES = ("residual", "forward", "backward", "workspace")
"""In the order in which they are drawn, from the bottom."""


def _place(a: Array) -> str:
    return f"{os.path.basename(a.line[0])}:{a.line[1]}" if a.line else "no line"


def _source(a: Array) -> str:
    return linecache.getline(*a.line).strip() if a.line else ""


def is_backward(node: Node) -> bool:
    """Whether a reverse pass made the node."""
    return getattr(node.line, "op", None) is not None


def _arrays(graph: Graph, held: Sequence[Any]) -> tuple[Array, ...]:
    maker: dict[Value, Node] = {v: node for node in graph.nodes for v in node.outputs}
    kept = residual_values(graph, {h.value for h in held})
    found = []
    for h in held:
        node = maker.get(h.value)
        if node is None:
            role, op, line = "workspace", "part of a step", None
        else:
            op = node.op.name
            line = (node.line[0], node.line[1]) if node.line else None
            role = "backward" if is_backward(node) else "forward"
            if h.value in kept:
                role = "residual"
        found.append(Array(h.nbytes, h.shape, h.dtype, role, op, line, h.first, h.last))
    return tuple(sorted(found, key=lambda a: (a.first, a.last)))


def residual_values(graph: Graph, stored: set[Value]) -> set[Value]:
    """Return those of the values in memory that the function computes and its derivative reads.

    Directly, or on the way through views and registers.
    """
    through: dict[Value, frozenset[Value]] = {}
    made: set[Value] = set()
    kept: set[Value] = set()
    for node in graph.nodes:
        reads: set[Value] = set()
        for x in node.inputs:
            if isinstance(x, Value):
                reads |= {x} if x in stored else through.get(x, frozenset())
        if is_backward(node):
            kept |= reads
            continue
        made.update(node.outputs)
        through.update(dict.fromkeys(node.outputs, frozenset(reads)))
    return kept & made


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12} | {
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}  # fmt: skip


def size_of(text: int | str) -> int:
    """Return the bytes that a number, or a text such as ``"150MiB"`` or ``"2 GB"``, stands for.

    Raises
    ------
    ValueError
        For anything else, and for negative sizes.
    """
    if isinstance(text, (int, np.integer)) and not isinstance(text, bool):
        size = int(text)
    elif isinstance(text, str):
        digits = text.strip().rstrip("BbKkMmGgTtIi ")
        unit = text.strip()[len(digits) :].strip().lower()
        if unit not in _UNITS:
            raise ValueError(text)
        size = int(float(digits) * _UNITS[unit])
    else:
        raise ValueError(text)
    if size < 0:
        raise ValueError(text)
    return size


def size_text(nbytes: float) -> str:
    """Return bytes for people: ``150.0 MiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(nbytes) < 1024:
            return f"{nbytes:.0f} bytes" if unit == "bytes" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"
