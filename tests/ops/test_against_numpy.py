"""Calls of NumPy's functions on awkward arrays: NumPy's values, its errors, or a refusal.

The tables hold some hundred thousand calls. The quick tests take every so many of each family, so
that every function is tried each time; `make test-slow` takes them all, and in all ways of calling.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import table_arrange
import table_calculus
import table_methods
import table_reduce
from awkward import Family, disagreement, faults

from wengert.ops.elementwise import UFUNCS
from wengert.trace.tracer import CREATION, FUNCTIONS, UFUNC_METHODS, Tracer

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
def test_all_derivatives_agree(i, family):
    report([line for case in family.cases() if (line := disagreement(case))])


@pytest.mark.slow
@pytest.mark.parametrize(("i", "family"), NAMED)
def test_some_native_calls(i, family):
    report([line for case in chosen(i + 3, family)[:4] for line in faults(case, ("native",))])


@pytest.mark.slow
@pytest.mark.parametrize(("i", "family"), NAMED)
def test_all_calls(i, family):
    report([x for case in family.cases() for x in faults(case, ("vjp", "jvp", "numpy"))])


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
    functions = [f for f in (*FUNCTIONS, *CREATION) if f.__name__ not in UNTOLD]
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
