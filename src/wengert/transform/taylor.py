"""Taylor mode: each value travels with its derivatives along a curve, or along many at once.

Along ``x(t)`` an operation ``y = op(x)`` has the slope ``y' = push(op, y, x, x')``, which is the
rule of forward mode. That rule is NumPy code, so its own derivatives along the curve follow from it
in the same way: the derivative of order m of ``y`` is that of order m - 1 of the rule, at the
derivatives of ``x`` that are one order higher (Bettencourt, Johnson, Duvenaud, *Taylor-mode
automatic differentiation for higher-order derivatives in JAX*, 2019, have rules for it). A
`Series` finds its derivatives when they are asked for, as McIlroy's streams do (*Power series,
power serious*, 1999), so the rule may read the result that it helps to find. Operations that are
linear, or linear in each of several arguments, need no rule: theirs is the formula of Leibniz.

Of many curves at once, only the sum of the highest derivatives may be wanted, as in a Laplacian.
The highest derivative of an argument enters that of a result linearly, so sums of it are carried
and not the summands (Li et al., *A computational framework for neural network-based variational
Monte Carlo with forward Laplacian*, 2023; Dangel et al., *Collapsing Taylor mode automatic
differentiation*, 2025). That is `TaylorTrace.collapse`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wengert.errors import cause_of
from wengert.ops.base import ZERO, Fold, Jvp, Op, RegionOp, Scale, dtype_of, is_inexact, shape_of
from wengert.ops.convert import convert
from wengert.ops.elementwise import divide
from wengert.ops.loops import scan
from wengert.ops.reduce import expand, reduce_sum
from wengert.trace.alarm import heeding
from wengert.trace.numbers import (
    compared,
    is_number,
    plain_number,
)
from wengert.trace.record import Trace
from wengert.trace.tracer import Tracer, refreshed
from wengert.transform.batch import BatchTrace
from wengert.transform.forward import fit, push
from wengert.transform.jvp import Dual, JvpTrace, kept, settled_data
from wengert.transform.linear import as_recorded, quiet
from wengert.transform.reach import (
    Reach,
    carried,
    given,
    is_elementwise,
    joined,
    settled,
    slope_reach,
)
from wengert.transform.taylor_loops import scanned, summed

__all__ = ["Series", "TaylorTrace", "taylor_flat"]


SCALARS = (int, float, np.float64, np.float32)
"""Constants of rules, which are the same where they are equal."""


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


class TaylorTrace(JvpTrace):
    """Evaluates every operation and carries the derivatives of its results along.

    Parameters
    ----------
    order : int
        How many derivatives.
    batch : BatchTrace, optional
        Of many curves. Derivatives are those of all of them, values of this trace below; the
        highest ones are sums over the curves.
    """

    kinds = (Series,)

    def __init__(self, order: int, batch: BatchTrace | None = None) -> None:
        Trace.__init__(self)
        self.order = order
        self.batch = batch
        self.collapse = None if batch is None else lambda t: summed(t, batch)
        self.depth = 0
        """How many rules are at work, whose operations find derivatives when they are asked."""
        self.known: dict[Any, Any] = {}
        """What rules have computed for one operation of the function. Without it, a chain of
        slopes of slopes is a tree."""

    def lift(self, x: Any) -> Tracer:
        """Make a constant into a value of this trace."""
        return Tracer(self, Series(x))

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Evaluate one level down; then find the derivatives, or arrange for them."""
        if not self.alive:
            raise self.leaked()
        ds: list[Any] = []
        for a in args:
            if type(a) is Tracer:
                if a._view is not None:
                    a._refresh()
                if a._trace is self:
                    ds.append(a._var)
                    continue
            ds.append(a)
        xs = [d.data if type(d) is Series else d for d in ds]
        pythons = False
        if self.numbers:
            xs, pythons = self.beside_numbers(op, ds, xs, attrs)
        key = self._key(op, ds, attrs) if self.depth and not pythons else None
        if key is not None and key in self.known:
            return self._made(*self.known[key][:2])
        moving = [k for k, d in enumerate(ds) if type(d) is Series and d.moves]
        if op is scan and moving and not self.depth:
            return self._scanned(ds, xs, attrs)
        y = op(*xs, **attrs)
        if op.derivative is ZERO and op.along is None:
            return compared(op, y) if pythons else y
        if op is convert and not is_inexact(y):
            return y
        parts = y if isinstance(y, tuple) else (y,)
        made = [Series(p) if is_inexact(p) else None for p in parts]
        if moving:
            rule = _Rule(self, op, y, made, xs, ds, moving, attrs)
            for i, s in enumerate(made):
                if s is not None:
                    s.reach = rule.reach
                    s._more = rule.of(i)
            if not self.depth:
                self.known = {}
                key = self._key(op, ds, attrs)
                if key is not None:
                    self.known[key] = (parts, made, ds)
                for s in made:
                    if s is not None:
                        s.end(self.order)
                self.known = {}
            elif key is not None:
                self.known[key] = (parts, made, ds)
        if pythons:
            self.numbers.update(s for s in made if s is not None)
        return self._made(parts, made)

    def _scanned(self, ds: list[Any], xs: list[Any], attrs: dict[str, Any]) -> Any:
        """Run a loop whose body carries derivatives along."""
        orders = range(1, self.order + 1)
        terms = [[d.term(m) if type(d) is Series else None for m in orders] for d in ds]
        with quiet():
            ys, found = scanned(xs, terms, attrs, self.order, self.batch, _run)
        made = [
            Series(y, _known(ts)) if is_inexact(y) else None
            for y, ts in zip(ys, found, strict=True)
        ]
        for s in made:
            if s is not None:
                s.end(self.order)
        return self._made(ys, made)

    def _made(self, parts: Sequence[Any], made: Sequence[Series | None]) -> Any:
        """Return results as an operation does."""
        found = [p if s is None else Tracer(self, s) for p, s in zip(parts, made, strict=True)]
        return tuple(found) if len(found) > 1 else found[0]

    @staticmethod
    def _key(op: Op, ds: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """Return what an operation and its arguments are known by; None where they are not.

        Arrays are not: a rule of the user's may change one between two operations.
        """
        key: tuple[Any, ...] = (op,)
        for d in ds:
            if type(d) in SCALARS:
                key = (*key, type(d), d, math.copysign(1, d))
            elif type(d) is Series:
                key = (*key, id(d))
            else:
                return None
        try:
            key = (*key, *sorted(attrs.items()))
            hash(key)
        except TypeError:
            return None
        return key


class _Rule:
    """How the derivatives of the results of one operation follow from those of its arguments."""

    def __init__(
        self,
        trace: TaylorTrace,
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


def _run(
    f: Any, primals: Sequence[Any], terms: Any, order: int, batch: BatchTrace | None
) -> tuple[list[Any], list[list[Any]]]:
    """Run the body of a loop in Taylor mode."""
    return taylor_flat(f, primals, terms, TaylorTrace(order, batch), seeds=False)


def _plus(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(q if p is None else p if q is None else p + q for p, q in zip(a, b, strict=True))


def _term_of(trace: TaylorTrace, t: Any, m: int) -> Any:
    """Return a derivative of what may be a value of a trace; that of order 0 is the value."""
    if not (isinstance(t, Tracer) and t._trace is trace):
        return None if m else t
    t._refresh()
    return t._var.term(m) if m else t._var.data


def taylor_flat(
    f: Callable[..., Any],
    primals: Sequence[Any],
    series: Sequence[Sequence[Any]],
    trace: TaylorTrace,
    seeds: bool = True,
) -> tuple[list[Any], list[list[Any]]]:
    """Run ``f(*primals)`` along curves.

    Parameters
    ----------
    f : callable
        Returns a list of arrays.
    primals : sequence of arrays
    series : sequence of sequences
        Of each primal, its derivatives; None is zero.
    trace : TaylorTrace
    seeds : bool
        Whether the derivatives are the user's: a zero in one is meant.

    Returns
    -------
    ys : list of arrays
    terms : list of list
        Of each result, its derivatives; None is zero.
    """
    inputs: list[Any] = []
    for p, ts in zip(primals, series, strict=True):
        if all(t is None for t in ts):
            inputs.append(p)
            continue
        ts = [None if t is None else kept(as_recorded(t, primals)) for t in ts]
        # Where all curves are summed over, something comes of every entry.
        meant = seeds and trace.collapse is None
        reach = _given([t for t in ts if t is not None]) if meant else None
        s = Series(kept(plain_number(p)), _known(ts), reach)
        if is_number(p):
            trace.numbers.add(s)
        s.end(trace.order)
        inputs.append(Tracer(trace, s))
    try:
        with heeding():
            outs = refreshed(f(*inputs))
    except ValueError as error:
        raise cause_of(error) from None
    finally:
        trace.alive = False
    ys: list[Any] = []
    terms: list[list[Any]] = []
    orders = range(1, trace.order + 1)
    for y in outs:
        if isinstance(y, Tracer) and y._trace is trace:
            ys.append(y._var.data)
            terms.append([y._var.term(m) for m in orders])
        else:
            if isinstance(y, Tracer):
                y._check_alive()
            ys.append(y)
            terms.append([None for _ in orders])
    return ys, terms


def _given(ts: Sequence[Any]) -> Reach | None:
    """Return where any of the derivatives given is not zero."""
    reach = given(ts[0])
    for t in ts[1:]:
        reach = joined(reach, given(t))
    return reach


def _known(ts: Sequence[Any]) -> Callable[[int], Any]:
    return lambda m: ts[m - 1] if m <= len(ts) else None
