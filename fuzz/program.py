"""A program: the text of a function and of its calls, and what plain NumPy makes of them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import linecache
import math
import os
import traceback
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optree
import scipy.linalg
import scipy.sparse.linalg
import scipy.special

import wengert as wg
from fuzz import values
from fuzz.plain import Plain
from wengert.errors import WengertError

NAMES = {
    "np": np,
    "special": scipy.special,
    "scipy": scipy,
    "copy": copy,
    "dataclasses": dataclasses,
    "functools": functools,
    "itertools": itertools,
    "math": math,
    "types": types,
    "wg": Plain,
    **{name: getattr(values, name) for name in ("Pair", "Point", "laid", "wave")},
}
"""What a program's text may refer to, as plain NumPy runs it."""

HEAD = """\
import copy
import dataclasses
import functools
import itertools
import math
import types

import numpy as np
import scipy
import scipy.sparse.linalg
from scipy import special

import wengert as wg
from fuzz.checks import assert_agrees
from fuzz.values import Pair, Point, laid, wave
"""


class Raised(NamedTuple):
    """An exception, where a result was expected."""

    error: BaseException

    def __str__(self) -> str:
        first = str(self.error).split("\n")[0]
        frames = traceback.extract_tb(self.error.__traceback__)
        inside = [f for f in frames if "wengert" in f.filename.split(os.sep)]
        place = f" in {Path(inside[-1].filename).name}, {inside[-1].name}" if inside else ""
        return f"{type(self.error).__name__}: {first}{place}"


class Program:
    """A function and the arguments of its calls.

    Parameters
    ----------
    function : callable
        Written in NumPy.
    calls : list of callable
        Each makes the arguments of one call.
    source : str
        The text of both.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        calls: list[Callable[[], tuple[Any, ...]]],
        source: str,
    ) -> None:
        self.function = function
        self.calls = calls
        self.source = source

    @classmethod
    def parsed(cls, source: str, name: str = "program") -> Program:
        """Run the text, which defines ``program`` and ``calls``."""
        file = f"<fuzz {name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        scope = {**NAMES, "wg": wg}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what the shrinker tries
            exec(compile(source, file, "exec"), scope)
        return cls(scope["program"], scope["calls"], source)

    def args(self, call: int) -> tuple[Any, ...]:
        return self.calls[call]()

    @functools.cached_property
    def plain(self) -> Callable[..., Any]:
        """The function with Python's own loops and branches in place of wengert's."""
        f = self.function
        if not isinstance(f, types.FunctionType) or "wg." not in self.source:
            return f
        return types.FunctionType(
            f.__code__, {**f.__globals__, "wg": Plain}, f.__name__, f.__defaults__, f.__closure__
        )

    @property
    def held(self) -> dict[str, Any]:
        """Plain arrays outside the function that it reads."""
        outside = self.function.__globals__
        return {name: outside[name] for name in ("h0", "h1", "h2") if name in outside}

    def changes_arguments(self) -> bool:
        """Whether plain NumPy leaves other arguments behind, so that calls cannot be compared."""
        for i in range(len(self.calls)):
            args = self.args(i)
            run(self.plain, *args)
            pairs = zip(leaves(args), leaves(self.args(i)), strict=True)
            if not all(np.array_equal(a, b) for a, b in pairs):
                return True
        return False

    @functools.cached_property
    def truths(self) -> list[Any]:
        """What plain NumPy returns for each call, or a `Raised`."""
        return [run(self.plain, *self.args(i)) for i in range(len(self.calls))]

    @functools.cached_property
    def coarse(self) -> bool:
        """Whether single precision takes part, so that comparisons are rough."""
        return any(name in self.source for name in ("f4", "c8", "float32", "complex64"))

    def test(self, check: str, what: str) -> str:
        """Return the text of a test that fails as long as the check does."""
        doc = what.replace("\\", "\\\\").replace('"""', "'''")
        return (
            f'"""{check}: {doc}"""\n\n{HEAD}\n\n{self.source}\n\n'
            f"def test_it_agrees():\n    assert_agrees(program, calls, {check!r})\n"
        )


def quiet(f: Callable[..., Any], *args: Any) -> Any:
    """Call without NumPy's warnings; the program's own ``errstate`` still counts."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return f(*args)


def run(f: Callable[..., Any], *args: Any) -> Any:
    """Return the result, or what was raised as a `Raised`."""
    try:
        return quiet(f, *args)
    except Exception as error:
        return Raised(cause(error))


def cause(error: BaseException) -> BaseException:
    """Return wengert's refusal, where a program's own handler raised while it dealt with it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, WengertError):
            return seen
        seen = seen.__context__
    return error


def leaves(tree: Any) -> list[Any]:
    """Return the arrays and numbers of a nested result."""
    return list(optree.tree_leaves(tree, none_is_leaf=True))
