"""An interrupt from the keyboard does not wait for LLVM."""

from __future__ import annotations

import _thread
import signal
import threading
from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.llvm import engine


def long(x: Any) -> Any:
    for i in range(150):
        x = np.sin(x * i) - x
    return x


def test_an_interrupt_while_llvm_works(monkeypatch: pytest.MonkeyPatch):
    """LLVM goes on until the interrupt was taken, and would go on for ever without one."""
    taken, done = threading.Event(), threading.Event()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    generated = engine._generated

    def slow(*given: Any) -> bytes:
        _thread.interrupt_main()
        assert taken.wait(60)
        code = generated(*given)
        done.set()
        return code

    monkeypatch.setattr(engine, "LENGTHY", 0)
    monkeypatch.setattr(engine.CACHE, "folder", None)
    monkeypatch.setattr(engine, "_generated", slow)
    jitted = wg.jit(long, backend="native")
    with pytest.raises(KeyboardInterrupt):
        jitted(0.3)
    signal.signal(signal.SIGINT, before)
    assert not engine._LOCK._is_owned()  # type: ignore[attr-defined]
    taken.set()
    assert done.wait(60)
    monkeypatch.setattr(engine, "_generated", generated)
    assert jitted(0.3) == pytest.approx(long(0.3))


def test_what_llvm_raises_is_raised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "LENGTHY", 0)
    with pytest.raises(RuntimeError, match="expected"):
        engine.compile_module("no assembly", [])
    with pytest.raises(ZeroDivisionError):
        engine._interruptible(lambda: bytes(1 // 0), 1)
