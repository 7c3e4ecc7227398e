"""SciPy's special functions as the ufuncs that they are.

With the environment variable ``SCIPY_ARRAY_API`` set, SciPy wraps its ufuncs into Python functions
that look at their arguments' array-API namespace. The rows of the table stand for the ufuncs.
"""

from __future__ import annotations

import inspect
from typing import Any

import scipy.special

__all__ = ["ufunc_of", "ufuncs"]


class _Ufuncs:
    """`scipy.special` without the functions around its ufuncs."""

    def __getattr__(self, name: str) -> Any:
        """Return what SciPy's function of this name wraps, and keep it."""
        found = inspect.unwrap(getattr(scipy.special, name))
        setattr(self, name, found)
        return found


ufuncs: Any = _Ufuncs()


class _Probe:
    """An argument that makes a ufunc name itself."""

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> Any:
        return ufunc


def ufunc_of(name: str, nin: int) -> Any:
    """Return the ufunc that a Python function of SciPy calls."""
    return getattr(ufuncs, name)(*(_Probe() for _ in range(nin)))
