"""What the commands that look at a function of yours have in common: FILE.py:FUNCTION --at EXPR.

The file is run, the function is found in it, and its arguments are NumPy expressions.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from wengert.errors import InputError, WengertError, is_users

__all__ = ["Point", "add_argnums", "add_point", "describe", "read_point", "users_errors", "writing"]


def add_point(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Declare the function and where to look at it."""
    parser.add_argument("function", metavar="FILE.py:FUNCTION", help=purpose)
    parser.add_argument(
        "--at",
        metavar="[NAME=]EXPR",
        action="append",
        default=[],
        help="an argument of the function, as a NumPy expression; one --at for each argument",
    )


def add_argnums(parser: argparse.ArgumentParser) -> None:
    """Declare with respect to which arguments to differentiate."""
    parser.add_argument(
        "--argnums",
        type=_numbers,
        default=None,
        metavar="N,N,...",
        help="arguments to differentiate, or none (default: the first)",
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return () if text == "none" else tuple(int(n) for n in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of arguments' numbers such as 0,1, or none"
        ) from None


class Point:
    """A function of the user's, and the arguments to look at it with.

    Attributes
    ----------
    place : str
        ``FILE.py:FUNCTION``, as it was given.
    function : callable
    args : list
    kwargs : dict
    """

    def __init__(self, place: str, given: Sequence[str]) -> None:
        self.place = place
        self.function = load_function(place)
        self.args, self.kwargs = arguments(self.function, given)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.place.rpartition(":")[2]


def read_point(args: argparse.Namespace, verb: str = "look") -> Point:
    """Return what the command line names.

    Raises
    ------
    InputError
        For a missing file, function or argument, and for an expression that does not evaluate.
    """
    point = Point(args.function, args.at)
    needed = [
        p.name
        for p in _parameters(point.function)
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if needed and not args.at:
        raise InputError(
            f'say where to {verb}: one --at for each argument, such as --at "np.ones(3)"; '
            f"{point.name} takes {', '.join(needed)}"
        )
    return point


@contextmanager
def users_errors(place: str) -> Iterator[None]:
    """Say where an error of the user's own code came from, instead of a traceback.

    Raises
    ------
    InputError
        With the error's type, its message and the line; errors of wengert pass.
    """
    try:
        yield
    except WengertError:
        raise
    except Exception as error:
        raise InputError(f"{place} raised {describe(error)}{_user_line(error)}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say why a file cannot be written or read, and what to do, in one line.

    Raises
    ------
    InputError
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, WengertError):
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"{path}: cannot be written ({reason}); name a file in a folder that can be written: "
            f"-o FILE"
        ) from error


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
        raise InputError(f"{file}: cannot be run: {describe(error)}") from error
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
            f"--at {expression!r}: {describe(error)}; give a Python expression with np, "
            'such as --at "np.linspace(0, 1, 5)"'
        ) from error


def arguments(
    function: Callable[..., Any], given: Sequence[str]
) -> tuple[list[Any], dict[str, Any]]:
    """Evaluate the arguments; one named like a positional parameter takes its place."""
    parameters = _parameters(function)
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


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def describe(error: Exception) -> str:
    """Return the type and the message of an error."""
    return f"{type(error).__name__}: {error}"


def _user_line(error: Exception) -> str:
    """Return the innermost line outside of wengert and NumPy that an error came through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if is_users(frame.filename):
            return f", at {frame.filename}:{frame.lineno}: {frame.line}"
    return ""
