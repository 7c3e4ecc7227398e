"""vmap equals a loop over the examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wengert as wg
from wengert.errors import MutationError, ShapeError

RNG = np.random.default_rng(3)
A, B = RNG.uniform(0.2, 1.5, size=(5, 4, 3)), RNG.uniform(0.2, 1.5, size=(5, 3))
M = RNG.uniform(-1, 1, size=(5, 3, 3)) + 2 * np.eye(3)
W = RNG.normal(size=(3, 4))
PLACES = np.array([[0, 2, 1], [1, 1, 0], [2, 0, 2], [0, 0, 0], [1, 2, 2]])

FUNCTIONS = {
    "broadcasting": lambda a, b: a * b + np.tanh(a) / (1 + b),
    "scalars of examples": lambda a, b: a[0, 1] * b + b[2] - b @ b,
    "matmul with a shared matrix": lambda a, b: a @ W + W.T @ b[:, None],
    "matmul": lambda a, b: a @ b + (b @ a.T) * 2,
    "einsum": lambda a, b: np.einsum("ij,j,kj->ik", a, b, a),
    "tensordot": lambda a, b: np.tensordot(a, np.outer(b, b), axes=([1], [0])),
    "outer, kron": lambda a, b: np.kron(np.outer(b, b), a[:2]),
    "reductions": lambda a, b: (
        np.sum(a, axis=0) * np.max(a, axis=-1)[0] + a.prod() + np.mean(a, 1).var()
    ),
    "keepdims": lambda a, b: (
        a / np.linalg.norm(a, axis=1, keepdims=True) - a.std(axis=0, keepdims=True)
    ),
    "logsumexp": lambda a, b: np.logaddexp.reduce(a, axis=1) + np.log(np.sum(np.exp(b))),
    "cumulative": lambda a, b: np.cumsum(a, axis=0) + np.cumprod(b) + np.diff(a, axis=1).sum(),
    "sort": lambda a, b: np.sort(a, axis=0) * np.argsort(b) + np.median(a, axis=0),
    "argmax": lambda a, b: a[np.argmax(a, axis=0), np.arange(3)] * b[np.argmin(b)],
    "where": lambda a, b: np.where(a > b, a**2, np.clip(b, 0.3, 0.9)),
    "maximum": lambda a, b: np.maximum(a, b) - np.minimum(a, 0.5) + np.abs(a - b),
    "shapes": lambda a, b: a.reshape(2, 6).T.ravel()[::-1].reshape(3, 4).swapaxes(0, 1) + b[None],
    "concatenate": lambda a, b: np.concatenate([a, b[None], np.ones((1, 3))]) + np.stack([b] * 6),
    "split, pad, roll, flip": lambda a, b: (
        np.roll(np.pad(np.flip(np.split(a, 2)[1], 0), 1), 1, 0) * 2
    ),
    "tile, repeat": lambda a, b: np.tile(b, (2, 2)) + np.repeat(a[:2], 2, axis=1),
    "slices": lambda a, b: a[1:, ::2] * b[None, 1:] + a[..., -1][:3, None],
    "integer arrays": lambda a, b: a[[0, 2, 2]] + a[:, [1, 1, 0]][:3] + a[[0, 1, 2], [0, 1, 2]],
    "mixed indices": lambda a, b: a[None, [0, 1], :2] + a[1, [0, 2]] + b[np.array([[0], [1]])],
    "a shared mask": lambda a, b: (
        a[np.array([True, False, True, True])] * b[np.array([True, False, True])][0]
    ),
    "in place": lambda a, b: in_place(a, b),
    "linear algebra": lambda a, b: (
        np.linalg.solve(a.T @ a, b) + np.linalg.inv(a.T @ a + np.eye(3)) @ b
    ),
    "determinant": lambda a, b: np.linalg.det(a.T @ a) + np.linalg.slogdet(a.T @ a + np.eye(3))[1],
    "diagonal, triangle": lambda a, b: (
        np.diag(b) + np.tril(a[:3]) + np.diagonal(a) + np.trace(a[:3])
    ),
    "a shared argument only": lambda a, b: np.sin(W) @ np.cos(W).T,
    "comparison results": lambda a, b: (a > b) & (a < 1.0),
    "integers": lambda a, b: np.floor(a * 3).astype(int) + np.arange(3),
    "loop": lambda a, b: sum(np.sin(row) @ b for row in a),
    "derivative": lambda a, b: wg.grad(lambda z: np.sum(np.sin(z @ b) ** 2))(a),
    "jvp": lambda a, b: wg.jvp(lambda z: np.outer(z, z) @ b, (b,), (a[0],))[1],
    "jacobian": lambda a, b: wg.jacobian(lambda z: np.sin(a @ z))(b),
    "interp": lambda a, b: (
        np.interp(np.linspace(0.3, 1.3, 4), np.arange(3.0), b)
        + np.interp(b[0], np.arange(3.0), W[:, 0])
    ),
    "several results": lambda a, b: {"sum": a.sum(), "both": (b, a * 2), "none": None},
}


def in_place(a, b):
    y = 0 * a * b  # mapped whichever of the two is
    y[1:] = a[:-1] * b
    y[[0, 2, 0]] += b
    y[2] *= a[0, 0]
    v = y.T
    v[0] = b[1]
    np.add.at(y, [0, 0], b)
    z = np.zeros_like(y)
    z += b
    return y + z


def looped(f, *args):
    results = [f(*parts) for parts in zip(*args, strict=True)]
    flat = [wg.trees.flatten(r) for r in results]
    stacked = [np.stack(leaves) for leaves in zip(*(leaves for leaves, _ in flat), strict=True)]
    return flat[0][1](stacked)


def assert_same(got, expected, **options):
    a, _ = wg.trees.flatten(got)
    b, _ = wg.trees.flatten(expected)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, **{"rtol": 1e-12, "atol": 1e-13, **options})


@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_a_loop(name, wrap):
    f = FUNCTIONS[name]
    assert_same(wrap(wg.vmap(f))(A, B), looped(f, A, B))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_shared_argument(name):
    f = FUNCTIONS[name]
    assert_same(wg.vmap(f, in_axes=(0, None))(A, B[0]), looped(lambda a: f(a, B[0]), A))
    assert_same(wg.vmap(f, in_axes=(None, 0))(A[0], B), looped(lambda b: f(A[0], b), B))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_examples(name):
    f = FUNCTIONS[name]

    def total(a, b):
        leaves, _ = wg.trees.flatten(f(a, b))
        return sum(np.sum(np.sin(y * 1.0)) for y in leaves)

    both = wg.grad(total, argnums=(0, 1))
    assert_same(wg.vmap(both)(A, B), looped(both, A, B), rtol=1e-10, atol=1e-12)
    tangent = lambda a, b: wg.jvp(total, (a, b), (np.cos(a), b * b))[1]  # noqa: E731
    assert_same(wg.vmap(tangent)(A, B), looped(tangent, A, B), rtol=1e-10, atol=1e-12)


def test_batched_indices():
    assert_same(wg.vmap(lambda b, i: b[i])(B, PLACES), looped(lambda b, i: b[i], B, PLACES))
    table = B[0]  # plain, read at mapped places
    assert_same(wg.vmap(lambda i: np.asarray(table, like=i)[i])(PLACES), table[PLACES])
    assert_same(
        wg.vmap(lambda a, i: a[1:, i] + a[i, None, 0].T)(A[:, :3], PLACES),
        looped(lambda a, i: a[1:, i] + a[i, None, 0].T, A[:, :3], PLACES),
    )
    take = lambda a, i: np.take_along_axis(a, i[None], axis=1)  # noqa: E731
    assert_same(wg.vmap(take)(A, PLACES), looped(take, A, PLACES))

    def scatter(b, i):
        y = np.zeros(4, like=b)
        y[i] = b
        np.add.at(y, i, 1.0)
        return y

    assert_same(wg.vmap(scatter)(B, PLACES), looped(scatter, B, PLACES))


IN_AXES = [
    ((0, 0), A, B),
    ((1, 0), np.moveaxis(A, 0, 1), B),
    ((-1, -1), np.moveaxis(A, 0, -1), B.T),
    ((2, 1), np.moveaxis(A, 0, 2), B.T),
    ([0, 0], A, B),
    (0, A, B),
]


@pytest.mark.parametrize(("axes", "a", "b"), IN_AXES)
def test_in_axes(axes, a, b):
    f = FUNCTIONS["broadcasting"]
    assert_same(wg.vmap(f, in_axes=axes)(a, b), looped(f, A, B))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_out_axes(axis):
    f = FUNCTIONS["broadcasting"]
    assert_same(wg.vmap(f, out_axes=axis)(A, B), np.moveaxis(looped(f, A, B), 0, axis))


def test_trees_of_axes():
    def f(p, x):
        return {"y": p["w"] @ x + p["b"], "s": (np.sum(x), p["b"])}

    params = {"w": A[0], "b": RNG.normal(size=(4, 5))}
    got = wg.vmap(f, in_axes=({"w": None, "b": 1}, 0), out_axes={"y": 1, "s": (0, -1)})(params, B)
    np.testing.assert_allclose(got["y"], A[0] @ B.T + params["b"])
    np.testing.assert_allclose(got["s"][0], B.sum(axis=1))
    np.testing.assert_allclose(got["s"][1], params["b"])
    got = wg.vmap(f, in_axes=(None, 0), out_axes=({"y": 0, "s": (0, None)}))(
        {"w": A[0], "b": np.ones(4)}, B
    )
    np.testing.assert_array_equal(got["s"][1], np.ones(4))


def test_keywords_are_mapped_along_axis_0():
    got = wg.vmap(lambda x, *, scale: x * scale)(B, scale=np.arange(5.0))
    np.testing.assert_allclose(got, B * np.arange(5.0)[:, None])


def test_an_unmapped_result_is_repeated_and_writable():
    got = wg.vmap(lambda b: np.ones(2))(B)
    assert got.shape == (5, 2)
    got += 1


def test_numbers_and_lists():
    np.testing.assert_allclose(wg.vmap(lambda x: 2.0)(B), np.full(5, 2.0))
    np.testing.assert_allclose(wg.vmap(lambda x: x**2)([1.0, 2.0][0] * np.ones(3)), np.ones(3))


def test_size_one_and_zero():
    assert wg.vmap(np.sin)(np.ones((1, 3))).shape == (1, 3)
    assert wg.vmap(lambda x: np.sum(np.sin(x)))(np.ones((0, 3))).shape == (0,)
    assert wg.vmap(wg.grad(lambda x: np.sum(np.sin(x))))(np.ones((0, 3))).shape == (0, 3)


def test_a_decision_that_all_examples_share():
    """A branch on what does not differ along the batch is an ordinary branch."""

    def f(x, t):
        return x * 2 if t > 0 and len(x) == 3 else x

    np.testing.assert_allclose(wg.vmap(f, in_axes=(0, None))(B, 1.0), 2 * B)
    np.testing.assert_allclose(wg.vmap(f, in_axes=(0, None))(B, -1.0), B)


def test_products_of_shapes_that_do_not_fit():
    """An axis of length 1 is not spread, in a batch either."""
    x = np.ones((2, 1, 3))
    for f in (lambda x: x @ x[:, :0], lambda x: x @ np.ones((1, 2)), lambda x: x @ x[:, :1]):
        with pytest.raises(ValueError, match="matmul"):
            f(x[0])  # NumPy's own
        with pytest.raises(ShapeError, match="matmul"):
            wg.vmap(f)(x)


INDICES = [np.array([2, 0, 1, 0]), np.array([[1, 0], [2, 2], [0, 1]])]
BESIDE = [(), (slice(None),), (slice(None), slice(None)), (slice(None, None, -1),), (0,), (None,)]


@pytest.mark.parametrize("places", INDICES, ids=["line", "table"])
@pytest.mark.parametrize("before", BESIDE, ids=str)
@pytest.mark.parametrize("after", [(), (Ellipsis,), (slice(1, None),), (None,)], ids=str)
@pytest.mark.parametrize("differs", [False, True], ids=["shared", "own"])
def test_reads_at_places_are_those_of_each_example(places, before, after, differs):
    """Values and their order in memory; an update of a reshape is seen, lost or refused."""
    x = np.arange(2 * 3 * 3 * 3 * 3.0).reshape(2, 3, 3, 3, 3)
    where = np.stack([places, places[::-1]])

    def read(x, places):
        y = x[(*before, places, *after)]
        return y, np.ravel(y, "K"), np.sin(y).reshape(-1)

    def update(x, places):
        y = x[(*before, places, *after)]
        y.reshape(-1)[1:] *= 2.0
        return (y,)

    for f in (read, update):
        rows = [f(x[k], where[k] if differs else places) for k in (0, 1)]
        shared = lambda x, f=f: f(x, places)  # noqa: E731
        try:
            found = wg.vmap(f)(x, where) if differs else wg.vmap(shared)(x)
        except MutationError:
            assert f is update
            continue
        for k, y in enumerate(found):
            np.testing.assert_array_equal(y, np.stack([row[k] for row in rows]))


@pytest.mark.parametrize(
    "f",
    [
        lambda z: float(np.sum(z)) * z,
        lambda z: z ** float(z[0]),
        lambda z: np.where(z > 0.3, z[0].item(), z),
        lambda z: (float(z[0]) + 1) * z.astype("f2"),
        lambda z: complex(z[0]) * z,
        lambda z: float(z[0]) * np.arange(3),
        lambda z: np.hypot(z, math.sin(z[1])),
        lambda z: float(z[0]) * 2,
    ],
)
def test_a_number_of_a_row_takes_on_the_dtype_of_arrays(f):
    z = np.linspace(0.1, 1, 6, dtype="f4").reshape(2, 3)
    ways = (
        f,
        lambda z: wg.vjp(f, z)[0],
        lambda z: wg.jvp(f, (z,), (z,)),
        wg.grad(lambda z: np.sum(np.real(f(z)))),
    )
    for way in ways:
        rows = [wg.tree.leaves(way(row)) for row in z]
        for function in (wg.vmap(way), wg.jit(wg.vmap(way))):
            for y, want in zip(wg.tree.leaves(function(z)), zip(*rows, strict=True), strict=True):
                assert y.dtype == np.result_type(want[0])
                np.testing.assert_allclose(y, np.stack(want), rtol=3e-3)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize(
    "row", [lambda r: r, lambda r: r[::-1], np.sin, lambda r: r[:2], lambda r: r[None].T]
)
def test_results_are_new_arrays_in_c_order(row, axes, order):
    def f(z):
        t = wg.vmap(row, *axes)(z)
        flat = t.reshape(-1)
        flat[1:] *= 3
        t[0] += z[0, 0]
        return t, z * 1, flat

    z = np.array(np.arange(1.0, 10).reshape(3, 3), order=order)
    wanted = f(z.copy("K"))
    assert wanted[0].flags.c_contiguous
    for function in (lambda z: wg.vjp(f, z)[0], wg.jit(f), wg.jit(f, backend="numpy")):
        for y, want in zip(function(z), wanted, strict=True):
            np.testing.assert_allclose(y, want, rtol=1e-14)
