"""Count what a function of yours and its gradient cost, before anything is compiled.

wengert cost model.py:loss --at "np.ones((784, 10))" --at "np.ones((64, 784))"
wengert cost model.py:loss --at "w=np.ones(3)" --at "x=2.0" --argnums 0 --json
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import wengert as wg
from wengert.analysis.breakdown import BOUND, LOOP_HEAD, Cost, Roofline, Row, loop_cells
from wengert.cli.check import evaluate, load_function
from wengert.cost.count import Count, plus
from wengert.devices.machine import Machine
from wengert.errors import InputError, WengertError, is_users

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "cost"
HELP = "count operations, bytes and least time of a function and its gradient"
LINES = 40
"""Rows of a table; the most expensive ones where there are more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("function", metavar="FILE.py:FUNCTION", help="what to count")
    parser.add_argument(
        "--at",
        metavar="[NAME=]EXPR",
        action="append",
        default=[],
        help="an argument of the function, as a NumPy expression; one --at for each argument",
    )
    parser.add_argument(
        "--argnums",
        type=_numbers,
        default=None,
        metavar="N,N,...",
        help="arguments to differentiate, or none (default: the first)",
    )
    parser.add_argument(
        "--peak",
        type=_rate,
        metavar="FLOPS,BYTES",
        help="operations and bytes a second for the least time, such as 1e12,1e11 "
        "(default: those of this computer, measured)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, no tables")


def run(args: argparse.Namespace) -> int:
    """Count and print."""
    function = load_function(args.function)
    positional, named = _arguments(function, args.at)
    machine = None if args.peak is None else Machine(*args.peak)
    try:
        cost = wg.cost(function, *positional, argnums=args.argnums, machine=machine, **named)
    except WengertError:
        raise
    except Exception as error:
        raise InputError(
            f"{args.function} raised {type(error).__name__}: {error}{_user_line(error)}"
        ) from error
    roofline = cost.roofline()
    if args.json:
        print(json.dumps(_as_data(cost, roofline), indent=2))
    else:
        _print(cost, roofline)
    return 0


# --- arguments ------------------------------------------------------------------------------------
def _numbers(text: str) -> tuple[int, ...]:
    try:
        return () if text == "none" else tuple(int(n) for n in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of arguments' numbers such as 0,1, or none"
        ) from None


def _rate(text: str) -> tuple[float, float]:
    try:
        flops, nbytes = map(float, text.split(","))
        if min(flops, nbytes) > 0 and max(flops, nbytes) < math.inf:
            return flops, nbytes
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not two positive numbers such as 1e12,1e11")


def _arguments(
    function: Callable[..., Any], given: Sequence[str]
) -> tuple[list[Any], dict[str, Any]]:
    """Evaluate the arguments; one named like a positional parameter takes its place."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    places = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for text in given:
        name, equals, expression = text.partition("=")
        name = name.strip()
        is_named = bool(equals) and name.isidentifier() and not expression.startswith("=")
        if is_named and (takes_any or name in {*places, *keywords}):
            if name in named:
                raise InputError(f"--at {text!r}: {name} was given before; give it once")
            named[name] = evaluate(expression.strip())
        elif is_named:
            known = ", ".join([*places, *sorted(keywords)]) or "none"
            raise InputError(f"--at {text!r}: there is no argument {name!r}; there are: {known}")
        else:
            positional.append(evaluate(text))
    while len(positional) < len(places) and places[len(positional)] in named:
        positional.append(named.pop(places[len(positional)]))
    return positional, named


def _user_line(error: Exception) -> str:
    """Return the innermost line outside of wengert and NumPy that an error came through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if is_users(frame.filename):
            return f" at {frame.filename}:{frame.lineno}: {frame.line}"
    return ""


# --- output ---------------------------------------------------------------------------------------
def _print(cost: Cost, roofline: Roofline) -> None:
    console = Console(highlight=False, markup=False)
    totals = _table(f"cost of {cost.name}", ["", "forward", "backward", "total"], cost.summary())
    console.print(totals)
    if cost.backward.flops:
        ratio = f"value and gradient over value: {cost.cheap_gradient_ratio:.4g}"
        console.print(f"{ratio} (cheap gradient principle: at most {BOUND:g})")
    console.print(f"least time: {roofline}")
    console.print(f"memory: {cost.memory}")
    ops = [(r.op, f"{r.calls:,}", *_cells(r)) for r in cost.table.by_op()]
    console.print(_table("by operation", ["operation", "calls", *_HEAD], ops[:LINES]))
    by_line = cost.table.by_line()
    kept = {id(r) for r in sorted(by_line, key=lambda r: -r.flops)[:LINES]}
    lines = [(r.place, *_cells(r), r.source) for r in by_line if id(r) in kept]
    console.print(_table("by line", ["line", *_HEAD, "source"], lines))
    loops = [(*loop_cells(r), r.source) for r in cost.loops]
    if loops:
        console.print(_table("by loop", [*LOOP_HEAD, "source"], loops[:LINES]))
        for note in cost.trip_notes():
            console.print(note)
    for name, rows in (("operations", ops), ("lines", by_line), ("loops", loops)):
        if len(rows) > LINES:
            which = "first" if name == "loops" else "most expensive"
            console.print(f"the {LINES} {which} of {len(rows):,} {name}; --json has all")
    for note in cost.notes():
        console.print(note)


_HEAD = ["forward", "backward", "ratio", "bytes"]


def _cells(row: Row) -> tuple[str, str, str, str]:
    known = row.forward.flops and row.backward.flops
    return (
        f"{row.forward.flops:,}{plus(row.forward.unknown)}",
        f"{row.backward.flops:,}{plus(row.backward.unknown)}",
        f"{row.ratio:.2f}{' !' if row.exceeds and row.op else ''}" if known else "",
        f"{row.bytes:,}",
    )


def _table(title: str, head: list[str], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(title=Text(title), title_justify="left")
    for i, name in enumerate(head):
        left = i == 0 or name == "source"
        table.add_column(name, justify="left" if left else "right", no_wrap=not left)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


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
