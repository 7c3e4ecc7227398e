"""Methods of traced arrays: NumPy's functions under NumPy's method names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ops import elementwise as ew
from wengert.trace import (  # noqa: F401  (they fill the table that the methods read)
    numpy_contract,
    numpy_linalg,
    numpy_misc,
    numpy_reduce,
    numpy_shape,
)
from wengert.trace.tracer import FUNCTIONS, Tracer

_FUNCTIONS = {
    "all": np.all, "any": np.any, "argmax": np.argmax, "argmin": np.argmin, "argsort": np.argsort,
    "argpartition": np.argpartition, "choose": np.choose, "clip": np.clip, "compress": np.compress,
    "copy": np.copy, "cumprod": np.cumprod, "cumsum": np.cumsum, "diagonal": np.diagonal,
    "dot": np.dot, "max": np.max, "mean": np.mean, "min": np.min, "nonzero": np.nonzero,
    "prod": np.prod, "ravel": np.ravel, "repeat": np.repeat, "round": np.round,
    "searchsorted": np.searchsorted, "squeeze": np.squeeze, "std": np.std, "sum": np.sum,
    "swapaxes": np.swapaxes, "take": np.take, "trace": np.trace, "var": np.var, "flatten": np.copy,
}  # fmt: skip


def _method(function: Any) -> Callable[..., Any]:
    implementation = FUNCTIONS[function]

    def method(self: Tracer, *args: Any, **kwargs: Any) -> Any:
        return implementation(self, *args, **kwargs)

    return method


for _name, _function in _FUNCTIONS.items():
    setattr(Tracer, _name, _method(_function))


def _reshape(self: Tracer, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    target = shape[0] if len(shape) == 1 else shape
    return np.reshape(self, target, order=order)  # type: ignore[call-overload]


def _transpose(self: Tracer, *axes: Any) -> Any:
    order = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))) else axes or None
    return np.transpose(self, order)  # type: ignore[call-overload]


def _flatten(self: Tracer, order: str = "C") -> Any:
    return np.ravel(np.copy(self), order)  # type: ignore[call-overload]


def _astype(self: Tracer, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    return ew.convert(self, dtype=np.dtype(dtype))


def _fill(self: Tracer, value: Any) -> None:
    self[...] = value


def _sort(self: Tracer, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
    self._assign(np.sort(self, axis=axis))  # type: ignore[call-overload]


def _conj(self: Tracer) -> Any:
    return np.conjugate(self)  # type: ignore[call-overload]


for _name, _implementation in {
    "reshape": _reshape, "transpose": _transpose, "flatten": _flatten, "astype": _astype,
    "fill": _fill, "sort": _sort, "conj": _conj, "conjugate": _conj,
}.items():  # fmt: skip
    setattr(Tracer, _name, _implementation)


def _set_part(part: str) -> Callable[[Tracer, Any], None]:
    def setter(self: Tracer, value: Any) -> None:
        if part == "real":
            self[...] = value + 1j * np.imag(self) if self.dtype.kind == "c" else value  # type: ignore[call-overload]
        else:
            self[...] = np.real(self) + 1j * value  # type: ignore[call-overload]

    return setter


Tracer.T = property(lambda self: np.transpose(self))  # type: ignore[attr-defined]
Tracer.mT = property(lambda self: np.swapaxes(self, -1, -2))  # type: ignore[attr-defined]
Tracer.real = property(lambda self: np.real(self), _set_part("real"))  # type: ignore[attr-defined]
Tracer.imag = property(lambda self: np.imag(self), _set_part("imag"))  # type: ignore[attr-defined]
Tracer.flat = property(lambda self: iter(np.ravel(self)))  # type: ignore[attr-defined]
Tracer.device = property(lambda self: "cpu")  # type: ignore[attr-defined]
