"""Reads of updated arrays are taken from what was written, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from wengert.ir.build import Builder, evaluate
from wengert.ir.graph import Aval
from wengert.ir.simplify import remove_dead
from wengert.ir.verify import verify
from wengert.ops.base import TABLE
from wengert.rolling.reads import through_updates

FLOAT = np.dtype(float)


def drawn(seed, rows):
    """Draw a graph of updates and reads of a matrix, or along its second axis of a batch."""
    rng = np.random.default_rng(seed)
    b = Builder()
    shape = (3, 4) if rows else (2, 3, 4)
    x, v = b.input(Aval(shape, FLOAT)), b.input(Aval((5,), FLOAT))
    lead = () if rows else (slice(None),)
    arrays, reads = [x], []
    for _ in range(12):
        array = arrays[-1] if rng.random() < 0.8 else arrays[int(rng.integers(len(arrays)))]
        i, j = int(rng.integers(-3, 3)), int(rng.integers(4))
        full = rng.random() < 0.5
        spec = (*lead, i, j) if full else (*lead, i)
        if rng.random() < 0.5:
            op = TABLE["index_add" if rng.random() < 0.5 else "index_set"]
            k = int(rng.integers(5))
            value = b.add(TABLE["getitem"], v, spec=(k,)) if rng.random() < 0.8 else 2
            if value != 2:
                part = (*shape[: len(lead)], *(() if full else shape[-1:]))
                value = b.add(TABLE["broadcast_to"], value, shape=part)
            arrays.append(b.add(op, array, value, spec=spec))
        else:
            reads.append(b.add(TABLE["getitem"], array, spec=spec))
    return b.finish([*reads, arrays[-1]]), [rng.random(shape), rng.random(5)]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("rows", [True, False])
def test_results_keep_every_bit(seed, rows):
    graph, xs = drawn(seed, rows)
    made = verify(through_updates(graph))
    for a, b in zip(evaluate(graph, xs), evaluate(made, xs), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def recurrence(n):
    b = Builder()
    x = b.input(Aval((), FLOAT))
    y = b.add(TABLE["broadcast_to"], np.float64(0.0), shape=(n,))
    y = b.add(TABLE["index_set"], y, x, spec=(0,))
    for t in range(1, n):
        before = b.add(TABLE["getitem"], y, spec=(t - 1,))
        y = b.add(TABLE["index_add"], y, b.add(TABLE["sin"], before), spec=(t,))
    return b.finish([b.add(TABLE["getitem"], y, spec=(n - 1,))])


def test_a_recurrence_is_left_without_its_array():
    made = remove_dead(through_updates(recurrence(6)))
    assert {n.op.name for n in made.nodes} == {"sin", "add"}


def test_a_value_that_python_decided_by_stays_a_value():
    b = Builder()
    x = b.input(Aval((3,), FLOAT))
    y = b.add(TABLE["index_set"], x, np.float64(2.0), spec=(1,))
    read = b.add(TABLE["getitem"], y, spec=(1,))
    b.guard(read, "float", 2.0)
    graph = b.finish([read])
    assert through_updates(graph).guards[0].value is read


def test_a_value_of_another_dtype_is_read_from_the_array():
    b = Builder()
    x, v = b.input(Aval((3,), np.dtype(np.float32))), b.input(Aval((), FLOAT))
    y = b.add(TABLE["index_set"], x, v, spec=(1,))
    read = b.add(TABLE["getitem"], y, spec=(1,))
    made = through_updates(b.finish([read]))
    assert [n.op.name for n in made.nodes] == ["index_set", "getitem"]
    assert made.outputs[0].dtype == np.float32
