"""Filters that make errors of NumPy's warnings, around calls of what was compiled long before."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest
import scipy.special as sp

import wengert as wg
from wengert.trace import alarm

X = np.array([0.5, 2.0, 3.0])


@pytest.fixture(autouse=True)
def heeding():
    alarm.FILTERS[0], alarm.CALM[0] = True, object()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    alarm.FILTERS[0], alarm.CALM[0] = False, object()


def scanned(x):
    return wg.scan(lambda c, _: (np.log(c), None), x, None, 2)[0]


def chosen(x):
    return np.log(x) if x[0] > -0.75 else np.sum(x)


def handled(x):
    try:
        return np.log(x)
    except RuntimeWarning:
        return x * 7.0


FUNCTIONS = {
    "log": np.log,
    "divide": lambda x: 1.0 / (x - 0.5),
    "overflow": lambda x: np.exp(x * 100.0) ** 2,
    "special": lambda x: sp.gammaln(x) / np.sqrt(x),
    "masked": lambda x: np.where(x > 0, np.log(x), 0.0),
    "quiet in part": lambda x: np.sqrt(np.maximum(x, 0.0)) * x,
    "unused": lambda x: [np.log(x), x + 1][1],
    "gradient": wg.grad(lambda x: np.sum(np.log(x))),
    "hessian": wg.hessian(lambda x: np.sum(np.log(x))),
    "slope": wg.grad(lambda x: np.sum(np.sqrt(x))),  # only its derivative is infinite at 0
    "batch": wg.vmap(np.log),
    "scan": scanned,
    "loop": lambda x: sum(np.log(x + k) for k in range(40)),
    "choice": chosen,
    "handler": handled,
    "number": lambda x: np.float64(1.0) / x[0],
    "own errstate": lambda x: _silently(np.log, x),
}
POINTS = [X, X - 0.5, -X, X * 20.0, X * 0.0 - 1.0]


def _silently(f, x):
    with np.errstate(all="ignore"):
        return f(x)


def outcome(f, x, change):
    with warnings.catch_warnings():
        change()
        try:
            return f(x)
        except RuntimeWarning as error:
            return str(error)


def assert_same(got, want):
    assert isinstance(got, str) == isinstance(want, str), (got, want)
    if isinstance(want, str):
        assert got == want
    else:
        np.testing.assert_allclose(got, want, rtol=1e-12)


def strict():
    warnings.simplefilter("error")


@pytest.mark.share(3)
@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_a_compiled_call_raises_what_numpy_raises(name, backend):
    f = FUNCTIONS[name]
    compiled = wg.jit(f, backend=backend)
    for x in POINTS:
        compiled(x)
    before = compiled.cache_info()
    for x in POINTS + POINTS[::-1]:
        assert_same(outcome(compiled, x, strict), outcome(f, x, strict))
        compiled(x)
    assert compiled.cache_info() == before


CHANGES = {
    "appended": lambda: [
        warnings.resetwarnings(),
        warnings.simplefilter("error", append=True),
    ],
    "some": lambda: warnings.filterwarnings("error", "divide by zero"),
    "of another kind": lambda: warnings.simplefilter("error", DeprecationWarning),
    "hidden by another": lambda: [strict(), warnings.simplefilter("ignore", RuntimeWarning)],
    "reset": lambda: [strict(), warnings.resetwarnings(), warnings.simplefilter("ignore")],
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_the_filters_of_the_moment_count(name):
    compiled = wg.jit(np.log)
    for x in (X, X, X - 0.5, -X, X - 0.5):
        assert_same(outcome(compiled, x, CHANGES[name]), outcome(np.log, x, CHANGES[name]))
        assert not isinstance(outcome(compiled, x, lambda: None), str)


def test_errors_that_are_ignored_raise_nothing():
    compiled = wg.jit(np.log)
    compiled(X)
    strict()
    with np.errstate(all="ignore"):
        assert np.isnan(compiled(-X)).all()
    with pytest.raises(RuntimeWarning, match="invalid value"):
        compiled(-X)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_sparse_matrices(mode):
    sparse = wg.jacobian(np.log, format="csr", mode=mode)
    for x in (X, -X):
        sparse(x), sparse(x)
    strict()
    np.testing.assert_allclose(sparse(X).toarray(), np.diag(1.0 / X))
    with pytest.raises(RuntimeWarning, match="invalid value"):
        sparse(-X)


def test_what_is_compiled_under_such_filters_is_recognised_later():
    compiled = wg.jit(np.log)
    assert isinstance(outcome(compiled, X, strict), np.ndarray)
    compiled(X)
    assert compiled._last.match((X,), {}) is not None


def test_into_writes_nothing_where_numpy_raises():
    compiled, out = wg.jit(np.log), np.empty(3)
    compiled.into(out, X)
    strict()
    with pytest.raises(RuntimeWarning):
        compiled.into(out, -X)
    np.testing.assert_allclose(compiled.into(out, X), np.log(X))


def test_a_budget_keeps_its_memory_and_is_silent():
    compiled = wg.jit(np.log, memory_budget=1 << 16)
    compiled(X)
    strict()
    assert np.isnan(compiled(-X)).all()


def test_a_handler_around_the_call():
    compiled = wg.jit(wg.value_and_grad(lambda x: np.sum(np.log(x))))
    values = []
    for x in (X, -X, X):
        with warnings.catch_warnings(), contextlib.suppress(RuntimeWarning):
            strict()
            values.append(compiled(x)[0])
    assert len(values) == 2
