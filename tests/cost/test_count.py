"""Counted operations: the published numbers, and bounds that hold for every program."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest

import wengert as wg
from wengert.analysis.cost import count_function
from wengert.cost.count import Count, count_graph
from wengert.errors import DerivativeError
from wengert.ir.build import Builder
from wengert.ir.graph import Aval
from wengert.ops.base import TABLE, Op

rng = np.random.default_rng(0)
SIZES = (784, 256, 256, 10)


def mlp(params, x, labels):
    for w, b in params[:-1]:
        x = np.maximum(x @ w + b, 0)
    w, b = params[-1]
    logits = x @ w + b
    top = logits - np.max(logits, axis=1, keepdims=True)
    return -np.mean(
        np.sum(labels * (top - np.log(np.sum(np.exp(top), axis=1, keepdims=True))), axis=1)
    )


def network(batch=64):
    params = [(rng.normal(size=(m, n)), np.zeros(n)) for m, n in itertools.pairwise(SIZES)]
    return params, rng.normal(size=(batch, 784)), np.eye(10)[rng.integers(0, 10, batch)]


@pytest.mark.parametrize(
    ("argnums", "backward", "ratio"), [(0, 43_122_688, 1.2533), ((0, 1), 68_812_800, 2.0)]
)
def test_matrix_products_of_the_mlp(argnums, backward, ratio):
    """Without a gradient for x, the first layer needs one product backward, not two."""
    args = network()
    forward = count_function(mlp, *args).by_op["contract"]
    both = count_function(wg.value_and_grad(mlp, argnums), *args).by_op["contract"]
    assert forward == 34_406_400
    assert both - forward == backward
    assert (both - forward) / forward == pytest.approx(ratio, abs=1e-4)


def product_loop(z):
    p = 1.0
    for i in range(len(z)):
        p = p * z[i]
    return p


def sum_of_powers(z):
    total = 0.0
    for i in range(0, len(z) - 1, 2):
        total = total + z[i] ** 2 * np.sin(z[i + 1])
    return total


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def logsumexp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def running(x):
    y = np.zeros_like(x)
    for i in range(1, len(x)):
        y[i] = 0.9 * y[i - 1] + x[i]
    return np.sum(y)


CHEAP = [
    product_loop,
    sum_of_powers,
    rosenbrock,
    logsumexp,
    np.linalg.norm,
    np.prod,
    np.var,
    running,
]


@pytest.mark.share(4)
@pytest.mark.parametrize("f", CHEAP, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [100, 400, 1600])
def test_cheap_gradients(f, n):
    """Value and gradient cost less than 5 times the value (Baur and Strassen)."""
    z = 1 + rng.random(n) / n
    value = count_function(f, z)
    both = count_function(wg.value_and_grad(f), z)
    assert not both.unknown
    assert value.flops > 0
    assert both.flops < 5 * value.flops


@pytest.mark.parametrize("n", [100, 200, 400, 800, pytest.param(3200, marks=pytest.mark.slow)])
def test_a_product_written_as_a_loop(n):
    """JAX needs 109 to 853 times the value for n = 100 to 800."""
    z = np.ones(n)
    assert count_function(product_loop, z).flops <= n
    assert count_function(wg.value_and_grad(product_loop), z).flops <= 4 * n


COUNTS = [
    (lambda x: x + x, (np.ones(7),), {"add": 7}),
    (lambda x: np.exp(x) * 2, (np.ones((2, 3)),), {"transcendental": 6, "multiply": 6}),
    (lambda x, y: x @ y, (np.ones((2, 3)), np.ones((3, 4))), {"multiply": 24, "add": 24}),
    (lambda x: x.reshape(3, 2).T[::2], (np.ones(6),), {}),
    (lambda x: np.sum(x), (np.ones(10),), {"add": 9}),
    (lambda x: np.sort(x)[0] > 1, (np.ones(1),), None),
    (lambda x: 3.0, (np.ones(5),), {}),
    (lambda x: np.sin(x) + np.sin(x), (np.ones(4),), {"transcendental": 4, "add": 4}),
    (lambda x, y: x * 2, (np.ones(4), "text"), {"multiply": 4}),
]


@pytest.mark.parametrize(("f", "args", "kinds"), COUNTS)
def test_counts(f, args, kinds):
    counted = count_function(f, *args)
    assert counted.flops == sum(counted.by_kind.values()) == sum(counted.by_op.values())
    if kinds is not None:
        assert {k: n for k, n in counted.by_kind.items() if n} == kinds


def test_factorisations_are_not_free():
    """Cholesky n^3/3 and LU 2n^3/3 at the least; unknown tools count them as nothing."""
    n = 30
    a = np.eye(n) * n + rng.random((n, n))
    assert count_function(np.linalg.cholesky, a @ a.T).flops >= n**3 / 3
    assert count_function(np.linalg.solve, a, np.ones(n)).flops >= 2 * n**3 / 3
    assert count_function(np.linalg.inv, a).flops >= n**3


def test_bytes():
    x = np.ones(1000)
    assert count_function(lambda x: x * x + 1, x).bytes == (3 * 8000) + (2 * 8000 + 8)
    assert count_function(lambda x: x.reshape(10, 100).T[2:], x).bytes == 0
    assert count_function(lambda x: np.broadcast_to(x, (50, 1000)), x).bytes == 0
    assert count_function(lambda x: x[np.array([1, 5, 2])], x).bytes == 3 * 8 + 3 * 8 + 3 * 8
    assert count_function(lambda x: x[np.array([1, 2])], x).bytes == 0  # a slice, which is a view


@pytest.mark.parametrize(
    ("exponent", "kind", "each"),
    [
        (2, "multiply", 1), (2.0, "multiply", 1), (3, "multiply", 2), (5, "multiply", 3),
        (16, "multiply", 4), (-1.0, "multiply", 1), (-2, "multiply", 2), (0.5, "transcendental", 1),
        (17, "transcendental", 1), (0.0, "transcendental", 1), (np.inf, "transcendental", 1),
        (np.nan, "transcendental", 1),
    ],
)  # fmt: skip
def test_small_integer_powers_are_products(exponent, kind, each):
    counted = count_function(lambda x: x**exponent, np.ones(10))
    assert {k: n for k, n in counted.by_kind.items() if n} == {kind: 10 * each}


FIELDS = set(inspect.signature(Op.__init__).parameters) - {"self", "name"}


def test_an_operation_without_a_count_is_named():
    def unknown(*_, **__):
        raise DerivativeError("not known")

    fields = {name: getattr(TABLE["sin"], name) for name in FIELDS}
    op = Op("mystery", **{**fields, "flops": unknown})
    builder = Builder()
    x = builder.input(Aval((4,), np.dtype(float)))
    counted = count_graph(builder.finish([builder.add(TABLE["cos"], builder.add(op, x))]))
    assert counted.unknown == {"mystery": 1}
    assert counted.flops == 4
    assert str(counted).endswith("unknown: mystery x1")


def test_text():
    text = str(Count(1234, {"add": 1000, "multiply": 234, "move": 0}, {}, 5678))
    assert text == "1,234 operations (add 1,000, multiply 234), 5,678 bytes"
    assert str(Count(0)) == "0 operations, 0 bytes"


def test_keywords_are_counted():
    assert count_function(lambda x, *, k: x * k, np.ones(3), k=np.ones(3)).flops == 3
