"""Functions with a derivative given by the user.

A call becomes one operation whose evaluation is the function and whose derivative is the user's
rule, so every trace treats it as it treats a row of the table.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np
import optree

from wengert import trees
from wengert.errors import DerivativeError, InputError, LeakedTracerError, ShapeError, user_line
from wengert.ir.graph import Node, Value
from wengert.ops import patterns
from wengert.ops.base import Op, Traced, dtype_of, is_inexact, shape_of
from wengert.ops.elementwise import convert
from wengert.ops.options import check_function, integers
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.pull import Cotangents, transpose_rule

__all__ = ["custom_jvp", "custom_vjp"]

P = ParamSpec("P")
R = TypeVar("R")


class CustomOp(Op):
    """One call of a function with its own derivative.

    `inline` tells recorders of all operations to record what the function does instead.
    """

    __slots__ = ("custom", "inline")

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


def _unknown(*_: Any, **__: Any) -> Any:
    raise DerivativeError("a custom rule has to be evaluated to know its shape")


def _closed(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """Check that a function of flat arrays does not close over values of a trace around it."""

    def evaluate(*args: Any) -> Any:
        out = f(*args)
        _check_closed(name, out, args)
        return _one(out)

    return evaluate


def _check_closed(name: str, out: Sequence[Any], args: Sequence[Any]) -> None:
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
    evaluate = getattr(rule, "evaluate", None) or over_batch(op.evaluate, n, batched)
    return CustomOp(op.name, evaluate, rule)(*args)


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

    def evaluate_and_push(self, op: Op, xs: list[Any], ts: list[Any]) -> tuple[Any, Any]:
        """Return values and tangents."""
        ts = _filled(xs, ts)
        ys, tangents = self.rule(xs, ts)
        _check_closed(self.name, (*ys, *tangents), (*xs, *ts))
        return _one(ys), _one(tangents)

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Return the tangents only."""
        return _one(self.rule(xs, _filled(xs, ts))[1])

    def pull(self, node: Node, ct: Any, y: Any, xs: list[Any], cts: Cotangents) -> None:
        """Transpose the rule."""
        wanted = [
            k for k, v in enumerate(node.inputs) if isinstance(v, Value) and is_inexact(xs[k])
        ]

        def linear(*some: Any) -> Any:
            ts: list[Any] = [None] * len(xs)
            for k, t in zip(wanted, some, strict=True):
                ts[k] = t
            return tuple(self.rule(xs, _filled(xs, ts))[1])

        seeds = ct if isinstance(ct, tuple) else (ct,)
        found = transpose_rule(self.name, linear, seeds, [xs[k] for k in wanted])
        for k, part in zip(wanted, found, strict=True):
            if part is not None:
                cts.add(node.inputs[k], part)

    def forget(self) -> None:
        """Do nothing: a tangent rule keeps nothing between the passes."""

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


def _filled(xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    """Replace None by zeros."""
    return [
        np.zeros(shape_of(x), dtype_of(x)) if t is None else t for x, t in zip(xs, ts, strict=True)
    ]


class VjpRule:
    """A user's pair of a forward function that saves residuals and a backward function.

    Parameters
    ----------
    name : str
    fwd : callable
        ``fwd(*xs) -> (ys, residuals)``, flat tuples.
    bwd : callable
        ``bwd(residuals, cts) -> cotangents``, flat; None is zero.
    """

    def __init__(self, name: str, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        self.name = name
        self.fwd = fwd
        self.bwd = bwd
        self.saved: tuple[tuple[Any, ...], Any] | None = None

    def evaluate(self, *xs: Any) -> Any:
        """Run the forward function and keep its residuals."""
        ys, residuals = self.fwd(*xs)
        self.saved = (xs, residuals)
        return ys

    def forget(self) -> None:
        """Let the residuals go; they are computed again where they are needed."""
        self.saved = None

    def residuals(self, xs: list[Any]) -> Any:
        """Return the residuals at `xs`: those kept, or new ones inside a nested derivative."""
        if self.saved is not None and all(a is b for a, b in zip(self.saved[0], xs, strict=True)):
            return self.saved[1]
        return self.fwd(*xs)[1]

    def evaluate_and_push(self, op: Op | None, xs: list[Any], ts: list[Any]) -> tuple[Any, Any]:
        """Refuse: a pullback says nothing of tangents."""
        raise DerivativeError(
            f"{self.name} has a custom vjp only, so it cannot be differentiated in forward mode. "
            f"Use reverse mode (wg.grad, wg.vjp, wg.jacrev), or give its rule with wg.custom_jvp, "
            f"which serves both." + user_line()
        )

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Refuse, as above."""
        return self.evaluate_and_push(None, xs, ts)

    def pull(self, node: Node, ct: Any, y: Any, xs: list[Any], cts: Cotangents) -> None:
        """Run the backward function."""
        seeds = ct if isinstance(ct, tuple) else (ct,)
        found = self.bwd(self.residuals(xs), seeds)
        for v, x, part in zip(node.inputs, xs, found, strict=True):
            if part is not None and isinstance(v, Value) and is_inexact(x):
                cts.add(
                    v,
                    _fitted(
                        part, x, f"the backward function of {self.name}", "cotangent", "argument"
                    ),
                )

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

        return VjpRule(self.name, fwd, bwd)


def _fitted(part: Any, like: Any, who: str, what: str, whose: str) -> Any:
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


# --- decorators -----------------------------------------------------------------------------------
class _Custom(Generic[P, R]):
    """Shared by both decorators: flattening of arguments and results."""

    def __init__(self, f: Callable[P, R], nondiff_argnums: int | Sequence[int] = ()) -> None:
        check_function(f, type(self).__name__)
        functools.update_wrapper(self, f)  # type: ignore[arg-type]
        self.f = f
        self.name = getattr(f, "__name__", "f")
        nums = integers(nondiff_argnums, type(self).__name__, "nondiff_argnums")
        if any(i < 0 for i in nums):
            raise InputError(f"{self.name}: nondiff_argnums counts from 0, got {tuple(nums)}")
        self.nondiff = frozenset(nums)

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Return the arguments by position, as rules take them."""
        if not kwargs:
            return args
        try:
            bound = inspect.signature(self.f).bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(f"{self.name}: {error}" + user_line()) from None
        bound.apply_defaults()
        if bound.kwargs:
            raise InputError(
                f"{self.name} has a custom rule, which takes positional arguments only; it was "
                f"called with {', '.join(bound.kwargs)}=" + user_line()
            )
        return bound.args

    def _apply(self, call: _Call, evaluate: Callable[..., Any], derivative: Any) -> Any:
        ys = CustomOp(self.name, evaluate, derivative)(*call.leaves)
        return call.pack_result(ys if isinstance(ys, tuple) else [ys])


class _Call:
    """One call of a function with a custom rule, as flat arrays.

    Attributes
    ----------
    leaves : list
        Arrays of the differentiated arguments.
    fixed : list
        The other arguments.
    """

    def __init__(self, name: str, args: tuple[Any, ...], nondiff: frozenset[int]) -> None:
        self.name = name
        self.nondiff = nondiff
        self.count = len(args)
        self.free = tuple(a for i, a in enumerate(args) if i not in nondiff)
        self.fixed = [a for i, a in enumerate(args) if i in nondiff]
        found, self.pack = trees.flatten(self.free)
        self.leaves = [
            x if isinstance(x, (np.ndarray, Traced)) else np.asarray(x)[()] for x in found
        ]
        for x in self.leaves:
            if dtype_of(x).kind not in "fciub":
                raise InputError(
                    f"{name} takes arrays; name an argument of type {type(x).__name__} in "
                    f"nondiff_argnums" + user_line()
                )
        self._result: Callable[[Sequence[Any]], Any] | None = None

    def arguments(self, leaves: Sequence[Any]) -> list[Any]:
        """Return all arguments, those that are differentiated made of `leaves`."""
        moving, still = iter(self.pack(leaves)), iter(self.fixed)
        return [next(still) if i in self.nondiff else next(moving) for i in range(self.count)]

    def flat_result(self, y: Any) -> tuple[Any, ...]:
        """Flatten a result of the function, and remember its form."""
        ys, self._result = trees.flatten(y)
        for part in ys:
            if not isinstance(part, (np.ndarray, np.generic, Traced, float, int, complex)):
                raise InputError(
                    f"{self.name} has a custom rule and must return arrays, not a "
                    f"{type(part).__name__}" + user_line()
                )
        return tuple(ys)

    def pack_result(self, ys: Sequence[Any]) -> Any:
        """Put flat results, or their cotangents, into the form of the result."""
        assert self._result is not None
        return self._result(list(ys))


class custom_jvp(_Custom[P, R]):
    """Give a function its own tangent rule, from which reverse mode follows by transposition.

    Parameters
    ----------
    f : callable
        The function; arguments and results may be pytrees of arrays.
    nondiff_argnums : int or sequence of int
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

    def __init__(self, f: Callable[P, R], nondiff_argnums: int | Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.jvp: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule ``rule(*nondiff, primals, tangents) -> (result, tangent)``.

        It must be linear in the tangents: add them, multiply or contract them with values.
        """
        self.jvp = rule
        return rule

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Apply the function.

        Raises
        ------
        DerivativeError
            When there is no rule.
        """
        rule = self.jvp
        if rule is None:
            raise DerivativeError(f"{self.name} has no rule yet; give it with @{self.name}.defjvp")
        call = _Call(self.name, self._positional(args, kwargs), self.nondiff)

        def evaluate(*xs: Any) -> tuple[Any, ...]:
            return call.flat_result(self.f(*call.arguments(xs)))  # type: ignore[call-arg]

        def flat_rule(xs: Sequence[Any], ts: Sequence[Any]) -> tuple[Any, Any]:
            out = rule(*call.fixed, call.pack(xs), call.pack(ts))
            if not isinstance(out, tuple) or len(out) != 2:
                raise InputError(
                    f"the rule of {self.name} must return (result, tangent)" + user_line()
                )
            return call.flat_result(out[0]), _flat_tangents(self.name, *out)

        return self._apply(call, evaluate, JvpRule(self.name, flat_rule))  # type: ignore[no-any-return]


def _flat_tangents(name: str, result: Any, tangent: Any) -> tuple[Any, ...]:
    """Flatten the tangent of a rule; it must have the form, shapes and dtypes of the result."""
    if optree.tree_structure(tangent) != optree.tree_structure(result):
        raise ShapeError(
            f"the rule of {name} returned a tangent of another form than the result:\n"
            f"  result  {optree.tree_structure(result)}\n  tangent {optree.tree_structure(tangent)}"
            + user_line()
        )
    pairs = zip(trees.flatten(tangent)[0], trees.flatten(result)[0], strict=True)
    return tuple(_fitted(t, y, f"the rule of {name}", "tangent", "result") for t, y in pairs)


class custom_vjp(_Custom[P, R]):
    """Give a function its own pullback. Only reverse mode can use it.

    Parameters
    ----------
    f : callable
        The function; arguments and results may be pytrees of arrays.
    nondiff_argnums : int or sequence of int
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

    def __init__(self, f: Callable[P, R], nondiff_argnums: int | Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.rules: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """Set ``fwd(*args) -> (result, saved)`` and ``bwd(*nondiff, saved, ct) -> cotangents``.

        ``bwd`` returns a tuple with one cotangent for each differentiated argument; None is zero.
        """
        self.rules = (fwd, bwd)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Apply the function.

        Raises
        ------
        DerivativeError
            When there is no rule.
        """
        if self.rules is None:
            raise DerivativeError(
                f"{self.name} has no rule yet; give it with {self.name}.defvjp(fwd, bwd)"
            )
        call = _Call(self.name, self._positional(args, kwargs), self.nondiff)
        if not any(isinstance(x, Traced) for x in call.leaves):
            y = self.f(*call.arguments(call.leaves))  # type: ignore[call-arg]
            _check_closed(self.name, call.flat_result(y), ())
            return y
        rule = _vjp_rule(self.name, call, *self.rules)
        return self._apply(call, rule.evaluate, rule)  # type: ignore[no-any-return]


def _vjp_rule(name: str, call: _Call, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> VjpRule:
    """Make a rule of flat arrays from the user's functions."""
    pack_residuals: list[Callable[[Sequence[Any]], Any]] = []

    def flat_fwd(*xs: Any) -> tuple[Any, Any]:
        out = fwd(*call.arguments(xs))
        if not isinstance(out, tuple) or len(out) != 2:
            raise InputError(
                f"the forward function of {name} must return (result, residuals)" + user_line()
            )
        arrays, pack = _arrays_of(out[1])
        pack_residuals[:] = [pack]
        return call.flat_result(out[0]), tuple(arrays)

    def flat_bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        out = bwd(*call.fixed, pack_residuals[0](residuals), call.pack_result(cts))
        if not isinstance(out, tuple) or len(out) != len(call.free):
            raise InputError(
                f"the backward function of {name} must return a tuple with one cotangent for each "
                f"of {len(call.free)} arguments" + user_line()
            )
        return [
            ct
            for part, a in zip(out, call.free, strict=True)
            for ct in _flat_cotangents(name, part, a)
        ]

    return VjpRule(name, flat_fwd, flat_bwd)


def _flat_cotangents(name: str, part: Any, argument: Any) -> list[Any]:
    """Flatten the cotangent of one argument; None is zero."""
    leaves, _ = trees.flatten(argument)
    if part is None:
        return [None] * len(leaves)
    want, got = (
        optree.tree_structure(x, none_is_leaf=True)  # a None inside is zero
        for x in (argument, part)
    )
    if want != got:
        raise ShapeError(
            f"the backward function of {name} returned a cotangent of another form than the "
            f"argument:\n  argument  {want}\n  cotangent {got}" + user_line()
        )
    pairs = zip(
        optree.tree_leaves(part, none_is_leaf=True),
        optree.tree_leaves(argument, none_is_leaf=True),
        strict=True,
    )
    return [ct for ct, x in pairs if x is not None]


def _arrays_of(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Return the arrays in a pytree of anything, and the function that puts others there."""
    leaves, rebuild = trees.flatten(tree)
    is_array = [isinstance(x, (np.ndarray, np.generic, Traced)) for x in leaves]
    arrays = [x for a, x in zip(is_array, leaves, strict=True) if a]
    others = [None if a else x for a, x in zip(is_array, leaves, strict=True)]

    def pack(arrays: Sequence[Any]) -> Any:
        moving = iter(arrays)
        return rebuild([next(moving) if a else x for a, x in zip(is_array, others, strict=True)])

    return arrays, pack
