"""What functions made of functions take over: their names, and that they become methods."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["Bound", "called", "name_of", "wrap"]


def wrap(made: Any, f: Callable[..., Any]) -> None:
    """Take over the name and the documentation, and what is set on a function, not an object."""
    functools.update_wrapper(made, f, updated=("__dict__",) if inspect.isfunction(f) else ())


def called(f: Callable[..., Any]) -> str:
    """Return what a function is called in messages."""
    return str(getattr(f, "__name__", type(f).__name__))


def name_of(x: Any) -> str:
    """Return the name of a function in its module; empty where that is something else."""
    module = sys.modules.get(getattr(x, "__module__", None) or "")
    name: str = getattr(x, "__qualname__", "")
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return name if found is x else ""


class Bound:
    """A jitted or transformed method of an object."""

    def __init__(self, function: Any, instance: Any) -> None:
        self.__doc__ = function.__doc__
        self.__func__: Any = function
        self.__self__ = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method."""
        return self.__func__(self.__self__, *args, **kwargs)

    def into(self, out: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the method, and write its result into arrays that the caller has."""
        return self.__func__.into(out, self.__self__, *args, **kwargs)

    def plan(self, *args: Any, **kwargs: Any) -> Any:
        """Return the plan for a call with these arguments."""
        return self.__func__.plan(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Look up everything else on the function."""
        return getattr(self.__func__, name)
