"""Rolled graphs compute what the recordings do, and do not grow with the trips."""

from __future__ import annotations

import os

import numpy as np
import pytest
from tests.rolling.programs import modes, program

import wengert as wg
from wengert.errors import BatchedControlError
from wengert.ir.build import evaluate
from wengert.ir.graph import Graph
from wengert.ir.verify import verify
from wengert.rolling.limits import ALL, Limits, rolling
from wengert.rolling.roll import roll, rolled_with_decisions

BLOCKS = 20 if os.environ.get("WENGERT_TABLE_SHARE") == "1" else 3
"""Blocks of random programs; WENGERT_TABLE_SHARE=1 takes all, which is half an hour of work."""

X = np.array([0.4, 0.7, 0.3, 0.8, 0.6])
D = np.array([0.1, -0.2, 0.05, 0.1, -0.1])


def unrolled(f, *args):
    """The graph of a function as it was recorded."""
    with rolling(None):
        return wg.jit(f, backend="numpy").plan(*args).graph


def size(graph):
    """How many nodes a graph has, those of bodies included."""
    inner = [g for n in graph.nodes for g in n.attrs.values() if type(g) is Graph]
    return len(graph.nodes) + sum(map(size, inner))


def scans(graph):
    return [n for n in graph.nodes if n.op.name == "scan"]


def check(graph, *args):
    """Roll a graph, and compare the results; return the rolled one."""
    made, decisions = rolled_with_decisions(graph, ALL)
    verify(made)
    assert [v.aval for v in made.inputs] == [v.aval for v in graph.inputs]
    outcomes = []
    for g, folded in zip(made.guards, decisions, strict=True):
        assert folded is None or (g.kind, g.outcome) == ("int", len(folded))
        outcomes += [g.outcome] if folded is None else folded
    assert outcomes == [g.outcome for g in graph.guards]
    for scale in (1.0, 0.7):
        xs = [a * scale for a in args]
        with np.errstate(all="ignore"):
            pairs = zip(evaluate(graph, xs), evaluate(made, xs), strict=True)
        for a, b in pairs:
            assert np.shape(a) == np.shape(b)
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    return made


def agree(seed):
    f, x = program(seed)
    d = np.random.default_rng(seed).standard_normal(5) * 0.1
    for g in modes(f).values():
        try:
            graph = unrolled(g, x, d)
        except BatchedControlError:  # vmap over what Python decides by
            continue
        check(graph, x, d)


@pytest.mark.parametrize("seed", range(10))
def test_random_programs_agree(seed):
    agree(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_many_random_programs_agree(block):
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        agree(seed)


# --- programs of which one knows what they become -------------------------------------------------
TABLE = np.linspace(0.1, 0.9, 200)
ROWS = np.random.default_rng(3).random((200, 3))
W = np.random.default_rng(4).random((3, 3)) * 0.5


def carried(n):
    def f(x):
        y = x[0]
        for _ in range(n):
            y = np.sin(y) * x[1]
        return y

    return f


def numbered(n):
    def f(x):
        y = x[0]
        for t in range(n):
            y = np.sin(y + t * x[1]) + TABLE[t] / (t + 1)
        return y

    return f


def read_along(n):
    def f(x):
        y = x[1:4]
        for t in range(n):
            y = np.tanh(W @ y + ROWS[t])
        return np.sum(y)

    return f


def python_number(n):
    def f(x):
        y, r = 0.3, x[0]
        for _ in range(n):
            y = r * y * (1 - y)
        return y

    return f


def stored(n):
    def f(x):
        y = np.zeros(n, like=x)
        y[0] = x[0]
        y[1] = x[1]
        for t in range(2, n):
            y[t] = np.sin(y[t - 1]) * x[2] + 0.1 * y[t - 2]
        return np.sum(y**2)

    return f


def listed(n):
    def f(x):
        y = [x[0]]
        for t in range(1, n):
            y.append(np.sin(y[t - 1]) * x[1] + 1 / t)
        return np.sum(np.stack(y) ** 2)

    return f


def heated(n):
    def f(x):
        u = np.outer(x, x)
        for _ in range(n):
            inner = u[1:-1, 1:-1]
            around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
            u = u.copy()
            u[1:-1, 1:-1] = inner + 0.2 * (around - 4 * inner)
        return np.sum(u**2)

    return f


def nested(n):
    def f(x):
        y = x[1:4]
        for t in range(n):
            for j in range(6):
                y = np.tanh(y * TABLE[j]) + 0.07 * t * x[0]
        return np.sum(y)

    return f


def alternating(n):
    def f(x):
        a, b = x[0], x[1]
        for t in range(n):
            if t % 2:
                a = np.sin(b) + a
            else:
                b = np.cos(a) * b
        return a * b

    return f


def swapped(n):
    def f(x):
        a, b = x[0], x[1]
        for _ in range(n):
            a, b = b, np.sin(a) + 0.5 * b
        return a - b

    return f


def balanced(n):
    def f(x):
        k, u = np.exp(-np.outer(x, x)), np.ones(5)
        for _ in range(n):
            v = 0.3 / (k.T @ u + x)
            u = 0.3 / (k @ v)
        return np.sum(u * v)

    return f


LOOPS = [
    balanced,
    carried, numbered, read_along, python_number, stored, listed, heated, nested, alternating,
    swapped,
]  # fmt: skip


@pytest.mark.parametrize("make", LOOPS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("mode", ["value", "grad", "jvp", "second", "vmap of grad"])
def test_the_size_does_not_depend_on_the_trips(make, mode):
    found = []
    for n in (12, 24):
        made = check(unrolled(modes(make(n))[mode], X, D), X, D)
        assert scans(made)
        found.append(size(made))
    assert found[1] <= found[0] + 4  # where trips begin and end may differ


@pytest.mark.parametrize("mode", ["value", "grad", "jvp", "second"])
def test_five_bodies(mode):
    def f(x):
        p = [x[:3] * k for k in (1, 2, 3)]
        v = [x[2:] * k for k in (0.1, 0.2, 0.3)]
        for _ in range(9):
            force = [np.zeros(3) for _ in range(3)]
            for i in range(3):
                for j in range(i):
                    pull = (p[j] - p[i]) / (np.sum((p[j] - p[i]) ** 2) + 0.1) ** 1.5
                    force[i] = force[i] + pull
                    force[j] = force[j] - pull
            v = [a + 0.01 * b for a, b in zip(v, force, strict=True)]
            p = [a + 0.01 * b for a, b in zip(p, v, strict=True)]
        return sum(np.sum(a * a) for a in p)

    graph = unrolled(modes(f)[mode], X, D)
    assert size(check(graph, X, D)) < size(graph) / 1.5


# --- the same program as one with wg.scan ---------------------------------------------------------
DATA = np.random.default_rng(5).random((7, 3))


def by_hand(w, h, data):
    kept = []
    for t in range(7):
        h = np.tanh(w @ h + data[t])
        kept.append(h)
    return h, np.stack(kept)


def by_scan(w, h, data):
    def step(h, row):
        h = np.tanh(w @ h + row)
        return h, h

    return wg.scan(step, h, data)


@pytest.mark.parametrize("k", [0, 1])
def test_a_python_loop_and_a_scan_are_equal_programs(k):
    graphs = [unrolled(lambda *x, f=f: f(*x)[k], W, X[:3], DATA) for f in (by_hand, by_scan)]
    assert str(roll(graphs[0], ALL)) == str(roll(graphs[1], ALL))
    assert len(scans(roll(graphs[0], ALL))) == 1


# --- what is not a loop of equal trips ------------------------------------------------------------
def test_a_trip_that_does_something_else_stands_between_two_loops():
    def f(x):
        y = x[0]
        for t in range(40):
            y = np.cos(y) if t == 7 else np.sin(y) * x[1]
        return y

    made = check(unrolled(f, X), X)
    first, second = (n.attrs["length"] for n in scans(made))
    assert first in (6, 7)
    assert second in (31, 32)
    assert "cos" in [n.op.name for n in made.nodes]


def test_trips_wired_otherwise_are_not_one_loop():
    """The same operations in the same order, but of other operands in the middle trip."""

    def f(x):
        a, b = x[0], x[1]
        for t in range(30):
            a, b = (np.sin(b), np.sin(a)) if t == 15 else (np.sin(a), np.sin(b))
        return a - 2 * b

    check(unrolled(f, X), X)


def test_a_sum_over_what_earlier_trips_made_is_left():
    def f(x):
        y = [x[0], x[1]]
        for t in range(2, 30):
            y.append(np.sin(y[t - 1]) + y[t // 2])
        return y[-1]

    check(unrolled(f, X), X)
    check(unrolled(wg.grad(f), X), X)


def test_layers_with_weights_of_their_own_are_no_loop():
    """They would have to be copied together at each call."""
    weights = np.random.default_rng(9).random((12, 40, 40)) * 0.1

    def f(*layers):
        h = np.ones((4, 40))
        for w in layers:
            h = np.tanh(h @ w)
        return np.sum(h)

    graph = unrolled(wg.grad(f, argnums=range(12)), *weights)
    assert roll(graph, ALL) is graph


def test_exponents_that_differ_by_trip_are_left():
    def f(x):
        y = x[0]
        for t in range(12):
            y = np.sin(y) ** (2 + t % 3) + y
        return y

    check(unrolled(wg.grad(f), X), X)


def test_decisions_in_a_loop_are_one_guard():
    def f(x):
        y = x[0]
        for _ in range(12):
            if y > 5:
                return y
            y = np.sin(y) + x[1] if x[2] > y - 5 else np.cos(y)
        return y

    graph = unrolled(f, X)
    made = check(graph, X)
    assert len(graph.guards) == 24
    assert len(made.guards) <= 4


@pytest.mark.parametrize("at", [0, 1, 7, 11])
def test_the_first_decision_that_differs_is_found(at):
    def f(x):
        y = np.sum(x) * 0
        for t in range(12):
            y = y + x[t] if x[t] > 0 else y
            if y < 100:
                y = y * 0.5
        return y

    x = np.ones(12)
    made, (folded,) = rolled_with_decisions(unrolled(f, x), ALL)
    assert folded == (True, True) * 12
    (guard,) = made.guards
    asked = Graph(made.inputs, made.nodes, [guard.value])
    x[at] = -1.0
    assert evaluate(asked, [x]) == [2 * at]
    x[:] = 1.0
    assert evaluate(asked, [x]) == [24]


def test_decisions_beside_operations_that_raise_stay_guards():
    def f(x):
        m = np.eye(3) * (1 + x[0])
        for _ in range(8):
            if m[0, 0] < 0.1:
                return m
            m = m @ np.linalg.inv(m + np.eye(3)) + np.eye(3)
        return m

    graph = unrolled(f, X)
    assert len(check(graph, X).guards) == len(graph.guards)


def test_two_stores_a_trip_keep_their_order():
    def f(x):
        y = np.zeros(30, like=x)
        for t in range(25):
            y[t + 2] = x[0] * t
            y[t] = x[1] + t
            y[t + 1] += x[2] / (t + 1)
        return np.sum(y**2)

    for mode in ("value", "grad", "jvp", "vmap of grad"):
        check(unrolled(modes(f)[mode], X, D), X, D)


def test_entries_of_a_matrix_along_both_axes():
    def f(x):
        m = np.outer(x, x)
        y = x[0]
        for t in range(5):
            for k in range(5):
                y = np.sin(y) + m[k, t] * m[t, t]
                m[t, k] = y
        return np.sum(m)

    for mode in ("value", "grad", "second", "vmap of grad"):
        check(unrolled(modes(f)[mode], X, D), X, D)


def test_windows_that_move():
    def f(x):
        y = np.concatenate([x, x, x])
        total = 0.0
        for t in range(10):
            total = total + np.sum(np.sin(y[t : t + 3]))
            y[t + 1 : t + 3] = y[t + 2 : t + 4] * 0.5
        return total

    for mode in ("value", "grad", "jvp", "vmap of grad"):
        check(unrolled(modes(f)[mode], X, D), X, D)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int64])
def test_other_dtypes(dtype):
    def f(x):
        y = x[:3]
        z = x[3]
        for t in range(20):
            y = y * 2 - x[1:4] * t
            z = z + y[t % 3] * (t + 1)
        return z + np.sum(y)

    graph = unrolled(f, (X * 3).astype(dtype))
    made = roll(graph, ALL)
    xs = [(X * 3).astype(dtype)]
    a, b = evaluate(graph, xs)[0], evaluate(verify(made), xs)[0]
    assert np.asarray(a).dtype == np.asarray(b).dtype
    np.testing.assert_array_equal(a, b)


def test_arrays_from_outside_are_read_when_the_program_runs():
    data = np.random.default_rng(6).random((20, 5))

    def f(x):
        y = x
        for row in data:
            y = np.tanh(y * row)
        return y

    graph = unrolled(f, X)
    made = roll(graph, ALL)
    assert len(made.nodes) == 1
    data *= 2
    np.testing.assert_array_equal(evaluate(graph, [X])[0], evaluate(made, [X])[0])


@pytest.mark.parametrize("mode", ["value", "grad", "second"])
def test_python_numbers_stay_what_they_are(mode):
    """They take no part in promotion, so an array of 32 bits keeps its dtype."""
    w = np.array([0.5, 0.25], np.float32)

    def f(r):
        y = 0.3
        for t in range(20):
            y = r * y * (1 - y) + 0.01 / (t + 1)
        return np.sum(y * w)

    g = {"value": f, "grad": wg.grad(f), "second": wg.grad(wg.grad(f))}[mode]
    graph = unrolled(g, 3.2)
    made = verify(roll(graph, ALL))
    a, b = evaluate(graph, [3.2])[0], evaluate(made, [3.2])[0]
    assert scans(made)
    assert (type(a), a) == (type(b), b)


def test_short_graphs_are_left_as_they_are():
    graph = unrolled(carried(30), X)
    assert roll(graph, None) is graph
    assert roll(graph, Limits(3, 4, 1000)) is graph
    assert roll(graph, Limits(3, 1000, 8)) is graph
    assert roll(graph, Limits(100, 4, 8)) is graph


def test_graphs_of_large_arrays_are_left_until_they_are_long():
    def f(x):
        for _ in range(20):
            x = np.sin(x) * 0.5
        return x

    graph = unrolled(f, np.ones(20_000))
    assert roll(graph, Limits(3, 4, 8, 1000)) is graph
    assert len(roll(graph, ALL).nodes) == 1


@pytest.mark.parametrize("n", [3, 6])
def test_graphs_with_large_factorisations_are_left_until_they_are_long(n):
    def f(s):
        m = np.eye(n) * s
        for _ in range(20):
            m = np.linalg.inv(m + np.eye(n)) * 0.5
        return m

    graph = unrolled(f, 0.5)
    assert (roll(graph, Limits(3, 4, 8, 1000)) is graph) == (n > 4)
    assert len(roll(graph, ALL).nodes) < 10


def test_a_long_loop_takes_little_time_to_roll():
    graph = unrolled(wg.grad(carried(1000)), X)
    assert size(roll(graph, ALL)) < 40


def test_trips_begin_where_the_least_is_carried():
    k = np.linspace(0.1, 0.5, 40)

    def f(x):  # the first trip is shorter: it begins with numbers that are known
        y = np.ones(40)
        for _ in range(20):
            mid = y + 0.1 * np.concatenate([x[:1], k[1:] * y[:-1]])
            y = y + 0.2 * np.sin(np.concatenate([mid[1:], x[1:2]])) * mid
        return np.sum(y)

    (scan,) = scans(check(unrolled(f, X), X))
    assert scan.attrs["carries"] == 1
    assert scan.attrs["length"] == 19
