"""Predict with a trained model: for each row of a table, a class or a number.

wengert predict runs/houses-001 new.csv
wengert predict runs/houses-001 new.csv -o predicted.csv
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path

import numpy as np

from wengert.cli.point import writing
from wengert.errors import DataError
from wengert.train.predict import read_model

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "predict"
HELP = "predict with a trained model, for the rows of a CSV or an NPZ file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "data",
        type=Path,
        metavar="FILE",
        help="FILE.csv with the run's columns, or FILE.npz with X",
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE.csv", help="where to write (default: printed)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the rows with their predictions."""
    model = read_model(args.folder)
    kind = args.data.suffix.lower()
    if kind not in (".csv", ".npz"):
        raise DataError(f"{args.data}: give a file that ends in .csv or .npz")
    head: list[str] = []
    if kind == ".csv":
        table, x = model.table(args.data)
        head, rows = list(table.columns), [list(row) for row in table.rows]
    else:
        x = model.array(args.data)
        rows = [[] for _ in x]
    found = model(x)
    comma = model.config.decimal == ","
    for row, y in zip(rows, found, strict=True):
        row += [model.classes[int(np.argmax(y))]] if model.classes else []
        shown = f"{np.max(y):.4f}" if model.classes else f"{y:.6g}"
        row.append(shown.replace(".", ",") if comma else shown)
    head += ["prediction", "probability"] if model.classes else ["prediction"]
    text = io.StringIO()
    csv.writer(text, delimiter=";" if comma else ",", lineterminator="\n").writerows([head, *rows])
    if args.out is None:
        sys.stdout.write(text.getvalue())
        return 0
    with writing(args.out):
        args.out.write_text(text.getvalue(), encoding="utf-8")
    print(f"predictions: {args.out} ({len(rows):,} rows)")
    return 0
