"""The function that is written for a program does what `run` does."""

import gc
import weakref

import native_oracle as oracle
import numpy as np
import pytest

import wengert as wg
from wengert.backend.native.run.checked import CheckedProgram
from wengert.backend.native.run.program import QUICK, NativeProgram
from wengert.ir.graph import GuardMiss

X = np.linspace(-2.0, 3.0, 6)


def guarded(x):
    return x * 2 if x[0] < 0 else -x


CASES = {
    "an array": (lambda x: np.exp(x), (X,)),
    "two results": (lambda x, y: (x * y, np.sum(x)), (X, X + 1)),
    "a number": (lambda x, a: a * np.sum(x), (X, 2.5)),
    "numbers only": (lambda a, b: a * b + 1, (2.5, 4)),
    "a result of the kind of its argument": (lambda a: np.transpose(a), (np.array(2.0),)),
    "without axes": (lambda a: np.reshape(a * 2, ()), (np.float32(1.5),)),
    "reversed": (lambda x: x * 3, (X[::-1],)),
    "of a large array": (lambda x: x @ x.T + 1, (np.arange(12.0).reshape(4, 3)[:, ::-1],)),
    "a scan": (lambda x: np.cumsum(np.sin(x)), (X,)),
    "nothing": (lambda: (), ()),
    "no argument": (lambda: np.ones(3), ()),
    "many": (lambda xs: [x + 1 for x in xs], ([X] * QUICK,)),
}


def same(got, want):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert type(a) is type(b)
        oracle.same_bits(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("kind", [NativeProgram, CheckedProgram])
@pytest.mark.parametrize(("f", "args"), CASES.values(), ids=CASES)
def test_results_are_those_of_run(f, args, kind):
    graph, leaves = oracle.recorded(f, *args)
    program = kind(graph)
    quick = program.quick()
    for _ in range(2):
        same(quick(leaves), program.run(leaves))
    assert all(y is not x for x in leaves for y in quick(leaves) if isinstance(y, np.ndarray))


@pytest.mark.parametrize("x", [np.array(2.0), 2.0, np.float64(2.0)])
def test_results_are_of_the_kind_of_their_argument(x):
    graph, _ = oracle.recorded(CASES["a result of the kind of its argument"][0], x)
    program = oracle.compiled(graph)
    for other in (np.array(3.0), 3.0, np.float64(3.0)):
        same(program.quick()([other]), program.run([other]))


def test_decisions_are_asked_again():
    graph, _ = oracle.recorded(guarded, X)
    quick = oracle.compiled(graph).quick()
    for _ in range(2):
        with pytest.raises(GuardMiss) as miss:
            quick([-X])
        assert (miss.value.index, miss.value.outcome) == (0, False)
        same(quick([X]), [2 * X])


def test_numbers_that_native_code_cannot_hold():
    graph, _ = oracle.recorded(lambda n, x: x * n, 3, X)
    program = oracle.compiled(graph)
    same(program.quick()([10**30, X]), [X * 10**30])


def test_memory_goes_with_the_program():
    graph, leaves = oracle.recorded(lambda x: np.cumsum(np.exp(x)), X)
    program = NativeProgram(graph)
    quick = program.quick()
    quick(leaves)
    seen = weakref.ref(program)
    gc.disable()
    try:
        del program
        assert seen() is not None
        del quick
        assert seen() is None
    finally:
        gc.enable()


def test_jit_runs_it(monkeypatch: pytest.MonkeyPatch):
    made = []
    quick = NativeProgram.quick
    monkeypatch.setattr(NativeProgram, "quick", lambda self: made.append(self) or quick(self))
    f = wg.jit(np.exp)
    np.testing.assert_allclose(f(X), np.exp(X), rtol=1e-14)
    assert len(made) == 1
