"""Whose fault a failure is: an exception out of what stands for a NumPy function.

What stands for a function is NumPy code of wengert's own, and fails in its own words where it is
given something that it was not written for. The user is to see NumPy's exception where NumPy raises
one as well, and a refusal that names the function where NumPy would have answered.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from wengert.errors import UnsupportedError, user_line
from wengert.ops.base import Traced
from wengert.trace import memory
from wengert.trace.refused import instead

__all__ = ["explained", "unsupported"]

_PASSED = (MemoryError, RecursionError, ArithmeticError, RuntimeWarning, np.linalg.LinAlgError)
"""Exceptions that say nothing about what is supported: an operation raised them for its numbers,
perhaps those of one example of a batch."""


def explained(
    error: Exception, function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Exception:
    """Return the exception to raise in place of one that a stand-in for NumPy's function raised.

    Parameters
    ----------
    error : Exception
        What was raised; none of wengert's own.
    function : callable
        NumPy's function.
    name : str
        How the user writes it.
    args, kwargs
        The arguments of the call, traced values included.

    Returns
    -------
    Exception
        NumPy's own exception for plain arrays of the same values, else an `UnsupportedError`;
        `error` itself where a function of the user was among the arguments and may have raised it.
    """
    given = (*args, *kwargs.values())
    if (
        isinstance(error, _PASSED)
        or hasattr(error, "is_signal")
        or any(map(_is_users_function, given))
    ):
        return error
    try:
        with warnings.catch_warnings():
            if not isinstance(error, Warning):
                warnings.simplefilter("ignore")
            function(*map(_plain, args), **{key: _plain(x) for key, x in kwargs.items()})
    except Exception as numpys:
        if isinstance(error, type(numpys)) and _is_told(error):
            return error
        numpys.add_note(f"raised by {name}{user_line()}")
        return numpys
    reason = str(error).splitlines()[0] if str(error) else ""
    return UnsupportedError(
        f"{name} with these arguments is not supported on traced values, though NumPy takes them "
        f"({type(error).__name__}: {reason}). Write it with other functions, or take the value out "
        f"of the derivative with wg.stop_gradient(x)." + user_line()
    )


def _is_told(error: Exception) -> bool:
    """Whether the stand-in raised an error on purpose, with the place in the user's code."""
    return isinstance(error, np.exceptions.AxisError) or "\n  at " in str(error)


def _is_users_function(x: Any) -> bool:
    return callable(x) and not isinstance(x, (type, np.ufunc, np.dtype))


def _number(x: Any) -> Any:
    """Return the number of Python or NumPy under a traced value, or None."""
    while isinstance(x, Traced):
        x = x._var.data  # type: ignore[attr-defined]
    return x if isinstance(x, (bool, int, float, complex, np.generic)) else None


def _plain(x: Any) -> Any:
    """Copy an argument, with plain arrays in place of traced values (an example of a batch)."""
    if isinstance(x, Traced):
        x._refresh()  # type: ignore[attr-defined]
        data = memory.example(x._trace, x._var)  # type: ignore[attr-defined]
        if data is not None and data.shape == x.shape:  # type: ignore[attr-defined]
            return data.copy()
        number = _number(x)
        return np.zeros(x.shape, x.dtype) if number is None else number  # type: ignore[attr-defined]
    if isinstance(x, np.ndarray):
        return x.copy()
    if type(x) in (list, tuple):
        return type(x)(map(_plain, x))
    if type(x) is slice:
        return slice(*map(_plain, (x.start, x.stop, x.step)))
    return x


def unsupported(name: str) -> str:
    """Say that a function is not supported, and what to write in its place."""
    known = instead(name)
    return (
        f"wengert does not differentiate {name}."
        + (f" {known[0].upper()}{known[1:]}." if known else "")
        + " The supported functions are listed in docs/numpy.md; wg.custom_jvp gives another "
        "function its derivative."
    )
