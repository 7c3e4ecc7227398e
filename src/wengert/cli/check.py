"""Check the derivatives of a function of yours against independent ones.

wengert check model.py:loss --at "np.linspace(0, 1, 5)" --at "2.0" --order 2
"""

from __future__ import annotations

import argparse
import functools

from wengert import testing
from wengert.cli.point import add_point, read_point, users_errors
from wengert.errors import DerivativeMismatchError

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "check"
HELP = "check the derivatives of a function in a file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_point(parser, "what to check")
    parser.add_argument(
        "--order", type=int, choices=(1, 2), default=2, help="highest derivative (default: 2)"
    )


def run(args: argparse.Namespace) -> int:
    """Check; 0 if the derivatives hold, 1 if one is wrong."""
    point = read_point(args, "check")
    function = point.function
    if point.kwargs:
        function = functools.wraps(function)(functools.partial(function, **point.kwargs))
    with users_errors(args.function):
        try:
            report = testing.check_derivatives(function, *point.args, order=args.order)
        except DerivativeMismatchError as error:
            print(error)
            return 1
    print(report)
    return 0
