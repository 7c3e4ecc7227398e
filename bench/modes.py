"""The choice among modes: ``mode="auto"`` beside every fixed mode, JAX's two, and by hand.

Run with ``python bench/modes.py [--quick] [--only TEXT,...] [--no-jax] [--json FILE]``. The
functions are in bench/problems/modes.py, each written once for NumPy and ``jax.numpy``. Everything
runs in one process, compiled, with its arguments at hand: NumPy arrays for wengert, device arrays
for JAX. Each contestant takes turns of several calls after one that is not timed; a time is that of
the fastest turn, because other programs disturb the others. All results are compared. The plan's
predictions are ranked against the times of all pairs of fixed modes that differ by half or more.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from problems.modes import PROBLEMS, ModeProblem
from rich.console import Console
from rich.progress import track
from rich.table import Table
from timing import as_time

import wengert as wg
from wengert.errors import UnsupportedError
from wengert.matrices.ways import EVERY, WAYS

CORES = 2
AUTO, HAND = "auto", "by hand"
JAX = {"jacfwd": "JAX forward", "jacrev": "JAX reverse"}
LEAST = 1.5
"""Times of two modes that differ by less are not ranked."""


def fastest(runs: Mapping[str, Callable[[], Any]], turns: int, seconds: float) -> dict[str, float]:
    """Return the seconds of a call of each contestant, in its fastest turn."""
    counts = {}
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        counts[name] = max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            run()
            start = time.perf_counter()
            for _ in range(counts[name]):
                run()
            times[name].append((time.perf_counter() - start) / counts[name])
    return {name: min(found) for name, found in times.items()}


def function_of(problem: ModeProblem, mode: str) -> Any:
    """Return our compiled derivative in a mode."""

    def f(*args: Any) -> Any:
        return problem.f(np, *args)

    make = wg.hessian if problem.kind == "hessian" else wg.jacobian
    made = make(f, problem.argnums, mode=mode)
    return wg.jit(wg.vmap(made) if problem.kind == "batch" else made)


def of_jax(problem: ModeProblem) -> dict[str, Callable[[], Any]]:
    """Return JAX's derivatives in both modes."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def f(*args: Any) -> Any:
        return problem.f(jnp, *args)

    made = {}
    args = [jax.device_put(x) for x in problem.args]
    for key, name in JAX.items():
        transform = getattr(jax, key)
        if problem.kind == "hessian":
            function = transform(jax.jacrev(f, problem.argnums), problem.argnums)
        else:
            function = transform(f, problem.argnums)
        function = jax.jit(jax.vmap(function) if problem.kind == "batch" else function)

        def run(function: Any = function) -> Any:
            return jax.block_until_ready(function(*args))

        made[name] = run
    return made


def measure(problem: ModeProblem, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one problem."""
    runs: dict[str, Callable[[], Any]] = {}
    row: dict[str, Any] = {"name": problem.name, "notes": []}
    expected: Any = None
    for mode in (AUTO, *(EVERY if problem.kind == "hessian" else WAYS)):
        function = function_of(problem, mode)
        start = time.perf_counter()
        try:
            made = function(*problem.args)
        except UnsupportedError:
            continue
        if mode == AUTO:
            row["first"] = time.perf_counter() - start
            (choice, *_) = function.plan(*problem.args).notes
            row["mode"] = choice.mode
            row["predicted"] = {c.mode: c.seconds for c in choice.candidates if c.seconds}
            expected = made
        compare(row, mode, made, expected)
        runs[mode] = lambda function=function: function(*problem.args)
    if problem.hand is not None:
        compare(row, HAND, problem.hand(*problem.args), expected)
        runs[HAND] = lambda: problem.hand(*problem.args)  # type: ignore[misc]
    if options.jax:
        for name, run in of_jax(problem).items():
            compare(row, name, np.asarray(run()), expected)
            runs[name] = run
    gc.collect()
    row["times"] = fastest(runs, options.turns, options.seconds)
    return row


def compare(row: dict[str, Any], name: str, made: Any, expected: Any) -> None:
    """Note where a result is another one."""
    scale = max(float(np.max(np.abs(expected))), 1e-300)
    if np.shape(made) != np.shape(expected) or np.max(np.abs(made - expected)) > 1e-7 * scale:
        row["notes"].append(f"WRONG: {name} has another result")


def ratios(row: dict[str, Any]) -> dict[str, float | None]:
    """Return our time over that of the best fixed mode, of JAX's better one, and by hand."""
    times = row["times"]

    def over(names: Any) -> float | None:
        found = [times[n] for n in names if n in times]
        return times[AUTO] / min(found) if found else None

    return {"fixed": over(EVERY), "jax": over(JAX.values()), "hand": over([HAND])}


def ranked(rows: list[dict[str, Any]]) -> tuple[int, int, list[str]]:
    """Return how many pairs of modes that differ enough are ranked rightly, of how many."""
    right = every = 0
    wrong = []
    for row in rows:
        known = [m for m in EVERY if m in row["times"] and m in row["predicted"]]
        for a, b in itertools.combinations(known, 2):
            x, y = row["times"][a], row["times"][b]
            if max(x, y) < LEAST * min(x, y):
                continue
            every += 1
            if (x < y) == (row["predicted"][a] < row["predicted"][b]):
                right += 1
            else:
                wrong.append(f"{row['name']}: {a} and {b}")
    return right, every, wrong


def table(rows: list[dict[str, Any]]) -> Table:
    """Lay the rows out."""
    made = Table(title="a call of the compiled Jacobian, in each mode")
    made.add_column("function", no_wrap=True)
    made.add_column("auto takes", no_wrap=True)
    heads = (AUTO, *EVERY, *JAX.values(), HAND)
    for head in (
        *heads,
        "auto / best\nfixed mode",
        "auto / JAX's\nbetter",
        "auto /\nby hand",
        "first",
    ):
        made.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        cells = [as_time(row["times"].get(name)) for name in heads]
        over = ["-" if r is None else f"{r:.2f}" for r in ratios(row).values()]
        made.add_row(row["name"], row["mode"], *cells, *over, as_time(row["first"]))
    return made


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Say how the ratios lie, and which goals are missed."""
    said = []
    for key, goal, what in (
        ("fixed", 1.1, "the best fixed mode"),
        ("jax", 1.0, "the better of JAX's modes"),
        ("hand", 1.5, "a Jacobian by hand"),
    ):
        found = {row["name"]: ratios(row)[key] for row in rows}
        known = {n: r for n, r in found.items() if r is not None}
        if not known:
            continue
        missed = [f"{n} ({r:.2f})" for n, r in known.items() if r > goal]
        said.append(
            f"auto over {what}: median {np.median(list(known.values())):.2f}, worst "
            f"{max(known.values()):.2f}; above {goal} on {len(missed)} of {len(known)}"
            + (": " + ", ".join(missed) if missed else "")
        )
    right, every, wrong = ranked(rows)
    if every:
        said.append(
            f"ranked as measured: {right} of {every} pairs that differ by {LEAST} times or more"
            + (". Not: " + "; ".join(wrong) if wrong else "")
        )
    return said + [f"{row['name']}: {note}" for row in rows for note in row["notes"]]


def main() -> int:
    """Print the table; the exit status says whether a result was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", metavar="TEXT,...", help="functions whose names have one of these"
    )
    parser.add_argument("--quick", action="store_true", help="fewer functions, shorter turns")
    parser.add_argument("--no-jax", dest="jax", action="store_false")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    options = parser.parse_args()
    options.turns, options.seconds = (7, 2e-3) if options.quick else (15, 5e-3)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    wanted = (options.only or "").split(",")
    chosen = [
        p for p in PROBLEMS if any(t in p.name for t in wanted) and (p.quick or not options.quick)
    ]
    if not chosen:
        parser.error("no function has such a name: " + "; ".join(p.name for p in PROBLEMS))
    warnings.simplefilter("ignore", RuntimeWarning)  # of values where derivatives are infinite
    console = Console(width=None if sys.stdout.isatty() else 230)
    rows = []
    for problem in track(chosen, "measuring", console=Console(stderr=True), transient=True):
        rows.append(measure(problem, options))
        if options.json:  # after each: an interrupted run leaves what it has measured
            options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    console.print(table(rows))
    for line in summary(rows):
        console.print(line, highlight=False, markup=False)
    return int(any(row["notes"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
