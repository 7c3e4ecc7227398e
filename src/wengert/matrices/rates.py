"""How long this machine takes for each quantity of work: built in, or measured once and kept.

The built-in rates are of a processor of 2024 with two cores. What is decided by them are ratios,
and those differ little between machines; `calibrate` measures them and writes them to the user's
cache, where later processes find them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wengert.backend.native import NativeBackend
from wengert.files import write_atomic
from wengert.ir.graph import Graph, Node, Value
from wengert.llvm.cache import default_folder
from wengert.matrices.work import QUANTITIES, Work, work_of
from wengert.ops import elementwise as ew
from wengert.ops.base import TABLE

__all__ = ["Rates", "calibrate", "rates"]

NANOSECONDS: dict[str, float] = {
    "step": 20.0,
    "line": 0.3,
    "simple": 0.05,
    "divide": 0.15,
    "call": 0.6,
    "byte": 0.03,
    "apart": 0.8,
    "lookup": 1.0,
    "number": 0.3,
    "number_call": 10.0,
    "product": 0.027,
    "host": 4000.0,
    "host_flop": 0.1,
    "host_byte": 0.1,
}
"""Nanoseconds of each quantity in `wengert.matrices.work.QUANTITIES`, without calibration."""


class Rates:
    """What each quantity of work takes.

    Attributes
    ----------
    nanoseconds : mapping
        For each of `QUANTITIES`.
    source : str
        Where they are from: ``built in``, or the file.
    """

    def __init__(self, nanoseconds: Mapping[str, float], source: str) -> None:
        self.nanoseconds = dict(nanoseconds)
        self.source = source

    def seconds(self, work: Work) -> float:
        """Return how long some work takes, alone on the machine."""
        return 1e-9 * sum(n * self.nanoseconds[k] for k, n in work.items())

    def __str__(self) -> str:
        """Return a line for each quantity."""
        lines = [f"  {self.nanoseconds[k]:10.3g} ns  {what}" for k, what in QUANTITIES.items()]
        return "\n".join([f"rates, {self.source}:", *lines])


_LOCK = threading.Lock()
_FOUND: list[Rates] = []


def rates() -> Rates:
    """Return the rates of this machine: those that `calibrate` kept, else the built-in ones."""
    with _LOCK:
        if not _FOUND:
            _FOUND.append(_read() or Rates(NANOSECONDS, "built in"))
        return _FOUND[0]


def _path() -> Path | None:
    """Return the file of this machine, which others that share the folder do not read."""
    folder = default_folder()
    if folder is None:
        return None
    machine = platform.node(), platform.machine(), str(os.cpu_count())
    mark = hashlib.sha256("\n".join(machine).encode()).hexdigest()[:16]
    return folder / "rates" / f"{mark}.json"


def _read() -> Rates | None:
    path = _path()
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or set(found) != set(QUANTITIES):
        return None  # of another version
    if not all(type(x) is float and math.isfinite(x) and x > 0 for x in found.values()):
        return None
    return Rates(found, os.fspath(path))


def calibrate() -> Rates:
    """Measure what this machine takes for each quantity of work, and keep it in the user's cache.

    Small programs of native code that do much of one thing are timed; it takes about a second.
    Plans that are made afterwards, in this process and in later ones on this machine, are chosen by
    these rates. Without calibration the rates that are built in serve.

    Returns
    -------
    Rates
        They print themselves. Where no cache can be written (``WENGERT_CACHE_DIR``), they hold in
        this process only.
    """
    found = dict(NANOSECONDS)
    with np.errstate(all="ignore"):
        for quantity, make in _PROGRAMS.items():
            found[quantity] = _measured(quantity, make, found)
    path = _path()
    made = Rates(found, "measured now")
    if path is not None:
        text = json.dumps(found, indent=1).encode()
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, lambda file: file.write(text))
            made = Rates(found, os.fspath(path))
    with _LOCK:
        _FOUND[:] = [made]
    return made


def _measured(quantity: str, make: Callable[[], Graph], known: Mapping[str, float]) -> float:
    """Time a program, and ascribe to one quantity what the others do not explain."""
    graph = make()
    work = work_of(graph)
    program = NativeBackend().compile(graph)
    inputs = [np.full(v.shape, 0.7, v.dtype) for v in graph.inputs]
    nanoseconds = 1e9 * _best(lambda: program.run(inputs)) - BASE
    others = sum(n * known[k] for k, n in work.items() if k != quantity)
    amount = work.get(quantity, 0)
    least = 0.2 * NANOSECONDS[quantity]
    return float(max((nanoseconds - others) / amount, least)) if amount else known[quantity]


BASE = 1000.0
"""Nanoseconds of a call of a native program that does nothing."""


def _best(run: Callable[[], Any]) -> float:
    run()
    start = time.perf_counter()
    run()
    n = max(1, int(2e-3 / max(time.perf_counter() - start, 1e-7)))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(n):
            run()
        times.append((time.perf_counter() - start) / n)
    return min(times)


# --- the programs, in an order in which each needs the rates before it ----------------------------
class _Writer:
    """Writes a graph, operation by operation."""

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.inputs = [Value(np.full(shape, 0.7)) for shape in shapes]
        self.nodes: list[Any] = []

    def __call__(self, op: Any, *xs: Any, **attrs: Any) -> Value:
        values = [x.data if isinstance(x, Value) else x for x in xs]
        out = Value(op.evaluate(*values, **attrs))
        self.nodes.append(Node(op, xs, attrs, (out,)))
        return out

    def graph(self, *outputs: Value) -> Graph:
        return Graph(self.inputs, self.nodes, list(outputs))


def _copies() -> Graph:
    w = _Writer((1 << 16,))
    return w.graph(w(ew.negative, w.inputs[0]))


def _sums() -> Graph:
    w = _Writer((1 << 12,))
    x = w.inputs[0]
    y: Any = x
    for k in range(60):
        y = w(ew.multiply, w(ew.add, y, x), 0.5 + 0.001 * k)
    return w.graph(y)


def _calls() -> Graph:
    w = _Writer((1 << 12,))
    y: Any = w.inputs[0]
    for _ in range(4):
        y = w(ew.sin, w(ew.exp, w(ew.tanh, y)))
    return w.graph(y)


def _divisions() -> Graph:
    w = _Writer((1 << 12,))
    y: Any = w.inputs[0]
    for _ in range(20):
        y = w(ew.divide, 1.5, y)
    return w.graph(y)


def _turned() -> Graph:
    w = _Writer((400, 400))
    turned = w(TABLE["transpose"], w.inputs[0], axes=(1, 0))
    return w.graph(w(ew.add, turned, w.inputs[0]))


def _product() -> Graph:
    w = _Writer((200, 200), (200, 200))
    return w.graph(w(TABLE["contract"], *w.inputs, spec="ij,jk->ik"))


_PROGRAMS: dict[str, Callable[[], Graph]] = {
    "byte": _copies,
    "simple": _sums,
    "divide": _divisions,
    "call": _calls,
    "apart": _turned,
    "product": _product,
}
"""For each quantity a program that does much of it."""
