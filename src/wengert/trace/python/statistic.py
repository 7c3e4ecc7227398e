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
