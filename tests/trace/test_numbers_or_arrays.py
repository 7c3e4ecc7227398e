"""A result without axes is a number, or an array without axes, as in NumPy.

The difference shows where it is updated: ``y += 1`` makes another number, and changes an array that
may have other names.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

import wengert as wg
from wengert.trace.dispatch import FUNCTIONS

V, M = np.array([0.3, 0.7, 0.2]), np.array([[2.0, 0.3], [0.1, 1.5]])
FIRST = (V, M, np.array(0.4), np.float64(0.4), M[None])
REST = (
    *((), (0,), (1,), (2.0,), (V,), (M,), (50.0,), ([0.0, 1.0], [1.0, 2.0]), (V, V)),
    (M[0],),
)
KEYWORDS = ({}, {"axis": 0}, {"axis": None}, {"axis": -1}, {"ord": 1})
OTHERS = {
    "isin": "its result has no derivative",
    "imag": "of real numbers, it is zero, and cannot be written to",
    "nan_to_num": "with copy=False, it gives its argument",
    **dict.fromkeys(("copyto", "place", "put", "save"), "they give nothing"),
}


def kind(y):
    """Say what a result without axes is; None for one with axes."""
    if isinstance(y, (tuple, list)):
        return tuple(map(kind, y))
    if np.ndim(y):
        return None
    is_array = y._is_array() if hasattr(y, "_is_array") else isinstance(y, np.ndarray)
    return "array" if is_array else "number"


def calls(function):
    """Iterate over calls that NumPy takes; arrays are copies, as one may be taken for ``out=``."""
    for x, rest, options in copy.deepcopy(list(itertools.product(FIRST, REST, KEYWORDS))):
        try:
            want = kind(function(x, *rest, **options))
        except Exception:
            continue
        if want is not None and want != ():
            yield x, rest, options, want


@pytest.mark.filterwarnings("ignore")
def test_results_are_numbers_where_numpys_are():
    wrong, tried = [], 0
    for function in list(FUNCTIONS):
        if function.__name__ in OTHERS:
            continue
        for x, rest, options, want in calls(function):
            found = []

            def f(x):
                found.append(kind(function(x, *rest, **options)))  # noqa: B023
                return np.sum(x)

            try:
                wg.vjp(f, x, allow_int=True)
            except Exception:
                continue
            tried += 1
            if found and found[-1] != want:
                wrong.append((function.__name__, np.shape(x), rest, options, want, found[-1]))
    assert not wrong
    assert tried > 1000


MADE = {
    "median": np.median,
    "norm": np.linalg.norm,
    "percentile": lambda x: np.percentile(x, 30),
    "interpolation": lambda x: np.interp(0.4, np.arange(3.0), x),
    "largest": np.nanmax,
    "deviation": np.nanstd,
    "one": lambda x: np.take(x, 1),
    "sinc": lambda x: np.sinc(x[0]),
    "whole": lambda x: np.modf(x[0])[0],
    "sum": np.sum,
    "pick": lambda x: np.where(x > 0, x, 0)[1],
    "series": lambda x: np.i0(x[0]),
    "product": lambda x: np.tensordot(x, x, 1),
    "chosen": lambda x: np.where(x[0] > 0, x[0], x[1]),
}


@pytest.mark.parametrize("name", MADE)
def test_another_name_of_a_result_sees_an_update_of_an_array_only(name, check_agreement):
    def f(x):
        y = MADE[name](x)
        before = y
        y += x[2]
        y *= 2.0
        return before * x[1] + y

    check_agreement(f, V + 0.1, batched=True)
