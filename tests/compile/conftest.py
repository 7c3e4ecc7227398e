"""Every test of `jit` runs with each backend as the default one."""

from __future__ import annotations

import pytest

from wengert import compile as jit_module
from wengert.backend.numpy import NumpyBackend


@pytest.fixture(autouse=True, params=["native", "numpy"])
def backend(request, monkeypatch):
    """Put the backend in the place of the default one."""
    if request.param == "numpy":
        monkeypatch.setitem(jit_module.BACKENDS, "native", NumpyBackend)
    return request.param
