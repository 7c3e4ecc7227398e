"""A drawing: nodes, edges and groups, before anything is placed or written.

Variables are squares, operators are circles. What is drawn does not depend on what writes it, so
the pictures, the page and the texts have the same nodes and edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Self

from wengert.errors import InputError, user_line

__all__ = ["Diagram", "Edge", "Equation", "Group", "Node", "Section", "Snapshot"]


class Snapshot(NamedTuple):
    """An array in few numbers.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
    low, mean, high : float or None
        Of absolute values, where it is complex; None where there are no numbers.
    heat : tuple of tuple of float
        Means over blocks, of at most 16 rows and columns; empty for a single number.
    """

    shape: tuple[int, ...]
    dtype: str
    low: float | None
    mean: float | None
    high: float | None
    heat: tuple[tuple[float, ...], ...]

    @property
    def text(self) -> str:
        """A number, or the least, mean and greatest one."""
        if self.low is None or self.mean is None or self.high is None:
            return f"{self.dtype}{list(self.shape)}"
        if not self.heat:
            return f"{self.mean:.6g}"
        return f"{self.low:.4g} … {self.mean:.4g} … {self.high:.4g}"


@dataclass(frozen=True, slots=True)
class Node:
    """A variable or an operator.

    Attributes
    ----------
    id : str
    kind : str
        ``variable`` or ``operator``.
    label : str
        A name, or the sign of the operation.
    stage : str
        ``forward``; ``backward`` or ``tangent`` for what only a derivative needs; ``again`` for
        what the way back computes again.
    order : int
        0 for the function, 1 for its derivative, 2 for the derivative of that, and so on.
    role : str
        Of a variable: ``input``, ``constant``, ``value``, ``result`` or ``gradient``.
    op : str
        The row of the operation table.
    shape, dtype, nbytes
        Of the result.
    flops, read, written : int
        Operations, and bytes.
    seconds : float or None
        Measured with NumPy.
    formula, latex : str
        What it computes.
    derivative : str
        The local derivative.
    file, line, function : str, int, str
        In the user's source.
    source : str
        The line of code.
    group : str
        The innermost group; empty for none.
    primal : str
        The operator whose derivative it is part of; empty for none.
    kept : bool
        Whether the derivative reads it, so that it is kept for the way back.
    step : int
        When it is computed; that of a variable is its operator's.
    value, cotangent : Snapshot or None
    trips : tuple of Snapshot
        Of what is in the body of a loop: the value in each of the trips that its group names.
    region : str
        In a plan for several devices: the one that does it, or how all of them do.
    """

    id: str
    kind: str
    label: str
    stage: str = "forward"
    order: int = 0
    role: str = ""
    op: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    nbytes: int = 0
    flops: int = 0
    read: int = 0
    written: int = 0
    seconds: float | None = None
    formula: str = ""
    latex: str = ""
    derivative: str = ""
    file: str = ""
    line: int = 0
    function: str = ""
    source: str = ""
    group: str = ""
    primal: str = ""
    kept: bool = False
    step: int = -1
    value: Snapshot | None = None
    cotangent: Snapshot | None = None
    trips: tuple[Snapshot, ...] = ()
    region: str = ""


class Edge(NamedTuple):
    """An array on its way from one node to another.

    Attributes
    ----------
    source, target : str
    kind : str
        ``forward``, ``backward``, ``kept`` (made on the way there, read on the way back) or
        ``read`` (an input or a constant that the way back reads).
    shape, dtype, nbytes
    """

    source: str
    target: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that belong together, and open and close together.

    Attributes
    ----------
    id, label : str
    kind : str
        ``function``, ``loop``, ``trip`` (of a loop), ``chain`` (equal trips), ``body`` (of a loop
        that is one operation), ``branch``, ``repeat`` (an equal chain),
        ``again`` (computed again on the way back) or ``part``.
    parent : str
        Empty at the top.
    file, line : str, int
        Where it is in the user's source.
    times : int
        How often it runs.
    closed : bool
        Whether it is drawn as one node.
    trips : tuple of int
        Of a body: the trips whose values are known, counted from 1, as they ran.
    """

    id: str
    label: str
    kind: str
    parent: str = ""
    file: str = ""
    line: int = 0
    times: int = 1
    closed: bool = False
    trips: tuple[int, ...] = ()


class Equation(NamedTuple):
    """One line of the forward or the backward pass.

    Attributes
    ----------
    stage : str
    node : str
        The variable that it defines.
    text, latex : str
    """

    stage: str
    node: str
    text: str
    latex: str


class Section(NamedTuple):
    """A part of a page beside the graph: HTML without scripts."""

    title: str
    html: str


@dataclass(frozen=True)
class Diagram:
    """What is drawn.

    Attributes
    ----------
    name : str
    nodes : tuple of Node
    edges : tuple of Edge
    groups : tuple of Group
    lines : tuple of Equation
        The equations of both passes.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Group, ...] = ()
    lines: tuple[Equation, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """What is shaded, in the order of the program: devices, or how they share operations."""
        return tuple(dict.fromkeys(n.region for n in self.nodes if n.region))

    @cached_property
    def by_id(self) -> dict[str, Node]:
        """The nodes by their names."""
        return {n.id: n for n in self.nodes}

    # --- what is shown ----------------------------------------------------------------------------
    def opened(self, *names: str) -> Self:
        """Return the drawing with groups open: all of them, or those of these ids or labels."""
        return self._with(names, False)

    def closed(self, *names: str) -> Self:
        """Return the drawing with groups closed: all of them, or those of these ids or labels."""
        return self._with(names, True)

    def _with(self, names: Sequence[str], closed: bool) -> Self:
        known = {g.id for g in self.groups} | {g.label for g in self.groups}
        for name in names:
            if name not in known:
                shown = ", ".join(sorted({g.label for g in self.groups})[:12]) or "none"
                raise InputError(
                    f"this drawing of {self.name} has no group {name!r}; its groups are: {shown}"
                    + user_line()
                )
        groups = tuple(
            replace(g, closed=closed) if not names or g.id in names or g.label in names else g
            for g in self.groups
        )
        return replace(self, groups=groups)
