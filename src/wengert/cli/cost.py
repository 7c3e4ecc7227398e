"""Count what a function of yours and its gradient cost, before anything is compiled.

wengert cost model.py:loss --at "np.ones((784, 10))" --at "np.ones((64, 784))"
wengert cost model.py:loss --at "w=np.ones(3)" --at "x=2.0" --argnums 0 --json
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from rich.console import Console

import wengert as wg
from wengert.analysis.breakdown import Cost, Roofline, Row
from wengert.cli.point import add_argnums, add_point, read_point, users_errors
from wengert.cost.count import Count
from wengert.devices.machine import Machine
from wengert.report.costs import show_cost

__all__ = ["HELP", "NAME", "add_arguments", "add_peak", "machine_of", "run"]

NAME = "cost"
HELP = "count operations, bytes and least time of a function and its gradient"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_point(parser, "what to count")
    add_argnums(parser)
    add_peak(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, no tables")


def add_peak(parser: argparse.ArgumentParser) -> None:
    """Declare what the machine can do."""
    parser.add_argument(
        "--peak",
        type=_rate,
        metavar="FLOPS,BYTES",
        help="operations and bytes a second for the least time, such as 1e12,1e11 "
        "(default: those of this computer, measured)",
    )


def machine_of(args: argparse.Namespace) -> Machine | None:
    """Return the machine of ``--peak``; None for this computer."""
    return None if args.peak is None else Machine(*args.peak)


def run(args: argparse.Namespace) -> int:
    """Count and print."""
    point = read_point(args, "count")
    with users_errors(args.function):
        cost = wg.cost(
            point.function,
            *point.args,
            argnums=args.argnums,
            machine=machine_of(args),
            **point.kwargs,
        )
    if args.json:
        print(json.dumps(_as_data(cost, cost.roofline()), indent=2))
    else:
        show_cost(Console(highlight=False, markup=False), cost)
    return 0


def _rate(text: str) -> tuple[float, float]:
    try:
        flops, nbytes = map(float, text.split(","))
        if min(flops, nbytes) > 0 and max(flops, nbytes) < math.inf:
            return flops, nbytes
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not two positive numbers such as 1e12,1e11")


def _as_data(cost: Cost, roofline: Roofline) -> dict[str, Any]:
    return {
        "function": cost.name,
        "forward": _counted(cost.forward),
        "backward": _counted(cost.backward),
        "total": _counted(cost.total),
        "cheap_gradient_ratio": _finite(cost.cheap_gradient_ratio),
        "roofline": {
            "seconds": roofline.seconds,
            "alone": roofline.alone,
            "compute": roofline.compute,
            "memory": roofline.memory,
            "flops_per_second": roofline.machine.flops,
            "bytes_per_second": roofline.machine.bandwidth,
        },
        "memory": {
            "inputs": cost.memory.inputs,
            "outputs": cost.memory.outputs,
            "constants": cost.memory.constants,
            "peak": cost.memory.peak,
        },
        "by_operation": [_row(r) for r in cost.table.by_op()],
        "by_line": [_row(r) for r in cost.table.by_line()],
        "table": [_row(r) for r in cost.table],
        "loops": [loop._asdict() for loop in cost.loops],
        "formula": cost.formula,
        "notes": cost.notes(),
    }


def _counted(count: Count) -> dict[str, Any]:
    return {
        "flops": count.flops,
        "complete": not count.unknown,
        "by_kind": count.by_kind,
        "by_op": count.by_op,
        "macs": count.macs,
        "bytes_read": count.read,
        "bytes_written": count.written,
        "unknown": count.unknown,
    }


def _row(row: Row) -> dict[str, Any]:
    named = {"operation": row.op} if row.op else {}
    place = {"file": row.file, "line": row.line, "source": row.source} if row.line else {}
    return {
        **named,
        **place,
        "calls": row.calls,
        "forward": _counted(row.forward),
        "backward": _counted(row.backward),
        "ratio": _finite(row.ratio),
        **({"why": row.why} if row.op and row.why else {}),
    }


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None
