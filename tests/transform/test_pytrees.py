"""Arguments and results that are dicts, lists, tuples, named tuples, None, and nests of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import wengert as wg


class Params(NamedTuple):
    w: np.ndarray
    b: float


W, B, C = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.5]), 1.5

TREES = {
    "dict": ({"w": W, "b": B}, lambda p: np.sum((p["w"] @ p["b"]) ** 2)),
    "list": ([W, B], lambda p: np.sum((p[0] @ p[1]) ** 2)),
    "tuple": ((W, B), lambda p: np.sum((p[0] @ p[1]) ** 2)),
    "named tuple": (Params(W, 2.0), lambda p: np.sum(p.w**2) * p.b),
    "nested": (
        {"layers": [{"w": W, "b": B}, {"w": W + 1, "b": B}], "scale": (C,)},
        lambda p: (
            np.sum((p["layers"][0]["w"] @ p["layers"][1]["w"]) * p["layers"][0]["b"])
            * p["scale"][0]
        ),
    ),
    "with None": ({"w": W, "none": None, "b": B}, lambda p: np.sum((p["w"] @ p["b"]) ** 2)),
    "empty": ({"w": W, "rest": []}, lambda p: np.sum(p["w"] ** 2)),
    "numbers": ([1.0, {"a": 2.0}], lambda p: p[0] ** 2 * p[1]["a"]),
    "one array": (W, lambda p: np.sum(p**2)),
}


def leaves_of(tree):
    return wg.trees.flatten(tree)[0]


def differences(f, tree, h=1e-6):
    leaves, rebuild = wg.trees.flatten(tree)
    grads = []
    for k, x in enumerate(leaves):
        g = np.zeros(np.shape(x))
        for i in np.ndindex(g.shape):
            ends = []
            for sign in (1, -1):
                moved = np.array(x)
                moved[i] += sign * h
                ends.append(f(rebuild([*leaves[:k], moved[()], *leaves[k + 1 :]])))
            g[i] = (ends[0] - ends[1]) / (2 * h)
        grads.append(g)
    return grads


@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", TREES)
def test_the_gradient_has_the_form_of_the_argument(name, wrap):
    tree, f = TREES[name]
    g = wrap(wg.grad(f))(tree)
    assert type(g) is type(tree)
    leaves, rebuild = wg.trees.flatten(tree)
    marks = [object() for _ in leaves]
    assert wg.trees.flatten(g)[1](marks) == rebuild(marks)
    for got, x, expected in zip(leaves_of(g), leaves, differences(f, tree), strict=True):
        assert np.shape(got) == np.shape(x)
        np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", TREES)
def test_jvp_and_vjp_of_trees(name):
    tree, f = TREES[name]
    vector = lambda p: {"value": f(p), "scaled": [np.stack([f(p), 2 * f(p)]), None]}  # noqa: E731
    tangent = wg.trees.map_leaves(lambda x: np.cos(x) * 1.0, tree)
    y, t = wg.jvp(vector, (tree,), (tangent,))
    _, push = wg.linearize(vector, tree)
    value, pull = wg.vjp(vector, tree)
    assert type(y) is type(t) is type(value) is dict
    assert y["scaled"][1] is t["scaled"][1] is None
    np.testing.assert_allclose(value["value"], f(tree))
    expected = sum(
        np.sum(g * v) for g, v in zip(differences(f, tree), leaves_of(tangent), strict=True)
    )
    for got in (t, push(tangent)):
        np.testing.assert_allclose(got["value"], expected, rtol=1e-6)
        np.testing.assert_allclose(got["scaled"][0], [expected, 2 * expected], rtol=1e-6)
    ct = {"value": 1.0, "scaled": [np.array([0.5, 2.0]), None]}
    (g,) = pull(ct)
    for got, want in zip(leaves_of(g), differences(f, tree), strict=True):
        np.testing.assert_allclose(got, 5.5 * want, rtol=1e-6)


def test_jacobian_of_trees():
    def f(p, x):
        return {"y": p["w"] @ x + p["b"], "s": np.sum(x**2) * p["b"][0]}

    p, x = {"w": W, "b": B}, np.array([0.3, 0.7])
    for transform in (wg.jacfwd, wg.jacrev, wg.jacobian):
        j = transform(f, argnums=(0, 1))(p, x)
        by_p, by_x = j["y"]
        np.testing.assert_allclose(by_p["w"], np.einsum("ik,l->ikl", np.eye(2), x))
        np.testing.assert_allclose(by_p["b"], np.eye(2))
        np.testing.assert_allclose(by_x, W)
        by_p, by_x = j["s"]
        np.testing.assert_allclose(by_p["w"], np.zeros((2, 2)))
        np.testing.assert_allclose(by_p["b"], [x @ x, 0])
        np.testing.assert_allclose(by_x, 2 * x * B[0])


def test_hessian_of_trees():
    h = wg.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 3.0, "b": 2.0})
    assert h["a"]["a"] == 4
    assert h["a"]["b"] == h["b"]["a"] == 6
    assert h["b"]["b"] == 0
    h = wg.hessian(lambda a, b: np.sum(a * b**2), argnums=(0, 1))(B, B + 1)
    np.testing.assert_allclose(h[0][1], np.diag(2 * (B + 1)))
    np.testing.assert_allclose(h[1][1], np.diag(2 * B))


def test_hvp_of_trees():
    f = lambda p: np.sum(p["w"] ** 3) * p["c"]  # noqa: E731
    t = wg.hvp(f, ({"w": W, "c": C},), ({"w": np.ones((2, 2)), "c": 2.0},))
    np.testing.assert_allclose(t["w"], 6 * W * C + 3 * W**2 * 2)
    np.testing.assert_allclose(t["c"], np.sum(3 * W**2))


def test_vmap_of_trees():
    xs = [Params(np.arange(6.0).reshape(3, 2), np.arange(3.0)), None]
    got = wg.vmap(lambda p: Params(np.sum(p[0].w), {"b": p[0].b * 2, "n": p[1]}))(xs)
    assert type(got) is Params
    np.testing.assert_array_equal(got.w, [1, 5, 9])
    np.testing.assert_array_equal(got.b["b"], [0, 2, 4])
    assert got.b["n"] is None


def test_a_class_registered_with_optree():
    import optree

    class Point:
        def __init__(self, x, y):
            self.x, self.y = x, y

    everywhere = getattr(optree.registry, "__GLOBAL_NAMESPACE")
    optree.register_pytree_node(
        Point, lambda p: ((p.x, p.y), None), lambda _, xy: Point(*xy), namespace=everywhere
    )
    g = wg.grad(lambda p: p.x * np.sin(p.y))(Point(2.0, 0.5))
    assert (g.x, g.y) == (np.sin(0.5), 2 * np.cos(0.5))


def test_stop_gradient_of_trees():
    def f(p):
        q = wg.stop_gradient(p)
        return np.sum(p["a"] * q["a"]) + q["b"] ** 2

    g = wg.grad(f)({"a": B, "b": 2.0})
    np.testing.assert_array_equal(g["a"], B)
    assert g["b"] == 0
