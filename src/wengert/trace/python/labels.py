"""What is called in the place of functions of pandas that are given traced values."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ShapeError, user_line
from wengert.follow.functions import LIBRARY
from wengert.ops.base import shape_of
from wengert.trace.foreign import frame
from wengert.trace.fresh import made_plain
from wengert.trace.labelled import HOLDERS, held, numbers_of
from wengert.trace.python.table import find
from wengert.trace.refused import refused_by
from wengert.trace.tracer import Tracer

__all__: list[str] = []


def _stands_for(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what makes the stand-in of functions of `pandas.core`."""

    def put(stand_in: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            LIBRARY.setdefault(name.rpartition(".")[2], {})[f"pandas.core.{name}"] = stand_in
        return stand_in

    return put


def _lowered(x: Any) -> Any:
    """Return an argument as pandas may hold it."""
    if isinstance(x, Tracer):
        return made_plain(x) if x._trace.level == 0 else held(x)
    if type(x) is dict:
        return {k: _lowered(v) for k, v in x.items()}
    return x


@_stands_for("series.Series.__init__", "frame.DataFrame.__init__")
def _init(f: Any) -> Any:
    """Stand for ``pd.Series(x)``, ``pd.DataFrame({"a": x})`` and ``pd.DataFrame(x)``."""

    @functools.wraps(f)
    def call(self: Any, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        data = _lowered(data)
        if isinstance(data, Tracer) and len(data.shape) == 2:
            names = ("index", "columns")
            given = dict(zip(names, args, strict=False)) | kwargs
            columns = given.get("columns")
            columns = range(data.shape[1]) if columns is None else columns
            data = frame(data, given.get("index"), columns)
            args, kwargs = (), {k: v for k, v in kwargs.items() if k not in names}
        elif type(data) is list and find(data) is not None and not any(map(shape_of, data)):
            data = held(np.stack(data))
        return f(self, data, *args, **kwargs)

    return call


_FLEXIBLE = {
    "add": operator.add, "sub": operator.sub, "subtract": operator.sub, "mul": operator.mul,
    "multiply": operator.mul, "div": operator.truediv, "divide": operator.truediv,
    "truediv": operator.truediv, "pow": operator.pow,
}  # fmt: skip


def _flexible(reflected: bool) -> Callable[..., Any]:
    """Return what makes the stand-in of ``df.mul(x, axis=0)`` and its kin."""

    def make(f: Any) -> Any:
        apply = _FLEXIBLE[f.__name__[reflected:]]

        @functools.wraps(f)
        def call(self: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(other, Tracer) or other._trace.level == 0:
                return f(self, _lowered(other), *args, **kwargs)
            axis = args[0] if args else kwargs.get("axis", "columns")
            if len(args) > 1 or set(kwargs) - {"axis"}:
                raise refused_by(
                    f"pandas.Series.{f.__name__}", "with options takes no traced value"
                )
            if self.ndim == 2 and axis in (0, "index") and len(other.shape) == 1:
                other = other[:, None]
            return apply(other, self) if reflected else apply(self, other)

        return call

    return make


for _reflected in (False, True):
    _names = ("r" * _reflected + name for name in _FLEXIBLE)
    _of = ("series.Series", "frame.DataFrame")
    _stands_for(*(f"{c}.{n}" for n in _names for c in _of))(_flexible(_reflected))


@_stands_for(
    *("series.Series.__setitem__", "indexing._LocIndexer.__setitem__"),
    *(f"{name}.fillna" for name in ("generic.NDFrame", "series.Series")),
    *(f"generic.NDFrame.{name}" for name in ("where", "mask", "clip")),
)
def _holding(f: Any) -> Any:
    """Stand for a method that takes arrays as a column."""

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        return f(*map(_lowered, args), **{k: _lowered(v) for k, v in kwargs.items()})

    return call


@_stands_for(*(f"frame.DataFrame.{name}" for name in ("assign", "__setitem__", "insert")))
def _column(f: Any) -> Any:
    """Stand for a method that makes columns, also of one number."""

    @functools.wraps(f)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        def column(x: Any) -> Any:
            if isinstance(x, Tracer) and not shape_of(x):
                x = np.stack([x] * len(self)) if len(self) else x
            return _lowered(x)

        return f(self, *map(column, args), **{k: column(v) for k, v in kwargs.items()})

    return call


@_stands_for(
    *(
        f"{kind}.{name}"
        for kind in ("series.Series", "frame.DataFrame")
        for name in ("dot", "__matmul__")
    )
)
def _dot(f: Any) -> Any:
    """Stand for ``df @ x`` and ``df.dot(x)``."""

    @functools.wraps(f)
    def call(self: Any, other: Any) -> Any:
        if not isinstance(other, Tracer):
            return f(self, other)
        if other._trace.level == 0:
            return f(self, made_plain(other))
        if not other.shape or other.shape[0] != self.shape[-1]:
            raise ShapeError(
                f"Dot product shape mismatch, {self.shape} vs {other.shape}" + user_line()
            )
        made = np.dot(numbers_of(self), other)
        rank = len(shape_of(made))
        if self.ndim == 1 or rank == 0:
            return made
        import pandas as pd

        if rank == 1:
            return pd.Series(held(made), index=self.index)
        return frame(made, self.index, range(made.shape[1]))

    return call


@_stands_for(*(f"generic.NDFrame.{name}" for name in ("rolling", "expanding", "ewm")))
def _window(f: Any) -> Any:
    """Stand for windows, which compiled code of pandas moves."""

    @functools.wraps(f)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self) in HOLDERS and isinstance(numbers_of(self), Tracer):
            raise refused_by(f"pandas.{type(self).__name__}.{f.__name__}")
        return f(self, *args, **kwargs)

    return call
