"""What `wg.draw` does with each kind of function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import optree

from wengert.devices.candidates import Candidate, Partition
from wengert.drawing.build import build
from wengert.drawing.collect import collect, collect_call, collect_graph
from wengert.drawing.drawing import Drawing
from wengert.drawing.model import Diagram
from wengert.drawing.sources import argument_names
from wengert.errors import InputError, user_line
from wengert.ir.graph import Graph
from wengert.jit.form import DYNAMIC
from wengert.jit.jitted import Jitted
from wengert.jit.transformed import kind_of
from wengert.matrices.functions import MatrixFunction
from wengert.ops.base import Traced, is_inexact

__all__ = ["drawn"]


def drawn(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int | Sequence[int] | None,
    every: bool,
) -> Drawing:
    """Record, and build the drawing."""
    made = _built(f, args, kwargs, argnums, every)
    return Drawing(made.name, made.nodes, made.edges, made.groups, made.lines, made.notes)


def _built(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int | Sequence[int] | None,
    every: bool,
) -> Diagram:
    given: Any = f
    if isinstance(given, (Partition, Candidate)):
        return _split(given, args, kwargs, argnums, every)
    name = getattr(f, "name", None) or getattr(f, "__name__", None) or type(f).__name__
    graph = getattr(f, "graph", None)
    if isinstance(graph, Graph) or isinstance(f, Graph):
        _no_argnums(name, "plan", argnums)
        shown = f if isinstance(f, Graph) else graph
        assert isinstance(shown, Graph)
        return build(collect_graph(str(name), shown, args, kwargs), None, every)
    names = argument_names(f, args, kwargs)
    if isinstance(f, Jitted) and f._budget is not None:
        _no_argnums(name, "function with a memory budget", argnums)
        graph = f.plan(*args, **kwargs).graph
        return build(collect_graph(str(name), graph, args, kwargs, names), f, every)
    inner = f
    while isinstance(inner, Jitted):
        inner = inner._f
    if isinstance(inner, MatrixFunction):
        _no_argnums(name, "jacobian", argnums)
        plan = inner.plan(*args, **kwargs)
        if isinstance(getattr(plan, "graph", None), Graph):
            return build(collect_graph(str(name), plan.graph, args, kwargs, names), f, every)
    kind = kind_of(f)
    if kind not in (None, "vmap"):
        _no_argnums(name, kind or "", argnums)
        return build(collect_call(f, args, kwargs, names), f, every)
    nums = _active(args) if argnums is None else argnums
    return build(collect(inner, args, kwargs, nums, names), inner, every)


def _split(
    f: Partition | Candidate, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any,
    every: bool,
) -> Diagram:  # fmt: skip
    """Draw a way to split a graph over devices; of a partition, the best one."""
    candidate = f.best if isinstance(f, Partition) else f
    name = f"{f.name}: {candidate.name}" if isinstance(f, Partition) else candidate.name
    if candidate.split is None:
        raise InputError(f"{name} is not applicable: {candidate.reason}" + user_line())
    _no_argnums(name, "plan for devices", argnums)
    of = f.name if isinstance(f, Partition) else "y"
    found = collect_graph(of, candidate.split.graph, args, kwargs)
    return replace(build(found, None, every, candidate.split), name=name)


def _no_argnums(name: str, kind: str, argnums: Any) -> None:
    if argnums is not None:
        raise InputError(
            f"draw({name}): argnums={argnums!r}, but {name} is a {kind} already and is drawn as it "
            f"is. Give argnums to what made it, or give wg.draw the function itself." + user_line()
        )


def _active(args: tuple[Any, ...]) -> int | tuple[()]:
    """Return the first argument's number where any of its data can be differentiated."""
    leaves = optree.tree_leaves(args[0]) if args else []
    return 0 if any(isinstance(x, (Traced, *DYNAMIC)) and is_inexact(x) for x in leaves) else ()
