"""Plans for several devices: closed forms, brute force, and the placed programs run in parts."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from split_cases import BATCH, PARAMETERS, SIZES, WEIGHTS, cluster, mlp, network, rng

import wengert as wg
from wengert.devices.batches import find_batch
from wengert.devices.device_costs import additions, part_peak, sent
from wengert.devices.partition import Device, _Search
from wengert.devices.placement import Move, local
from wengert.devices.sharding import PARTIAL, WHOLE, Along, share
from wengert.devices.stages import Pipeline, best_cuts
from wengert.errors import InputError, MemoryBudgetError
from wengert.ir.graph import Const, Value
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.ops.index import getitem, index_add
from wengert.ops.shape import broadcast_to, reshape


@pytest.fixture(scope="module", params=[2, 4])
def plan(request):
    return wg.partition(wg.value_and_grad(mlp), *network(), devices=cluster(request.param))


# --- closed forms on the network of 784-256-256-10 ------------------------------------------------
def test_the_whole_is_what_cost_says(plan):
    assert plan.whole.flops == wg.cost(mlp, *network()).flops
    assert plan.batch == BATCH
    assert plan["one device"].flops == plan.whole.flops


def test_operations_add_up(plan):
    """Of all devices: those of the graph, the combining additions, and what is stated beyond."""
    for c in plan.candidates:
        assert c.applicable
        assert c.flops == plan.whole.flops + c.combined + c.repeated
        assert sum(p.sent for p in c.parts) == c.traffic


def test_data_parallel(plan):
    n = len(plan.devices)
    c = plan["data parallel"]
    # Every gradient, and the loss, is summed over the devices: (n-1)/n of it out and back, each.
    assert c.traffic == 2 * (n - 1) * (PARAMETERS + 1) * 4
    assert c.combined == (n - 1) * (PARAMETERS + 1)
    # A sum over the batch has n-1 additions less in its parts: biases twice, and the loss.
    # The division of the loss by the batch is done alike or on summands.
    sums = sum(SIZES[1:]) + 1
    assert -(n - 1) * sums <= c.repeated <= (n - 1) * (1 - sums)
    assert c.notes["parts"] == (BATCH // n,) * n
    assert c.notes["inputs"] == ("whole",) * 6 + ("axis 0",) * 2
    assert c.notes["collectives"] == {"all-reduce": c.traffic}
    matrices = 2 * BATCH // n * (2 * WEIGHTS + 256 * 256 + 256 * 10)
    assert all(matrices < p.flops < 1.05 * matrices + PARAMETERS * n for p in c.parts)
    assert c.xla


def test_smaller_minibatch_adds_up_the_same(plan):
    n = len(plan.devices)
    c = plan["smaller minibatch"]
    assert c.traffic == 0
    assert c.combined == (n - 1) * (PARAMETERS + 1)
    assert c.notes["parts"] == (BATCH // n,) * n


def test_memory_of_one_device():
    """Inputs and gradients are held to the end; the last products see all of them."""
    c = wg.partition(wg.value_and_grad(mlp), *network(), devices=cluster(1))["one device"]
    inputs = PARAMETERS + BATCH * (SIZES[0] + SIZES[-1])
    at_the_end = 4 * (inputs + PARAMETERS + 1 + BATCH * 256)
    assert c.peak >= at_the_end
    assert c.peak <= at_the_end + 4 * 6 * BATCH * 256


def test_peak_by_brute_force():
    """Without views: what is needed later, or is an output, is there with what is being made."""
    step = wg.value_and_grad(lambda p, x: np.sum(np.tanh(np.tanh(x @ p[0]) @ p[1]) ** 2))
    args = [rng.normal(size=(30, 20)), rng.normal(size=(20, 50))], rng.normal(size=(40, 30))
    graph = record(step, *split(args, {})).graph
    most = 0
    for i, node in enumerate(graph.nodes):
        made = {v for n in graph.nodes[: i + 1] for v in n.outputs}
        later = {x for n in graph.nodes[i:] for x in n.inputs if isinstance(x, Value)}
        alive = (made & (later | set(graph.outputs))) | set(node.outputs) | set(graph.inputs)
        most = max(most, sum(v.aval.nbytes for v in alive))
    assert not any(n.op.alias for n in graph.nodes if n.inputs and n.op.name != "broadcast_to")
    c = search_for(step, *args, devices=cluster(1)).alone()  # counted, not laid out
    views = sum(v.aval.nbytes for n in graph.nodes if n.op.alias for v in n.outputs)
    assert most - views <= c.peak <= most


@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_functions_are_the_same(compiled):
    step = wg.value_and_grad(mlp)
    args = network((6, 5, 4), 8)
    plan = wg.partition(wg.jit(step) if compiled else step, *args, devices=cluster(2))
    assert plan.whole.flops == wg.cost(mlp, *args).flops
    assert plan["data parallel"].applicable


def test_many_small_parts():
    """A batch of many examples in parts of one."""
    args = network((6, 5, 4), 5000)
    least = wg.partition(wg.value_and_grad(mlp), *args, devices=cluster(1))["smaller minibatch"]
    tight = wg.partition(wg.value_and_grad(mlp), *args, devices=cluster(1, least.least))
    assert len(tight.best.notes["parts"]) == 5000
    assert tight.best.peak == least.least
    assert tight.best.flops == tight.whole.flops + tight.best.combined + tight.best.repeated


def test_minibatch_is_the_largest_that_fits():
    args = network(batch=4096)
    step = wg.value_and_grad(mlp)
    whole = wg.partition(step, *args, devices=cluster(1))["one device"].peak
    memory = whole // 3
    c = wg.partition(step, *args, devices=cluster(1, memory))["smaller minibatch"]
    k = len(c.notes["parts"])
    assert c.fits
    assert c.peak <= memory
    assert sum(c.notes["parts"]) == 4096
    search = search_for(step, *args, devices=cluster(1, memory))
    assert part_peak(search.by_batch, math.ceil(4096 / (k - 1)), 4096) > memory


# --- one product of matrices ----------------------------------------------------------------------
@pytest.mark.parametrize("n", [2, 4])
def test_tensor_split_of_one_product(n):
    """Its columns are split, and nothing is sent; each device does an n-th."""
    x, w = np.ones((8, 32)), np.ones((32, 64))
    c = wg.partition(lambda w, x: x @ w, w, x, devices=cluster(n))["tensor split"]
    assert c.traffic == 0
    assert [p.flops for p in c.parts] == [2 * 8 * 32 * 64 // n] * n
    assert c.notes["inputs"] == ("axis 1", "whole")
    assert c.parts[0].peak == 8 * (8 * 32 + 32 * 64 // n + 8 * 64 // n)


def test_tensor_split_of_two_products():
    """Columns of the first, rows of the second: one sum over the devices (Megatron-LM)."""
    n, args = 2, (np.ones((64, 256)), np.ones((256, 64)), np.ones((8, 64)))
    c = wg.partition(lambda a, b, x: x @ a @ b, *args, devices=cluster(n), batch=2)["tensor split"]
    assert c.notes["inputs"][:2] == ("axis 1", "axis 0")
    result = 8 * 64 * 8
    assert c.traffic == (n - 1) * result  # the result stays split
    assert c.combined == (n - 1) * 8 * 64
    assert c.repeated == 0


def test_tensor_split_keeps_a_slice_of_every_matrix(plan):
    n = len(plan.devices)
    c = plan["tensor split"]
    assert all(p != "whole" for p in c.notes["inputs"][0:6:2])
    assert c.notes["contractions"] == (8, 8)
    held = 4 * (2 * PARAMETERS // n + BATCH * SIZES[0])  # a slice, its gradient, and the images
    assert c.peak < 1.4 * held  # and activations, and room for products


def test_shares_follow_speed():
    devices = [Device("slow", "1GiB", 1e9, 1e11, 1e9), Device("fast", "1GiB", 3e9, 1e11, 1e9)]
    c = wg.partition(wg.value_and_grad(mlp), *network(), devices=devices)["data parallel"]
    assert c.notes["parts"] == (16, 48)
    assert not c.xla


# --- pipelines ------------------------------------------------------------------------------------
def search_for(f, *args, devices, batch=None):
    graph = record(f, *split(args, {})).graph
    return _Search(graph, tuple(devices), find_batch(graph, args, {}, batch))


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("sizes", [(20, 30, 10), (7, 50, 5, 40, 3)])
def test_cuts_by_brute_force(n, m, sizes):
    args = network(sizes, 8)
    line = search_for(wg.value_and_grad(mlp), *args, devices=cluster(n))._line(m)
    assert isinstance(line, Pipeline)
    slowest, cuts = best_cuts(line, line.stage_seconds)
    every = itertools.combinations(range(1, line.length), n - 1)
    best = min(line.stages(c).slowest for c in every)
    assert slowest == best == line.stages(cuts).slowest


def test_traffic_over_a_cut_is_what_crosses_it():
    """Between two layers: the activations forward, their cotangents backward."""
    plan = wg.partition(wg.value_and_grad(mlp), *network(), devices=cluster(2), microbatches=1)
    c = plan["pipeline"]
    assert c.notes["crossing"] == ((BATCH * 256 * 4, BATCH * 256 * 4),)
    assert [p.sent for p in c.parts] == [BATCH * 256 * 4] * 2
    assert c.repeated == c.combined == 0


def test_a_pipeline_of_one_stage_is_one_device():
    args = network()
    search = search_for(wg.value_and_grad(mlp), *args, devices=cluster(1))
    line = search._line(1)
    assert line.peak(0, line.length) == search.alone().peak
    assert line.stages(()).seconds == pytest.approx(search.alone().seconds)
    assert line.stages(()).parts[0].flops == search.whole.flops


@pytest.mark.parametrize("m", [2, 8])
def test_memory_of_microbatches(m):
    """All activations that the backward pass reads, and no more of what is used up on the way."""
    search = search_for(wg.value_and_grad(mlp), *network(batch=512), devices=cluster(1))
    line = search._line(m)
    read_back = 4 * 512 * (2 * 256 + 2 * 256 + 10 + 1)  # sums, activations, exponentials
    inputs = 4 * (PARAMETERS + 512 * (784 + 10))
    gradients = 4 * (PARAMETERS + 1)
    peak = line.peak(0, line.length)
    assert inputs + read_back < peak
    assert peak < inputs + read_back + 2 * gradients + 4 * 10 * (512 // m) * 256


def test_a_pipeline_of_one_microbatch_waits():
    plan = wg.partition(wg.value_and_grad(mlp), *network(), devices=cluster(2), microbatches=1)
    c = plan["pipeline"]
    assert c.seconds == pytest.approx(sum(p.seconds for p in c.parts) + c.traffic / 1e10 + 2e-6)
    assert c.notes["bubble"] > 0.5


# --- the placed programs, run ---------------------------------------------------------------------
def simulate(placing, leaves):
    """Run all devices' programs with NumPy, each on what it holds; return the outputs."""
    weights, n = placing.weights, len(placing.weights)
    held = {}

    def piece(x, p, d):
        if not isinstance(p, Along):
            return x
        each = x.shape[p.axis] // p.groups
        ends = np.cumsum([0, *share(p.groups, weights)]) * each
        return np.take(x, np.arange(ends[d], ends[d + 1]), axis=p.axis)

    def whole(v, p):
        parts = [held[v, p, d] for d in range(n)]
        if p == WHOLE:
            return parts[0]
        return sum(parts) if p == PARTIAL else np.concatenate(parts, axis=p.axis)

    for v, x in zip(placing.graph.inputs, leaves, strict=True):
        for d in range(n):
            held[v, placing.inputs[v], d] = piece(np.asarray(x), placing.inputs[v], d)
    inputs = dict(zip(placing.graph.inputs, leaves, strict=True))
    for step in placing.steps:
        if isinstance(step, Move):
            x = whole(step.value, step.source)
            for d in range(n):
                held[step.value, step.target, d] = piece(x, step.target, d)
            continue
        node = step.node
        for d in range(n):
            given = []
            for k, (x, p) in enumerate(zip(node.inputs, step.inputs, strict=True)):
                if isinstance(x, Value):
                    if (x, p, d) not in held:  # an input stored in two ways
                        assert x in inputs
                    given.append(held[x, p, d])
                    continue
                data = x.data if isinstance(x, Const) else x
                local_ = piece(data, p, d)
                counts = node.op in (getitem, index_add) and isinstance(x, Const) and k
                if counts and isinstance(p, Along) and isinstance(step.inputs[0], Along):
                    local_ = local_ - np.min(local_)
                given.append(local_)
            attrs = dict(node.attrs)
            if node.op in (reshape, broadcast_to):
                attrs["shape"] = local(node.outputs[0].aval, step.output, weights, d).shape
            made = node.op.evaluate(*given, **attrs)
            for v, y in zip(node.outputs, made if len(node.outputs) > 1 else [made], strict=True):
                assert np.shape(y) == local(v.aval, step.output, weights, d).shape
                held[v, step.output, d] = y
    return [
        whole(y, p) if isinstance(y, Value) else y
        for y, p in zip(placing.graph.outputs, placing.outputs, strict=True)
    ]


def attention(params, x):
    q, k, v = (x @ w for w in params)
    b, t, c = q.shape
    q, k, v = (np.transpose(a.reshape(b, t, 4, c // 4), (0, 2, 1, 3)) for a in (q, k, v))
    scores = np.exp(q @ np.swapaxes(k, 2, 3))
    y = (scores / np.sum(scores, axis=-1, keepdims=True)) @ v
    return np.sum(np.transpose(y, (0, 2, 1, 3)).reshape(b * t, c) ** 2)


def labelled(params, x, labels):
    z = np.tanh(x @ params[0]) @ params[1]
    z = z - np.max(z, axis=1, keepdims=True)
    picked = np.take_along_axis(z, labels[:, None], axis=1)[:, 0]
    decay = sum(np.sum(w * w) for w in params)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - picked) + 0.1 * decay


def standardised(w, x):
    z = x @ w
    z = (z - np.mean(z, axis=0)) / np.sqrt(np.var(z, axis=0) + 1e-3)
    return np.sum(np.sin(z))


def embedded(table, words):
    return np.sum(np.tanh(table[words]) ** 2)


def joined(w, x):
    y = np.concatenate([x @ w, np.cumsum(x, axis=1)], axis=1)
    return np.sum(np.max(y, axis=1) * y[:, 0] + np.sort(y, axis=1)[:, 1])


def matrices(*shapes):
    return [rng.normal(size=s) / 3 for s in shapes]


PROGRAMS = {
    "mlp": (mlp, network((6, 8, 5), 12, np.float64)),
    "attention": (attention, (matrices((8, 8), (8, 8), (8, 8)), rng.normal(size=(4, 5, 8)))),
    "labelled": (labelled, (matrices((6, 7), (7, 5)), rng.normal(size=(9, 6)), np.arange(9) % 5)),
    "standardised": (standardised, (rng.normal(size=(6, 4)), rng.normal(size=(10, 6)))),
    "embedded": (embedded, (rng.normal(size=(11, 4)), np.arange(12) * 5 % 11)),
    "joined": (joined, (rng.normal(size=(5, 6)), rng.normal(size=(8, 5)))),
}


@pytest.mark.parametrize("speeds", [(1.0, 1.0), (1.0, 2.0, 1.5)], ids=["2 alike", "3 unlike"])
@pytest.mark.parametrize("follow", [True, False], ids=["data", "tensor"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_parts_make_the_whole(name, follow, speeds):
    """Every placement is right: the devices' programs, run on their parts, give the result."""
    f, args = PROGRAMS[name]
    devices = [Device(f"d{i}", "1GiB", s * 1e9, 1e9, 1e9) for i, s in enumerate(speeds)]
    step = wg.value_and_grad(f)
    search = search_for(step, *args, devices=devices, batch=tuple(range(1, len(args))))
    leaves, _ = split(args, {})
    placing = search._placer(speeds, devices, follow=follow).search()
    got = simulate(placing, leaves)
    value, gradient = step(*args)
    gradients = [a for g in gradient for a in (g if isinstance(g, tuple) else [g])]
    if name in ("standardised", "embedded", "joined"):
        gradients = [gradient]
    for y, z in zip(got, [value, *gradients], strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-9, atol=1e-12)


def test_what_parts_of_a_batch_cannot_do_apart():
    """Statistics of the batch: devices exchange them; one after the other does not work."""
    f, args = PROGRAMS["standardised"]
    plan = wg.partition(wg.value_and_grad(f), *args, devices=cluster(2))
    assert "sum over all of the batch" in plan["smaller minibatch"].reason
    assert plan["pipeline"].notes["microbatches"] == 1
    # The sums forward and backward, and the gradient and the value: not only the gradient.
    assert plan["data parallel"].traffic > 2 * (6 * 4 + 1) * 8


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize(
    ("kind", "source", "target", "times"),
    [
        ("all-gather", Along(0, 30), WHOLE, 1),
        ("reduce-scatter", PARTIAL, Along(0, 30), 1),
        ("all-reduce", PARTIAL, WHOLE, 2),
    ],
)
def test_bytes_of_collectives(n, kind, source, target, times):
    v = Value(np.zeros((30, 4)))
    move = Move(kind, v, source, target)
    assert sum(sent(move, (1.0,) * n)) == times * (n - 1) * v.aval.nbytes
    assert additions(move, n) == (0 if kind == "all-gather" else (n - 1) * 120)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0, 1.0), (1.0, 5.0), (0.001, 1.0, 1.0)])
@pytest.mark.parametrize("count", [3, 10, 64])
def test_shares(count, weights):
    parts = share(count, weights)
    assert sum(parts) == count
    assert min(parts) >= 1
    assert all(abs(p - count * w / sum(weights)) <= 1 for p, w in zip(parts, weights, strict=True))


# --- what it says ---------------------------------------------------------------------------------
def test_it_prints_and_is_data(plan):
    text = str(plan)
    assert plan.best.name in text
    assert "XLA shardings" in text
    made = json.loads(json.dumps(plan.as_dict()))
    assert [c["name"] for c in made["candidates"]] == [c.name for c in plan.candidates]
    with pytest.raises(KeyError, match="one device"):
        plan["nothing"]


def test_the_best_is_the_fastest_that_fits():
    args = network()
    step = wg.value_and_grad(mlp)
    free = wg.partition(step, *args, devices=cluster(2))
    assert free.best.seconds == min(c.seconds for c in free.candidates)
    least = free["tensor split"].peak
    tight = wg.partition(step, *args, devices=cluster(2, least))
    assert tight.best.name == "tensor split"
    assert not tight["one device"].fits
    assert tight["one device"].least == tight["one device"].peak > least


def test_devices_that_cannot_hold_their_part():
    args = network()
    step = wg.value_and_grad(mlp)
    with pytest.raises(MemoryBudgetError, match="least that would do") as e:
        wg.partition(step, *args, devices=cluster(2, "100KiB"))
    least = e.value.least
    assert wg.partition(step, *args, devices=cluster(2, least)).best.fits
    with pytest.raises(MemoryBudgetError):
        wg.partition(step, *args, devices=cluster(2, least - 1))


def test_reasons():
    def scaled(x):
        return np.sum(np.sin(x))

    plan = wg.partition(scaled, np.ones(()), devices=cluster(2))
    assert "no contraction" in plan["tensor split"].reason
    assert "batch" in plan["data parallel"].reason
    assert "not applicable" in str(plan)
    alone = wg.partition(scaled, np.ones(8), devices=cluster(1))
    assert alone["data parallel"].reason == alone["pipeline"].reason == "there is one device"
    few = wg.partition(mlp, *network(batch=2), devices=cluster(4))
    assert "2 examples" in few["data parallel"].reason
    x = np.ones((4, 3))
    two = wg.partition(lambda a, b, c: np.sum(b @ c), x, x, x.T, devices=cluster(2))
    assert "batch=" in two["data parallel"].reason


@pytest.mark.parametrize("devices", [[], None, ["gpu"], [Device("a", 1, 1, 1, 1)] * 2])
def test_bad_lists_of_devices(devices):
    with pytest.raises(InputError):
        wg.partition(np.sum, np.ones(3), devices=devices)


@pytest.mark.parametrize(
    "field", [{"memory": 0}, {"memory": "much"}, {"speed": 0}, {"link": -1.0}, {"bandwidth": None},
              {"latency": float("nan")}, {"speed": True}, {"name": ""}],
    ids=lambda f: f"{next(iter(f))}",
)  # fmt: skip
def test_bad_devices(field):
    given = {"name": "a", "memory": "1GiB", "speed": 1.0, "bandwidth": 1.0, "link": 1.0}
    with pytest.raises(InputError, match=next(iter(field))):
        Device(**{**given, **field})


@pytest.mark.parametrize("field", [{"speed": math.inf}, {"latency": math.inf}, {"memory": "infGB"}])
def test_endless_figures(field):
    """Shares follow from speeds; a link and a memory's bandwidth may be no bottleneck."""
    given = {"memory": "1GiB", "speed": 1.0, "bandwidth": math.inf, "link": math.inf}
    with pytest.raises(InputError, match=next(iter(field))):
        Device("a", **{**given, **field})
    devices = [Device(n, **given) for n in "ab"]
    plan = wg.partition(wg.value_and_grad(mlp), *network(), devices=devices)
    assert plan["data parallel"].notes["communication"] == 0
    assert plan["one device"].seconds == plan.whole.flops
    json.dumps(plan.as_dict(), allow_nan=False)


def test_figures_of_other_kinds():
    d = Device("a", 16e9, np.float32(1e12), np.int64(10**11), 10**10)
    assert d.size == 16_000_000_000
    assert all(type(x) is float for x in (d.speed, d.bandwidth, d.link, d.latency))
    with pytest.raises(InputError, match="memory"):
        Device("a", 1.5, 1.0, 1.0, 1.0)
    with pytest.raises(InputError, match=r"\[device\]"):
        wg.partition(np.sum, np.ones(3), devices=d)


@pytest.mark.parametrize("batch", [True, 5, (0, 1), "first", (0.5,)])
def test_bad_batches(batch):
    with pytest.raises(InputError, match="batch"):
        wg.partition(mlp, *network(), devices=cluster(2), batch=batch)


@pytest.mark.parametrize("n", [0, True, BATCH + 1])
def test_bad_microbatches(n):
    with pytest.raises(InputError, match="microbatches"):
        wg.partition(mlp, *network(), devices=cluster(2), microbatches=n)


def test_microbatches_of_no_batch():
    with pytest.raises(InputError, match="no argument after the first"):
        wg.partition(np.sin, np.ones(()), devices=cluster(2), microbatches=2)
    f, args = PROGRAMS["standardised"]
    plan = wg.partition(f, *args, devices=cluster(2), microbatches=2)
    assert "no 2 microbatches: subtract needs a sum" in plan["pipeline"].reason
