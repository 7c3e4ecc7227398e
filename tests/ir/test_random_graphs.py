"""Random graphs keep their results bit for bit through simplification, text and strip."""

import random

import numpy as np
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from wengert.errors import GraphError
from wengert.ir import build
from wengert.ir.build import Builder, evaluate, strip, typed
from wengert.ir.graph import SLOT, Aval, Const, Graph, aval_of
from wengert.ir.simplify import (
    apply_identities,
    fold_constants,
    merge_common,
    remove_dead,
    simplify,
)
from wengert.ir.text import parse, show
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

PASSES = (fold_constants, apply_identities, merge_common, remove_dead, simplify)
DTYPES = [np.dtype(t) for t in ("f8", "f8", "f4", "c16", "i8", "?")]
SHAPES = [(), (1,), (3,), (2, 3), (3, 1), (0,)]
SCALARS = [
    *(0, 1, 0.0, -0.0, 1.0, 2, True, 2.5, float("nan"), float("inf"), 1j),
    *(np.float32(1.0), np.float64(-0.0), np.float32("nan"), np.int64(1), np.bool(True)),
]
SPECIAL = [0.0, -0.0, 1.0, -1.5, 0.1, np.nan, np.inf, -np.inf, 1e-300, 7.0]

UNARY = (
    *("negative", "positive", "sin", "exp", "floor", "sign", "absolute", "conjugate", "real"),
    *("logical_not", "isnan", "rint", "square", "barrier", "stop_gradient", "invert"),
)
BINARY = (
    *("add", "subtract", "multiply", "divide", "power", "maximum", "greater", "logical_and"),
    *("arctan2", "fmin", "bitwise_and"),
)
FULL = slice(None)
SPECS = [(), (...,), (FULL,), (0,), (slice(1, None),), (None, FULL)]


def array(rng, aval):
    """Draw an array of special values."""
    x = np.array(rng.choices(SPECIAL, k=aval.size)).reshape(aval.shape)
    with np.errstate(all="ignore"):
        if aval.dtype.kind == "c":
            return x + 1j * x[::-1] if x.ndim else np.array(complex(x, -x))
        if aval.dtype.kind in "ib":
            return np.nan_to_num(x, posinf=3, neginf=-3).astype(aval.dtype)
        return x.astype(aval.dtype)


# A family draws an operation with inputs and attributes; not all of them fit each other.
def unary(rng, value, menu):
    x = rng.choice(menu["scalars"]) if rng.random() < 0.1 else value()
    return rng.choice(menu["unary"]), (x,), {}


def binary(rng, value, menu):
    x, y = value(), rng.choice([value(), rng.choice(menu["scalars"])])
    name, pair = rng.choice(menu["binary"]), rng.choice([(x, y), (x, y), (y, x), (x, x), (y, y)])
    if aval_of(pair[0]).dtype.kind == "b" and name == "power":
        name = "add"  # NumPy's bool ** 2 is int8 for arrays and int64 for scalars
    return name, pair, {}


def shaping(rng, value, menu):
    x = value()
    shape, size = x.aval.shape, x.aval.size
    order = rng.sample(range(len(shape)), len(shape))
    shapes = [shape, (size,), (1, size), (size, 1), (1, *shape)]
    return rng.choice([
        ("transpose", (x,), {"axes": tuple(order)}),
        ("reshape", (x,), {"shape": rng.choice(shapes)}),
        ("broadcast_to", (x,), {"shape": rng.choice([shape, (2, *shape)])}),
        ("convert", (x,), {"dtype": rng.choice(DTYPES)}),
        ("concatenate", (x,) * rng.randint(1, 2), {"axis": 0}),
    ])  # fmt: skip


def indexing(rng, value, menu):
    x, spec = value(), rng.choice(SPECS)
    return rng.choice([
        ("getitem", (x,), {"spec": spec}),
        ("index_set", (x, value()), {"spec": spec}),
        ("getitem", (x, Const(np.array([0, 0]))), {"spec": (SLOT,)}),
        ("index_add", (x, 1.5), {"spec": spec}),
    ])  # fmt: skip


def reducing(rng, value, menu):
    x = value()
    axis = tuple(i for i in range(len(x.aval.shape)) if rng.random() < 0.5)
    attrs = {"axis": axis, "keepdims": rng.random() < 0.5}
    return rng.choice(["sum", "max", "prod", "any"]), (x,), attrs


def choosing(rng, value, menu):
    x = value()
    condition = rng.choice([value(), True, np.bool(False)])
    return "select", (condition, x, rng.choice([x, value(), 1.0, -0.0])), {}


FAMILIES = (unary, unary, binary, binary, shaping, indexing, reducing, choosing)
REFUSALS = (ArithmeticError, AttributeError, IndexError, TypeError, ValueError, Warning)


def in_order(y):
    """Lay an array out in C order, and take a scalar out of a 0-d one; a Python scalar stays."""
    return y if type(y) in (bool, int, float, complex) else np.array(y, order="C")[()]


def attempt(op, args, attrs, data):
    """Apply an operation to the arrays behind its inputs; None where NumPy refuses or warns."""
    arrays = [data.get(x, x.data if isinstance(x, Const) else x) for x in args]
    try:
        with np.errstate(all="ignore"):
            return in_order(op.evaluate(*arrays, **attrs))
    except REFUSALS:
        return None


def random_graph(seed, size):
    """Draw a graph of up to `size` nodes, and inputs for it.

    Each graph draws from a few operations only, so that they meet each other (swarm testing).
    """
    rng, b = random.Random(seed), Builder()
    avals = [Aval(rng.choice(SHAPES), rng.choice(DTYPES)) for _ in range(rng.randint(1, 3))]
    inputs = [array(rng, a)[()] for a in avals]
    if rng.random() < 0.3:
        inputs.append(rng.choice([2.5, -0.0, 3]))  # a Python scalar is a weak input
    values = [b.input(x) for x in inputs]
    data = dict(zip(values, inputs, strict=True))
    const = Const(array(rng, avals[0]))
    menu = {"unary": rng.sample(UNARY, 3), "binary": rng.sample(BINARY, 3)}
    menu["scalars"] = rng.sample(SCALARS, 3)
    families = rng.sample(FAMILIES, 3)

    def value():
        """Draw a value, most often one of the last, or now and then a constant."""
        return const if rng.random() < 0.05 else rng.choice([*values, *values[-2:] * 2])

    for _ in range(size):
        name, args, attrs = rng.choice(families)(rng, value, menu)
        made = attempt(TABLE[name], args, attrs, data)
        if made is None or np.size(made) > 64:
            continue
        try:
            y = b.add(TABLE[name], *args, **attrs)
        except GraphError:  # NumPy refuses what Python does with its own scalars: -True
            continue
        data[y] = typed(made, y.aval)
        values.append(y)
        if y.aval.size == 1 and rng.random() < 0.1:
            b.guard(y, "bool", True)
    return b.finish([*rng.choices(values[-6:], k=4), rng.choice(SCALARS)]), inputs


def results(graph, inputs):
    """Outputs and the values of the guards, every intermediate array in C order."""
    watched = Graph(graph.inputs, graph.nodes, [*graph.outputs, *(g.value for g in graph.guards)])
    with np.errstate(all="ignore"):
        return evaluate(
            watched, inputs, lambda node, xs: [in_order(y) for y in build.results(node, xs)]
        )


def checked(graph, inputs):
    """Results, which have to be of the shapes and dtypes that the graph says."""
    note(show(graph))
    found = results(graph, inputs)
    values = [*graph.outputs, *(g.value for g in graph.guards)]
    assert [aval_of(y)[:2] for y in found] == [aval_of(v)[:2] for v in values]
    return found


def random_graphs(test):
    """Run a test on many graphs; a failure is shrunk to fewer nodes."""
    sizes = st.integers(1, 40)
    many = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    return many(given(seed=st.integers(0, 2**32), size=sizes)(test))


@random_graphs
def test_a_pass_keeps_every_bit(seed, size, same_bits):
    graph, inputs = random_graph(seed, size)
    verify(graph)
    expected = checked(graph, inputs)
    before = show(graph)
    for one_pass in PASSES:
        made = verify(one_pass(graph))
        assert [g[1:3] for g in made.guards] == [g[1:3] for g in graph.guards]
        assert len(made.nodes) <= len(graph.nodes)
        same_bits(results(made, inputs), expected)
    assert show(graph) == before


@random_graphs
def test_simplifying_twice_changes_nothing(seed, size):
    once = simplify(random_graph(seed, size)[0])
    assert show(simplify(once)) == show(once)


@random_graphs
def test_text_and_strip_keep_every_bit(seed, size, same_bits):
    graph, inputs = random_graph(seed, size)
    text = show(graph)
    again = verify(parse(text, TABLE, graph.consts()))
    assert show(again) == text
    bare = verify(strip(graph))
    assert show(bare) == text
    expected = checked(graph, inputs)
    same_bits(results(again, inputs), expected)
    same_bits(results(bare, inputs), expected)
