"""Calls of NumPy's functions on awkward arrays: NumPy's values, its errors, or a refusal.

The tables hold some hundred thousand calls. The quick tests take every so many of each family, so
that every function is tried each time; `make test-slow` takes more of them, and in all ways of
calling. WENGERT_TABLE_SHARE=1 makes the slow tests take all, which is some hours of work.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import Any

import numpy as np
import pytest
import table_arrange
import table_calculus
import table_methods
import table_reduce
from awkward import Family, disagreement, faults
from rest_cases import COVERED as REST

from wengert.ops.elementwise import UFUNCS
from wengert.trace.dispatch import CREATION, FUNCTIONS, UFUNC_METHODS
from wengert.trace.tracer import Tracer

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
SLOW_SHARE = int(os.environ.get("WENGERT_TABLE_SHARE", "20"))
"""Of so many cases of a family the slow tests take one."""


UNSORTED = "sorter=np.argsort(["
"""A sorter for other numbers than those searched: what NumPy answers then depends on its search."""


def chosen(i: int, family: Family) -> list:
    cases = list(family.cases())
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


@pytest.mark.parametrize(("i", "family"), NAMED)
def test_some_derivatives_agree(i, family):
    report([line for case in chosen(i + 7, family)[::2] if (line := disagreement(case))])


@pytest.mark.slow
@pytest.mark.parametrize(("i", "family"), NAMED)
def test_more_derivatives_agree(i, family):
    cases = itertools.islice(family.cases(), i % SLOW_SHARE, None, SLOW_SHARE)
    report([line for case in cases if (line := disagreement(case))])


@pytest.mark.slow
@pytest.mark.parametrize(("i", "family"), NAMED)
def test_some_native_calls(i, family):
    cases = [case for case in chosen(i + 3, family)[:4] if UNSORTED not in str(case)]
    report([line for case in cases for line in faults(case, ("native",))])


@pytest.mark.slow
@pytest.mark.parametrize(("i", "family"), NAMED)
def test_more_calls(i, family):
    cases = itertools.islice(family.cases(), (i + 1) % SLOW_SHARE, None, SLOW_SHARE)
    report([x for case in cases for x in faults(case, ("vjp", "jvp", "numpy"))])


# --- every function has calls ---------------------------------------------------------------------
TEXT = "\n".join(t + o for f in FAMILIES for t in f.templates for o in f.options)
UNTOLD = {"array2string", "array_repr", "array_str"}
"""What prints a traced value says that it is one."""


def spelled(function: Any) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    prefix = {"numpy.linalg": "np.linalg.", "numpy.fft": "np.fft."}.get(module, "np.")
    name = "sliding" if function.__name__ == "sliding_window_view" else function.__name__
    return name if name == "sliding" else prefix + name


def test_every_function_has_calls():
    functions = {*FUNCTIONS, *CREATION} - REST
    functions = [f for f in functions if f.__name__ not in UNTOLD]
    missing = {spelled(f) for f in functions if f"{spelled(f)}(" not in TEXT}
    assert sorted(missing) == [], "add calls of these to a table_*.py"


def test_every_ufunc_has_calls():
    names = {
        f"np.{u.__name__}" if getattr(np, u.__name__, None) is u else f"sp.{op.name}"
        for u, op in UFUNCS.items()
    }
    assert sorted(n for n in names if f"{n}(" not in TEXT) == []


def test_every_method_of_ufuncs_has_calls():
    names = {f"np.{u.__name__}.{m}" for u, m in UFUNC_METHODS if u is not None}
    assert sorted(n for n in names if f"{n}(" not in TEXT) == []


def test_every_method_of_arrays_has_calls():
    names = [n for n in dir(Tracer) if not n.startswith("_")]
    missing = [n for n in names if not re.search(rf"\b[xy]\.{n}\b|'{n}'", TEXT)]
    assert missing == []
