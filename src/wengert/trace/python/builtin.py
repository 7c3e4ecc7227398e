"""Built-in functions of Python, and those that call a function they are given."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.follow.functions import followed
from wengert.trace.fresh import fixed
from wengert.trace.numpy.table import cast
from wengert.trace.python.created import joined_lists
from wengert.trace.python.table import find, stands_for
from wengert.trace.tracer import Tracer

__all__: list[str] = []


def _scalar(kind: Any) -> Callable[..., Any]:
    """Stand for a scalar type of NumPy that is called to convert."""

    def convert(*args: Any) -> Any:
        if len(args) != 1:
            return kind(*args)
        x = joined_lists(args[0])
        if type(x) is not Tracer:
            return kind(x)
        return cast(x, np.dtype(kind))[()] if x.shape == () else cast(x, np.dtype(kind))

    return convert


for _kind in (np.float64, np.float32, np.complex128, np.complex64):
    stands_for(_kind)(_scalar(_kind))


# --- functions that call what they are given ------------------------------------------------------
def _calling(function: Any, place: int | None, keyword: str | None = None) -> None:
    """Let the function at a place, or under a keyword, be followed."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if place is not None and len(args) > place:
            args = (*args[:place], followed(args[place]), *args[place + 1 :])
        if keyword is not None and keyword in kwargs:
            kwargs[keyword] = followed(kwargs[keyword])
        return function(*args, **kwargs)

    stands_for(function)(call)


_FIRST: tuple[Any, ...] = (
    *(map, filter, functools.reduce),
    *(itertools.starmap, itertools.takewhile, itertools.dropwhile, itertools.filterfalse),
)
for _f in _FIRST:
    _calling(_f, 0)
_calling(itertools.accumulate, 1, "func")
_calling(itertools.groupby, 1, "key")
_calling(np.fromfunction, 0, "function")
_calling(np.piecewise, None)
for _f in (sorted, min, max):
    _calling(_f, None, "key")


@stands_for(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr, function = joined_lists(arr), followed(func1d)
    if type(arr) is Tracer:
        return np.apply_along_axis(function, axis, arr, *args, **kwargs)
    made: list[Any] = []

    def kept(line: Any) -> Any:
        made.append(function(line, *args, **kwargs))
        return made[-1]

    lines = np.moveaxis(np.asanyarray(arr), axis, -1)
    for k in np.ndindex(lines.shape[:-1]):
        kept(lines[k])
    rows = iter(made)
    again = lambda line: next(rows)  # noqa: E731
    return np.apply_along_axis(again, axis, arr if find(made) is None else fixed(np.asarray(arr)))


class Vectorized:
    """What `numpy.vectorize` makes of a function: it is called for each element.

    Parameters
    ----------
    function : callable
    plain : numpy.vectorize
        NumPy's, for calls without traced values.
    excluded : set
    signature : str or None
    """

    def __init__(self, function: Any, plain: Any, excluded: Any, signature: Any) -> None:
        self._function = followed(function)
        self._plain = plain
        self._excluded = excluded
        self._signature = signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function for each element of the arguments, which are broadcast."""
        args = tuple(map(joined_lists, args))
        traced = find(args) is not None or find(list(kwargs.values())) is not None
        if not traced and (kwargs or self._signature is not None):
            return self._plain(*args, **kwargs)
        if kwargs:
            names = sorted(kwargs)  # NumPy loops over them too
            called = Vectorized(_by_name(self._function, names), self._plain, set(), None)
            return called(*args, *(kwargs[name] for name in names))
        if self._signature is not None:
            return self._by_signature(args)
        moving = [i for i in range(len(args)) if i not in self._excluded]
        arrays = np.broadcast_arrays(*[args[i] for i in moving])
        flat = [np.ravel(a) for a in arrays]
        if not flat or not flat[0].size:
            return self._plain(*args)
        rows = []
        for k in range(flat[0].size):
            given = list(args)
            for i, a in zip(moving, flat, strict=True):
                given[i] = a[k]
            rows.append(self._function(*given))
        if find(rows) is None:
            return self._collected(rows, args)
        shape = arrays[0].shape
        if type(rows[0]) is tuple:
            return tuple(_gathered([row[j] for row in rows], shape) for j in range(len(rows[0])))
        return _gathered(rows, shape)

    def _by_signature(self, args: tuple[Any, ...]) -> Any:
        """Call the function for parts of the arguments with the axes that the signature names."""
        inputs, _, results = self._signature.replace(" ", "").partition("->")
        cores = [c.count(",") + 1 if c else 0 for c in re.findall(r"\(([^)]*)\)", inputs)]
        arrays = [np.asarray(a) if find(a) is None else a for a in args]
        outer = [np.shape(a)[: np.ndim(a) - n] for a, n in zip(arrays, cores, strict=True)]
        shape = np.broadcast_shapes(*outer)
        arrays = [
            np.broadcast_to(a, shape + np.shape(a)[np.ndim(a) - n :])
            for a, n in zip(arrays, cores, strict=True)
        ]
        rows = [self._function(*[a[i] for a in arrays]) for i in np.ndindex(shape)]

        def gathered(parts: list[Any]) -> Any:
            made = joined_lists([joined_lists(p) for p in parts])
            made = made if isinstance(made, Tracer) else np.array(made)
            return np.reshape(made, shape + np.shape(made)[1:])

        if results.count("(") > 1:
            return tuple(gathered([row[j] for row in rows]) for j in range(results.count("(")))
        return gathered(rows)

    def _collected(self, rows: list[Any], args: tuple[Any, ...]) -> Any:
        """Return the array that NumPy makes of results that are plain."""
        results = iter(rows)
        plain = self._plain
        again = np.vectorize(
            lambda *_: next(results), plain.otypes, excluded=self._excluded, cache=True
        )
        return again(*args)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of NumPy's object."""
        return getattr(self._plain, name)


def _by_name(f: Any, names: list[str]) -> Any:
    """Return a function that takes its last arguments by position, and passes them by name."""
    n = len(names)
    return lambda *args: f(*args[:-n], **dict(zip(names, args[-n:], strict=True)))


def vectorized(f: Any) -> Any:
    """Return what stands for an object of `numpy.vectorize` that was made before."""
    return Vectorized(f.pyfunc, f, set(f.excluded), f.signature)


def _gathered(rows: list[Any], shape: tuple[int, ...]) -> Any:
    return np.reshape(joined_lists(rows), shape)


@stands_for(np.vectorize)
def _vectorize(
    pyfunc: Any = np._NoValue,
    otypes: Any = None,
    doc: Any = None,
    excluded: Any = None,
    cache: bool = False,
    signature: Any = None,
) -> Any:
    plain = np.vectorize(pyfunc, otypes, doc, excluded, cache, signature)
    if pyfunc is np._NoValue:
        return lambda f: _vectorize(f, otypes, doc, excluded, cache, signature)
    return Vectorized(pyfunc, plain, set(excluded or ()), signature)


@stands_for(np.fromiter)
def _fromiter(iter: Any, dtype: Any, count: int = -1, **kwargs: Any) -> Any:
    items = list(iter) if count < 0 else list(itertools.islice(iter, count))
    if find(items) is None:
        return np.fromiter(items, dtype, count, **kwargs)
    return cast(joined_lists(items), np.dtype(dtype))


# --- cached functions -----------------------------------------------------------------------------
_CACHED = type(functools.lru_cache(lambda: None))


def cached(f: Any) -> Any:
    """Stand for a function under `functools.lru_cache`: traced values are not looked up."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if find(args) is None and find(list(kwargs.values())) is None:
            return f(*args, **kwargs)
        return followed(f.__wrapped__)(*args, **kwargs)

    return call
