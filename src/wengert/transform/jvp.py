"""Forward mode: each value travels with its tangent."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import cause_of
from wengert.ops.base import ZERO, Op, RegionOp, is_inexact
from wengert.ops.control import as_number
from wengert.ops.convert import convert
from wengert.trace.alarm import heeding
from wengert.trace.capture import Arguments
from wengert.trace.numbers import (
    beside_arrays,
    check_operands,
    compared,
    is_number,
    plain_number,
    roles,
)
from wengert.trace.record import Trace
from wengert.trace.recorder import active_recorder
from wengert.trace.refused import number_refused
from wengert.trace.tracer import OPERATOR, Tracer, frozen, refreshed
from wengert.transform.forward import push, push_within
from wengert.transform.linear import as_recorded, quiet
from wengert.transform.reach import Reach, given, is_zero, settled

__all__ = ["JvpTrace", "jvp_flat"]


class Dual:
    """A primal (`data`), its tangent, None for zero, and the tangent's reach."""

    __slots__ = ("data", "reach", "tangent")

    def __init__(self, data: Any, tangent: Any, reach: Reach | None = None) -> None:
        self.data = data
        self.tangent = tangent
        self.reach = reach

    @property
    def slopes(self) -> tuple[Any, ...]:
        """What travels with the value."""
        return (self.tangent,)

    def settle(self) -> None:
        """Put zeros back, while what says where they are is still there."""
        self.tangent, self.reach = settled(self.reach, self.tangent), None


class JvpTrace(Trace):
    """Evaluates every operation and pushes the tangents through it."""

    kinds: tuple[type, ...] = (Dual,)
    differentiates = True

    def lift(self, x: Any) -> Tracer:
        """Make a constant into a value of this trace, with tangent zero."""
        return Tracer(self, Dual(x, None))

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Evaluate one level down, then push."""
        if not self.alive:
            raise self.leaked()
        xs: list[Any] = []
        ts: list[Any] = []
        ds: list[Any] = []
        moves, follow = False, op.partial
        for a in args:
            if type(a) is Tracer:
                if a._view is not None:
                    a._refresh()
                if a._trace is self:
                    a = a._var
                    xs.append(a.data)
                    t = a.tangent
                    ts.append(t)
                    ds.append(a)
                    moves = moves or t is not None
                    follow = follow or a.reach is not None
                    continue
            xs.append(a)
            ts.append(None)
            ds.append(a)
        pythons = False
        if self.numbers:
            xs, pythons = self.beside_numbers(op, ds, xs, attrs)
        derivative = op.derivative
        r = None
        if follow and (op.along is not None or type(op) is not Op):
            ts = [
                settled(d.reach, t) if type(d) is Dual else t for d, t in zip(ds, ts, strict=True)
            ]
            follow = False
        if moves and getattr(op, "custom", False):
            y, t = derivative.evaluate_and_push(op, xs, ts)  # type: ignore[union-attr]
        elif moves and type(op) is RegionOp:
            with quiet():
                ys, t = derivative.push(xs, ts, attrs)  # type: ignore[call-arg, union-attr]
            y, t = (tuple(ys), tuple(t)) if len(ys) > 1 else (ys[0], t[0])
        else:
            y = op(*xs, **attrs)
            if op.along is not None and ts[0] is not None:
                op, xs, ts = op.along, [xs[0], ts[0], *y], [ts[0], *(None for _ in (0, *y))]
                y = op(*xs, **attrs)
            if derivative is ZERO:
                return compared(op, y) if pythons else y
            t = None
            if moves:
                with quiet():
                    if follow:
                        rs = [d.reach if type(d) is Dual else None for d in ds]
                        t, r = push_within(op, y, settled_data(op, xs), ts, rs, attrs)
                    else:
                        t = push(op, y, xs, ts, attrs)
        if isinstance(y, tuple):
            t = t if t is not None else (None,) * len(y)
            return tuple(
                Tracer(self, Dual(p, q)) if is_inexact(p) else p for p, q in zip(y, t, strict=True)
            )
        if op is convert and not is_inexact(y):
            return y
        made = Dual(y, t, r)
        if pythons:
            self.numbers.add(made)
        return Tracer(self, made)

    def beside_numbers(
        self, op: Op, ds: list[Any], xs: list[Any], attrs: dict[str, Any]
    ) -> tuple[list[Any], bool]:
        """Look at operands of which some may be differentiated Python numbers.

        Parameters
        ----------
        op : Op
        ds, xs : list
            The operands, as this trace's values and as primals.
        attrs : dict

        Returns
        -------
        xs : list
            The primals; numbers beside arrays leave the dtype of the result to these.
        pythons : bool
            Whether this is Python's operator on Python numbers, whose result is one too.

        Raises
        ------
        ZeroDivisionError, OverflowError
            Where a handler of the user's waits for what Python's operator raises.
        """
        numeric, other = roles(self, ds)
        if numeric and other:
            seen = beside_arrays(self, op, ds, as_number_of)
            xs = [s if s is not d else x for s, d, x in zip(seen, ds, xs, strict=True)]
        pythons = not other and attrs is OPERATOR
        if pythons:
            check_operands(op, xs)
        return xs, pythons

    def concrete(self, var: Any, kind: str) -> Any:
        """Return the plain value, unless a derivative would be lost."""
        if kind in ("float", "complex", "item") and any(t is not None for t in var.slopes):
            raise number_refused("tangent")
        return var.data._plain(kind) if isinstance(var.data, Tracer) else var.data


def as_number_of(_: JvpTrace, var: Dual) -> Any:
    """Return a primal as a Python number, which leaves the dtype of a result to arrays."""
    return as_number(var.data)


def settled_data(op: Op, xs: list[Any]) -> list[Any]:
    """Return arguments as they are now, of which masks are made when somebody asks for them.

    The user may change a plain array in place by then, and a compiled function reads it again.
    """
    if not op.partial:
        return xs
    recorder = active_recorder()
    return [
        kept(x)
        if type(x) is not np.ndarray or x.dtype.kind not in "biu"
        else x.copy()
        if recorder is None
        else recorder.constant(x)
        for x in xs
    ]


def kept(x: Any) -> Any:
    """Return `x`, or a handle that later updates in place of a traced `x` do not move."""
    return frozen(x) if type(x) is Tracer else x


def jvp_flat(
    f: Any, primals: list[Any], tangents: list[Any], seeds: bool = True
) -> tuple[list[Any], list[Any], JvpTrace]:
    """Run ``f(*primals)``; return flat results, their tangents (None for zero), and the trace.

    `seeds` says that the tangents are the user's: a zero in one is meant, whatever the slope.
    """
    trace = JvpTrace()
    untouched = Arguments(primals)
    duals: list[Any] = []
    for p, t in zip(primals, tangents, strict=True):
        if is_zero(t):
            duals.append(p)
            continue
        t = kept(as_recorded(t, primals))
        dual = Dual(kept(plain_number(p)), t, given(t) if seeds else None)
        if is_number(p):
            trace.numbers.add(dual)
        duals.append(Tracer(trace, dual))
    try:
        with heeding():
            outs = refreshed(f(*duals))
        untouched.verify()
    except ValueError as error:
        raise cause_of(error) from None
    finally:
        trace.alive = False
    ys, ts = [], []
    for y in outs:
        if isinstance(y, Tracer) and y._trace is trace:
            ys.append(y._var.data)
            ts.append(settled(y._var.reach, y._var.tangent))
        else:
            if isinstance(y, Tracer):
                y._check_alive()
            ys.append(y)
            ts.append(None)
    return ys, ts, trace
