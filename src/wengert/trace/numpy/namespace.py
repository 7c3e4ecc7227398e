"""The array-API namespace of traced arrays: NumPy, with conversions that keep traced values."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.ops.base import Traced
from wengert.trace.numpy.table import cast, traced
from wengert.trace.tracer import NAMESPACES

__all__ = ["Namespace"]


class Namespace:
    """NumPy's main namespace; `asarray` and `array` accept traced values."""

    def __getattr__(self, name: str) -> Any:
        """Return NumPy's function."""
        return getattr(np, name)

    @staticmethod
    def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
        """Return `x` as an array or traced value, itself where it is one of that dtype."""
        y = cast(traced(x), dtype)
        return np.copy(y) if copy and y is x else y

    @staticmethod
    def array(x: Any, /, *, dtype: Any = None, copy: Any = True) -> Any:
        """Return `x` as a new array or traced value."""
        return Namespace.asarray(x, dtype=dtype, copy=copy)

    @staticmethod
    def isdtype(dtype: Any, kind: Any) -> bool:
        """Stand for `numpy.isdtype`."""
        return np.isdtype(dtype, kind)

    @staticmethod
    def is_traced(x: Any) -> bool:
        """Whether `x` is a traced value."""
        return isinstance(x, Traced)


NAMESPACES.append(Namespace())
