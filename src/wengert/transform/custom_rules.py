"""One call of a function with a derivative given by the user, as an operation with a rule."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wengert.errors import DerivativeError, InputError, LeakedTracerError, ShapeError, user_line
from wengert.ir.graph import Node, Value
from wengert.ops import patterns
from wengert.ops.base import Op, Traced, dtype_of, is_inexact, shape_of
from wengert.ops.convert import convert
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.linear_rule import LinearRule
from wengert.transform.reverse import Cotangents

__all__ = ["CustomOp", "JvpRule", "VjpRule", "check_closed", "conform", "own_rules_only"]


class CustomOp(Op):
    """One call of a function with its own derivative.

    Its evaluation is the function itself. A trace that takes a derivative asks the rule instead:
    ``derivative.begin`` on a tape, ``derivative.evaluate_and_push`` in forward mode. `inline` tells
    recorders of all operations to record what the function does.
    """

    __slots__ = ("custom", "function", "inline")

    def __init__(self, name: str, evaluate: Callable[..., Any], derivative: Any) -> None:
        super().__init__(
            name,
            _closed(name, evaluate),
            infer=_unknown,
            derivative=derivative,
            batch=_batch_custom,
            flops=_unknown,
            pattern=patterns.dense,
            residual=True,
        )
        self.custom = True
        self.inline = True
        self.function = evaluate


def _unknown(*_: Any, **__: Any) -> Any:
    raise DerivativeError("a custom rule has to be evaluated to know its shape")


def _closed(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """Check that a function of flat arrays does not close over values of a trace around it."""

    def evaluate(*args: Any) -> Any:
        out = f(*args)
        check_closed(name, out, args)
        return _one(out)

    return evaluate


def check_closed(name: str, out: Sequence[Any], args: Sequence[Any]) -> None:
    """Refuse results that depend on a traced value which is not among the arguments.

    Raises
    ------
    LeakedTracerError
    """
    level = max((a._trace.level for a in args if isinstance(a, Traced)), default=0)
    if any(isinstance(y, Traced) and y._trace.level > level for y in out):
        raise LeakedTracerError(
            f"{name} depends on a traced value that is not one of its differentiated arguments "
            f"(it closes over it, or gets it through nondiff_argnums), and its custom rule cannot "
            f"know that derivative. Pass it as an ordinary argument." + user_line()
        )


def _one(ys: Sequence[Any]) -> Any:
    """Return a single result alone, as operations do."""
    return ys[0] if len(ys) == 1 else tuple(ys)


# --- batches of calls -----------------------------------------------------------------------------
def _batch_custom(
    op: CustomOp, args: tuple[Any, ...], batched: tuple[bool, ...], _: dict[str, Any]
) -> Any:
    """Batch the function and its rule alike, so that the rule still holds below."""
    n = next(shape_of(a)[0] for a, b in zip(args, batched, strict=True) if b)
    rule = op.derivative.batched(n, batched)  # type: ignore[union-attr]
    return CustomOp(op.name, over_batch(op.evaluate, n, batched), rule)(*args)


def over_batch(
    f: Callable[..., Any], n: int, batched: Sequence[bool]
) -> Callable[..., tuple[Any, ...]]:
    """Apply a function of flat arrays, which returns one or a tuple of them, along a batch."""

    def mapped(*args: Any) -> tuple[Any, ...]:
        trace = BatchTrace(n)
        try:
            inputs = [
                Tracer(trace, Batched(a, True)) if b else a
                for a, b in zip(args, batched, strict=True)
            ]
            out = f(*inputs)
            return tuple(_whole(y, trace, n) for y in (out if isinstance(out, tuple) else (out,)))
        finally:
            trace.alive = False

    return mapped


def _whole(y: Any, trace: BatchTrace, n: int) -> Any:
    """Return a result with the batch as axis 0; None stays, which is a cotangent of zero."""
    if isinstance(y, Tracer):
        y._refresh()
        if y._trace is trace:
            if y._var.batched:
                return y._var.data
            y = y._var.data
    return None if y is None else np.broadcast_to(y, (n, *shape_of(y)))


# --- rules ----------------------------------------------------------------------------------------
Hold = Callable[[Any], Any]
"""Returns an array that still has its present content in the backward pass, or raises there."""


class JvpRule:
    """A user's tangent rule. It is transposed for reverse mode, so it must be linear in tangents.

    Parameters
    ----------
    name : str
    rule : callable
        ``rule(xs, ts) -> (ys, tangents)``, flat.
    """

    def __init__(self, name: str, rule: Callable[..., Any]) -> None:
        self.name = name
        self.rule = rule
        self.saved: tuple[list[int], LinearRule] | None = None

    def begin(self, op: CustomOp, xs: list[Any], hold: Hold) -> Any:
        """Return the values for a tape, and keep the linear map that its walks apply.

        The rule runs now: what it reads from elsewhere may have changed by the time of the walk.
        """
        # A call of its own, because the tapes further down keep a linear map of theirs.
        y = CustomOp(self.name, op.function, JvpRule(self.name, self.rule))(*xs)
        places = [k for k, x in enumerate(xs) if is_inexact(x)]

        def linear(*some: Any) -> Any:
            ts: list[Any] = [None] * len(xs)
            for k, t in zip(places, some, strict=True):
                ts[k] = t
            return self._tangents(y, xs, _filled(xs, ts))

        self.saved = places, LinearRule(self.name, linear, [xs[k] for k in places], hold)
        return y

    def evaluate_and_push(self, op: Op, xs: list[Any], ts: list[Any]) -> tuple[Any, Any]:
        """Return values and tangents."""
        ts = _filled(xs, ts)
        ys, tangents = self.rule(xs, ts)
        check_closed(self.name, (*ys, *tangents), (*xs, *ts))
        return _one(ys), _one(tangents)

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Return the tangents only."""
        if self.saved is None or self.saved[1].error is not None:
            return _one(self._tangents(y, xs, _filled(xs, ts)))
        places, linear = self.saved
        return _one(linear.push([ts[k] for k in places]))

    def pull(self, node: Node, ct: Any, y: Any, xs: list[Any], cts: Cotangents) -> None:
        """Transpose the rule."""
        if self.saved is None:
            self.begin(node.op, xs, _as_it_is)
        assert self.saved is not None
        places, linear = self.saved
        wanted = [isinstance(node.inputs[k], Value) for k in places]
        found = linear.pull(ct if isinstance(ct, tuple) else (ct,), wanted)
        for k, part, asked in zip(places, found, wanted, strict=True):
            if part is not None and asked:
                cts.add(node.inputs[k], part)

    def _tangents(self, y: Any, xs: Sequence[Any], ts: Sequence[Any]) -> tuple[Any, ...]:
        """Run the rule, whose results must be of the shapes of the function's."""
        ys, tangents = self.rule(xs, ts)
        got = [shape_of(p) for p in ys]
        want = [shape_of(p) for p in (y if isinstance(y, tuple) else (y,))]
        if got != want:
            raise ShapeError(
                f"the rule of {self.name} returned a result of shape "
                f"{', '.join(map(str, got))}, where the function returns one of shape "
                f"{', '.join(map(str, want))}" + user_line()
            )
        return tuple(tangents)

    def forget(self) -> None:
        """Let the linear map go; it is made again where it is needed."""
        self.saved = None

    def held(self) -> list[Any]:
        """Return nothing: what was kept follows from the arguments."""
        return []

    def batched(self, n: int, batched: Sequence[bool]) -> JvpRule:
        """Return the rule for a batch."""

        def rule(xs: Sequence[Any], ts: Sequence[Any]) -> tuple[Any, Any]:
            k = len(xs)

            def flat(*both: Any) -> tuple[Any, ...]:
                ys, tangents = self.rule(list(both[:k]), list(both[k:]))
                return (*ys, *tangents)

            out = over_batch(flat, n, [*batched, *batched])(*xs, *ts)
            return out[: len(out) // 2], out[len(out) // 2 :]

        return JvpRule(self.name, rule)


def _as_it_is(x: Any) -> Any:
    return x


def _filled(xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    """Replace None by zeros."""
    return [
        np.zeros(shape_of(x), dtype_of(x)) if t is None else t for x, t in zip(xs, ts, strict=True)
    ]


class _Strict(threading.local):
    on = False


_STRICT = _Strict()


@contextlib.contextmanager
def own_rules_only() -> Iterator[None]:
    """Refuse forward mode through pullbacks meanwhile, which says nothing new of them."""
    before, _STRICT.on = _STRICT.on, True
    try:
        yield
    finally:
        _STRICT.on = before


class VjpRule:
    """A user's pair of a forward function that saves residuals and a backward function.

    A derivative of a derivative goes through what the two functions compute. Forward mode through
    the function itself is the transpose of the backward function, where that is linear.

    Parameters
    ----------
    name : str
    fwd : callable
        ``fwd(*xs) -> (ys, residuals)``, flat tuples.
    bwd : callable
        ``bwd(residuals, cts) -> cotangents``, flat; None is zero.
    fixed : list
        The other arguments of the backward function.
    """

    def __init__(
        self, name: str, fwd: Callable[..., Any], bwd: Callable[..., Any], fixed: list[Any]
    ) -> None:
        self.name = name
        self.fwd = fwd
        self.bwd = bwd
        self.fixed = fixed
        self.saved: tuple[Any, ...] | None = None
        self.seen: dict[int, Any] = {}

    def begin(self, op: CustomOp, xs: list[Any], hold: Hold) -> Any:
        """Return the values for a tape: run the forward function, and keep its residuals."""
        ys, residuals = self.fwd(*xs)
        check_closed(self.name, ys, xs)
        self.saved = tuple(hold(r) if isinstance(r, np.ndarray) else r for r in residuals)
        self.seen = {k: x.copy() for k, x in enumerate(self.fixed) if isinstance(x, np.ndarray)}
        return _one(ys)

    def forget(self) -> None:
        """Let the residuals go; they are computed again where they are needed."""
        self.saved = None

    def held(self) -> list[Any]:
        """Return the residuals that are kept."""
        return list(self.saved or ())

    def residuals(self, xs: list[Any]) -> Any:
        """Return the residuals at `xs`: those kept, or new ones."""
        return self.fwd(*xs)[1] if self.saved is None else self.saved

    def evaluate_and_push(self, op: Op, xs: list[Any], ts: list[Any]) -> tuple[Any, Any]:
        """Return values and tangents."""
        ys, residuals = self.fwd(*xs)
        check_closed(self.name, ys, xs)
        return _one(ys), self._pushed(ys, residuals, xs, ts)

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Return the tangents only."""
        return self._pushed(y if isinstance(y, tuple) else (y,), self.residuals(xs), xs, ts)

    def _pushed(self, ys: Any, residuals: Any, xs: list[Any], ts: list[Any]) -> Any:
        """Transpose the backward function, which maps cotangents of results to those of arguments.

        Raises
        ------
        DerivativeError
            Where it is not linear, as it may be: a pullback that clips says nothing of tangents.
        """
        if _STRICT.on:
            raise DerivativeError(f"{self.name} has no rule of its own for forward mode")
        wanted = [k for k, x in enumerate(xs) if is_inexact(x) and ts[k] is not None]
        places = [k for k, y in enumerate(ys) if is_inexact(y)]

        def linear(*some: Any) -> Any:
            cts: list[Any] = [np.zeros(shape_of(y), dtype_of(y)) for y in ys]
            for k, ct in zip(places, some, strict=True):
                cts[k] = ct
            parts = list(self._cotangents(residuals, cts, xs))
            return tuple(parts[k] for k in wanted)

        rule = LinearRule(self.name, linear, [ys[k] for k in places], _as_it_is)
        if rule.error is not None:
            raise DerivativeError(
                f"{self.name} has a custom vjp only, so it cannot be differentiated in forward "
                f"mode: its backward function is not linear in the cotangent, so it has no "
                f"transpose ({str(rule.error).splitlines()[0]}). Use reverse mode (wg.grad, "
                f"wg.vjp, wg.jacrev), or give its rule with wg.custom_jvp, which serves "
                f"both." + user_line()
            )
        found: list[Any] = [None] * len(ys)
        pulled = rule.pull([ts[k] for k in wanted], [True] * len(places))
        for k, part in zip(places, pulled, strict=True):
            found[k] = part
        return _one([
            np.zeros(shape_of(y), dtype_of(y)) if t is None else t
            for t, y in zip(found, ys, strict=True)
        ])  # fmt: skip

    def _cotangents(self, residuals: Any, cts: Sequence[Any], xs: Sequence[Any]) -> list[Any]:
        """Run the backward function; check and fit what it returns."""
        who = f"the backward function of {self.name}"
        return [
            conform(part, x, who, "cotangent", "argument")
            if part is not None and is_inexact(x)
            else None
            for x, part in zip(xs, self.bwd(residuals, cts), strict=True)
        ]

    def pull(self, node: Node, ct: Any, y: Any, xs: list[Any], cts: Cotangents) -> None:
        """Run the backward function, with the other arguments as the forward function saw them."""
        for k, before in self.seen.items():
            if self.fixed[k].tobytes() != before.tobytes():
                self.fixed[k] = before
        seeds = ct if isinstance(ct, tuple) else (ct,)
        found = self._cotangents(self.residuals(xs), seeds, xs)
        for v, part in zip(node.inputs, found, strict=True):
            if part is not None and isinstance(v, Value):
                cts.add(v, part)

    def batched(self, n: int, batched: Sequence[bool]) -> VjpRule:
        """Return the rule for a batch; cotangents of shared arguments are summed over it."""
        sizes: list[int] = []

        def fwd(*xs: Any) -> tuple[Any, Any]:
            def flat(*args: Any) -> tuple[Any, ...]:
                ys, residuals = self.fwd(*args)
                sizes[:] = [len(ys)]
                return (*ys, *residuals)

            out = over_batch(flat, n, batched)(*xs)
            return out[: sizes[0]], out[sizes[0] :]

        def bwd(residuals: Any, cts: Any) -> list[Any]:
            k = len(residuals)

            def flat(*args: Any) -> tuple[Any, ...]:
                return tuple(self.bwd(args[:k], args[k:]))

            out = over_batch(flat, n, [True] * (k + len(cts)))(*residuals, *cts)
            return [
                part if b or part is None else np.sum(part, axis=0)
                for part, b in zip(out, batched, strict=True)
            ]

        return VjpRule(self.name, fwd, bwd, self.fixed)


def conform(part: Any, like: Any, who: str, what: str, whose: str) -> Any:
    """Check the shape of what a user's rule returned, and give it the dtype."""
    if shape_of(part) != shape_of(like):
        raise ShapeError(
            f"{who} returned a {what} of shape {shape_of(part)} for {_an(whose)} of shape "
            f"{shape_of(like)}" + user_line()
        )
    dtype, got = dtype_of(like), dtype_of(part)
    if got == dtype or dtype.kind not in "fc":
        return part
    if got.kind not in "fciub" or (got.kind == "c" and dtype.kind == "f"):
        raise InputError(
            f"{who} returned a {what} of dtype {got} for {_an(whose)} of dtype {dtype}"
            + user_line()
        )
    return convert(part, dtype=dtype)


def _an(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
