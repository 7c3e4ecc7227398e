"""Values keep their meaning: code that asks what it was given gets the plain answer, or an error.

Each question is asked of the plain argument and of the traced one, in functions that are followed.
"""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import functools
import inspect
import math
import numbers
import operator
import typing

import numpy as np
import pytest
import scipy.sparse

import wengert as wg
from wengert.errors import WengertError

Abc = collections.abc


@functools.singledispatch
def by_type(x):
    return "object"


for _kind in (float, np.ndarray, np.generic):
    by_type.register(_kind, lambda x, name=_kind.__name__: name)


class Methods:
    @functools.singledispatchmethod
    def of(self, x):
        return "object"

    @of.register
    def _(self, x: float):
        return "float"

    @of.register
    def _(self, x: np.ndarray):
        return "array"


def by_pattern(x):
    match x:
        case None:
            return "nothing"
        case int() | float() as v if v > 0:
            return "number"
        case np.ndarray(shape=(n,)):
            return n
        case [_, _]:
            return "pair"
        case {"a": _}:
            return "mapping"
        case _:
            return "other"


def attempted(f):
    """Return a question: what `f` raises, or that it gives something."""

    def ask(x):
        try:
            return f(x)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            if isinstance(error, WengertError) and not isinstance(error, _USUAL):
                raise
            return "raises"

    return ask


_USUAL = (wg.errors.InputError, wg.errors.ShapeError)

OF_THE_KIND = {
    "type is": lambda x: type(x) is float,
    "type ==": lambda x: type(x) == np.ndarray,  # noqa: E721
    "type in": lambda x: type(x) in (int, float),
    "type name": lambda x: type(x).__name__,
    "type as a key": lambda x: {float: 1, np.ndarray: 2, np.float64: 3}.get(type(x)),
    "text of the type": lambda x: f"{type(x)}",
    "issubclass": lambda x: issubclass(type(x), float),
    "class name": lambda x: x.__class__.__name__,
    "set of types": lambda x: len({type(v) for v in [x, x]}),
    "map of type": lambda x: [t.__name__ for t in map(type, [x, 1])],
    "str": lambda x: isinstance(x, str),
    "generic": lambda x: isinstance(x, np.generic),
    "floating": lambda x: isinstance(x, np.floating),
    "nested tuple": lambda x: isinstance(x, (str, (list, np.ndarray))),
    "union": lambda x: isinstance(x, float | int),
    "Iterable": lambda x: isinstance(x, Abc.Iterable),
    "Sequence": lambda x: isinstance(x, Abc.Sequence),
    "Sized": lambda x: isinstance(x, Abc.Sized),
    "Container": lambda x: isinstance(x, Abc.Container),
    "Hashable": lambda x: isinstance(x, Abc.Hashable),
    "Callable": lambda x: isinstance(x, Abc.Callable),
    "Mapping": lambda x: isinstance(x, Abc.Mapping),
    "Integral": lambda x: isinstance(x, numbers.Integral),
    "Complex": lambda x: isinstance(x, numbers.Complex),
    "SupportsFloat": lambda x: isinstance(x, typing.SupportsFloat),
    "SupportsIndex": lambda x: isinstance(x, typing.SupportsIndex),
    "SupportsAbs": lambda x: isinstance(x, typing.SupportsAbs),
    "callable": lambda x: callable(x),
    "is None": lambda x: x is None,
    "is x": lambda x: [x is v for v in (None, x)],
    "dataclass": lambda x: dataclasses.is_dataclass(x),
    "isfunction": lambda x: inspect.isfunction(x),
    "masked": lambda x: np.ma.isMaskedArray(x),
    "sparse": lambda x: scipy.sparse.issparse(x),
    "sorted key": lambda x: sorted([1, x], key=lambda v: isinstance(v, np.ndarray))[0] is x,
    "filter": lambda x: list(filter(lambda v: isinstance(v, float), [x, x])) == [],
    "singledispatch": lambda x: by_type(x),
    "singledispatchmethod": lambda x: Methods().of(x),
    "match": by_pattern,
    "isscalar or 0-d": lambda x: np.isscalar(x) or x.ndim == 0,
    "all of a list": lambda x: all(isinstance(v, np.ndarray) for v in [x, x]),
    "copy": lambda x: type(copy.copy(x)),
    "deep copy": lambda x: type(copy.deepcopy(x)),
}
OF_ATTRIBUTES = {
    **{
        f"hasattr {name}": lambda x, name=name: hasattr(x, name)
        for name in (
            "shape",
            "dtype",
            "item",
            "hex",
            "is_integer",
            "__call__",
            "__array__",
            "__float__",
            "__index__",
            "__len__",
            "__iter__",
            "__getitem__",
            "__setitem__",
            "__contains__",
            "__array_function__",
            "nothing",
        )
    },
    "getattr ndim": lambda x: getattr(x, "ndim", None),
    "getattr dtype": lambda x: getattr(x, "dtype", None),
    "getattr nothing": lambda x: getattr(x, "nothing", 7),
    "dtype == float": lambda x: getattr(x, "dtype", int) == float,  # noqa: E721
    "dtype kind": attempted(lambda x: x.dtype.kind),
    "issubdtype": lambda x: np.issubdtype(type(x), np.floating),
    "C": attempted(lambda x: x.flags["C_CONTIGUOUS"]),
    "F": attempted(lambda x: x.flags.f_contiguous),
    "C of the transpose": attempted(lambda x: x.T.flags.c_contiguous),
    "contiguous parts": attempted(lambda x: x[::2].flags.contiguous),
    "strides": attempted(lambda x: x.strides),
    "itemsize": attempted(lambda x: (x.itemsize, x.nbytes)),
    "is_integer": attempted(lambda x: x.is_integer()),
    "set": attempted(lambda x: setattr(x, "nothing", 1)),
    "shares": lambda x: np.shares_memory(x, x),
    "shares a part": attempted(lambda x: np.shares_memory(x, x[:1])),
    "shares with a copy": attempted(lambda x: np.shares_memory(x, x.copy())),
    "may share": attempted(lambda x: np.may_share_memory(x, x * 1)),
    "size": lambda x: (np.size(x), np.shape(x), np.ndim(x)),
    "iscomplexobj": lambda x: (np.iscomplexobj(x), np.isrealobj(x)),
    "isreal": lambda x: bool(np.all(np.isreal(x))),
    "result_type": lambda x: (np.result_type(x), np.result_type(x, np.float32)),
    "asarray": lambda x: (np.asarray(x).dtype, np.asarray(x).ndim),
}
OF_PROTOCOLS = {
    "len": attempted(len),
    "iter": attempted(lambda x: len(list(iter(x)))),
    "index": attempted(operator.index),
    "range": attempted(range),
    "index of a list": attempted(lambda x: [1, 2, 3][x]),
    "item": attempted(lambda x: type(x[0])),
    "call": attempted(lambda x: x()),
    "unpacking": attempted(lambda x: [*x] and 1),
    "sorted": attempted(lambda x: len(sorted(x))),
    "in": attempted(lambda x: 1.0 in x),
    "text +": attempted(lambda x: "a" + x),
    "float": attempted(lambda x: type(float(x))),
    "int": attempted(lambda x: type(int(x))),
    "bool": attempted(lambda x: bool(x)),
    "== None": lambda x: type(x == None),  # noqa: E711
    "!= text": lambda x: type(x != "a"),
    "next": attempted(lambda x: type(next(iter(x)))),
    "enumerate": attempted(lambda x: type(next(enumerate(x))[1])),
}
OF_RESULTS = {
    "+": lambda x: type(x + 1),
    "*": lambda x: type(2 * x),
    "**": lambda x: isinstance(x**2, float),
    "//": lambda x: type(x // 1),
    "divmod": lambda x: [type(v) for v in divmod(x, 2.0)],
    "-": lambda x: (type(-x), type(abs(x))),
    "* complex": lambda x: type(x * 1j),
    "* array": attempted(lambda x: type(x * np.ones(2))),
    "pow": lambda x: type(pow(x, 2)),
    ">": lambda x: type(x > 0),
    "np.abs": lambda x: (type(np.abs(x)), type(np.sin(x)), type(np.floor(x))),
    "sum": lambda x: (type(np.sum(x)), np.isscalar(np.sum(x)), np.sum(x).shape),
    "mean": lambda x: (type(np.mean(x)), type(np.max(x))),
    "float()": lambda x: type(float(np.sum(x))),
    "math": lambda x: (type(math.sin(np.sum(x))), type(math.floor(np.sum(x)))),
    "round": lambda x: type(round(np.sum(x), 2)),
    "item()": attempted(lambda x: type(x.item(0))),
    "tolist": attempted(lambda x: (type(x.tolist()), [type(v) for v in np.ravel(x).tolist()])),
    "first": attempted(lambda x: (isinstance(x[0], float), np.ndim(x[0]), x[0].__class__)),
    "all float": attempted(lambda x: all(isinstance(v, float) for v in x)),
    "any float64": attempted(lambda x: any(type(v) is np.float64 for v in x)),
    "reshape": attempted(lambda x: type(x.reshape(-1)[0])),
    "where": lambda x: type(np.where(x > 0, x, 0)),
    "array": lambda x: (type(np.array(x)), np.array(x).ndim, np.atleast_1d(x).shape),
    "float32": lambda x: type(np.float32(np.sum(x))),
    "astype": attempted(lambda x: x.astype(np.float32).dtype),
    "==": lambda x: type(np.sum(x) == np.sum(x)),
    "min": attempted(lambda x: type(min(x, 3.0))),
    "format": lambda x: (f"{np.sum(x):.3f}", f"{x}"),
}
QUESTIONS = {**OF_THE_KIND, **OF_ATTRIBUTES, **OF_PROTOCOLS, **OF_RESULTS}
ARGUMENTS = {
    "float": 2.0,
    "float64": np.float64(2.0),
    "0-d": np.array(2.0),
    "1-d": np.array([1.0, 2.0]),
    "2-d": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "Fortran": np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
    "strided": np.arange(6.0)[::2],
    "float32": np.ones(2, np.float32),
}
WAYS = {
    "value_and_grad": lambda f, x: wg.value_and_grad(f)(x),
    "jvp": lambda f, x: wg.jvp(f, (x,), (x,), allow_int=True),
    "jit": lambda f, x: wg.jit(f)(x),
    "jit grad": lambda f, x: wg.jit(wg.grad(f))(x),
}


@pytest.mark.share(30)
@pytest.mark.parametrize("kind", ARGUMENTS)
@pytest.mark.parametrize("name", QUESTIONS)
def test_answers(name, kind):
    ask, x = QUESTIONS[name], ARGUMENTS[kind]
    wanted = ask(x)
    answers = []

    def f(x):
        answers.append(ask(x))
        return np.sum(x * 1.0)

    for way in WAYS.values():
        way(f, x)
    assert [repr(a) for a in answers] == [repr(wanted)] * len(answers)


REFUSED = {
    "writeable": lambda x: x.flags.writeable,
    "owndata": lambda x: x.flags["OWNDATA"],
    "base": lambda x: x[:1].base is None,
    "hash": lambda x: {x: 1},
    "bytes": lambda x: x.tobytes(),
    "percent": lambda x: "%.3f" % np.sum(x),  # noqa: UP031
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_raises(name):
    x = np.float64(2.0) if name == "hash" else np.ones(2)
    REFUSED[name](x)
    with pytest.raises(TypeError if name == "hash" else WengertError):
        wg.grad(lambda x: (REFUSED[name](x), np.sum(x))[1])(x)
