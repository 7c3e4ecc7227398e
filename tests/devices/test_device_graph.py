"""What single devices hold: the same bytes as plans of their parts, compiled on their own."""

from __future__ import annotations

import numpy as np
import optree
import pytest

import wengert as wg
from wengert.analysis.memory_use import _laid_out
from wengert.devices.batches import find_batch
from wengert.devices.device_costs import eager, outputs_of, undivide
from wengert.devices.device_graph import Layout, program
from wengert.devices.partition import Device, _Search
from wengert.devices.placement import local
from wengert.jit.form import split
from wengert.jit.record import record

rng = np.random.default_rng(0)


def cluster(n, memory="16GiB"):
    return [Device(f"gpu{i}", memory, 1e12, 1e11, 1e10, 1e-6) for i in range(n)]


def dense(w, b, x):
    return np.tanh(x @ w + b)


def network(params, x, y):
    for w, b in params:
        x = dense(w, b, x)
    return np.mean((x - y) ** 2)


def convolution(w, x):
    n, c, rows, columns = x.shape
    parts = [x[:, :, i : i + rows - 2, j : j + columns - 2] for i in range(3) for j in range(3)]
    patches = np.stack(parts, axis=2).reshape(n, 9 * c, -1)
    h = np.maximum(w[0].reshape(len(w[0]), -1) @ patches, 0)
    return np.mean((h.reshape(n, -1) @ w[1]) ** 2)


def recurrent(p, xs):
    h = np.zeros((xs.shape[0], 16))
    for t in range(xs.shape[1]):
        h = np.tanh(xs[:, t] @ p[0] + h @ p[1] + p[2])
    return np.mean(h**2)


def attention(p, x):
    n, t, d = x.shape
    q, k, v = ((x @ p[name]).reshape(n, t, 2, d // 2).transpose(0, 2, 1, 3) for name in "qkv")
    s = np.exp(q @ k.transpose(0, 1, 3, 2))
    x = x + ((s / np.sum(s, axis=-1, keepdims=True)) @ v).transpose(0, 2, 1, 3).reshape(n, t, d)
    return np.mean(x**2)


def embedded(table, words):
    return np.mean(np.tanh(table[words]) ** 2)


def decayed(w, x):
    return np.mean(np.tanh(x @ w) ** 2) + 0.1 * np.sum(w**2)


CAPTURED = rng.normal(size=(50, 60))


def capturing(w, x):
    return np.sum((x @ CAPTURED @ w) ** 2)


def normal(*shape):
    return rng.normal(size=shape)


LAYERS = [(normal(30, 20), normal(20)), (normal(20, 10), normal(10))]
CASES = {
    "network": (network, LAYERS, normal(64, 30), normal(64, 10)),
    "convolution": (convolution, [normal(8, 3, 3, 3), normal(8 * 36, 10)], normal(12, 3, 8, 8)),
    "recurrent": (recurrent, [normal(8, 16), normal(16, 16), normal(16)], normal(32, 6, 8)),
    "attention": (attention, {k: normal(8, 8) for k in "qkv"}, normal(16, 12, 8)),
    "embedded": (embedded, normal(100, 16), rng.integers(0, 100, size=(32, 6))),
    "decayed": (decayed, normal(50, 60), normal(128, 50)),
    "capturing": (capturing, normal(60, 10), normal(40, 50)),
}


def all_of(memory):
    return memory.inputs + memory.outputs + memory.constants + memory.peak


def planned(f, *args):
    return all_of(wg.jit(f).plan(*args).memory)


def nbytes(tree):
    return sum(np.asarray(x).nbytes for x in optree.tree_leaves(tree))


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_peaks_are_those_of_plans(name, gradient):
    """Of the whole, and of the part that one of two devices has."""
    f, params, *data = CASES[name]
    step = wg.value_and_grad(f) if gradient else f
    plan = wg.partition(step, params, *data, devices=cluster(2))
    assert plan["one device"].peak == planned(step, params, *data)
    half = [x[: len(x) // 2] for x in data]
    assert {p.peak for p in plan["data parallel"].parts} == {planned(step, params, *half)}


@pytest.mark.parametrize("name", CASES)
def test_peaks_of_parts_that_are_added_up(name):
    """A plan that adds to its arguments, which are there once where that is done in place.

    It adds in the end, so all gradients of a part are there; a device adds each when it is made.
    """
    f, params, *data = CASES[name]
    step = wg.value_and_grad(f)
    c = wg.partition(step, params, *data, devices=cluster(2))["smaller minibatch"]
    part = [x[: c.notes["parts"][0]] for x in data]

    def add_up(total, params, *part):
        return optree.tree_map(lambda a, b: a + b, total, step(params, *part))

    total = optree.tree_map(np.asarray, step(params, *part))
    more = planned(add_up, total, params, *part) - nbytes(total) - c.peak
    assert 0 <= more <= nbytes(total)
    assert more == 0 or name in ("network", "convolution", "attention")


def first(p, x, ct):
    h, pull = wg.vjp(lambda p: dense(*p, x), p)
    return h, pull(ct)[0]


def last(p, h, y):
    f = wg.value_and_grad(lambda p, h: np.sum((dense(*p, h) - y) ** 2) / y.size, argnums=(0, 1))
    return f(p, h)


@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("sizes", [(64, 30, 20, 10), (256, 100, 80, 60), (512, 40, 200, 30)])
def test_peaks_of_stages(sizes, m):
    """As plans of one stage each; of other microbatches there are inputs and what is kept."""
    n, a, b, c = sizes
    p, q = (normal(a, b), normal(b)), (normal(b, c), normal(c))
    args = [p, q], normal(n, a), normal(n, c)
    graph = record(wg.value_and_grad(network), *split(args, {})).graph
    found = find_batch(graph, args, {}, None)
    line = _Search(graph, tuple(cluster(2)), found, None, _laid_out)._line(m)
    cut = [i for i in range(line.length) if line.name(i).startswith("contract")][1]
    x, y = args[1][: n // m], args[2][: n // m]
    h = dense(*p, x)

    def first_adds(total, p, x, ct):
        h, g = first(p, x, ct)
        return h, optree.tree_map(np.add, total, g)

    def last_adds(total, p, h, y):
        v, (g, ct) = last(p, h, y)
        return ct, optree.tree_map(np.add, total, (v, g))

    if m == 1:
        stages = planned(first, p, x, h), planned(last, q, h, y)
    else:
        z = y.nbytes  # what the loss reads of the last layer, again in its backward pass
        stages = (
            planned(first_adds, p, p, x, h) - nbytes(p) + (m - 1) * (x.nbytes + h.nbytes),
            planned(last_adds, (np.array(0.0), q), q, h, y)
            - (8 + nbytes(q))
            + (m - 1) * (h.nbytes + y.nbytes + z),
        )
    assert (line.peak(0, cut), line.peak(cut, line.length)) == stages


def test_captured_arrays_are_where_they_are_read():
    args = CASES["capturing"][1:]
    c = wg.partition(capturing, *args, devices=cluster(2), microbatches=1)["pipeline"]
    assert c.notes["cuts"] != (0,)
    assert c.parts[1].peak < CAPTURED.nbytes


def test_gathers_and_scatters_make_arrays():
    """Devices of a tensor split hold slices of matrices, and what they send is of its size."""
    args = CASES["network"][1:]
    graph = record(wg.value_and_grad(network), *split(args, {})).graph
    search = _Search(graph, tuple(cluster(2)), find_batch(graph, args, {}, None), None, _laid_out)
    placing = search._placer((1.0, 1.0), search.devices, follow=False).search()
    assert {m.kind for m in placing.steps if hasattr(m, "kind")} > {"all-gather"}

    def shape(aval, p):
        return local(aval, p, (1.0, 1.0), 0)

    made = program(placing, eager(placing.steps), shape, outputs_of(placing))
    pairs = zip(made.graph.inputs, graph.inputs, strict=True)
    assert all(a.aval == shape(b.aval, placing.inputs[b]) for a, b in pairs)
    pairs = zip(made.graph.outputs, outputs_of(placing), strict=True)
    assert all(a.aval == shape(v.aval, p) for a, (v, p) in pairs)
    assert not made.received
    assert not made.added_to


def test_what_native_code_cannot_hold_is_counted():
    x = np.ones((8, 4), np.longdouble)
    graph = record(lambda x: np.sum(np.sin(x)), *split((x,), {})).graph
    assert Layout(_laid_out).undivided(graph) is None
    assert Layout(None).undivided(graph) is None
    c = wg.partition(lambda x: np.sum(np.sin(x)), x, devices=cluster(1))["one device"]
    assert c.peak == 2 * x.nbytes + 16  # the array, its sine, and the sum


def test_an_output_that_is_an_input_is_copied():
    x = np.ones((8, 4))
    plan = wg.partition(lambda w, x: (x, np.sum(x) * w), 1.0, x, devices=cluster(2))
    assert plan["one device"].peak == planned(lambda w, x: (x, np.sum(x) * w), 1.0, x)
    assert plan["smaller minibatch"].peak >= 2 * x.nbytes // 2


def test_undivided_programs_are_the_graph():
    args = CASES["network"][1:]
    graph = record(network, *split(args, {})).graph
    made = program(undivide(graph), undivide(graph).steps, lambda a, _: a, [])
    assert [n.op for n in made.graph.nodes] == [n.op for n in graph.nodes]
