"""The NumPy backend: the reference's results, little memory, nothing of the caller's changed."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import optree
import pytest
from hypothesis import strategies as st
from op_cases import CASES
from twice import twice

import wengert as wg
from wengert.backend.numpy import NumpyBackend, Storage, _shares
from wengert.backends import BACKENDS
from wengert.ir.build import Builder, evaluate
from wengert.ir.graph import SLOT, Aval, Const, GuardMiss, Node, Value, aval_of
from wengert.ir.simplify import simplify
from wengert.ir.text import parse
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

F8, F4, I8, C16 = (np.dtype(t) for t in ("f8", "f4", "i8", "c16"))
compiled = NumpyBackend().compile


# --- which results share memory -------------------------------------------------------------------
EVERY = [case for cases in CASES.values() for case in cases]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_results_that_share_memory_are_known(case):
    """A row whose result may be a view says so; else a later operation would write into it."""
    args = case.args()
    found = case.row.evaluate(*args, **case.attrs)
    shares = _shares(Node(case.row, args, case.attrs, ()))
    for y in found if isinstance(found, tuple) else (found,):
        for k, x in enumerate(args):
            if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and np.shares_memory(x, y):
                assert shares, f"{case.row.name} returns a view of argument {k}"
                assert k == 0
        if isinstance(y, np.ndarray) and not y.flags.writeable:
            assert case.row.alias == "readonly" or shares


# --- random programs ------------------------------------------------------------------------------
UNARY = (
    "negative",
    "sin",
    "exp",
    "square",
    "absolute",
    "positive",
    "conjugate",
    "stop_gradient",
    "barrier",
)
BINARY = ("add", "subtract", "multiply", "maximum", "divide", "power", "arctan2")
CONTRACTIONS = ["ab,bc->ac", "ab,ab->ba", "ab,ab->a"]
SHAPES = [(), (3,), (3, 3), (2, 3), (0,), (6,)]


def draw_node(rng, builder, values, consts):
    """Add one operation on values drawn at random; it may not fit them."""

    def value(shape=None):
        fitting = [v for v in values if shape is None or v.shape == shape]
        return rng.choice(fitting[-8:]) if fitting and rng.random() < 0.9 else rng.choice(consts)

    x = value()
    shape = x.aval.shape
    square = value((3, 3))
    spec = rng.choice(
        [(slice(None, None, -1),), (slice(1, None),), (...,), (None, ...), (0,), (..., 0)]
    )
    index = Const(np.array([0, 2, 0]))
    choice = rng.choice([
        (rng.choice(UNARY), (x,), {}),
        (rng.choice(BINARY), (x, value(shape)), {}),
        (rng.choice(BINARY), (value(), rng.choice([2, 0.5, np.float32(1.5), True])), {}),
        ("transpose", (x,), {"axes": tuple(range(len(shape)))[::-1]}),
        ("reshape", (x,), {"shape": (x.aval.size,)}),
        ("broadcast_to", (x,), {"shape": (2, *shape)}),
        ("getitem", (x,), {"spec": spec}),
        ("getitem", (x, index), {"spec": (SLOT,)}),
        ("index_set", (x, value()), {"spec": spec}),
        ("index_add", (x, value()), {"spec": spec}),
        ("index_add", (x, value(), index), {"spec": (SLOT,)}),
        ("real", (x,), {}),
        ("imag", (x,), {}),
        ("convert", (x,), {"dtype": rng.choice([F8, F4, C16])}),
        ("contract", (square, value((3, 3))), {"spec": rng.choice(CONTRACTIONS)}),
        ("sum", (x,), {"axis": tuple(range(len(shape)))[:1], "keepdims": rng.random() < 0.5}),
        ("select", (value(), x, value(shape)), {}),
        ("concatenate", (x, x), {"axis": 0}),
        ("sort", (x,), {"axis": len(shape) - 1}),
        ("greater", (x, value(shape)), {}),
    ])  # fmt: skip
    name, inputs, attrs = choice
    values.append(builder.add(TABLE[name], *inputs, **attrs))


def draw_graph(seed):
    """Draw inputs and a graph of about 30 operations, of which NumPy accepts each."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    arrays = [numbers.normal(size=s).astype(rng.choice([F8, F8, F4, C16])) for s in SHAPES]
    arrays += [1.5, 2, numbers.normal(size=(3, 3)), np.asfortranarray(numbers.normal(size=(3, 3)))]
    builder = Builder()
    values = [builder.input(x) for x in arrays]
    consts = [Const(numbers.normal(size=s)) for s in ((3,), (3, 3))]
    for _ in range(60):
        nodes = len(builder._nodes)
        try:
            draw_node(rng, builder, values, consts)
            with np.errstate(all="ignore"):
                evaluate(builder.finish(values[-1:]), arrays)
        except Exception:
            kept = {v for node in builder._nodes[:nodes] for v in node.outputs} | set(
                builder._inputs
            )
            del builder._nodes[nodes:]
            values = [v for v in values if v in kept]
    outputs = [*rng.sample(values, 6), values[0], rng.choice(consts), values[-1], values[-1], 2.5]
    return builder.finish(outputs), arrays, consts


def copies(xs):
    return [np.array(getattr(x, "data", x)) if not isinstance(x, (float, int)) else x for x in xs]


def check_program(seed):
    graph, arrays, consts = draw_graph(seed)
    verify(graph)
    for program in (compiled(graph), compiled(simplify(graph))):
        before = copies(arrays), copies(consts)
        with np.errstate(all="ignore"):
            expected = copies(evaluate(graph, arrays))
            first = program.run(arrays)
            independent(first, [*arrays, *(c.data for c in consts)])
            for x, y in zip([*arrays, *consts], [*before[0], *before[1]], strict=True):
                np.testing.assert_array_equal(getattr(x, "data", x), y)
            kept = copies(first)
            for y in first:
                if isinstance(y, np.ndarray):
                    y[...] = 77  # the caller may
            second = program.run(arrays)
        for want, got, again in zip(expected, kept, second, strict=True):
            assert np.shape(want) == np.shape(got)
            assert aval_of(want).dtype == aval_of(got).dtype
            tolerance = 1e-5 if aval_of(want).dtype == F4 else 1e-12
            size = np.max(np.abs(want), initial=0, where=np.isfinite(want))
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=1e-14 * float(size))
            np.testing.assert_array_equal(again, got)


test_random_programs, test_many_random_programs = twice(
    check_program, 40, 600, st.integers(0, 10**9)
)


def independent(results, others):
    """Assert that no result shares memory with another one or with other arrays."""
    arrays = [y for y in results if isinstance(y, np.ndarray)]
    for k, y in enumerate(arrays):
        assert y.flags.writeable
        for x in [*arrays[:k], *others]:
            assert not (isinstance(x, np.ndarray) and np.shares_memory(x, y))


# --- memory ---------------------------------------------------------------------------------------
def peak_of(f, *args):
    """Peak memory of one compiled call, in units of the first argument."""
    plan = wg.jit(f).plan(*args)
    plan(*args)
    tracemalloc.start()
    result = plan(*args)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del result
    return found / args[0].nbytes


def elementwise_chain(x):
    for _ in range(40):
        x = np.sin(x) * 0.5 + 1.0
    return x


def view_chain(x):
    for _ in range(20):
        x = np.exp(x.reshape(-1, 100).T[::-1].reshape(-1) * -0.1)
    return x


def products(x):
    w = np.eye(100)
    for _ in range(20):
        x = (x.reshape(-1, 100) @ w).reshape(-1)
    return x


def mixed_dtypes(x):
    for _ in range(10):
        x = np.sin(x).astype(np.float32).astype(np.float64)
    return x


def updates(x):
    y = np.zeros_like(x)
    for i in range(30):
        y[i : i + 10] += x[i]
        y[i] = 2.0
    return y


def scan_gradient(x):
    return wg.grad(lambda z: np.sum(elementwise_chain(z)))(x)


PEAKS = [
    (elementwise_chain, 1.1),
    (view_chain, 3.1),
    (products, 2.1),
    (mixed_dtypes, 2.1),
    (updates, 1.2),
    (lambda x: np.sum(elementwise_chain(x)), 1.1),
    (lambda x: [np.sum(np.sin(x * k)) for k in range(20)], 1.1),
]


@pytest.mark.parametrize(("f", "arrays"), PEAKS)
def test_peak_memory(f, arrays):
    """In arrays of the argument's size; written one after the other these would hold 20 to 120."""
    assert peak_of(f, np.linspace(0, 1, 40_000)) < arrays


def test_updates_in_a_loop_work_in_place():
    """A gradient with respect to n reads, and n writes, copy the array a fixed number of times."""

    def reads(z):
        p = 1.0
        for i in range(len(z)):
            p = p * z[i]
        return p

    def writes(z):
        y = np.zeros_like(z)
        for i in range(1, len(z)):
            y[i] = y[i - 1] * 0.5 + z[i]
        return y

    for f in (wg.grad(reads), writes):
        for n in (20, 80):
            source = wg.jit(f).plan(np.ones(n)).source()
            in_place = source.count("= add_into(") + source.count("= set_into(")
            copying = source.count("= index_add(") + source.count("= index_set(")
            assert copying <= 1
            assert n - 2 <= in_place + copying <= n


IN_PLACE = [
    ("sin", lambda x: np.sin(np.cos(x)), True),
    ("used twice", lambda x: (y := np.cos(x)) * np.sin(y), True),
    ("an argument", lambda x: np.sin(x), False),
    ("a view of an argument", lambda x: np.sin(x[::-1]), False),
    ("still alive", lambda x: (np.sin(y := np.cos(x)), y), False),
    ("a view is alive", lambda x: (np.sin(y := np.cos(x)), y[:2]), False),
    ("a view dies", lambda x: np.sin((y := np.cos(x))[::-1]) + y, True),
    ("other dtype", lambda x: np.cos(x).astype(np.float32) + np.float32(1), True),
    ("growing", lambda x: np.cos(np.sum(x)) + x, False),
    ("captured", lambda x: np.sin(CAPTURED * x), True),
]
CAPTURED = np.ones(4)


@pytest.mark.parametrize(("name", "f", "writes"), IN_PLACE, ids=[row[0] for row in IN_PLACE])
def test_what_is_written_in_place(name, f, writes):
    x = np.linspace(-1, 1, 4)
    plan = wg.jit(f).plan(x)
    assert ("out=" in plan.source()) == writes
    for got, want in zip(optree.tree_leaves(plan(x)), optree.tree_leaves(f(x)), strict=True):
        np.testing.assert_allclose(got, want)
    np.testing.assert_array_equal(x, np.linspace(-1, 1, 4))
    np.testing.assert_array_equal(CAPTURED, np.ones(4))


def test_dead_arrays_are_released_before_the_next_operation():
    source = wg.jit(lambda x: np.sum((x + 1) @ np.sin(x))).plan(np.ones((200, 200))).source()
    assert "    del v" in source
    small = wg.jit(lambda x: np.sum((x + 1) @ np.sin(x))).plan(np.ones((20, 20))).source()
    assert "del v" not in small


# --- guards, scalars, sources ---------------------------------------------------------------------
def test_a_guard_stops_the_run_before_what_follows():
    builder = Builder()
    x = builder.input(Aval((), F8))
    positive = builder.add(TABLE["greater"], x, 0.0)
    builder.guard(positive, "bool", True)
    y = builder.add(TABLE["inv"], builder.add(TABLE["broadcast_to"], x, shape=(2, 2)))
    program = compiled(builder.finish([y]))
    with pytest.raises(GuardMiss) as miss:
        program.run([np.float64(-1.0)])
    assert (miss.value.index, miss.value.outcome) == (0, False)
    with pytest.raises(np.linalg.LinAlgError):
        program.run([np.float64(1.0)])


@pytest.mark.parametrize(
    ("kind", "value", "outcome"),
    [
        ("bool", np.float64(2), True),
        ("int", np.float64(2.7), 2),
        ("index", np.int64(4), 4),
        ("float", np.float32(0.5), 0.5),
        ("float", np.float64("nan"), float("nan")),
        ("complex", np.float64(1), 1 + 0j),
        ("item", np.array(3), 3),
        ("item", np.array(True), True),
    ],
)
def test_kinds_of_guards(kind, value, outcome):
    builder = Builder()
    builder.guard(x := builder.input(value), kind, outcome)
    program = compiled(builder.finish([x]))
    program.run([value])
    with pytest.raises(GuardMiss):
        program.run([value.dtype.type(0)])


def test_several_guards_keep_their_order():
    builder = Builder()
    x = builder.input(Aval((), I8))
    builder.guard(x, "int", 3)
    y = builder.add(TABLE["multiply"], x, 2)
    builder.guard(y, "int", 6)
    builder.guard(y, "bool", True)
    program = compiled(builder.finish([]))
    assert program.run([np.int64(3)]) == []
    with pytest.raises(GuardMiss) as miss:
        program.run([np.int64(4)])
    assert (miss.value.index, miss.value.outcome) == (0, 4)


@pytest.mark.parametrize(
    "x",
    [
        1.5,
        -2,
        True,
        1j,
        float("nan"),
        float("-inf"),
        -0.0,
        np.float32(1),
        np.float64(-3),
        2**70,
        None,
    ],
    ids=repr,
)
def test_scalars_in_programs(x):
    builder = Builder()
    v = builder.input(Aval((2,), F8))
    out = [x] if x is not None else []
    if x is not None and x != 2**70:
        out += [builder.add(TABLE["subtract"], v, x), builder.add(TABLE["power"], v, x)]
    graph = builder.finish(out)
    with np.errstate(all="ignore"):
        got, want = compiled(graph).run([np.full(2, 2.0)]), evaluate(graph, [np.full(2, 2.0)])
    for a, b in zip(got, want, strict=True):
        assert type(a) is type(b)
        np.testing.assert_array_equal(a, b)
        assert str(a) == str(b)  # the sign of zero as well


def test_python_numbers_stay_python_numbers():
    plan = wg.jit(lambda t, n: (t, n, t / n, n // 2, -t, n > 2)).plan(1.5, 3)
    for y, kind in zip(plan(1.5, 3), (float, int, float, int, float, bool), strict=True):
        assert type(y) is kind


def test_the_source_runs_as_it_reads():
    def f(x, i):
        return np.sum(x[i] * x[1:4]) + x[..., 0] + x[None, ::2][0, 1]

    source = wg.jit(f).plan(np.arange(5.0), np.array([0, 1, 1])).source()
    assert "[1:4]" in source
    assert "[v1,]" in source
    assert "[..., 0]" in source
    compile(source, "<test>", "exec")


def test_operations_named_like_python_functions():
    f = wg.jit(lambda x: np.sum(x) + np.max(x) if np.all(x > 0) else np.min(x))
    assert f(np.array([1.0, 2.0])) == 5
    assert f(np.array([-1.0, 2.0])) == -1


def test_a_loop_over_nothing():
    """What a reverse pass makes of rows that nothing depends on has no operands."""
    graph = parse(
        """
graph(%0: f64[])
%1: f64[3] = scan() body={
  graph()
  %0: f64[] = exp(2.0)
  -> (%0)
} length=3 consts=0 carries=0 reverse=False
%2: f64[3] = multiply(%1, %0)
-> (%2)
""".strip(),
        TABLE,
    )
    verify(graph)
    for backend in (NumpyBackend(), BACKENDS["native"]()):
        (y,) = backend.compile(graph).run([np.float64(0.5)])
        np.testing.assert_allclose(y, np.full(3, 0.5 * np.exp(2.0)), rtol=1e-15)


def test_long_programs():
    def f(x):
        for i in range(5000):
            x = np.sin(x) * (i % 7) + 0.1
        return x

    assert wg.jit(f)(0.3) == pytest.approx(f(0.3))


def test_a_program_without_operations():
    assert compiled(Builder().finish([])).run([]) == []
    value = Value(aval=Aval((2,), F8))
    assert Storage(Builder().finish([])).root == {}
    assert value.aval.size == 2
