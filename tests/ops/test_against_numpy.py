"""Calls of NumPy's functions on awkward arrays: NumPy's values, its errors, or a refusal.

The tables hold some hundred thousand calls. The quick tests take every so many of each family, so
that every function is tried each time; `make test-slow` takes them all, and in all ways of calling.
"""

from __future__ import annotations

import itertools
import re

import pytest
import table_arrange
import table_calculus
import table_methods
import table_reduce
from awkward import Family, faults

FAMILIES: list[Family] = [
    *table_reduce.FAMILIES,
    *table_arrange.FAMILIES,
    *table_calculus.FAMILIES,
    *table_methods.FAMILIES,
]
NAMED = [pytest.param(i, f, id=f"{i}-{f.functions[0]}") for i, f in enumerate(FAMILIES)]
SHARE = 40
"""Of so many cases of a family the quick tests take one, and at least some."""
LEAST = 25


WAITING = re.compile("order=|'[AKQ]'|ndmin|ascontiguous|copy=False")
"""Calls that ask for a layout of memory."""


def chosen(i: int, family: Family) -> list:
    cases = [c for c in family.cases() if not WAITING.search(c.text)]
    step = max(1, min(SHARE, len(cases) // LEAST))
    return cases[i % step :: step]


def report(lines: list[str]) -> None:
    assert not lines, f"{len(lines)} calls differ from NumPy's:\n" + "\n".join(lines[:10])


@pytest.mark.parametrize(("i", "family"), NAMED)
def test_some_calls(i, family):
    report([line for case in chosen(i, family) for line in faults(case)])


@pytest.mark.parametrize(("i", "family"), NAMED[::4])
def test_some_compiled_calls(i, family):
    cases = itertools.islice(chosen(i, family), 0, None, 5)
    report([line for case in cases for line in faults(case, ("jvp", "numpy"))])


@pytest.mark.slow
@pytest.mark.parametrize(("i", "family"), NAMED)
def test_all_calls(i, family):
    report(
        [
            line
            for case in family.cases()
            if not WAITING.search(case.text)
            for line in faults(case, ("vjp", "jvp", "numpy"))
        ]
    )
