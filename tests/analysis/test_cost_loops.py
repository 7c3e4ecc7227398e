"""Loops in cost reports: trips, what a trip costs, and predictions for other numbers of trips."""

from __future__ import annotations

import functools
import linecache
import os
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert as wg
from wengert.analysis.loops.recorder import LoopRecorder
from wengert.errors import InputError
from wengert.jit.form import split
from wengert.jit.record import record

HERE = os.path.basename(__file__)
pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12) and sys.gettrace() is not None,
    reason="a debugger or a coverage tool follows the code",
)


def trips_of(f, *args):
    """Return how often each loop went round, by its line in `f`."""
    recorder = LoopRecorder()
    record(f, *split(args, {}), recorder=recorder)
    first = f.__code__.co_firstlineno
    found = Counter((trip.site.line - first, trip.site.column) for trip in recorder.trips)
    return list(found.values())


def asked(f, *args):
    """Return for each loop whether values decide its trips."""
    recorder = LoopRecorder()
    record(f, *split(args, {}), recorder=recorder)
    sites = dict.fromkeys(trip.site for trip in recorder.trips)
    return [site in recorder.by_values for site in sites]


# --- trips ----------------------------------------------------------------------------------------
def for_in_for(x):
    for i in range(3):
        for _ in range(i):
            x = np.sin(x)
    return x


def one_line(x):
    for _ in range(3): x = np.sin(x)  # fmt: skip # noqa: E701
    k = 0
    while k < 4: k += 1; x = x * 2  # fmt: skip # noqa: E701, E702
    return x


def trips_without_operations(x):
    for i in range(10):
        if i % 3 == 0:
            continue
        if i % 2:
            x = np.sin(x)
        else:
            x = x * 2
    return x


def alternating(x):
    for i in range(6):
        if i % 2 == 0:
            x = np.sin(x)
        else:
            x = np.cos(x)
    return x


def whiles(x):
    n = 0
    while True:
        n += 1
        while n % 3:
            n += 1
            x = x * 2
        if n > 6:
            break
    while n < 0:
        x = x + 1
    while n > 5:
        n -= 1
    else:
        x = x - 1
    return x


def comprehensions(x):
    y = [a * x for a in range(3) if a for _ in range(4)]
    z = sum(v * b for v in y for b in (1, 2))
    d = {k: np.sin(z) * k for k in range(5)}
    return sum(d.values())


def raising(x):
    for i in range(4):
        try:
            x = np.sin(x)
            if i % 2:
                raise ValueError
        except ValueError:
            x = x * 2
        finally:
            x = x + 1
        with np.errstate(all="ignore"):
            x = x * 3
    return x


def unpacking(x):
    for i, (a, *_) in enumerate([(1, 2), (3, 4)]):
        x = x * a + i
    return x


def empty_body(x):
    for _ in range(5):
        pass
    return x


def helper(x):
    for _ in range(2):
        x = np.sin(x)
    return x


def helped(x):
    for _ in range(3):
        x = helper(helper(x))
    return helper(x)


def recursive(x, depth=2):
    for _ in range(2):
        x = np.sin(x)
        if depth:
            x = recursive(x, depth - 1)
    return x


def generated(x):
    def steps():
        k = 0
        while k < 4:
            k += 1
            yield x * k

    y = x
    for s in steps():
        y = y + s
    return y


def reduced(x):
    for _ in range(2):
        x = functools.reduce(lambda a, b: a * b, [x, x, x])
    return x


def many_operations_a_call(x):
    for _ in range(3):
        x = x * np.var(x) + np.linalg.norm(x)
    return x


TRIPS = [
    (for_in_for, [3, 3]),
    (one_line, [3, 4]),
    (trips_without_operations, [10]),
    (alternating, [6]),
    (whiles, [3, 6, 4]),
    (comprehensions, [3, 8, 8, 16, 5]),
    (raising, [4]),
    (unpacking, [2]),
    (empty_body, [5]),
    (helped, [3, 14]),
    (recursive, [14]),
    (generated, [4, 4]),
    (reduced, [2]),
    (many_operations_a_call, [3]),
]


@pytest.mark.parametrize(("f", "trips"), TRIPS, ids=lambda x: getattr(x, "__name__", ""))
def test_every_trip_is_seen(f, trips):
    assert trips_of(f, np.ones(3)) == trips


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=8))
def test_trips_are_those_that_a_counter_in_the_body_sees(plan):
    seen = Counter()

    def f(x):
        for n, skipped, leaves in plan:
            seen["outer"] += 1
            if skipped:
                continue
            k = 0
            while k < n:
                seen["inner"] += 1
                k += 1
                if k == 2 and leaves:
                    break
                x = x * k
            x = sum(x * v for v in range(n) if not seen.update(["generated"]))
        return x

    recorder = LoopRecorder()
    record(f, *split((1.5,), {}), recorder=recorder)
    found = Counter(trip.site.line for trip in recorder.trips)
    first = f.__code__.co_firstlineno
    at = {"outer": 1, "inner": 6, "generated": 12}
    assert {k: n for k, n in seen.items() if n} == {
        k: found[first + line] for k, line in at.items() if found[first + line]
    }


# --- decisions ------------------------------------------------------------------------------------
def kept_in_a_name(x):
    done = False
    while not done:
        x = x / 2
        if np.sum(x) < 1:
            done = True
    return x


def left_by_break(x):
    for _ in range(50):
        x = x / 2
        if np.sum(x) < 1:
            break
    return x


def left_by_return(x):
    for _ in range(50):
        for _ in range(2):
            x = x / 2
            if np.sum(x) < 1:
                return x
    return x


def converged(x):
    return bool(np.sum(x) < 1)


def asked_by_a_helper(x):
    while not converged(x):
        x = x / 2
    return x


def counted_by_a_value(x):
    n = int(np.sum(x))
    for _ in range(n):
        x = x / 2
    return x


class Solver:
    done = False


def kept_in_an_attribute(x):
    solver = Solver()
    while not solver.done:
        x = x / 2
        solver.done = bool(np.sum(x) < 1)
    return x


def left_by_a_generator(x):
    def halves(x):
        while np.sum(x) > 1:
            x = x / 2
            yield x

    for y in halves(x):
        x = y * 2
    return x


def branch_only(x):
    for i in range(3):
        if x[i] > 0:
            x = x * 2
    while i > 0:
        i -= 1
        x = x if x[0] > 100 else x + 1
    for v in x:
        x = x + v
    return x


def inner_break_of_its_own(x):
    if x[0] > 0:
        for i in range(5):
            x = x * 2
            if i == 3:
                break
    return x


DECISIONS = [
    (kept_in_a_name, [True]),
    (left_by_break, [True]),
    (left_by_return, [True, True]),
    (asked_by_a_helper, [True]),
    (counted_by_a_value, [True]),
    (kept_in_an_attribute, [True]),
    (left_by_a_generator, [True, True]),
    (branch_only, [False, False, False]),
    (inner_break_of_its_own, [False]),
]


@pytest.mark.parametrize(("f", "wanted"), DECISIONS, ids=lambda x: getattr(x, "__name__", ""))
def test_loops_that_values_decide(f, wanted):
    assert asked(f, np.array([1.0, 2.0, 3.0])) == wanted


# --- what a trip costs ----------------------------------------------------------------------------
def test_a_trip_forward_and_backward():
    def f(x):
        for _ in range(7):
            x = np.sin(x) * 2
        return np.sum(x)

    (loop,) = wg.cost(f, np.ones(50)).loops
    assert loop.source == "for _ in range(7):"
    assert loop.place == f"{HERE}:{loop.line}"
    assert linecache.getline(loop.file, loop.line).strip() == loop.source
    assert (loop.trips, loop.by_values, loop.forward, loop.backward) == (7, False, 100, 150)
    bare = wg.cost(f, np.ones(50))
    assert bare.formula == "749 forward, 1,000 backward"
    assert "k1" not in str(bare)


def test_loops_inside_count_for_those_around():
    cost = wg.cost(lambda x: np.sum(helped(x)), np.ones(10))
    outer, inner = cost.loops
    assert (outer.trips, inner.trips) == (3, 14)
    assert (inner.forward, inner.backward) == (10, 20)
    assert (outer.forward, outer.backward) == (40, 80)
    assert inner.uniform or inner.backward == 20


def test_loops_of_transformed_functions():
    def f(x):
        for _ in range(5):
            x = np.sin(x)
        return np.sum(x)

    x = np.ones(4)
    (plain,) = wg.cost(f, x).loops
    for g in (wg.grad(f), wg.jit(wg.value_and_grad(f)), wg.jit(f)):
        (loop,) = wg.cost(g, x).loops
        assert loop[:4] == plain[:4]
        assert loop.forward >= plain.forward
    cost = wg.cost(wg.hessian(f, mode="forward"), x)
    (row,) = cost.loops
    assert row.trips == 5
    assert row.forward > 4 * plain.forward
    (row,) = wg.cost(wg.vmap(f), np.ones((3, 4))).loops
    assert (row.trips, row.forward) == (5, 12)


def test_what_is_computed_again_belongs_to_its_trip():
    step = wg.checkpoint(lambda x: np.sin(x) * np.cos(x))

    def f(x):
        for _ in range(6):
            x = step(x)
        return np.sum(x)

    (loop,) = wg.cost(f, np.ones(10)).loops
    longer = wg.cost(f, np.ones(10)).at({(loop.file, loop.line): 9})
    assert loop.forward == 30
    assert loop.backward >= 30 + 4 * 10
    assert longer.flops_backward - wg.cost(f, np.ones(10)).flops_backward == 3 * loop.backward


def test_without_the_source_there_are_no_loops():
    scope = {"np": np}
    exec("def f(x):\n for i in range(3):\n  x = np.sin(x)\n return np.sum(x)", scope)
    cost = wg.cost(scope["f"], np.ones(5))
    assert cost.loops == ()
    assert cost.formula == f"{cost.flops_forward:,} forward, {cost.flops_backward:,} backward"
    assert "loop" not in str(cost)


def test_watching_changes_no_count():
    for f, _ in TRIPS:
        x = np.ones(3)
        assert wg.count(f, x).flops == wg.cost(f, x, argnums=()).flops, f.__name__


def test_tracing_is_left_as_it_was():
    before = sys.gettrace()
    wg.cost(for_in_for, np.ones(3))
    with pytest.raises(ZeroDivisionError):
        wg.cost(lambda x: [x / 0 for _ in range(3) if 1 // 0], np.ones(3))
    assert sys.gettrace() is before
    assert wg.cost(for_in_for, np.ones(3)).loops


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="followed in another way")
def test_a_debugger_goes_first():
    sys.settrace(lambda *_: None)
    try:
        cost = wg.cost(for_in_for, np.ones(3))
    finally:
        sys.settrace(None)
    assert cost.loops == ()
    assert "loops are not told apart" in str(cost)


# --- formulas -------------------------------------------------------------------------------------
def newton(x):
    y = np.ones_like(x)
    while np.sum((y * y - x) ** 2) > 1e-12:
        y = 0.5 * (y + x / y)
    return np.sum(y)


def for_with_break(x):
    y = x
    for _ in range(200):
        y = y - 0.1 * np.tanh(y)
        if y[0] < 0.5:
            break
        y = y * 1.01
    return np.sum(y)


def while_in_for(x):
    y = x
    for i in range(4):
        while np.sum(y) > i + 1:
            y = 0.7 * y - 0.01
        y = y + x
    return np.sum(y * y)


def while_in_while(x):
    y = x
    while np.sum(y * y) > 1:
        while y[0] > 0.5:
            y = y / 1.3
        y = y * 0.8 * np.cos(y)
    return np.sum(y)


def break_in_endless(x):
    y = x
    while True:
        y = y * 0.9
        while True:
            y = y - 0.05 * np.sin(y)
            if np.sin(y[0]) < 0.3:
                break
        if y[0] < 0.5:
            return np.sum(y)


def in_a_helper(x):
    def halve(y, bound):
        while np.max(y) > bound:
            y = y * 0.6
        return y * y

    return np.sum(halve(x, 1.0)) + np.sum(halve(x * 3, 0.5))


def scalar_recurrence(x):
    p = 1.0
    k = 0
    while p < 1e4:
        p = p * (1.0 + x[0]) + k
        k += 1
    return p


def with_a_gradient_inside(x):
    g = wg.grad(lambda y: np.sum(np.cosh(y)))
    y = x
    while np.sum(y * y) > 0.1:
        y = y - 0.3 * g(y)
    return np.sum(y)


def one(*values):
    return [np.array([v, 2.0, 3.0]) for v in values]


FORMULAS = [
    (newton, one(1e2, 1e4, 1e6)),
    (for_with_break, one(1.0, 4.0, 8.0)),
    (while_in_for, one(1.0, 40.0, 4000.0)),
    (while_in_while, one(3.0, 20.0, 200.0)),
    (break_in_endless, one(8.0, 20.0, 40.0)),
    (in_a_helper, one(9.0, 100.0, 1e4)),
    (scalar_recurrence, one(0.9, 0.5, 0.2)),
    (with_a_gradient_inside, [np.full(3, v) for v in (0.4, 0.8, 1.6)]),
]


@pytest.mark.parametrize(("f", "points"), FORMULAS, ids=lambda x: getattr(x, "__name__", ""))
def test_one_run_predicts_the_others(f, points):
    """Forward and backward, kind by kind and byte by byte."""
    runs = [wg.cost(f, x) for x in points]
    trips = [tuple(row.trips for row in run.loops if row.by_values) for run in runs]
    assert len(set(trips)) == len(points)
    for run in runs:
        for wanted, k in zip(runs, trips, strict=True):
            found = run.at(*k)
            assert found.flops_forward == wanted.flops_forward, trips
            assert found.flops_backward == wanted.flops_backward, trips
            assert (found.forward, found.backward) == (wanted.forward, wanted.backward)


def test_formula_text_and_values():
    cost = wg.cost(newton, np.array([2.0, 3.0, 5.0]))
    (loop,) = cost.loops
    place = f"{HERE}:{loop.line}"
    assert loop.by_values
    assert f"{loop.forward:,} k1 forward" in cost.formula
    assert cost.formula.endswith(f"; k1: trips of {place} ({loop.trips} here)")
    assert cost.formula in str(cost)
    assert loop.source in str(cost)
    for k in (4, 17, 1000):
        fixed = cost.flops_forward - loop.forward * loop.trips
        assert cost.at(k).flops_forward == fixed + loop.forward * k
        assert cost.at({(loop.file, loop.line): k}) == cost.at({place: k}) == cost.at(k)
    assert cost.at(loop.trips).forward == cost.forward
    assert cost.at(loop.trips).backward == cost.backward
    assert cost.at(loop.trips).flops == cost.flops


def test_a_fixed_loop_at_other_trips():
    def f(x, n):
        for _ in range(n):
            x = np.sin(x) * x
        return np.sum(x)

    few, many = (wg.cost(lambda x, n=n: f(x, n), np.ones(5)) for n in (5, 40))
    (loop,) = few.loops
    assert not loop.by_values
    assert few.at() == few.at({loop.place: 5})
    found = few.at({loop.place: 40})
    assert (found.forward, found.backward) == (many.forward, many.backward)


def test_what_at_refuses():
    cost = wg.cost(while_in_while, np.array([20.0, 2.0, 3.0]))
    first, second = cost.loops
    assert cost.at(9, 20).flops > cost.at(9, 10).flops
    with pytest.raises(InputError, match=f"{first.place}, {second.place}, not 1 numbers"):
        cost.at(3)
    with pytest.raises(InputError, match="there is no loop at"):
        cost.at({(first.file, 1): 3})
    with pytest.raises(InputError, match="there is no loop at 'k1'"):
        cost.at({"k1": 3})
    with pytest.raises(InputError, match="int >= 0, not -1"):
        cost.at(3, -1)


def test_lines_of_decisions_are_named():
    cost = wg.cost(while_in_while, np.array([20.0, 2.0, 3.0]))
    first = while_in_while.__code__.co_firstlineno
    assert f"{HERE}:{first + 2} (" in str(cost)
    assert f"{HERE}:{first + 3} (" in str(cost)

    def five(x):
        a = x if x[0] > 0 else -x
        b = x if x[0] > 1 else -x
        c = x if x[0] > 2 else -x
        d = x if x[0] > 3 else -x
        e = x if x[0] > 4 else -x
        return np.sum(a * b * c * d * e)

    assert " and 2 more lines" in str(wg.cost(five, np.ones(3)))
    assert f"depends on 1 decision of Python code on the data: {HERE}:" in str(
        wg.cost(lambda x: np.sum(x) if x[0] > 0 else 0.0, np.ones(3))
    )
