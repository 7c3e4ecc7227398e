"""Derivatives of ordinary NumPy functions: what users call.

Every function here takes a function and returns one, or a value and one. They nest in any order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert import trees
from wengert.errors import InputError, ShapeError, hidden, user_line
from wengert.follow.functions import call as call_followed
from wengert.jit.transformed import transformed
from wengert.ops import control
from wengert.ops.base import Traced, dtype_of, is_inexact, shape_of
from wengert.ops.options import check_flag, check_function, check_places
from wengert.trace.numbers import as_python, number_type
from wengert.trace.numpy import methods as methods  # fills the tables of NumPy's functions
from wengert.trace.python import stand_ins as stand_ins  # fills those of followed code
from wengert.trace.record import Tape
from wengert.trace.tracer import Tracer
from wengert.transform.jvp import jvp_flat
from wengert.transform.linear import linearize_flat, quiet
from wengert.transform.reverse import pulled
from wengert.transform.rolled import rolled
from wengert.transform.vmap import vmap as mapped

__all__ = [
    "grad",
    "hvp",
    "jvp",
    "linearize",
    "pair",
    "refuse_piecewise",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]

Argnums = int | Sequence[int]


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Return a function that computes `f` and its gradient in one reverse pass.

    Parameters
    ----------
    f : callable
        Returns a real scalar (a pair of it and anything else with `has_aux`), written with NumPy.
    argnums : int or sequence of int
        The positional arguments to differentiate; each may be a pytree of arrays.
    has_aux : bool
        Whether `f` returns ``(value, aux)``.
    holomorphic : bool
        Whether `f` is holomorphic, with complex inputs and result.

    Returns
    -------
    callable
        ``(value, gradient)`` (``((value, aux), gradient)`` with `has_aux`). The gradient has the
        form, shapes and dtypes of the argument, a tuple of them for several. For a real function of
        complex inputs it is df/da - i df/db at a + i b, as in JAX.

    Raises
    ------
    InputError
        For integer inputs, a complex result, or an `argnums` that names no argument.
    ShapeError
        For a result that is not a scalar.
    """
    check_places(f, argnums, "grad", has_aux=has_aux, holomorphic=holomorphic)
    name = f"grad({getattr(f, '__name__', 'f')})"

    @transformed("value_and_grad", f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        chosen = trees.select(args, argnums, name)
        leaves = chosen.leaves
        if holomorphic and any(dtype_of(x).kind != "c" for x in leaves):
            kinds = ", ".join(str(dtype_of(x)) for x in leaves)
            raise InputError(
                f"{name} with holomorphic=True takes complex inputs, not {kinds}" + user_line()
            )
        with Tape() as tape:
            inputs = [tape.input(x) for x in leaves]
            roots = [t._var for t in inputs]
            out = chosen.call(f, inputs, kwargs)
            if has_aux:
                out, aux = pair(out, name)
                aux = trees.unwrap(aux, tape)
            y, seed = _scalar(out, tape, name, holomorphic)
        grads: list[Any] = [None] * len(leaves)
        if seed is not None:
            tape.captured.verify()
            tape, roots, (seed,) = rolled(tape, roots, [seed])
            y = seed.data
            with quiet():
                grads = pulled(tape.nodes, [(seed, dtype_of(y).type(1))], roots)
        result = chosen.pack(trees.own(grads, leaves))
        return ((y, aux), result) if has_aux else (y, result)

    return wrapped


def grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """Return a function that computes the gradient of `f`; see `value_and_grad`.

    Returns
    -------
    callable
        The gradient (``(gradient, aux)`` with `has_aux`).
    """
    both = value_and_grad(f, argnums, has_aux, holomorphic)

    @transformed("grad", f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        y, g = both(*args, **kwargs)
        return (g, y[1]) if has_aux else g

    return wrapped


def pair(out: Any, name: str) -> tuple[Any, Any]:
    """Take the result of a function with has_aux=True apart."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise InputError(
            f"{name} with has_aux=True takes a function that returns (value, aux), not "
            f"{type(out).__name__}" + user_line()
        )
    return out


def _scalar(out: Any, tape: Tape, name: str, holomorphic: bool) -> tuple[Any, Any]:
    """Check that a result is a scalar; return its value and where it stands on the tape."""
    if isinstance(out, Tracer):
        out._refresh()
    if isinstance(out, Tracer) and out._trace is tape:
        y, seed = out._var.data, out._var
    else:
        y, seed = out, None
        if isinstance(y, Tracer):
            y._check_alive()
        if not isinstance(y, (Traced, np.ndarray, np.generic, float, int, complex)):
            what = "None; does it lack a return?" if y is None else f"a {type(y).__name__}"
            raise InputError(
                f"{name} takes a function that returns a scalar, but it returned {what}"
                + (" (for value and more, use has_aux=True)" if isinstance(y, tuple) else "")
                + user_line()
            )
    shape = shape_of(y)
    if shape != ():
        raise ShapeError(
            f"{name} takes a function that returns a scalar, but it returned shape {shape}. "
            "Reduce it (np.sum, np.mean), or use wg.jacobian or wg.vjp." + user_line()
        )
    kind = dtype_of(y).kind
    if kind == "c" and not holomorphic:
        raise InputError(
            f"{name} takes a function that returns a real scalar, but it returned {dtype_of(y)}. "
            "Use np.real(...) or np.abs(...) of it, or holomorphic=True." + user_line()
        )
    if kind not in "fc":
        raise InputError(_piecewise(name, y) + user_line())
    return y, seed


def _piecewise(name: str, y: Any) -> str:
    """Say that a result has no derivative."""
    return (
        f"{name} takes a function that returns floating-point numbers, but it returned "
        f"{dtype_of(y)}, which has no derivative. Return integers and Booleans (a comparison, "
        "argmax, a count) beside the result with has_aux=True, or write 1.0 instead of 1."
    )


def refuse_piecewise(ys: Sequence[Any], name: str) -> None:
    """Raise where a result cannot be differentiated."""
    for y in ys:
        if not is_inexact(y):
            raise InputError(_piecewise(name, y) + user_line())


@hidden
def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Evaluate `f` and return its pullback, cotangent times Jacobian.

    Parameters
    ----------
    f : callable
    *primals : pytrees of arrays
        The point; integer arrays are constants.
    has_aux : bool
        Whether `f` returns ``(result, aux)``.

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
    lin, primal_pack, y, _, aux, leaves = _linearized(f, primals, has_aux, "vjp")

    def pullback(ct: Any) -> Any:
        cts, _, _ = trees.same_form(ct, y, "the cotangent")
        found = lin.pull(cts)
        return primal_pack(trees.own(found, leaves, cts))

    return (y, pullback, aux) if has_aux else (y, pullback)


@hidden
def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Evaluate `f` and return its derivative at the point, Jacobian times tangent.

    Parameters
    ----------
    f : callable
    *primals : pytrees of arrays

    Returns
    -------
    y : pytree
        ``f(*primals)``.
    f_lin : callable
        ``f_lin(*tangents)`` returns the tangent of `y` without evaluating `f` again.
    """
    lin, _, y, rebuild, _, _ = _linearized(f, primals, False, "linearize")
    flat_y, _ = trees.flatten(y)

    def f_lin(*tangents: Any) -> Any:
        ts, _, _ = trees.same_form(tangents, primals, "the tangent")
        found = lin.push([t if is_inexact(t) else None for t in ts])
        return rebuild(trees.own(found, flat_y, ts))

    return y, f_lin


def _linearized(
    f: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool, name: str
) -> tuple[Any, ...]:
    check_function(f, name)
    check_flag(has_aux, name, "has_aux")
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
    aux = trees.unwrap(form[0], lin.tape) if has_aux else None
    ys = [y.copy() if isinstance(y, np.ndarray) else trees.frozen(y) for y in lin.ys]
    return lin, pack, form[-1](ys), form[-1], aux, leaves


def _scalar_leaf(x: Any) -> Any:
    return np.asarray(x)[()]


@hidden
def jvp(
    f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Evaluate `f` and its directional derivative together, in forward mode.

    Parameters
    ----------
    f : callable
    primals, tangents : sequence of pytrees of arrays
        The point and the direction; of the same form and shapes.
    has_aux : bool
        Whether `f` returns ``(result, aux)``.

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
    """
    check_function(f, "jvp")
    check_flag(has_aux, "jvp", "has_aux")
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


@functools.wraps(mapped)
def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """Return a function that applies `f` to many examples at once, with a plan."""
    check_function(f, "vmap")
    return transformed("vmap", f)(mapped(f, in_axes, out_axes))


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
