"""Series, and how the derivatives of the results of one operation follow from its arguments'.

`wengert.transform.taylor` explains the method.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wengert.ops.base import Fold, Jvp, Op, RegionOp, Scale, dtype_of, shape_of
from wengert.ops.elementwise import divide
from wengert.ops.reduce import expand, reduce_sum
from wengert.trace.tracer import Tracer
from wengert.transform.forward import fit, push
from wengert.transform.jvp import Dual, JvpTrace, settled_data
from wengert.transform.linear import quiet
from wengert.transform.reach import (
    Reach,
    carried,
    is_elementwise,
    joined,
    settled,
    slope_reach,
)

__all__ = ["Rule", "Series"]


class Series:
    """A value (`data`) and its derivatives along a curve; those of a constant are zero.

    Parameters
    ----------
    data : array
    more : callable, optional
        ``more(m)`` returns the derivative of order m, None for zero, when those below are known.
    reach : Reach, optional
        Where the derivatives can differ from zero by structure. They have their zeros.
    """

    __slots__ = ("_more", "_shifted", "_terms", "data", "reach")

    def __init__(
        self, data: Any, more: Callable[[int], Any] | None = None, reach: Reach | None = None
    ) -> None:
        self.data = data
        self.reach = reach
        self._more = more
        self._terms: list[Any] = []
        self._shifted: Series | None = None

    @property
    def moves(self) -> bool:
        """Whether it is no constant."""
        return self._more is not None

    @property
    def slopes(self) -> tuple[Any, ...]:
        """What travels with the value."""
        return tuple(self._terms)

    def settle(self) -> None:
        """Put zeros back: they are there."""

    def term(self, m: int) -> Any:
        """Return the derivative of order m, which is 1 at least; None is zero."""
        if self._more is None:
            return None
        while len(self._terms) < m:
            self._terms.append(self._more(len(self._terms) + 1))
        return self._terms[m - 1]

    def shifted(self) -> Series:
        """Return the first derivative with its own derivatives, the same one each time."""
        if self._shifted is None:
            first = self.term(1)
            if first is None:
                first = np.zeros(shape_of(self.data), dtype_of(self.data))[()]
            self._shifted = Series(first, lambda m: self.term(m + 1), self.reach)
        return self._shifted

    def end(self, order: int) -> None:
        """Find the derivatives up to an order, and let go what finds them."""
        self.term(order)
        if all(t is None for t in self._terms):
            self._more = None
        elif self._more is not None:
            self._more = _none


def _none(_: int) -> Any:
    return None


class Rule:
    """How the derivatives of the results of one operation follow from those of its arguments."""

    def __init__(
        self,
        trace: Any,
        op: Op,
        y: Any,
        made: list[Series | None],
        xs: list[Any],
        ds: list[Any],
        moving: list[int],
        attrs: dict[str, Any],
    ) -> None:
        if op.along is not None and 0 in moving and not trace.depth and trace.collapse is None:
            # As forward mode does: what is not determined is turned to the direction.
            t = ds[0].term(1)
            if t is not None:
                op, xs, ds = op.along, [xs[0], t, *y], [ds[0], t, *y]
                y, moving = op(*xs, **attrs), [0]
                for s, p in zip(made, y, strict=True):
                    if s is not None:
                        s.data = p
        self.trace, self.op, self.y, self.made = trace, op, y, made
        self.xs, self.ds, self.moving, self.attrs = xs, ds, moving, attrs
        self.several = isinstance(y, tuple)
        self.collapse = None if trace.depth else trace.collapse
        self.found: list[tuple[Any, ...]] = []
        self.slopes: list[Any] | None = None
        rs = [d.reach if type(d) is Series else None for d in ds]
        self.follow = op.partial or any(rs)
        self.each = is_elementwise(op, y)
        self.reach: Reach | None = None
        self.spoils: list[Reach | None] = rs
        if self.follow:
            self._follow(rs)
        linear, joint = op.linear_in(len(xs))
        self.linear = all(linear[k] for k in moving) and type(op) is not RegionOp
        self.joint = joint or len(moving) == 1

    def of(self, i: int) -> Callable[[int], Any]:
        """Return the function that finds the derivatives of result `i`."""
        return lambda m: self.term(m)[i]

    def term(self, m: int) -> tuple[Any, ...]:
        """Return the derivatives of order m of all results."""
        while len(self.found) < m:
            trace = self.trace
            trace.depth += 1
            try:
                with quiet():
                    self.found.append(self._term(len(self.found) + 1))
            finally:
                trace.depth -= 1
        return self.found[m - 1]

    def _term(self, m: int) -> tuple[Any, ...]:
        if not self.several and 0 in shape_of(self.y):
            return (None,)
        top = self.collapse is not None and m == self.trace.order
        if self.linear and self.joint:
            return self._pushed(m)
        if not top:
            if self.op is divide and m > 2:
                return (self._quotient(m),)
            return self._leibniz(m, m) if self.linear else self._of_slopes(m)
        assert self.collapse is not None
        if self.linear:
            rest = self._leibniz(m, m - 1)
        elif m == 2 and self._is_scale():
            return _plus(self._pushed(m), (self._curvature(),))
        else:
            rest = self._of_slopes(m)
        return _plus(self._pushed(m), tuple(None if t is None else self.collapse(t) for t in rest))

    # --- reaches ----------------------------------------------------------------------------------
    def _follow(self, rs: list[Reach | None]) -> None:
        """Find where the results' derivatives can differ from zero, and which slopes spoil that."""
        op, y = self.op, self.y
        self.xs = settled_data(op, self.xs)
        if self.each:
            read: list[int] = self.moving
            if isinstance(op.derivative, Scale | Jvp):
                read = [k for k in read if op.derivative.rules[k] is not None]
                found = {k: slope_reach(op, k, rs[k], self.xs) for k in read}
            else:
                moves = len(self.ds) > 1 and 1 in self.moving
                found = {k: slope_reach(op, 0, rs[0], self.xs, moves) for k in read}
            for n, k in enumerate(read):
                r = found[k]
                self.reach = joined(self.reach, r) if n else None if r is None else r.clean()
                if r is not None and not r.is_spoilt and (not r.faint or op.steep is not False):
                    r = r.spoilt()
                self.spoils[k] = r
            return
        moving = [1 if k in self.moving else None for k in range(len(self.ds))]
        self.reach = carried(op, y, self.xs, moving, rs, self.attrs)

    def _settle(self, k: int, t: Any) -> Any:
        return t if not (self.follow and self.each) or t is None else settled(self.spoils[k], t)

    # --- what one argument's derivatives give ---------------------------------------------------
    def _pushed(self, m: int) -> tuple[Any, ...]:
        """Return what the derivatives of order m of the arguments give, which is linear in them."""
        ts = [self.ds[k].term(m) if k in self.moving else None for k in range(len(self.ds))]
        if not (self.follow and self.each) or len(self.moving) == 1:
            k = self.moving[0]
            return tuple(self._settle(k, t) for t in self._at(ts))
        total: tuple[Any, ...] = (None,)
        for k in self.moving:
            alone = [t if i == k else None for i, t in enumerate(ts)]
            total = _plus(total, tuple(self._settle(k, t) for t in self._at(alone)))
        return total

    def _at(self, ts: list[Any]) -> tuple[Any, ...]:
        if all(t is None for t in ts):
            return (None,) * len(self.made)
        if isinstance(self.op.derivative, Fold) and self.follow:
            return (self._folded(self.y, self.xs, ts),)
        found = self._push(self.y, self.xs, ts)
        if found is None:
            return (None,) * len(self.made)
        return found if self.several else (found,)

    def _push(self, y: Any, xs: list[Any], ts: list[Any]) -> Any:
        """Return what forward mode makes of slopes, as `wengert.transform.forward.push` does."""
        if getattr(self.op, "custom", False):
            # What a tape below keeps of the call is a constant here, so the rule runs anew.
            return self.op.derivative.evaluate_and_push(self.op, xs, ts)[1]  # type: ignore[union-attr]
        return push(self.op, y, xs, ts, self.attrs)

    def _folded(self, y: Any, xs: list[Any], ts: list[Any]) -> Any:
        """Push through a reduction, whose slopes may not be numbers where there is nothing."""
        axis, keepdims, r = self.attrs["axis"], self.attrs["keepdims"], self.spoils[0]
        derivative: Any = self.op.derivative
        scaled = derivative.rule(ts[0], expand(y, xs[0], axis), xs[0], **self.attrs)
        if r is not None and not r.faint and not self.op.partial:
            scaled = self.trace_settled(scaled, r.spoilt())
        return fit(reduce_sum(scaled, axis=axis, keepdims=keepdims), y)

    def trace_settled(self, t: Any, r: Reach) -> Any:
        """Put back zeros in a value and in all of its derivatives."""
        if not (isinstance(t, Tracer) and t._trace is self.trace):
            return r.settle(t)
        t._refresh()
        s = t._var
        more = None if not s.moves else lambda m: settled(r, s.term(m))
        return Tracer(self.trace, Series(r.settle(s.data), more, s.reach))

    # --- linear in each argument ------------------------------------------------------------------
    def _leibniz(self, m: int, most: int) -> tuple[Any, ...]:
        """Return the sum of products of derivatives whose orders, up to `most`, add up to m."""
        total: tuple[Any, ...] = (None,) * len(self.made)
        for orders in _shares(m, len(self.moving), most):
            args = list(self.xs)
            for k, j in zip(self.moving, orders, strict=True):
                args[k] = self.ds[k].term(j) if j else self.xs[k]
            if any(a is None for a in args):
                continue
            part = self.op(*args, **self.attrs)
            count = math.factorial(m) // math.prod(map(math.factorial, orders))
            found = part if self.several else (part,)
            if count != 1:
                found = tuple(count * t for t in found)
            found = tuple(fit(t, y) for t, y in zip(found, self._parts(), strict=True))
            for k, j in zip(self.moving, orders, strict=True):
                if j:
                    found = tuple(self._settle(k, t) for t in found)
            total = _plus(total, found)
        return total

    def _parts(self) -> Sequence[Any]:
        return self.y if self.several else (self.y,)

    def _quotient(self, m: int) -> Any:
        """Return that of order m of y = a / b, from Leibniz's formula for y b = a.

        The slopes of quotients are quotients of slopes, without end.
        """
        a, b = self.ds
        bottom, y = self.xs[1], self.made[0]
        assert y is not None
        first = a.term(m) if 0 in self.moving else None
        total = None if first is None else self._settle(0, first / bottom)
        for j in range(m) if 1 in self.moving else ():
            t, s = b.term(m - j), y.term(j) if j else y.data
            if t is None or s is None:
                continue
            part = self._settle(1, (-math.comb(m, j) * s) * (t / bottom))
            total = part if total is None else total + part
        return None if total is None else fit(total, self.y)

    # --- any operation ----------------------------------------------------------------------------
    def _of_slopes(self, m: int) -> tuple[Any, ...]:
        """Return the derivative of order m - 1 of the slopes along the curves."""
        if self.slopes is None:
            self.slopes = self._slopes()
        total: tuple[Any, ...] = (None,) * len(self.made)
        for k, parts in self.slopes:
            found = tuple(_term_of(self.trace, t, m - 1) for t in parts)
            if k is not None:
                found = tuple(self._settle(k, t) for t in found)
            total = _plus(total, found)
        return total

    def _slopes(self) -> list[Any]:
        """Return the results of the rule at values of this trace: of each argument, or of all."""
        trace = self.trace
        xs = [
            (Tracer(trace, d if x is d.data else Series(x, d.term, d.reach)))
            if k in self.moving
            else x
            for k, (x, d) in enumerate(zip(self.xs, self.ds, strict=True))
        ]
        ts = [self._shifted(k) if k in self.moving else None for k in range(len(xs))]
        ys = [
            p if s is None else Tracer(trace, s)
            for p, s in zip(self._parts(), self.made, strict=True)
        ]
        y = tuple(ys) if self.several else ys[0]
        if not (self.follow and self.each) or len(self.moving) == 1:
            groups = [(self.moving[0] if self.each else None, ts)]
        else:
            groups = [(k, [t if i == k else None for i, t in enumerate(ts)]) for k in self.moving]
        found = []
        for k, some in groups:
            if all(t is None for t in some):
                continue
            slope: Any
            if isinstance(self.op.derivative, Fold) and self.follow:
                slope = self._folded(y, xs, some)
            else:
                slope = self._push(y, xs, some)
            if slope is not None:
                found.append((k, slope if self.several else (slope,)))
        return found

    def _shifted(self, k: int) -> Any:
        """Return an argument's first derivative with its own, without one that is a sum."""
        s = self.ds[k].shifted()
        if self.collapse is not None:
            last, d = self.trace.order, self.ds[k]
            s = Series(s.data, lambda m: None if m + 1 == last else d.term(m + 1), d.reach)
        return Tracer(self.trace, s)

    # --- elementwise, of all curves ---------------------------------------------------------------
    def _is_scale(self) -> bool:
        """Whether second derivatives are numbers for each entry, the same for all curves."""
        return isinstance(self.op.derivative, Scale) and all(
            dtype_of(x).kind == "f" for x in (self.y, *(self.xs[k] for k in self.moving))
        )

    def _curvature(self) -> Any:
        """Return second partial derivatives times sums of products of slopes over all curves."""
        assert self.collapse is not None
        derivative: Any = self.op.derivative
        rules, xs, y = derivative.rules, self.xs, self.y
        active = [k for k in self.moving if callable(rules[k]) and self.ds[k].term(1) is not None]
        moving = [k for k in self.moving if rules[k] is not None]
        total: Any = None
        for j in moving:
            if self.ds[j].term(1) is None:
                continue
            trace = JvpTrace()
            slope = rules[j](1.0, y, *xs, **self.attrs) if callable(rules[j]) else float(rules[j])
            own = list(xs)
            own[j] = Tracer(trace, Dual(xs[j], 1.0))
            result = Tracer(trace, Dual(y, fit(slope, y)))
            for i in active:
                if i > j and j in active:
                    continue  # found from the other side
                made = rules[i](1.0, result, *own, **self.attrs)
                if not (isinstance(made, Tracer) and made._trace is trace):
                    continue
                made._refresh()
                second = made._var.tangent
                if second is None:
                    continue
                product = self.collapse(self.ds[i].term(1) * self.ds[j].term(1))
                part = second * product
                if i != j and j in active:
                    part = 2 * part
                part = fit(part, y)
                for k in {i, j}:
                    part = self._settle(k, part)
                total = part if total is None else total + part
            trace.alive = False
        return total


def _shares(m: int, n: int, most: int) -> Iterator[tuple[int, ...]]:
    """Return the tuples of n numbers from 0 to `most` that add up to m."""
    for shares in itertools.product(range(most + 1), repeat=n - 1):
        if 0 <= m - sum(shares) <= most:
            yield (*shares, m - sum(shares))


def _plus(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(q if p is None else p if q is None else p + q for p, q in zip(a, b, strict=True))


def _term_of(trace: Any, t: Any, m: int) -> Any:
    """Return a derivative of what may be a value of a trace; that of order 0 is the value."""
    if not (isinstance(t, Tracer) and t._trace is trace):
        return None if m else t
    t._refresh()
    return t._var.term(m) if m else t._var.data
