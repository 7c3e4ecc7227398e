"""What `grad`, `vmap` and their kin return: functions that also have a plan."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from wengert.errors import shorten
from wengert.jit.jitted import Jitted
from wengert.jit.plan import Plan
from wengert.naming import Bound, called, name_of, wrap

__all__ = ["Transformed", "kind_of", "transformed"]

P = ParamSpec("P")
R = TypeVar("R")


class Transformed(Generic[P, R]):
    """A function that a transformation made of another one, such as a gradient.

    A call runs it as Python does; `plan` says what it costs and compiles it.

    Parameters
    ----------
    kind : str
        The transformation.
    f : callable
    call : callable
        The transformed function.
    again : callable
        ``again(f=f)`` applies the transformation with the same options. It can be pickled.
    """

    # Not in the dictionary, which `functools.wraps` copies to functions around this one.
    __slots__ = ("__dict__", "__weakref__", "_again", "_call", "_f", "_jitted", "_kind")

    def __init__(
        self, kind: str, f: Callable[..., Any], call: Callable[P, R], again: Callable[..., Any]
    ) -> None:
        wrap(self, f)
        self._kind = kind
        self._f = f
        self._again = again
        self._call = call
        self._jitted: Jitted[P, R] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function."""
        try:
            return self._call(*args, **kwargs)
        except Exception as error:
            shorten(error)
            raise

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> Plan:
        """Return the plan for a call with these arguments, as ``jit`` of this function does.

        Returns
        -------
        Plan
            Printable and callable.
        """
        if self._jitted is None:
            self._jitted = Jitted(self)
        return self._jitted.plan(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind to an instance, as functions do."""
        return self if instance is None else Bound(self, instance)

    def __copy__(self) -> Transformed[P, R]:
        return self

    def __deepcopy__(self, memo: Any) -> Transformed[P, R]:
        return self

    def __reduce__(self) -> Any:
        """Pickle by name where the name leads here, as functions are, else as what was applied."""
        return name_of(self) or (_apply, (self._again, self._f))

    def __repr__(self) -> str:
        """Return a line."""
        return f"<{self._kind} of {called(self)}>"


def _apply(again: Callable[..., Any], f: Callable[..., Any]) -> Any:
    return again(f=f)


def transformed(
    kind: str, f: Callable[..., Any], again: Callable[..., Any], **options: Any
) -> Callable[[Callable[..., Any]], Transformed[..., Any]]:
    """Return a decorator that makes a function the transformed `f`: ``<kind of f>``.

    ``again(f=f, **options)`` is the same transformed function, in another process too.
    """
    remade = functools.partial(again, **options)
    return lambda call: Transformed(kind, f, call, remade)


def kind_of(f: Callable[..., Any]) -> str | None:
    """Return the transformation that made `f`, compiled or not; None for a function of the user."""
    while isinstance(f, (Jitted, Bound)):
        f = f._f if isinstance(f, Jitted) else f.__func__
    return f._kind if isinstance(f, Transformed) else None
