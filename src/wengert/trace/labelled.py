"""Arrays of traced numbers inside Series and DataFrames of pandas.

pandas lets another library hold the values of a column, as an *extension array*. One of traced
numbers makes labels, alignment, missing values, ``std`` with ``ddof=1`` and the rest mean what they
mean in pandas. What this array cannot do raises.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import InputError, user_line
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.trace.kinds import is_asked, is_users_file
from wengert.trace.numbers import as_python
from wengert.trace.refused import refused_by

__all__ = [
    "HOLDERS",
    "as_numbers",
    "held",
    "is_held",
    "is_memory_only",
    "numbers_of",
    "root_of",
    "traced_array",
]


HOLDERS: set[type] = set()
"""Classes of pandas whose objects may hold traced numbers, once there are any."""


def root_of(kind: type) -> str:
    """Return the name of the package that a type belongs to."""
    return kind.__module__.partition(".")[0]


def is_held(x: Any) -> bool:
    """Whether an object is an array of traced numbers that pandas holds."""
    return type(x).__name__ == "TracedArray" and hasattr(x, "numbers")


def held(x: Any) -> Any:
    """Return an array or number as pandas holds it: a vector becomes an extension array."""
    if not isinstance(x, Traced) or len(shape_of(x)) != 1:
        return x
    made, _ = traced_array()
    return made(x)


def numbers_of(x: Any) -> Any:
    """Return what NumPy makes of a Series, an Index, a DataFrame or one of their arrays.

    Raises
    ------
    InputError
        Where its entries are no numbers of NumPy.
    """
    if is_held(x):
        return x.numbers
    if hasattr(x, "columns"):
        columns = [numbers_of(x.iloc[:, i]) for i in range(x.shape[1])]
        if any(isinstance(c, Traced) for c in columns):
            return np.stack(columns, axis=1)
        made = x.to_numpy()
    else:
        inner = getattr(x, "array", x)
        if is_held(inner):
            return inner.numbers
        made = np.asarray(x)
    dtype = getattr(x, "dtype", made.dtype)
    if not isinstance(dtype, np.dtype) or made.dtype.kind not in "biufc":
        kind = type(x)
        raise InputError(
            f"an operand of a traced value is a {kind.__module__.partition('.')[0]}."
            f"{kind.__name__} of dtype {dtype}, which holds no numbers of NumPy. "
            "Convert it with x.astype(float)." + user_line()
        )
    return made


def is_memory_only(kind: type) -> bool:
    """Whether a type shares memory by DLPack, and has no other meaning of its own."""
    names = ("__array__", "__array_interface__", "__array_ufunc__", "__mul__", "__rmul__")
    return hasattr(kind, "__dlpack__") and not any(hasattr(kind, n) for n in names)


def as_numbers(x: Any) -> Any:
    """Return what a NumPy function makes of a labelled array, or of memory that is shared.

    NumPy converts the Series of pandas and the arrays of xarray; other objects are returned as
    they are.
    """
    kind = type(x)
    root = root_of(kind)
    if root == "pandas" or is_held(x):
        return numbers_of(x) if hasattr(x, "dtype") or hasattr(x, "columns") else x
    if root == "xarray" and hasattr(x, "dims"):
        inner = getattr(x, "data", x)
        return inner if type(inner) is np.ndarray or isinstance(inner, Traced) else x
    return np.from_dlpack(x) if is_memory_only(kind) else x


def _integers(x: Any) -> Any:
    """Return plain integers: each is a decision of Python."""
    return np.array([int(i) for i in x], dtype=np.intp)


def _booleans(x: Any) -> Any:
    """Return plain truth values: whether there is any, and then each, is a decision of Python."""
    if type(x) is np.ndarray:
        return x
    if not bool(np.any(x)):
        return np.zeros(shape_of(x), bool)
    return np.array([bool(b) for b in x])


def _concrete(x: Any) -> Any:
    while isinstance(x, Traced):
        x = x._var.data  # type: ignore[attr-defined]
    return x


def _refuse(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise refused_by(f"pandas.Series.{name}")

    return method


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "median": np.median, "min": np.min,
    "max": np.max, "std": np.std, "var": np.var, "any": np.any, "all": np.all,
}  # fmt: skip

_OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lt", "le",
    "eq", "ne", "gt", "ge",
)  # fmt: skip


@functools.cache
def traced_array() -> tuple[Any, Any]:
    """Return the class of arrays, and that of their dtype."""
    from pandas import DataFrame, Series
    from pandas.api.extensions import ExtensionArray, ExtensionDtype

    class TracedDtype(ExtensionDtype):  # type: ignore[misc, unused-ignore]
        """The dtype of traced numbers: NumPy's, to the user."""

        na_value = np.nan

        def __init__(self, dtype: Any) -> None:
            self.numpy_dtype: Any = np.dtype(dtype)

        @property
        def type(self) -> Any:
            """The class of its numbers."""
            return self.numpy_dtype.type

        @property
        def name(self) -> str:
            """The name of NumPy's dtype."""
            return str(self.numpy_dtype.name)

        @property
        def kind(self) -> str:
            """A letter for the kind of numbers."""
            return str(self.numpy_dtype.kind)

        @property
        def itemsize(self) -> int:
            """Bytes of a number."""
            return int(self.numpy_dtype.itemsize)

        @property
        def _is_numeric(self) -> bool:
            return self.kind in "iufc"

        @property
        def _is_boolean(self) -> bool:
            return self.kind == "b"

        def __eq__(self, other: Any) -> bool:
            if isinstance(other, TracedDtype):
                return bool(self.numpy_dtype == other.numpy_dtype)
            return bool(is_asked() and self.numpy_dtype == other)

        def __hash__(self) -> int:
            return hash((TracedDtype, self.numpy_dtype))

        @classmethod
        def construct_array_type(cls) -> Any:
            """Return the class of arrays."""
            return TracedArray

        @classmethod
        def construct_from_string(cls, string: str) -> Any:
            """Refuse: no name stands for it."""
            raise TypeError(f"no traced dtype is called {string!r}")

        def _get_common_dtype(self, dtypes: Any) -> Any:
            plain = [d.numpy_dtype if isinstance(d, TracedDtype) else d for d in dtypes]
            if all(isinstance(d, np.dtype) and d.kind in "biufc" for d in plain):
                return TracedDtype(np.result_type(*plain))
            return None

    class TracedArray(ExtensionArray):  # type: ignore[misc, unused-ignore]
        """A vector of traced numbers.

        Attributes
        ----------
        numbers : Tracer or ndarray
        """

        def __init__(self, numbers: Any) -> None:
            self.numbers = numbers

        # --- as an array --------------------------------------------------------------------------
        @classmethod
        def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> Any:
            if isinstance(scalars, TracedArray):
                made = scalars.numbers.copy() if copy else scalars.numbers
            elif any(isinstance(s, Traced) for s in scalars):
                given: Any = [s if isinstance(s, Traced) else np.float64(s) for s in scalars]
                made = np.stack(given)
            else:
                made = np.array(scalars, getattr(dtype, "numpy_dtype", dtype))
            wanted = getattr(dtype, "numpy_dtype", None)
            return cls(made if wanted in (None, dtype_of(made)) else made.astype(wanted))

        @classmethod
        def _from_factorized(cls, values: Any, original: Any) -> Any:
            return cls(values)

        @classmethod
        def _concat_same_type(cls, to_concat: Any) -> Any:
            return cls(np.concatenate([x.numbers for x in to_concat]))

        @property
        def dtype(self) -> Any:
            """The dtype, which names that of NumPy."""
            return TracedDtype(dtype_of(self.numbers))

        @property
        def nbytes(self) -> int:
            """Bytes of the numbers."""
            return len(self) * int(self.dtype.itemsize)

        def __len__(self) -> int:
            return int(shape_of(self.numbers)[0])

        def __getitem__(self, item: Any) -> Any:
            if is_held(item):
                item = item.__array__()
            elif isinstance(item, list) or type(item).__module__.startswith("pandas"):
                item = np.asarray(item)
            made = self.numbers[item]
            return TracedArray(made) if len(shape_of(made)) == 1 else made

        def __setitem__(self, key: Any, value: Any) -> None:
            value = value.numbers if is_held(value) else value
            if not isinstance(self.numbers, Traced) and isinstance(value, Traced):
                like: Any = value
                self.numbers = np.array(self.numbers, like=like)
            self.numbers[key.__array__() if is_held(key) else key] = value

        def __iter__(self) -> Any:
            return iter([as_python(self.numbers[i]) for i in range(len(self))])

        def copy(self) -> Any:
            """Copy the numbers."""
            return TracedArray(self.numbers.copy())

        def isna(self) -> Any:
            """Return where numbers are missing: a decision of Python."""
            if self.dtype.kind not in "fc":
                return np.zeros(len(self), bool)
            return _booleans(np.isnan(self.numbers))

        def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Any:
            """Return the numbers at positions; -1 stands for none with `allow_fill`."""
            indices = np.asarray(indices, dtype=np.intp)
            if not allow_fill or not np.any(indices < 0):
                return TracedArray(self.numbers[indices])
            if np.any(indices < -1):
                raise ValueError("take: negative positions other than -1 with allow_fill")
            fill = np.nan if fill_value is None or fill_value is self.dtype.na_value else fill_value
            full = np.concatenate([self.numbers, np.full(1, fill)])
            return TracedArray(full[np.where(indices < 0, len(self), indices)])

        def astype(self, dtype: Any, copy: bool = True) -> Any:
            """Convert, to objects where Python's numbers are wanted."""
            wanted = getattr(dtype, "numpy_dtype", dtype)
            if isinstance(wanted, ExtensionDtype):
                return super().astype(dtype, copy)
            wanted = np.dtype(wanted)
            if wanted.kind == "O":
                return self._objects()
            return TracedArray(self.numbers.astype(wanted))

        def _objects(self) -> Any:
            made = np.empty(len(self), object)
            made[:] = list(self)
            return made

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            if sys._getframe(1).f_code.co_name == "_format_strings":  # for being printed
                return np.array(_concrete(self.numbers))
            if dtype is not None and np.dtype(dtype) == object:
                return self._objects()
            if self.dtype.kind == "b":
                return _booleans(self.numbers)
            return np.asarray(self.numbers, dtype)

        def to_numpy(self, dtype: Any = None, copy: bool = False, na_value: Any = None) -> Any:
            """Return the traced array; to compiled code of pandas, refuse."""
            caller: Any = sys._getframe(1)
            if caller.f_code.co_name == "to_numpy":  # of a Series
                caller = caller.f_back
            if not is_users_file(caller.f_code.co_filename):
                return self.__array__(dtype)
            if dtype is not None and np.dtype(dtype) != dtype_of(self.numbers):
                return self.astype(dtype).numbers
            return self.numbers.copy() if copy else self.numbers

        def tolist(self) -> Any:
            """Return the numbers in a list."""
            return self.numbers.tolist()

        # --- computing ----------------------------------------------------------------------------
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
            if any(type(x).__name__ in ("Series", "Index", "DataFrame") for x in inputs):
                return NotImplemented
            kwargs = {k: _opened(x) for k, x in kwargs.items()}
            with np.errstate(all="ignore"):
                out = getattr(ufunc, method)(*map(_opened, inputs), **kwargs)
            return tuple(map(_closed, out)) if isinstance(out, tuple) else _closed(out)

        def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
            out = func(*map(_opened, args), **{k: _opened(x) for k, x in kwargs.items()})
            return out if is_asked() else _closed(out)

        def _reduce(
            self, name: str, *, skipna: bool = True, keepdims: bool = False, **options: Any
        ) -> Any:
            made = self._reduced(name, skipna, **options)
            return TracedArray(np.reshape(made, (1,))) if keepdims else made

        def _reduced(
            self, name: str, skipna: bool, min_count: int = 0, ddof: int = 1, **options: Any
        ) -> Any:
            if name not in _REDUCTIONS and name != "sem":
                raise refused_by(f"pandas.Series.{name}")
            x = self.numbers
            missing = self.isna()
            if missing.any():
                if not skipna and name not in ("any", "all"):
                    return np.nan
                x = x[~missing]
            n = shape_of(x)[0]
            if n < min_count or (n == 0 and name not in ("sum", "prod", "any", "all")):
                return np.nan
            if name in ("std", "var", "sem"):
                if n <= ddof:
                    return np.nan
                made = np.var(x, ddof=ddof) if name == "var" else np.std(x, ddof=ddof)
                return made / np.sqrt(n) if name == "sem" else made
            made = _REDUCTIONS[name](x)
            return bool(made) if name in ("any", "all") else made

        def _accumulate(self, name: str, *, skipna: bool = True, **options: Any) -> Any:
            steps = {"cumsum": np.add, "cumprod": np.multiply, "cummin": np.minimum}
            if self.isna().any():
                raise refused_by(
                    f"pandas.Series.{name}", "takes no traced value beside missing ones"
                )
            return TracedArray(steps.get(name, np.maximum).accumulate(self.numbers))

        def _groupby_op(
            self, *, how: str, has_dropped_na: bool, min_count: int, ngroups: int, ids: Any,
            **options: Any,
        ) -> Any:  # fmt: skip
            if how in _REDUCTIONS or how == "sem":
                options = {"min_count": max(min_count, 0)} | (
                    {"ddof": options["ddof"]} if "ddof" in options else {}
                )
                found = [self[ids == g]._reduced(how, True, **options) for g in range(ngroups)]
                return TracedArray._from_sequence(found)
            if how in ("first", "last"):
                at = [np.flatnonzero((ids == g) & ~self.isna()) for g in range(ngroups)]
                chosen = [-1 if not a.size else a[0 if how == "first" else -1] for a in at]
                return self.take(chosen, allow_fill=True)
            raise refused_by(f"pandas.Series.groupby(...).{how}")

        def round(self, decimals: int = 0, *args: Any, **kwargs: Any) -> Any:
            """Round to decimals."""
            return TracedArray(np.round(self.numbers, decimals))

        def argsort(
            self, *, ascending: bool = True, kind: str = "quicksort", na_position: str = "last",
            **options: Any,
        ) -> Any:  # fmt: skip
            """Return the positions in order: decisions of Python."""
            if self.isna().any():
                raise refused_by("pandas.Series.argsort", "of missing values has no answer")
            x = self.numbers if ascending else -self.numbers
            return _integers(np.argsort(x, kind="stable"))

        def argmax(self, skipna: bool = True) -> int:
            """Return the position of the largest number: a decision of Python."""
            return int(np.nanargmax(self.numbers))

        def argmin(self, skipna: bool = True) -> int:
            """Return the position of the smallest number: a decision of Python."""
            return int(np.nanargmin(self.numbers))

        def _quantile(self, qs: Any, interpolation: str) -> Any:
            x = self.numbers[~self.isna()]
            method: Any = interpolation
            return TracedArray(np.quantile(x, np.asarray(qs), method=method))

        def map(self, mapper: Any, na_action: Any = None) -> Any:
            """Apply a function to each number."""
            if not callable(mapper) or na_action is not None:
                raise refused_by(
                    "pandas.Series.map", "of a dict, or with na_action, takes no traced value"
                )
            made = [mapper(x) for x in self]
            if all(isinstance(m, (Traced, float, int, np.generic)) for m in made):
                return TracedArray._from_sequence(made)
            return np.array(made, dtype=object)

        factorize = _refuse("factorize")
        unique = _refuse("unique")
        _values_for_factorize = _refuse("groupby")
        _values_for_argsort = _refuse("sort_values")
        _rank = _refuse("rank")
        interpolate = _refuse("interpolate")
        searchsorted = _refuse("searchsorted")
        value_counts = _refuse("value_counts")
        _mode = _refuse("mode")

        def __neg__(self) -> Any:
            return TracedArray(-self.numbers)

        def __pos__(self) -> Any:
            return self.copy()

        def __abs__(self) -> Any:
            return TracedArray(abs(self.numbers))

        def __invert__(self) -> Any:
            return TracedArray(np.logical_not(self.numbers))

    def _opened(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(map(_opened, x))
        if type(x).__name__ in ("Series", "Index", "DataFrame"):
            return numbers_of(x)
        return x.numbers if is_held(x) else x

    def _closed(x: Any) -> Any:
        return TracedArray(x) if isinstance(x, (Traced, np.ndarray)) and len(x.shape) == 1 else x  # type: ignore[union-attr]

    def _method(name: str, reflected: bool) -> Any:
        apply = getattr(operator, name)

        def method(self: Any, other: Any) -> Any:
            if type(other).__name__ in ("Series", "Index", "DataFrame"):
                return NotImplemented
            a, b = (other, self) if reflected else (self, other)
            if name in ("floordiv", "mod") and self.dtype.kind not in "f":
                raise refused_by(f"pandas.Series.{name}", "takes no traced integers")
            with np.errstate(all="ignore"):
                return _closed(apply(_opened(a), _opened(b)))

        return method

    for name in _OPERATORS:
        dunder = name.strip("_")
        setattr(TracedArray, f"__{dunder}__", _method(name, False))
        setattr(TracedArray, f"__r{dunder}__", _method(name, True))
    TracedArray.__hash__ = None  # type: ignore[assignment]
    HOLDERS.update((Series, DataFrame, TracedArray))
    return TracedArray, TracedDtype
