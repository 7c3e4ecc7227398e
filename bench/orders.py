"""Orders of elimination: multiplications beside published ones, chains, and times.

Run with ``python bench/orders.py [--quick]``. The circuits are those of tests/orders; the column
AlphaGrad is the best that J. Lohoff and E. Neftci publish (*Optimizing Automatic Differentiation
with Deep Reinforcement Learning*, 2024), the column annealing one run of 15 to 45 seconds.
``--quick`` leaves out what takes long.

The times are of compiled programs. A circuit is evaluated at 2,000 points by a loop of the program,
so what is measured is the program and not its call. A chain with waists of one number is compared
with the Jacobian that one would write by hand, compiled too.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import as_time, medians

import wengert as wg
from wengert.orders import EliminationGraph, find_edges, find_faces, find_order, plan_chain
from wengert.orders.bounds import lower_bound
from wengert.orders.search import METHODS

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.orders.circuits import FOLDER, FUNCTIONS, KNOWN
from tests.orders.test_chain import PUBLISHED, drawn

CONSOLE = Console(width=150)
POINTS = 2000
WAISTS = ((1000, 1, 1000), (1000, 1, 1000, 1, 1000), (1000, 1, 1000, 1, 1000, 1, 1000))


def counts(quick: bool) -> None:
    """Print the multiplications of all methods."""
    table = Table("circuit", "edges of +-1", "forward", "reverse", "Markowitz", "AlphaGrad")
    for name in ("annealing", "default", "ms", "high", "s", "edges", "faces", "lower bound"):
        table.add_column(name, justify="right")
    for name, known in KNOWN.items():
        for free in (False, True):
            graph = EliminationGraph.load(FOLDER / f"{name}.txt", free)
            rules = [METHODS[m](graph).multiplications for m in ("forward", "reverse", "markowitz")]
            cells = []
            for effort, unit in (("default", 1e3), ("high", 1.0)):
                if effort == "high" and quick:
                    cells += ["-", "-"]
                    continue
                start = time.perf_counter()
                found = find_order(graph, effort, kept=False)
                took = (time.perf_counter() - start) * unit
                cells += [str(found.multiplications), f"{took:.3g}"]
            edges = find_edges(graph, "default" if quick else "high", found)
            faces = find_faces(graph, "default" if quick else "high", edges)
            table.add_row(
                name, "free" if free else "cost 1", *map(str, rules),
                "-" if free else str(known.published),
                str(known.free_annealed if free else known.annealed),
                *cells, str(edges.multiplications), str(faces.multiplications),
                str(lower_bound(graph)),
            )  # fmt: skip
    CONSOLE.print(table)


def chains() -> None:
    """Print the multiplications of chains."""
    table = Table("chain of (rows, columns, edges)", "best", "published", "tangent", "adjoint")
    table.add_column("accumulated", justify="right")
    table.add_column("planned in", justify="right")
    for factors, best, *_ in PUBLISHED:
        plan = plan_chain(factors)
        text = "".join(f"({m},{n},{e})" for m, n, e in factors)
        table.add_row(
            text, str(plan.multiplications), str(best), str(plan.tangent), str(plan.adjoint),
            str(plan.accumulated), "",
        )  # fmt: skip
    rng = np.random.default_rng(0)
    for count in (50, 100, 200, 500):
        factors = drawn(rng, count, 200)
        start = time.perf_counter()
        plan = plan_chain(factors)
        took = time.perf_counter() - start
        pure = min(plan.tangent, plan.adjoint)
        table.add_row(
            f"{count} factors, random", f"{plan.multiplications:,}",
            f"{pure / plan.multiplications:.0f} times below the better pure mode",
            f"{plan.tangent:,}", f"{plan.adjoint:,}", f"{plan.accumulated:,}", as_time(took),
        )  # fmt: skip
    CONSOLE.print(table)


def eliminated(f):
    """Return the Jacobian of `f` by elimination."""
    return lambda x: wg.linear_graph(f)(x).accumulate()[0][0]


def circuits() -> None:
    """Print the times of the circuits' Jacobians at a point."""
    table = Table("circuit, a point", "value", "forward", "reverse", "elimination", "ratio")
    for name, (f, x) in FUNCTIONS.items():
        points = np.random.default_rng(0).uniform(0.3, 1.1, (POINTS, len(x)))
        ways = {
            "value": f,
            "forward": wg.jacobian(f, mode="forward"),
            "reverse": wg.jacobian(f, mode="reverse"),
            "elimination": eliminated(f),
        }
        runs = {k: wg.jit(lambda xs, g=g: wg.map(g, xs)) for k, g in ways.items()}
        wanted = runs["reverse"](points)
        np.testing.assert_allclose(runs["elimination"](points), wanted, rtol=1e-9, atol=1e-9)
        took = medians({k: lambda g=g, xs=points: g(xs) for k, g in runs.items()}, seconds=1.0)
        best = min(took["forward"], took["reverse"])
        table.add_row(
            name, *(f"{took[k] / POINTS * 1e9:.0f} ns" for k in ways),
            f"{best / took['elimination']:.2f}",
        )  # fmt: skip
    CONSOLE.print(table)


def by_hand(weights):
    """Return the Jacobian that one writes for waists of one number: a scaled outer product."""

    def jacobian(x):
        zs = [x]
        for w in weights:
            zs.append(np.tanh(w @ zs[-1]))
        slopes = [1 - z * z for z in zs[1:]]
        scale = 1.0
        for k in range(1, len(weights) - 1, 2):
            column, row = slopes[k] * weights[k][:, 0], slopes[k + 1] * weights[k + 1][0]
            scale = scale * (row @ column)
        return np.outer(slopes[-1] * weights[-1][:, 0] * scale, slopes[0] * weights[0][0])

    return jacobian


def waists() -> None:
    """Print the times of Jacobians of chains with waists of one number."""
    table = Table("tanh(A x) layers", "forward", "reverse", "by hand", "elimination", "of by hand")
    rng = np.random.default_rng(0)
    for sizes in WAISTS:
        weights = [rng.standard_normal((b, a)) / np.sqrt(a) for a, b in pairwise(sizes)]

        def f(x, weights=weights):
            for w in weights:
                x = np.tanh(w @ x)
            return x

        x = rng.standard_normal(sizes[0])
        ways = {
            "forward": wg.jacobian(f, mode="forward"),
            "reverse": wg.jacobian(f, mode="reverse"),
            "by hand": by_hand(weights),
            "elimination": eliminated(f),
        }
        runs = {k: wg.jit(g) for k, g in ways.items()}
        wanted = runs["reverse"](x)
        for run in runs.values():
            np.testing.assert_allclose(run(x), wanted, rtol=1e-9, atol=1e-14)
        took = medians({k: lambda g=g, x=x: g(x) for k, g in runs.items()}, seconds=1.0)
        table.add_row(
            "-".join(map(str, sizes)), *(as_time(took[k]) for k in ways),
            f"{took['elimination'] / took['by hand']:.2f}",
        )  # fmt: skip
    CONSOLE.print(table)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    quick = parser.parse_args().quick
    counts(quick)
    chains()
    circuits()
    waists()


if __name__ == "__main__":
    main()
