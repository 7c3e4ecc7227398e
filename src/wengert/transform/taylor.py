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

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import cause_of
from wengert.ops.base import ZERO, Op, is_inexact
from wengert.ops.convert import convert
from wengert.ops.loops import scan
from wengert.trace.alarm import heeding
from wengert.trace.numbers import (
    compared,
    is_number,
    plain_number,
)
from wengert.trace.record import Trace
from wengert.trace.tracer import Tracer, refreshed
from wengert.transform.batch import BatchTrace
from wengert.transform.jvp import JvpTrace, kept
from wengert.transform.linear import as_recorded, quiet
from wengert.transform.reach import (
    Reach,
    given,
    joined,
)
from wengert.transform.taylor_loops import scanned, summed
from wengert.transform.taylor_rule import Rule, Series

__all__ = ["TaylorTrace", "taylor_flat"]

SCALARS = (int, float, np.float64, np.float32)
"""Constants of rules, which are the same where they are equal."""


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
            rule = Rule(self, op, y, made, xs, ds, moving, attrs)
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


def _run(
    f: Any, primals: Sequence[Any], terms: Any, order: int, batch: BatchTrace | None
) -> tuple[list[Any], list[list[Any]]]:
    """Run the body of a loop in Taylor mode."""
    return taylor_flat(f, primals, terms, TaylorTrace(order, batch), seeds=False)


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
