"""Arrays of any layout go into native code and new ones come out; the arena is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wengert as wg
from wengert.backend.native import NativeBackend
from wengert.backend.native.run.program import NativeProgram
from wengert.backend.native.schedule.layout import ALIGN, Buffer, arena
from wengert.backend.native.schedule.schedule import Schedule
from wengert.ir.build import Builder
from wengert.ir.graph import SLOT
from wengert.ops.base import TABLE

SHAPE = (4, 6)


def unaligned(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a copy that begins at an odd address."""
    raw = np.empty(x.nbytes + 1, np.uint8)
    y = raw[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def readonly(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    y = x.copy()
    y.flags.writeable = False
    return y


def spaced(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    wide = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[::2, 1::3] = x
    return wide[::2, 1::3]


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": np.copy,
    "fortran": np.asfortranarray,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "spaced": spaced,
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "unaligned": unaligned,
    "readonly": readonly,
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
def test_layouts_of_inputs_and_captured_arrays(layout: str, dtype: str):
    x = (np.arange(24.0).reshape(SHAPE) / 4).astype(dtype)
    x = LAYOUTS[layout](x)
    before = x.copy()

    def f(z: Any, w: Any) -> Any:
        return (
            np.sin(z) + w,
            w[1] * z[::-1],
            z.T @ w,
            np.sum(w, axis=0),
            np.max(1 * z[:, ::2], axis=1),
            z[2],
        )

    for g, args in (
        (f, (x, x)),
        (lambda z: f(z, x), (np.ascontiguousarray(x, x.dtype.newbyteorder("=")),)),
    ):
        graph, leaves = oracle.recorded(g, *args)
        for got, want in zip(*oracle.both(graph, leaves), strict=True):
            oracle.close(got, want, 64, layout)
    np.testing.assert_array_equal(x, before)


def test_inputs_of_another_layout_than_recorded():
    graph, _ = oracle.recorded(lambda x, w: (x * w, x @ w.T), np.ones(SHAPE), np.ones(SHAPE))
    program = oracle.compiled(graph)
    x = np.random.default_rng(0).normal(size=SHAPE)
    want = program.run([x, x])
    for name, layout in LAYOUTS.items():
        if name not in ("swapped", "repeated"):  # another dtype, and another content
            for got, y in zip(program.run([layout(x), layout(x)]), want, strict=True):
                oracle.same_bits(got, y, name)


def test_a_captured_array_is_read_at_each_run():
    for layout in ("contiguous", "fortran", "spaced", "backwards", "unaligned"):
        w = LAYOUTS[layout](np.ones(SHAPE))
        f = wg.jit(lambda x, w=w: x + w, backend="native")
        x = np.zeros(SHAPE)
        assert f(x).sum() == 24
        w[1, 2] = 5.0
        assert f(x)[1, 2] == 5, layout
        assert f(x).sum() == 28, layout


def test_zero_sizes_and_many_axes():
    for shape in ((0,), (3, 0), (0, 3), (2, 0, 4), (1,) * 20, (2,) * 12, (1, 2, 1, 3, 1, 1, 2)):
        x = np.random.default_rng(1).normal(size=shape)

        def f(x: Any) -> Any:
            return (
                np.exp(x),
                np.sum(x),
                np.transpose(x) * 2,
                np.sum(x, axis=-1),
                x + np.sum(x, axis=0, keepdims=True),
            )

        graph, leaves = oracle.recorded(f, x)
        oracle.compiled(graph)
        for got, want in zip(*oracle.both(graph, leaves), strict=True):
            oracle.close(got, want, 64, str(shape))


# --- what comes out is the caller's ---------------------------------------------------------------
W = np.arange(24.0).reshape(SHAPE)

RETURNS: dict[str, Callable[..., Any]] = {
    "input": lambda x: x,
    "input twice": lambda x: (x, x),
    "view": lambda x: (x.T, x[1:], x[:, 0], np.reshape(x, (24,)), np.broadcast_to(x, (2, *SHAPE))),
    "captured": lambda x: (W, x + W, W.T),
    "the same twice": lambda x: (lambda y: (y, y, y.T, y[1]))(x * 2),
    "and used": lambda x: (lambda y: (y, np.exp(y), np.sum(y, axis=0), y[0]))(np.sin(x)),
    "repeated": lambda x: np.broadcast_to(np.sum(x, axis=0), SHAPE),
    "from NumPy": lambda x: (np.sort(x, axis=0), np.cumsum(x, axis=1).T),
    "updated": lambda x: (lambda y: (y, np.concatenate([y, x]), x))(np.where(x > 3, x, 0.0)),
    "product": lambda x: (lambda y: (y, y.T, y + 1))(x @ x.T),
    "numbers": lambda x: (np.sum(x), x[0, 0], x[1, 2] * 2, np.sum(x)),
}


@pytest.mark.parametrize("name", RETURNS)
def test_results_share_no_memory(name: str):
    f = RETURNS[name]
    x = np.arange(24.0).reshape(SHAPE)
    graph, leaves = oracle.recorded(f, x)
    program = oracle.compiled(graph)
    want = [np.array(y) for y in program.run(leaves)]
    for y, reference in zip(program.run(leaves), oracle.both(graph, leaves)[1], strict=True):
        oracle.close(y, reference, 64)
    w = W.copy()
    runs = [list(program.run(leaves)) for _ in range(3)]
    everything = [y for ys in runs for y in ys if isinstance(y, np.ndarray)]
    for i, y in enumerate(everything):
        assert y.flags.writeable
        assert y.flags.c_contiguous
        for other in (x, W, *everything[:i]):
            assert not np.shares_memory(y, other)
    for y in everything:
        y[...] = -77.0
    for y, kept in zip(program.run(leaves), want, strict=True):
        np.testing.assert_array_equal(y, kept)
    np.testing.assert_array_equal(W, w)
    np.testing.assert_array_equal(x, np.arange(24.0).reshape(SHAPE))


def test_python_numbers_stay_python_numbers():
    graph, leaves = oracle.recorded(lambda x, n: (x, n, wg.stop_gradient(n), x + n), 2.5, 3)
    for got, want in zip(*oracle.both(graph, leaves), strict=True):
        assert type(got) is type(want)
        assert got == want


def test_what_numpy_makes_an_array_of_is_an_array():
    def f(x: Any) -> Any:
        y = np.reshape(x * 2, ())
        return y, np.where(y > 0, y, 1.0), y + 1, np.sum(x), x[0], x[0, ...]

    graph, leaves = oracle.recorded(f, np.ones(1))
    for got, want in zip(*oracle.both(graph, leaves), strict=True):
        assert type(got) is type(want)


def test_integers_of_python_beyond_64_bits():
    f = wg.jit(lambda x, n: x * n, backend="native")
    assert f(2.0, 3) == 6.0
    assert f(2.0, 2**70) == 2.0 * 2**70


# --- indices out of range -------------------------------------------------------------------------
def scatter(name: str, x: Any, v: Any, *index: Any) -> Any:
    graph = oracle.one_node(name, [x, v, *index], {"spec": (SLOT,) * len(index)})
    return NativeBackend().compile(graph), [x, v, *index]


@pytest.mark.parametrize("name", ["index_add", "index_set"])
@pytest.mark.parametrize("bad", [5, -6, 2**40, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_updates_out_of_range_raise(name: str, bad: int, shape: Any):
    x = np.zeros(shape)
    good = np.array([0, 4, -5, -1, 2])
    program, args = scatter(name, x, np.ones((5, *shape[1:])), good)
    want = TABLE[name].evaluate(*args, spec=(SLOT,))
    np.testing.assert_array_equal(program.run(args)[0], want)
    for place in (0, 3, 4):
        index = good.copy()
        index[place] = bad
        with pytest.raises(IndexError, match="out of bounds"):
            program.run([x, args[1], index])
    np.testing.assert_array_equal(program.run(args)[0], want)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_two_indices_out_of_range_raise(dtype: Any):
    x = np.zeros((3, 4))
    i, j = np.array([0, 2, -1], dtype), np.array([[3], [-4]], dtype)
    program, args = scatter("index_add", x, np.ones((2, 3)), i, j)
    np.testing.assert_array_equal(
        program.run(args)[0], TABLE["index_add"].evaluate(*args, spec=(SLOT, SLOT))
    )
    for wrong in (
        (np.array([0, 3, 0], dtype), j),
        (i, np.array([[0], [4]], dtype)),
        (i, np.array([[-5], [0]], dtype)),
    ):
        with pytest.raises(IndexError, match="out of bounds"):
            program.run([x, args[1], *wrong])


@pytest.mark.parametrize("bad", [5, -6, 2**62])
def test_reading_out_of_range_raises(bad: int):
    f = wg.jit(lambda x, i: (x[i] * 2, np.take(x, i)), backend="native")
    x = np.arange(5.0)
    np.testing.assert_array_equal(f(x, np.array([0, -1, 4]))[0], [0, 8, 8])
    with pytest.raises(IndexError):
        f(x, np.array([0, bad, 1]))
    np.testing.assert_array_equal(f(x, np.array([0, -1, 4]))[1], [0, 4, 4])


def test_an_index_error_comes_after_an_earlier_decision():
    """Where a guard before the update has another outcome, another path is taken, no error."""

    def f(x: Any, i: Any) -> Any:
        if np.sum(i) > 100:
            return x
        return TABLE["index_add"](x, np.ones(2), i, spec=(SLOT,))

    g = wg.jit(f, backend="native")
    x = np.zeros(3)
    np.testing.assert_array_equal(g(x, np.array([0, 1])), [1, 1, 0])
    np.testing.assert_array_equal(g(x, np.array([0, 1000])), x)
    with pytest.raises(IndexError):
        g(x, np.array([0, 50]))


# --- the arena ------------------------------------------------------------------------------------
def check(buffers: list[Buffer], total: int) -> None:
    """Buffers alive at one step do not overlap, and the arena ends with the last of them."""
    for i, a in enumerate(buffers):
        assert a.offset % min(ALIGN, a.dtype.itemsize) == 0
        assert a.offset + a.nbytes <= total
        for b in buffers[:i]:
            together = a.first <= b.last and b.first <= a.last
            apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
            assert apart or not together or 0 in (a.nbytes, b.nbytes)
    end = max((b.offset + b.nbytes for b in buffers), default=0)
    assert end <= total <= end + ALIGN * max(len(buffers), 1)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.integers(0, 300)), max_size=30))
def test_buffers_do_not_overlap(intervals: Any):
    buffers = []
    for first, length, size in intervals:
        b = Buffer("arena", 0, np.dtype(float), size)
        b.first, b.last = first, first + length
        buffers.append(b)
    total = arena(buffers)
    check(buffers, total)
    alive = [sum(b.nbytes for b in buffers if b.first <= t <= b.last) for t in range(40)]
    assert total >= max(alive)


def mixed(x: Any, w: Any) -> Any:
    """Many arrays with different lifetimes."""
    ys = [x]
    for k in range(12):
        y = np.tanh(ys[-1] @ w) + ys[k // 2].T.T
        ys.append(np.cumsum(y, axis=k % 2) / (1 + np.sum(y * y, axis=1, keepdims=True)))
    return np.sum(ys[-1] * ys[3]), ys[5][:2]


@pytest.mark.parametrize(
    "f", [mixed, wg.value_and_grad(lambda x, w: mixed(x, w)[0])], ids=["value", "gradient"]
)
def test_schedules_do_not_overlap(f: Any):
    rng = np.random.default_rng(3)
    args = rng.normal(size=(5, 5)), rng.normal(size=(5, 5))
    graph, leaves = oracle.recorded(f, *args)
    schedule = Schedule(graph)
    inside = [b for b in schedule.buffers if b.kind == "arena"]
    total = arena(inside)
    check(inside, total)
    program = oracle.compiled(graph)
    assert program.peak == total
    got, want = oracle.both(graph, leaves)
    for a, b in zip(got, want, strict=True):
        oracle.close(a, b, 1e5, scale=1.0)


def test_the_peak_is_what_is_allocated(monkeypatch: pytest.MonkeyPatch):
    graph, leaves = oracle.recorded(mixed, np.ones((40, 40)), np.ones((40, 40)))
    program = oracle.compiled(graph)
    assert program.peak > 0
    memory, address = program._new_arena()
    assert memory.nbytes == program.peak
    assert memory.ctypes.data == address
    assert address % ALIGN == 0
    made = []
    new = NativeProgram._new_arena
    monkeypatch.setattr(
        NativeProgram, "_new_arena", lambda self: made.append(new(self)) or made[-1]
    )
    for _ in range(3):
        program.run(leaves)
    assert [m.nbytes for m, _ in made] == [program.peak]  # one, used again


def test_nothing_is_written_outside_the_arena():
    """Guard bytes around it stay."""
    graph, leaves = oracle.recorded(
        wg.value_and_grad(lambda x, w: mixed(x, w)[0]), np.ones((6, 6)), np.eye(6)
    )
    program = oracle.compiled(graph)
    want = program.run(leaves)
    block = np.full(program.peak + 4096 + ALIGN, 0xA5, np.uint8)
    start = 2048 + (-(block.ctypes.data + 2048)) % ALIGN
    program._arenas[:] = [(block[start : start + program.peak], block.ctypes.data + start)]
    for got, y in zip(program.run(leaves), want, strict=True):
        oracle.same_bits(got, y)
    assert (block[:start] == 0xA5).all()
    assert (block[start + program.peak :] == 0xA5).all()


def test_memory_of_an_earlier_run_does_not_matter():
    """The arena is used as it is found: full of NaN."""
    graph, leaves = oracle.recorded(
        wg.value_and_grad(lambda x, w: mixed(x, w)[0]), np.ones((6, 6)), np.eye(6)
    )
    program = oracle.compiled(graph)
    want = program.run(leaves)
    for byte in (0xFF, 0x00):
        for memory, _ in program._arenas:
            memory[...] = byte
        for got, y in zip(program.run(leaves), want, strict=True):
            oracle.same_bits(got, y)


def test_a_builder_without_nodes():
    b = Builder()
    x = b.input(np.ones(3))
    program = oracle.compiled(b.finish([x]))
    assert program.peak == 0
    np.testing.assert_array_equal(program.run([np.arange(3.0)])[0], [0, 1, 2])
