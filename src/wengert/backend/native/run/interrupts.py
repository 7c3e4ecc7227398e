"""How a native loop lets signals through: Python's handlers run, and what they raise ends the loop.

Native code runs without Python's lock, and Python takes a signal when its main thread comes back.
So a long loop calls `POLL` now and then. It takes the lock, lets the handlers run, and keeps the
exception that one raises; the loop ends, and `raised` raises it where Python goes on.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from typing import Any, NoReturn

from wengert.backend.native.emit.module import POLL
from wengert.llvm import engine

__all__ = ["raised", "ready"]

_TEXT = f"""
@kept = internal global [3 x ptr] zeroinitializer

declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare i32 @PyErr_CheckSignals()
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare void @PyErr_Restore(ptr, ptr, ptr)

define i32 @{POLL}() {{
  %lock = call i32 @PyGILState_Ensure()
  %found = call i32 @PyErr_CheckSignals()
  %none = icmp eq i32 %found, 0
  br i1 %none, label %done, label %keep
keep:
  %value = getelementptr ptr, ptr @kept, i64 1
  %trace = getelementptr ptr, ptr @kept, i64 2
  call void @PyErr_Fetch(ptr @kept, ptr %value, ptr %trace)
  br label %done
done:
  call void @PyGILState_Release(i32 %lock)
  ret i32 %found
}}

define void @restore() {{
  %value = getelementptr ptr, ptr @kept, i64 1
  %trace = getelementptr ptr, ptr @kept, i64 2
  %a = load ptr, ptr @kept
  %b = load ptr, ptr %value
  %c = load ptr, ptr %trace
  call void @PyErr_Restore(ptr %a, ptr %b, ptr %c)
  ret void
}}
"""

_PYTHON = (
    "PyGILState_Ensure",
    "PyGILState_Release",
    "PyErr_CheckSignals",
    "PyErr_Fetch",
    "PyErr_Restore",
)
_LOCK = threading.Lock()
_compiled: list[Any] = []


def ready() -> None:
    """Make `POLL` callable by generated code."""
    with _LOCK:
        if _compiled:
            return
        for name in _PYTHON:
            function = getattr(ctypes.pythonapi, name)
            engine.binding().add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
        made = engine.compile_module(_TEXT, [POLL, "restore"], level=1)
        engine.binding().add_symbol(POLL, made.addresses[POLL])
        # generated code calls it until the process ends: it is never released
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
        _compiled.append(made)


def raised() -> NoReturn:
    """Raise what the handler of a signal raised; only Python's main thread runs handlers."""
    try:
        # a function of this kind looks for an exception when it returns
        ctypes.PYFUNCTYPE(None)(_compiled[0].addresses["restore"])()
    except BaseException as error:
        with contextlib.suppress(AttributeError):
            error._of_handler = True  # type: ignore[attr-defined]
        raise
    raise KeyboardInterrupt
