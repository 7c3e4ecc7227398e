"""What stands for a NumPy function has the parameters of NumPy's own."""

from __future__ import annotations

import inspect
from inspect import Parameter

import numpy as np
import pytest

import wengert as wg
from wengert.trace.dispatch import CREATION, FUNCTIONS

wg.grad  # noqa: B018  (loads the table)

SHORTER = {
    "array": {"object", "ndmax"},  # an array or a list of traced values has neither
}
"""Parameters that are left out, by function; these raise where they are given."""

LIKE = "like"
SIGNED = []
for function in FUNCTIONS:
    if not isinstance(function, np.ufunc):
        try:
            SIGNED.append((function, inspect.signature(function)))
        except (ValueError, TypeError):  # written in C, without a text that says it
            continue
ANY = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def parameters(function):
    """Return the parameters of an implementation; that of a creation has the traced value first."""
    found = list(inspect.signature(FUNCTIONS[function]).parameters.values())
    return found[1:] if function in CREATION else found


@pytest.mark.parametrize(
    ("function", "want"), SIGNED, ids=[f"{f.__module__}.{f.__name__}" for f, _ in SIGNED]
)
def test_parameters_are_those_of_numpy(function, want):
    have = parameters(function)
    kinds = {p.kind for p in have}
    named = {p.name: p for p in have}
    placed = [p.name for p in have if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for place, p in enumerate(want.parameters.values()):
        if p.kind in ANY or p.name == LIKE or p.name in SHORTER.get(function.__name__, ()):
            continue
        if p.name not in named:
            rest = Parameter.VAR_KEYWORD if p.kind == p.KEYWORD_ONLY else Parameter.VAR_POSITIONAL
            assert rest in kinds, f"{p.name} is missing"
            continue
        mine = named[p.name]
        if p.kind == p.POSITIONAL_OR_KEYWORD and mine.kind not in ANY:
            assert placed[place] == p.name
        same = type(p.default) is type(mine.default) and p.default == mine.default
        unset = {type(None), type(np._NoValue), type(Parameter.empty)}
        assert same or mine.default is p.default or type(mine.default) in unset


def test_functions_with_a_signature_are_most():
    assert len(SIGNED) > 200
