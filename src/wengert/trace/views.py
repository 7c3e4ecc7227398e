"""How an update of a view reaches its base."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import MutationError, user_line
from wengert.ops import elementwise as ew
from wengert.ops.base import Op
from wengert.ops.index import index_set
from wengert.ops.shape import inverse, reshape, transpose

__all__ = ["attach", "real_or_complex", "write"]


def attach(view: Any, base: Any, op: Op, attrs: dict[str, Any]) -> Any:
    """Remember that `view` was made from `base` by an operation that shares memory in NumPy."""
    if getattr(view, "trace", None) is base._trace and view is not base:
        view._view = (base, op, attrs, base._version)
    return view


def write(base: Any, op: Op, attrs: dict[str, Any], new: Any) -> Any:
    """Return the value of `base` after its view ``op(base, **attrs)`` was set to `new`."""
    kind = op.alias
    if kind == "getitem":
        return index_set(base, new, **attrs)
    if kind == "reshape":
        return reshape(new, shape=base.shape)
    if kind == "transpose":
        return transpose(new, axes=inverse(attrs["axes"]))
    if kind == "real":
        return new + 1j * np.imag(base)
    if kind == "imag":
        return np.real(base) + 1j * new
    raise MutationError(
        f"the result of {op.name} is a read-only view, as in NumPy; copy it before writing into it: "
        f"y = y.copy()" + user_line()
    )


def real_or_complex(op: Op, x: Any) -> Any:
    """Apply ``absolute`` or ``sign``, whose derivatives differ for complex numbers."""
    if x.dtype.kind != "c":
        return op(x)
    modulus = ew.complex_absolute(x)
    if op is ew.absolute:
        return modulus
    return x / np.where(modulus == 0, 1, modulus)
