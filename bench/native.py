"""Compiled derivatives: wengert, JAX and PyTorch on the same functions, and C by hand.

Run with ``make bench`` or ``python bench/native.py [--quick] [--only NAME,...] [--json FILE]``.
The problems are in bench/problems. wengert takes and returns NumPy arrays; JAX takes device arrays,
and its results are waited for; PyTorch's tensors are made once. All run in one process, in turns,
on the same cores, and every result is compared before it is timed. First calls are of new
functions, compilation included; each library has compiled something else before. C is a plain loop
on one core.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from problems import PROBLEMS
from problems.clanguage import FAST, leaves
from problems.peers import jax, torch
from problems.record import Goal, Problem
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timing import medians, peaks

import wengert as wg
from wengert.llvm import engine

CORES = 2
Run = Callable[[], Any]
OURS, JAX, TORCH, C, C_FAST, VALUE = "wengert", "JAX", "PyTorch", "C", "C fast", "value"
PEERS = (JAX, TORCH)


class Row(NamedTuple):
    """What was found for one problem; seconds, and ratios that are None where a side is missing."""

    name: str
    first: dict[str, float]
    call: dict[str, float]
    peer: float | None  # best Python peer's time over ours
    c: float | None  # our time over C's, the faster of the two
    value: float | None  # derivative's time over the value's
    share: float | None  # of the limit
    notes: list[str]


# --- contestants ----------------------------------------------------------------------------------
def with_wengert(problem: Problem, f: Callable[..., Any]) -> Any:
    """Return a call of a new compiled function; it is there as ``func``."""
    return functools.partial(wg.jit(f, backend="native"), *problem.args)


def with_jax(problem: Problem) -> Run:
    """Return a call that waits for its result."""
    compiled = jax.jit(problem.derivative.jax(problem.jax))
    args = jax.device_put(problem.args)
    return lambda: jax.block_until_ready(compiled(*args))


def with_torch(problem: Problem) -> Run:
    """Return a call on tensors made once."""
    f = problem.derivative.torch(problem.torch)
    args = _tensors(problem.args)
    return lambda: f(*args)


def _tensors(x: Any) -> Any:
    return tuple(_tensors(item) for item in x) if isinstance(x, tuple) else torch.tensor(x)


def contestants(problem: Problem) -> dict[str, Callable[[], Run]]:
    """Return what makes each contestant that takes part."""
    made: dict[str, Callable[[], Run]] = {}
    made[OURS] = lambda: with_wengert(problem, problem.derivative.wengert(problem.function))
    if jax is not None and problem.jax is not None and problem.jax_limit is None:
        made[JAX] = lambda: with_jax(problem)
    if torch is not None and problem.torch is not None:
        made[TORCH] = lambda: with_torch(problem)
    if problem.c is not None:
        c = problem.c
        made[C] = lambda: c.load(problem.args)
        made[C_FAST] = lambda: c.load(problem.args, *FAST)
    made[VALUE] = lambda: with_wengert(problem, problem.derivative.value(problem.function))
    return made


def warm_up() -> None:
    """Let each library do once what it does once."""
    x = np.ones(3)
    wg.jit(wg.grad(lambda x: np.sum(x**2)), backend="native")(x)
    wg.jit(lambda x: x @ x, backend="native")(np.ones((99, 99)))
    if jax is not None:
        jax.jit(jax.grad(lambda x: (x**2).sum()))(x)
        jax.jit(lambda x: x @ x)(np.ones((99, 99)))
    if torch is not None:
        torch.set_num_threads(CORES)
        t = torch.ones(3, requires_grad=True)
        torch.autograd.grad((t**2).sum(), t)


# --- a problem ------------------------------------------------------------------------------------
def measure(problem: Problem, limits: dict[str, float], quick: bool) -> Row:
    """Run, compare and time all contestants."""
    runs: dict[str, Any] = {}
    results: dict[str, list[Any]] = {}
    first: dict[str, float] = {}
    notes = [problem.note] if problem.note else []
    for name, make in contestants(problem).items():
        start = time.perf_counter()
        try:
            runs[name] = make()
            start = time.perf_counter() if name in (C, C_FAST) else start  # not gcc's
            results[name] = leaves(runs[name]())
        except Exception as e:  # a contestant that fails has no place, the others go on
            runs.pop(name, None)
            notes.append(f"{name} failed: {type(e).__name__}: {str(e).splitlines()[0][:150]}")
            continue
        first[name] = time.perf_counter() - start
    reference = next((results[n] for n in (OURS, JAX, TORCH) if n in results), None)
    for name in [n for n in results if n != VALUE]:
        error = difference(results[name], reference)
        if not error <= problem.rtol:
            notes.append(f"{name} differs: {error:.1e} of the largest element")
            del runs[name]
    effort: dict[str, Any] = {"seconds": 0.2, "rounds": 5} if quick else {}
    call = medians(runs, pause=0.03, **effort)
    for name in (C, C_FAST, VALUE):
        first.pop(name, None)
    return judged(problem, first, call, limits, notes + costs(problem, runs, call))


def difference(got: list[Any], wanted: Any) -> float:
    """Return the largest difference, in parts of each array's largest element."""
    if [a.shape for a in got] != [b.shape for b in wanted]:
        return np.inf
    return max(
        float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-300))
        for a, b in zip(got, wanted, strict=True)
    )


def judged(
    problem: Problem,
    first: dict[str, float],
    call: dict[str, float],
    limits: dict[str, float],
    notes: list[str],
) -> Row:
    """Form the ratios and say which goals are missed."""
    ours = call.get(OURS)
    best = min((call[n] for n in PEERS if n in call), default=None)
    by_hand = min((call[n] for n in (C, C_FAST) if n in call), default=None)
    limit = problem.limit
    share = None
    if limit and ours:
        share = limit.work / ours / limits[limit.peak]
    row = Row(
        problem.name, first, call, ratio(best, ours), ratio(ours, by_hand),
        ratio(ours, call.get(VALUE)), share, notes,
    )  # fmt: skip
    return row._replace(notes=notes + missed(problem.goal, row))


def missed(goal: Goal, row: Row) -> list[str]:
    """Return a line for each goal that is not reached."""
    jax_call = ratio(row.call.get(JAX), row.call.get(OURS))
    jax_first = ratio(row.first.get(JAX), row.first.get(OURS))
    checks: list[tuple[float | None, float | None, bool, str]] = [
        (row.peer, goal.peer, True, "times the best peer's speed"),
        (jax_call, goal.jax, True, "times JAX's speed"),
        (jax_first, goal.first, True, "times shorter first call than JAX's"),
        (row.share, goal.share, True, "of the limit"),
        (row.c, goal.c, False, "times C's time"),
        (row.value, goal.value, False, "times the value's time"),
        (row.call.get(OURS), goal.seconds, False, "s a call"),
        (row.first.get(OURS), goal.first_seconds, False, "s for the first call"),
    ]
    return [
        f"MISSED {got:.3g} {what} (goal {wanted:g} or {'more' if more else 'less'})"
        for got, wanted, more, what in checks
        if got is not None and wanted is not None and (got < wanted if more else got > wanted)
    ]


def costs(problem: Problem, runs: dict[str, Any], call: dict[str, float]) -> list[str]:
    """Say what makes a derivative expensive, and what runs outside native code."""
    if OURS not in call:
        return []
    plan = runs[OURS].func.plan(*problem.args)
    lines = []
    host = getattr(plan._program, "host", ("everything",))
    if host:
        lines.append(f"in NumPy: {', '.join(host)}")
    nodes = len(plan.graph.nodes)
    each = call[OURS] / nodes
    if problem.goal.operation is not None:
        over = each > problem.goal.operation
        lines.append(
            f"{'MISSED ' if over else ''}{1e9 * each:.2f} ns an operation, {nodes:,} operations"
            + (f" (goal {1e9 * problem.goal.operation:g} or less)" if over else "")
        )
    goal = problem.goal.value
    if goal is not None and VALUE in call and call[OURS] > goal * call[VALUE]:
        before = runs[VALUE].func.plan(*problem.args).cost.by_op
        more = {op: n - before.get(op, 0) for op, n in plan.cost.by_op.items()}
        top = sorted(more, key=more.__getitem__, reverse=True)[:3]
        total = max(sum(before.values()), 1)
        shown = ", ".join(f"{op} {more[op] / total:.1f}" for op in top)
        lines.append(f"operations added, in parts of the value's: {shown}")
    return lines


def ratio(a: float | None, b: float | None) -> float | None:
    """Divide, where both are there."""
    return None if a is None or b is None else a / b


def jax_alone(problem: Problem, quick: bool) -> tuple[dict[str, float], list[str]]:
    """Time JAX in a process of its own, which may take no longer than the problem's limit."""
    command = [sys.executable, __file__, "--jax-alone", problem.key]
    try:
        done = subprocess.run(
            command + ["--quick"] * quick,
            timeout=problem.jax_limit,
            capture_output=True,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return {}, [f"JAX did not finish in {problem.jax_limit:.0f} s"]
    except subprocess.CalledProcessError as e:
        return {}, [f"JAX failed: {e.stderr.decode().splitlines()[-1][:150]}"]
    found: dict[str, float] = json.loads(done.stdout)
    return found, []


# --- the table ------------------------------------------------------------------------------------
def duration(seconds: float | None) -> str:
    """Write a time with three digits."""
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1 or unit == "us":
            return f"{seconds * scale:.3g} {unit}"
    raise AssertionError


def number(x: float | None, form: str = ".2f") -> str:
    """Write a ratio, or a dash."""
    return "-" if x is None else format(x, form)


def table(rows: list[Row]) -> Table:
    """Lay the rows out."""
    made = Table(title="value and derivative: first call, then the median of a call")
    made.add_column("problem", no_wrap=True)
    for heading in (
        *("first\nwengert", "first\nJAX", "first\nPyTorch"),
        *("call\nwengert", "call\nJAX", "call\nPyTorch", "call\nC -O3", "C -O3\nfast-math"),
        *("best peer\n/ wengert", "wengert\n/ C", "/ value", "of limit"),
    ):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        missed = any("MISSED" in note for note in row.notes)
        made.add_row(
            f"[red]{row.name}[/]" if missed else row.name,
            *(duration(row.first.get(name)) for name in (OURS, JAX, TORCH)),
            *(duration(row.call.get(name)) for name in (OURS, JAX, TORCH, C, C_FAST)),
            number(row.peer),
            number(row.c),
            number(row.value),
            number(row.share, ".0%"),
        )
    return made


def main() -> int:
    """Print the table and the notes; the exit status says whether any contestant of ours failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="NAME,...", help="problems, by key: " + ", ".join(KEYS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds")
    parser.add_argument("--long", action="store_true", help="let JAX try what may take it minutes")
    parser.add_argument("--jax-alone", choices=KEYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    take_cores()
    if options.jax_alone:
        run = with_jax(KEYS[options.jax_alone])
        start = time.perf_counter()
        run()
        first = time.perf_counter() - start
        print(json.dumps({"first": first, "call": medians({JAX: run}, seconds=0.5)[JAX]}))
        return 0
    names = options.only.split(",") if options.only else list(KEYS)
    if unknown := [n for n in names if not chosen(n)]:
        parser.error(f"no problem is called {', '.join(unknown)}; there are {', '.join(KEYS)}")
    selected = [KEYS[key] for name in names for key in chosen(name)]

    console = Console(width=None if sys.stdout.isatty() else 170)
    engine.CACHE.folder = None  # nothing that an earlier run compiled
    warm_up()
    limits = peaks(CORES)
    rows = []
    for problem in track(selected, "measuring", console=Console(stderr=True), transient=True):
        row = measure(problem, limits, options.quick)
        if problem.jax_limit is not None and jax is not None:
            found, notes = {}, ["JAX not tried; --long does"]
            if options.long:
                found, notes = jax_alone(problem, options.quick)
            if found:
                row.first[JAX], row.call[JAX] = found["first"], found["call"]
            row.notes.extend(notes)
        rows.append(row)
    console.print(table(rows))
    console.print(
        f"{CORES} cores; peaks: " + ", ".join(f"{k} {v / 1e9:.0f} G/s" for k, v in limits.items())
    )
    for row in rows:
        for note in row.notes:
            console.print(f"{row.name}: {note}", highlight=False, markup=False)
    if options.json:
        found = {"cores": CORES, "peaks": limits, "rows": [row._asdict() for row in rows]}
        options.json.write_text(json.dumps(found, indent=1))
    return int(any(OURS not in row.call for row in rows))


def take_cores() -> None:
    """Start again on `CORES` cores if need be, which libraries look at when they are loaded."""
    wanted = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(CORES))
    if wanted.items() <= os.environ.items():
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    os.execve(sys.executable, sys.orig_argv, {**os.environ, **wanted})


def key(problem: Problem) -> str:
    return problem.key or problem.name.split()[0]


KEYS = {key(problem): problem for problem in PROBLEMS}


def chosen(name: str) -> list[str]:
    """Return the keys that a name of --only stands for: itself, or a group such as ``fused``."""
    return [k for k in KEYS if k == name or k.rpartition("-")[0] == name]


if __name__ == "__main__":
    raise SystemExit(main())
