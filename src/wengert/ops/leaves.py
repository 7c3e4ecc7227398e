"""What an object is to wengert, decided in one place for arguments, operands and captured values.

Arrays of numbers and numbers are *data*: they become inputs of a graph, or constants that it
refers to. Strings, None, functions, and other objects are *fixed*: a recording holds for one value.
Everything that means something else than the plain array that NumPy could make of it is *refused*:
masked arrays, matrices, arrays with units, labels or fields, and arrays of other libraries.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from wengert.errors import InputError, user_line
from wengert.ops.base import Traced

__all__ = ["checked", "decides_itself", "is_array", "is_data", "is_foreign", "plain", "refusal"]

_NUMERIC = "biufc"
_TEXT = "USmM"
_EXACT = frozenset({float, int, bool, complex, np.float64, np.float32, np.int64, np.bool_})
_PROTOCOLS = (
    *("__array__", "__array_interface__", "__array_struct__", "__array_ufunc__"),
    *("__array_function__", "__dlpack__", "__cuda_array_interface__"),
)
_CONVERTED = tuple(n for n in _PROTOCOLS if n not in ("__array_ufunc__", "__array_function__"))
_INSTEAD = {
    "MaskedArray": "its operations skip masked entries. Pass m.filled(value), and the mask as an "
    "array of its own for np.where",
    "MaskedConstant": "it stands for no number. Pass a number",
    "matrix": "its * is a product of matrices and its slices keep two axes. Pass np.asarray(M), "
    "and write A @ B for the product",
    "recarray": "its fields are arrays of their own. Pass x['field'] of each that is needed",
    "chararray": "it holds text. Pass a tuple of strings",
}


def is_data(x: Any) -> bool:
    """Whether an object is data: a number, an array of numbers or a traced value.

    Raises
    ------
    InputError
        For what is refused.
    """
    kind = type(x)
    if kind in _EXACT or isinstance(x, Traced):
        return True
    if kind is np.ndarray:
        found = x.dtype.kind
        if found in _NUMERIC:
            return True
        if found in _TEXT:
            return False
    elif isinstance(x, np.generic):
        if x.dtype.kind in _NUMERIC:
            return True
        if x.dtype.kind in _TEXT:
            return False
    elif kind is np.memmap:
        return True
    reason = refusal(x)
    if reason:
        raise InputError(reason + user_line())
    return False


def is_array(x: Any) -> bool:
    """Whether an object is a plain array of numbers."""
    return type(x) is np.ndarray and x.dtype.kind in _NUMERIC


def plain(x: Any) -> Any:
    """Return a piece of data as the exact type that it stands for: a view of a `numpy.memmap`."""
    return x.view(np.ndarray) if type(x) is np.memmap else x


def checked(x: Any, what: str) -> Any:
    """Return an operand as a plain array, number or traced value; other objects as they are.

    Parameters
    ----------
    x : object
    what : str
        What `x` is in an error: "an argument of grad(f)".

    Raises
    ------
    InputError
        For what is refused.
    """
    kind = type(x)
    if kind in _EXACT or isinstance(x, Traced):
        return x
    if kind is np.ndarray:
        if x.dtype.kind in _NUMERIC:
            return x
    elif kind is np.memmap:
        return x.view(np.ndarray)
    reason = refusal(x, what)
    if not reason and isinstance(x, np.ndarray):
        reason = (
            f"{what} is an array of dtype {x.dtype}, which holds no numbers. Compare, or take "
            "differences of dates in a unit, (d - d[0]) / np.timedelta64(1, 's'), before"
        )
    if reason:
        raise InputError(reason + user_line())
    return x


def is_foreign(kind: type) -> bool:
    """Whether a type, not NumPy's, has arrays of its own meaning."""
    if kind.__module__ == "builtins":
        return False
    if any(hasattr(kind, name) for name in _PROTOCOLS):
        return True
    return hasattr(kind, "__array_priority__") or hasattr(kind, "__dataframe__")


def decides_itself(kind: type) -> bool:
    """Whether NumPy's operators leave the meaning to this type (``__array_ufunc__ = None``)."""
    if any(hasattr(kind, name) for name in _CONVERTED):
        return False
    return getattr(kind, "__array_ufunc__", None) is None


def refusal(x: Any, what: str = "an argument") -> str:
    """Return why an object is neither data nor fixed, and what to write; empty where it is."""
    kind = type(x)
    if kind in _EXACT or isinstance(x, (Traced, type, enum.Enum)):
        return ""
    if isinstance(x, (np.ndarray, np.generic)):
        return _of_numpy(x, what)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    if kind.__module__.startswith("scipy.sparse"):
        return (
            f"{what} is a {name}, whose entries cannot be followed. Let the function refer to it "
            "as a constant from outside (A @ x, x @ A and solvers take it), or pass its array of "
            "entries, A.data, and compute with that and the constant A.indices and A.indptr"
        )
    own = getattr(x, "__dict__", {})
    if not is_foreign(kind) and not any(name in own for name in _PROTOCOLS):
        return ""
    return (
        f"{what} is a {name}, not an array of NumPy, and what it means beyond its numbers (labels, "
        "units, masks, its own memory or derivatives) would get lost. Pass its numbers, "
        + _numbers(x)
    )


def _numbers(x: Any) -> str:
    """Say how to write the plain array of an object."""
    package = type(x).__module__.partition(".")[0]
    if package == "torch":
        return "t.detach().numpy()"
    if package == "pandas":
        return "x.to_numpy()"
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return "np.from_dlpack(x)"
    return "np.asarray(x)"


def _of_numpy(x: Any, what: str) -> str:
    kind = type(x)
    dtype = x.dtype
    if isinstance(x, np.ndarray) and kind is not np.ndarray and kind is not np.memmap:
        names = [base.__name__ for base in kind.__mro__]
        instead = next((_INSTEAD[n] for n in names if n in _INSTEAD), None)
        module = kind.__module__.partition(".")[0]
        return (
            f"{what} is a {module}.{kind.__name__}, a subclass of numpy.ndarray: "
            + (instead or "what it means beyond its numbers would get lost. Pass np.asarray(x)")
            + "."
        )
    if dtype.kind == "O":
        return (
            f"{what} is an array of Python objects (dtype object), which cannot be followed. "
            "Convert it with x.astype(float)."
        )
    if dtype.kind == "V":
        return (
            f"{what} is an array with fields (dtype {dtype}), which cannot be followed. Pass "
            "x['field'] of each that is needed."
        )
    if dtype.kind not in _NUMERIC and dtype.kind not in _TEXT:
        return f"{what} is an array of dtype {dtype}, which cannot be followed."
    return ""
