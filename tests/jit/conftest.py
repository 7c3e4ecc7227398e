"""Tests of what compiled functions do run with each backend as the default one."""

from __future__ import annotations

import pytest

from wengert.backend.numpy import NumpyBackend
from wengert.jit import jitted as jit_module

ONE_BACKEND = {
    *("test_fastpath", "test_into", "test_pins", "test_plan", "test_progress", "test_specialise"),
}
"""Modules about what is the same with both backends, or about a backend that they name."""


def pytest_generate_tests(metafunc):
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    whole = metafunc.module.__name__.rpartition(".")[2] not in ONE_BACKEND
    if whole and "backend" not in own:
        metafunc.parametrize("backend", ["native", "numpy"], indirect=True)


@pytest.fixture(autouse=True)
def backend(request, monkeypatch):
    """Put the backend in the place of the default one."""
    name = getattr(request, "param", "native")
    if name == "numpy":
        monkeypatch.setitem(jit_module.BACKENDS, "native", NumpyBackend)
    return name
