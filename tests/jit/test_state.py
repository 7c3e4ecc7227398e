"""What a compiled function looks up outside of its arguments: a change of it is seen."""

from __future__ import annotations

import random
import types
import warnings

import numpy as np
import pytest
import scipy.sparse as sps
from jit_use import assert_same
from state_cases import BY_REFERENCE, CONTENT, STATE, reset

import wengert as wg
from wengert.errors import PlanMismatchError, UnsupportedError
from wengert.jit.fallback import NotCompiled
from wengert.jit.planned_function import TooManySpecialisations

X = np.array([0.3, -0.4, 0.9])


def applied(J):
    return lambda x: J(x) @ np.ones(3)


WAYS = {
    "jit": lambda f: wg.jit(f),
    "numpy": lambda f: wg.jit(f, backend="numpy"),
    "jit of a gradient": lambda f: wg.jit(wg.grad(lambda x: np.sum(f(x) * x))),
    "jit of vmap": lambda f: wg.jit(lambda x: wg.vmap(lambda _: f(x))(np.ones(2))),
    "csr": lambda f: wg.jacobian(lambda x: f(x) * x, format="csr"),
    "coloured": lambda f: wg.jacobian(lambda x: f(x) * x, format="csc", mode="forward"),
    "hessian": lambda f: wg.hessian(lambda x: np.sum(f(x) * x), sparsity="auto"),
    "operator": lambda f: applied(wg.jacobian(f, format="operator")),
}
EAGER = {
    "jit": lambda f: f,
    "numpy": lambda f: f,
    "jit of a gradient": lambda f: wg.grad(lambda x: np.sum(f(x) * x)),
    "jit of vmap": lambda f: lambda x: np.stack([f(x), f(x)]),
    "csr": lambda f: wg.jacfwd(lambda x: f(x) * x),
    "coloured": lambda f: wg.jacfwd(lambda x: f(x) * x),
    "hessian": lambda f: wg.hessian(lambda x: np.sum(f(x) * x)),
    "operator": lambda f: lambda x: wg.jvp(f, (x,), (np.ones(3),))[1],
}


def dense(y):
    return y.toarray() if sps.issparse(y) else np.asarray(y)


@pytest.mark.share(3)
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("name", list(STATE))
def test_a_change_is_seen(name, way):
    reset()
    f, change = STATE[name]()
    compiled, eager = WAYS[way](f), EAGER[way](f)
    before = np.array(eager(X))
    for _ in range(3):
        np.testing.assert_allclose(dense(compiled(X)), before, rtol=1e-12, atol=1e-15)
    change()
    after = eager(X)
    assert not np.array_equal(after, before)
    for _ in range(3):
        np.testing.assert_allclose(dense(compiled(X)), after, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [n for n in STATE if n != "with a counter"])
def test_without_a_change_there_is_one_recording(name):
    reset()
    f, change = STATE[name]()
    compiled = wg.jit(f)
    for _ in range(4):
        compiled(X)
    assert compiled.cache_info()[:3] == (1, 1, 1)
    change()
    for _ in range(4):
        compiled(X)
    assert compiled.cache_info()[:3] == (2, 1, 2)


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("name", list(CONTENT))
def test_the_content_of_arrays(name, backend):
    f, before, after = CONTENT[name]
    for padding in (0, 40_000):  # a large array is compared by a checksum
        w = np.array(before)
        if padding and w.ndim == 1 and w.dtype.kind == "f" and name in ("w[1] * x", "w.sum()"):
            w = np.concatenate([w, np.zeros(padding)])
        compiled = wg.jit(lambda x, w=w: f(w, x), backend=backend)
        for content in (before, after, before):
            w[: len(content)] = content
            for _ in range(3):
                assert_same(compiled(X), f(w, X))
        assert compiled.cache_info().traces == 2


@pytest.mark.parametrize("name", list(BY_REFERENCE))
def test_operands_are_referred_to(name):
    w = np.ones(3)
    f = BY_REFERENCE[name]
    compiled = wg.jit(lambda x: f(w, x))
    for k in range(5):
        w[:] = k + np.arange(3.0)
        assert_same(compiled(X), f(w, X))
    assert compiled.cache_info().traces == 1


def test_arguments_that_can_change():
    w = types.SimpleNamespace(w=2.0, unused=1)
    f = wg.jit(lambda o, x: o.w * x)
    assert_same(f(w, X), 2 * X)
    w.unused = 5
    assert_same(f(w, X), 2 * X)
    assert f.cache_info().traces == 1
    w.w = 3.0
    assert_same(f(w, X), 3 * X)
    s = {1, 2}
    count = wg.jit(lambda s, x: len(s) * x)
    assert_same(count(s, X), 2 * X)
    s.add(3)
    assert_same(count(s, X), 3 * X)
    b = bytearray(b"\x02")
    first = wg.jit(lambda b, x: b[0] * x)
    assert_same(first(b, X), 2 * X)
    b[0] = 5
    assert_same(first(b, X), 5 * X)
    A = sps.csr_array(np.eye(3))
    diagonal = wg.jit(lambda x: A.diagonal() * x)
    assert_same(diagonal(X), X)
    A.data *= 10
    assert_same(diagonal(X), 10 * X)


def test_methods():
    class Fit:
        def __init__(self):
            self.rate, self.data, self.calls = 2.0, np.ones(3), 0

        @wg.jit
        def step(self, x):
            self.calls += 1
            return self.rate * x * self.data

    a, b = Fit(), Fit()
    b.rate = 5.0
    for _ in range(2):
        assert_same(a.step(X), 2 * X)
        assert_same(b.step(X), 5 * X)
    a.rate = 3.0
    a.data[:] = 2.0  # an operand: seen without another recording
    assert_same(a.step(X), 6 * X)
    a.data = np.zeros(3)
    assert_same(a.step(X), 0 * X)
    assert Fit.step.cache_info().traces == 4


def test_what_is_only_written_does_not_count():
    log, n = [], 0

    def f(x):
        nonlocal n
        n += 1
        log.append(1)
        return 2 * x

    compiled = wg.jit(f)
    for _ in range(3):
        compiled(X)
    assert (n, len(log)) == (1, 1)


def test_a_state_that_changes_at_each_call():
    k = 0.0

    def f(x):
        return k * x

    compiled = wg.jit(f, max_specialisations=3)
    for k in (1.0, 2.0, 3.0):
        assert_same(compiled(X), k * X)
    k = 4.0
    with pytest.warns(TooManySpecialisations, match="looks up outside"):
        compiled(X)
    for k in (4.0, 5.0, 1.0):
        assert_same(compiled(X), k * X)
    assert compiled.cache_info().traces <= 4


def test_states_are_found_again():
    k = 0.0
    compiled = wg.jit(lambda x: k * x)
    for k in (1.0, 2.0, 1.0, 2.0, 1.0):
        assert_same(compiled(X), k * X)
    assert compiled.cache_info().traces == 2


def test_plans_say_that_they_do_not_hold():
    k = 2.0
    f = lambda x: k * x  # noqa: E731
    plan, matrix = wg.jit(f).plan(X), wg.jacobian(f, format="csr").plan(X)
    assert_same(plan(X), 2 * X)
    matrix(X)
    k = 3.0
    for p in (plan, matrix):
        with pytest.raises(PlanMismatchError, match="looks up outside of its arguments"):
            p(X)


def test_within_a_trace_it_runs_once():
    def f(x):
        runs = []
        buffer = x * 1.0

        def inner(y):
            runs.append(1)
            buffer[:] = buffer * 2
            return np.sum(buffer) * y

        y = wg.jit(inner)(2.0) + np.sum(buffer)
        assert len(runs) == 1
        return y

    assert wg.grad(f)(X).tolist() == [6, 6, 6]
    value, tangent = wg.jvp(f, (X,), (np.ones(3),))
    assert_same(np.asarray(value), np.asarray(f(X)))
    assert tangent == 18


GENERATOR, LEGACY, PYTHON = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
DRAWS = {
    "Generator": lambda x: x + GENERATOR.normal(size=3),
    "method of a Generator": (lambda draw: lambda x: x + draw(3))(GENERATOR.random),
    "numpy.random": lambda x: x * np.random.rand(3),  # noqa: NPY002
    "RandomState": lambda x: x + LEGACY.rand(3),
    "random": lambda x: x * random.random(),
    "random.Random": lambda x: x * PYTHON.random(),
    "an argument": None,
}


@pytest.mark.parametrize("name", list(DRAWS))
def test_random_numbers(name):
    f = DRAWS[name]
    if f is None:
        rng = np.random.default_rng(1)
        given = wg.jit(lambda r, x: x + r.normal(size=3))
        f = lambda x: given(rng, x)  # noqa: E731
        call = f
    else:
        call = wg.jit(f)
        with pytest.raises(UnsupportedError, match="random"):
            wg.jacobian(f, format="csr")(X)
    with pytest.warns(NotCompiled, match="draws random numbers"):
        first = call(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.any(first != call(X))


def test_a_generator_of_its_own_is_no_state():
    f = wg.jit(lambda x: x + np.random.default_rng(0).normal(size=3))
    assert_same(f(X), f(X))
    assert f.cache_info().traces == 1


def test_modules_only_are_nothing_to_compare():
    f = wg.jit(lambda x: np.sum(np.sin(x)))
    f(X)
    ((_, state),) = f._trees
    assert state.is_empty


@pytest.mark.parametrize("kind", [list, dict])
def test_a_container_that_holds_itself(kind):
    """The content counts, and a container within itself ends the comparison."""
    held = {0: 2.0} if kind is dict else [2.0, None]
    held[1] = held
    f = wg.jit(lambda x: np.sum(x) * held[0])
    assert f(np.ones(3)) == 6.0
    held[0] = 5.0
    assert f(np.ones(3)) == 15.0
