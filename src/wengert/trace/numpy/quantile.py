"""NumPy's medians and quantiles on traced values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import UnsupportedError, user_line
from wengert.ops.base import Traced
from wengert.ops.order import take_along
from wengert.trace.numpy.reduce import _keep
from wengert.trace.numpy.table import (
    NO_VALUE,
    axes,
    deliver,
    implements,
    normalised,
    refuse,
    traced,
)


class _Lines:
    """An array as sorted lines along the reduced axes, NaN last."""

    def __init__(self, name: str, a: Any, axis: Any, exact: bool = False) -> None:
        a = traced(a)
        if a.dtype.kind in "iub" and not exact:
            a = a.astype(float)
        dims = axes(normalised(axis), a.ndim)
        kept = tuple(i for i in range(a.ndim) if i not in dims)
        self.shape = tuple(a.shape[i] for i in kept)
        self.wide = tuple(1 if i in dims else m for i, m in enumerate(a.shape))
        self.length = math.prod(a.shape[i] for i in dims)
        if not self.length or not math.prod(self.shape):
            raise UnsupportedError(
                f"numpy.{name} of an array of shape {a.shape} without elements is not supported "
                f"on traced values" + user_line()
            )
        self.unsorted = np.reshape(np.transpose(a, (*kept, *dims)), (*self.shape, self.length))
        self.sorted = np.sort(self.unsorted, axis=-1)

    def numbers(self) -> Any:
        """Return how many elements of each line are no NaN."""
        return np.sum(~np.isnan(self.unsorted), axis=-1)

    def at(self, place: Any) -> Any:
        """Read the lines at an integer for all, or at one for each."""
        if np.ndim(place) == 0 and not isinstance(place, Traced):
            return self.sorted[..., int(place)]
        return take_along(self.sorted, place[..., None], self.sorted.ndim - 1)[..., 0]

    def unless_nan(self, y: Any) -> Any:
        """Return `y`, and NaN for lines that have one."""
        last = self.sorted[..., -1]
        if last.dtype.kind not in "fc":
            return y
        return np.where(np.isnan(last), last, y)


# --- medians --------------------------------------------------------------------------------------
def _median(name: str, skip: bool) -> Callable[..., Any]:
    def implementation(
        a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
        keepdims: Any = NO_VALUE,
    ) -> Any:  # fmt: skip
        lines = _Lines(name, a, axis)
        if skip:
            n = lines.numbers()
            low, high = lines.at(np.maximum((n - 1) // 2, 0)), lines.at(n // 2)
            y = np.where(n % 2 == 1, low, _mean(low, high))
            y = np.where(n == 0, np.array(np.nan, y.dtype), y)
        else:
            n = lines.length
            y = lines.at(n // 2) if n % 2 else _mean(lines.at(n // 2 - 1), lines.at(n // 2))
            y = lines.unless_nan(y)
        return deliver(np.reshape(y, lines.wide) if _keep(keepdims) else y, out)

    return implementation


def _mean(low: Any, high: Any) -> Any:
    return np.mean(np.stack([low, high]), axis=0)


implements(np.median)(_median("median", False))
implements(np.nanmedian)(_median("nanmedian", True))


# --- quantiles ------------------------------------------------------------------------------------
def _quantile(name: str, a: Any, q: Any, axis: Any, keepdims: bool, skip: bool) -> Any:
    """Interpolate between sorted elements; `skip` passes over NaN, which else comes out."""
    q = np.asarray(q, dtype=a.dtype if type(q) is float and a.dtype.kind == "f" else None)
    if q.ndim > 2 or not q.size or (q.dtype.kind == "f" and q.dtype != np.result_type(q, a.dtype)):
        raise UnsupportedError(
            f"numpy.{name} with q of shape {q.shape} and {q.dtype}; give q as a float, or as a "
            f"vector of the array's dtype" + user_line()
        )
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError("Quantiles must be in the range [0, 1]" + user_line())
    if a.dtype.kind == "b" and q.dtype.kind == "f":
        raise TypeError(f"numpy.{name} of booleans" + user_line())
    lines = _Lines(name, a, axis, exact=q.dtype.kind != "f")
    n = lines.numbers() if skip else lines.length
    made = np.stack([_between(lines, n, share) for share in q.ravel()])
    made = made if skip else lines.unless_nan(made)
    return np.reshape(made, q.shape + (lines.wide if keepdims else lines.shape))


def _between(lines: _Lines, n: Any, q: Any) -> Any:
    """Read sorted lines of `n` numbers at the place ``q (n - 1)``, from the nearer neighbour."""
    last_place = max(n - 1, 0) if isinstance(n, int) else np.maximum(n, 1) - 1
    place = q * last_place
    if q.dtype.kind != "f":
        return lines.at(np.asarray(place)[()] if not isinstance(place, Traced) else place)
    low = np.floor(place).astype(np.intp)
    share = (place - low).astype(q.dtype)
    first, last = lines.at(low), lines.at(np.minimum(low + 1, last_place))
    gap = last - first
    if not isinstance(share, Traced) and np.ndim(share) == 0:
        return last - gap * (1 - share) if share >= 0.5 else first + gap * share
    return np.where(share >= 0.5, last - gap * (1 - share), first + gap * share)


def _quantile_function(name: str, skip: bool, percent: bool) -> Callable[..., Any]:
    def implementation(
        a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
        method: str = "linear", keepdims: Any = NO_VALUE, *, weights: Any = None,
        interpolation: Any = None,
    ) -> Any:  # fmt: skip
        refuse(
            name,
            method=(method, "linear"),
            weights=(weights, None),
            interpolation=(interpolation, None),
        )
        a = traced(a)
        if isinstance(q, Traced):
            raise UnsupportedError(f"numpy.{name} with a traced q" + user_line())
        if a.dtype.kind == "c":
            raise TypeError("a must be an array of real numbers" + user_line())
        if percent:
            plain = type(q) in (int, float)
            q = q if plain else np.asarray(q)
            if not plain and q.dtype.kind == "f" and q.dtype != np.result_type(q, a.dtype):
                refuse(name, q=(q, None))
            q = np.true_divide(q, a.dtype.type(100) if a.dtype.kind == "f" else 100)
            q = float(q) if plain and a.dtype.kind != "f" else q
        return deliver(_quantile(name, a, q, axis, _keep(keepdims), skip), out)

    return implementation


for _name, _skip, _percent in (
    ("quantile", False, False), ("nanquantile", True, False),
    ("percentile", False, True), ("nanpercentile", True, True),
):  # fmt: skip
    implements(getattr(np, _name))(_quantile_function(_name, _skip, _percent))
