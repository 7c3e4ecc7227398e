"""A graph is a function: whatever a transformation makes of an operation, it makes of its graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from case import Case
from op_cases import CASES

import wengert as wg
from wengert.errors import GraphError
from wengert.ir.build import Builder
from wengert.ir.graph import Aval, Graph
from wengert.ir.text import parse
from wengert.ops.base import TABLE, dtype_of
from wengert.trace.recorder import GraphRecorder
from wengert.trace.replay import as_function

EVERY = [case for cases in CASES.values() for case in cases]
every_case = pytest.mark.parametrize("case", EVERY, ids=str)


class AsGraph:
    """A case as a function of its arrays, applied directly and through a graph."""

    def __init__(self, case: Case, seed: int = 0) -> None:
        args = case.args(seed)
        self.places = [i for i, x in enumerate(args) if hasattr(x, "dtype")]
        self.xs = [args[i] for i in self.places]
        rng = np.random.default_rng(7)
        wrt = case.active(args)
        self.active = [k for k, i in enumerate(self.places) if i in wrt]
        self.ts = [oracle.tangent(rng, self.xs[k]) for k in self.active]

        def direct(*xs: Any) -> Any:
            full = list(args)
            for i, x in zip(self.places, xs, strict=True):
                full[i] = x
            made = case.row(*full, **case.attrs)
            return list(made) if isinstance(made, tuple) else [made]

        b = Builder()
        operands = list(args)
        for i in self.places:
            operands[i] = b.input(args[i])
        made = b.add(case.row, *operands, **case.attrs)
        self.graph = b.finish(made if isinstance(made, tuple) else [made])
        self.direct = direct
        self.replayed = as_function(self.graph)

    def of_active(self, f: Any) -> Any:
        """Return `f` of the active arguments only."""

        def function(*moving: Any) -> Any:
            xs = list(self.xs)
            for k, x in zip(self.active, moving, strict=True):
                xs[k] = x
            return [y for y in f(*xs) if dtype_of(y).kind in "fc"]

        return function


@every_case
def test_values_are_those_of_the_operation(case):
    s = AsGraph(case)
    oracle.same(tuple(s.replayed(*s.xs)), tuple(s.direct(*s.xs)))


def _same(found: Any, expected: Any) -> None:
    found, expected = oracle.leaves(found), oracle.leaves(expected)
    assert [(np.shape(a), dtype_of(a)) for a in found] == [
        (np.shape(a), dtype_of(a)) for a in expected
    ]
    oracle.close(found, expected, 1e-12)


@every_case
def test_derivatives_are_those_of_the_operation(case):
    s = AsGraph(case)
    f, g = s.of_active(s.replayed), s.of_active(s.direct)
    xs = [s.xs[k] for k in s.active]
    if not s.active or not g(*xs):
        return
    _same(wg.jvp(f, xs, s.ts, allow_int=True), wg.jvp(g, xs, s.ts, allow_int=True))
    rng = np.random.default_rng(3)
    cts = [oracle.tangent(rng, np.asarray(y)) for y in g(*xs)]
    _same(wg.vjp(f, *xs, allow_int=True)[1](cts), wg.vjp(g, *xs, allow_int=True)[1](cts))
    if case.smooth and case.tol < 1e-6:
        _same(
            wg.jvp(lambda *z: wg.vjp(f, *z, allow_int=True)[1](cts), xs, s.ts),
            wg.jvp(lambda *z: wg.vjp(g, *z, allow_int=True)[1](cts), xs, s.ts),
        )


@every_case
def test_batches_and_recordings_are_those_of_the_operation(case):
    s = AsGraph(case)
    if case.op == "nonzero" or not s.xs:
        return
    many = [np.stack([x, y]) for x, y in zip(s.xs, AsGraph(case, 1).xs, strict=True)]
    _same(wg.vmap(s.replayed)(*many), wg.vmap(s.direct)(*many))
    with GraphRecorder() as recorder:
        inputs = [recorder.input(x) for x in s.xs]
        outputs = s.replayed(*inputs)
        again = recorder.finish(inputs, outputs)
    assert [n.op for n in again.nodes] == [n.op for n in s.graph.nodes]
    _same(as_function(again)(*s.xs), s.direct(*s.xs))


def test_what_stops_a_derivative_stops_it_in_a_graph_too():
    b = Builder()
    x = b.input(Aval((3,), np.dtype(float)))
    stopped = as_function(b.finish([b.add(TABLE["stop_gradient"], x)]))
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(wg.jvp(lambda x: stopped(x)[0], (x,), (x,))[1], np.zeros(3))


def test_python_numbers_leave_the_dtype_to_arrays():
    text = """
        graph(%0: f32[2], %1: ~f64[])
        %2: ~f64[] = multiply(%1, 2.0)
        %3: f32[2] = multiply(%0, %2)
        -> (%3)
        """
    f = as_function(parse(text, TABLE))
    x = np.ones(2, np.float32)
    y, slope = wg.jvp(lambda t: f(x, t)[0], (1.5,), (1.0,))
    assert y.dtype == slope.dtype == np.float32
    np.testing.assert_array_equal(slope, [2.0, 2.0])


def test_a_wrong_number_of_inputs():
    with pytest.raises(GraphError, match="the graph has 0 inputs, not 1"):
        as_function(Graph([], [], []))(1.0)
