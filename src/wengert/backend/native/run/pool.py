"""Worker threads of native code: parts of a large loop run on all cores, without Python.

`PARALLEL`, called with a task, a frame and a count, runs ``task(frame, i)`` for each ``i < count``.
The calling thread takes parts itself, and never waits for a worker that has not begun: on a busy
machine it does all of them. Which thread runs a part makes no difference to the result. A call
while another one runs (from a second thread of Python) runs its parts one after the other.

Workers wait a little in a loop for the next call, then asleep. They are POSIX threads; where there
are none, everything runs in the calling thread.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import threading
from typing import Any

from wengert.backend.native.emit.gemm import threads_of_blas
from wengert.backend.native.emit.parallel import PARALLEL, PARALLEL_BLAS
from wengert.errors import InputError
from wengert.llvm import engine

__all__ = ["get_threads", "ready", "set_threads"]

SPIN = 2000
"""Looks at the state before a worker goes to sleep: some tens of microseconds."""

_X86 = ("llvm.x86.sse2.pause", "", "")
_ARM = ("llvm.aarch64.hint", "i32", "i32 1")
_PAUSE = {"x86_64": _X86, "AMD64": _X86, "aarch64": _ARM, "arm64": _ARM}

_EACH = """\
each:
  %i = phi i64 [ 0, %serial ], [ %i1, %body ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %over
body:
  call void %task(ptr %frame, i64 %i)
  %i1 = add i64 %i, 1
  br label %each
over:
  ret void
}
"""
"""All parts in the calling thread, and the end of the function; it is reached from ``%serial``."""

_TEXT = """
@mutex = internal global [128 x i8] zeroinitializer, align 64
@wake = internal global [128 x i8] zeroinitializer, align 64
@done = internal global [128 x i8] zeroinitializer, align 64
@call = internal global i64 0, align 64
@open = internal global i64 0
@active = internal global i64 0
@asleep = internal global i64 0
@count = internal global i64 0
@task = internal global ptr null
@frame = internal global ptr null
@next = internal global i64 0, align 64
@busy = internal global i64 0, align 64
@limit = internal global i64 1, align 64
@blas_mutex = internal global [128 x i8] zeroinitializer, align 64
@blas_users = internal global i64 0
@blas_threads = internal global i32 0
@blas_get = internal global ptr null
@blas_set = internal global ptr null

declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

define void @reset() {
  %a = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr @wake, ptr null)
  %c = call i32 @pthread_cond_init(ptr @done, ptr null)
  %d = call i32 @pthread_mutex_init(ptr @blas_mutex, ptr null)
  store i64 0, ptr @blas_users
  store i64 0, ptr @open
  store i64 0, ptr @active
  store i64 0, ptr @asleep
  store i64 1, ptr @limit
  store atomic i64 0, ptr @busy release, align 8
  ret void
}

define void @set_limit(i64 %n) {
  store atomic i64 %n, ptr @limit release, align 8
  ret void
}

define internal void @work(ptr %task, ptr %frame, i64 %count) {
entry:
  br label %again
again:
  %i = atomicrmw add ptr @next, i64 1 acq_rel
  %more = icmp slt i64 %i, %count
  br i1 %more, label %run, label %end
run:
  call void %task(ptr %frame, i64 %i)
  br label %again
end:
  ret void
}

define ptr @worker(ptr %unused) {
entry:
  br label %begin
begin:
  %seen = phi i64 [ 0, %entry ], [ %now, %finish ]
  br label %spin
spin:
  %k = phi i64 [ 0, %begin ], [ %k1, %pause ]
  %g = load atomic i64, ptr @call acquire, align 8
  %new = icmp ne i64 %g, %seen
  %k1 = add i64 %k, 1
  %tired = icmp eq i64 %k, SPIN
  %leave = or i1 %new, %tired
  br i1 %leave, label %enter, label %pause
pause:
  PAUSE
  br label %spin
enter:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %check
check:
  %now = load i64, ptr @call
  %opened = load i64, ptr @open
  %others = load i64, ptr @active
  %most = load i64, ptr @limit
  %old = icmp eq i64 %now, %seen
  %shut = icmp eq i64 %opened, 0
  %with = add i64 %others, 1
  %full = icmp sge i64 %with, %most
  %no = or i1 %old, %shut
  %wait = or i1 %no, %full
  br i1 %wait, label %sleep, label %join
sleep:
  %s = load i64, ptr @asleep
  %s1 = add i64 %s, 1
  store i64 %s1, ptr @asleep
  %w = call i32 @pthread_cond_wait(ptr @wake, ptr @mutex)
  %t = load i64, ptr @asleep
  %t1 = sub i64 %t, 1
  store i64 %t1, ptr @asleep
  br label %check
join:
  store i64 %with, ptr @active
  %task = load ptr, ptr @task
  %frame = load ptr, ptr @frame
  %count = load i64, ptr @count
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @work(ptr %task, ptr %frame, i64 %count)
  %l2 = call i32 @pthread_mutex_lock(ptr @mutex)
  %a = load i64, ptr @active
  %a1 = sub i64 %a, 1
  store atomic i64 %a1, ptr @active release, align 8
  %last = icmp eq i64 %a1, 0
  %still = load i64, ptr @open
  %closed = icmp eq i64 %still, 0
  %tell = and i1 %last, %closed
  br i1 %tell, label %signal, label %finish
signal:
  %b = call i32 @pthread_cond_broadcast(ptr @done)
  br label %finish
finish:
  %u2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %begin
}

define void @wengert_parallel(ptr %task, ptr %frame, i64 %count) {
entry:
  %most = load atomic i64, ptr @limit acquire, align 8
  %alone = icmp sle i64 %most, 1
  %one = icmp sle i64 %count, 1
  %no = or i1 %alone, %one
  br i1 %no, label %serial, label %try
try:
  %pair = cmpxchg ptr @busy, i64 0, i64 1 acq_rel monotonic
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %start, label %serial
start:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  store ptr %task, ptr @task
  store ptr %frame, ptr @frame
  store i64 %count, ptr @count
  store atomic i64 0, ptr @next release, align 8
  store i64 1, ptr @open
  %g = load i64, ptr @call
  %g1 = add i64 %g, 1
  store atomic i64 %g1, ptr @call release, align 8
  %s = load i64, ptr @asleep
  %someone = icmp sgt i64 %s, 0
  br i1 %someone, label %rouse, label %go
rouse:
  %b = call i32 @pthread_cond_broadcast(ptr @wake)
  br label %go
go:
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @work(ptr %task, ptr %frame, i64 %count)
  %l2 = call i32 @pthread_mutex_lock(ptr @mutex)
  store i64 0, ptr @open
  %u2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %spin
spin:
  %k = phi i64 [ 0, %go ], [ %k1, %pause ]
  %left = load atomic i64, ptr @active acquire, align 8
  %free = icmp eq i64 %left, 0
  %k1 = add i64 %k, 1
  %tired = icmp eq i64 %k, SPIN
  %leave = or i1 %free, %tired
  br i1 %leave, label %slow, label %pause
pause:
  PAUSE
  br label %spin
slow:
  br i1 %free, label %end, label %enter
enter:
  %l3 = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %check
check:
  %rest = load i64, ptr @active
  %none = icmp eq i64 %rest, 0
  br i1 %none, label %leave2, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr @done, ptr @mutex)
  br label %check
leave2:
  %u3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %end
end:
  store atomic i64 0, ptr @busy release, align 8
  ret void
serial:
  br label %each
EACH
define void @wengert_parallel_blas(ptr %task, ptr %frame, i64 %count) {
entry:
  %get = load ptr, ptr @blas_get
  %set = load ptr, ptr @blas_set
  %l = call i32 @pthread_mutex_lock(ptr @blas_mutex)
  %users = load i64, ptr @blas_users
  %more = add i64 %users, 1
  store i64 %more, ptr @blas_users
  %first = icmp eq i64 %users, 0
  br i1 %first, label %one, label %begin
one:
  %threads = call i32 %get()
  store i32 %threads, ptr @blas_threads
  call void %set(i32 1)
  br label %begin
begin:
  %u = call i32 @pthread_mutex_unlock(ptr @blas_mutex)
  call void @wengert_parallel(ptr %task, ptr %frame, i64 %count)
  %l2 = call i32 @pthread_mutex_lock(ptr @blas_mutex)
  %now = load i64, ptr @blas_users
  %less = sub i64 %now, 1
  store i64 %less, ptr @blas_users
  %last = icmp eq i64 %less, 0
  br i1 %last, label %all, label %end
all:
  %before = load i32, ptr @blas_threads
  call void %set(i32 %before)
  br label %end
end:
  %u2 = call i32 @pthread_mutex_unlock(ptr @blas_mutex)
  ret void
}

define void @set_blas(i64 %get, i64 %set) {
  %g = inttoptr i64 %get to ptr
  %s = inttoptr i64 %set to ptr
  store ptr %g, ptr @blas_get
  store ptr %s, ptr @blas_set
  ret void
}
"""

_ALONE = """
define void @reset() {
  ret void
}

define void @set_limit(i64 %n) {
  ret void
}

define void @set_blas(i64 %get, i64 %set) {
  ret void
}

define void @wengert_parallel(ptr %task, ptr %frame, i64 %count) {
entry:
  br label %serial
serial:
  br label %each
EACH
define void @wengert_parallel_blas(ptr %task, ptr %frame, i64 %count) {
  call void @wengert_parallel(ptr %task, ptr %frame, i64 %count)
  ret void
}
"""
"""The same for systems without POSIX threads: everything runs in the calling thread."""


def _text() -> str:
    text = _TEXT.replace("EACH", _EACH).replace("SPIN", str(SPIN))
    found = _PAUSE.get(platform.machine())
    if found is None:
        return text.replace("  PAUSE\n", "")
    name, kind, given = found
    return f"declare void @{name}({kind})\n" + text.replace("PAUSE", f"call void @{name}({given})")


def _wanted() -> int:
    """Return how many threads to use: an environment variable's, else one for each core."""
    for name in ("WENGERT_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0]
        if value.isdecimal() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """The workers of this process, started when something first needs them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads: int | None = None  # None: as many as there are cores
        self.started = 0
        self.compiled: Any = None

    def load(self) -> None:
        """Compile the pool's own code, and let generated code call it."""
        if self.compiled is not None:
            return
        names = ["reset", "set_limit", "set_blas", PARALLEL, PARALLEL_BLAS]
        if _create() is None:
            self.compiled = engine.compile_module(_ALONE.replace("EACH", _EACH), names, level=1)
        else:
            self.compiled = engine.compile_module(_text(), [*names, "worker"], level=1)
        # workers run in it until the process ends: it is never released
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.compiled))
        for name in (PARALLEL, PARALLEL_BLAS):
            engine.binding().add_symbol(name, self.compiled.addresses[name])
        self.call("reset")

    def call(self, name: str, *args: int) -> None:
        """Call one of the pool's functions."""
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(args))
        kind(self.compiled.addresses[name])(*args)

    def start(self) -> None:
        """Start the workers that are missing, and tell native code how many threads to use."""
        wanted = self.threads or _wanted()
        create = _create()
        while create is not None and self.started < wanted - 1:
            if not create(self.compiled.addresses["worker"]):
                break
            self.started += 1
        self.call("set_limit", min(wanted, self.started + 1))

    def forget(self) -> None:
        """Begin anew in the child of a fork, which has no workers."""
        self.lock = threading.Lock()
        self.started = 0
        if self.compiled is not None:
            self.call("reset")


_POOL = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def _create() -> Any:
    """Return a function that starts a thread, None where there are no POSIX threads."""
    try:
        create = ctypes.CDLL(None).pthread_create
    except (AttributeError, OSError, TypeError):
        return None

    def start(address: int) -> bool:
        handle = ctypes.c_uint64()
        # signals are for Python's threads
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            return bool(create(ctypes.byref(handle), None, ctypes.c_void_p(address), None) == 0)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    return start


def ready(*, blas: bool = False) -> None:
    """Make `PARALLEL` callable, with `blas` also `PARALLEL_BLAS`, and start workers.

    In the child of a fork, programs compiled before run in one thread until this is called again.
    """
    with _POOL.lock:
        _POOL.load()
        found = threads_of_blas() if blas else None  # SciPy is large: not without need
        if found is not None:
            _POOL.call("set_blas", *found)
        _POOL.start()


def set_threads(n: int | None) -> None:
    """Set how many threads compiled functions use for their large loops.

    Parameters
    ----------
    n : int or None
        1 for none but the caller's; None for the default, which is ``WENGERT_NUM_THREADS``, else
        ``OMP_NUM_THREADS``, else the number of cores that the process may use. Matrix products are
        among them where SciPy's BLAS is OpenBLAS; another BLAS has settings of its own.

    Raises
    ------
    InputError
        For a number below 1.

    Notes
    -----
    Results do not depend on it, bit for bit.
    """
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
        raise InputError(f"set_threads takes a number of at least 1, or None, got {n!r}")
    with _POOL.lock:
        _POOL.threads = n
        if _POOL.compiled is not None:
            _POOL.start()


def get_threads() -> int:
    """Return how many threads compiled functions use for their large loops."""
    return _POOL.threads or _wanted()
