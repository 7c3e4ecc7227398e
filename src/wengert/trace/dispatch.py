"""NumPy's calls on traced values: which implementation stands for a ufunc or a function.

NumPy hands every ufunc and every dispatched function to the traced value among its arguments. The
modules of `wengert.trace.numpy` fill the tables here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wengert.errors import ConversionError, UnsupportedError, WengertError, called, user_line
from wengert.follow.functions import call as call_followed
from wengert.ops import elementwise as ew
from wengert.ops.base import Op, Traced, dtype_of
from wengert.ops.convert import convert
from wengert.ops.leaves import checked
from wengert.trace import indexing, memory, views
from wengert.trace.blame import explained, unsupported
from wengert.trace.capture import READING, note_read
from wengert.trace.foreign import OPERAND, applied
from wengert.trace.functions import by_function
from wengert.trace.labelled import as_numbers
from wengert.trace.numbers import number_type

__all__ = [
    "CONVERTING",
    "CREATION",
    "FUNCTIONS",
    "KNOWN",
    "OPERAND",
    "UFUNC_METHODS",
    "call_function",
    "call_ufunc",
    "know",
]

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""What stands for each NumPy function that dispatches on its arguments."""

UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}
"""What stands for ``ufunc.reduce``, ``ufunc.accumulate`` and the like."""

KNOWN: set[type] = set(
    {float, int, bool, complex, np.ndarray, np.float64, np.float32, np.bool_, np.int64}
)
"""Types of operands that need no check; that of traced values is added where it is defined."""

_BY_REFERENCE = frozenset(
    {"dot", "matmul", "inner", "outer", "tensordot", "einsum", "where", "concatenate", "stack",
     "vstack", "hstack", "solve"}
)  # fmt: skip
"""Functions that make plain arrays operands, and read nothing of them otherwise."""

_FINE: set[type] = KNOWN - {np.ndarray} | {
    *(str, type(None), slice, type(Ellipsis), type, np.dtype)
}
"""Types of arguments of functions that need no check."""


def without_fresh(args: Any, kwargs: Any) -> tuple[Any, Any] | None:
    """Return arguments with the plain arrays that followed code made in the place of handles.

    None where any of them is traced.
    """
    given = (list(args), dict(kwargs))
    leaves = [x for x in _leaves(given) if isinstance(x, Traced)]
    for x in leaves:
        x._refresh()  # type: ignore[attr-defined]
    if any(x._trace.level for x in leaves):
        return None
    return _lowered(given)  # type: ignore[no-any-return]


def _leaves(x: Any) -> Iterator[Any]:
    if isinstance(x, (list, tuple)):
        for item in x:
            yield from _leaves(item)
    elif isinstance(x, dict):
        yield from _leaves(list(x.values()))
    else:
        yield x


def _lowered(x: Any) -> Any:
    if isinstance(x, Traced):
        return x._trace.plain(x)
    if type(x) in (list, tuple):
        return type(x)(map(_lowered, x))
    return {k: _lowered(y) for k, y in x.items()} if type(x) is dict else x


def know(traced: type) -> None:
    """Take the type of traced values among those that need no check."""
    KNOWN.add(traced)
    _FINE.add(traced)


def _all_checked(x: Any, func: Any) -> Any:
    """Check the arguments of a NumPy function, in nested lists and tuples too."""
    kind = type(x)
    if kind in _FINE or (kind is np.ndarray and x.dtype.kind in "fiubc"):
        return x
    if kind is list or kind is tuple:
        fine = _FINE.issuperset(map(type, x))
        return x if fine else kind([_all_checked(y, func) for y in x])
    if func in CONVERTING or func.__module__ == "numpy.linalg":
        x = as_numbers(x)
    return checked(x, f"an argument of numpy.{func.__name__} beside a traced value")


CONVERTING: set[Any] = {
    np.allclose, np.append, np.array_equal, np.average, np.column_stack, np.concatenate,
    np.convolve, np.corrcoef, np.correlate, np.cov, np.cross, np.dot, np.einsum, np.gradient,
    np.histogram, np.hstack, np.inner, np.interp, np.isclose, np.kron, np.median, np.nanmax,
    np.nanmean, np.nanmin, np.nanstd, np.nansum, np.nanvar, np.outer, np.percentile, np.polyfit,
    np.polyval, np.quantile, np.stack, np.tensordot, np.trapezoid, np.vdot, np.vstack, np.where,
}  # fmt: skip
"""Functions that make arrays of what they are given; others may call a method of its own."""

CREATION: set[Any] = set()
"""Functions that are given ``like=x``: they take the traced value first."""


def _unknown(name: str) -> UnsupportedError:
    """Make the error for a function that is not supported."""
    return UnsupportedError(unsupported(name) + user_line())


@functools.cache
def _of_scipy() -> dict[Any, str]:
    import scipy.special

    return {u: n for n, u in vars(scipy.special).items() if isinstance(u, np.ufunc)}


def name_of_ufunc(ufunc: np.ufunc) -> str:
    """Return the dotted name of a ufunc, as one would look it up."""
    name = ufunc.__name__
    if getattr(np, name, None) is ufunc:
        return f"numpy.{name}"
    if ufunc in _of_scipy():
        return f"scipy.special.{_of_scipy()[ufunc]}"
    found = called().name  # a private ufunc under a public function, or one of numba or frompyfunc
    return found or name


_IGNORED = {"casting": "same_kind", "order": "K", "subok": True}


def _where_used(ufunc: np.ufunc, inputs: tuple[Any, ...], where: Any) -> tuple[Any, ...]:
    """Put a harmless number where the result is not used, which NumPy does not compute.

    So ``np.log(x, where=x > 0, out=y)`` neither warns nor has a derivative that is NaN.
    """
    harmless = 1 if ufunc is np.arccosh else 0.5
    return tuple(
        x
        if type(x) in (int, float, complex, bool)
        else np.where(where, x, dtype_of(x).type(harmless if dtype_of(x).kind in "fc" else 1))
        for x in inputs
    )


def _cast_inputs(
    ufunc: np.ufunc, inputs: tuple[Any, ...], dtype: Any, casting: Any
) -> tuple[Any, ...]:
    """Convert arguments of a ufunc to those of the loop that ``dtype=`` and ``casting=`` choose.

    Raises
    ------
    TypeError
        NumPy's, where there is no such loop, or the arguments cannot be cast to it.
    """
    target = None if dtype is None else np.dtype(dtype)
    numbers = [number_type(x) for x in inputs]
    given = tuple(
        kind if kind in (int, float, complex) else ew.promotable(x)
        for kind, x in zip(numbers, inputs, strict=True)
    )
    signature = (None,) * ufunc.nin + (target,) * ufunc.nout
    loop = ufunc.resolve_dtypes(given + (None,) * ufunc.nout, signature=signature, casting=casting)
    with np.errstate(over="ignore"):
        return tuple(
            x if dtype_of(x) == d else convert(x, dtype=d)
            for x, d in zip(inputs, loop, strict=False)
        )


def call_function(like: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """Apply a NumPy function to arguments of which at least one is traced.

    A function that only makes arrays is told by `like` what kind of array to make.
    """
    implementation = FUNCTIONS.get(func)
    if implementation is None:
        plain = without_fresh(args, kwargs)
        if plain is not None:
            return func(*plain[0], **plain[1])
        if str(func.__module__).startswith("numpy.polynomial"):  # written in Python
            return call_followed(func._implementation, args, kwargs)
        raise _unknown(f"{func.__module__}.{func.__name__}")
    for x in args:
        kind = type(x)
        if (
            kind not in _FINE
            and not (kind is np.ndarray and x.dtype.kind in "fiubc")
            and not (kind is list and _FINE.issuperset(map(type, x)))
        ):
            args = _all_checked(args, func)
            break
    if kwargs:
        kwargs = {k: _all_checked(x, func) for k, x in kwargs.items()}
    if READING.sets and func.__name__ not in _BY_REFERENCE:
        note_read([*args, *kwargs.values()])
    try:
        if func in CREATION:
            return implementation(like, *args, **kwargs)
        return views.delivered(func, implementation(*args, **kwargs), args, kwargs)
    except WengertError:
        raise
    except Exception as error:
        reason = explained(error, func, f"{func.__module__}.{func.__name__}", args, kwargs)
        if reason is error:
            raise
        raise reason from error


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a ufunc, or a method of it, to arguments of which at least one is traced."""
    alone = len(inputs) == 1 and not kwargs  # the traced value, which needs no check
    for x in () if alone else inputs:
        kind = type(x)
        if kind not in KNOWN or (kind is np.ndarray and x.dtype.kind not in "fiubc"):
            if method == "__call__":
                made = applied(ufunc, inputs) if not kwargs else None
                if made is not None:
                    return made
                inputs = tuple(map(indexing.stack_nested, inputs))
            inputs = tuple([checked(as_numbers(y), OPERAND) for y in inputs])
            break
    try:
        if method != "__call__":
            return _call_method(ufunc, method, inputs, kwargs)
        op = ew.UFUNCS.get(ufunc)
        if not kwargs and op is not None:
            apply = by_function.get(op)
            if apply is not None:
                return apply(op, *inputs)
            if alone and inputs[0]._view is None:
                return inputs[0]._trace.process(op, inputs, {})
            return op(*inputs)
        return _call_with_options(ufunc, op, inputs, kwargs)
    except WengertError:
        raise
    except Exception as error:
        call = ufunc if method == "__call__" else getattr(ufunc, method)
        name = name_of_ufunc(ufunc) + ("" if call is ufunc else f".{method}")
        reason = explained(error, call, name, inputs, kwargs)
        if reason is error:
            raise
        raise reason from error


def _call_method(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply ``reduce``, ``accumulate``, ``reduceat``, ``outer`` or ``at`` of a ufunc."""
    if READING.sets:
        note_read([*inputs, *kwargs.values()])
    implementation = UFUNC_METHODS.get((ufunc, method)) or UFUNC_METHODS.get((None, method))  # type: ignore[arg-type]
    if implementation is None:
        raise _unknown(f"{name_of_ufunc(ufunc)}.{method}")
    own = () if (ufunc, method) in UFUNC_METHODS else (ufunc,)
    made = implementation(*own, *inputs, **kwargs)
    return views.delivered(getattr(ufunc, method), made, inputs, kwargs)


def _call_with_options(
    ufunc: np.ufunc, op: Op | None, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a ufunc with ``out=``, ``where=`` or ``dtype=``."""
    kwargs = {k: v for k, v in kwargs.items() if k not in _IGNORED or _IGNORED[k] != v}
    out = kwargs.pop("out", None)
    where = kwargs.pop("where", True)
    dtype = kwargs.pop("dtype", None)
    composite = FUNCTIONS.get(ufunc) if op is None else None
    if set(kwargs) - {"casting"} and composite is None:
        raise UnsupportedError(
            f"{name_of_ufunc(ufunc)} with {', '.join(kwargs)} is not supported on traced values"
            + user_line()
        )
    targets = out if isinstance(out, tuple) else (out,)
    for target in targets:
        if target is not None and not isinstance(target, Traced):
            raise ConversionError(
                f"the result of {name_of_ufunc(ufunc)} on a traced value would be stored into a "
                f"plain array of shape {np.shape(target)} (out= or an in-place operator). Write y "
                "= y + x instead of y += x, or make y with np.zeros(shape, like=x)." + user_line()
            )
    given = inputs
    casting = kwargs.pop("casting", "same_kind")
    if dtype is not None or casting != "same_kind":
        inputs = _cast_inputs(ufunc, inputs, dtype, casting)
    if where is not True and out is not None:
        inputs = _where_used(ufunc, inputs, where)
    if op is None:
        if composite is None:
            plain = without_fresh(inputs, kwargs) if out is None else None
            if plain is not None:
                return ufunc(*plain[0], **plain[1])
            raise _unknown(name_of_ufunc(ufunc))
        result = composite(*inputs, **kwargs)
    else:
        result = call_ufunc(ufunc, "__call__", inputs, {})
    if dtype is not None:
        result = memory.as_iterated(result, given)
    if out is None:
        if where is not True:
            raise UnsupportedError(
                f"numpy.{ufunc.__name__} with where= and no out= leaves elements undefined; use "
                f"np.where(mask, np.{ufunc.__name__}(...), default)" + user_line()
            )
        return result
    results = result if isinstance(result, tuple) else (result,)
    for target, value in zip(targets, results, strict=True):
        if target is not None:
            target._store(value if where is True else np.where(where, value, target))
    return targets[0] if len(targets) == 1 else targets
