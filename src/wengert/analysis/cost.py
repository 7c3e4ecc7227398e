"""What a function and its derivative cost: predicted from a graph, or counted while it runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from wengert import trees
from wengert.analysis.breakdown import Cost, backward_nodes, needed
from wengert.analysis.loops.recorder import LoopRecorder
from wengert.backend.native.run.footprint import footprint
from wengert.backend.native.schedule.schedule import Unsupported
from wengert.cost.count import Count, count_graph
from wengert.cost.instrumented import run_counted
from wengert.derivatives import value_and_grad, vjp
from wengert.devices.machine import Machine
from wengert.errors import InputError, user_line
from wengert.follow.functions import call as call_followed
from wengert.ir.graph import Aval, Graph, Value, aval_of
from wengert.jit.decorator import jit
from wengert.jit.fastpath import OUTPUT
from wengert.jit.form import DYNAMIC, split
from wengert.jit.plan import Plan
from wengert.jit.record import Recorded, record, without_collection
from wengert.jit.transformed import kind_of
from wengert.ops.base import Traced, dtype_of, is_inexact, shape_of
from wengert.trace.recorder import GraphRecorder

__all__ = ["cost", "count"]


@without_collection()
def cost(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] | None = None,
    machine: Machine | None = None,
    **kwargs: Any,
) -> Cost:
    """Return what a function and its derivative cost, without compiling or running the derivative.

    The function is recorded at these arguments and differentiated in reverse mode; the operations
    of that graph are counted, so a loop counts as often as it runs here, and what no derivative
    needs is not counted.

    Parameters
    ----------
    f : callable
        A function written with NumPy: its value and its gradient (its pullback, where it does not
        return a real scalar) are counted. Or one made by `grad`, `value_and_grad`, `jacobian`,
        `hessian`, compiled or not: what it does is counted, as it is.
    *args, **kwargs : pytrees of arrays
    argnums : int or sequence of int, optional
        The positional arguments to differentiate, the first one by default (nothing, where it holds
        integers); ``()`` counts `f` alone. Not for a function that is a derivative already.
    machine : wengert.devices.Machine, optional
        Peaks for ``roofline()``; those of this computer, measured, by default.

    Returns
    -------
    Cost
        ``flops_forward``, ``flops_backward``, ``flops``, ``macs``, ``bytes``, ``by_kind``,
        ``by_op``, ``cheap_gradient_ratio``, ``table``, ``unknown``, ``loops``, ``formula``,
        ``at()``, ``roofline()``, ``memory`` (which compiles). It prints itself.

    Raises
    ------
    InputError
        For `argnums` that names no floating-point argument, or is given for a derivative.
    """
    name = getattr(f, "__name__", None) or type(f).__name__
    nums = _active(args) if argnums is None else argnums
    recorder = LoopRecorder()

    def plan() -> Plan:
        made: Plan = jit(f).plan(*args, **kwargs)
        return made

    if kind_of(f) not in (None, "vmap"):
        if argnums is not None:
            raise InputError(
                f"cost({name}): argnums={argnums!r}, but {name} is a {kind_of(f)} already and is "
                f"counted as it is. Give argnums to what made it, or give wg.cost the function "
                f"itself." + user_line()
            )
        graph = record(f, *split(args, kwargs), recorder=recorder).graph
        return Cost(name, graph, backward_nodes(graph), plan, recorder, _stored, machine)
    if nums != ():
        which = trees.select(args, nums, f"cost({name})").argnums
        try:
            graph = record(_of_scalar(f, nums), *split(args, kwargs), recorder=recorder).graph
        except _OtherResultError as other:
            avals = other.avals
        except Exception:
            avals = _results(record(f, *split(args, kwargs)))
            if any(map(_is_differentiable, avals)):  # else there is no need of a derivative
                raise
        else:
            made = value_and_grad(f, nums).plan
            late = _behind(graph, 1)
            return Cost(
                name, graph, late, lambda: made(*args, **kwargs), recorder, _stored, machine
            )
        recorder = LoopRecorder()
        if any(map(_is_differentiable, avals)):
            both, seeds = _with_pullback(f, which, avals)
            given = seeds, args, kwargs
            graph = record(both, *split(given, {}), recorder=recorder).graph
            late = _behind(graph, sum(a is not None for a in avals))
            return Cost(
                name, graph, late, lambda: jit(both).plan(*given), recorder, _stored, machine
            )
    graph = record(f, *split(args, kwargs), recorder=recorder).graph
    return Cost(name, graph, (), plan, recorder, _stored, machine)


def count(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Count:
    """Run a function with NumPy, and count the operations that are executed.

    Parameters
    ----------
    f : callable
        Any function; one made by `grad`, `jacobian` and so on as well.
    *args, **kwargs : pytrees of arrays

    Returns
    -------
    Count
        ``flops``, ``by_kind``, ``by_op``, ``bytes``, ``macs``, ``unknown``, from the arrays that
        each operation was given. It equals what `cost` predicts.
    """
    leaves, form = split(args, kwargs)
    graph = record(f, leaves, form, recorder=GraphRecorder(checks=False)).graph
    return run_counted(graph, leaves)[1]


def _stored(graph: Graph) -> set[Value] | None:
    """Return what native code holds in memory between inputs and outputs."""
    try:
        found = footprint(graph)
    except Unsupported:
        return None
    return {h.value for h in found.held if h.value is not None}


def _active(args: tuple[Any, ...]) -> int | tuple[()]:
    """Return the first argument's number where any of its data can be differentiated."""
    leaves = optree.tree_leaves(args[0]) if args else []
    return 0 if any(isinstance(x, (Traced, *DYNAMIC)) and is_inexact(x) for x in leaves) else ()


class _OtherResultError(Exception):
    """A function returned something else than one real number.

    Attributes
    ----------
    avals : list of Aval or None
        What is known of the leaves that are data.
    """

    def __init__(self, avals: list[Aval | None]) -> None:
        super().__init__()
        self.avals = avals


def _of_scalar(f: Callable[..., Any], nums: int | Sequence[int]) -> Callable[..., Any]:
    """Return value and gradient of `f`, which ends before its derivative if there is none.

    So one recording does for both in the usual case, and little is done twice in the others.
    """

    @functools.wraps(f, updated=())
    def checked(*args: Any, **kwargs: Any) -> Any:
        out = call_followed(f, args, kwargs)
        leaves = optree.tree_leaves(out)
        avals = [
            Aval(shape_of(y), dtype_of(y)) if isinstance(y, (Traced, *DYNAMIC)) else None
            for y in leaves
        ]
        (first, *_) = [*avals, None]
        single = len(leaves) == 1 and leaves[0] is out
        if not single or first is None or first.shape or first.dtype.kind != "f":
            raise _OtherResultError(avals)
        return out

    return value_and_grad(checked, nums)


def _behind(graph: Graph, values: int) -> set[int]:
    """Return the ids of the nodes that the first outputs, which are the value, do not need."""
    return {id(n) for n in graph.nodes} - needed(graph, graph.outputs[:values])


def _results(recorded: Recorded) -> list[Aval | None]:
    """Return what is known of the leaves of a result that a graph computes, None for the others."""
    made = iter(recorded.graph.outputs)
    return [aval_of(next(made)) if y is OUTPUT else None for y in recorded.result.still]


def _is_differentiable(aval: Aval | None) -> bool:
    return aval is not None and aval.dtype.kind in "fc"


def _with_pullback(
    f: Callable[..., Any], which: Sequence[int], avals: list[Aval | None]
) -> tuple[Callable[..., Any], list[Any]]:
    """Return a function that computes value and pullback, and cotangents to give it first."""
    smooth = [_is_differentiable(a) for a in avals]
    seeds = [np.ones(a.shape, a.dtype) for a in avals if a is not None and a.dtype.kind in "fc"]

    def both(cts: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def chosen(*active: Any) -> Any:
            given = list(args)
            for i, x in zip(which, active, strict=True):
                given[i] = x
            parts: tuple[list[Any], list[Any]] = ([], [])
            for y, is_smooth in zip(optree.tree_leaves(f(*given, **kwargs)), smooth, strict=True):
                parts[not is_smooth].append(y)
            return parts

        ys, pull, rest = vjp(chosen, *(args[i] for i in which), has_aux=True)
        return ys, rest, pull(cts)

    return both, seeds


def count_function(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Count:
    """Count the operations of ``f(*args, **kwargs)`` before it runs.

    Parameters
    ----------
    f : callable
        Any function, a transformed one as well.
    *args, **kwargs : pytrees of arrays

    Returns
    -------
    Count
    """
    recorder = GraphRecorder(checks=False)
    return count_graph(record(f, *split(args, kwargs), recorder=recorder).graph)
