"""Sparse accumulation: each value travels with its Jacobian, as a few diagonals.

The Jacobian of a value of shape ``s`` is a sum of terms. A term has a coefficient and a column for
each entry of the value, and for each of ``w`` places along a leading axis: it stands for the
matrix with those coefficients in those columns. The columns are plain integers, known while the
function is recorded; only coefficients are computed when it runs, and those that are the same
number for all entries are not even that. An elementwise operation multiplies coefficients by its
partial derivatives, moving data moves both, and a sum puts its axes among the leading ones. So what
is computed is the nonzeros and nothing else: no seeds, no colours.

This is forward accumulation on sparse vectors (Griewank and Walther, *Evaluating Derivatives*, 2nd
ed., section 7.1), with the indices propagated ahead of time. It does not suit every function:
`NotAccumulable` says where it ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import cause_of
from wengert.ir.graph import Const
from wengert.linear.blocks import coefficients
from wengert.linear.terms import (
    SPARSE,
    JacobianTerm,
    NotAccumulable,
    align,
    as_list,
    copy_entries,
    is_number,
    join,
    keep_entries,
    merge,
    move,
    place,
    scale,
    sum_over,
    whole,
)
from wengert.ops.base import (
    ZERO,
    Op,
    Scale,
    Traced,
    dtype_of,
    is_inexact,
    shape_of,
)
from wengert.ops.blocks import Joined, Labelled, Moved, Written, Zero
from wengert.ops.convert import convert
from wengert.ops.index import getitem, index_set
from wengert.ops.shape import reshape
from wengert.trace.numbers import compared, plain_number
from wengert.trace.numbers import is_number as is_python_number
from wengert.trace.record import Trace
from wengert.trace.recorder import active_recorder
from wengert.trace.tracer import Tracer, refreshed
from wengert.transform.jvp import JvpTrace, kept
from wengert.transform.linear import quiet
from wengert.transform.reach import Reach, carried, is_elementwise, joined, slope_reach

__all__ = ["AccumulateTrace", "Accumulation", "JacobianTerm", "NotAccumulable", "accumulate_flat"]

Ints = np.ndarray[Any, Any]

MOST_TERMS = 64
"""Terms of one value beyond which coloured sweeps are the better way."""


class Accumulation(NamedTuple):
    """Results, and for each of them the terms of its Jacobian.

    Attributes
    ----------
    ys : list
    terms : list of list of Term
    indices : list of arrays
        The arrays of integers that the columns depend on.
    """

    ys: list[Any]
    terms: list[list[JacobianTerm]]
    indices: list[Ints]


class _Dual:
    __slots__ = ("data", "reach", "terms")

    def __init__(self, data: Any, terms: list[JacobianTerm], reach: Reach | None = None) -> None:
        self.data = data
        self.terms = terms
        self.reach = reach

    @property
    def slopes(self) -> tuple[Any, ...]:
        """The coefficients of the terms."""
        return tuple(t.coefficient for t in self.terms)

    def settle(self) -> None:
        """Put zeros back, while what says where they are is still there."""
        self.terms, self.reach = _settled(self.reach, self.terms, shape_of(self.data)), None


class AccumulateTrace(JvpTrace):
    """Evaluates every operation and carries the terms through it."""

    kinds = (_Dual,)

    def __init__(self, most: int) -> None:
        Trace.__init__(self)
        self.most = most
        self.indices: dict[int, Ints] = {}

    def lift(self, x: Any) -> Tracer:
        """Make a constant into a value of this trace, without terms."""
        return Tracer(self, _Dual(x, []))

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Evaluate one level down, then find the terms of the result."""
        if not self.alive:
            raise self.leaked()
        xs: list[Any] = []
        ts: list[list[JacobianTerm]] = []
        rs: list[Reach | None] = []
        ds: list[Any] = []
        recorder = active_recorder()
        for a in args:
            if type(a) is Tracer:
                a._refresh()
                if a._trace is self:
                    ds.append(a._var)
                    xs.append(a._var.data)
                    ts.append(a._var.terms)
                    rs.append(a._var.reach)
                    continue
            elif type(a) is np.ndarray and recorder is not None and op.derivative is not ZERO:
                a = recorder.constant(a)  # a later change of it is seen
            ds.append(a)
            xs.append(a)
            ts.append([])
            rs.append(None)
        if getattr(op, "custom", False) and any(ts):
            raise NotAccumulable(f"{op.name} has a derivative of its own")
        pythons = False
        if self.numbers:
            xs, pythons = self.beside_numbers(op, ds, xs, attrs)
        y = op(*xs, **attrs)
        if op.derivative is ZERO:
            return compared(op, y) if pythons else y
        if isinstance(y, tuple):
            if any(ts):
                raise NotAccumulable(f"{op.name} has several results")
            return tuple(Tracer(self, _Dual(p, [])) if is_inexact(p) else p for p in y)
        if op is convert and not is_inexact(y):
            return y
        terms: list[JacobianTerm] = []
        reach: Reach | None = None
        if any(ts):
            if dtype_of(y).kind == "c":  # so no value with terms is complex
                raise NotAccumulable("complex numbers")
            with quiet():
                if op.partial or any(rs):
                    terms, reach = self.spread_within(op, y, xs, ts, rs, attrs)
                else:
                    terms = self.spread(op, y, xs, ts, attrs)
            if sum([t.columns.size for t in terms]) > self.most or len(terms) > MOST_TERMS:
                raise NotAccumulable(f"{op.name} of shape {shape_of(y)} depends on too much")
        made = _Dual(y, terms, reach)
        if pythons:
            self.numbers.add(made)
        return Tracer(self, made)

    # --- families of blocks -----------------------------------------------------------------------
    def spread(
        self, op: Op, y: Any, xs: list[Any], ts: list[list[JacobianTerm]], attrs: dict[str, Any]
    ) -> list[JacobianTerm]:
        """Return the terms of a result: those of its arguments, multiplied by local Jacobians."""
        found: list[JacobianTerm] = []
        shape: tuple[int, ...] = ()
        for k, terms in enumerate(ts):
            if not terms:
                continue
            block = op.local_jacobian(k, y, *xs, **attrs)
            shape = block.of.result
            if isinstance(block, Joined):
                return join(ts, [shape_of(x) for x in xs], attrs["axis"])
            if isinstance(block, Written):
                return self._written(block, xs, ts)
            if isinstance(block, Moved):
                index = xs[1:]
                plain = [self._plain(i) for i in index]
                return [move(op, t, shape_of(xs[0]), index, plain, attrs) for t in terms]
            if type(block) is Labelled and block.factor is not None:
                found += self._labelled(block, terms, coefficients(block, y, xs, attrs))
            elif not isinstance(block, Zero):
                raise NotAccumulable(f"{op.name} mixes entries")
        return merge(found, shape)

    def spread_within(
        self,
        op: Op,
        y: Any,
        xs: list[Any],
        ts: list[list[JacobianTerm]],
        rs: list[Reach | None],
        attrs: dict[str, Any],
    ) -> tuple[list[JacobianTerm], Reach | None]:
        """Return the terms of a result, and where they can differ from zero by structure."""
        derivative, shape = op.derivative, shape_of(y)
        active = [k for k, t in enumerate(ts) if t]
        if isinstance(derivative, Scale):
            active = [k for k in active if derivative.rules[k] is not None]
            found = [slope_reach(op, k, rs[k], xs) for k in active]
            found = [
                # not chosen is a coefficient of 0 here, times what was there
                r if r is None or all(is_number(t.coefficient) for t in ts[k]) else r.spoilt()
                for k, r in zip(active, found, strict=True)
            ]
            none: list[JacobianTerm] = []
            parts = [
                self.spread(op, y, xs, [t if i == k else none for i, t in enumerate(ts)], attrs)
                for k in active
            ]
            reach = found[0] if found else None
            if len({r and r.clean() for r in found}) == 1:
                spoilt = [r for r in found if r is not None and r.is_spoilt]
                return merge([t for p in parts for t in p], shape), spoilt[0] if spoilt else reach
            for r in found[1:]:
                reach = joined(reach, r)
            parts = [_settled(r, p, shape) for r, p in zip(found, parts, strict=True)]
            return merge([t for p in parts for t in p], shape), reach
        if is_elementwise(op, y):
            return self.spread(op, y, xs, ts, attrs), rs[0]
        ts = [_settled(r, t, shape_of(x)) for r, t, x in zip(rs, ts, xs, strict=True)]
        before = [r and r.clean() for r in rs]
        made = self.spread(op, y, xs, ts, attrs)
        return made, carried(op, y, xs, [t or None for t in ts], before, attrs)

    def _labelled(self, block: Labelled, terms: list[JacobianTerm], p: Any) -> list[JacobianTerm]:
        """Multiply by coefficients over the labels of the result, and those that are summed."""
        result, operand = block.of.result, block.of.operand
        if block.rows == block.columns == (block.inside or block.rows) or block.is_pointwise:
            return [scale(t, p, result, operand) for t in terms]
        if block.is_sum:
            made = [scale(t, p, operand, operand) for t in terms] if block.inside else terms
            return sum_over(made, operand, block.summed_axes, result)
        inner = block.summed
        every, sizes = inner + block.rows, block.sizes
        full = tuple(sizes[s] for s in every)
        if (
            math.prod(full) * max([t.columns.shape[0] for t in terms if t.rows is None], default=1)
            > self.most
        ):
            raise NotAccumulable(f"{block.of.op.name} of shape {result} depends on too much")
        p = p if is_number(p) else align(p, block.inside, every, 0)
        numbers = np.arange(math.prod(operand)).reshape(operand)
        source = np.broadcast_to(align(numbers, block.columns, every, 0), full)
        found = []
        for t in terms:
            if t.rows is not None:
                found.append(scale(copy_entries(t, source), p, full, full))
                continue
            cols = align(t.columns, block.columns, every, 1)
            c = t.coefficient
            c = c if is_number(c) else align(c, block.columns, every, 1)
            found.append(scale(JacobianTerm(c, cols, t.clean), p, full, full))
        return sum_over(found, full, tuple(range(len(inner))), result)

    def _written(
        self, block: Written, xs: list[Any], ts: list[list[JacobianTerm]]
    ) -> list[JacobianTerm]:
        _, v, *index = xs
        shape, spec = block.of.result, block.spec
        plain = [self._plain(i) for i in index]
        part = getitem(np.broadcast_to(False, shape), *plain, spec=spec).shape
        size = math.prod(shape)
        where = getitem(np.arange(size).reshape(shape), *plain, spec=spec)
        written = np.zeros(size, np.bool_)
        written[np.ravel(where)] = True
        once = int(written.sum()) == where.size
        if not block.adds and not once:
            raise NotAccumulable(f"{block.of.op.name} writes to a place twice")
        found = []
        for t in ts[0]:
            if block.adds:
                found.append(t)
            elif t.rows is not None:
                found.append(keep_entries(t, ~written[t.rows]))
            else:
                cols = np.where(written.reshape(1, *shape), 0, t.columns)
                found.append(JacobianTerm(t.coefficient, cols, clean=False))
        before = shape_of(v)
        before = (1,) * (len(part) - len(before)) + before[max(len(before) - len(part), 0) :]
        for t in ts[1]:
            w = 1 if t.rows is not None else t.columns.shape[0]
            if t.rows is None and once and (w == 1 or math.prod(part) * SPARSE >= size):
                found.append(self._embedded(t, shape, part, before, index, plain, spec))
                continue
            t = as_list(t, shape_of(v))
            if before != part:
                source = np.arange(math.prod(before)).reshape(before)
                t = copy_entries(t, np.broadcast_to(source, part))
            found.append(place(t, where))
        return merge(found, shape)

    @staticmethod
    def _embedded(
        t: JacobianTerm,
        shape: tuple[int, ...],
        part: tuple[int, ...],
        before: tuple[int, ...],
        index: list[Any],
        plain: list[Any],
        spec: tuple[Any, ...],
    ) -> JacobianTerm:
        """Write a term of a part into an empty one of the whole."""
        c, cols, clean, _ = t
        w = cols.shape[0]
        rank = len(before)

        def lined(sizes: tuple[int, ...]) -> tuple[int, ...]:
            return ((1,) * (rank - len(sizes)) + sizes)[max(len(sizes) - rank, 0) :]

        cols = cols.reshape(w, *lined(cols.shape[1:]))
        full = np.broadcast_to(cols, (w, *part))
        batched = (True, True, *(False for _ in index))
        empty = np.zeros((w, *shape), cols.dtype)
        cols = index_set.batch(index_set, (empty, full, *plain), batched, {"spec": spec})
        if not is_number(c):
            c = reshape(c, shape=(shape_of(c)[0], *lined(shape_of(c)[1:])))
            c = whole(c, (w, *part))
            zeros = np.zeros((w, *shape), dtype_of(c))
            c = index_set.batch(index_set, (zeros, c, *index), batched, {"spec": spec})
        return JacobianTerm(c, cols, clean)

    def _plain(self, index: Any) -> Any:
        """Return the integers of an index.

        Raises
        ------
        NotAccumulable
            Where they depend on the arguments.
        """
        if isinstance(index, Traced):
            var = index._var  # type: ignore[attr-defined]
            if type(var) is not Const:
                raise NotAccumulable("an index depends on the arguments")
            index = var.data
        if isinstance(index, np.ndarray):
            self.indices[id(index)] = index
        return index


def _settled(
    r: Reach | None, terms: list[JacobianTerm], shape: tuple[int, ...]
) -> list[JacobianTerm]:
    """Put back zeros where a value of some shape depends on nothing."""
    if r is None or not r.is_spoilt:
        return terms
    made = []
    for t in terms:
        c = t.coefficient
        if not is_number(c):
            c = (r if t.rows is None else r.at(t.rows, shape)).settle(c)
        made.append(t._replace(coefficient=c))
    return made


def accumulate_flat(
    f: Callable[..., list[Any]],
    leaves: Sequence[Any],
    wrt: Sequence[int],
    most: int,
    trace: AccumulateTrace | None = None,
) -> Accumulation:
    """Run ``f(*leaves)`` and accumulate its Jacobian with respect to some of the leaves.

    Parameters
    ----------
    f : callable
        Returns a list of arrays.
    leaves : sequence of arrays
    wrt : sequence of int
        The leaves that the columns stand for, in order.
    most : int
        Entries that the terms of one value may have.
    trace : AccumulateTrace, optional
        One that does more.

    Raises
    ------
    NotAccumulable
        Where an operation is met that this way does not suit.
    """
    trace = trace or AccumulateTrace(most)
    args = list(leaves)
    start = 1
    for i in wrt:
        shape = shape_of(leaves[i])
        if dtype_of(leaves[i]).kind != "f":
            raise NotAccumulable("complex numbers")
        stop = start + math.prod(shape)
        columns = np.arange(start, stop).reshape(1, *shape)
        made = _Dual(kept(plain_number(leaves[i])), [JacobianTerm(1.0, columns)])
        if is_python_number(leaves[i]):
            trace.numbers.add(made)
        args[i] = Tracer(trace, made)
        start = stop
    try:
        outs = refreshed(f(*args))
    except ValueError as error:
        raise cause_of(error) from None
    finally:
        trace.alive = False
    ys, terms = [], []
    for y in outs:
        if isinstance(y, Tracer) and y._trace is trace:
            ys.append(y._var.data)
            terms.append(_settled(y._var.reach, y._var.terms, shape_of(y._var.data)))
        else:
            if isinstance(y, Tracer):
                y._check_alive()
            ys.append(y)
            terms.append([])
    return Accumulation(ys, terms, list(trace.indices.values()))
