"""Tests of the backends compile afresh, and leave the user's cache alone."""

import pytest

from wengert.backend.native import NativeBackend
from wengert.jit import jitted as jit_module
from wengert.llvm import engine


@pytest.fixture(autouse=True)
def native(monkeypatch):
    monkeypatch.setattr(engine.CACHE, "folder", None)
    monkeypatch.setitem(jit_module.BACKENDS, "native", NativeBackend)
