"""The array-API namespace of traced arrays: NumPy, with conversions that keep traced values."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.ops.base import Traced
from wengert.trace.table import cast, traced

__all__ = ["NAMESPACE"]


class Namespace:
    """NumPy's main namespace; `asarray` and `array` accept traced values."""

    def __getattr__(self, name: str) -> Any:
        """Return NumPy's function."""
        return getattr(np, name)

    @staticmethod
    def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
        """Return `x` as an array or traced value."""
        return cast(traced(x), dtype)

    array = asarray

    @staticmethod
    def isdtype(dtype: Any, kind: Any) -> bool:
        """Stand for `numpy.isdtype`."""
        return np.isdtype(dtype, kind)

    @staticmethod
    def is_traced(x: Any) -> bool:
        """Whether `x` is a traced value."""
        return isinstance(x, Traced)


NAMESPACE = Namespace()
