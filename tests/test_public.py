"""The public names: what is exported, and that each says what it is in NumPy's style."""

from __future__ import annotations

import inspect
import re
import types

import pytest

import wengert as wg

TRANSFORMATIONS = {
    "checkpoint", "custom_jvp", "custom_vjp", "grad", "hessian", "hvp", "jacfwd", "jacobian",
    "hessian_diagonal", "jacrev", "jet", "jit", "jvp", "laplacian", "linearize", "stop_gradient",
    "value_and_grad", "vjp", "vmap",
}  # fmt: skip


def exported():
    return {
        name
        for name, value in vars(wg).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }


def test_the_transformations_are_exported():
    assert set(wg.__all__) >= TRANSFORMATIONS


def test_all_is_sorted_and_complete():
    assert list(wg.__all__) == sorted(wg.__all__)
    assert len(set(wg.__all__)) == len(wg.__all__)
    assert exported() <= set(wg.__all__)
    assert all(hasattr(wg, name) for name in wg.__all__)


def test_there_are_few_names():
    assert len(wg.__all__) <= 60


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", wg.__version__)


@pytest.mark.parametrize("name", sorted(TRANSFORMATIONS))
def test_docstrings(name):
    """A summary of one line ending in a period, then NumPy's sections, parameters by name."""
    function = getattr(wg, name)
    text = inspect.getdoc(function)
    assert text, f"{name} has no docstring"
    summary, _, rest = text.partition("\n")
    assert summary.endswith("."), summary
    assert len(summary) <= 100
    assert not rest or rest.startswith("\n")
    if "See `" in text or "; see `" in text:  # the options are described there
        (other,) = set(re.findall(r"[Ss]ee `(\w+)`", text))
        assert other in wg.__all__
        return
    assert "\nParameters\n----------\n" in text
    assert re.search(r"\n(Returns|Attributes|Examples)\n-+\n", text)
    if inspect.isfunction(function):
        names = {
            n.strip().lstrip("*")
            for line in re.findall(r"^([*\w, ]+)(?: : .+)?$", text, re.MULTILINE)
            for n in line.split(",")
        }
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.name in names, f"{name}: {parameter.name} is not described"


def test_every_error_is_also_a_builtin():
    for name in wg.errors.__all__:
        error = getattr(wg.errors, name)
        if not inspect.isclass(error) or error in (wg.errors.WengertError,):
            continue
        assert issubclass(error, wg.errors.WengertError)
        builtin = [c for c in error.__mro__ if c.__module__ == "builtins"]
        assert len(builtin) > 3, f"{name} subclasses only Exception"
        assert error.__doc__
        assert name in wg.errors.__doc__
