"""The traced value: an array-like object that records what ordinary NumPy code does with it.

A `Tracer` is a handle. What it stands for at the moment is `var`, which belongs to one trace and
never changes; an update in place gives the handle another `var`. A handle made by basic indexing or
reshaping remembers its base, as NumPy's views do, so that updates are seen on both sides.
"""

from __future__ import annotations

import collections
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wengert.errors import (
    ConversionError,
    InputError,
    ShapeError,
    UnsupportedError,
    user_line,
)
from wengert.ops import elementwise as ew
from wengert.ops.base import Op, Traced
from wengert.ops.contract import contract
from wengert.ops.convert import convert
from wengert.ops.index import index_set
from wengert.trace import indexing, memory, views
from wengert.trace.dispatch import KNOWN, call_function, call_ufunc, know
from wengert.trace.flags import Flags
from wengert.trace.foreign import (
    NOT_NUMERIC,
    is_sparse_product,
    matrix_product,
    met,
    operand,
)
from wengert.trace.functions import raised, scaled_by, squaring
from wengert.trace.kinds import (
    INNER,
    OfArrays,
    attribute_of_number,
    class_of,
    deny,
    is_asked,
    is_library,
    is_looked_up,
)
from wengert.trace.labelled import as_numbers
from wengert.trace.lazy import WAITING
from wengert.trace.numbers import as_python, number_type
from wengert.trace.refused import array_refused
from wengert.trace.sizes import carried, equal, is_same, remember, scaled, square

__all__ = ["Tracer", "frozen", "frozen_or_same", "lower", "refreshed"]

RENDERED: collections.deque[str] = collections.deque(maxlen=64)
"""Texts that were made of traced values last, so that `float` of one is no silent constant."""

NAMESPACES: list[Any] = []
"""The array-API namespace of traced arrays, put here by `wengert.trace.numpy.namespace`."""

OPERATOR: dict[str, Any] = {}
"""Attributes (none) of an operation applied by one of Python's operators, not by a function."""

_INTERFACES = frozenset(
    {"__array_interface__", "__array_struct__", "__dlpack__", "__dlpack_device__"}
)
"""By which compiled code finds the memory of an array."""

_CHANGING = frozenset({"byteswap", "partition", "resize", "setfield", "setflags"})
"""Methods of arrays that would change a plain array, and a traced one does not have."""


def _binary(op: Op) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Tracer, other: Any) -> Any:
        if self._view is not None:
            self._refresh()
        kind = type(other)
        if kind is Tracer:
            if other._view is not None:
                other._refresh()
            if other._trace is not self._trace:
                return op(self, other)
            if (
                (other is self or self._size is not None)
                and op is ew.multiply
                and is_same(self, other)
            ):
                return square(self, _by_itself, _by_itself)
        elif kind not in KNOWN or (kind is np.ndarray and other.dtype.kind not in "fiubc"):
            given = other
            other = operand(other)
            if other is NotImplemented:
                return met(op, given, self, "right")
            return op(self, other)
        made = self._trace.process(op, (self, other), OPERATOR)
        return made if self._size is None else scaled_by(op, made, self, other)

    def backward(self: Tracer, other: Any) -> Any:
        if self._view is not None:
            self._refresh()
        kind = type(other)
        if kind not in KNOWN or (kind is np.ndarray and other.dtype.kind not in "fiubc"):
            given = other
            other = operand(other)
            if other is NotImplemented:
                return met(op, given, self, "left")
            return op(other, self)
        made = self._trace.process(op, (other, self), OPERATOR)
        if self._size is None or op is not ew.multiply:
            return made
        return scaled(made, self, "times", other)

    return forward, backward


def _alone(x: Tracer, op: Op) -> Any:
    """Apply one of Python's operators of one operand."""
    if x._view is not None:
        x._refresh()
    return x._trace.process(op, (x,), OPERATOR)


def _by_itself(x: Any) -> Any:
    """Apply ``*`` to a number or array and itself."""
    return x._trace.process(ew.multiply, (x, x), OPERATOR) if type(x) is Tracer else x * x


def _times(a: Any, b: Any) -> Any:
    return square(a, _by_itself, _by_itself) if a is b else ew.multiply(a, b)


def _inplace(op: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tracer, other: Any) -> Any:
        if not self._is_array():
            return NotImplemented  # a number: Python makes another one
        other = operand(as_numbers(other))
        if other is NotImplemented:
            return NotImplemented
        self._store(op(self, other))
        return self

    return method


def _equality(op: Op, otherwise: bool) -> Callable[..., Any]:
    """Return ``==`` or ``!=``, which arrays answer element by element for any operand."""
    compare, _ = _binary(op)

    def method(self: Tracer, other: Any) -> Any:
        made = compare(self, other)
        if made is NotImplemented and isinstance(other, NOT_NUMERIC) and self._is_array():
            return np.full(self._trace.shape(self._var), otherwise)[()]
        if made is NotImplemented and isinstance(other, (str, bytes)) and not number_type(self):
            return np.bool(otherwise)
        return made

    return method


class Tracer(Traced):
    """A traced array. It behaves as the NumPy array that it stands for."""

    __slots__ = ("__weakref__", "_clock", "_layout", "_size", "_var", "_version", "_view")
    __array_priority__ = 1000.0
    __pandas_priority__ = 10_000  # so that pandas leaves `series * x` to `__rmul__`

    def __init__(self, trace: Any, var: Any) -> None:
        self._trace = trace
        self._var = var
        self._view: Any = None
        self._clock: Any = None
        self._layout: Any = None
        self._size: Any = None
        self._version = 0

    # --- what it looks like ---------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        shape: tuple[int, ...] = self._trace.shape(self._var)
        if not shape:
            deny(self, "shape")
        return shape

    @shape.setter
    def shape(self, new: Any) -> None:
        """Reshape in place, where no view has to follow."""
        if self._clock is not None:
            raise UnsupportedError(
                "the shape of a traced array that has views, or is one, cannot be set; write "
                "x = x.reshape(...)" + user_line()
            )
        made = frozen(self).reshape(new)
        self._trace, self._var, self._layout = made._trace, made._var, None
        self._version += 1

    @property
    def flags(self) -> Any:
        """The flags of the array that follow from where its elements lie."""
        self._refresh()
        if self._trace.level == 0:
            return self._trace.plain(self).flags
        return Flags(self)

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element to the next along each axis."""
        self._refresh()
        memory.decided()
        return memory.strides(self)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the array."""
        var = self._var
        if type(var) in WAITING:
            return var.dtype  # type: ignore[no-any-return]
        data = var.data
        if type(data) is not np.ndarray:
            deny(self, "dtype")
        try:
            return data.dtype  # type: ignore[no-any-return]
        except AttributeError:
            if data is None:
                raise self._trace.let_go() from None
            return np.dtype(type(data))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        shape = self._trace.shape(self._var)
        if not shape:
            deny(self, "ndim")
        return len(shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        shape = self._trace.shape(self._var)
        if not shape:
            deny(self, "size")
        return math.prod(shape)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The class of the plain value, where code of the user asks."""
        if sys._getframe(1).f_code.co_filename in INNER:
            return Tracer
        if is_asked() or (self._trace.level == 0 and is_library(sys._getframe(1))):
            return class_of(self)
        return Tracer

    @OfArrays
    def __len__(self) -> int:
        """Return the length of the first axis."""
        if not self.shape:
            raise InputError("len() of a 0-d array" + user_line())
        return self.shape[0]

    @OfArrays
    def __iter__(self) -> Iterator[Any]:
        """Iterate over the first axis."""
        if not self.shape:
            raise InputError("iteration over a 0-d array" + user_line())
        return (self[i] for i in range(self.shape[0]))

    def __repr__(self) -> str:
        """Show the value where there is one."""
        self._refresh()
        return f"Traced({self._trace.describe(self._var)})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Format the value for printing, as the array it stands for."""
        value = lower(self)
        text = format(value, spec) if not isinstance(value, Traced) else repr(self)
        if self._trace.level:
            RENDERED.append(text)
        return text

    # --- in place ---------------------------------------------------------------------------------
    def _refresh(self) -> None:
        """Bring a view up to date with its base."""
        link = self._view
        if link is not None and link.tick != self._clock[0]:
            views.refresh(self)

    def _assign(self, new: Any) -> None:
        """Let the handle, and the base that it is a view of, stand for a new value."""
        if isinstance(new, Tracer):
            new._refresh()
        else:
            new = self._trace.lift(np.array(new))
        views.assign(self, new)

    def _store(self, new: Any) -> None:
        """Write an array of the same shape into this one, with NumPy's casting rule."""
        shape = np.shape(new) if not isinstance(new, Traced) else new.shape  # type: ignore[attr-defined]
        if shape != self.shape:
            try:
                fits = np.broadcast_shapes(shape, self.shape) == self.shape
            except ValueError:
                fits = False
            if not fits:
                raise ShapeError(
                    f"a result of shape {shape} does not fit an array of shape {self.shape} in "
                    f"place; write y = y + ... instead of y += ..." + user_line()
                )
            new = np.broadcast_to(new, self.shape)
        dtype = self.dtype
        if new.dtype != dtype:
            if not np.can_cast(new.dtype, dtype, "same_kind"):
                raise InputError(
                    f"cannot store {new.dtype} into an array of {dtype} in place; make the array "
                    f"with dtype={new.dtype} or write y = y + ..." + user_line()
                )
            new = convert(new, dtype=dtype)
        if not shape:
            new = index_set(self, new, spec=())  # stays an array, where the operation gave a scalar
        self._assign(new)

    def _is_array(self) -> bool:
        """Whether NumPy would hold an array, which updates in place, and not a scalar."""
        if self.shape:
            return True
        self._refresh()
        return bool(self._trace.holds_array(self._var))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Replace a part; recorded as a new array."""
        indexing.assign(self, index, value)

    def __getitem__(self, index: Any) -> Any:
        """Read a part."""
        if self._size is not None:
            return carried(indexing.read(self, index), self, index)
        return indexing.read(self, index)

    def _check_alive(self) -> None:
        """Raise if the trace that the value belongs to has ended."""
        if not self._trace.alive:
            raise self._trace.leaked()

    # --- turning into plain Python ---------------------------------------------------------------
    def _plain(self, kind: str) -> Any:
        self._refresh()
        self._check_alive()
        return self._trace.concrete(self._var, kind)

    def __bool__(self) -> bool:
        """Decide a branch; under ``jit`` the outcome becomes a guard."""
        return bool(self._plain("bool"))

    def __int__(self) -> int:
        """Convert to int, which is piecewise constant; under ``jit`` it becomes a guard."""
        return int(self._plain("int"))

    def __index__(self) -> int:
        """Use an integer as an index or a count."""
        if self.dtype.kind not in "iub":
            raise InputError(f"only integers can be an index, not {self.dtype}" + user_line())
        return operator.index(self._plain("index"))

    def __float__(self) -> float:
        """Convert to float where no derivative gets lost."""
        return float(self._plain("float"))

    def __complex__(self) -> complex:
        """Convert to complex where no derivative gets lost."""
        return complex(self._plain("complex"))

    def item(self, *args: Any) -> Any:
        """Return an element as a number of Python, with its derivative."""
        if len(args) == 1 and not isinstance(args[0], tuple):
            i = operator.index(args[0])
            if not -self.size <= i < self.size:
                raise IndexError(f"index {i} is out of bounds for size {self.size}" + user_line())
            args = np.unravel_index(i % self.size, self.shape)
        elif len(args) == 1:
            args = args[0]
        if args and len(args) != self.ndim:
            raise ShapeError("incorrect number of indices for array" + user_line())
        x = self[args] if args else self
        if not isinstance(x, Tracer):
            return np.asarray(x).item()
        if x.size != 1:
            raise ShapeError("item() takes an array of one element" + user_line())
        x = x.reshape(())
        kind = x.dtype.kind
        if kind not in "fc" or x._trace.level == 0:
            return np.asarray(x._plain("item")).item()
        made = as_python(convert(+x, dtype=np.dtype(float if kind == "f" else complex)))
        return equal(made, x)

    def tolist(self) -> Any:
        """Return nested lists of traced scalars."""
        return (
            [np.ndarray.tolist(x) if type(x) is np.ndarray else x.tolist() for x in self]
            if (self.shape)
            else self.item()
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a plain array would lose the derivative."""
        self._refresh()
        self._check_alive()
        if self._trace.level and is_sparse_product():
            return np.array(None, object)  # so that SciPy leaves the product to `__rmatmul__`
        if self._trace.level == 0:  # it stands for a plain array
            return np.array(self._trace.plain(self), *args, copy=None, **kwargs)
        raise array_refused(self.shape, self.dtype)

    def __copy__(self) -> Any:
        """Return a new array with the same derivative, as copying a NumPy array makes one."""
        return self.copy("K") if number_type(self) is None else self

    def __deepcopy__(self, memo: Any) -> Any:
        """Return a new array with the same derivative."""
        return self.copy("K") if number_type(self) is None else self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse: bytes hold no derivative."""
        raise ConversionError(
            f"a traced value of shape {self.shape} cannot be pickled, nor sent to another process: "
            "its derivative would be lost. Pickle what the differentiated function returns, or "
            "the plain value, wg.stop_gradient(x) of it under no trace." + user_line()
        )

    __hash__ = None  # type: ignore[assignment]

    # --- NumPy's protocols ------------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Apply a ufunc or one of its methods."""
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Apply a NumPy function."""
        return call_function(self, func, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        """Say what is missing; called for unknown names only."""
        if name in _INTERFACES and self._trace.level == 0:  # a plain array, to be written into
            self._refresh()
            return getattr(self._trace.plain(self), name)
        hidden = name.startswith("_") and (hasattr(Tracer, name) or not is_looked_up())
        if hidden or not hasattr(np.ndarray, name):
            return attribute_of_number(self, name)
        deny(self, name)
        self._refresh()
        if self._trace.level == 0 and name not in _CHANGING:
            return getattr(self._trace.plain(self), name)
        raise UnsupportedError(  # no AttributeError: hasattr would say that arrays have none
            f"traced arrays have no .{name}, which NumPy's arrays have; see docs/numpy.md for "
            "what is supported, or take the value out of the derivative with wg.stop_gradient(x)"
            + user_line()
        )

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """Return the array-API namespace: NumPy's, with creation functions that keep traces."""
        return NAMESPACES[0]

    __add__, __radd__ = _binary(ew.add)
    __sub__, __rsub__ = _binary(ew.subtract)
    __mul__, __rmul__ = _binary(ew.multiply)
    __truediv__, __rtruediv__ = _binary(ew.divide)
    __pow__, __rpow__ = _binary(ew.power)
    __pow__ = squaring(__pow__)
    __floordiv__, __rfloordiv__ = _binary(ew.floor_divide)
    __mod__, __rmod__ = _binary(ew.remainder)
    __and__, __rand__ = _binary(ew.UFUNCS[np.bitwise_and])
    __or__, __ror__ = _binary(ew.UFUNCS[np.bitwise_or])
    __xor__, __rxor__ = _binary(ew.UFUNCS[np.bitwise_xor])
    __lshift__, __rlshift__ = _binary(ew.UFUNCS[np.left_shift])
    __rshift__, __rrshift__ = _binary(ew.UFUNCS[np.right_shift])
    __lt__, _ = _binary(ew.UFUNCS[np.less])
    __le__, _ = _binary(ew.UFUNCS[np.less_equal])
    __gt__, _ = _binary(ew.UFUNCS[np.greater])
    __ge__, _ = _binary(ew.UFUNCS[np.greater_equal])
    __eq__ = _equality(ew.UFUNCS[np.equal], False)
    __ne__ = _equality(ew.UFUNCS[np.not_equal], True)
    __iadd__ = _inplace(ew.add)
    __isub__ = _inplace(ew.subtract)
    __imul__ = _inplace(_times)
    __itruediv__ = _inplace(ew.divide)
    __ipow__ = _inplace(lambda a, b: raised(ew.power, a, b, operator.pow))
    __ifloordiv__ = _inplace(ew.floor_divide)
    __imod__ = _inplace(ew.remainder)
    __iand__ = _inplace(ew.UFUNCS[np.bitwise_and])
    __ior__ = _inplace(ew.UFUNCS[np.bitwise_or])
    __ixor__ = _inplace(ew.UFUNCS[np.bitwise_xor])

    def __neg__(self) -> Any:
        """Negate."""
        made = _alone(self, ew.negative)
        return made if self._size is None else scaled(made, self, "times", -1)

    def __pos__(self) -> Any:
        """Copy."""
        return _alone(self, ew.positive)

    def __abs__(self) -> Any:
        """Absolute value."""
        op = ew.complex_absolute if self.dtype.kind == "c" else ew.absolute
        return remember(_alone(self, op), self)

    def __invert__(self) -> Any:
        """Invert bits."""
        return _alone(self, ew.UFUNCS[np.invert])

    def __round__(self, ndigits: int | None = None) -> Any:
        """Round: to an int of Python, which is a guard under ``jit``, or to decimals."""
        if ndigits is None:
            return int(np.rint(self))
        y = np.round(self, ndigits)
        return y if number_type(self) is None else as_python(y)

    def __divmod__(self, other: Any) -> Any:
        """Quotient and remainder."""
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        """Quotient and remainder."""
        return other // self, other % self

    def __matmul__(self, other: Any) -> Any:
        """Matrix product."""
        fits = type(other) in (Tracer, np.ndarray) and other.ndim == 2 and self.ndim == 2
        if fits and self.shape[1] == other.shape[0]:  # a batch would take an axis of 1 for 3
            return contract(self, other, spec="ab,bc->ac")
        if type(other) not in KNOWN:
            return matrix_product(other, self, "right")
        return np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        """Matrix product."""
        if type(other) not in KNOWN:
            return matrix_product(other, self, "left")
        return np.matmul(other, self)

    def __imatmul__(self, other: Any) -> Any:
        """Matrix product in place."""
        self._store(self @ other)
        return self


know(Tracer)


def lower(x: Any) -> Any:
    """Return the concrete array under all traces, without any guard (batched under ``vmap``)."""
    while isinstance(x, Tracer):
        x._refresh()
        x = x._var.data
    return x


def frozen(t: Tracer) -> Tracer:
    """Return a handle that later updates in place of `t` do not move."""
    t._refresh()
    return Tracer(t._trace, t._var)


def frozen_or_same(x: Any) -> Any:
    """Return a handle that later updates in place do not move; an array is returned itself."""
    return frozen(x) if type(x) is Tracer else x


def refreshed(outs: Sequence[Any]) -> Sequence[Any]:
    """Bring flat results up to date while their trace can still compute."""
    for y in outs:
        if isinstance(y, Tracer):
            y._refresh()
    return outs
