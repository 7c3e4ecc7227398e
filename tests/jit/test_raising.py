"""What plain Python raises for values that nothing uses, compiled functions raise as well."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

X = np.linspace(1.0, 2.0, 5)
GOOD, SINGULAR, NEGATIVE = 2.0 * np.eye(3) + 0.1, np.zeros((3, 3)), -np.eye(3)
NAN = np.full((3, 3), np.nan)
TWO, FAR = np.array([2, 1]), np.array([9, 1])


def unused(use):
    """Return a function that uses an argument for nothing."""

    def f(x, p):
        use(x, p)
        return np.sum(x * x)

    return f


def written(x, i):
    y = x.copy()
    y[i] = 1.0


def several(x, i):
    return x.reshape(5, 1)[..., 0][i] + x[i]


CASES = {
    "element": (lambda x, i: x[i], 2, 9),
    "element from the end": (lambda x, i: x[i], -5, -6),
    "element of an array": (lambda x, i: x[i], np.array(2), np.array(5)),
    "elements": (lambda x, i: x[i], TWO, FAR),
    "small integers": (lambda x, i: x[i], TWO.astype(np.int8), FAR.astype(np.int8)),
    "unsigned": (lambda x, i: x[i], TWO.astype(np.uint8), FAR.astype(np.uint8)),
    "rows and columns": (lambda x, i: np.outer(x, x)[i, i[::-1]], TWO, FAR),
    "beside a new axis": (lambda x, i: np.outer(x, x)[None, :, i], TWO, FAR),
    "read several times": (several, TWO, FAR),
    "take": (np.take, TWO, FAR),
    "take_along_axis": (lambda x, i: np.take_along_axis(x, i, 0), TWO, FAR),
    "assignment": (written, TWO, FAR),
    "add.at": (lambda x, i: np.add.at(x.copy(), i, 1.0), TWO, FAR),
    "integer power": (lambda x, i: np.array([2, 3]) ** i, TWO, -TWO),
    "power of itself": (lambda x, i: i**i, TWO, -TWO),
    "division": (lambda x, d: 1.0 / d, 2.0, 0.0),
    "remainder": (lambda x, d: 7 % d, 2, 0),
    "int of NaN": (lambda x, d: int(d), 2.0, np.nan),
    "cholesky": (lambda x, m: np.linalg.cholesky(m), GOOD, NEGATIVE),
    "inv": (lambda x, m: np.linalg.inv(m), GOOD, SINGULAR),
    "solve": (lambda x, m: np.linalg.solve(m, x[:3]), GOOD, SINGULAR),
    "solve with the inverse": (lambda x, m: np.linalg.solve(m, np.linalg.inv(m)), GOOD, SINGULAR),
    "eigh": (lambda x, m: np.linalg.eigh(m), GOOD, NAN),
    "svd": (lambda x, m: np.linalg.svd(m), GOOD, NAN),
    "pinv": (lambda x, m: np.linalg.pinv(m), GOOD, NAN),
    "norm": (lambda x, m: np.linalg.norm(m, 2), GOOD, NAN),
    "matrix_power": (lambda x, m: np.linalg.matrix_power(m, -2), GOOD, SINGULAR),
}

WAYS = {
    "value": lambda f: f,
    "gradient": wg.grad,
    "jacfwd": wg.jacfwd,
    "second": lambda f: wg.hessian(f),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_what_nothing_uses_raises(case, way, backend):
    use, good, bad = CASES[case]
    f = unused(use)
    with pytest.raises(Exception) as plain:  # noqa: PT011 (whatever NumPy raises)
        f(X, bad)
    jitted = wg.jit(WAYS[way](f), backend=backend)
    want = WAYS[way](f)(X, good)
    for _ in range(2):
        np.testing.assert_allclose(jitted(X, good), want, rtol=1e-12)
        with pytest.raises(plain.type):
            jitted(X, bad)


def test_a_linear_read_raises_in_the_gradient(backend):
    gradient = wg.jit(wg.grad(lambda x, i: np.sum(x[i])), backend=backend)
    np.testing.assert_array_equal(gradient(X, TWO), [0, 1, 1, 0, 0])
    with pytest.raises(IndexError):
        gradient(X, FAR)


def test_a_plan_raises_the_same_class(backend):
    for case in ("elements", "integer power", "cholesky"):
        use, good, bad = CASES[case]
        plan = wg.jit(wg.grad(unused(use)), backend=backend).plan(X, good)
        np.testing.assert_allclose(plan(X, good), 2 * X)
        with pytest.raises(Exception) as plain:  # noqa: PT011
            use(X, bad)
        with pytest.raises(plain.type):
            plan(X, bad)


def test_tests_stand_behind_the_decisions_before_them(backend):
    def f(x, i):
        if i < 5:
            np.take(x, i)
        elif x[0] > 0:
            np.take(x, i - 5)
        return np.sum(x)

    jitted = wg.jit(f, backend=backend)
    for i in (2, 7, 3, 9, 1):
        assert jitted(X, i) == f(X, i)
    with pytest.raises(IndexError):
        jitted(X, 12)
    assert jitted.cache_info().specialisations == 2


def test_paths_with_other_tests_are_told_apart(backend):
    """What a path uses differs between paths, and with it which tests are left."""

    def f(x, i, way):
        y = x[i]
        return y * 2.0 if way > 0 else np.sum(x)

    jitted = wg.jit(f, backend=backend)
    for way in (1.0, -1.0, 2.0, -2.0):
        for i in (0, 4, 3):
            assert jitted(X, i, way) == f(X, i, way)
        with pytest.raises(IndexError):
            jitted(X, 8, way)
    assert jitted.cache_info().specialisations == 2


def test_large_arrays_that_wait_while_recording(backend):
    x = np.linspace(0.0, 1.0, 1 << 13)
    jitted = wg.jit(wg.grad(unused(lambda x, i: x[i])), backend=backend)
    np.testing.assert_allclose(jitted(x, TWO), 2 * x)
    with pytest.raises(IndexError):
        jitted(x, TWO + x.size)


def operations(f, *args):
    return [n.op.name for n in wg.jit(f).plan(*args).graph.nodes]


def test_what_is_tested_costs_little():
    """A lookup that nothing uses is a comparison; what raises anyway is not tested again."""
    dead = operations(wg.grad(unused(lambda x, i: x[i])), X, TWO)
    assert "getitem" not in dead
    assert "less" in dead
    alive = operations(wg.grad(lambda x, i: np.sum(x[i])), X, TWO)
    assert "less" not in alive
    twice = operations(wg.grad(unused(lambda x, i: x[i] * np.cos(x)[i])), X, TWO)
    assert twice.count("less") == 1
    solved = operations(unused(lambda x, m: (np.linalg.inv(m), np.linalg.solve(m, x[:3]))), X, GOOD)
    assert sum(name in ("inv", "solve") for name in solved) == 1
    fits = wg.grad(lambda a: np.sum(np.linalg.lstsq(a, X[:3])[0]))
    assert "svd" not in operations(fits, GOOD)
    assert "slogdet" not in operations(unused(lambda x, m: np.linalg.slogdet(m)), X, GOOD)
    known = operations(wg.grad(unused(lambda x, i: x[np.arange(3)])), X, TWO)
    assert "less" not in known


def test_what_a_handler_waits_for_is_computed(backend):
    def f(x, i):
        try:
            x[i]
        except IndexError:
            return np.sum(x) * 3.0
        return np.sum(x)

    jitted = wg.jit(f, backend=backend)
    for i in (1, 9, 2, 10, 11, 4):
        assert jitted(X, i) == f(X, i)


@pytest.mark.parametrize("format", ["csr", "dense"])
def test_sparse_plans_raise(format):
    def f(x, i):
        x[i]
        return x**3

    jacobian = wg.jacobian(f, format=format)
    for _ in range(3):
        assert jacobian(X, TWO).shape == (5, 5)
        with pytest.raises(IndexError):
            jacobian(X, FAR)
