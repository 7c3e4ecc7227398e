"""The worked cases of the five texts that the project started from (anchors, section 1).

| number | text |
|---|---|
| 000 | Stack Exchange, *Why is the backward pass about twice the forward pass?* |
| 001 | Stack Exchange, *Is backpropagation just the chain rule?*, and j-towns, *A new trick* |
| 002 | Kakade, *The time complexity of Backprop; Auto-Diff; and the Baur-Strassen theorem* |
| 003 | Stack Exchange, *Reverse mode vs. forward mode differentiation* |
| 004 | *Dive into Deep Learning*, section 5.3, with its exercises |
"""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

import wengert as wg
from wengert.transform.linear import linearize_flat

RNG = np.random.default_rng(20)


# --- the order of the chain rule (texts 001 and 003) ----------------------------------------------
def product_cost(sizes, order):
    """Multiplications of the chain ``J_n ... J_1``, joining neighbours at the vertices of `order`.

    `sizes` are those of x_0, ..., x_n. Joining at vertex k multiplies a matrix with a
    row for each entry of the next vertex left by one with a column for each of the vertex before:
    the text's a * b * c for a x b times b x c.
    """
    left = list(range(len(sizes)))
    products = []
    for k in order:
        i = left.index(k)
        products.append(sizes[left[i + 1]] * sizes[k] * sizes[left[i - 1]])
        left.pop(i)
    return products


def forward_order(sizes):
    return range(1, len(sizes) - 1)


def reverse_order(sizes):
    return range(len(sizes) - 2, 0, -1)


def test_text_001_sizes_1000_100_10_1():
    """Reverse needs a 1x100 by 100x1000 product where forward needs 10x100 by 100x1000."""
    sizes = (1000, 100, 10, 1)
    forward, reverse = (
        product_cost(sizes, order(sizes)) for order in (forward_order, reverse_order)
    )
    assert max(forward) == 10 * 100 * 1000
    assert max(reverse) == 1 * 100 * 1000
    assert max(forward) == 10 * max(reverse)
    assert sum(reverse) == 100 * 10 + 100 * 1000
    assert sum(forward) == 10 * 100 * 1000 + 10 * 1000


def test_text_001_sizes_1000_1_1000_1_1000():
    """Multiplying the two middle Jacobians first beats both pure modes by far."""
    sizes = (1000, 1, 1000, 1, 1000)
    forward, reverse = (
        product_cost(sizes, order(sizes)) for order in (forward_order, reverse_order)
    )
    assert 1000 * 1000 * 1 in forward
    assert 1000 * 1000 * 1 in reverse
    assert sum(forward) == sum(reverse) == 3 * 10**6
    costs = {order: sum(product_cost(sizes, order)) for order in itertools.permutations((1, 2, 3))}
    best = min(costs, key=costs.get)
    assert best[0] == 2
    assert product_cost(sizes, best)[0] == 1000  # 1x1000 by 1000x1
    assert costs[best] == 1000 + 1000 + 10**6


@pytest.mark.parametrize("sizes", [(2, 3, 4, 5), (5, 4, 3, 2), (7, 1, 6, 2), (3, 8, 8, 1)])
def test_text_003_costs_of_three_functions(sizes):
    """Forward |x||b|(|a|+|y|), reverse |y||a|(|b|+|x|); forward is no worse where sizes grow."""
    x, a, b, y = sizes
    forward, reverse = (sum(product_cost(sizes, o(sizes))) for o in (forward_order, reverse_order))
    assert forward == x * b * (a + y)
    assert reverse == y * a * (b + x)
    if y >= b >= a >= x:
        assert forward <= reverse
    if y <= b <= a <= x:
        assert reverse <= forward


@pytest.mark.parametrize("sizes", [(2, 3, 4, 5), (5, 4, 3, 2), (6, 1, 6, 1, 6)])
def test_texts_001_and_003_every_order_gives_the_same_jacobian(sizes):
    weights = [RNG.normal(size=(m, n)) for n, m in itertools.pairwise(sizes)]
    layers = [lambda z, w=w: np.sin(w @ z) for w in weights]

    def f(x):
        for layer in layers:
            x = layer(x)
        return x

    x = RNG.normal(size=sizes[0])
    factors, z = [], x
    for layer in layers:
        factors.append(wg.jacobian(layer)(z))
        z = layer(z)
    expected = [wg.jacfwd(f)(x), wg.jacrev(f)(x)]
    for order in itertools.permutations(range(1, len(sizes) - 1)):
        matrices, left = list(factors), list(range(len(sizes)))
        for k in order:
            i = left.index(k)
            matrices[i - 1 : i + 1] = [matrices[i] @ matrices[i - 1]]
            left.pop(i)
        for j in expected:
            np.testing.assert_allclose(matrices[0], j, rtol=1e-12, atol=1e-14)


def test_text_003_sin_of_a_product():
    """f(x, y) = sin(x y): the partials are cos(xy) y and cos(xy) x in either mode."""
    f = lambda x, y: np.sin(x * y)  # noqa: E731
    x, y = 0.7, 1.9
    expected = (np.cos(x * y) * y, np.cos(x * y) * x)
    np.testing.assert_allclose(wg.grad(f, (0, 1))(x, y), expected)
    np.testing.assert_allclose(wg.jacfwd(f, (0, 1))(x, y), expected)


# --- sparsity and products with Jacobians (text 001) ----------------------------------------------
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_text_001_a_pointwise_function_of_a_million_numbers():
    """Its Jacobian has 10^12 entries (8 TB); products with it need a few arrays of 8 MB."""
    n = 10**6
    x = np.linspace(-6, 6, n)
    slope = sigmoid(x) * (1 - sigmoid(x))
    v = np.cos(np.arange(n))
    tracemalloc.start()
    y, pull = wg.vjp(sigmoid, x)
    (diagonal,) = pull(np.ones(n))  # pointwise: ones give the diagonal
    (vjp,) = pull(v)
    _, jvp = wg.jvp(sigmoid, (x,), (v,))
    _, push = wg.linearize(sigmoid, x)
    pushed = push(v)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * x.nbytes
    np.testing.assert_allclose(y, sigmoid(x))
    np.testing.assert_allclose(diagonal, slope, rtol=1e-12)
    for product in (vjp, jvp, pushed):
        np.testing.assert_allclose(product, slope * v, rtol=1e-12)
    # the few entries that are asked for, off the diagonal too
    for i in (0, 123_456, n - 1):
        row = pull(np.eye(1, n, i)[0])[0]
        assert np.count_nonzero(row) == 1
        assert row[i] == pytest.approx(slope[i])


def network(x):
    return np.tanh(np.stack([x[0] * x[1], x[1] ** 2 - x[2], np.exp(x[2] / 3), x[0]]))


def test_text_001_a_jvp_is_two_vjps():
    """j-towns: differentiate the pullback, linear in its cotangent, and pull through it."""
    x, v = RNG.normal(size=3), RNG.normal(size=3)
    _, pull = wg.vjp(network, x)
    for dummy in (np.zeros(4), RNG.normal(size=4)):  # where it is linearised does not matter
        _, again = wg.vjp(lambda ct: pull(ct)[0], dummy)
        (jvp,) = again(v)
        np.testing.assert_allclose(jvp, wg.jvp(network, (x,), (v,))[1], rtol=1e-13)


def test_text_001_the_hessian_is_forward_over_reverse():
    """One evaluation, all columns pushed at once; one reverse row at a time agrees."""
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(network(x) ** 2) * x[0]

    x = RNG.normal(size=3)
    h = wg.hessian(f)(x)
    assert len(calls) == 1
    _, pull = wg.vjp(wg.grad(f), x)
    by_rows = [pull(row)[0] for row in np.eye(3)]
    np.testing.assert_allclose(h, by_rows, rtol=1e-12)
    np.testing.assert_allclose(h, h.T, rtol=1e-12)
    step = 1e-6 * np.eye(3)
    differences = [(wg.grad(f)(x + s) - wg.grad(f)(x - s)) / 2e-6 for s in step]
    np.testing.assert_allclose(h, differences, rtol=1e-6, atol=1e-8)


# --- the multilayer perceptron (text 002) ---------------------------------------------------------
ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
    "sigmoid": (sigmoid, lambda a: sigmoid(a) * (1 - sigmoid(a))),
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0) * 1.0),
    "softplus": (lambda a: np.logaddexp(0, a), sigmoid),
    "sine": (np.sin, np.cos),
}


def perceptron(params, x, y, h):
    """Half the squared error of an MLP: a = W z + b, z = h(a), the last layer linear."""
    z = x
    for w, b in params[:-1]:
        z = h(w @ z + b)
    w, b = params[-1]
    return 0.5 * np.sum((w @ z + b - y) ** 2)


def delta_recursion(params, x, y, h, slope):
    """Text 002, section 2: all a and z forward; deltas backward; dL/dW_ji = delta_j z_i."""
    zs, activations = [x], []
    for w, b in params:
        activations.append(w @ zs[-1] + b)
        zs.append(h(activations[-1]))
    delta = -(y - activations[-1])
    grads = []
    for layer in reversed(range(len(params))):
        grads.append((np.outer(delta, zs[layer]), delta))
        if layer:
            delta = slope(activations[layer - 1]) * (params[layer][0].T @ delta)
    return grads[::-1]


@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [1, 2, 3, 4])
def test_text_002_the_gradient_is_the_delta_recursion(hidden, activation, wrap):
    h, slope = ACTIVATIONS[activation]
    sizes = [6, *(5 + k for k in range(hidden)), 3]
    rng = np.random.default_rng(hidden)
    params = [
        (rng.normal(size=(m, n)) / np.sqrt(n), rng.normal(size=m))
        for n, m in itertools.pairwise(sizes)
    ]
    x, y = rng.normal(size=6), rng.normal(size=3)
    value, grads = wrap(wg.value_and_grad(lambda p: perceptron(p, x, y, h)))(params)
    np.testing.assert_allclose(value, perceptron(params, x, y, h), rtol=1e-14)
    for got, expected in zip(grads, delta_recursion(params, x, y, h, slope), strict=True):
        np.testing.assert_allclose(got[0], expected[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(got[1], expected[1], rtol=0, atol=1e-12)


def recorded(f, *leaves):
    """How many operations the tape of a function holds."""
    return len(linearize_flat(lambda *xs: [f(*xs)], list(leaves)).tape.nodes)


def test_text_002_all_partials_for_the_price_of_one():
    """A circuit of +, -, * and / on n inputs: the tape grows as the circuit does."""
    for n in (5, 50, 500):
        x = 1 + 0.1 * np.sin(np.arange(n))

        def circuit(x, n=n):
            total = x[0] * 1.0
            for i in range(1, n):
                total = total * x[i] / (x[i - 1] + total) - x[i]
            return total

        assert recorded(circuit, x) <= 7 * n  # three reads and four operations a step
        g = wg.grad(circuit)(x)
        v = np.cos(np.arange(n))
        np.testing.assert_allclose(g @ v, wg.jvp(circuit, (x,), (v,))[1], rtol=1e-9)


@pytest.mark.parametrize("n", [100, 200, 400, 800, 1600, 3200])
def test_text_002_a_product_written_as_a_loop_is_linear(n):
    """``for i: p = p * z[i]``: two nodes a step, and one accumulator for all of z's cotangents."""

    def product(z):
        p = z[0]
        for i in range(1, len(z)):
            p = p * z[i]
        return p

    z = np.exp(0.5 * np.sin(np.arange(n)))
    lin = linearize_flat(lambda z: [product(z)], [z])
    assert len(lin.tape.nodes) == 2 * n - 1
    tracemalloc.start()
    (g,) = lin.pull([1.0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000 + 600 * n  # not n arrays of n numbers
    np.testing.assert_allclose(g, product(z) / z, rtol=1e-12)
    assert lin.pull([1.0])[0] is not g


# --- weight decay and the exercises (text 004) ----------------------------------------------------
DECAY = 0.3


def one_hidden_layer(w1, w2, x, y, b1=0.0):
    o = w2 @ np.tanh(w1 @ x + b1)
    return 0.5 * np.sum((o - y) ** 2) + DECAY / 2 * (np.sum(w1**2) + np.sum(w2**2))


@pytest.fixture
def layer():
    rng = np.random.default_rng(4)
    return rng.normal(size=(4, 3)), rng.normal(size=(2, 4)), rng.normal(size=3), rng.normal(size=2)


def test_text_004_gradients_of_one_hidden_layer(layer):
    """dJ/dW2 = dL/do h^T + lambda W2; dJ/dW1 = dJ/dz x^T + lambda W1."""
    w1, w2, x, y = layer
    z = w1 @ x
    h = np.tanh(z)
    dl_do = w2 @ h - y
    dj_dh = w2.T @ dl_do
    dj_dz = dj_dh * (1 - np.tanh(z) ** 2)
    d1, d2 = wg.grad(one_hidden_layer, argnums=(0, 1))(w1, w2, x, y)
    np.testing.assert_allclose(d2, np.outer(dl_do, h) + DECAY * w2, rtol=0, atol=1e-12)
    np.testing.assert_allclose(d1, np.outer(dj_dz, x) + DECAY * w1, rtol=0, atol=1e-12)
    # the intermediate gradients of the text, by cutting the chain
    np.testing.assert_allclose(
        wg.grad(lambda o: 0.5 * np.sum((o - y) ** 2))(w2 @ h), dl_do, atol=1e-12
    )
    np.testing.assert_allclose(
        wg.grad(lambda h: 0.5 * np.sum((w2 @ h - y) ** 2))(h), dj_dh, atol=1e-12
    )


def test_text_004_exercise_1_the_gradient_has_the_shape_of_the_matrix():
    for shape in [(3, 5), (1, 7), (4, 1)]:
        x = RNG.normal(size=shape)
        assert wg.grad(lambda x: np.sum(np.tanh(x) @ np.ones(x.shape[1])))(x).shape == shape


def test_text_004_exercise_2_a_bias(layer):
    """With z = W1 x + b1: dJ/db1 = dJ/dz, and the rest as before at the new z."""
    w1, w2, x, y = layer
    b1 = np.array([0.3, -0.1, 0.8, -0.5])
    z = w1 @ x + b1
    dj_dz = (w2.T @ (w2 @ np.tanh(z) - y)) * (1 - np.tanh(z) ** 2)
    d1, db = wg.grad(one_hidden_layer, argnums=(0, 4))(w1, w2, x, y, b1)
    np.testing.assert_allclose(db, dj_dz, rtol=0, atol=1e-12)
    np.testing.assert_allclose(d1, np.outer(dj_dz, x) + DECAY * w1, rtol=0, atol=1e-12)


def test_text_004_exercise_3_training_keeps_what_prediction_does_not():
    """The tape holds every layer's values, so its memory grows with depth and batch; prediction's
    does not grow with depth.
    """

    def kept(depth, batch):
        w = np.eye(8) * 0.5

        def loss(w, x):
            for _ in range(depth):
                x = np.tanh(x @ w)
            return np.sum(x)

        lin = linearize_flat(lambda w: [loss(w, x)], [w])
        return sum(
            v.data.nbytes for node in lin.tape.nodes for v in node.outputs if v.shape == (batch, 8)
        )

    x = RNG.normal(size=(16, 8))
    assert kept(2, 16) == 2 * 2 * x.nbytes  # a and z of each layer
    assert kept(6, 16) == 3 * kept(2, 16)
    x = RNG.normal(size=(32, 8))
    assert kept(2, 32) == 2 * 2 * x.nbytes


def test_text_004_exercise_4_second_derivatives(layer):
    """The graph of the gradient is differentiated in turn: a few times as many operations again; a
    full Hessian for n parameters is n products with it.
    """
    w1, w2, x, y = layer
    loss = lambda w1: one_hidden_layer(w1, w2, x, y)  # noqa: E731
    first, second = recorded(loss, w1), recorded(wg.grad(loss), w1)
    assert first < second <= 6 * first
    h = wg.hessian(loss)(w1)
    assert h.shape == (4, 3, 4, 3)
    v = RNG.normal(size=w1.shape)
    hv = wg.hvp(loss, (w1,), (v,))
    np.testing.assert_allclose(hv, np.tensordot(h, v, axes=2), rtol=1e-12)
    columns = wg.vmap(lambda v: wg.hvp(loss, (w1,), (v,)))(np.eye(12).reshape(12, 4, 3))
    np.testing.assert_allclose(columns.reshape(12, 12), h.reshape(12, 12), rtol=1e-12, atol=1e-14)


def test_text_004_exercise_5_a_batch_in_parts(layer):
    """The gradient over a batch is the sum over its parts, wherever each part is computed."""
    w1, w2, _, _ = layer
    xs, ys = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))

    def total(w1, xs, ys):
        return np.sum(wg.vmap(lambda x, y: 0.5 * np.sum((w2 @ np.tanh(w1 @ x) - y) ** 2))(xs, ys))

    whole = wg.grad(total)(w1, xs, ys)
    parts = [wg.grad(total)(w1, xs[i : i + 2], ys[i : i + 2]) for i in range(0, 8, 2)]
    np.testing.assert_allclose(whole, np.sum(parts, axis=0), rtol=1e-12)


# --- what the backward pass costs (text 000) ------------------------------------------------------
def test_text_000_a_product_splits_in_two():
    """v = u w: forward v' = u' w + u w'; backward, ct w and ct u: two products for one."""
    u, w, du, dw, ct = RNG.normal(size=5)
    f = lambda u, w: u * w  # noqa: E731
    assert wg.jvp(f, (u, w), (du, dw))[1] == pytest.approx(du * w + u * dw)
    assert wg.vjp(f, u, w)[1](ct) == pytest.approx((ct * w, ct * u))


def test_text_000_backward_is_twice_forward_only_where_both_are_needed(monkeypatch):
    """Matrix products: 1 forward and 2 backward in each layer, 1 where dX is not needed."""
    from wengert.ops import contract as module

    counted = []
    evaluate = module.contract.evaluate
    monkeypatch.setattr(
        module.contract, "evaluate", lambda *a, **k: (counted.append(1), evaluate(*a, **k))[1]
    )
    ws = [RNG.normal(size=(5, 5)) for _ in range(4)]
    x = RNG.normal(size=(3, 5))

    def loss(ws, x):
        for w in ws:
            x = np.tanh(x @ w)
        return np.sum(x)

    def products(argnums):
        counted.clear()
        wg.grad(loss, argnums=argnums)(ws, x)
        return len(counted)

    assert products((0, 1)) == 4 + 2 * 4
    assert products(0) == 4 + 2 * 4 - 1
    assert products(1) == 4 + 4
