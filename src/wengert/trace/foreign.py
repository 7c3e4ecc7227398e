"""Operands that are no arrays of NumPy: lists, sparse matrices, labelled arrays, other objects.

Beside a traced value they mean what they mean beside an array. NumPy leaves an operator to an
object that asks for it (``__array_ufunc__``, ``__array_priority__``), and makes arrays of others.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import InputError, user_line
from wengert.ops import elementwise as ew
from wengert.ops.base import Op, Traced, dtype_of, shape_of
from wengert.ops.leaves import checked, decides_itself, is_foreign, refusal
from wengert.trace import indexing
from wengert.trace.labelled import (
    as_numbers,
    held,
    is_held,
    is_memory_only,
    numbers_of,
    root_of,
)

__all__ = [
    "NOT_NUMERIC",
    "OPERAND",
    "SPARSE",
    "answers",
    "applied",
    "frame",
    "is_sparse_product",
    "matrix_product",
    "met",
    "operand",
]

OPERAND = "an operand of a traced value"
"""What a value that does not fit is called in the error."""

SPARSE: list[Any] = []
"""Whether an object is a sparse matrix, and its product with a traced value, put here by
`wengert.trace.scipy.sparse`."""

_OPERANDS = (np.ndarray, np.generic, int, float, complex)
NOT_NUMERIC = (str, bytes, dict, set, type(None))

_PYTHONS: dict[Op, tuple[Callable[[Any, Any], Any], str]] = {
    ew.UFUNCS[ufunc]: (getattr(operator, name.strip("_") + ("_" if name.endswith("_") else "")),
                       f"__{reflected}__")
    for ufunc, name, reflected in (
        (np.add, "add", "radd"), (np.subtract, "sub", "rsub"), (np.multiply, "mul", "rmul"),
        (np.divide, "truediv", "rtruediv"), (np.power, "pow", "rpow"),
        (np.floor_divide, "floordiv", "rfloordiv"), (np.remainder, "mod", "rmod"),
        (np.bitwise_and, "and_", "rand"), (np.bitwise_or, "or_", "ror"),
        (np.bitwise_xor, "xor", "rxor"), (np.left_shift, "lshift", "rlshift"),
        (np.right_shift, "rshift", "rrshift"), (np.less, "lt", "gt"), (np.less_equal, "le", "ge"),
        (np.greater, "gt", "lt"), (np.greater_equal, "ge", "le"), (np.equal, "eq", "eq"),
        (np.not_equal, "ne", "ne"),
    )
}  # fmt: skip
"""For an operation: Python's operator, and the method that the right operand has for it."""


_SPREADING = frozenset(ew.UFUNCS[f] for f in (np.add, np.subtract, np.multiply, np.divide))
"""Operations whose result is NaN where an operand is."""


def operand(other: Any) -> Any:
    """Turn an operand of an unusual type into an array, as NumPy's operators do.

    NotImplemented where the operator belongs to the other object; see `met`.
    """
    if isinstance(other, Traced):
        return other
    if isinstance(other, (list, tuple)):
        return indexing.stack_nested(other)
    if isinstance(other, NOT_NUMERIC):
        return NotImplemented
    kind = type(other)
    if is_held(other):
        return other.numbers
    if is_foreign(kind) and (decides_itself(kind) or answers(kind)):
        return NotImplemented
    if is_memory_only(kind):
        return np.from_dlpack(other)
    other = checked(other, OPERAND)
    return other if isinstance(other, _OPERANDS) else NotImplemented


def answers(kind: type) -> bool:
    """Whether NumPy's operators leave the result to a type that is no array of NumPy."""
    if issubclass(kind, (np.ndarray, np.generic)):
        return False
    if callable(getattr(kind, "__array_ufunc__", None)):
        return True
    priority = getattr(kind, "__array_priority__", 0.0)
    return isinstance(priority, (int, float)) and priority > 0


def met(op: Op, other: Any, x: Any, side: str) -> Any:
    """Apply one of Python's operators to a traced value and an object that decides about it.

    Parameters
    ----------
    op : Op
    other : object
        For which `operand` gave NotImplemented.
    x : Tracer
    side : {"left", "right"}
        On which side of the operator `other` stands.
    """
    kind = type(other)
    if op is ew.multiply and SPARSE and SPARSE[0](other) and kind.__name__.endswith("x"):
        return SPARSE[1](other, x, side)
    if not is_foreign(kind) or decides_itself(kind) or op not in _PYTHONS:
        return NotImplemented
    apply, reflected = _PYTHONS[op]
    if root_of(kind) == "pandas":
        return _labelled(op, apply, other, x, side)
    return _reflected(reflected, other, x, side)


def _reflected(name: str, other: Any, x: Any, side: str) -> Any:
    """Call the method of an object that Python would call next, and refuse where it refuses."""
    made: Any = NotImplemented
    if side == "right" and hasattr(type(other), name):
        try:
            made = getattr(type(other), name)(other, x)
        except TypeError as error:
            if "\n  at " in str(error):
                raise
            raise InputError(f"{refusal(other, OPERAND)} ({error})" + user_line()) from error
    if made is NotImplemented:
        raise InputError(refusal(other, OPERAND) + user_line())
    return made


def matrix_product(other: Any, x: Any, side: str) -> Any:
    """Apply ``@`` to a traced value and an operand of an unusual type."""
    kind = type(other)
    if SPARSE and SPARSE[0](other):
        return SPARSE[1](other, x, side)
    if root_of(kind) == "pandas" and hasattr(other, "dot") and side == "right":
        return _dotted(x, other)
    if is_foreign(kind):
        if decides_itself(kind):
            return NotImplemented  # NumPy leaves it to the other one's `__rmatmul__`
        if answers(kind) and not is_held(other):
            return _reflected("__rmatmul__", other, x, side)
    other = as_numbers(other)
    return np.matmul(other, x) if side == "left" else np.matmul(x, other)


def _dotted(x: Any, other: Any) -> Any:
    """Return ``x @ other`` of a Series or DataFrame: pandas says which labels the result has."""
    import pandas as pd

    made = np.matmul(x, numbers_of(other))
    if isinstance(other, pd.Series) or len(shape_of(x)) == 1:
        if isinstance(other, pd.Series):
            return made
        return pd.Series(held(made), index=other.columns)
    return frame(made, None, other.columns)


def applied(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    """Apply a ufunc to operands of which one decides itself; None where no such operand is there.

    Returns
    -------
    object
        NotImplemented where NumPy is to ask the other one.
    """
    for i, y in enumerate(inputs):
        kind = type(y)
        if isinstance(y, Traced) or not is_foreign(kind) or is_held(y):
            continue
        if root_of(kind) == "pandas":
            op = ew.UFUNCS.get(ufunc)
            if op is None or len(inputs) != 2 or not isinstance(inputs[1 - i], Traced):
                raise InputError(refusal(y, OPERAND) + user_line())
            return _labelled(op, ufunc, y, inputs[1 - i], "left" if i == 0 else "right")
        if answers(kind) and callable(getattr(kind, "__array_ufunc__", None)):
            return NotImplemented
    return None


def _labelled(op: Op, apply: Callable[[Any, Any], Any], other: Any, x: Any, side: str) -> Any:
    """Apply an operator to a Series or DataFrame of pandas and a traced value.

    pandas itself says, for zeros in the place of both, which labels the result has.
    """
    import pandas as pd

    if not isinstance(other, (pd.Series, pd.DataFrame)):
        raise InputError(
            f"{OPERAND} is a pandas.{type(other).__name__}, which cannot hold traced numbers. "
            "Write index.to_numpy()" + user_line()
        )
    values = numbers_of(other)
    kinds = (dtype_of(values).kind, dtype_of(x).kind)
    if op in (ew.UFUNCS[np.floor_divide], ew.UFUNCS[np.remainder]) and "f" not in kinds:
        raise InputError(
            f"{OPERAND} is a pandas.{type(other).__name__} of integers, of which pandas divides by "
            "zero in a way of its own. Write series.to_numpy(), or series.astype(float)"
            + user_line()
        )
    zeros = np.zeros(shape_of(values), dtype_of(values))
    if isinstance(other, pd.Series):
        empty: Any = pd.Series(zeros, index=other.index, name=other.name)
    else:
        empty = pd.DataFrame(zeros, index=other.index, columns=other.columns)
    blank = np.zeros(shape_of(x), dtype_of(x))[()]
    template = apply(empty, blank) if side == "left" else apply(blank, empty)
    missing = None
    if op in _SPREADING and not isinstance(values, Traced) and values.dtype.kind == "f":
        missing = np.isnan(values)
        if not missing.any():
            missing = None
        else:  # the derivative at what is skipped later on is 0, not 0 * NaN
            values = np.where(missing, 1.0, values)
    with np.errstate(all="ignore"):  # as pandas has it
        made = op(values, x) if side == "left" else op(x, values)
    if missing is not None:
        made = np.where(missing, np.nan, made)
    if isinstance(template, pd.Series):
        return pd.Series(held(made), index=template.index, name=template.name)
    return frame(made, template.index, template.columns)


def frame(x: Any, index: Any, columns: Any) -> Any:
    """Return a DataFrame of a traced matrix."""
    import pandas as pd

    parts = [pd.Series(held(x[:, i]), index=index) for i in range(shape_of(x)[1])]
    if not parts:
        return pd.DataFrame(index=index, columns=columns)
    made = pd.concat(parts, axis=1)
    made.columns = columns
    return made


def is_sparse_product() -> bool:
    """Whether a sparse matrix of SciPy asks what it is multiplied with."""
    code = sys._getframe(2).f_code
    return code.co_name == "_matmul_dispatch" and "sparse" in code.co_filename
