"""Derivatives of ordinary NumPy functions: what users call.

Every function here takes a function and returns one, or a value and one. They nest in any order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert import trees
from wengert.errors import InputError, hidden, user_line
from wengert.follow.functions import call as call_followed
from wengert.gradients import (
    Argnums,
    grad,
    pair,
    refuse_piecewise,
    refuse_whole,
    value_and_grad,
)
from wengert.jit.transformed import transformed
from wengert.ops import control
from wengert.ops.base import Traced, is_inexact
from wengert.ops.options import check_flag, check_function
from wengert.trace.numbers import as_python, number_type
from wengert.transform.jvp import jvp_flat
from wengert.transform.linear import linearize_flat
from wengert.transform.vmap import vmap as mapped

__all__ = [
    "Argnums",
    "grad",
    "hvp",
    "jvp",
    "linearize",
    "pair",
    "refuse_piecewise",
    "refuse_whole",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]


@hidden
def vjp(
    f: Callable[..., Any], *primals: Any, has_aux: bool = False, allow_int: bool = False
) -> tuple[Any, ...]:
    """Evaluate `f` and return its pullback, cotangent times Jacobian.

    Parameters
    ----------
    f : callable
    *primals : pytrees of arrays
        The point; integer arrays are constants.
    has_aux : bool
        Whether `f` returns ``(result, aux)``.
    allow_int : bool
        Whether all of the result may be integer or Boolean: its derivative is zeros.

    Returns
    -------
    y : pytree
        ``f(*primals)``.
    pullback : callable
        ``pullback(ct)``, with `ct` of the form and shapes of `y`, returns a tuple of cotangents,
        one for each of `primals`. It can be called many times.
    aux
        With `has_aux` only.
    """
    lin, primal_pack, y, _, aux, leaves = _linearized(f, primals, has_aux, "vjp", allow_int)

    def pullback(ct: Any) -> Any:
        cts, _, _ = trees.same_form(ct, y, "the cotangent")
        found = lin.pull(cts)
        return primal_pack(trees.own(found, leaves, cts))

    return (y, pullback, aux) if has_aux else (y, pullback)


@hidden
def linearize(
    f: Callable[..., Any], *primals: Any, allow_int: bool = False
) -> tuple[Any, Callable[..., Any]]:
    """Evaluate `f` and return its derivative at the point, Jacobian times tangent.

    Parameters
    ----------
    f : callable
    *primals : pytrees of arrays
    allow_int : bool
        As for `vjp`.

    Returns
    -------
    y : pytree
        ``f(*primals)``.
    f_lin : callable
        ``f_lin(*tangents)`` returns the tangent of `y` without evaluating `f` again.
    """
    lin, _, y, rebuild, _, _ = _linearized(f, primals, False, "linearize", allow_int)
    flat_y, _ = trees.flatten(y)

    def f_lin(*tangents: Any) -> Any:
        ts, _, _ = trees.same_form(tangents, primals, "the tangent")
        found = lin.push([t if is_inexact(t) else None for t in ts])
        return rebuild(trees.own(found, flat_y, ts))

    return y, f_lin


def _linearized(
    f: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool, name: str, allow_int: bool
) -> tuple[Any, ...]:
    check_function(f, name)
    check_flag(has_aux, name, "has_aux")
    check_flag(allow_int, name, "allow_int")
    leaves, pack = trees.flatten(primals)
    leaves = [trees.primal(x, name) for x in leaves]
    form: list[Any] = []

    def flat(*args: Any) -> list[Any]:
        out = call_followed(f, pack(args), {})
        trees.apart(args, leaves)
        if has_aux:
            out, aux = pair(out, "vjp")
            form.append(aux)
        results, rebuild = trees.flatten(out)
        form.append(rebuild)
        return [y if isinstance(y, (Traced, np.ndarray)) else np.asarray(y)[()] for y in results]

    lin = linearize_flat(flat, leaves, kept=True)
    refuse_whole(lin.ys, name, allow_int)
    aux = trees.unwrap(form[0], lin.tape) if has_aux else None
    ys = [y.copy() if isinstance(y, np.ndarray) else trees.frozen(y) for y in lin.ys]
    return lin, pack, form[-1](ys), form[-1], aux, leaves


def _scalar_leaf(x: Any) -> Any:
    return np.asarray(x)[()]


@hidden
def jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
    *,
    allow_int: bool = False,
) -> tuple[Any, ...]:
    """Evaluate `f` and its directional derivative together, in forward mode.

    Parameters
    ----------
    f : callable
    primals, tangents : sequence of pytrees of arrays
        The point and the direction; of the same form and shapes.
    has_aux : bool
        Whether `f` returns ``(result, aux)``.
    allow_int : bool
        As for `vjp`.

    Returns
    -------
    y : pytree
        ``f(*primals)``.
    t : pytree
        Jacobian times `tangents`, of the form and shapes of `y`.
    aux
        With `has_aux` only.

    Raises
    ------
    ShapeError
        When `tangents` do not fit `primals`.
    InputError
        When nothing of the result is a floating-point number.
    """
    check_function(f, "jvp")
    check_flag(has_aux, "jvp", "has_aux")
    check_flag(allow_int, "jvp", "allow_int")
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise InputError(
            "jvp takes tuples of primals and tangents: wg.jvp(f, (x,), (t,))" + user_line()
        )
    for x in trees.flatten(tuple(primals))[0]:
        trees.primal(x, "jvp")
    ts, leaves, pack = trees.same_form(tuple(tangents), tuple(primals), "the tangent")
    leaves = [trees.primal(x, "jvp") for x in leaves]
    form: list[Any] = []

    def flat(*args: Any) -> list[Any]:
        out = call_followed(f, pack(args), {})
        trees.apart(args, leaves)
        if has_aux:
            out, aux = pair(out, "jvp")
            form.append(aux)
        results, rebuild = trees.flatten(out)
        form.append(rebuild)
        return results

    ys, yts, trace = jvp_flat(
        flat, leaves, [t if is_inexact(x) else None for t, x in zip(ts, leaves, strict=True)]
    )
    refuse_whole(ys, "jvp", allow_int)
    y = form[-1](ys)
    t = form[-1](trees.own(yts, ys, ts))
    return (y, t, trees.unwrap(form[0], trace)) if has_aux else (y, t)


@hidden
def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Return the Hessian of a scalar function times a vector, forward over reverse.

    Parameters
    ----------
    f : callable
        Returns a real scalar.
    primals, tangents : sequence of pytrees of arrays
        The point and the vector, as for `jvp`.

    Returns
    -------
    pytree
        Of the form of `primals` (of its only element for one argument). The cost is a small
        multiple of one gradient's (Pearlmutter, *Fast exact multiplication by the Hessian*, 1994).
    """
    if not isinstance(primals, (tuple, list)):
        raise InputError(
            "hvp takes tuples of primals and tangents: wg.hvp(f, (x,), (v,))" + user_line()
        )
    nums = tuple(range(len(primals)))
    _, t = jvp(grad(f, nums if len(nums) > 1 else 0), primals, tangents)
    return t


@functools.wraps(mapped, assigned=("__doc__",))
def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """Return a function that applies `f` to many examples at once, with a plan."""
    check_function(f, "vmap")
    remade = transformed("vmap", f, vmap, in_axes=in_axes, out_axes=out_axes)
    return remade(mapped(f, in_axes, out_axes))


def stop_gradient(x: Any) -> Any:
    """Return `x` as a constant of the derivative.

    Parameters
    ----------
    x : pytree of arrays

    Returns
    -------
    pytree
        The same values; derivatives with respect to anything that they depend on are zero.
    """
    return trees.map_leaves(_stopped, x)


def _stopped(leaf: Any) -> Any:
    y = control.stop_gradient(leaf)
    return as_python(y) if number_type(leaf) in (float, complex) else y
