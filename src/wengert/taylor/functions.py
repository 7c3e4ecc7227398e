"""Derivatives of higher order by Taylor mode: Laplacians, diagonals of Hessians, and jets."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np

from wengert import trees
from wengert.derivatives import Argnums, refuse_whole
from wengert.errors import DenseTooLargeError, DerivativeError, InputError, user_line
from wengert.follow.functions import call as call_followed
from wengert.jit.decorator import jit
from wengert.jit.transformed import Transformed, transformed
from wengert.matrices.sweeps import push_products
from wengert.ops.base import Traced, dtype_of, is_inexact, shape_of
from wengert.ops.options import check_function, check_places, names
from wengert.ops.shape import filled
from wengert.taylor.directions import Directions, axes, is_plain, separated
from wengert.trace.recorder import active_recorder
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.linear import as_recorded, linearize_flat
from wengert.transform.reach import is_zero
from wengert.transform.taylor import TaylorTrace, taylor_flat
from wengert.transform.taylor_loops import along_batch

__all__ = ["hessian_diagonal", "jet", "laplacian"]

P = ParamSpec("P")
R = TypeVar("R")

EAGER = 512
"""Inputs up to which a call that is not traced is computed at once, along each axis. Of more, it is
compiled, and directions are looked for that are fewer."""

PRODUCT = 2
"""What a product with a Hessian costs, as a multiple of a second derivative along a direction."""

LARGE = 1 << 32
"""Bytes of directions at once that are refused."""


def laplacian(
    f: Callable[P, R],
    argnums: Argnums = 0,
    *,
    argnames: str | Sequence[str] | None = None,
    chunk_size: int | None = None,
) -> Transformed[P, R]:
    """Return a function that computes the Laplacian of `f`, the sum of its second derivatives.

    Parameters
    ----------
    f : callable
        From real arrays (or pytrees) to an array (or pytree) of floating-point numbers.
    argnums : int or sequence of int
        The positional arguments to differentiate; the sum is over all their entries.
    argnames : str or sequence of str, optional
        Arguments by name, in the place of `argnums`.
    chunk_size : int, optional
        Directions at once; all of them by default. Each chunk evaluates `f` again.

    Returns
    -------
    callable
        The Laplacian of each entry of the result, in its form, shapes and dtypes.

    Raises
    ------
    InputError
        For inputs that are not real floating-point numbers, or such results.

    Notes
    -----
    For n inputs, a value travels with n first derivatives and one sum of second derivatives: the
    forward Laplacian of Li et al. (2023), a collapsed Taylor mode (Dangel et al., 2025). The trace
    of a Hessian takes n products of a gradient, which are several times as many operations.
    """
    made: Transformed[P, R] = _made("laplacian", f, argnums, argnames, chunk_size, _laplacian)
    return made


def hessian_diagonal(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    *,
    argnames: str | Sequence[str] | None = None,
    chunk_size: int | None = None,
) -> Transformed[P, Any]:
    """Return a function that computes the diagonal of the Hessian of `f`.

    Parameters
    ----------
    f : callable
        From real arrays (or pytrees) to an array (or pytree) of floating-point numbers.
    argnums : int or sequence of int
        The positional arguments to differentiate.
    argnames : str or sequence of str, optional
        Arguments by name, in the place of `argnums`.
    chunk_size : int, optional
        Directions at once; all of them by default. Each chunk evaluates `f` again.

    Returns
    -------
    callable
        The second derivative of each entry of the result by each entry of the arguments alone: of
        shape ``out.shape + in.shape`` for an array argument and an array result, for pytrees a tree
        of such arrays with the argument's form inside the result's.

    Raises
    ------
    InputError
        For inputs that are not real floating-point numbers, or such results.
    DenseTooLargeError
        For a diagonal of so many results that it would not fit in memory.
    """
    made: Transformed[P, Any] = _made(
        "hessian_diagonal", f, argnums, argnames, chunk_size, _diagonal
    )
    return made


def jet(
    f: Callable[..., Any], primals: Sequence[Any], series: Sequence[Sequence[Any]]
) -> tuple[Any, list[Any]]:
    """Evaluate `f` along a curve, and its derivatives along it of any order.

    Parameters
    ----------
    f : callable
    primals : sequence of pytrees of arrays
        The point x(0) of the curve; integer arrays are constants.
    series : sequence of sequences of pytrees
        For each of `primals`, the derivatives x'(0), x''(0), ... of the curve, of its form and
        shapes; all have as many. These are derivatives, not coefficients of a polynomial, as in
        ``jax.experimental.jet``: a straight line in the direction v is ``(v, zeros, zeros)``.

    Returns
    -------
    y : pytree
        ``f(*primals)``.
    terms : list of pytrees
        The derivatives of t -> f(x(t)) at 0, of orders 1, 2, ..., each of the form of `y`.

    Raises
    ------
    InputError
        When `series` has not one sequence for each primal, or they differ in length.
    ShapeError
        When a term does not fit its primal.

    Examples
    --------
    The derivatives of exp(t**2) at 0, by the curve x(t) = t**2:

    >>> import numpy as np, wengert as wg
    >>> wg.jet(np.exp, (0.0,), [[0.0, 2.0, 0.0, 0.0]])
    (1.0, [0.0, 2.0, 0.0, 12.0])
    """
    check_function(f, "jet")
    if not isinstance(primals, (tuple, list)) or not isinstance(series, (tuple, list)):
        raise InputError(
            "jet takes sequences of primals and of their derivatives: "
            "wg.jet(f, (x,), ((v, 0 * v),))" + user_line()
        )
    orders = {len(s) if isinstance(s, (tuple, list)) else 0 for s in series}
    if len(series) != len(primals) or len(orders) != 1 or 0 in orders:
        got = ", ".join(
            str(len(s)) if isinstance(s, (tuple, list)) else type(s).__name__ for s in series
        )
        raise InputError(
            f"jet takes for each of {len(primals)} primals a sequence of its derivatives of orders "
            f"1, 2, ..., all equally long; series has {len(series)} ({got})" + user_line()
        )
    (order,) = orders
    leaves, pack = trees.flatten(tuple(primals))
    leaves = [trees.primal(x, "jet") for x in leaves]
    listed = []
    for m in range(order):
        term = tuple(s[m] for s in series)
        ts, _, _ = trees.same_form(term, tuple(primals), f"the derivative of order {m + 1}")
        listed.append([t if is_inexact(x) else None for t, x in zip(ts, leaves, strict=True)])
    form: list[Any] = []

    def flat(*args: Any) -> list[Any]:
        out = call_followed(f, pack(args), {})
        trees.apart(args, leaves)
        results, rebuild = trees.flatten(out)
        form.append(rebuild)
        return results

    rows = [[None if is_zero(t) else t for t in row] for row in zip(*listed, strict=True)]
    ys, terms = taylor_flat(flat, leaves, rows, TaylorTrace(order))
    refuse_whole(ys, "jet", False)
    made = [
        form[-1](trees.own([t[m] for t in terms], ys, [x for r in rows for x in r]))
        for m in range(order)
    ]
    return form[-1](ys), made


# --- many directions ------------------------------------------------------------------------------
class _Call:
    """A call of a function whose second derivatives are wanted along the axes of its arguments."""

    def __init__(self, f: Callable[..., Any], chosen: trees.Selection, kwargs: Any, name: str):
        self.name = name
        self.chosen = chosen
        self.leaves = chosen.leaves
        for x in self.leaves:
            if dtype_of(x).kind == "c":
                raise InputError(
                    f"{name} takes real inputs, not {dtype_of(x)}: write the function of the real "
                    f"and the imaginary part, f(a + 1j * b)" + user_line()
                )
        self.columns = sum(map(_size, self.leaves))
        self.ys: list[Any] = []
        self.rebuild: Callable[[Sequence[Any]], Any] = list

        def flat(*leaves: Any) -> list[Any]:
            out = self.chosen.call(f, leaves, kwargs)
            results, self.rebuild = trees.flatten(out)
            ys = [y if isinstance(y, (Traced, np.ndarray)) else np.asarray(y)[()] for y in results]
            for y in ys:
                if not is_inexact(y):
                    raise InputError(
                        f"{name} takes a function that returns floating-point numbers, but it "
                        f"returned {dtype_of(y)}, which has no derivative" + user_line()
                    )
            return ys

        self.flat = flat

    def directions(self, apart: bool = True) -> Directions:
        """Return the directions to take, several axes in one where they do not mix."""
        if apart and (active_recorder() is not None or self.columns > EAGER):
            return separated(self.flat, self.leaves)
        return axes(self.columns)

    def _seeds(self, trace: BatchTrace, rows: Any) -> list[Any]:
        """Cut directions into batches for the leaves."""
        seeds, start = [], 0
        for x in self.leaves:
            stop = start + _size(x)
            part = rows[:, start:stop].reshape(len(rows), *shape_of(x)).astype(dtype_of(x))
            seeds.append(Tracer(trace, Batched(as_recorded(part, self.leaves), True)))
            start = stop
        return seeds

    def check(self, number: int) -> None:
        """Refuse directions that would not fit in memory."""
        needed = number * self.columns * 8
        if needed >= LARGE:
            raise DenseTooLargeError(
                f"{self.name}: {number:,} directions of {self.columns:,} inputs would take "
                f"{needed:,} bytes, as its second derivatives do not come apart. Use "
                f"chunk_size=64, which takes 64 at once and evaluates the function as often as "
                f"there are chunks." + user_line()
            )

    def cut(self, whole: Any) -> list[Any]:
        """Cut an array along its first axis, of all inputs, into parts for the leaves."""
        stops = np.cumsum([_size(x) for x in self.leaves]).tolist()
        return [whole[a:b] for a, b in zip([0, *stops], stops, strict=False)]

    def packed(self, parts: Sequence[Any], shape: tuple[int, ...]) -> Any:
        """Give parts the shapes of the leaves behind that of a result, in the arguments' form."""
        row = [
            np.reshape(part, (*shape, *shape_of(x)))
            for part, x in zip(parts, self.leaves, strict=True)
        ]
        row = [x[()] if isinstance(x, np.ndarray) and not x.ndim else x for x in row]
        return self.chosen.pack(trees.own(row, row))

    def products(self, directions: Directions, chunk_size: int | None) -> Any:
        """Read the diagonal from products with the Hessian of a number; None for other results."""

        def gradient(*leaves: Any) -> list[Any]:
            lin = linearize_flat(self.flat, list(leaves))
            self.ys = lin.ys
            if [shape_of(y) for y in lin.ys] != [()] or dtype_of(lin.ys[0]).kind != "f":
                return []
            one = dtype_of(lin.ys[0]).type(1)
            return [
                np.zeros(shape_of(x), dtype_of(x)) if g is None else g
                for x, g in zip(leaves, lin.pull([one]), strict=True)
            ]

        try:
            lin = linearize_flat(gradient, self.leaves)
            if not lin.ys:
                return None
            dtype = np.result_type(*map(dtype_of, self.leaves))
            parts = [
                push_products(lin, self.leaves, directions.seeds(start, stop, dtype), dtype)
                for start, stop in directions.chunks(chunk_size)
            ]
        except DerivativeError:  # a custom rule for one direction only
            return None
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        places = directions.colours * self.columns + np.arange(self.columns)
        diagonal = np.reshape(whole, (-1,))[places]
        return self.rebuild([self.packed(self.cut(diagonal), ())])

    def _along(self, rows: Any, collapse: bool) -> tuple[list[list[Any]], BatchTrace]:
        trace = BatchTrace(len(rows))
        seeds = self._seeds(trace, rows)
        curves = [[s, None] for s in seeds]
        taylor = TaylorTrace(2, trace if collapse else None)
        try:
            self.ys, terms = taylor_flat(self.flat, self.leaves, curves, taylor)
        finally:
            trace.alive = False
        return terms, trace

    def collapsed(self, rows: Any) -> list[Any]:
        """Return the sum of second derivatives along directions, of each result; None is zero."""
        return [t[1] for t in self._along(rows, True)[0]]

    def second(self, rows: Any) -> list[Any]:
        """Return the second derivatives along directions, which come first, of each result."""
        terms, trace = self._along(rows, False)
        k, found = len(rows), []
        for (_, t), y in zip(terms, self.ys, strict=True):
            if t is None:
                t = np.zeros((k, *shape_of(y)), dtype_of(y))
            else:
                data, batched = along_batch(t, trace)
                t = data if batched else filled(data, shape=(k, *shape_of(y)))
            found.append(t)
        return found


def _made(
    kind: str,
    f: Any,
    argnums: Argnums,
    argnames: Any,
    chunk_size: Any,
    compute: Callable[..., Any],
) -> Any:
    """Check options, and return the transformed function."""
    check_places(f, argnums, kind)
    if argnames is not None:
        names(argnames, kind, "argnames")
    if chunk_size is not None and (type(chunk_size) is not int or chunk_size < 1):
        raise InputError(f"chunk_size must be a positive int, not {chunk_size!r}" + user_line())
    name = f"{kind}({getattr(f, '__name__', 'f')})"

    options = {"argnums": argnums, "argnames": argnames, "chunk_size": chunk_size}
    again = functools.partial(_made, kind=kind, compute=compute)
    remade = transformed(kind, f, again, **options)

    @remade
    def computed(*args: Any, **kwargs: Any) -> Any:
        chosen = trees.select(args, argnums, name, f, kwargs, argnames)
        return compute(_Call(f, chosen, kwargs, name), chunk_size)

    compiled = jit(computed)

    @remade
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if chunk_size is None and is_plain(trees.flatten((args, kwargs))[0]):
            chosen = trees.select(args, argnums, name, f, kwargs, argnames)
            if sum(map(_size, chosen.leaves)) > EAGER:
                return compiled(*args, **kwargs)
        return computed(*args, **kwargs)

    return wrapped


def _laplacian(call: _Call, chunk_size: int | None) -> Any:
    """Sum second derivatives along directions that do not mix."""
    directions = call.directions()
    totals: list[Any] = []
    for start, stop in directions.chunks(chunk_size):
        call.check(stop - start)
        found = call.collapsed(directions.seeds(start, stop, np.float64))
        both = zip(totals, found, strict=True)
        totals = [_sum(a, b) for a, b in both] if totals else found
    return call.rebuild(trees.own(totals, call.ys))


def _diagonal(call: _Call, chunk_size: int | None) -> Any:
    """Take second derivatives along all axes, or of a number products with its Hessian."""
    directions = call.directions()
    if directions.number * PRODUCT <= call.columns:
        found = call.products(directions, chunk_size)
        if found is not None:
            return found
    directions = axes(call.columns)
    chunks = []
    for start, stop in directions.chunks(chunk_size):
        call.check(stop - start)
        chunks.append(call.second(directions.seeds(start, stop, np.float64)))
    rows = []
    for i, y in enumerate(call.ys):
        parts = [chunk[i] for chunk in chunks]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        rows.append(call.packed([np.moveaxis(x, 0, -1) for x in call.cut(whole)], shape_of(y)))
    return call.rebuild(rows)


def _size(x: Any) -> int:
    return math.prod(shape_of(x))


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b
