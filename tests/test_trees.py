"""Pytrees of users: dataclasses, attrs, registered classes; `wg.tree`; arguments by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import wengert as wg
from wengert.errors import InputError, MutationError, ShapeError

X = np.array([0.5, -1.5])


@dataclasses.dataclass
class Layer:
    w: np.ndarray
    b: float
    activation: str = "tanh"
    times: int = 1

    def __call__(self, x):
        for _ in range(self.times):
            x = getattr(np, self.activation)(self.w @ x + self.b)
        return x


@dataclasses.dataclass(frozen=True, slots=True)
class Net:
    layers: list
    scale: float = 1.0


@wg.register
class Plain:
    def __init__(self, a, power):
        self.a = a
        self.power = power


class Slots:
    __slots__ = ("inner", "n")

    def __init__(self, inner, n):
        self.inner, self.n = inner, n


wg.register(Slots, data=["inner"])


W = np.array([[1.0, 0.5], [-0.5, 2.0]])


def net():
    return Net([Layer(W.copy(), 0.1, times=2), Layer(np.eye(2), 0.3)], 2.0)


def loss(model, x):
    for layer in model.layers:
        x = layer(x)
    return model.scale * np.sum(x**2)


def as_dict(model):
    return {
        "layers": [{"w": layer.w, "b": layer.b} for layer in model.layers], "scale": model.scale
    }  # fmt: skip


def loss_of_dict(params, x):
    layers = [Layer(p["w"], p["b"], times=n) for p, n in zip(params["layers"], (2, 1), strict=True)]
    return loss(Net(layers, params["scale"]), x)


@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit], ids=["eager", "jit"])
def test_a_dataclass_has_the_derivatives_of_a_dict(wrap):
    got = wrap(wg.grad(loss))(net(), X)
    want = wg.grad(loss_of_dict)(as_dict(net()), X)
    assert isinstance(got, Net)
    assert [layer.times for layer in got.layers] == [2, 1]
    np.testing.assert_allclose(got.scale, want["scale"])
    for layer, p in zip(got.layers, want["layers"], strict=True):
        np.testing.assert_allclose(layer.w, p["w"])
        np.testing.assert_allclose(layer.b, p["b"])


def test_a_dataclass_in_every_mode():
    y, t = wg.jvp(loss, (net(), X), (net(), X))
    lin = wg.linearize(loss, net(), X)[1]
    np.testing.assert_allclose(lin(net(), X), t)
    _, pull = wg.vjp(loss, net(), X)
    assert isinstance(pull(1.0)[0], Net)
    np.testing.assert_allclose(wg.jit(loss)(net(), X), y)
    assert isinstance(wg.jit(lambda m: Net(m.layers, 2 * m.scale))(net()), Net)
    h = wg.hessian(lambda p: np.sum(p.a**p.power))(Plain(X, 3))
    np.testing.assert_allclose(h.a.a, np.diag(6 * X))


def test_what_is_no_data_is_part_of_the_program():
    f = wg.jit(lambda layer, x: np.sum(layer(x)))
    for times in (1, 3, 1):
        layer = Layer(np.eye(2), 0.1, times=times)
        np.testing.assert_allclose(f(layer, X), np.sum(layer(X)))
    assert f.cache_info().specialisations == 2


def test_a_change_of_an_argument_object_is_refused():
    def f(layer, x):
        layer.times = 5
        return np.sum(layer(x))

    with pytest.raises(MutationError, match="changes an object among its arguments"):
        wg.jit(f)(Layer(np.eye(2), 0.1), X)


def test_attrs_by_themselves():
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class Point:
        x: float
        y: float
        name: str = "p"

    g = wg.jit(wg.grad(lambda p: p.x * np.sin(p.y)))(Point(2.0, 0.5))
    assert (g.name, g.x, g.y) == ("p", pytest.approx(np.sin(0.5)), pytest.approx(2 * np.cos(0.5)))


def test_registered_classes():
    g = wg.grad(lambda p: np.sum(p.a**p.power))(Plain(X, 3))
    assert g.power == 3
    np.testing.assert_allclose(g.a, 3 * X**2)
    g = wg.jit(wg.grad(lambda s: np.sum(s.inner["a"]) * s.n))(Slots({"a": X}, 4))
    np.testing.assert_array_equal(g.inner["a"], [4, 4])
    for wrong, part in [
        (lambda: wg.register(Plain), "registered already"),
        (lambda: wg.register(Plain(X, 2)), "takes a class, not a Plain"),
        (lambda: wg.grad(lambda s: s.n)(object.__new__(Slots)), "no attribute 'inner'"),
    ]:
        with pytest.raises(InputError, match=part):
            wrong()


def test_the_place_in_an_object_is_named():
    with pytest.raises(InputError, match=r"argument 0\.layers\[0\]\.w has dtype int64"):
        wg.grad(loss)(Net([Layer(np.eye(2, dtype=int), 0.1)]), X)


# --- wg.tree --------------------------------------------------------------------------------------
def test_tree():
    tree = {"b": [1.0, 2.0], "a": np.ones((2, 2), np.float32), "c": None}
    assert len(wg.tree.leaves(tree)) == 3
    assert wg.tree.map(np.shape, tree) == {"b": [(), ()], "a": (2, 2), "c": None}
    assert wg.tree.map(lambda x, y: x + y, [1, (2,)], [3, (4,)]) == [4, (6,)]
    flat, unravel = wg.tree.ravel(tree)
    np.testing.assert_array_equal(flat, [1, 1, 1, 1, 1, 2])
    back = unravel(flat)
    assert back["a"].dtype == np.float32
    np.testing.assert_array_equal(back["a"], tree["a"])
    with pytest.raises(ShapeError, match="one form"):
        wg.tree.map(lambda x, y: x, [1, 2], [1])
    with pytest.raises(ShapeError, match=r"shape \(6,\), not \(2,\)"):
        unravel(X)
    with pytest.raises(InputError, match=r"tree\['a'\] is a str"):
        wg.tree.ravel({"a": "text"})


def test_a_function_of_a_tree_as_one_of_a_vector():
    flat, unravel = wg.tree.ravel(net())
    f = lambda v: loss(unravel(v), X)  # noqa: E731
    want = wg.tree.ravel(wg.grad(loss)(net(), X))[0]
    np.testing.assert_allclose(wg.grad(f)(flat), want)
    np.testing.assert_allclose(wg.jit(wg.grad(f))(flat), want)


# --- arguments by name ----------------------------------------------------------------------------
def g(w, b, *, s=1.0):
    return np.sum(w**2) * b * s


BY_NAME = {
    "keyword": (lambda: wg.grad(g)(w=X, b=3.0), 6 * X),
    "second by keyword": (lambda: wg.grad(g, argnums=1)(X, b=3.0), np.sum(X**2)),
    "argnames": (lambda: wg.grad(g, argnames="b")(X, 3.0), np.sum(X**2)),
    "keyword only": (lambda: wg.grad(g, argnames="s")(X, 3.0, s=1.0), 3 * np.sum(X**2)),
    "jit": (lambda: wg.jit(wg.grad(g, argnames="s"))(X, 3.0, s=1.0), 3 * np.sum(X**2)),
    "value": (lambda: wg.value_and_grad(g, argnames="w")(X, 3.0)[1], 6 * X),
    "laplacian": (lambda: wg.laplacian(g, argnames="b")(X, b=3.0), 0),
    "diagonal": (lambda: wg.hessian_diagonal(g, argnames="w")(X, b=3.0), np.full(X.shape, 6.0)),
    "jacobian": (lambda: wg.jacrev(lambda x, y: x * y, argnames="y")(X, y=X), np.diag(X)),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_arguments_by_name(name):
    run, want = BY_NAME[name]
    np.testing.assert_allclose(run(), want)


def test_several_arguments_by_name():
    found = wg.grad(g, argnames=["b", "w"])(X, b=3.0)
    assert list(found) == ["b", "w"]
    np.testing.assert_allclose(found["w"], 6 * X)
    first, second = wg.grad(g, (1, 0))(b=3.0, w=X)
    np.testing.assert_allclose(first, np.sum(X**2))
    np.testing.assert_allclose(second, 6 * X)


WRONG = {
    "no such name": (lambda: wg.grad(g, argnames="q")(X, 3.0), "the arguments are w, b"),
    "not given": (lambda: wg.grad(g, argnames="s")(X, 3.0), "names 's', which this call does not"),
    "no names": (lambda: wg.grad(g, argnames=3), "must be a string or a sequence of strings"),
    "twice": (lambda: wg.grad(g, argnames=("w", "w"))(X, 3.0), "twice"),
    "called already": (lambda: wg.grad(g(X, 1.0)), r"write wg.grad\(f\)\(x\), not wg.grad\(f\(x"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    run, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        run()


# --- integers -------------------------------------------------------------------------------------
def test_integers_are_allowed_when_asked_for():
    both = wg.grad(lambda x, n: np.sum(x) * n, (0, 1), allow_int=True)(X, 3)
    np.testing.assert_array_equal(both[0], [3, 3])
    assert both[1] == 0
    d = {"x": X, "i": np.array([0, 0])}
    found = wg.jit(wg.grad(lambda d: np.sum(d["x"][d["i"]]), allow_int=True))(d)
    np.testing.assert_array_equal(found["x"], [2, 0])
    np.testing.assert_array_equal(found["i"], [0, 0])
    y, zero = wg.value_and_grad(np.argmax, allow_int=True)(X)
    assert y == 0
    np.testing.assert_array_equal(zero, [0, 0])
    with pytest.raises(InputError, match="returned int64, which has no derivative"):
        wg.grad(np.argmax)(X)


# --- elementwise_grad, eval_shape -----------------------------------------------------------------
def test_elementwise_grad():
    twice = wg.elementwise_grad(wg.elementwise_grad(lambda x: x**3))
    np.testing.assert_allclose(twice(X), 6 * X)
    np.testing.assert_allclose(wg.jit(wg.elementwise_grad(np.tanh))(X), 1 - np.tanh(X) ** 2)
    np.testing.assert_allclose(wg.elementwise_grad(lambda x, y: x * y, 1)(2.0, y=3.0), 2.0)
    with pytest.raises(ShapeError, match=r"shape of its argument, \(2,\), but it returned \(\)"):
        wg.elementwise_grad(np.sum)(X)


def layers(p, x):
    h = np.tanh(x @ p["w"] + p["b"])
    return h, np.sum(h, axis=-1, keepdims=True), h[:, ::2].astype(np.float32)


def filled(x):
    y = np.zeros(len(x))
    for i in range(len(x)):
        y[i] = x[i] ** 2
    return y.reshape(-1, 1)


SHAPES = {
    "layers": (layers, ({"w": np.ones((4, 3)), "b": np.ones(3)}, np.ones((7, 4), np.float32))),
    "filled": (filled, (X,)),
    "solve": (np.linalg.solve, (np.eye(3), np.ones((3, 2)))),
    "gradient": (wg.grad(lambda x: np.sum(np.sin(x) ** 2)), (X,)),
    "jit": (wg.jit(np.cumsum), (np.ones((2, 3)),)),
    "integers": (lambda x, n: np.tile(x, n) > 0, (X, 3)),
    "complex": (lambda x: np.fft.rfft(x), (np.ones(8),)),
    "batch": (wg.vmap(lambda x: np.outer(x, x)), (np.ones((4, 3)),)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_eval_shape(name):
    f, args = SHAPES[name]
    want = wg.tree.map(lambda y: wg.Shape(np.shape(y), np.asarray(y).dtype), f(*args))
    assert wg.eval_shape(f, *args) == want
    shaped = wg.tree.map(
        lambda x: wg.Shape(x.shape, x.dtype) if isinstance(x, np.ndarray) else x, args
    )
    assert wg.eval_shape(f, *shaped) == want


def test_eval_shape_computes_nothing():
    made = wg.eval_shape(lambda a, b: a @ b, wg.Shape((10**6, 10**6)), wg.Shape((10**6, 3)))
    assert repr(made) == "Shape((1000000, 3), float64)"
    with pytest.raises(wg.errors.ConversionError, match="only its shape is known"):
        wg.eval_shape(lambda x: x if x[0] > 0 else -x, X)
