"""Plans for several devices: closed forms of time, and what holds of any network."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_cases import cluster, mlp, network, rng

import wengert as wg
from wengert.devices.partition import Device
from wengert.errors import MemoryBudgetError


# --- closed forms of time -------------------------------------------------------------------------
def test_shares_follow_what_bounds_a_device():
    """Loops are bound by memory: half the bandwidth, half the examples."""
    devices = [Device("a", "1GiB", 1e15, 2e9, 1e15), Device("b", "1GiB", 1e15, 1e9, 1e15)]
    c = wg.partition(lambda x: np.sin(x) * x, np.ones((96, 4)), devices=devices)["data parallel"]
    assert c.notes["parts"] == (64, 32)
    assert c.parts[0].seconds == pytest.approx(c.parts[1].seconds)


def test_a_device_gets_what_it_holds():
    """As much of the batch as fits, and not an example less; the others take the rest by rate."""
    step, args = wg.value_and_grad(mlp), network((20, 30, 5), 600)
    each = {"speed": 1e12, "bandwidth": 1e11, "link": 1e12}
    equal = wg.partition(step, *args, devices=[Device(n, "1GiB", **each) for n in "abc"])
    (peak, *_) = {p.peak for p in equal["data parallel"].parts}
    devices = [
        Device("a", "1GiB", **each),
        Device("b", peak // 2, **each),
        Device("c", "1GiB", **each),
    ]
    c = wg.partition(step, *args, devices=devices)["data parallel"]
    a, b, rest = c.notes["parts"]
    assert c.fits
    assert a + b + rest == 600
    assert a - rest in (0, 1)
    assert c.parts[1].peak <= peak // 2 < c.parts[1].peak * 1.1
    more = [Device("b", c.parts[1].peak, **each), Device("a", "1GiB", **each)]
    assert wg.partition(step, *args, devices=more)["data parallel"].notes["parts"] == (b, 600 - b)
    small = [Device(n, peak // 2, **each) for n in "ab"]
    assert not wg.partition(step, *args, devices=small)["data parallel"].fits


@pytest.mark.parametrize(("n", "m"), [(2, 1), (4, 4), (4, 8)])
def test_bubble_of_equal_stages(n, m):
    """(n - 1) / (m + n - 1) of the time, as of GPipe, where links cost nothing."""

    def steps(w, x):
        for _ in range(n):
            x = x @ w
        return x

    devices = [Device(f"gpu{i}", "1GiB", 1e9, math.inf, math.inf) for i in range(n)]
    args = np.ones((5, 5)), np.ones((64, 5))
    c = wg.partition(steps, *args, devices=devices, microbatches=m)["pipeline"]
    assert c.notes["cuts"] == tuple(range(1, n))
    assert c.notes["bubble"] == pytest.approx((n - 1) / (m + n - 1))
    assert c.seconds == pytest.approx(64 * 50 * 1e-9 * (m + n - 1) / m, rel=0.2)


@pytest.mark.parametrize("n", [2, 3])
def test_cuts_of_long_chains_are_spread(n):
    """All of its places are crossed by equally many bytes: stages are equal up to a 48th."""

    def steps(x):
        for _ in range(300):
            x = np.tanh(x)
        return x

    devices = [Device(f"gpu{i}", "1GiB", 1e9, math.inf, math.inf) for i in range(n)]
    c = wg.partition(steps, np.ones(5), devices=devices, batch=())["pipeline"]
    assert max(p.flops for p in c.parts) <= 5 * 300 * (1 / n + 1 / 40)


def test_a_loop_over_time_is_cut_in_time():
    """Only the state crosses: what reads the data of a step is done where the step is."""
    batch, steps, width = 32, 20, 24

    def recurrent(p, xs):
        h = np.zeros((batch, width))
        for t in range(steps):
            h = np.tanh(xs[:, t] @ p[0] + h @ p[1])
        return np.mean(h**2)

    args = [rng.normal(size=(8, width)), rng.normal(size=(width, width))]
    xs = rng.normal(size=(batch, steps, 8))
    devices = [Device(f"gpu{i}", "1GiB", 1e9, math.inf, math.inf) for i in range(2)]
    plan = wg.partition(wg.value_and_grad(recurrent), args, xs, devices=devices, microbatches=1)
    c = plan["pipeline"]
    (ahead, back) = c.notes["crossing"][0]
    assert ahead == 8 * batch * width
    # The state's cotangent, and the sums so far of what the parameters' gradients are.
    assert 8 * batch * width <= back <= 8 * (batch * width + 2 * width * (8 + width))
    assert max(p.flops for p in c.parts) < 0.55 * plan.whole.flops
    alone = plan["one device"].peak
    assert max(p.peak for p in c.parts) < 0.85 * alone


def test_what_parameters_alone_give_is_where_they_are():
    """Weight decay of the first layer, written last, is done by the first stage."""

    def decayed(p, x):
        return np.mean(np.tanh(np.tanh(x @ p[0]) @ p[1]) ** 2) + 0.1 * np.sum(p[0] ** 2)

    args = [normal(300, 40), normal(40, 30)], normal(16, 300)
    devices = [Device(f"gpu{i}", "1GiB", 1e9, 1e12, 1e8) for i in range(2)]
    step = wg.value_and_grad(decayed)
    c = wg.partition(step, *args, devices=devices, microbatches=1)["pipeline"]
    assert c.notes["crossing"][0][0] <= 16 * 40 * 8 + 8
    assert c.parts[1].peak < args[0][0].nbytes


def normal(*shape):
    return rng.normal(size=shape)


def test_one_device_with_enough_is_named_as_such():
    with pytest.raises(MemoryBudgetError, match="on one of them, as 'one device'"):
        wg.partition(np.sin, np.ones(()), devices=cluster(2, 1))


# --- any network, any devices ---------------------------------------------------------------------
figures = st.sampled_from([1e9, 3e9, 1e10, 2.5e12])


# NumPy warns of the mean of an empty batch, which is NaN
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 24), min_size=2, max_size=4),
    batch=st.integers(0, 40),
    rates=st.lists(
        st.tuples(figures, figures, figures, st.sampled_from([3_000, 20_000, 1 << 30])),
        min_size=1,
        max_size=4,
    ),
)
def test_what_holds_of_any_plan(sizes, batch, rates):
    args = network(tuple(sizes), batch, np.float64)
    devices = [Device(f"gpu{i}", m, s, b, k) for i, (s, b, k, m) in enumerate(rates)]
    size = {d.name: d.size for d in devices}
    try:
        plan = wg.partition(wg.value_and_grad(mlp), *args, devices=devices)
    except MemoryBudgetError as error:
        enough = [Device(d.name, error.least, d.speed, d.bandwidth, d.link) for d in devices]
        assert wg.partition(wg.value_and_grad(mlp), *args, devices=enough).best.fits
        return
    n = sum(np.asarray(x).nbytes for x in (*itertools.chain(*args[0]), 0.0))
    for c in plan.candidates:
        if not c.applicable:
            continue
        assert c.flops == plan.whole.flops + c.combined + c.repeated
        assert c.fits == all(p.peak <= size[p.device] for p in c.parts)
        assert c.traffic == sum(p.sent for p in c.parts)
        assert c.seconds >= max(p.seconds for p in c.parts) * (1 - 1e-9)
        if c.name == "data parallel":
            assert c.traffic == 2 * (len(devices) - 1) * n
        if "parts" in c.notes:
            assert sum(c.notes["parts"]) == batch
        if c.name == "pipeline":
            assert 0 <= c.notes["bubble"] < 1
