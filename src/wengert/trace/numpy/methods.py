"""Methods of traced arrays: NumPy's functions under NumPy's method names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from wengert.errors import InputError, ShapeError, UnsupportedError, WengertError, user_line
from wengert.trace import memory, views
from wengert.trace.blame import explained
from wengert.trace.capture import READING, note_read
from wengert.trace.dispatch import FUNCTIONS
from wengert.trace.kinds import kept_from_numbers
from wengert.trace.numbers import as_python, number_type
from wengert.trace.numpy import (  # noqa: F401  (they fill the table that the methods read)
    arrange,
    calculus,
    contract,
    create,
    fft,
    linalg,
    misc,
    namespace,
    quantile,
    reduce,
    stats,
    ufuncs,
    write,
)
from wengert.trace.numpy import order as numpy_order  # noqa: F401
from wengert.trace.numpy import polynomial as numpy_polynomial  # noqa: F401
from wengert.trace.numpy import sets as numpy_sets  # noqa: F401
from wengert.trace.numpy import shape as numpy_shape
from wengert.trace.numpy import views as numpy_views  # noqa: F401
from wengert.trace.tracer import Tracer

_FUNCTIONS = {
    "all": np.all, "any": np.any, "argmax": np.argmax, "argmin": np.argmin, "argsort": np.argsort,
    "argpartition": np.argpartition, "choose": np.choose,
    "cumprod": np.cumprod, "cumsum": np.cumsum, "diagonal": np.diagonal,
    "dot": np.dot, "max": np.max, "mean": np.mean, "min": np.min, "nonzero": np.nonzero,
    "prod": np.prod, "ravel": np.ravel, "repeat": np.repeat, "round": np.round,
    "searchsorted": np.searchsorted, "squeeze": np.squeeze, "std": np.std, "sum": np.sum,
    "swapaxes": np.swapaxes, "take": np.take, "trace": np.trace, "var": np.var,
}  # fmt: skip


def _method(name: str, function: Any) -> Callable[..., Any]:
    implementation = FUNCTIONS[function]

    def numpys(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    def method(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        if READING.sets and (args or kwargs):
            note_read([*args, *kwargs.values()])
        try:
            return views.delivered(function, implementation(self, *args, **kwargs), (self,), kwargs)
        except WengertError:
            raise
        except Exception as error:
            reason = explained(error, numpys, f"the method {name}", (self, *args), kwargs)
            if reason is error:
                raise
            raise reason from error

    return method


for _name, _function in _FUNCTIONS.items():
    setattr(Tracer, _name, _method(_name, _function))


def _reshape(self: Tracer, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    if not shape:
        raise TypeError("reshape() takes a shape" + user_line())
    target = shape[0] if len(shape) == 1 else shape
    return numpy_shape.reshape(self, target, order, copy=copy)


def _transpose(self: Tracer, *axes: Any) -> Any:
    order = (
        axes[0]
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list)))
        else axes or None
    )
    return np.transpose(self, order)


def _flatten(self: Tracer, order: str = "C") -> Any:
    made = np.ravel(self, order)  # type: ignore[call-overload]
    return views.own(made, (self.dtype.itemsize,))


def _astype(
    self: Tracer,
    dtype: Any,
    order: str = "K",
    casting: str = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> Any:
    if not np.can_cast(self.dtype, dtype, casting):  # type: ignore[arg-type]
        raise InputError(
            f"cannot cast {self.dtype} to {np.dtype(dtype)} with casting={casting!r}" + user_line()
        )
    return create.with_order(self, np.dtype(dtype), order, True if copy else None)


def _copy(self: Tracer, order: str = "C") -> Any:
    return memory.converted(self, self.dtype, order)


def _view(self: Tracer, dtype: Any = None, type: Any = None) -> Any:
    if type is not None or dtype not in (None, self.dtype):
        raise UnsupportedError("view() of a traced array as another type; use astype" + user_line())
    return self[...] if self._is_array() else self[()]


def _clip(self: Tracer, min: Any = None, max: Any = None, out: Any = None, **options: Any) -> Any:
    return np.clip(self, min, max, out, **options)


def _compress(self: Tracer, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return np.compress(condition, self, axis, out)


def _put(self: Tracer, indices: Any, values: Any, mode: str = "raise") -> None:
    write.put(self, indices, values, mode)


def _partition(
    self: Tracer, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None
) -> None:
    self._assign(np.partition(self, kth, axis, kind, order))  # type: ignore[call-overload]


class Flat:
    """The elements of a traced array in C order, to iterate over, read and write: ``x.flat``."""

    __slots__ = ("_base",)

    def __init__(self, base: Tracer) -> None:
        self._base = base

    def __len__(self) -> int:
        """Return the number of elements."""
        return self._base.size

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the elements."""
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """Return a copy of elements."""
        y = np.ravel(self._base)[index]
        return np.copy(y) if y.shape else y

    def __setitem__(self, index: Any, value: Any) -> None:
        """Replace elements in the array itself."""
        _set_flat(self._base, index, value)


def _set_flat(x: Tracer, index: Any, value: Any) -> None:
    write.put(x, np.arange(x.size)[index], value)


def _contains(self: Tracer, value: Any) -> bool:
    if not self._is_array():
        raise InputError("a number has no items to look among" + user_line())
    return bool(np.any(np.equal(self, value)))


def _fill(self: Tracer, value: Any) -> None:
    if np.ndim(value):
        raise ShapeError("fill() takes a number" + user_line())
    self[...] = value


def _sort(
    self: Tracer, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> None:
    self._assign(np.sort(self, axis=operator.index(axis), kind=kind, order=order, stable=stable))


def _conj(self: Tracer) -> Any:
    if self.dtype.kind == "c":
        return as_python(np.conjugate(self)) if number_type(self) else np.conjugate(self)
    return +self if number_type(self) is bool else self  # an int of Python


for _name, _implementation in {
    "reshape": _reshape, "transpose": _transpose, "flatten": _flatten, "astype": _astype,
    "fill": _fill, "sort": _sort, "conj": _conj, "conjugate": _conj, "copy": _copy, "view": _view,
    "__contains__": _contains, "put": _put, "partition": _partition, "compress": _compress,
    "clip": _clip,
}.items():  # fmt: skip
    setattr(Tracer, _name, _implementation)


def _part(part: Callable[[Any], Any]) -> Callable[[Tracer], Any]:
    def getter(self: Tracer) -> Any:
        kind = number_type(self)
        if kind is None:
            return part(self)
        if kind is bool:
            self = +self  # an int
        return as_python(part(self)) if kind is complex or part is np.imag else self

    return getter


def _set_part(part: str) -> Callable[[Tracer, Any], None]:
    def setter(self: Tracer, value: Any) -> None:
        if part == "real":
            self[...] = value + 1j * np.imag(self) if self.dtype.kind == "c" else value
        elif self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set" + user_line())
        else:
            self[...] = np.real(self) + 1j * value

    return setter


Tracer.T = property(lambda self: np.transpose(self))  # type: ignore[attr-defined]
Tracer.mT = property(lambda self: np.swapaxes(self, -1, -2))  # type: ignore[attr-defined]
Tracer.real = property(_part(np.real), _set_part("real"))  # type: ignore[attr-defined]
Tracer.imag = property(_part(np.imag), _set_part("imag"))  # type: ignore[attr-defined]
Tracer.flat = property(Flat, lambda self, value: _set_flat(self, slice(None), value))  # type: ignore[attr-defined]
Tracer.device = property(lambda self: "cpu")  # type: ignore[attr-defined]
Tracer.itemsize = property(lambda self: self.dtype.itemsize)  # type: ignore[attr-defined]
Tracer.nbytes = property(lambda self: self.size * self.dtype.itemsize)  # type: ignore[attr-defined]
kept_from_numbers(Tracer)
