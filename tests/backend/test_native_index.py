"""Indices with integer arrays in native code: every template, and every way to give the numbers."""

from __future__ import annotations

from typing import Any

import native_oracle as oracle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twice import twice

import wengert as wg
from wengert.backend.native import NativeBackend
from wengert.backend.native.schedule.schedule import Schedule
from wengert.backend.native.schedule.steps import Gather, Host, Loop
from wengert.backend.numpy import NumpyBackend
from wengert.ir.build import Builder
from wengert.ir.graph import SLOT
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

WIDE = [(), (1,), (2,), (3,), (2, 1), (2, 3), (1, 3), (3, 1, 2)]
SLICES = [
    slice(None),
    slice(None, None, -1),
    slice(1, None),
    slice(None, -1),
    slice(None, None, 2),
    slice(3, 0, -2),
]


def fixed(x: Any) -> np.ndarray[Any, Any]:
    """Return a read-only array, whose numbers native code may use when it is compiled."""
    x = np.array(x)
    x.flags.writeable = False
    return x


@st.composite
def templates(draw: Any) -> Any:
    """Draw an array's shape, an index template, and integer arrays for its slots."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    wide = draw(st.sampled_from(WIDE))
    spec: list[Any] = []
    arrays = []
    ends = draw(st.integers(0, len(shape)))
    dots = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from("aais"), min_size=len(shape), max_size=len(shape)))
    for axis, (n, kind) in enumerate(zip(shape, kinds, strict=True)):
        if axis >= ends and not (axis == len(shape) - 1 and not arrays):
            if axis == ends and dots:
                spec.append(Ellipsis)
            if not dots:
                break
            continue
        if draw(st.integers(0, 4)) == 0:
            spec.append(None)
        if kind == "a" or (axis == len(shape) - 1 and not arrays):
            keep = draw(st.integers(0, len(wide)))
            part = [m if draw(st.booleans()) else 1 for m in wide[keep:]]
            x = draw(
                st.lists(
                    st.integers(-n, n - 1), min_size=int(np.prod(part)), max_size=int(np.prod(part))
                )
            )
            arrays.append(np.array(x, draw(st.sampled_from([np.int64, np.int32]))).reshape(part))
            if draw(st.booleans()) and arrays[-1].size == n:
                arrays[-1] = np.arange(n)[::-1].reshape(part)
            spec.append(SLOT)
        elif kind == "i":
            spec.append(draw(st.integers(-n, n - 1)))
        else:
            spec.append(draw(st.sampled_from(SLICES)))
    if not arrays:
        spec, arrays = [SLOT], [np.array([0])]
    return shape, tuple(spec), arrays


def graph_of(name: str, args: Any, arrays: Any, spec: Any, ways: Any, around: bool) -> Any:
    """Build the graph; each index is an input, the sum of two, an array, or a read-only array."""
    b = Builder()
    inputs = []

    def given(x: Any) -> Any:
        inputs.append(x)
        return b.input(x)

    operands = [given(x) for x in args]
    if around:
        operands = [b.add(TABLE["multiply"], x, x) for x in operands]
    for x, way in zip(arrays, ways, strict=True):
        if way == "input":
            operands.append(given(x))
        elif way == "computed":
            operands.append(b.add(TABLE["add"], given(x), given(np.zeros_like(x))))
        else:
            operands.append(fixed(x) if way == "fixed" else np.array(x))
    y = b.add(TABLE[name], *operands, spec=spec)
    if around:
        y = b.add(TABLE["add"], y, y)
    return verify(b.finish([y])), inputs


WAYS = st.lists(st.sampled_from(["input", "computed", "held", "fixed"]), min_size=4, max_size=4)


def read(template: Any, ways: Any, around: bool, dtype: str):
    shape, spec, arrays = template
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    graph, inputs = graph_of("getitem", [x], arrays, spec, ways[: len(arrays)], around)
    for got, want in zip(*oracle.both(graph, inputs), strict=True):
        assert oracle.compiled(graph).host == () or 0 in np.shape(want)
        oracle.same_bits(got, want, str(spec))


test_reading, test_much_reading = twice(
    *(read, 30, 500), templates(), WAYS, st.booleans(),
    st.sampled_from(["f8", "f4", "i8", "i4", "?"]),
)  # fmt: skip


def update(template: Any, ways: Any, around: bool, name: str, part: str, dtype: str):
    """Repeated indices add up, or the last one stays, whatever axes the arrays stand at."""
    shape, spec, arrays = template
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    where = TABLE["getitem"].evaluate(x, *arrays, spec=spec)
    full = np.shape(where)
    want = {"whole": full, "last": full[-1:], "number": ()}[part]
    v = (2 + np.arange(np.prod(want))).reshape(want).astype(dtype)
    graph, inputs = graph_of(name, [x, v], arrays, spec, ways[: len(arrays)], around)
    assert oracle.compiled(graph).host == () or 0 in full
    for got, good in zip(*oracle.both(graph, inputs), strict=True):
        oracle.same_bits(got, good, str(spec))


test_updating, test_much_updating = twice(
    *(update, 30, 500), templates(), WAYS, st.booleans(),
    st.sampled_from(["index_add", "index_set"]), st.sampled_from(["whole", "last", "number"]),
    st.sampled_from(["f8", "f4", "i8", "?"]),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(templates(), WAYS, st.sampled_from(["getitem", "index_add", "index_set"]), st.data())
def test_out_of_range_raises_what_numpy_raises(template: Any, ways: Any, name: str, data: Any):
    shape, spec, arrays = template
    k = data.draw(st.integers(0, len(arrays) - 1))
    arrays = [np.array(a) for a in arrays]
    axis = [i for i, s in enumerate(spec) if s is SLOT][k]
    n = max(shape)
    bad = data.draw(st.sampled_from([n, -n - 1, n + 7, 2**31 - 1, -(2**31)]))
    arrays[k].reshape(-1)[data.draw(st.integers(0, arrays[k].size - 1))] = bad
    del axis
    x = np.ones(shape)
    args = [x] if name == "getitem" else [x, np.float64(1.0)]
    graph, inputs = graph_of(name, args, arrays, spec, ways[: len(arrays)], False)
    messages = []
    for backend in (NativeBackend(), NumpyBackend()):
        with pytest.raises(IndexError) as error:
            backend.compile(graph).run(inputs)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_a_chain_around_a_lookup_is_one_loop():
    """The numbers looked up, and what they are looked up with, stay in registers."""

    def f(x: Any, i: Any) -> Any:
        return np.sum(np.sqrt(x[i * 2 + 1]) * 3.0)

    graph, _ = oracle.recorded(f, np.ones(9), np.arange(4))
    loops = [s for s in Schedule(graph).steps if isinstance(s, Loop) and s.shape == (4,)]
    assert len(loops) == 1
    assert any(isinstance(item, Gather) for item in loops[0].items)


@pytest.mark.parametrize(
    ("index", "loops"),
    [(np.arange(5), 0), (np.arange(4, -1, -1), 0), (np.array([2]), 0), (np.array([0, 2, 1]), 1)],
)
def test_regular_numbers_that_cannot_change_become_strides(index: Any, loops: int):
    graph, _ = oracle.recorded(lambda x: np.sum(x[fixed(index)]), np.arange(5.0))
    found = [i for s in Schedule(graph).steps if isinstance(s, Loop) for i in s.items]
    assert sum(isinstance(i, Gather) for i in found) == loops


def test_numbers_held_by_reference_are_read_at_each_run():
    index = np.array([0, 1, 2])
    graph, (x,) = oracle.recorded(lambda x: x[index] * 1.0, np.arange(5.0))
    program = oracle.compiled(graph)
    np.testing.assert_array_equal(program.run([x])[0], [0, 1, 2])
    index[:] = [4, 0, -2]
    np.testing.assert_array_equal(program.run([x])[0], [4, 0, 3])
    index[1] = 5
    with pytest.raises(IndexError):
        program.run([x])


def test_a_read_only_view_of_an_array_that_changes():
    base = np.array([0, 1, 2])
    index = base[:]
    index.flags.writeable = False
    graph, (x,) = oracle.recorded(lambda x: x[index] * 1.0, np.arange(5.0))
    program = oracle.compiled(graph)
    base[:] = [4, 0, -2]
    np.testing.assert_array_equal(program.run([x])[0], [4, 0, 3])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
@pytest.mark.parametrize("way", ["input", "held", "fixed"])
def test_empty_arrays(shape: tuple[int, ...], way: str):
    """NumPy looks at the index even where nothing is read, and so do we."""
    x = np.zeros(shape)
    for index in ([], [0], [4]) if shape[0] else ([],):
        arrays = [np.array(index, np.int64)]
        graph, inputs = graph_of("getitem", [x], arrays, (SLOT,), [way], False)
        assert {s.node.op.name for s in Schedule(graph).steps if isinstance(s, Host)} <= {"getitem"}
        outcomes = []
        for backend in (NativeBackend(), NumpyBackend()):
            try:
                outcomes.append(np.shape(backend.compile(graph).run(inputs)[0]))
            except IndexError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("views", [("reshape", "transpose"), ("reshape", "reshape")])
def test_what_shares_memory_is_not_overwritten(views: tuple[str, str]):
    """An update of one view of all of an array leaves the array and its other views alone."""
    b = Builder()
    y = b.add(TABLE["add"], b.input(np.zeros((2, 3))), 1.0)
    made = []
    for name, shape in zip(views, ((6,), (3, 2)), strict=True):
        attrs = {"shape": shape} if name == "reshape" else {"axes": (1, 0)}
        made.append(b.add(TABLE[name], y, **attrs))
    updated = b.add(TABLE["index_set"], made[0], 5.0, spec=(slice(1, 3),))
    late = b.add(TABLE["multiply"], made[1], 2.0)
    graph = verify(b.finish([updated, late]))
    for got, want in zip(*oracle.both(graph, [np.zeros((2, 3))]), strict=True):
        oracle.same_bits(got, want)


def test_gradients_through_lookups():
    rng = np.random.default_rng(0)
    x, i = rng.normal(size=(5, 4)), np.array([0, 3, 3, 1])

    def f(x: Any) -> Any:
        return np.sum(np.sin(x[i, ::-1]) * x[:4, i].T)

    native = wg.jit(wg.grad(f), backend="native")(x)
    np.testing.assert_allclose(native, wg.grad(f)(x), rtol=1e-13)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("length", [2, 3, 4])
def test_updates_that_wait_keep_the_order_in_which_they_read_each_other(length: int, swapped: bool):
    """A node that reads two waiting updates, one of which reads the other, comes after both."""
    x = np.arange(1.0, 6.0)
    b = Builder()
    made = [b.input(x)]
    for i in range(length):
        made.append(b.add(TABLE["index_set"], made[-1], 0.5, spec=(i,)))
    last = made[-1]
    for y, z in zip(made[-2::-1], made[:0:-1], strict=True):
        pair = (z, y) if swapped else (y, z)
        last = b.add(TABLE["add"], last, b.add(TABLE["multiply"], *pair))
    graph = verify(b.finish([last]))
    (want,) = NumpyBackend().compile(graph).run([x])
    np.testing.assert_array_equal(oracle.compiled(graph).run([x])[0], want)
