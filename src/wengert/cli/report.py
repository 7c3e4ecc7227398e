"""Write the report of a training run: one page, which needs no network.

wengert report runs/digits-001
wengert report runs/digits-001 -o digits.html
"""

from __future__ import annotations

import argparse
from pathlib import Path

from wengert.cli.cost import add_peak, machine_of
from wengert.report.training import read_run, write_report

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "report"
HELP = "write a page about a training run: curves, costs, memory, throughput"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE.html",
        help="the page (default: report.html in the folder)",
    )
    add_peak(parser)


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    path = write_report(read_run(args.folder), args.out, machine_of(args))
    print(f"report: {path}")
    return 0
