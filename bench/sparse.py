"""Sparse Jacobians and Hessians: wengert, asdex, CasADi, and dense JAX where that fits.

Run with ``python bench/sparse.py [--quick] [--only NAME,...] [--json FILE]``. The problems are in
bench/problems/sparsity.py. Every contestant runs each problem in a process of its own, within a
limit of time, so that its peak of memory is its own. It has compiled another function before; files
compiled by earlier runs are not used. The first result is the matrix at the point, from the
function alone: detection, colouring, compilation and evaluation. Detection and colouring are also
timed alone. The entries of all contestants are compared by products with the same vectors.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from problems.sparsity import PROBLEMS, SparseProblem
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timing import medians

CORES = 2
OURS, ASDEX, CASADI, DENSE = "wengert", "asdex", "CasADi", "JAX, dense"
KEYS = {p.key: p for p in PROBLEMS}
DENSE_BYTES = 1 << 28
"""Dense matrices up to this size are computed."""


class Found(NamedTuple):
    """What one contestant did; seconds, bytes."""

    detect: float | None = None
    colour: float | None = None
    colours: int | None = None
    first: float | None = None
    compile: float | None = None
    call: float | None = None
    memory: int | None = None
    nnz: int | None = None
    check: tuple[float, float] | None = None
    note: str = ""


def checks(shape: tuple[int, int], product: Callable[[Any], Any]) -> tuple[float, float]:
    """Return two numbers that depend on all entries: norms of products with fixed vectors."""
    j = np.arange(shape[1])
    return tuple(
        float(np.linalg.norm(np.asarray(product(v)).ravel())) for v in (np.cos(j), np.sin(3 * j))
    )


def clock(run: Callable[[], Any]) -> tuple[float, Any]:
    """Time one call."""
    start = time.perf_counter()
    made = run()
    return time.perf_counter() - start, made


# --- contestants ----------------------------------------------------------------------------------
def with_wengert(problem: SparseProblem, seconds: float) -> Found:
    """Our way: the matrix in CSR."""
    import wengert as wg
    from wengert.llvm import engine
    from wengert.matrices.patterns import hessian_pattern, jacobian_pattern

    engine.CACHE.folder = None
    make = wg.hessian if problem.kind == "hessian" else wg.jacobian
    warm = make(lambda x: np.sum(x**3) if problem.kind == "hessian" else np.sin(x), format="csr")
    for _ in range(3):
        warm(np.ones(5))
    f = lambda x: problem.f(np, x)  # noqa: E731
    x = problem.point()
    before = peak()
    function = make(f, format="csr")
    first, matrix = clock(lambda: function(x))
    second, matrix = clock(lambda: function(x))
    call = medians({OURS: lambda: function(x)}, seconds=seconds)[OURS]
    memory = peak() - before
    pattern = hessian_pattern if problem.kind == "hessian" else jacobian_pattern
    detect, _ = clock(lambda: pattern(f, x))
    plan = function.plan(x)
    times = plan.program.times
    colours = min((c.colours for c in plan.candidates if c.mode != "accumulate"), default=None)
    colour = times.get("colour")
    return Found(
        detect, colour, colours, first, max(second - call, 0.0), call, memory, matrix.nnz,
        checks(matrix.shape, lambda v: matrix @ v), plan.mode,
    )  # fmt: skip


def with_asdex(problem: SparseProblem, seconds: float) -> Found:
    """asdex: pattern, colours, then a compiled function that gives the entries in BCOO."""
    import asdex
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jax.block_until_ready(jax.jit(lambda x: jnp.sin(x))(jnp.ones(3)))
    f = lambda x: problem.f(jnp, x)  # noqa: E731
    x = jax.device_put(problem.point())
    before = peak()
    start = time.perf_counter()
    if problem.kind == "hessian":
        detect, pattern = clock(lambda: asdex.hessian_sparsity(f, x))
        colour, colouring = clock(lambda: asdex.hessian_coloring_from_sparsity(pattern))
        function = jax.jit(asdex.hessian_from_coloring(f, colouring))
    else:
        detect, pattern = clock(lambda: asdex.jacobian_sparsity(f, x))
        colour, colouring = clock(lambda: asdex.jacobian_coloring_from_sparsity(pattern))
        function = jax.jit(asdex.jacobian_from_coloring(f, colouring))
    compile_, matrix = clock(lambda: jax.block_until_ready(function(x)))
    first = time.perf_counter() - start
    call = medians({ASDEX: lambda: jax.block_until_ready(function(x))}, seconds=seconds)[ASDEX]
    memory = peak() - before
    return Found(
        detect, colour, int(colouring.num_colors), first, compile_, call, memory, int(matrix.nse),
        checks(matrix.shape, lambda v: matrix @ v),
    )  # fmt: skip


def with_casadi(problem: SparseProblem, seconds: float) -> Found:
    """CasADi: scalar expressions, evaluated by its virtual machine into a buffer."""
    import casadi as ca

    x = problem.point()
    before = peak()
    start = time.perf_counter()
    s = ca.SX.sym("x", problem.n)
    y = problem.casadi(ca, s)
    if problem.kind == "hessian":
        matrix = ca.hessian(y, s)[0]
    else:
        matrix = ca.jacobian(y, s)
    function = ca.Function("matrix", [s], [matrix])
    buffer, trigger = function.buffer()
    pattern = matrix.sparsity()
    entries = np.empty(pattern.nnz())
    buffer.set_arg(0, memoryview(x))
    buffer.set_res(0, memoryview(entries))
    trigger()
    first = time.perf_counter() - start
    call = medians({CASADI: trigger}, seconds=seconds)[CASADI]
    memory = peak() - before
    colptr, row = pattern.get_ccs()
    import scipy.sparse as sps

    sparse = sps.csc_array((entries, row, colptr), shape=matrix.shape)
    if problem.kind == "hessian":
        gradient = ca.gradient(y, s)
        detect, found = clock(lambda: ca.jacobian_sparsity(gradient, s))
        colour, colours = clock(lambda: found.star_coloring())
    else:
        detect, found = clock(lambda: ca.jacobian_sparsity(y, s))
        colour, colours = clock(lambda: found.T.uni_coloring(found))
    if problem.kind != "hessian":
        colour_rows, rows = clock(lambda: found.uni_coloring(found.T))
        colours = min((colours, rows), key=lambda c: c.size2())
        colour += colour_rows
    return Found(
        detect, colour, colours.size2(), first, max(first - call, 0.0), call, memory, sparse.nnz,
        checks(sparse.shape, lambda v: sparse @ v),
    )  # fmt: skip


def with_dense(problem: SparseProblem, seconds: float) -> Found:
    """JAX without sparsity."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    x = jax.device_put(problem.point())
    f = lambda x: problem.f(jnp, x)  # noqa: E731
    function = jax.jit(jax.hessian(f) if problem.kind == "hessian" else jax.jacfwd(f))
    before = peak()
    first, matrix = clock(lambda: jax.block_until_ready(function(x)))
    call = medians({DENSE: lambda: jax.block_until_ready(function(x))}, seconds=seconds)[DENSE]
    product = np.asarray(matrix)
    return Found(
        None, None, None, first, None, call, peak() - before, None,
        checks(matrix.shape, lambda v: product @ v),
    )  # fmt: skip


CONTESTANTS = {OURS: with_wengert, ASDEX: with_asdex, CASADI: with_casadi, DENSE: with_dense}


def peak() -> int:
    """Return the most bytes that this process has held."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


# --- a problem ------------------------------------------------------------------------------------
def measure(problem: SparseProblem, name: str, options: argparse.Namespace) -> Found:
    """Run one contestant in a process of its own."""
    if name == DENSE and 8 * problem.n**2 > DENSE_BYTES:
        return Found(note="does not fit")
    seconds = 0.2 if options.quick else 1.0
    command = [sys.executable, __file__, "--alone", name, problem.key, str(seconds)]
    with tempfile.NamedTemporaryFile("r") as file:
        try:
            done = subprocess.run(
                [*command, file.name], timeout=options.limit, capture_output=True, check=False
            )
        except subprocess.TimeoutExpired:
            return Found(note=f"not done in {options.limit:.0f} s")
        if done.returncode:
            lines = done.stderr.decode().strip().splitlines()
            return Found(note=f"failed: {lines[-1][:150] if lines else done.returncode}")
        return Found(**json.load(file))


def notes(problem: SparseProblem, found: dict[str, Found]) -> list[str]:
    """Say what failed, what differs, and where a peer is ahead."""
    ours = found[OURS]
    said = [f"{name}: {f.note}" for name, f in found.items() if f.note and name != OURS]
    if ours.first is None:
        return [f"{OURS}: {ours.note}", *said]
    for name, f in found.items():
        if f.check is not None and not np.allclose(f.check, ours.check, rtol=1e-8):
            said.append(f"MISSED {name} has other entries: {f.check} against {ours.check}")
        if name in (ASDEX, CASADI) and f.first is not None:
            if f.first < ours.first:
                said.append(
                    f"MISSED {name} has its first result {ours.first / f.first:.2f} x sooner"
                )
            if f.call < ours.call:
                said.append(f"MISSED {name} evaluates {ours.call / f.call:.2f} x faster")
            if ours.colours is not None and f.colours < ours.colours:
                said.append(f"MISSED {name} has {f.colours} colours, not {ours.colours}")
    return said


# --- the table ------------------------------------------------------------------------------------
def duration(seconds: float | None) -> str:
    """Write a time with three digits."""
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1 or unit == "us":
            return f"{seconds * scale:.3g} {unit}"
    raise AssertionError


def ratio(found: dict[str, Found], field: str) -> str:
    """Return the best peer's time over ours."""
    ours = getattr(found[OURS], field)
    peers = [getattr(f, field) for n, f in found.items() if n != OURS]
    peers = [t for t in peers if t is not None]
    return f"{min(peers) / ours:.2f}" if ours and peers else "-"


def table(rows: dict[str, dict[str, Found]]) -> Table:
    """Lay the rows out, a line for each contestant."""
    made = Table(title="sparse matrices: stages, the first result, then the median of a call")
    made.add_column("problem", no_wrap=True)
    made.add_column("", no_wrap=True)
    for heading in (
        *("detect", "colour", "colours", "compile", "first\nresult", "call", "peak\nMB"),
        *("best peer\n/ wengert\nfirst", "call"),
    ):
        made.add_column(heading, justify="right", no_wrap=True)
    for key, found in rows.items():
        for name, f in found.items():
            ours = name == OURS
            made.add_row(
                KEYS[key].name if ours else "",
                f"{name} ({f.note})" if ours and f.first is not None else name,
                duration(f.detect),
                duration(f.colour),
                "-" if f.colours is None else str(f.colours),
                duration(f.compile),
                duration(f.first),
                duration(f.call),
                "-" if f.memory is None else f"{f.memory / 1e6:.0f}",
                *((ratio(found, "first"), ratio(found, "call")) if ours else ("", "")),
                end_section=name == DENSE,
            )
    return made


def main() -> int:
    """Print the table and the notes; the exit status says whether any contestant of ours failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME,...", help="problems: " + ", ".join(KEYS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    parser.add_argument("--quick", action="store_true", help="smaller problems, shorter rounds")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each contestant")
    parser.add_argument("--alone", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        name, key, seconds, path = options.alone
        found = CONTESTANTS[name](KEYS[key], float(seconds))
        Path(path).write_text(json.dumps(found._asdict()), encoding="utf-8")
        return 0
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    names = options.only.split(",") if options.only else list(KEYS)
    if unknown := [n for n in names if n not in KEYS]:
        parser.error(f"no problem is called {', '.join(unknown)}; there are {', '.join(KEYS)}")
    selected = [KEYS[n] for n in names if options.only or KEYS[n].quick or not options.quick]
    console = Console(width=None if sys.stdout.isatty() else 170)
    rows: dict[str, dict[str, Found]] = {}
    for problem in track(selected, "measuring", console=Console(stderr=True), transient=True):
        rows[problem.key] = {name: measure(problem, name, options) for name in CONTESTANTS}
        if options.json:  # after each problem: an interrupted run leaves what it has measured
            made = {k: {n: f._asdict() for n, f in row.items()} for k, row in rows.items()}
            options.json.write_text(json.dumps(made, indent=1), encoding="utf-8")
    console.print(table(rows))
    for key, found in rows.items():
        for note in notes(KEYS[key], found):
            console.print(f"{KEYS[key].name}: {note}", highlight=False, markup=False)
    return int(any(row[OURS].first is None for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
