"""Rewritten code does what the code did, at the same lines."""

# ruff: noqa: UP028, PIE804, C416, RUF015  (these forms are what is tried)

from __future__ import annotations

import argparse
import ast
import difflib
import dis
import heapq
import inspect
import json
import statistics
import sys
import textwrap
import traceback
import types

import pytest

import wengert as wg
from wengert.follow import rewrite
from wengert.follow.tables import Answers, Tables

MODULES = (argparse, ast, difflib, heapq, inspect, json, statistics, textwrap)
FUNCTIONS = [f for m in MODULES for f in vars(m).values() if isinstance(f, types.FunctionType)]


def tables_of(seen):
    """Return tables that follow functions and methods, and note them."""
    tables = Tables()

    def function(f):
        seen.append(f.__name__)
        code = rewrite.rewritten(f.__code__, tables)
        copy = types.FunctionType(
            code or f.__code__, f.__globals__, f.__name__, f.__defaults__, f.__closure__
        )
        copy.__kwdefaults__ = f.__kwdefaults__
        return copy

    for calls in (tables.calls, tables.calls_beside_stores):
        calls.kinds[types.FunctionType] = function
        calls.kinds[types.MethodType] = lambda m: (
            types.MethodType(function(m.__func__), m.__self__)
            if type(m.__func__) is types.FunctionType
            else m
        )
    return tables, function


@pytest.mark.parametrize("f", FUNCTIONS[::7], ids=lambda f: f.__qualname__)
def test_instructions_stand_at_their_lines(f):
    made = rewrite.rewritten(f.__code__, Tables())
    assert made is not None
    assert made.co_filename == f.__code__.co_filename
    assert set(made.co_varnames) == set(f.__code__.co_varnames)
    arguments = f.__code__.co_argcount + f.__code__.co_kwonlyargcount
    assert made.co_varnames[:arguments] == f.__code__.co_varnames[:arguments]

    def lines(code):
        return {o: line for start, stop, line in code.co_lines() for o in range(start, stop, 2)}

    ours, theirs = lines(made), lines(f.__code__)
    found = set()
    for x in dis.get_instructions(made):
        if x.opname == "EXTENDED_ARG":
            continue
        code, at = rewrite.original(made, x.offset)
        assert code is f.__code__
        assert ours[x.offset] == theirs[at]
        found.add(at)
    kept = {x.offset for x in dis.get_instructions(f.__code__) if x.opname != "EXTENDED_ARG"}
    assert found == kept


class Base:
    def __init__(self, k):
        self.k = k

    def scaled(self, x, *, by=1):
        return x * self.k + by


class Derived(Base):
    def scaled(self, x, *, by=1):
        return super().scaled(x, by=by) + 1


def helper(a, b=2, *rest, d=4, **others):
    return a + b + sum(rest) + d + sum(others.values())


def numbers(n):
    try:
        for i in range(n):
            yield i
    finally:
        pass


def everything(x, n=3):
    """Use most kinds of calls."""
    y = [0] * n
    for i in range(n):
        y[i] = helper(x, i, *[1, 2], d=5, **{"q": 1})
    made = Derived(3)
    z = made.scaled(x, by=2) + made.scaled(x)
    with open("/dev/null") as file:
        file.read()
    try:
        raise KeyError("a")
    except KeyError as error:
        width = len(str(error))
    add = lambda t: t + z  # noqa: E731

    @staticmethod
    def twice(v):
        return 2 * v

    class Inner:
        value = len("abc")

        @property
        def prop(self):
            return twice(self.value)

    assert x, "x is not zero"
    table = {i: j for i, j in zip(range(3), map(add, [1, 2, 3]), strict=True)}
    match y:
        case [first, *_]:
            width += first
        case _:
            width = 0
    total = sum(v for v in numbers(4)) + y[0] + y[-1] + table[2] + Inner().prop
    return total + z + width + add(x) + [v for v in y][0] + len(f"{x:>5}")


def test_all_kinds_of_calls_give_the_same():
    seen = []
    _, follow = tables_of(seen)
    assert follow(everything)(2) == everything(2)
    assert {"helper", "scaled", "<lambda>", "numbers"} <= set(seen)


def test_a_function_is_rewritten_once():
    tables = Tables()
    assert rewrite.rewritten(helper.__code__, tables) is rewrite.rewritten(helper.__code__, tables)
    made = rewrite.rewritten(helper.__code__, tables)
    assert rewrite.rewritten(made, tables) is made


def test_a_function_followed_once_is_not_followed_again(monkeypatch):
    def f(x):
        return helper(x) + Derived(2.0).scaled(x)

    wg.grad(f)(1.0)
    made = []
    monkeypatch.setattr(rewrite, "_rewrite", lambda *args: made.append(args))
    for _ in range(2):
        wg.grad(f)(1.0)
        wg.jit(wg.hessian(f))(1.0)
    assert not made


def failing(x):
    values = [x]
    return deeper(
        values, 1 / 0
    )  # fmt: skip


def deeper(values, x):
    return values, x


def test_tracebacks_are_those_of_the_function():
    def shown(f):
        with pytest.raises(ZeroDivisionError) as info:
            f(1)
        frames = traceback.extract_tb(info.value.__traceback__)[-1]
        return frames.filename, frames.lineno, frames.name, frames.line

    _, follow = tables_of([])
    assert shown(follow(failing)) == shown(failing)


def test_what_cannot_be_rewritten_is_left(monkeypatch):
    import bytecode

    def broken(code):
        raise NotImplementedError

    monkeypatch.setattr(bytecode.Bytecode, "from_code", broken)
    assert rewrite.rewritten((lambda x: helper(x)).__code__, Tables()) is None


def test_calls_of_unknown_types_stand_for_themselves():
    assert Answers()[len] is len
    assert sys.version_info < (3, 15), "see whether the instructions of calls are still the same"
