"""Draw what a function of yours and its gradient compute, as a graph.

wengert draw model.py:loss --at "np.ones((784, 10))" --at "np.ones((64, 784))" -o loss.svg
wengert draw model.py:loss --at "np.ones(3)" --argnums none -o loss.html

The ending of the file says the format: .svg, .png, .pdf, .html, .dot, .mmd (Mermaid), .txt or .tex.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import wengert as wg
from wengert.cli.point import add_argnums, add_point, read_point, users_errors, writing
from wengert.drawing.files import ENDINGS
from wengert.drawing.paper import PAPERS
from wengert.errors import InputError

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "draw"
HELP = "draw the graph of a function and its gradient"
PICTURES = (".svg", ".png", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_point(parser, "what to draw")
    add_argnums(parser)
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="the file, by its ending"
    )
    parser.add_argument(
        "--theme", choices=("light", "dark", "auto"), help="of a picture (default: light)"
    )
    parser.add_argument(
        "--heat",
        choices=("operations", "time", "bytes", "none"),
        help="what fills the operators of a picture (default: operations)",
    )
    parser.add_argument(
        "--paper",
        choices=tuple(PAPERS),
        help="a picture to be printed on such sheets; a wide graph is cut into strips",
    )
    parser.add_argument(
        "--every", action="store_true", help="a square for each value, not only for named ones"
    )


def run(args: argparse.Namespace) -> int:
    """Draw, and say where the drawing is and what it holds."""
    ending = args.out.suffix.lower()
    options = {k: v for k in ("theme", "heat", "paper") if (v := getattr(args, k)) is not None}
    if options and ending in ENDINGS and ending not in PICTURES:
        named = " and ".join(f"--{name}" for name in options)
        raise InputError(f"{named}: only for pictures ({', '.join(PICTURES)}), not for {ending}")
    if ending not in ENDINGS:
        raise InputError(
            f"-o {args.out}: its ending says no format; give it one of {', '.join(ENDINGS)}"
        )
    point = read_point(args, "draw")
    with users_errors(args.function):
        drawing = wg.draw(
            point.function, *point.args, argnums=args.argnums, every=args.every, **point.kwargs
        )
    with writing(args.out):
        path = drawing.save(args.out, **options)
    counted = ", ".join(f"{text} {name}" for name, text in drawing.summary())
    print(f"drawing: {path} ({counted})")
    return 0
