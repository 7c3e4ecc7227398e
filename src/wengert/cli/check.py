"""Check the derivatives of a function of yours against independent ones.

wengert check model.py:loss --at "np.linspace(0, 1, 5)" --at "2.0" --order 2
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wengert import testing
from wengert.errors import DerivativeMismatchError, InputError, WengertError

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "check"
HELP = "check the derivatives of a function in a file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("function", metavar="FILE.py:FUNCTION", help="what to check")
    parser.add_argument(
        "--at",
        metavar="EXPR",
        action="append",
        default=[],
        help="an argument of the function, as a NumPy expression; one --at for each argument",
    )
    parser.add_argument(
        "--order", type=int, choices=(1, 2), default=2, help="highest derivative (default: 2)"
    )


def run(args: argparse.Namespace) -> int:
    """Check; 0 if the derivatives hold, 1 if one is wrong."""
    function = load_function(args.function)
    if not args.at:
        raise InputError(
            'say where to check: one --at for each argument, such as --at "np.ones(3)"'
        )
    point = [evaluate(expression) for expression in args.at]
    try:
        report = testing.check_derivatives(function, *point, order=args.order)
    except DerivativeMismatchError as error:
        print(error)
        return 1
    except WengertError:
        raise
    except Exception as error:
        raise InputError(f"{args.function} raised {_describe(error)} at that point") from error
    print(report)
    return 0


def load_function(place: str) -> Callable[..., Any]:
    """Return the function that ``FILE.py:FUNCTION`` names. Runs the file.

    A file of a package (its folder has an ``__init__.py``) is imported as a part of it, so that its
    relative imports work.
    """
    file, colon, name = place.rpartition(":")
    if not colon or not name:
        raise InputError(f"{place!r}: name the file and the function, as in model.py:loss")
    path = Path(file)
    if not path.is_file():
        raise InputError(f"{file}: there is no such file; check the path")
    root, *packages = _package(path.resolve().parent)
    module_name = ".".join([*packages, path.stem])
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{file}: is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, root)  # as `python FILE.py` would
    try:
        if packages:
            importlib.import_module(".".join(packages))
            sys.modules[module_name] = module
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{file}: cannot be run: {_describe(error)}") from error
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module_name]
        known = ", ".join(n for n in own if callable(getattr(module, n))) or "none"
        raise InputError(f"{file}: has no function {name!r}; it defines {known}")
    return function  # type: ignore[no-any-return]


def _package(folder: Path) -> list[str]:
    """Return the folder that a package is imported from, and the names of the packages inside."""
    names: list[str] = []
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return [str(folder), *names]


def evaluate(expression: str) -> Any:
    """Return the value of a Python expression in which ``np`` is NumPy."""
    try:
        return eval(expression, {"np": np, "numpy": np})
    except Exception as error:
        raise InputError(
            f"--at {expression!r}: {_describe(error)}; give a Python expression with np, "
            'such as --at "np.linspace(0, 1, 5)"'
        ) from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
