"""Sparsity patterns of Python functions: recorded, then read off the graph.

A Jacobian's pattern is read off the recorded function. Where that function uses another one with a
derivative of its own (`custom_jvp`, `custom_vjp`), what it computes says nothing of its derivative,
so the derivative itself is recorded: the result of forward mode as a function of the tangent, or
that of reverse mode as a function of the cotangent. A Hessian's pattern is that of the gradient's
Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert import trees
from wengert.errors import (
    DerivativeError,
    InputError,
    PlanMismatchError,
    ShapeError,
    user_line,
)
from wengert.ir.graph import aval_of
from wengert.jit.form import DYNAMIC, Form, signature, split
from wengert.jit.record import Recorded, record
from wengert.ops.base import PythonFloat, Traced, dtype_of, shape_of
from wengert.sparse.detection.detect import Detection, detect
from wengert.sparse.pattern import SparsityPattern
from wengert.transform.jvp import jvp_flat
from wengert.transform.linear import linearize_flat

__all__ = [
    "Sparsity",
    "hessian_pattern",
    "hessian_sparsity",
    "jacobian_pattern",
    "jacobian_sparsity",
]

Argnums = int | Sequence[int]
Flat = Callable[..., list[Any]]


class Sparsity(NamedTuple):
    """A function's sparsity pattern, and what it holds under.

    Attributes
    ----------
    pattern : SparsityPattern
        A row for each entry of the result (of the chosen arguments, for a Hessian), a column for
        each entry of the chosen arguments, in the order of `argnums` and C order.
    detection : Detection
        The recorded graph and the decisions that the pattern relies on.
    form, signatures
        The form, shapes and dtypes of the arguments.
    seeds : tuple of arrays
        Further inputs of the graph, for directions.
    """

    pattern: SparsityPattern
    detection: Detection
    form: Form
    signatures: tuple[Any, ...]
    seeds: tuple[Any, ...]

    def mismatch(self, *args: Any, **kwargs: Any) -> str | None:
        """Say why the pattern may not hold at other arguments; None where it holds.

        Raises
        ------
        PlanMismatchError
            For arguments of another form, shape or dtype.
        """
        leaves, form = split(args, kwargs)
        if form != self.form or tuple(map(signature, leaves)) != self.signatures:
            raise PlanMismatchError(
                "a sparsity pattern is checked at arguments of the form, shapes and dtypes that it "
                "was found for; these are others" + user_line()
            )
        return self.detection.mismatch([*leaves, *self.seeds])


def jacobian_pattern(
    f: Callable[..., Any], *args: Any, argnums: Argnums = 0, local: bool = False, **kwargs: Any
) -> SparsityPattern:
    """Return the sparsity pattern of a function's Jacobian.

    Parameters
    ----------
    f : callable
        From arrays (or pytrees) to an array (or pytree).
    *args, **kwargs
        An example of its arguments.
    argnums : int or sequence of int
        The positional arguments to differentiate.
    local : bool
        Whether the pattern is to hold at this point only, where the branch of every ``np.where``,
        the order of every sort and the values of computed indices are known. A global pattern holds
        for all arguments for which Python's decisions (``if``, ``int()``) are those of the example.

    Returns
    -------
    SparsityPattern
        A row for each entry of the flat result, a column for each entry of the chosen arguments.
        It may be too large, but never too small.

    Raises
    ------
    InputError
        For integer arguments, or an `argnums` that names no argument.
    """
    return jacobian_sparsity(f, args, kwargs, argnums, local).pattern


def hessian_pattern(
    f: Callable[..., Any], *args: Any, argnums: Argnums = 0, local: bool = False, **kwargs: Any
) -> SparsityPattern:
    """Return the sparsity pattern of the Hessian of a function with a real scalar result.

    See `jacobian_pattern`. The pattern is symmetric.

    Raises
    ------
    ShapeError
        For a result that is not a scalar.
    """
    return hessian_sparsity(f, args, kwargs, argnums, local).pattern


def jacobian_sparsity(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: Argnums = 0,
    local: bool = False,
) -> Sparsity:
    """Return a Jacobian's pattern with what it holds under; see `jacobian_pattern`."""
    call = Call(f, args, kwargs, argnums, f"jacobian_pattern({_name(f)})")
    return call.sparsity(call.results, local)


def hessian_sparsity(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: Argnums = 0,
    local: bool = False,
) -> Sparsity:
    """Return a Hessian's pattern with what it holds under; see `hessian_pattern`."""
    call = Call(f, args, kwargs, argnums, f"hessian_pattern({_name(f)})")
    found = call.sparsity(call.gradient, local)
    pattern = found.pattern
    return found._replace(pattern=pattern if pattern.is_symmetric else pattern | pattern.T)


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "f")


class Call:
    """A call of a function as flat data, and which of them are differentiated."""

    def __init__(
        self,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        argnums: Argnums,
        name: str,
    ) -> None:
        chosen = trees.select(args, argnums, name)
        self.f = f
        self.name = name
        self.leaves, self.form = split(args, kwargs)
        for x in self.leaves:
            if isinstance(x, Traced):
                raise InputError(f"{name} takes plain arrays, not traced values" + user_line())
        starts = np.cumsum([0, *(len(split((a,), {})[0]) for a in args)]).tolist()
        self.wrt = [
            starts[i] + k
            for i, n in zip(chosen.argnums, chosen.counts, strict=True)
            for k in range(n)
        ]

    # --- functions of flat data -------------------------------------------------------------------
    def as_differentiated(self, leaves: Sequence[Any]) -> list[Any]:
        """Return leaves with Python numbers, where they are differentiated, marked as such."""
        found = list(leaves)
        for i in self.wrt:
            x = found[i]
            found[i] = PythonFloat(x) if type(x) is float else trees.strong(x)
        return found

    def results(self, *leaves: Any) -> list[Any]:
        """Return the data in the function's result."""
        found, _ = trees.flatten(self.form.call(self.f, leaves))
        return [y for y in found if isinstance(y, (Traced, *DYNAMIC))]

    def gradient(self, *leaves: Any) -> list[Any]:
        """Return the gradient with respect to the chosen leaves."""
        chosen = [leaves[i] for i in self.wrt]
        linear = linearize_flat(self._of_chosen(self.results, leaves), chosen)
        shapes = [shape_of(y) for y in linear.ys]
        if shapes == [()] and dtype_of(linear.ys[0]).kind not in "fc":
            raise InputError(
                f"{self.name} takes a function that returns a real scalar, but it returned "
                f"{dtype_of(linear.ys[0])}, which has no derivative" + user_line()
            )
        if shapes != [()] or dtype_of(linear.ys[0]).kind == "c":
            what = f"shape {shapes[0]}" if len(shapes) == 1 else f"{len(shapes)} arrays"
            raise ShapeError(
                f"{self.name} takes a function that returns a real scalar, but it returned "
                f"{what if shapes != [()] else 'a complex number'}" + user_line()
            )
        return _filled(linear.pull([dtype_of(linear.ys[0]).type(1)]), chosen)

    def _of_chosen(self, function: Flat, leaves: Sequence[Any]) -> Flat:
        def of_chosen(*chosen: Any) -> list[Any]:
            every = list(leaves)
            for i, x in zip(self.wrt, chosen, strict=True):
                every[i] = x
            return function(*every)

        return of_chosen

    # --- recording --------------------------------------------------------------------------------
    def sparsity(self, function: Flat, local: bool) -> Sparsity:
        """Return the pattern of the Jacobian of a function of the leaves."""
        recorded = self._record(function, self.leaves)
        if not recorded.custom:
            found = detect(recorded.graph, self.wrt, self.leaves if local else None)
            return self._made(found, found.pattern, [])
        try:
            seeds = [np.zeros(shape_of(x), dtype_of(x))[()] for x in self._chosen()]
            return self._linear(self._pushed(function), seeds, local, transposed=False)
        except DerivativeError:  # a function that has a reverse rule only
            avals = [aval_of(y) for y in recorded.graph.outputs]
            seeds = [np.zeros(a.shape, a.dtype)[()] for a in avals]
            return self._linear(self._pulled(function), seeds, local, transposed=True)

    def _chosen(self) -> list[Any]:
        return [self.leaves[i] for i in self.wrt]

    def _record(self, function: Flat, leaves: Sequence[Any]) -> Recorded:
        def named(*xs: Any) -> list[Any]:
            return function(*self.as_differentiated(xs))

        named.__name__ = _name(self.f)
        data, form = split(tuple(leaves), {})
        return record(named, data, form, differentiable=True)

    def _linear(self, function: Flat, seeds: list[Any], local: bool, transposed: bool) -> Sparsity:
        """Read the pattern off the recorded derivative, as a function of its direction."""
        inputs = [*self.leaves, *seeds]
        graph = self._record(function, inputs).graph
        places = range(len(self.leaves), len(inputs))
        found = detect(graph, places, inputs if local else None)
        return self._made(found, found.pattern.T if transposed else found.pattern, seeds)

    def _pushed(self, function: Flat) -> Flat:
        def pushed(*inputs: Any) -> list[Any]:
            leaves, ts = inputs[: len(self.leaves)], inputs[len(self.leaves) :]
            chosen = [leaves[i] for i in self.wrt]
            ys, yts, _ = jvp_flat(self._of_chosen(function, leaves), chosen, list(ts))
            return _filled(yts, ys)

        return pushed

    def _pulled(self, function: Flat) -> Flat:
        def pulled(*inputs: Any) -> list[Any]:
            leaves, cts = inputs[: len(self.leaves)], inputs[len(self.leaves) :]
            chosen = [leaves[i] for i in self.wrt]
            linear = linearize_flat(self._of_chosen(function, leaves), chosen)
            return _filled(linear.pull(list(cts)), chosen)

        return pulled

    def _made(self, found: Detection, pattern: SparsityPattern, seeds: list[Any]) -> Sparsity:
        signatures = tuple(map(signature, self.leaves))
        return Sparsity(pattern, found, self.form, signatures, tuple(seeds))


def _filled(parts: Sequence[Any], likes: Sequence[Any]) -> list[Any]:
    """Replace None by zeros."""
    return [
        np.zeros(shape_of(x), dtype_of(x)) if p is None else p
        for p, x in zip(parts, likes, strict=True)
    ]
