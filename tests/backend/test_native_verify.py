"""The verifier of native programs finds what it is there for, and what tests run under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest

import wengert as wg
from wengert.backend.native.emit import gemm, parallel
from wengert.backend.native.run import footprint
from wengert.backend.native.run.checked import POISON, CheckedProgram, poison
from wengert.backend.native.schedule import products, schedule
from wengert.backend.native.schedule.layout import View
from wengert.backend.native.schedule.steps import Loop
from wengert.backend.numpy import NumpyBackend, Storage
from wengert.errors import GraphError, VerificationError
from wengert.ir import checking
from wengert.ir.build import Builder
from wengert.ir.graph import Graph, Node, Value
from wengert.ops.base import TABLE

X = np.arange(1.0, 26.0).reshape(5, 5) / 25
LARGE = np.ones((600, 600))
I = np.array([1, 3])  # noqa: E741


def chain(x: Any) -> Any:
    return np.cumsum(np.sort(np.exp(x), axis=0)[::-1], axis=0) * np.sum(x, axis=1, keepdims=True)


def updated(x: Any) -> Any:
    y = np.exp(x)
    z = np.sum(y, axis=0)
    y[1:3] += 1
    y[I] *= z
    return y * z


def kept(x: Any) -> Any:
    y = np.exp(x)
    z = y.copy()
    z[1:3] += 1
    return y + z


def total(x: Any) -> Any:
    return np.sum(np.exp(x), axis=0), np.tanh(x)


def product(x: Any) -> Any:
    return x @ x[::-1]


def straight(x: Any) -> Any:
    a = [x[0, i] for i in range(5)]
    for _ in range(10):
        a = [p * q + np.sin(p) for p, q in zip(a, a[1:] + a[:1], strict=True)]
    return np.stack(a)


def wrongly(monkeypatch: pytest.MonkeyPatch, f: Callable[..., Any], x: Any) -> str:
    """Return what the verifier says of a function that is compiled with a fault."""
    graph, _ = oracle.recorded(f, x)
    with pytest.raises(VerificationError) as caught:
        oracle.compiled(graph)
    return str(caught.value)


@pytest.fixture(autouse=True)
def on():
    before = checking.turn(True)
    yield
    checking.turn(before)


@pytest.mark.parametrize("f", [chain, updated, kept, total, product, straight])
@pytest.mark.parametrize("x", [X, LARGE], ids=["small", "large"])
def test_what_is_made_rightly_passes(f: Any, x: Any):
    graph, leaves = oracle.recorded(f, x)
    program = oracle.compiled(graph)
    assert isinstance(program, CheckedProgram)
    for _ in range(2):
        for got, want in zip(
            program.run(leaves), NumpyBackend().compile(graph).run(leaves), strict=True
        ):
            oracle.close(got, want, 1e6)


def test_buffers_in_one_place(monkeypatch: pytest.MonkeyPatch):
    def arena(buffers: Any) -> int:
        for b in buffers:
            b.offset = 0
        return 1 << 20

    monkeypatch.setattr(footprint, "arena", arena)
    assert "written over" in wrongly(monkeypatch, chain, X)
    assert "written over" in wrongly(monkeypatch, lambda x: np.sort(straight(x)) * straight(x), X)


def test_an_arena_too_small(monkeypatch: pytest.MonkeyPatch):
    place = footprint.arena
    monkeypatch.setattr(footprint, "arena", lambda buffers: place(buffers) - 64)
    assert "outside of the arena" in wrongly(monkeypatch, chain, X)


def test_a_life_that_ends_too_early(monkeypatch: pytest.MonkeyPatch):
    place = footprint.arena

    def arena(buffers: Any) -> int:
        for b in buffers:
            b.last = b.first
        return place(buffers)

    monkeypatch.setattr(footprint, "arena", arena)
    assert "written over" in wrongly(monkeypatch, lambda x: chain(chain(x)), X)


def test_an_update_of_what_is_still_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schedule.Uses, "after", lambda self, x, position: [])
    assert "version 0 is read, and" in wrongly(monkeypatch, kept, X)


def test_an_update_of_what_is_not_ours(monkeypatch: pytest.MonkeyPatch):
    take = schedule.Schedule._take_over

    def take_over(self: Any, position: int, x: Any, v: Any, others: Any) -> View:
        return (
            self.view(x, self.ready(x))
            if x in self.graph.inputs
            else take(self, position, x, v, others)
        )

    monkeypatch.setattr(schedule.Schedule, "_take_over", take_over)
    b = Builder()
    x = b.input(X)
    graph = b.finish([b.add(TABLE["index_add"], x, 1.0, spec=(0,))])
    with pytest.raises(VerificationError, match="what is not ours is written to"):
        oracle.compiled(graph)


def drop(
    monkeypatch: pytest.MonkeyPatch, kind: Callable[[Any], bool], change: Callable[[Any], None]
) -> None:
    """Change the steps of a kind in every schedule that is made."""
    finish = schedule.Schedule._finish

    def finished(self: Any) -> None:
        finish(self)
        for step in self.steps:
            if kind(step):
                change(step)

    monkeypatch.setattr(schedule.Schedule, "_finish", finished)


def test_what_is_never_stored(monkeypatch: pytest.MonkeyPatch):
    drop(monkeypatch, lambda s: isinstance(s, Loop) and s.step == 0, lambda s: s.stores.clear())
    assert "never written" in wrongly(monkeypatch, chain, X)


def test_a_store_of_a_part(monkeypatch: pytest.MonkeyPatch):
    def shorter(loop: Any) -> None:
        loop.stores[:] = [(x, v._replace(strides=(0,) * len(v.strides))) for x, v in loop.stores]

    drop(monkeypatch, lambda s: isinstance(s, Loop) and s.step == 0, shorter)
    assert "never written" in wrongly(monkeypatch, chain, X)


def test_a_read_beyond_the_end(monkeypatch: pytest.MonkeyPatch):
    def further(loop: Any) -> None:
        (item,) = loop.items
        loop.items[:] = [(item[0], [x._replace(offset=1) for x in item[1]])]

    drop(monkeypatch, lambda s: isinstance(s, Loop), further)
    assert "elements 1 to 25 are outside of 0 to 24" in wrongly(monkeypatch, np.exp, X)


def test_a_step_out_of_order(monkeypatch: pytest.MonkeyPatch):
    finish = schedule.Schedule._finish

    def finished(self: Any) -> None:
        finish(self)
        self.steps.reverse()

    monkeypatch.setattr(schedule.Schedule, "_finish", finished)
    assert "stands at place 0" in wrongly(monkeypatch, chain, X)


def test_an_index_that_nobody_checks(monkeypatch: pytest.MonkeyPatch):
    terms = schedule.Schedule._terms
    monkeypatch.setattr(
        schedule.Schedule,
        "_terms",
        lambda *given: tuple(t._replace(checked=False) for t in terms(*given)),
    )
    assert "not checked" in wrongly(monkeypatch, lambda x: x[np.argmax(x, axis=0)], X)


def test_calls_that_blas_refuses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(products, "walkable", lambda *given: True)
    assert "BLAS does not take a call: lda is 1" in wrongly(monkeypatch, product, np.ones((40, 40)))


@pytest.mark.parametrize("field", ["parts", "pieces", "grain"])
def test_products_of_too_few_or_too_many_parts(field: str, monkeypatch: pytest.MonkeyPatch):
    from wengert.backend.native.emit import module

    for change in (-1, 1) if field != "grain" else (-100, 1000):
        monkeypatch.setattr(
            module,
            "product",
            lambda *given, change=change: (p := gemm.product(*given))._replace(
                **{field: getattr(p, field) + change}
            ),
        )
        assert "parts" in wrongly(monkeypatch, product, np.ones((260, 260)))


def test_loops_in_parts_that_leave_something_out(monkeypatch: pytest.MonkeyPatch):
    from wengert.backend.native.emit import module

    for grain in (-30, 1 << 20):
        monkeypatch.setattr(
            module,
            "parts",
            lambda *given, grain=grain: (
                (p := parallel.parts(*given)) and p._replace(grain=p.grain + grain)
            ),
        )
        assert "do not make" in wrongly(monkeypatch, np.exp, LARGE)


def test_parts_of_a_loop_that_write_to_the_same_place(monkeypatch: pytest.MonkeyPatch):
    def everywhere(loop: Any) -> None:
        loop.stores[:] = [(x, v._replace(strides=(0, 1))) for x, v in loop.stores]

    drop(monkeypatch, lambda s: isinstance(s, Loop), everywhere)
    said = wrongly(monkeypatch, np.exp, LARGE)
    assert "parts of a loop write to the same elements" in said


# --- what the tests run under ---------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "?"])
@pytest.mark.parametrize("shape", [(), (3,), (0,), (2, 3)], ids=str)
def test_poison(dtype: str, shape: tuple[int, ...]):
    x = np.zeros(shape, dtype)
    poison(x)
    if x.dtype.kind == "f":
        assert np.isnan(x).all()
    else:
        assert (x.reshape(-1).view(np.uint8) != 0).all()
    assert np.isnan(np.array([POISON], np.uint64).view("f4")).all()


def test_every_run_begins_with_nan(monkeypatch: pytest.MonkeyPatch):
    """A result that the program does not write is not the one of the run before."""
    graph, leaves = oracle.recorded(chain, X)
    program = oracle.compiled(graph)
    good = program.run(leaves)[0]
    assert np.isfinite(good).all()
    program._only = lambda *given: 0
    assert np.isnan(program.run(leaves)[0]).all()
    assert np.isnan(program._arenas[0][0].view(float)).all()


def test_graphs_are_verified_when_they_are_compiled():
    b = Builder()
    x = b.input(X)
    y = b.add(TABLE["exp"], x)
    graph = b.finish([y])
    bad = Graph(
        graph.inputs,
        [*graph.nodes, Node(TABLE["exp"], (Value(aval=x.aval),), {}, (Value(aval=x.aval),))],
        graph.outputs,
        graph.guards,
    )
    for compile in (oracle.compiled, NumpyBackend().compile):
        with pytest.raises(GraphError, match="not defined before"):
            compile(bad)


def test_off_nothing_is_checked():
    checking.turn(False)
    graph, _ = oracle.recorded(chain, X)
    assert type(oracle.compiled(graph)) is not CheckedProgram
    assert "apart" not in NumpyBackend().compile(graph).source


# --- the NumPy backend ----------------------------------------------------------------------------
def test_numpy_looks_at_what_it_writes_over(monkeypatch: pytest.MonkeyPatch):
    """A view that is believed to be a copy is seen when its base is written over."""
    monkeypatch.setattr(Storage, "_memory", lambda self, node, v: v)
    graph, leaves = oracle.recorded(lambda x: (lambda y: (y[:, 1] * 2, y + 1))(np.exp(x)), X)
    program = NumpyBackend().compile(graph)
    assert "apart(" in program.source
    with pytest.raises(VerificationError, match="still has"):
        program.run(leaves)


def test_numpy_knows_views_by_traced_integers():
    """``y[:, i]`` is a view where i is an integer, though it may be another one in each call."""

    def f(x: Any) -> Any:
        y = np.exp(x)
        u = y[:, np.argmax(x[0])]
        return u / np.sum(u) + y[0], y

    graph, leaves = oracle.recorded(f, X)
    for got, want in zip(NumpyBackend().compile(graph).run(leaves), f(X), strict=True):
        oracle.close(got, want, 4)


INDICES = {
    "an integer": lambda y, i: y[i],
    "a column": lambda y, i: y[:, i],
    "an entry": lambda y, i: y[i, i],
    "an entry and an axis": lambda y, i: y[i, i, None],
    "a plane": lambda y, i: y[..., i],
    "with a slice": lambda y, i: y[i, 1:],
    "from behind": lambda y, i: y[::-1, i],
    "twice": lambda y, i: y[i][::2],
}


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("dtype", [float, complex, np.float32], ids=str)
@pytest.mark.parametrize("name", INDICES)
def test_views_at_traced_integers_are_not_written_over(name: str, dtype: Any, backend: str):
    def f(x: Any) -> Any:
        y = np.exp(x)
        u = INDICES[name](y, np.argmax(np.real(x[0])))
        v = u / (1 + np.sum(u))
        w = np.negative(v)
        return np.sum(np.real(v * w)) + np.real(y[1]) - np.sum(np.real(y * y))

    x = X.astype(dtype)
    jitted = wg.jit(f, backend=backend)
    for _ in range(2):
        np.testing.assert_allclose(jitted(x), f(x), rtol=1e-5)
