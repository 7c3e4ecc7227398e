"""Arrays that cannot change are used as part of the program; those that can are read again."""

import numpy as np
import pytest

import wengert as wg
from wengert.ir.graph import Const
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.ops.constants import as_slice


def graph_of(f, *args):
    return record(f, *split(args, {})).graph


def names(graph):
    return [node.op.name for node in graph.nodes]


X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("length", [1, 4, 7])
@pytest.mark.parametrize(
    "index",
    [[0], [3], [0, 1, 2], [2, 1, 0], [1, 3], [6, 3, 0], [-1, -2], [-3, -2, -1], [0, 0], [0, 2, 1],
     [-1, 0], [1, 9], [-9, -8], []],
)  # fmt: skip
def test_a_slice_takes_what_the_indices_take(index, length):
    found = as_slice(np.array(index, np.intp), length)
    x = np.arange(float(length))
    if found is not None:
        assert np.array_equal(x[found], x[index])
    elif index and min(index) >= 0 and max(index) < length:
        steps = np.diff(index)
        assert not (steps == steps[:1]).all() or 0 in steps


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[np.array([0, 1])],
        lambda x: x[:, np.array([3, 1])],
        lambda x: x[..., np.arange(2)],
        lambda x: x[None, np.arange(2), None],
        lambda x: np.take(x, np.array([1, 2]), axis=1),
    ],
)
def test_regular_indices_inside_a_function_are_slices(f):
    graph = graph_of(f, X)
    assert not graph.consts()
    assert np.array_equal(wg.jit(f)(X), f(X))
    assert np.array_equal(wg.jit(wg.jacobian(f))(X), wg.jacobian(f)(X))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[np.array([0, 3])],  # out of range
        lambda x: x[np.array([-5, -4])],
    ],
)
def test_an_index_out_of_range_raises(f):
    with pytest.raises(IndexError):
        wg.jit(f)(X)


def test_an_array_that_the_user_holds_is_read_at_each_call():
    index, zeros = np.array([0, 1]), np.zeros(3)
    f = wg.jit(lambda x: x[index] * zeros[:2])
    x = np.array([1.0, 2.0, 3.0])
    assert f(x).tolist() == [0.0, 0.0]
    index[:], zeros[:] = [2, 0], 1.0
    assert f(x).tolist() == [3.0, 1.0]


def held_by_view():
    base = np.arange(4)
    return base[::2], lambda v: base.__setitem__(slice(None), v)


def held_by_base():
    base = np.arange(4)
    view = base[:2]
    return view, lambda v: base.__setitem__(slice(None), v)


def held_in_list():
    box = [np.arange(2)]
    return box[0], lambda v: box[0].__setitem__(slice(None), v[:2])


@pytest.mark.parametrize("make", [held_by_view, held_by_base, held_in_list])
def test_an_array_reachable_in_any_way_is_not_fixed(make):
    box = list(make())
    indices = [box.pop(0)]
    change = box.pop()

    f = wg.jit(lambda x: x[indices[0]])
    x = np.array([10.0, 20.0, 30.0, 40.0])
    first = f(x)
    change(np.array([3, 2, 1, 0]))
    assert not np.array_equal(f(x), first)
    assert np.array_equal(f(x), x[indices[0]])


def test_an_index_that_a_function_returns_stays_its_callers():
    def f(x):
        index = np.arange(2)
        return x[index], index

    _, index = wg.jit(f)(X)
    index[:] = 0
    y, again = wg.jit(f)(X)
    assert np.array_equal(y, X[:2])
    assert again.tolist() == [0, 1]


def test_unique_writes_need_no_mask():
    def f(x):
        y = np.zeros((3, 3), like=x)
        y[np.arange(3), np.arange(3)] = x
        return np.sum(y**2)

    graph = graph_of(wg.grad(f), X[0, :3])
    assert "select" not in names(graph)
    assert np.array_equal(wg.jit(wg.grad(f))(X[0, :3]), 2 * X[0, :3])


def test_repeated_writes_keep_the_last():
    def f(x):
        y = np.zeros(3, like=x)
        y[np.array([1, 1, 0])] = x
        return np.sum(y**2)

    assert wg.jit(wg.grad(f))(np.array([5.0, 6.0, 7.0])).tolist() == [0.0, 12.0, 14.0]


def test_a_uniform_array_is_a_scalar_where_the_shape_stays():
    graph = graph_of(lambda x: x * np.full(4, -0.0), X)
    assert not graph.consts()
    assert np.signbit(wg.jit(lambda x: x * np.full(4, -0.0))(X)).all()
    wide = graph_of(lambda x: x * np.ones((2, 3, 4)), X)
    assert [type(c) for c in wide.consts()] == [Const]
    assert wide.outputs[0].shape == (2, 3, 4)


def test_a_float32_array_of_ones_keeps_its_dtype():
    x = np.ones(4, np.float32)
    graph = graph_of(lambda x: x * np.full(4, 2.0), x)
    assert graph.outputs[0].dtype == np.float64


def test_zeros_and_their_negatives_are_told_apart():
    x = np.zeros(2)
    mixed = np.array([0.0, -0.0])
    f = wg.jit(lambda x: np.copysign(1.0, x * np.array([0.0, -0.0])))
    assert np.array_equal(f(x + 1), np.copysign(1.0, mixed))
