"""Explain what a function of yours and its gradient do: tables here, and a page to look through.

wengert explain model.py:loss --at "np.ones((784, 10))" --at "np.ones((64, 784))"
wengert explain model.py:loss --at "w=np.ones(3)" --at "x=2.0" -o loss.html
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

import wengert as wg
from wengert.cli.cost import add_peak, machine_of
from wengert.cli.point import Point, add_argnums, add_point, read_point, users_errors, writing
from wengert.errors import InputError
from wengert.matrices import MatrixFunction
from wengert.report.costs import show_cost, show_memory, show_plan
from wengert.report.explained import MARK, explained, planned
from wengert.report.terminal import show_lines

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "explain"
HELP = "print cost, memory and plan of a function and its gradient, and write a page about them"
ROWS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_point(parser, "what to explain")
    add_argnums(parser)
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE.html",
        help="the page (default: FUNCTION.html in this folder)",
    )
    add_peak(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tables, write the page, and say where it is."""
    point = read_point(args, "look")
    path = _page(args.out, point.name)
    console = Console(highlight=False, markup=False)
    explain = _matrix if isinstance(point.function, MatrixFunction) else _function
    page = explain(console, point, args)
    with writing(path):
        path.write_text(page, encoding="utf-8")
    show_lines(console, [f"page: {path}"])
    return 0


def _function(console: Console, point: Point, args: argparse.Namespace) -> str:
    """Print what a function and its gradient cost, hold and run; return the page."""
    given = {"argnums": args.argnums, **point.kwargs}
    with users_errors(args.function):
        cost = wg.cost(point.function, *point.args, machine=machine_of(args), **given)
        drawing = wg.draw(point.function, *point.args, **given)
        plan = cost.plan
    show_cost(console, cost, ROWS, "the page has more")
    show_lines(console, [""])
    show_memory(console, plan.memory)
    show_plan(console, plan)
    return explained(drawing, cost)


def _matrix(console: Console, point: Point, args: argparse.Namespace) -> str:
    """Print the plan of a sparse matrix; return the page."""
    given = {"argnums": args.argnums, **point.kwargs}
    function: Any = point.function
    with users_errors(args.function):
        drawing = wg.draw(function, *point.args, **given)
        plan = function.plan(*point.args, **point.kwargs)
    show_lines(console, str(plan).splitlines())
    show_lines(console, str(plan.pattern).splitlines()[1:])
    return planned(drawing, plan)


def _page(given: Path | None, name: str) -> Path:
    """Return where the page goes; a file that was not named and is no such page is left alone."""
    if given is not None:
        if given.suffix.lower() not in (".html", ".htm"):
            raise InputError(
                f"-o {given}: the page is HTML; give it a name that ends in .html, or draw the "
                f"graph alone with wengert draw -o {given}"
            )
        return given
    path = Path(f"{name}.html")
    if path.exists():
        with writing(path):
            text = path.read_text(encoding="utf-8", errors="replace")
        if MARK not in text:
            raise InputError(
                f"{path}: is there already and is no page of wengert explain; name another file "
                f"with -o FILE.html, or this one, to replace it"
            )
    return path
