"""The functions of `statistics` on traced numbers."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.trace.numbers import as_python
from wengert.trace.python.created import joined_lists
from wengert.trace.python.table import find, stands_for
from wengert.trace.refused import refused_by

__all__: list[str] = []


def _of_data(function: Any, stand_in: Callable[..., Any], least: int = 1) -> None:
    def call(data: Any, *args: Any, **kwargs: Any) -> Any:
        items = list(data)
        if find(items) is None and find([*args, *kwargs.values()]) is None:
            return function(items, *args, **kwargs)
        if len(items) < least:
            raise statistics.StatisticsError(
                f"{function.__name__} requires at least {least} data point(s)" + user_line()
            )
        return as_python(stand_in(joined_lists(items), *args, **kwargs))

    stands_for(function)(call)


def _middle(shift: int) -> Callable[..., Any]:
    def middle(x: Any) -> Any:
        ordered = np.sort(x)
        return ordered[(ordered.size - shift) // 2]

    return middle


def _spread(ddof: int, root: bool) -> Callable[..., Any]:
    def spread(x: Any, centre: Any = None) -> Any:
        around = np.mean(x) if centre is None else centre
        square = np.sum((x - around) ** 2) / (x.size - ddof)
        return np.sqrt(square) if root else square

    return spread


_of_data(statistics.mean, np.mean)
_of_data(
    statistics.fmean,
    lambda x, weights=None: np.mean(x) if weights is None else np.average(x, weights=weights),
)
_of_data(statistics.median, np.median)
_of_data(statistics.median_low, _middle(1))
_of_data(statistics.median_high, _middle(0))
_of_data(statistics.geometric_mean, lambda x: np.exp(np.mean(np.log(x))))
_of_data(
    statistics.harmonic_mean,
    lambda x, weights=None: (
        1 / np.mean(1 / x) if weights is None else np.sum(weights) / np.sum(np.asarray(weights) / x)
    ),
)
_of_data(statistics.variance, _spread(1, False), 2)
_of_data(statistics.stdev, _spread(1, True), 2)
_of_data(statistics.pvariance, _spread(0, False))
_of_data(statistics.pstdev, _spread(0, True))


def _of_pairs(function: Any, stand_in: Callable[..., Any]) -> None:
    def call(x: Any, y: Any, /, **options: Any) -> Any:
        given = [list(x), list(y)]
        if find(given) is None:
            return function(*given, **options)
        if len(given[0]) != len(given[1]) or len(given[0]) < 2:
            return function(*([0.0] * len(items) for items in given))  # which says so
        return stand_in(*map(_array, given), **options)

    stands_for(function)(call)


def _array(items: list[Any]) -> Any:
    return np.array(items) if find(items) is None else joined_lists(items)


def _correlation(x: Any, y: Any, method: str = "linear") -> Any:
    if method != "linear":
        raise refused_by("statistics.correlation", "of ranks takes no traced value")
    x, y = x - np.mean(x), y - np.mean(y)
    return as_python(np.sum(x * y) / np.sqrt(np.sum(x * x) * np.sum(y * y)))


def _line(x: Any, y: Any, proportional: bool = False) -> Any:
    dx, dy = (x, y) if proportional else (x - np.mean(x), y - np.mean(y))
    slope = np.sum(dx * dy) / np.sum(dx * dx)
    intercept = 0.0 if proportional else as_python(np.mean(y) - slope * np.mean(x))
    return statistics.LinearRegression(as_python(slope), intercept)


_of_pairs(
    statistics.covariance,
    lambda x, y: as_python(np.sum((x - np.mean(x)) * (y - np.mean(y))) / (x.size - 1)),
)
_of_pairs(statistics.correlation, _correlation)
_of_pairs(statistics.linear_regression, _line)


@stands_for(statistics.quantiles)
def _quantiles(data: Any, *, n: int = 4, method: Any = "exclusive") -> Any:
    items = list(data)
    if find(items) is None or n < 1 or len(items) < 2 or method not in ("exclusive", "inclusive"):
        return statistics.quantiles(items, n=n, method=method)
    x = np.sort(joined_lists(items))
    m = x.size + 1 if method == "exclusive" else x.size - 1
    found = []
    for i in range(1, n):
        if method == "exclusive":
            j = min(max(i * m // n, 1), x.size - 1)
            found.append((x[j - 1] * (n - i * m + j * n) + x[j] * (i * m - j * n)) / n)
        else:
            j, delta = divmod(i * m, n)
            found.append((x[j] * (n - delta) + x[min(j + 1, x.size - 1)] * delta) / n)
    return [as_python(q) for q in found]
