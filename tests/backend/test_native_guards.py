"""Decisions of Python code inside native programs."""

from __future__ import annotations

from typing import Any

import native_oracle as oracle
import numpy as np
import pytest

import wengert as wg
from wengert.backend.numpy import NumpyBackend
from wengert.ir.build import Builder
from wengert.ir.graph import Graph, GuardMiss
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

NAN, INF = float("nan"), float("inf")

# Kind, dtype, outcome, inputs that agree, inputs that do not.
KINDS: list[tuple[str, str, Any, list[Any], list[Any]]] = [
    ("bool", "f8", True, [1.0, -0.5, NAN, INF, 5e-324], [0.0, -0.0]),
    ("bool", "f8", False, [0.0, -0.0], [1.0, NAN]),
    ("bool", "f4", True, [1e-45], [0.0]),
    ("bool", "i8", True, [1, -1, 2**63 - 1, 2**40], [0]),
    ("bool", "?", False, [False], [True]),
    ("int", "i8", 7, [7], [6, -7, 2**40 + 7]),
    ("int", "i8", -(2**63), [-(2**63)], [0, 2**63 - 1]),
    ("index", "i4", 3, [3], [-3, 4]),
    ("int", "?", 1, [True], [False]),
    ("int", "f8", 2, [2.0, 2.9], [1.9, 3.0, -2.0]),
    ("int", "f8", 0, [0.0, -0.9, 0.9], [1.0, -1.0]),
    ("int", "f8", 10**20, [1e20], [1e19, 2e20, 9.2e18]),
    ("int", "f4", 16777216, [16777216.0], [16777218.0]),
    ("float", "f8", 0.5, [0.5], [0.25, NAN, -0.5]),
    ("float", "f8", 0.0, [0.0], [-0.0, 5e-324]),
    ("float", "f8", -0.0, [-0.0], [0.0]),
    ("float", "f8", INF, [INF], [-INF, NAN, 1e308]),
    ("float", "f8", NAN, [NAN], [0.0, INF]),
    ("float", "f4", float(np.float32(0.1)), [np.float32(0.1)], [0.2]),
    ("float", "i8", float(2**60), [2**60, 2**60 + 1], [2**60 + 1024, 0]),
    ("float", "?", 1.0, [True], [False]),
    ("complex", "f8", 0.5 + 0j, [0.5], [-0.5, NAN]),
    ("item", "f8", 1.5, [1.5], [1.0]),
    ("item", "i8", 3, [3], [2]),
    ("item", "?", True, [True], [False]),
]


def guarded(kind: str, dtype: str, outcome: Any, shape: tuple[int, ...] = ()) -> Graph:
    b = Builder()
    x = b.input(np.zeros(shape, dtype))
    b.guard(
        b.add(TABLE["positive"], x) if dtype != "?" else b.add(TABLE["logical_or"], x, x),
        kind,
        outcome,
    )
    return verify(b.finish([x]))


def outcome_of(graph: Graph, x: Any, backend: Any) -> Any:
    """Return what a run ends with: None where all guards hold."""
    try:
        backend(graph).run([x])
    except GuardMiss as miss:
        return miss.index, miss.outcome
    return None


@pytest.mark.parametrize("record", KINDS, ids=lambda r: f"{r[0]}-{r[1]}-{r[2]}")
def test_kinds(record: Any):
    kind, dtype, outcome, same, other = record
    graph = guarded(kind, dtype, outcome)
    for x in same:
        assert outcome_of(graph, np.asarray(x, dtype)[()], oracle.compiled) is None, x
    for x in other:
        x = np.asarray(x, dtype)[()]
        found, want = (outcome_of(graph, x, b) for b in (oracle.compiled, NumpyBackend().compile))
        assert want is not None
        assert repr(found) == repr(want)
        assert type(found[1]) is type(want[1])


def test_what_int_refuses_is_refused():
    graph = guarded("int", "f8", 2)
    for x, error in ((NAN, ValueError), (INF, OverflowError)):
        with pytest.raises(error):
            oracle.compiled(graph).run([np.float64(x)])


def test_the_first_miss_in_order_is_told():
    b = Builder()
    x = b.input(np.zeros(4))
    order = [(3, 1.0), (0, 1.0), (2, 1.0), (1, 1.0)]
    for i, y in order:
        b.guard(b.add(TABLE["greater"], b.add(TABLE["getitem"], x, spec=(i,)), y), "bool", True)
    total = b.add(TABLE["sum"], x, axis=(0,), keepdims=False)
    b.guard(b.add(TABLE["less"], total, 100.0), "bool", True)
    graph = verify(b.finish([total]))
    program = oracle.compiled(graph)
    for bits in range(16):
        z = np.array([2.0 if bits >> k & 1 else 0.0 for k in range(4)])
        assert outcome_of(graph, z, lambda g: program) == outcome_of(
            graph, z, NumpyBackend().compile
        )
    assert outcome_of(graph, np.full(4, 50.0), lambda g: program) == (4, False)


def test_a_guard_between_calls_of_numpy():
    """A decision before an operation that raises is looked at before."""
    b = Builder()
    x = b.input(np.eye(3))
    b.guard(b.add(TABLE["greater"], b.add(TABLE["getitem"], x, spec=(0, 0)), 0.0), "bool", True)
    graph = verify(b.finish([b.add(TABLE["cholesky"], x, lower=True)]))
    program = oracle.compiled(graph)
    np.testing.assert_array_equal(program.run([4 * np.eye(3)])[0], 2 * np.eye(3))
    with pytest.raises(GuardMiss):
        program.run([-np.eye(3)])
    bad = np.diag([1.0, -1.0, 1.0])
    with pytest.raises(np.linalg.LinAlgError):
        program.run([bad])
    np.testing.assert_array_equal(program.run([4 * np.eye(3)])[0], 2 * np.eye(3))


def collatz(n: Any) -> Any:
    """A decision at each step."""
    steps = n * 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps = steps + 1
    return steps


def test_decisions_in_loops():
    native, plain = (
        wg.jit(collatz, backend=b, max_specialisations=200) for b in ("native", "numpy")
    )
    for n in (1, 6, 7, 97, 27, 7, 6, 97, 1000, 3, 1):
        x = np.int64(n)
        assert native(x) == plain(x) == collatz(x)
    assert native.cache_info()[:3] == plain.cache_info()[:3]


def descend(x: Any) -> Any:
    """Stop when the gradient is small: a loop of about a hundred steps."""
    g = wg.grad(lambda z: np.sum((z - 1) ** 2 + 0.1 * z**4))
    for _ in range(1000):
        d = g(x)
        if np.sum(d * d) < 1e-12:
            break
        x = x - 0.1 * d
    return x


def test_a_long_loop_of_decisions():
    f = wg.jit(descend, backend="native")
    x = np.linspace(-1, 1, 5)
    for start in (x, x / 2, x * 0, x):
        np.testing.assert_allclose(f(start), descend(start), rtol=1e-12)


def test_an_array_of_decisions_reads_as_in_numpy():
    def f(x: Any) -> Any:
        y = x
        for k in range(60):
            if x[k % 5] > k / 60:
                y = y * 1.01 + x[k % 5]
            else:
                y = y - 0.5
        return y

    native, plain = (wg.jit(f, backend=b) for b in ("native", "numpy"))
    rng = np.random.default_rng(0)
    for _ in range(15):
        x = rng.random(5)
        np.testing.assert_array_equal(native(x), plain(x))
    assert native.cache_info()[:3] == plain.cache_info()[:3]
