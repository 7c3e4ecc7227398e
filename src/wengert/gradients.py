"""`grad` and `value_and_grad`: the gradient of a function with a scalar result, in reverse mode."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

import numpy as np

from wengert import trees
from wengert.errors import InputError, ShapeError, hidden, user_line
from wengert.follow.functions import call as call_followed
from wengert.jit.transformed import Transformed, transformed
from wengert.ops.base import Traced, dtype_of, is_inexact, shape_of
from wengert.ops.options import check_places, names
from wengert.trace.capture import Arguments
from wengert.trace.labelled import as_numbers
from wengert.trace.numpy import methods as methods  # fills the tables of NumPy's functions
from wengert.trace.python import stand_ins as stand_ins  # fills those of followed code
from wengert.trace.scipy import sparse as sparse  # and those of sparse matrices
from wengert.trace.tape import Tape
from wengert.trace.tracer import Tracer
from wengert.transform.linear import quiet
from wengert.transform.reverse import pull_back
from wengert.transform.rolled import rolled

__all__ = [
    "Argnums",
    "elementwise_grad",
    "grad",
    "pair",
    "refuse_piecewise",
    "refuse_whole",
    "value_and_grad",
]

Argnums = int | Sequence[int]
P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
X = TypeVar("X")


@overload
def value_and_grad(
    f: Callable[Concatenate[X, P], R],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
    holomorphic: bool = False,
    *,
    argnames: None = None,
    allow_int: bool = False,
) -> Transformed[Concatenate[X, P], tuple[R, X]]: ...
@overload
def value_and_grad(
    f: Callable[Concatenate[X, P], tuple[R, A]],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[True],
    holomorphic: bool = False,
    argnames: None = None,
    allow_int: bool = False,
) -> Transformed[Concatenate[X, P], tuple[tuple[R, A], X]]: ...
@overload
def value_and_grad(
    f: Callable[P, R],
    argnums: int | Sequence[int] = 0,
    has_aux: Literal[False] = False,
    holomorphic: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    allow_int: bool = False,
) -> Transformed[P, tuple[R, Any]]: ...
@overload
def value_and_grad(
    f: Callable[P, Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    allow_int: bool = False,
) -> Transformed[P, Any]: ...
@hidden
def value_and_grad(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    allow_int: bool = False,
) -> Any:
    """Return a function that computes `f` and its gradient in one reverse pass.

    Parameters
    ----------
    f : callable
        Returns a real scalar (a pair of it and anything else with `has_aux`), written with NumPy.
    argnums : int or sequence of int
        The positions of the arguments to differentiate; each may be a pytree of arrays. A call may
        give them by keyword.
    has_aux : bool
        Whether `f` returns ``(value, aux)``.
    holomorphic : bool
        Whether `f` is holomorphic, with complex inputs and result.
    argnames : str or sequence of str, optional
        The names of the arguments to differentiate, in place of `argnums`.
    allow_int : bool
        Whether integers and Booleans are allowed among what is differentiated, and as the result.
        They are constants there, and their derivative is 0.

    Returns
    -------
    callable
        ``(value, gradient)`` (``((value, aux), gradient)`` with `has_aux`). The gradient has the
        form, shapes and dtypes of the argument, a tuple of them for several `argnums`, a dict of
        them for several `argnames`. For a real function of complex inputs it is df/da - i df/db at
        a + i b, as in JAX.

    Raises
    ------
    InputError
        For integer inputs or a Boolean or integer result without `allow_int`, a complex result, or
        an `argnums` that names no argument.
    ShapeError
        For a result that is not a scalar.
    """
    check_places(f, argnums, "grad", has_aux=has_aux, holomorphic=holomorphic, allow_int=allow_int)
    if argnames is not None:
        names(argnames, "grad", "argnames")
    name = f"grad({getattr(f, '__name__', 'f')})"

    @transformed(
        "value_and_grad",
        f,
        value_and_grad,
        argnums=argnums,
        has_aux=has_aux,
        holomorphic=holomorphic,
        argnames=argnames,
        allow_int=allow_int,
    )
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        chosen = trees.select(args, argnums, name, f, kwargs, argnames, allow_int)
        leaves = chosen.leaves
        if holomorphic and any(dtype_of(x).kind != "c" for x in leaves):
            kinds = ", ".join(str(dtype_of(x)) for x in leaves)
            raise InputError(
                f"{name} with holomorphic=True takes complex inputs, not {kinds}" + user_line()
            )
        given = Arguments(leaves)
        with Tape() as tape:
            inputs = [tape.input(x) for x in leaves]
            roots = [t._var for t in inputs]
            out = chosen.call(f, inputs, kwargs)
            given.verify(inputs, tape.captured)
            if has_aux:
                out, aux = pair(out, name)
                aux = trees.unwrap(aux, tape)
            y, seed = _scalar(out, tape, name, holomorphic, allow_int)
        grads: list[Any] = [None] * len(leaves)
        if seed is not None:
            tape.captured.verify()
            tape, roots, (seed,) = rolled(tape, roots, [seed])
            y = seed.data
            with quiet():
                grads = pull_back(tape.nodes, [(seed, dtype_of(y).type(1))], roots)
        result = chosen.pack(trees.own(grads, leaves))
        return ((y, aux), result) if has_aux else (y, result)

    return wrapped


@overload
def grad(
    f: Callable[Concatenate[X, P], R],
    argnums: Literal[0] = 0,
    has_aux: Literal[False] = False,
    holomorphic: bool = False,
    *,
    argnames: None = None,
    allow_int: bool = False,
) -> Transformed[Concatenate[X, P], X]: ...
@overload
def grad(
    f: Callable[Concatenate[X, P], tuple[R, A]],
    argnums: Literal[0] = 0,
    *,
    has_aux: Literal[True],
    holomorphic: bool = False,
    argnames: None = None,
    allow_int: bool = False,
) -> Transformed[Concatenate[X, P], tuple[X, A]]: ...
@overload
def grad(
    f: Callable[P, R],
    argnums: int | Sequence[int] = 0,
    has_aux: Literal[False] = False,
    holomorphic: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    allow_int: bool = False,
) -> Transformed[P, Any]: ...
@overload
def grad(
    f: Callable[P, Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    allow_int: bool = False,
) -> Transformed[P, Any]: ...
@hidden
def grad(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
    allow_int: bool = False,
) -> Any:
    """Return a function that computes the gradient of `f`; see `value_and_grad`.

    Returns
    -------
    callable
        The gradient (``(gradient, aux)`` with `has_aux`).
    """
    both: Any = value_and_grad(
        f, argnums, has_aux, holomorphic, argnames=argnames, allow_int=allow_int
    )

    @transformed(
        "grad",
        f,
        grad,
        argnums=argnums,
        has_aux=has_aux,
        holomorphic=holomorphic,
        argnames=argnames,
        allow_int=allow_int,
    )
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        y, g = both(*args, **kwargs)
        return (g, y[1]) if has_aux else g

    return wrapped


@hidden
def elementwise_grad(
    f: Callable[Concatenate[X, P], Any], argnums: int = 0
) -> Transformed[Concatenate[X, P], X]:
    """Return a function that computes the derivative of each entry of `f` by its own argument.

    For a function that works by elements: entry i of the result depends on entry i of the argument
    only. One pass in reverse mode is made for all entries.

    Parameters
    ----------
    f : callable
        Returns an array of the shape of the argument.
    argnums : int
        The position of the argument.

    Returns
    -------
    callable
        The derivative, of the shape of the argument.

    Raises
    ------
    ShapeError
        For a result of another shape than the argument's. Whether `f` works by elements is not
        checked otherwise: where it does not, the sum of each column of the Jacobian comes out.
    """
    check_places(f, argnums, "elementwise_grad")
    name = f"elementwise_grad({getattr(f, '__name__', 'f')})"

    @transformed("elementwise_grad", f, elementwise_grad, argnums=argnums)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        @functools.wraps(f)
        def total(*given: Any, **named: Any) -> Any:
            y = call_followed(f, given, named)
            x = trees.select(given, argnums, name, f, named).leaves
            if len(x) != 1 or np.shape(y) != np.shape(x[0]):
                raise ShapeError(
                    f"{name} takes a function whose result has the shape of its argument, "
                    f"{np.shape(x[0])}, but it returned {np.shape(y)}. Use wg.jacobian, or "
                    "wg.vmap(wg.grad(f)) for a function of one entry." + user_line()
                )
            return np.sum(y)

        return grad(total, argnums)(*args, **kwargs)

    made: Any = wrapped
    return made  # type: ignore[no-any-return]


def pair(out: Any, name: str) -> tuple[Any, Any]:
    """Check that a result is a pair, the second of which is not differentiated."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise InputError(
            f"{name} with has_aux=True takes a function that returns (value, aux), not "
            f"{type(out).__name__}" + user_line()
        )
    return out


def _scalar(out: Any, tape: Tape, name: str, holomorphic: bool, allow_int: bool) -> tuple[Any, Any]:
    """Check that a result is a scalar; return its value and where it stands on the tape."""
    if type(out).__module__.startswith("xarray"):
        out = as_numbers(out)  # of a DataArray without axes
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
    if kind not in "fc" and not allow_int:
        raise InputError(_piecewise(name, y) + user_line())
    return y, seed if kind in "fc" else None


def _piecewise(name: str, y: Any) -> str:
    """Say that a result has no derivative."""
    return (
        f"{name} takes a function that returns floating-point numbers, but it returned "
        f"{dtype_of(y)}, which has no derivative. Return integers and Booleans (a comparison, "
        "argmax, a count) beside the result with has_aux=True, or write 1.0 instead of 1."
    )


def refuse_whole(ys: Sequence[Any], name: str, allow_int: bool) -> None:
    """Raise where nothing of a result has a derivative, unless that is allowed."""
    if allow_int or not ys or any(map(is_inexact, ys)):
        return
    y = ys[0] if isinstance(ys[0], Traced) else np.asarray(ys[0])
    raise InputError(
        _piecewise(name, y) + " With allow_int=True the derivative is zeros." + user_line()
    )


def refuse_piecewise(ys: Sequence[Any], name: str) -> None:
    """Raise where a result cannot be differentiated."""
    for y in ys:
        if not is_inexact(y):
            raise InputError(_piecewise(name, y) + user_line())
