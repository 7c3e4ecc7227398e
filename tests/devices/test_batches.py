"""Which arguments of a function are the batch, and how it is shared out."""

from __future__ import annotations

import numpy as np
import pytest
from split_cases import cluster, mlp, network, rng

import wengert as wg


def test_the_batch_is_named():
    plan = wg.partition(wg.value_and_grad(mlp), *network(), devices=cluster(1))
    assert plan.arguments == (1, 2)
    assert str(plan).startswith(
        f"mlp: {plan.whole.flops:,} operations, batch of 64 (arguments 1, 2), 1 device\n"
    )


def test_arguments_by_keyword_may_be_the_batch():
    def loss(w, *, x):
        return np.sum(x @ w)

    plan = wg.partition(loss, np.ones((4, 4)), x=np.ones((32, 4)), devices=cluster(2))
    assert (plan.batch, plan.arguments) == (32, ("x",))
    assert plan["data parallel"].notes["inputs"] == ("whole", "axis 0")


# NumPy warns of the mean of an empty batch, which is NaN
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("n", [0, 1])
def test_a_batch_too_short_to_split(n):
    args = network((6, 5, 4), n)
    plan = wg.partition(mlp, *args, devices=cluster(2))
    assert f"longer than {n}: arguments 1, 2" in plan["smaller minibatch"].reason
    named = wg.partition(mlp, *args, devices=cluster(2), batch=(1, 2))
    assert named["data parallel"].reason == f"a batch of {n} has no parts"


def test_a_batch_that_is_none_is_not_data_parallel():
    """The first axis is time: each device would need all of it and do everything."""

    def recurrent(w, xs):
        h = np.zeros(xs.shape[1:])
        for x in xs:
            h = np.tanh(x @ w + h)
        return np.sum(h)

    plan = wg.partition(wg.grad(recurrent), np.eye(3), np.ones((4, 8, 3)), devices=cluster(2))
    c = plan["data parallel"]
    assert "every device would do all of it; is argument 1 the batch?" in c.reason
    assert "reads all of the batch at once (line" in plan["smaller minibatch"].reason


def test_systems_of_equations_are_split_along_a_batch():
    def solved(b, a):
        return np.sum(np.linalg.solve(a, b) ** 2)

    a = np.eye(4) + rng.normal(size=(6, 4, 4)) / 10
    plan = wg.partition(solved, np.ones((6, 4, 1)), a, devices=cluster(2), batch=(0, 1))
    c = plan["data parallel"]
    assert c.notes["parts"] == (3, 3)
    assert c.notes["collectives"] == {"all-reduce": 16}
    assert sum(p.flops for p in c.parts) == plan.whole.flops + c.combined + c.repeated
    assert c.repeated == -1  # one addition less in two sums
