"""The probe of sparse matrices: points of its own, and rounding noise that is no error."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.errors import SparsityError
from wengert.matrices import trials
from wengert.matrices.functions import PatternWarning
from wengert.matrices.patterns import jacobian_pattern
from wengert.sparse.detection import rules

X = np.random.default_rng(3).random(7) + 0.1


# --- a given pattern that lacks what is zero at the first point -----------------------------------
def cubes(u):
    return u**3 + np.roll(u, -1) * 2


def switched(u, on=0.0):
    """What is missing is switched off by an argument."""
    return u * 2 + on * np.roll(u, -1)


def products(u):
    return u[1:] * u[:-1]


def energy(u):
    return np.sum(u**3) + np.sum(u[1:] * u[:-1]) + u[0] ** 2 * u[-1] ** 2


N = 7
RING = np.roll(np.eye(N), 1, axis=1)
BAND = np.eye(N) + np.eye(N, k=1) + np.eye(N, k=-1)

GIVEN = {
    "cubes at 0": (wg.jacobian, cubes, RING, (np.zeros(N),)),
    "cubes at 0, csc": (wg.jacobian, cubes, RING, (np.zeros(N),)),
    "an argument that is 0": (wg.jacobian, switched, np.eye(N), (X, 0.0)),
    "products at 0": (wg.jacobian, products, np.eye(N - 1, N), (np.zeros(N),)),
    "a Hessian at 0": (wg.hessian, energy, BAND, (np.zeros(N),)),
    "a Hessian at 0 without its diagonal": (wg.hessian, energy, BAND - np.eye(N), (np.zeros(N),)),
    "at infinity": (wg.jacobian, cubes, RING, (np.full(N, np.inf),)),
    "at NaN": (wg.jacobian, cubes, RING, (np.full(N, np.nan),)),
    "some at NaN": (wg.jacobian, cubes, RING, (np.where(np.arange(N) < 3, np.nan, 0.0),)),
}
OPTIONS = {
    "csr": {"format": "csr"},
    "csc": {"format": "csc"},
    "dense": {},
    "forward": {"format": "csr", "mode": "forward"},
    "reverse": {"format": "csr", "mode": "reverse"},
    "both": {"format": "csr", "mode": "both"},
    "chunks": {"format": "csr", "mode": "forward", "chunk_size": 1},
}


@pytest.mark.share(4)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", GIVEN)
def test_given_patterns_that_lack_entries_elsewhere(name, options):
    """The first matrix is right, and says so; none is ever wrong."""
    kind, f, pattern, args = GIVEN[name]
    made = kind(f, sparsity=pattern, **OPTIONS[options])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            made(*args)
        except SparsityError:
            assert not np.isfinite(args[0]).all()
        else:
            assert [w.category for w in told] == [PatternWarning]
            assert "at another point has entries that it lacks" in str(told[0].message)
    other = (X, *[a + 1.0 for a in args[1:]])
    for _ in range(2):
        with pytest.raises(SparsityError, match="given pattern is wrong"):
            made(*other)
    with pytest.raises(SparsityError, match="given pattern is wrong"):
        kind(f, sparsity=pattern, **OPTIONS[options]).plan(*args)


@pytest.mark.parametrize("name", GIVEN)
def test_patterns_that_hold(name):
    """The whole pattern is accepted at the same first points, and so is too large a one."""
    kind, f, _, args = GIVEN[name]
    other = (X, *[a + 1.0 for a in args[1:]])
    want = kind(f)(*other)
    for pattern in ((want != 0) * 1.0, np.ones(want.shape)):
        made = kind(f, sparsity=pattern, format="csr")
        made(*args)
        np.testing.assert_allclose(made(*other).toarray(), want, rtol=1e-12, atol=1e-12)


def test_saved_plans_are_tried_elsewhere_too(tmp_path):
    """A plan whose example is not finite cannot be compared there."""
    f = lambda u: u**2 + np.roll(u, 1)  # noqa: E731
    for example in (np.full(N, np.nan), np.zeros(N), X):
        plan = wg.jacobian(f, format="csr", mode="forward").plan(example)
        plan.save(tmp_path / "good.npz")
        np.testing.assert_allclose(
            wg.load_plan(tmp_path / "good.npz", f)(X).toarray(), wg.jacobian(f)(X)
        )
        with np.load(tmp_path / "good.npz") as file:
            arrays = dict(file)
        arrays["indices"] = (arrays["indices"] + 1) % N
        arrays["indices"] = np.sort(arrays["indices"].reshape(N, 2), axis=1).reshape(-1)
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises((SparsityError, wg.errors.DataError)):
            wg.load_plan(tmp_path / "bad.npz", f)


def test_other_paths_and_points_where_the_function_fails():
    """A point on another path through the code says nothing, nor one that the function refuses."""

    def positive(u):
        if u[0] < 5:  # only there
            return u**2
        return u**2 + np.roll(u, 1)

    np.testing.assert_allclose(
        wg.jacobian(positive, sparsity=np.eye(N), format="csr")(X).toarray(), np.diag(2 * X)
    )

    def picky(u):
        if np.any(wg.stop_gradient(u) != np.round(u)):
            raise ValueError("whole numbers only")
        return u**2

    x = np.arange(7.0)
    np.testing.assert_allclose(
        wg.jacobian(picky, sparsity=np.eye(N), format="csr")(x).toarray(), np.diag(2 * x)
    )


def test_points():
    given = [np.zeros(3), np.array([1e300, -1e-300]), np.array([np.nan, np.inf, 2.0]), 3, 2.0,
             np.float32(4.0), np.array([1, 2]), np.zeros((0, 2))]  # fmt: skip
    for tried in trials.points(given):
        for point in tried:
            for x, y in zip(given, point, strict=True):
                assert type(x) is type(y)
                assert np.shape(x) == np.shape(y)
                assert np.asarray(x).dtype == np.asarray(y).dtype
                assert np.isfinite(y).all()
                if np.asarray(x).dtype.kind == "f" and np.size(x):
                    assert np.all(np.asarray(x) != y)
                else:
                    np.testing.assert_array_equal(x, y)


# --- noise ----------------------------------------------------------------------------------------
def softmax(x):
    return np.exp(x) / np.sum(np.exp(x))


NOISE = {
    "sum of softmax": (wg.hessian, lambda x: np.sum(softmax(x))),
    "log of sum of softmax": (wg.hessian, lambda x: np.log(np.sum(softmax(x)))),
    "sine and cosine": (wg.jacobian, lambda x: np.sin(x) ** 2 + np.cos(x) ** 2),
    "their sum": (wg.hessian, lambda x: np.sum(np.sin(x) ** 2 + np.cos(x) ** 2)),
    "norms of lines": (wg.hessian, lambda x: np.sum(np.linalg.norm(x[:, None], axis=1))),
    "norms of rows": (
        wg.hessian,
        lambda x: np.sum(np.linalg.norm(np.stack([x, 2 * x], 1), axis=1)),
    ),
    "exp of log": (wg.jacobian, lambda x: np.exp(np.log(x)) - x),
    "hyperbolic": (wg.jacobian, lambda x: np.cosh(3 * x) ** 2 - np.sinh(3 * x) ** 2),
    "mean of centred": (wg.jacobian, lambda x: np.mean(x - np.mean(x)) + 0 * x[:2]),
    "of one degree": (wg.hessian, lambda x: np.sqrt(np.sum(x * x)) * np.sum(x) / np.sum(x)),
    "a quotient": (wg.jacobian, lambda x: x**3 / (x * x) - x),
    "a third": (wg.jacobian, lambda x: (x / 3 + x / 3 + x / 3) - x * 0.1 * 10),
    "large and small": (wg.jacobian, lambda x: (1e8 * np.sin(x)) ** 2 + (1e8 * np.cos(x)) ** 2),
    "a matrix": (wg.jacobian, lambda x: np.linalg.inv(np.diag(x + 1)) @ np.diag(x + 1) @ x - x),
    "a determinant": (wg.hessian, lambda x: np.log(np.linalg.det(np.diag(np.exp(x))))),
    "a cumulative one": (wg.jacobian, lambda x: np.cumsum(x) - np.cumsum(x[::-1])[::-1][0] + x),
    "complex": (wg.jacobian, lambda x: np.abs(np.exp(1j * x) * np.exp(-0.5j * x))),
    "complex square": (wg.jacobian, lambda x: np.real(np.exp(3j * x) * np.exp(-3j * x))),
    "subnormal 32": (
        wg.jacobian,
        lambda x: np.float32(1e-3) ** (13 + (x - np.mean(x) + x / 3).astype("f")) * np.float32(0.1),
    ),
    "subnormal 64": (wg.jacobian, lambda x: 1e-3 ** (105.5 + x * x - np.sum(x) / 9)),
    "float32": (wg.jacobian, lambda x: np.sin(x.astype("f")) ** 2 + np.cos(x.astype("f")) ** 2),
}


@pytest.mark.share(4)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", NOISE)
def test_noise_is_no_error(name, options):
    kind, f = NOISE[name]
    options = {"sparsity": "auto", **OPTIONS[options]}
    if kind is wg.hessian and options.get("mode") == "both":
        options["mode"] = "auto"
    got = kind(f, **options)(X)
    got = got.toarray() if hasattr(got, "toarray") else got
    atol = 1e-5 if "32" in name else 1.0 if "large" in name else 1e-9
    np.testing.assert_allclose(got, kind(f)(X), rtol=1e-6, atol=atol * 10)


def random_program(rng, n):
    """A function of n numbers with an exactly known sparse part and parts that cancel."""
    kinds = rng.integers(0, 4, 3).tolist()
    scale = 10.0 ** rng.integers(-6, 7)
    places = rng.permutation(n)

    def f(x):
        y = scale * np.sin(x[places]) * x
        for kind in kinds:
            if kind == 0:
                y = y + scale * (np.sin(x) ** 2 + np.cos(x) ** 2)
            elif kind == 1:
                y = y + (np.exp(x) / np.exp(x) - 1.0) * scale
            elif kind == 2:
                y = y * (x / x)
            else:
                y = y + scale * (np.sqrt(x * x) - x)
        return y

    return f


@pytest.mark.parametrize("seed", range(12))
def test_both_sides_on_random_programs(seed):
    """No alarm for what is right, and always one for an entry that is taken away."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    f, x = random_program(rng, n), rng.uniform(0.3, 2.0, n)
    pattern = jacobian_pattern(f, x).todense() != 0
    want = wg.jacobian(f)(x)
    for mode in ("auto", "forward", "reverse"):
        got = wg.jacobian(f, sparsity=pattern, format="csr", mode=mode)(x)
        np.testing.assert_allclose(got.toarray(), want, rtol=1e-6, atol=1e-8 * np.abs(want).max())
    large = np.argwhere(np.abs(want) > 1e-3 * np.abs(want).max())
    i, j = large[rng.integers(len(large))]
    less = pattern.copy()
    less[i, j] = False
    for mode in ("auto", "forward", "reverse"):
        with pytest.raises(SparsityError, match="given pattern is wrong"):
            wg.jacobian(f, sparsity=less, format="csr", mode=mode)(x)


@pytest.mark.parametrize("name", ["sine and cosine", "sum of softmax", "their sum"])
def test_a_wrong_rule_beside_noise_is_caught(name, monkeypatch):
    """As a row of the table that claims that a sine depends on nothing."""
    found = rules.spread

    def spread(walk, node, parts):
        if node.op.name in ("sin", "exp", "power"):
            return [walk.space.nothing(y.shape) for y in node.outputs]
        return found(walk, node, parts)

    monkeypatch.setattr("wengert.sparse.detection.detect.spread", spread)
    _, f = NOISE[name]
    g = lambda x: np.sin(x) * np.exp(x) * x**3 + f(x)  # noqa: E731
    with pytest.raises(SparsityError, match="is wrong"):
        wg.jacobian(g, format="csr", mode="forward")(X)


# --- numbers in contractions ----------------------------------------------------------------------
ZEROS = {
    "einsum of a sum": lambda x: np.einsum("i,j->i", x, np.zeros(2)),
    "a product with a number": lambda x: np.einsum(",i->i", 0.0, x),
    "a product with an empty sum": lambda x: np.einsum("i,j->i", x, np.zeros(0)),
    "some zeros": lambda x: np.einsum("i,jk->i", x, np.zeros((2, 2))) + x,
    "a number": lambda x: np.tensordot(np.zeros(()), x, 0) + x[::-1],
    "an inner product": lambda x: np.inner(np.zeros(7), x) * x,
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ZEROS)
def test_contractions_with_zeros(name, options):
    f = ZEROS[name]
    got = wg.jacobian(f, **{"sparsity": "auto", **OPTIONS[options]})(X)
    got = got.toarray() if hasattr(got, "toarray") else got
    np.testing.assert_allclose(got, wg.jacobian(f)(X))
    assert wg.hessian(lambda x: np.sum(f(x) ** 2), format="csr")(X).shape == (7, 7)
