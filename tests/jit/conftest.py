"""Every test of `jit` runs with each backend as the default one."""

from __future__ import annotations

import pytest

from wengert.backend.numpy import NumpyBackend
from wengert.jit import jitted as jit_module


@pytest.fixture(autouse=True, params=["native", "numpy"])
def backend(request, monkeypatch):
    """Put the backend in the place of the default one."""
    if request.param == "numpy":
        monkeypatch.setitem(jit_module.BACKENDS, "native", NumpyBackend)
    return request.param
