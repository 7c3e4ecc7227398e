"""The linear graph of a function, and Jacobians by elimination in any order."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from tests.orders.circuits import FUNCTIONS, KNOWN

import wengert as wg
from wengert.errors import InputError, OrderError, UnsupportedError
from wengert.linear.terms import NotAccumulable

X = np.linspace(0.3, 1.4, 4)
W = np.cos(np.arange(12.0)).reshape(3, 4)

CASES = {
    "entries": lambda x: np.array([x[0] * x[1], np.sin(x[2]) * x[1], x[1:].sum(), x[3]]),
    "used twice": lambda x: np.stack([x[0] * x[0], x[0], x[0]]),
    "matrix": lambda x: np.tanh(W @ x) * np.exp(x[0]),
    "moved": lambda x: x.reshape(2, 2).T[::-1] * np.concatenate([x[2:], x[:2]]).reshape(2, 2),
    "written": lambda x: _written(x),
    "ratio": lambda x: x / np.sum(x),
    "outer": lambda x: np.outer(np.sin(x), x[:2]),
    "solve": lambda x: np.linalg.solve(np.eye(3) * 2 + W[:, :3] ** 2, x[:3] ** 2),
    "running": lambda x: np.cumsum(x**2) * x,
    "product": lambda x: np.prod(x) + np.zeros(2),
    "inverse": lambda x: np.linalg.inv(np.outer(x, x) + np.eye(4) * 3),
    "loop": lambda x: wg.scan(lambda c, _: (c * x[0], c), x[1], None, length=3)[0] * x,
    "diagonal and outer": lambda x: x * np.exp(np.sum(x)) + np.sum(x * W[0]),
    "gated": lambda x: np.tanh(W @ x)[:, None] * x + np.sin(x),
    "batch": lambda x: np.tanh(np.outer(x, x) @ W.T) @ W[:, 0],
    "broadcast": lambda x: (x[:, None] * x - x[None, :, None] ** 2).sum(1),
    "chosen": lambda x: np.where(x > 0.7, x**2, np.sin(x)) * x[0],
    "relu": lambda x: W[:, :3] @ np.maximum(W @ (x - 0.5), 0.0),
    "largest": lambda x: np.max(x) * x,
    "norm": lambda x: x / np.linalg.norm(x),
    "clipped": lambda x: np.clip(x, 0.5, 1.0) * np.abs(x - 0.8),
    "doubled": lambda x: (x + x) * (x * 3.0 - x),
    "rows again": lambda x: np.concatenate([(y := np.outer(x, x)), y[:1]]),
    "sorted": lambda x: np.sort(np.sin(3 * x)) * x,
    "running maximum": lambda x: np.maximum.accumulate(np.sin(3 * x)) * x[0],
    "median": lambda x: np.median(x * x[::-1]) * x,
    "constant": lambda x: np.ones(3),
    "number": lambda x: x @ x,
}


def _written(x):
    y = np.zeros(5)
    y[1:] = x * x[0]
    y[0] = x[1]
    y[2] += x[3]
    return y


@pytest.mark.parametrize("level", ["entries", "arrays"])
@pytest.mark.parametrize("method", ["default", "forward", "reverse", "markowitz"])
@pytest.mark.parametrize("name", CASES)
def test_every_order_makes_the_jacobian(name, method, level):
    f = CASES[name]
    graph = wg.linear_graph(f)(X)
    ((made,),) = graph.accumulate(method, level)
    wanted = wg.jacobian(f, mode="reverse")(X)
    if made is None:
        assert not np.any(wanted)
        return
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_circuits_written_in_numpy_have_the_published_counts(name):
    f, x = FUNCTIONS[name]
    known = KNOWN[name]
    graph = wg.linear_graph(f, merged=False)(x)
    free = graph.scalars.problem
    plain = free.priced(False)
    for method in ("forward", "reverse"):
        sequence = graph.order(method).sequence
        assert plain.multiplications(sequence) == getattr(known, method)
        assert graph.order(method).cost.multiplications == getattr(known, f"free_{method}")
    assert graph.order("markowitz").cost.multiplications == known.free_markowitz
    wanted = wg.jacobian(f, mode="reverse")(x)
    for method in ("default", "forward", "reverse", "markowitz", "relative", "lookahead"):
        ((made,),) = graph.accumulate(method)
        np.testing.assert_allclose(made, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_elimination_is_compiled(name):
    f, x = FUNCTIONS[name]
    eliminated = wg.jit(lambda x: wg.linear_graph(f)(x).accumulate()[0][0])
    wanted = wg.jacobian(f, mode="reverse")
    for point in (x, x[::-1].copy(), x**2):
        np.testing.assert_allclose(eliminated(point), wanted(point), rtol=1e-11, atol=1e-11)


def test_several_arguments_and_results():
    def f(a, b, c):
        return {"p": a * b[0], "q": (np.sum(c), b * 2)}

    graph = wg.linear_graph(f, argnums=(0, 2))(X, X[:2], W)
    made = graph.accumulate()
    wanted = wg.jacobian(f, argnums=(0, 2), mode="reverse")(X, X[:2], W)
    np.testing.assert_allclose(made[0][0], wanted["p"][0])
    np.testing.assert_allclose(made[1][1], wanted["q"][0][1])
    assert made[0][1] is None
    assert made[1][0] is None
    assert made[2] == [None, None]


@pytest.mark.parametrize("level", ["entries", "arrays"])
def test_results_that_share_entries(level):
    def f(x):
        y = np.sin(x) * x[0]
        return y, y, y[:2], x, np.exp(y)

    wanted = wg.jacobian(f, mode="reverse")(X)
    for method in ("default", "forward", "reverse"):
        for (made,), j in zip(wg.linear_graph(f)(X).accumulate(method, level), wanted, strict=True):
            np.testing.assert_allclose(made, j, rtol=1e-12)


def test_an_order_is_data():
    graph = wg.linear_graph(CASES["matrix"])(X)
    order = graph.order()
    changed = order.with_sequence(order.sequence[::-1])
    np.testing.assert_allclose(graph.accumulate(changed)[0][0], graph.accumulate(order)[0][0])
    np.testing.assert_allclose(graph.accumulate(list(order)[::-1])[0][0], graph.accumulate()[0][0])
    assert "numbers, by" in str(order)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_order_holds_under_jit_too(name):
    """What is written twice is one value, with and without compilation."""
    f, x = FUNCTIONS[name]
    order = wg.linear_graph(f)(x).order()
    assert len(order) < len(wg.linear_graph(f, merged=False)(x).order())
    wanted = wg.jacobian(f, mode="reverse")(x)
    made = wg.jit(lambda x: wg.linear_graph(f)(x).accumulate(order)[0][0])
    np.testing.assert_allclose(made(x), wanted, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(wg.jit(wg.jacobian(f, mode=order))(x), wanted, 1e-11, 1e-11)


def test_an_order_of_another_graph():
    order = wg.linear_graph(CASES["matrix"])(X).order()
    with pytest.raises(OrderError, match="another graph"):
        wg.linear_graph(CASES["ratio"])(X).accumulate(order)
    calls = []

    def changing(x):
        calls.append(1)
        for _ in calls:
            x = np.sin(x) * x
        return x

    order = wg.linear_graph(changing)(X).order()
    with pytest.raises(OrderError, match="other operations each time"):
        wg.linear_graph(changing)(X).accumulate(order)


def test_an_order_that_is_no_permutation():
    graph = wg.linear_graph(CASES["matrix"])(X)
    order = graph.order()
    with pytest.raises(OrderError, match="it lacks"):
        graph.accumulate(order.with_sequence(order.sequence[1:]))


def test_an_effort_that_is_not_known():
    with pytest.raises(InputError, match="effort must be one of"):
        wg.linear_graph(CASES["matrix"])(X).order("much")


def test_it_prints_itself():
    text = str(wg.linear_graph(CASES["ratio"])(X))
    assert "1 argument, 2 values, 3 local Jacobians" in text
    assert "reduction, 1 x 4" in text
    assert "broadcast, 4 x 1" in text


def _custom():
    @wg.custom_jvp
    def f(x):
        return x * 2

    f.defjvp(lambda primals, tangents: (primals[0] * 2, tangents[0] * 2))
    return f


@pytest.mark.parametrize(
    ("f", "x", "why"),
    [
        (_custom(), X, "derivative of its own"),
        (lambda x: np.abs(x.astype(complex) * 1j), X, "complex"),
    ],
    ids=["custom", "complex"],
)
def test_what_it_does_not_hold(f, x, why):
    with pytest.raises(UnsupportedError, match=why):
        wg.linear_graph(f)(x)


HIDDEN = np.array([True, False, True])
LEFT_OUT = {
    "where after": lambda f, x: np.where(HIDDEN, f(x), 0.0),
    "where before": lambda f, x: f(np.where(HIDDEN, x, 0.0)),
    "twice": lambda f, x: np.where(HIDDEN, f(np.where(HIDDEN, x, 0.0)), x),
    "read": lambda f, x: f(x)[[0, 2, 0]],
    "joined": lambda f, x: f(np.concatenate([x[:1], np.zeros(1), x[2:]])),
    "sum": lambda f, x: f(np.sum(np.where(HIDDEN[:, None], np.outer(x, [1.0, 2.0]), 0.0), axis=1)),
    "running sum": lambda f, x: f(np.cumsum(np.where(HIDDEN, 0.0, x))),
    "maximum": lambda f, x: f(np.maximum(x - 2.0, 0.0)),
    "sorted": lambda f, x: f(np.sort(np.where(HIDDEN, x, 0.0))) + x,
    "outer": lambda f, x: np.outer(np.ones(2), f(np.where(HIDDEN, x, 0.0))).sum(0) * x[0],
}
STEEP = {"sqrt": np.sqrt, "cbrt": np.cbrt, "log": np.log1p, "power": lambda x: x**0.5}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("level", ["entries", "arrays"])
@pytest.mark.parametrize("way", LEFT_OUT)
@pytest.mark.parametrize("name", STEEP)
def test_what_is_left_out_has_no_slope(name, way, level):
    """An infinite slope beside what is no entry is none, in any order; or the graph is refused."""
    f = functools.partial(LEFT_OUT[way], STEEP[name])
    x = np.array([0.5, 0.0, 0.25])
    wanted = wg.jacobian(f, mode="forward")(x)
    finite = np.isfinite(wanted)
    for jit in (False, True):
        for method in ("forward", "reverse", "markowitz"):
            g = lambda x, m=method: wg.linear_graph(f)(x).accumulate(m, level)[0][0]  # noqa: E731
            try:
                made = (wg.jit(g) if jit else g)(x)
            except (NotAccumulable, UnsupportedError):
                assert level == "arrays"
                continue
            np.testing.assert_allclose(made[finite], wanted[finite], atol=1e-14)


def test_zeros_of_a_derivative_are_refused():
    gradient = wg.grad(lambda x: np.sum(np.sqrt(x)[[0, 2, 0]] ** 2))
    with pytest.raises(UnsupportedError, match="zeros by structure"):
        wg.linear_graph(gradient)(np.array([0.5, 0.0, 0.25]))


def test_elimination_in_the_body_of_a_loop():
    """Arrays of indices are inputs of the body; what they hold is the same in each trip."""
    order = np.array([2, 0, 3, 1])

    def f(x):
        return np.cross(x[order][:3], np.sin(x[:3])) * x[3]

    points = np.random.default_rng(0).standard_normal((5, 4))
    jacobian = wg.jit(lambda xs: wg.map(lambda x: wg.linear_graph(f)(x).accumulate()[0][0], xs))
    wanted = wg.jacobian(f, mode="reverse")
    for _ in range(2):
        np.testing.assert_allclose(jacobian(points), [wanted(x) for x in points], atol=1e-14)
        order[:] = order[::-1].copy()  # a compiled program sees it


# --- chains ---------------------------------------------------------------------------------------
def chain(sizes, layer):
    rng = np.random.default_rng(3)
    weights = [rng.standard_normal((b, a)) / a for a, b in itertools.pairwise(sizes)]

    def f(x):
        for w in weights:
            x = layer(w @ x)
        return x

    return f, rng.standard_normal(sizes[0])


@pytest.mark.parametrize(
    ("sizes", "multiplications", "forward", "reverse"),
    [
        ((1000, 100, 10, 1), 101_000, 1_010_000, 101_000),
        ((1000, 1, 1000, 1, 1000), 1_002_000, 3_000_000, 3_000_000),
        ((100, 30, 1, 30, 100), 16_000, 306_000, 306_000),
    ],
)
def test_chains_of_products(sizes, multiplications, forward, reverse):
    f, x = chain(sizes, lambda y: y)
    graph = wg.linear_graph(f)(x)
    order = graph.order()
    assert order.level == "arrays"
    assert order.cost.multiplications == multiplications
    assert graph.cost("forward").multiplications == forward
    assert graph.cost("reverse").multiplications == reverse
    wanted = wg.jacobian(f, mode="reverse")(x)
    np.testing.assert_allclose(graph.accumulate(order)[0][0], wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("sizes", [(40, 1, 40, 1, 40), (20, 30, 2, 30, 1, 40)])
def test_waists_are_found(sizes):
    """The Jacobian is an outer product, or one of few columns: it takes little more than itself."""
    f, x = chain(sizes, np.tanh)
    graph = wg.linear_graph(f)(x)
    order = graph.order()
    least = min(graph.cost("forward").multiplications, graph.cost("reverse").multiplications)
    assert order.cost.multiplications < least / 1.4
    wanted = wg.jacobian(f, mode="reverse")(x)
    compiled = wg.jit(lambda x: wg.linear_graph(f)(x).accumulate()[0][0])
    for made in (graph.accumulate(order)[0][0], compiled(x)):
        np.testing.assert_allclose(made, wanted, rtol=1e-10, atol=1e-14)


def test_what_is_counted_is_what_is_recorded():
    """The multiplications of an order are those that its program has."""
    f, x = chain((30, 1, 30, 1, 30), lambda y: y)
    graph = wg.linear_graph(f)(x)
    count = wg.count(lambda x: wg.linear_graph(f)(x).accumulate()[0][0], x)
    value = wg.count(f, x)
    cost = graph.order().cost
    assert count.flops - value.flops <= cost.flops + 1
