"""Functions with a derivative given by the user.

A call becomes one operation whose evaluation is the function and whose derivative is the user's
rule, so every trace treats it as it treats a row of the table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from wengert import trees
from wengert.errors import DerivativeError, InputError, LeakedTracerError, ShapeError, user_line
from wengert.ir.graph import Node, Value
from wengert.ops import patterns
from wengert.ops.base import Op, Traced, dtype_of, is_inexact, shape_of
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.pull import Cotangents, transpose_rule

__all__ = ["custom_jvp", "custom_vjp"]

P = ParamSpec("P")
R = TypeVar("R")


class CustomOp(Op):
    """One call of a function with its own derivative. `inline` tells recorders of all operations to
    record what the function does instead.
    """

    __slots__ = ("custom", "inline")

    def __init__(self, name: str, evaluate: Callable[..., Any], derivative: Any) -> None:
        super().__init__(
            name,
            evaluate,
            infer=_unknown,
            derivative=derivative,
            batch=_batch_custom,
            flops=_unknown,
            pattern=patterns.dense,
            residual=True,
        )
        self.custom = True
        self.inline = True


def _unknown(*_: Any, **__: Any) -> Any:
    raise DerivativeError("a custom rule has to be evaluated to know its shape")


def _batch_custom(op: CustomOp, args: tuple[Any, ...], batched: tuple[bool, ...], attrs: dict[str, Any]) -> Any:
    """Batch the function and its rule alike, so that the rule still holds below."""
    n = next(shape_of(a)[0] for a, b in zip(args, batched, strict=True) if b)
    new = CustomOp(op.name, over_batch(op.evaluate, n, batched), op.derivative.batched(n, batched))
    return new(*args)


def over_batch(f: Callable[..., Any], n: int, batched: Sequence[bool]) -> Callable[..., Any]:
    """Apply a function of flat arrays, which returns a tuple of arrays, along a batch."""

    def mapped(*args: Any) -> Any:
        trace = BatchTrace(n)
        try:
            inputs = [Tracer(trace, Batched(a, True)) if b else a for a, b in zip(args, batched, strict=True)]
            out = f(*inputs)
            out = out if isinstance(out, tuple) else (out,)
            return tuple(_whole(y, trace, n) for y in out)
        finally:
            trace.alive = False

    return mapped


def _whole(y: Any, trace: BatchTrace, n: int) -> Any:
    if y is None:
        return None
    if isinstance(y, Tracer):
        y._refresh()
        if y._trace is trace:
            if y._var.batched:
                return y._var.data
            y = y._var.data
    return np.broadcast_to(y, (n, *shape_of(y)))


def _guarded(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """Check that a function with a custom rule does not close over values of a trace it is called in."""

    def evaluate(*args: Any) -> Any:
        level = max((a._trace.level for a in args if isinstance(a, Traced)), default=0)
        out = f(*args)
        out = out if isinstance(out, tuple) else (out,)
        for y in out:
            if isinstance(y, Traced) and y._trace.level > level:
                raise LeakedTracerError(
                    f"{name} closes over a traced value, whose derivative its custom rule cannot know. "
                    f"Pass it as an argument." + user_line()
                )
        return _one(tuple(out))

    return evaluate


class JvpRule:
    """A user's tangent rule. It is transposed for reverse mode, so it must be linear in tangents."""

    def __init__(self, name: str, rule: Callable[..., Any]) -> None:
        self.name = name
        self.rule = rule  # rule(xs, ts) -> (ys, tangents), flat

    def evaluate_and_push(self, op: Op, xs: list[Any], ts: list[Any]) -> tuple[Any, Any]:
        """Return values and tangents."""
        ys, tangents = self.rule(xs, _filled(xs, ts))
        return _one(ys), _one(tangents)

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Return the tangents only."""
        return _one(self.rule(xs, _filled(xs, ts))[1])

    def pull(self, node: Node, ct: Any, y: Any, xs: list[Any], cts: Cotangents) -> None:
        """Transpose the rule."""
        wanted = [k for k, v in enumerate(node.inputs) if isinstance(v, Value) and is_inexact(xs[k])]

        def linear(*some: Any) -> Any:
            ts: list[Any] = [None] * len(xs)
            for k, t in zip(wanted, some, strict=True):
                ts[k] = t
            return self.rule(xs, _filled(xs, ts))[1]

        seeds = ct if isinstance(ct, tuple) else (ct,)
        found = transpose_rule(self.name, linear, seeds, [xs[k] for k in wanted])
        for k, part in zip(wanted, found, strict=True):
            if part is not None:
                cts.add(node.inputs[k], part)

    def batched(self, n: int, batched: Sequence[bool]) -> JvpRule:
        """Return the rule for a batch."""

        def rule(xs: Sequence[Any], ts: Sequence[Any]) -> tuple[Any, Any]:
            k = len(xs)
            size = []

            def flat(*both: Any) -> tuple[Any, ...]:
                ys, tangents = self.rule(list(both[:k]), list(both[k:]))
                size.append(len(ys))
                return (*ys, *tangents)

            out = over_batch(flat, n, [*batched, *batched])(*xs, *ts)
            return out[: size[0]], out[size[0] :]

        return JvpRule(self.name, rule)


def _filled(xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    return [np.zeros(shape_of(x), dtype_of(x)) if t is None else t for x, t in zip(xs, ts, strict=True)]


class VjpRule:
    """A user's pair of a forward function that saves residuals and a backward function."""

    def __init__(self, name: str, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        self.name = name
        self.fwd = fwd  # fwd(*xs) -> (ys, residuals), flat tuples
        self.bwd = bwd  # bwd(residuals, cts) -> cotangents, flat
        self.saved: tuple[tuple[Any, ...], Any] | None = None

    def evaluate(self, *xs: Any) -> Any:
        """Run the forward function and keep its residuals."""
        ys, residuals = self.fwd(*xs)
        self.saved = (xs, residuals)
        return ys

    def residuals(self, xs: list[Any]) -> Any:
        """Return the residuals at `xs`: those kept, or new ones when a derivative is nested inside."""
        if self.saved is not None and all(a is b for a, b in zip(self.saved[0], xs, strict=True)):
            return self.saved[1]
        return self.fwd(*xs)[1]

    def evaluate_and_push(self, op: Op, xs: list[Any], ts: list[Any]) -> tuple[Any, Any]:
        """Refuse: a pullback says nothing of tangents."""
        raise DerivativeError(
            f"{self.name} has a custom vjp only, so it cannot be differentiated in forward mode. Use "
            f"reverse mode (wg.grad, wg.vjp, wg.jacrev), or give its rule with wg.custom_jvp, which "
            f"serves both." + user_line()
        )

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Refuse, as above."""
        return self.evaluate_and_push(None, xs, ts)  # type: ignore[arg-type]

    def pull(self, node: Node, ct: Any, y: Any, xs: list[Any], cts: Cotangents) -> None:
        """Run the backward function."""
        seeds = ct if isinstance(ct, tuple) else (ct,)
        found = self.bwd(self.residuals(xs), seeds)
        for v, x, part in zip(node.inputs, xs, found, strict=True):
            if part is None or not isinstance(v, Value) or not is_inexact(x):
                continue
            if shape_of(part) != shape_of(x):
                raise ShapeError(
                    f"the backward function of {self.name} returned a cotangent of shape "
                    f"{shape_of(part)} for an argument of shape {shape_of(x)}"
                )
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
                part if b or part is None else np.sum(part, axis=0) for part, b in zip(out, batched, strict=True)
            ]

        return VjpRule(self.name, fwd, bwd)


class _Custom(Generic[P, R]):
    """Shared by both decorators: flattening of arguments and results."""

    def __init__(self, f: Callable[P, R], nondiff_argnums: Sequence[int] = ()) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.name = getattr(f, "__name__", "f")
        self.nondiff = tuple(nondiff_argnums)

    def _split(self, args: tuple[Any, ...]) -> tuple[list[Any], Callable[..., Any], list[Any]]:
        """Return the differentiable leaves, how to rebuild all arguments, and the fixed ones."""
        free = tuple(a for i, a in enumerate(args) if i not in self.nondiff)
        fixed = [a for i, a in enumerate(args) if i in self.nondiff]
        leaves, pack = trees.flatten(free)

        def rebuild(some: Sequence[Any]) -> list[Any]:
            moving = iter(pack(some))
            still = iter(fixed)
            return [next(still) if i in self.nondiff else next(moving) for i in range(len(args))]

        made = [x if isinstance(x, (np.ndarray, Traced)) else np.asarray(x)[()] for x in leaves]
        return made, rebuild, fixed


def _apply(name: str, evaluate: Callable[..., Any], derivative: Any, leaves: list[Any], form: list[Any]) -> Any:
    """Apply a function with a rule to flat arguments; `form` ends with how to rebuild the result."""
    ys = CustomOp(name, _guarded(name, evaluate), derivative)(*leaves)
    return form[-1](ys if isinstance(ys, tuple) else [ys])


def _one(ys: tuple[Any, ...]) -> Any:
    """Return a single result alone, as operations do."""
    return ys[0] if len(ys) == 1 else ys


class custom_jvp(_Custom[P, R]):  # noqa: N801
    """Give a function its own tangent rule, from which reverse mode follows by transposition.

    Parameters
    ----------
    f : callable
        The function; arguments and results may be pytrees of arrays.
    nondiff_argnums : sequence of int
        Arguments that are not arrays, or not differentiated; the rule gets them first.

    Examples
    --------
    >>> import numpy as np, wengert as wg
    >>> @wg.custom_jvp
    ... def softplus(x):
    ...     return np.logaddexp(x, 0.0)
    >>> @softplus.defjvp
    ... def softplus_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return softplus(x), t / (1 + np.exp(-x))
    >>> float(wg.grad(softplus)(0.0))
    0.5
    """

    def __init__(self, f: Callable[P, R], nondiff_argnums: Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.jvp: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule ``rule(*nondiff, primals, tangents) -> (result, tangent)``."""
        self.jvp = rule
        return rule

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Apply the function."""
        rule = self.jvp
        if rule is None:
            raise DerivativeError(f"{self.name} has no rule yet; give it with @{self.name}.defjvp")
        _no_keywords(self.name, kwargs)
        leaves, rebuild, fixed = self._split(args)
        form: list[Any] = []

        def evaluate(*xs: Any) -> tuple[Any, ...]:
            ys, back = trees.flatten(self.f(*rebuild(xs)))  # type: ignore[call-arg]
            form.append(back)
            return tuple(ys)

        def flat_rule(xs: Sequence[Any], ts: Sequence[Any]) -> tuple[Any, Any]:
            free = [i for i in range(len(args)) if i not in self.nondiff]
            primals, tangents = rebuild(xs), rebuild(ts)
            out = rule(*fixed, tuple(primals[i] for i in free), tuple(tangents[i] for i in free))
            if not isinstance(out, tuple) or len(out) != 2:
                raise InputError(f"the rule of {self.name} must return (result, tangent)")
            ys, back = trees.flatten(out[0])
            form.append(back)
            t, _ = trees.flatten(out[1])
            for y, d in zip(ys, t, strict=True):
                if shape_of(y) != shape_of(d):
                    raise ShapeError(
                        f"the rule of {self.name} returned a tangent of shape {shape_of(d)} for a result "
                        f"of shape {shape_of(y)}"
                    )
            return tuple(ys), tuple(t)

        return _apply(self.name, evaluate, JvpRule(self.name, flat_rule), leaves, form)  # type: ignore[no-any-return]


class custom_vjp(_Custom[P, R]):  # noqa: N801
    """Give a function its own pullback. Only reverse mode can use it.

    Parameters
    ----------
    f : callable
        The function; arguments and results may be pytrees of arrays.
    nondiff_argnums : sequence of int
        Arguments that are not arrays, or not differentiated; ``bwd`` gets them first.

    Examples
    --------
    >>> import numpy as np, wengert as wg
    >>> @wg.custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, ()), lambda saved, ct: (np.clip(ct, -1, 1),))
    >>> float(wg.grad(lambda x: 10 * clip_gradient(x))(2.0))
    1.0
    """

    def __init__(self, f: Callable[P, R], nondiff_argnums: Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.rules: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set ``fwd(*args) -> (result, residuals)`` and ``bwd(*nondiff, residuals, ct) -> cotangents``.

        ``bwd`` returns a tuple with one cotangent an argument; None is zero.
        """
        self.rules = (fwd, bwd)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Apply the function."""
        if self.rules is None:
            raise DerivativeError(f"{self.name} has no rule yet; give it with {self.name}.defvjp(fwd, bwd)")
        _no_keywords(self.name, kwargs)
        fwd, bwd = self.rules
        leaves, rebuild, fixed = self._split(args)
        if not any(isinstance(x, Traced) for x in leaves):
            return self.f(*args, **kwargs)
        form: list[Any] = []
        saved_form: list[Any] = []

        def flat_fwd(*xs: Any) -> tuple[Any, Any]:
            y, residuals = fwd(*rebuild(xs))
            ys, back = trees.flatten(y)
            saved, saved_back = trees.flatten(residuals)
            form.append(back)
            saved_form.append(saved_back)
            return tuple(ys), tuple(saved)

        def flat_bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            out = bwd(*fixed, saved_form[-1](list(residuals)), form[-1](list(cts)))
            free = [a for i, a in enumerate(args) if i not in self.nondiff]
            if not isinstance(out, tuple) or len(out) != len(free):
                raise InputError(
                    f"the backward function of {self.name} must return a tuple with one cotangent for each "
                    f"of {len(free)} arguments"
                )
            flat: list[Any] = []
            for part, a in zip(out, free, strict=True):
                n = len(trees.flatten(a)[0])
                flat += [None] * n if part is None else trees.flatten(part)[0]
            return flat

        rule = VjpRule(self.name, flat_fwd, flat_bwd)
        return _apply(self.name, rule.evaluate, rule, leaves, form)  # type: ignore[no-any-return]


def _no_keywords(name: str, kwargs: dict[str, Any]) -> None:
    if kwargs:
        raise InputError(f"{name} has a custom rule and takes positional arguments only" + user_line())
