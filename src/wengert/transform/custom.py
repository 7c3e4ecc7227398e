"""Functions with a derivative given by the user.

A call becomes one operation whose evaluation is the function and whose derivative is the user's
rule, so every trace treats it as it treats a row of the table.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np
import optree

from wengert import trees
from wengert.errors import (
    DerivativeError,
    InputError,
    MutationError,
    ShapeError,
    WengertError,
    user_line,
)
from wengert.follow.functions import call as call_followed
from wengert.ops.base import Traced, dtype_of
from wengert.ops.options import check_function, integers
from wengert.transform.custom_rules import CustomOp, JvpRule, VjpRule, check_closed, conform

__all__ = ["custom_jvp", "custom_vjp"]

P = ParamSpec("P")
R = TypeVar("R")


# --- decorators -----------------------------------------------------------------------------------
def _positions(f: Callable[..., Any]) -> int | None:
    """Return how many arguments a function takes by position; None where there is no limit."""
    if isinstance(f, np.ufunc):  # whose further arguments are options
        return f.nin
    try:
        kinds = [p.kind for p in inspect.signature(f).parameters.values()]
    except (TypeError, ValueError):  # built-in functions
        return None
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return kinds.count(inspect.Parameter.POSITIONAL_ONLY) + kinds.count(
        inspect.Parameter.POSITIONAL_OR_KEYWORD
    )


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
        self._places = _positions(f) or 0
        self._taken = self._places
        """Arguments by position that the rule takes."""
        self._is_pure = False

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Return the arguments by position, as rules take them, those left at defaults included."""
        if not kwargs and len(args) >= self._taken:
            return args
        try:
            bound = inspect.signature(self.f).bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(f"{self.name}: {error}" + user_line()) from None
        if bound.kwargs:
            raise InputError(
                f"{self.name} has a custom rule, which takes positional arguments only; it was "
                f"called with {', '.join(bound.kwargs)}=" + user_line()
            )
        given = len(bound.args)
        bound.apply_defaults()
        return bound.args[: max(given, self._taken)]

    def _plain(self, call: _Call, args: tuple[Any, ...]) -> Any:
        """Call the function as if it had no rule."""
        y = call_followed(self.f, args, {})
        check_closed(self.name, call.flat_result(y), ())
        return y

    def _check_pure(self, call: _Call, xs: Sequence[Any]) -> None:
        """Call the function once, where a rule stands for it, to see that it changes no argument.

        Raises
        ------
        MutationError
        """
        if self._is_pure:
            return
        self._is_pure = True
        plain = [_example(x) if isinstance(x, Traced) else x for x in xs]
        if any(x is None for x in plain):
            return
        touched: MutationError | None = None
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            try:
                _untouched(self.name, self.f, call.arguments, plain)
            except MutationError as error:
                touched = error
        if touched is not None:
            self._is_pure = False
            raise touched

    def _apply(self, call: _Call, derivative: Any) -> Any:
        def evaluate(*xs: Any) -> tuple[Any, ...]:
            out = call.flat_result(_untouched(self.name, self.f, call.arguments, xs))
            self._is_pure = True
            return out

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
            x if isinstance(x, (Traced, np.ndarray)) else np.asarray(x)[()] for x in found
        ]
        for x in self.leaves:
            if dtype_of(x).kind not in "fciub":
                raise InputError(
                    f"{name} takes arrays; name an argument of type {type(x).__name__} in "
                    f"nondiff_argnums" + user_line()
                )
        self._result: Callable[[Sequence[Any]], Any] | None = None

    @property
    def is_traced(self) -> bool:
        """Whether there is an argument that a derivative, `vmap` or `jit` follows."""
        return any(isinstance(x, Traced) for x in self.leaves)

    def arguments(self, leaves: Sequence[Any]) -> list[Any]:
        """Return all arguments, those that are differentiated made of `leaves`."""
        moving, still = iter(self.pack(leaves)), iter(self.fixed)
        return [next(still) if i in self.nondiff else next(moving) for i in range(self.count)]

    def flat_result(self, y: Any) -> tuple[Any, ...]:
        """Flatten a result of the function, and remember its form."""
        ys, self._result = trees.flatten(y)
        for part in ys:
            if not isinstance(part, (Traced, np.ndarray, np.generic, float, int, complex)):
                raise InputError(
                    f"{self.name} has a custom rule and must return arrays, not a "
                    f"{type(part).__name__}" + user_line()
                )
        return tuple(ys)

    def pack_result(self, ys: Sequence[Any]) -> Any:
        """Put flat results, or their cotangents, into the form of the result."""
        assert self._result is not None
        return self._result(list(ys))


def _untouched(
    who: str, function: Callable[..., Any], arguments: Callable[..., Any], leaves: Sequence[Any]
) -> Any:
    """Call a function of the user's, which may not change what it is given.

    A rule says nothing of the derivative of an argument after the call, and what the backward
    function gets is used by others too.

    Raises
    ------
    MutationError
    """
    given = [_guarded(x) for x in leaves]
    try:
        out = call_followed(function, arguments(given), {})
    except ValueError as error:
        if isinstance(error, WengertError) or not _READ_ONLY.search(str(error)):
            raise
        raise _touched(who) from None
    if any(isinstance(x, Traced) and x._version for x in given):  # type: ignore[attr-defined]
        raise _touched(who)
    return out


_READ_ONLY = re.compile("read-only|not writ")


def _touched(who: str) -> MutationError:
    return MutationError(
        f"{who} changes in place an array that it is given, and a custom rule cannot follow that. "
        f"Begin with x = x.copy(), and return the new value." + user_line()
    )


def _example(x: Any) -> Any:
    """Return the plain value under a traced one, of one example of a batch; None without one."""
    var = x._var
    data = _example(var.data) if isinstance(var.data, Traced) else var.data
    if getattr(var, "batched", False):
        return data[0] if data is not None and len(data) else None
    return data if isinstance(data, (np.ndarray, np.generic, float, int, complex)) else None


def _guarded(x: Any) -> Any:
    """Return an array that cannot be written to, or a handle of its own."""
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x = x.view()
        x.flags.writeable = False
        return x
    return trees.frozen(x)


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
        every = self._positional(args, kwargs)
        call = _Call(self.name, every, self.nondiff)
        if not call.is_traced:
            return self._plain(call, every)  # type: ignore[no-any-return]

        def flat_rule(xs: Sequence[Any], ts: Sequence[Any]) -> tuple[Any, Any]:
            self._check_pure(call, xs)
            k = len(xs)
            out = _untouched(
                f"the rule of {self.name}",
                rule,
                lambda both: (*call.fixed, call.pack(both[:k]), call.pack(both[k:])),
                [*xs, *ts],
            )
            if not isinstance(out, tuple) or len(out) != 2:
                raise InputError(
                    f"the rule of {self.name} must return (result, tangent)" + user_line()
                )
            return call.flat_result(out[0]), _flat_tangents(self.name, *out)

        return self._apply(call, JvpRule(self.name, flat_rule))  # type: ignore[no-any-return]


def _flat_tangents(name: str, result: Any, tangent: Any) -> tuple[Any, ...]:
    """Flatten the tangent of a rule; it must have the form, shapes and dtypes of the result."""
    if optree.tree_structure(tangent) != optree.tree_structure(result):
        raise ShapeError(
            f"the rule of {name} returned a tangent of another form than the result:\n"
            f"  result  {optree.tree_structure(result)}\n  tangent {optree.tree_structure(tangent)}"
            + user_line()
        )
    pairs = zip(trees.flatten(tangent)[0], trees.flatten(result)[0], strict=True)
    return tuple(conform(t, y, f"the rule of {name}", "tangent", "result") for t, y in pairs)


class custom_vjp(_Custom[P, R]):
    """Give a function its own pullback, for reverse mode.

    Derivatives of the gradient (`hessian`, `hvp`, ``jvp`` of ``grad``) go through what ``fwd`` and
    ``bwd`` compute. Forward mode through the function itself transposes ``bwd``, and is refused
    where that is not linear in the cotangent.

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
        taken = _positions(fwd)
        self._taken = self._places if taken is None else min(self._places, taken)

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
        every = self._positional(args, kwargs)
        call = _Call(self.name, every, self.nondiff)
        if not call.is_traced:
            return self._plain(call, every)  # type: ignore[no-any-return]
        rule = _vjp_rule(self.name, call, *self.rules, self._check_pure)
        return self._apply(call, rule)  # type: ignore[no-any-return]


def _vjp_rule(
    name: str,
    call: _Call,
    fwd: Callable[..., Any],
    bwd: Callable[..., Any],
    check: Callable[[_Call, Sequence[Any]], None],
) -> VjpRule:
    """Make a rule of flat arrays from the user's functions."""
    pack_residuals: list[Callable[[Sequence[Any]], Any]] = []

    def flat_fwd(*xs: Any) -> tuple[Any, Any]:
        check(call, xs)
        out = _untouched(f"the forward function of {name}", fwd, call.arguments, xs)
        if not isinstance(out, tuple) or len(out) != 2:
            raise InputError(
                f"the forward function of {name} must return (result, residuals)" + user_line()
            )
        arrays, pack = _arrays_of(out[1])
        pack_residuals[:] = [pack]
        return call.flat_result(out[0]), tuple(arrays)

    def flat_bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        k = len(residuals)
        out = _untouched(
            f"the backward function of {name}",
            bwd,
            lambda both: (*call.fixed, pack_residuals[0](both[:k]), call.pack_result(both[k:])),
            [*residuals, *cts],
        )
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

    return VjpRule(name, flat_fwd, flat_bwd, call.fixed)


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
    is_array = [isinstance(x, (Traced, np.ndarray, np.generic)) for x in leaves]
    arrays = [x for a, x in zip(is_array, leaves, strict=True) if a]
    others = [None if a else x for a, x in zip(is_array, leaves, strict=True)]

    def pack(arrays: Sequence[Any]) -> Any:
        moving = iter(arrays)
        return rebuild([next(moving) if a else x for a, x in zip(is_array, others, strict=True)])

    return arrays, pack
