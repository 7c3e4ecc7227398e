"""Patterns of Python functions: problems with known patterns, custom rules, local patterns."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import strategies as st
from twice import twice

import wengert as wg
from wengert.errors import InputError, MutationError, PlanMismatchError, ShapeError
from wengert.matrices.patterns import (
    hessian_pattern,
    hessian_sparsity,
    jacobian_pattern,
    jacobian_sparsity,
)
from wengert.sparse.pattern import SparsityPattern


def nonzeros(matrix, m, n):
    return SparsityPattern.from_dense(np.reshape(matrix, (m, n)))


def dense_jacobian(f, x):
    return nonzeros(wg.jacobian(f)(x), np.size(f(x)), x.size)


def dense_hessian(f, x):
    return nonzeros(wg.hessian(f)(x), x.size, x.size)


def random(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


# --- problems with known patterns -----------------------------------------------------------------
def brusselator(y):
    u, v = y

    def laplacian(a):
        shifts = np.roll(a, 1, 0) + np.roll(a, -1, 0) + np.roll(a, 1, 1) + np.roll(a, -1, 1)
        return shifts - 4 * a

    reaction = u * u * v
    du = 1 + reaction - 4.4 * u + 0.1 * laplacian(u)
    return np.stack([du, 3.4 * u - reaction + 0.1 * laplacian(v)])


def seven_points(x):
    c = x[1:-1, 1:-1, 1:-1]
    sides = (
        x[2:, 1:-1, 1:-1] + x[:-2, 1:-1, 1:-1] + x[1:-1, 2:, 1:-1] + x[1:-1, :-2, 1:-1]
        + x[1:-1, 1:-1, 2:] + x[1:-1, 1:-1, :-2]
    )  # fmt: skip
    return sides - 6 * c + c**3


def pointwise(x):
    return np.sin(x) * np.exp(-x * x) + np.tanh(x)


def arrow(x):
    return np.concatenate([np.reshape(np.sum(x**2), (1,)), x[1:] * x[0] + np.sin(x[1:])])


def projection(cameras, points, i, j):
    """A small bundle adjustment: each observation sees one camera and one point."""
    x = points[j] - cameras[i, :3]
    scaled = x[:, :2] / x[:, 2:] * cameras[i, 3:4]
    return scaled * (1 + cameras[i, 4:5] * np.sum(scaled**2, axis=1, keepdims=True))


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def arrow_energy(x):
    return x[0] * np.sum(x[1:] ** 2) + np.sum(x**3)


def surface(z):
    a, b = z[1:, 1:] - z[:-1, :-1], z[1:, :-1] - z[:-1, 1:]
    return np.sum(np.sqrt(1 + 0.5 * (a * a + b * b)))


JACOBIANS = {
    "brusselator": (brusselator, (2, 6, 6), lambda n: n * 6),
    "seven points": (seven_points, (5, 6, 7), lambda n: 7 * 3 * 4 * 5),
    "pointwise": (pointwise, (4, 5), lambda n: n),
    "arrow": (arrow, (9,), lambda n: 3 * n - 2),
    "prefix sums": (np.cumsum, (8,), lambda n: n * (n + 1) // 2),
    "differences": (np.diff, (8,), lambda n: 2 * (n - 1)),
}
HESSIANS = {
    "rosenbrock": (rosenbrock, (9,), lambda n: 3 * n - 2),
    "arrow": (arrow_energy, (9,), lambda n: 3 * n - 2),
    "surface": (surface, (5, 6), None),
    "sum of cubes": (lambda x: np.sum(x**3), (7,), lambda n: n),
    "linear": (lambda x: np.sum(3 * x) - np.sum(x[::2]), (7,), lambda n: 0),
    "bilinear": (lambda x: x[:3] @ x[3:], (6,), lambda n: n),
    "logsumexp": (lambda x: np.log(np.sum(np.exp(x))), (6,), lambda n: n * n),
    "product": (np.prod, (5,), lambda n: n * (n - 1)),
    "a part is used": (lambda x: np.sum(np.tanh(x)[::2] ** 2), (7,), lambda n: 4),
    "a part of a product": (
        lambda x: np.sum((np.outer(x, x) @ np.ones((4, 2)))[:2] ** 2),
        (4,),
        lambda n: n * n,
    ),
    "norm": (np.linalg.norm, (5,), lambda n: n * n),
    "two blocks": (lambda x: np.sum(x[:2]) ** 2 + np.exp(np.sum(x[2:])), (5,), lambda n: 13),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians_with_known_patterns(name):
    f, shape, count = JACOBIANS[name]
    found = jacobian_pattern(f, random(*shape))
    assert found == dense_jacobian(f, random(*shape, seed=1))
    assert found.nnz == count(int(np.prod(shape)))
    assert jacobian_pattern(f, random(*shape), local=True) == found


@pytest.mark.parametrize("name", HESSIANS)
def test_hessians_with_known_patterns(name):
    f, shape, count = HESSIANS[name]
    found = hessian_pattern(f, random(*shape))
    assert found == dense_hessian(f, random(*shape, seed=1))
    assert found.is_symmetric
    assert count is None or found.nnz == count(int(np.prod(shape)))


def test_large_problems():
    """A dense matrix would not fit, so that only work in proportion to the nonzeros ends."""
    n = 10**5
    x = random(n)
    assert hessian_pattern(rosenbrock, x).nnz == 3 * n - 2
    assert hessian_pattern(arrow_energy, x).nnz == 3 * n - 2
    assert jacobian_pattern(arrow, x).nnz == 3 * n - 2
    assert jacobian_pattern(pointwise, x).nnz == n
    assert jacobian_pattern(brusselator, random(2, 128, 128)).nnz == 6 * 2 * 128**2
    assert jacobian_pattern(seven_points, random(32, 32, 32)).nnz == 7 * 30**3


def test_bundle_adjustment():
    rng = np.random.default_rng(0)
    i, j = rng.integers(0, 4, 30), rng.integers(0, 9, 30)
    cameras, points = random(4, 5), random(9, 3) + 3
    found = jacobian_pattern(projection, cameras, points, i, j, argnums=(0, 1))
    assert found.density == 1  # nothing is known of indices that are arguments
    here = jacobian_sparsity(projection, (cameras, points, i, j), {}, (0, 1), local=True)

    def f(cameras, points):
        return projection(cameras, points, i, j)

    found = jacobian_pattern(f, cameras, points, argnums=(0, 1))
    a, b = wg.jacobian(f, (0, 1))(cameras, points)
    exact = nonzeros(np.concatenate([a.reshape(60, -1), b.reshape(60, -1)], axis=1), 60, 47)
    assert found.covers(exact)
    assert found.nnz == 60 * 8  # x / z and y / z do not know each other; the distortion does
    assert here.pattern == found
    assert here.mismatch(cameras, points, i, j) is None
    assert "depends on i64[30]" in here.mismatch(cameras, points, i[::-1].copy(), j)


# --- sharper than what each operation alone tells -------------------------------------------------
W = np.arange(16.0).reshape(4, 4) - 5  # one zero
LOWER = np.tril(np.ones((4, 4)))
SHARP = {
    "cancelled": (lambda x: x - x[::-1] + x[::-1], 4),
    "cancelled in steps": (lambda x: (x + np.sum(x)) * 1 + x - np.sum(x), 4),
    "nothing left": (lambda x: x - x, 0),
    "constant zeros": (lambda x: np.eye(4) * x, 4),
    "diagonal of a product": (lambda x: np.diag(x) @ np.ones(4), 4),
    "triangle of a matrix": (lambda x: np.tril(np.outer(x, np.ones(4))) @ np.ones(4), 4),
    "matrix with a zero": (lambda x: W @ x, 15),
    "triangular matrix": (lambda x: LOWER @ np.sin(LOWER.T @ x), 16),
    "two triangular matrices": (lambda x: LOWER @ np.sin(LOWER @ x), 10),
    "triangular solution": (lambda x: scipy.special.expit(np.linalg.solve(np.eye(4), x)), None),
    "a power of zero": (lambda x: x ** np.array([0, 1, 2, 0]), 2),
    "a constant choice": (lambda x: np.where([True, False, True, False], x, x[0]), 4),
    "floor": (lambda x: np.floor(x) + np.sign(x) + (x > 1), 0),
    "integers": (lambda x: (x * 3).astype(int) * 1.5, 0),
    "stopped": (lambda x: wg.stop_gradient(x) * x[0], 4),
    "overwritten": (lambda x: overwritten(x), 4),
}


def overwritten(x):
    y = np.cumsum(x)
    y[1:] = x[:-1]
    y[0] = x[3] * 2
    return y


@pytest.mark.parametrize("name", SHARP)
def test_structure_is_used(name):
    f, count = SHARP[name]
    x = random(4)
    found = jacobian_pattern(f, x)
    assert found.covers(dense_jacobian(f, x))
    if count is not None:
        assert found == dense_jacobian(f, x)
        assert found.nnz == count


def test_changed_constants_are_seen():
    w = np.eye(3)
    found = jacobian_sparsity(lambda x: w @ x + w[0] * x, (random(3),), {})
    assert found.pattern.nnz == 3
    assert found.mismatch(random(3)) is None
    w[0, 1] = 2.0
    assert "f64[3,3]" in found.mismatch(random(3))


def test_changed_indices_are_seen():
    i = np.array([0, 2])
    found = jacobian_sparsity(lambda x: x[i], (random(3),), {})
    i[0] = 1
    assert "i64[2]" in found.mismatch(random(3))


# --- local patterns and guards --------------------------------------------------------------------
LOCAL = {
    "branch": lambda x: np.where(x > 1, x * x[0], np.sum(x)),
    "sort": lambda x: np.sort(x) ** 2,
    "median": np.median,
    "largest": np.max,
    "running largest": np.maximum.accumulate,
    "clip": lambda x: np.clip(x, 0.8, 1.2),
    "rectifier": lambda x: np.maximum(x - 1, 0) + x[1],
    "gate": lambda x: (x > 1) * (x * x[1]),
    "computed index": lambda x: x[np.argmin(x)] * x,
    "computed indices": lambda x: x[np.argsort(x)][:2],
    "write": lambda x: written(x),
    "mask": lambda x: np.sum(x[x > 1]),
    "add at": lambda x: added(x),
}


def written(x):
    y = x * 1.0
    y[np.argmax(x)] = x[0] + x[1]
    return y


def added(x):
    y = np.zeros(3, like=x)
    np.add.at(y, (x > 1).astype(int), np.sin(x))
    return y


@pytest.mark.parametrize("name", LOCAL)
def test_local_patterns(name):
    f = LOCAL[name]
    x, others = random(6), [random(6, seed=s) for s in range(1, 6)]
    whole = jacobian_sparsity(f, (x,), {})
    here = jacobian_sparsity(f, (x,), {}, local=True)
    assert here.mismatch(x) is None
    assert here.pattern == dense_jacobian(f, x)
    assert whole.pattern.covers(here.pattern)
    moved = False
    for other in others:
        if name != "mask":  # the number of elements is a decision of its own
            assert whole.mismatch(other) is None
        if whole.mismatch(other) is None:
            assert whole.pattern.covers(dense_jacobian(f, other))
        if here.mismatch(other) is None:
            assert here.pattern.covers(dense_jacobian(f, other))
        else:
            moved = True
    assert moved, "no other point needs another local pattern"


def test_decisions_of_python_are_guards():
    def f(x):
        return x * x[0] if x[0] > 1 else np.cumsum(x)

    low, high = np.array([0.5, 2.0]), np.array([1.5, 2.0])
    found = jacobian_sparsity(f, (low,), {})
    assert found.pattern.nnz == 3
    assert found.mismatch(low) is None
    assert "bool()" in found.mismatch(high)
    with pytest.raises(PlanMismatchError, match="form, shapes"):
        found.mismatch(np.ones(3))


# --- functions with their own derivatives ---------------------------------------------------------
@wg.custom_jvp
def straight(x):
    return np.round(x)


straight.defjvp(lambda xs, ts: (np.round(xs[0]), ts[0]))


@wg.custom_vjp
def backwards(x):
    return np.round(x)


backwards.defvjp(lambda x: (np.round(x), ()), lambda saved, ct: (ct[::-1],))


@wg.custom_jvp
def unrelated(x):
    return np.sum(x) * np.ones(4)


unrelated.defjvp(lambda xs, ts: (np.sum(xs[0]) * np.ones(4), 2 * ts[0]))


@pytest.mark.parametrize("f", [straight, backwards, unrelated], ids=lambda f: f.name)
def test_custom_rules_say_what_the_derivative_is(f):
    x = random(4)
    expected = np.eye(4)[::-1] if f is backwards else np.eye(4)
    assert jacobian_pattern(f, x) == SparsityPattern.from_dense(expected)
    twice = SparsityPattern.from_dense(expected + np.eye(4, k=1)[:, ::1])
    found = jacobian_pattern(lambda x: 2 * f(x) + np.concatenate([x[1:], np.zeros(1)]), x)
    assert found == twice


def test_hessians_through_custom_rules():
    x = random(4)
    assert hessian_pattern(lambda x: np.sum(straight(x) ** 2), x).nnz == 4
    # The gradient is 2 round(x), whose derivative is zero, unless the forward function says that
    # the rule holds for it too.
    assert hessian_pattern(lambda x: np.sum(backwards(x) ** 2), x).nnz == 0
    again = wg.custom_vjp(np.round)
    again.defvjp(lambda x: (again(x), ()), lambda saved, ct: (ct[::-1],))
    assert hessian_pattern(lambda x: np.sum(again(x) ** 2), x).nnz == 4
    soft = hessian_pattern(lambda x: np.sum(straight(x)) ** 2, x)
    assert soft.density == 1


@wg.custom_vjp
def rolled(x):
    return np.sum(x)


rolled.defvjp(lambda x: (np.sum(x), (x,)), lambda saved, ct: (ct * np.roll(saved[0], 1),))


def test_hessians_are_united_with_their_transpose():
    """A rule that is no gradient has no symmetric derivative either."""
    turned = np.roll(np.eye(4), 1, axis=0)
    assert hessian_pattern(rolled, random(4)) == SparsityPattern.from_dense(turned + turned.T)


# --- arguments ------------------------------------------------------------------------------------
def test_several_arguments_and_trees():
    def f(p, y, scale=1.0):
        return {"a": p["w"] * y[0], "b": np.sum(p["v"]) * scale, "c": 3}

    p = {"v": random(2), "w": random(3)}
    found = jacobian_pattern(f, p, random(3), argnums=(1, 0), scale=2.0)
    assert found.shape == (5, 3 + 5)
    expected = np.zeros((5, 8))
    expected[:3, 0] = 1
    expected[:3, 5:] = np.eye(3)
    expected[3, 3:5] = 1
    assert found == SparsityPattern.from_dense(expected)
    assert jacobian_pattern(f, p, random(3), argnums=-1).nnz == 3


def test_scalars_and_empty_arrays():
    assert jacobian_pattern(lambda x: x * 2, 3.0).shape == (1, 1)
    assert jacobian_pattern(lambda x: x * 2, np.zeros((0, 3))).shape == (0, 0)
    assert jacobian_pattern(lambda x: 3.0, random(3)).nnz == 0
    assert jacobian_pattern(lambda x: np.ones(2), random(3)).shape == (2, 3)
    assert hessian_pattern(lambda x: x**3, 2.0).nnz == 1
    assert hessian_pattern(lambda x: 1.0, random(2)).nnz == 0


def test_complex_functions():
    z = random(3) + 1j
    assert jacobian_pattern(lambda z: np.abs(z) * z, z).nnz == 3
    assert jacobian_pattern(lambda z: np.fft.fft(z), z).nnz == 9


def test_what_is_refused():
    with pytest.raises(InputError, match="floating-point"):
        jacobian_pattern(np.sin, 3)
    with pytest.raises(InputError, match="argnums"):
        jacobian_pattern(np.sin, 3.0, argnums=2)
    with pytest.raises(ShapeError, match=r"scalar, but it returned shape \(3,\)"):
        hessian_pattern(np.sin, random(3))
    with pytest.raises(ShapeError, match="complex"):
        hessian_pattern(lambda x: np.sum(x) * 1j, random(3))
    with pytest.raises(MutationError, match="in place"):
        jacobian_pattern(lambda x: np.add(x, 1, out=x), random(3))
    with pytest.raises(InputError, match="plain arrays"):
        wg.grad(lambda x: jacobian_pattern(np.sin, x).nnz * np.sum(x))(random(2))


def test_patterns_that_do_not_fit_say_what_they_would_take():
    with pytest.raises(MemoryError, match=r"100,000,000,000,000 entries .* GiB"):
        hessian_pattern(lambda x: np.log(np.sum(np.exp(x))) ** 2, np.zeros(10**7))


def test_the_hessian_says_what_it_relies_on():
    found = hessian_sparsity(lambda x: np.sum(np.where(x > 1, x**3, x)), (random(4),), {}, 0, True)
    assert found.mismatch(random(4)) is None
    assert found.mismatch(np.zeros(4)) is not None
    assert found.pattern.nnz == np.count_nonzero(random(4) > 1)


# --- random programs ------------------------------------------------------------------------------
STEPS = {
    "sin": lambda x, y: np.sin(x), "square": lambda x, y: x * x, "add": lambda x, y: x + y,
    "product": lambda x, y: x * y, "subtract": lambda x, y: x - y, "flip": lambda x, y: x[::-1],
    "roll": lambda x, y: np.roll(x, 1), "shift": lambda x, y: np.append(x[1:], y[0]),
    "mean": lambda x, y: x - np.mean(x), "outer": lambda x, y: np.outer(x, y)[:, 1],
    "matrix": lambda x, y: np.tril(np.ones((6, 6)), -2) @ x, "sort": lambda x, y: np.sort(x),
    "prefix": lambda x, y: np.cumsum(x), "choice": lambda x, y: np.where(x > y, x, y[0]),
    "largest": lambda x, y: np.maximum(x, y), "pairs": lambda x, y: np.repeat(x[::2], 2) * y[2],
    "fold": lambda x, y: np.tile(np.sum(x.reshape(2, 3), axis=0), 2),
    "floor": lambda x, y: np.floor(x) + y,
    "masked": lambda x, y: x * np.array([1, 0, 1, 0, 1, 0.0]),
    "gather": lambda x, y: x[np.array([5, 0, 0, 2, 3, 1])],
    "scatter": lambda x, y: scattered(x, y), "computed": lambda x, y: x[np.argsort(y)],
}  # fmt: skip


def scattered(x, y):
    z = x * 0.5
    z[1:4] = y[:3]
    np.add.at(z, np.array([0, 0, 5]), x[2:5])
    return z


def check_program(program):
    def f(x):
        values = [x]
        for name, i, j in program:
            a, b = values[-1 - i % min(len(values), 3)], values[j % len(values)]
            values.append(np.tanh(STEPS[name](a, b)))
        return values[-1]

    def energy(x):
        return np.sum(f(x) ** 2) + x[0] * x[1]

    x = random(6)
    whole, here = jacobian_pattern(f, x), jacobian_pattern(f, x, local=True)
    assert whole.covers(here)
    assert here.covers(dense_jacobian(f, x))
    for seed in (1, 2):
        assert whole.covers(dense_jacobian(f, random(6, seed=seed)))
    assert hessian_pattern(energy, x).covers(dense_hessian(energy, random(6, seed=3)))
    assert hessian_pattern(energy, x, local=True).covers(dense_hessian(energy, x))


test_random_programs, test_many_random_programs = twice(
    *(check_program, 30, 400),
    st.lists(
        st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=14,
    ),
)
