"""`checkpoint`: the same derivatives, with what is inside computed again and not stored."""

from __future__ import annotations

import gc
import weakref
from collections import Counter

import numpy as np
import optree
import pytest

import wengert as wg
from wengert.analysis.cost import count_function
from wengert.errors import LeakedTracerError
from wengert.testing import check_derivatives
from wengert.trace.tracer import lower

X = np.array([0.4, 1.3, -0.7, 0.2])


def close(got, expected):
    for g, e in zip(optree.tree_leaves(got), optree.tree_leaves(expected), strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-12, atol=1e-13)


# --- functions, each with and without checkpoints -------------------------------------------------
def chain(keep):
    def block(x):
        return np.tanh(np.exp(x) * x)

    return lambda x: np.sum(keep(block)(keep(block)(x)))


def nested(keep):
    inner = keep(lambda x: np.sin(np.exp(x)) * x)
    middle = keep(lambda x: np.cos(inner(inner(x)) * x))
    outer = keep(lambda x: middle(inner(x)) + x)
    return lambda x: np.sum(outer(x) ** 2)


def closure(keep):
    def f(x):
        w = np.exp(x)
        block = keep(lambda y: np.sin(w * y) + np.cos(w))
        return np.sum(block(block(x)) * w)

    return f


def in_place(keep):
    @keep
    def block(x):
        y = np.zeros_like(x)
        y[0] = np.sin(x[1])
        y[1:] += x[:-1] * np.exp(x[1:])
        y *= x
        v = y[::2]
        v += 1
        return y

    return lambda x: np.sum(block(block(x)))


def branching(keep):
    @keep
    def block(x):
        while np.sum(np.abs(x)) > 0.5:
            x = np.sin(x) / 2 if x[0] > 0 else x * 0.7
        return x * np.exp(x)

    return lambda x: np.sum(block(x))


def tree(keep):
    @keep
    def block(d, *, scale):
        h = np.tanh(d["x"] * scale)
        return {"h": h * d["w"][0], "n": 3, "t": (h, np.sum(h))}

    def f(x):
        out = block({"x": x, "w": [x[0]]}, scale=x[::-1])
        return np.sum(out["h"] * out["t"][0]) * out["t"][1] * out["n"]

    return f


def indexing(keep):
    return lambda x: np.sum(keep(lambda x: x[x > 0] ** 2 * np.sort(np.abs(x))[-1])(x) * 2)


def unused(keep):
    def f(x):
        keep(np.sin)(x)
        return np.sum(keep(lambda x: 3.0)(x) * keep(np.exp)(x)) + keep(lambda x: x)(x)[0]

    return f


def custom(keep):
    square = wg.custom_jvp(lambda x: x**2)
    square.defjvp(lambda p, t: (p[0] ** 2, 2 * p[0] * t[0]))
    return lambda x: np.sum(keep(lambda x: np.exp(square(np.sin(x))))(x))


FUNCTIONS = [chain, nested, closure, in_place, branching, tree, indexing, unused, custom]
TRANSFORMATIONS = {
    "value": lambda f: f,
    "grad": wg.grad,
    "value and grad": wg.value_and_grad,
    "hessian": wg.hessian,
    "reverse over reverse": lambda f: wg.jacrev(wg.grad(f)),
    "reverse over forward": lambda f: wg.jacrev(wg.jacfwd(f)),
    "forward over forward": lambda f: wg.jacfwd(wg.jacfwd(f)),
    "jvp": lambda f: lambda x: wg.jvp(f, (x,), (x + 1,)),
    "value of grad of jvp": lambda f: wg.value_and_grad(lambda x: wg.jvp(f, (x,), (x,))[1]),
    "linearize": lambda f: lambda x: [wg.linearize(f, x)[1](t) for t in np.eye(4)],
    "jit of grad": lambda f: wg.jit(wg.grad(f)),
    "grad of jit": lambda f: wg.grad(wg.jit(f)),
    "jit of hessian": lambda f: wg.jit(wg.hessian(f)),
    "third": lambda f: wg.grad(lambda x: np.sum(wg.grad(lambda y: np.sum(wg.grad(f)(y) ** 2))(x))),
    "checkpoint of grad": lambda f: wg.grad(wg.checkpoint(lambda x: np.sum(wg.grad(f)(x) ** 2))),
}
BATCHED = {
    "vmap": wg.vmap,
    "vmap of grad": lambda f: wg.vmap(wg.grad(f)),
    "vmap of hessian": lambda f: wg.vmap(wg.hessian(f)),
    "jacrev of vmap": lambda f: wg.jacrev(wg.vmap(f)),
    "jit of vmap of grad": lambda f: wg.jit(wg.vmap(wg.grad(f))),
}


@pytest.mark.parametrize("mode", TRANSFORMATIONS)
@pytest.mark.parametrize("make", FUNCTIONS, ids=lambda f: f.__name__)
def test_same_as_without(make, mode):
    transform = TRANSFORMATIONS[mode]
    close(transform(make(wg.checkpoint))(X), transform(make(lambda f: f))(X))


@pytest.mark.parametrize("mode", BATCHED)
@pytest.mark.parametrize(
    "make", [chain, nested, closure, in_place, tree, unused, custom], ids=lambda f: f.__name__
)
def test_same_as_without_in_a_batch(make, mode):
    transform = BATCHED[mode]
    xs = np.stack([X, X + 0.1, -X])
    close(transform(make(wg.checkpoint))(xs), transform(make(lambda f: f))(xs))


@pytest.mark.parametrize("make", FUNCTIONS, ids=lambda f: f.__name__)
def test_derivatives_pass_the_check(make):
    assert check_derivatives(make(wg.checkpoint), X).ok


def test_a_pullback_can_be_called_many_times():
    _, pull = wg.vjp(nested(wg.checkpoint), X)
    expected = wg.grad(nested(lambda f: f))(X)
    for k in range(3):
        close(pull(float(k)), (k * expected,))


def test_values_of_an_outer_derivative_only():
    """What depends on the outer variable alone is a constant of the inner derivative."""

    def f(t, keep):
        return wg.grad(keep(lambda x: x * np.sin(np.cos(t) * t) * x))(2.0)

    for derive in (wg.grad, lambda g: wg.grad(wg.grad(g)), wg.hessian):
        close(derive(lambda t: f(t, wg.checkpoint))(0.7), derive(lambda t: f(t, lambda g: g))(0.7))


def test_the_value_of_a_tangent_is_kept():
    def f(x, keep):
        return wg.jvp(keep(lambda x: np.sin(np.exp(x))), (x,), (x,))

    for k in (0, 1):
        close(
            wg.value_and_grad(lambda x, k=k: f(x, wg.checkpoint)[k])(0.3),
            wg.value_and_grad(lambda x, k=k: f(x, lambda g: g)[k])(0.3),
        )


# --- what is stored -------------------------------------------------------------------------------
class Watch:
    """Counts which of the arrays that passed by are still alive."""

    def __init__(self):
        self.seen = []

    def __call__(self, x):
        data = lower(x)
        if isinstance(data, np.ndarray):
            self.seen.append(weakref.ref(data))
        return x

    def alive(self):
        gc.collect()
        return len({id(r()) for r in self.seen if r() is not None})


def deep(x, keep, watch, layers=6):
    for _ in range(layers):

        @keep
        def block(x):
            for _ in range(5):
                x = watch(np.sin(watch(x * 2)))
            return x

        x = block(x)
    return np.sum(x)


def test_only_results_are_held_between_the_passes():
    x = np.ones(1000)
    watch = Watch()
    _, pull = wg.vjp(lambda x: deep(x, wg.checkpoint, watch), x)
    assert len(watch.seen) == 60
    assert watch.alive() <= 6
    (first,) = pull(1.0)
    assert watch.alive() <= 6
    close(pull(1.0), (first,))
    plain = Watch()
    _, pull = wg.vjp(lambda x: deep(x, lambda f: f, plain), x)
    assert plain.alive() >= 50


def test_peak_memory():
    import tracemalloc

    x = np.ones(50_000)

    def peak(keep):
        tracemalloc.start()
        wg.grad(lambda x: deep(x, keep, lambda y: y, layers=8))(x)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / x.nbytes

    assert peak(lambda f: f) > 70
    assert peak(wg.checkpoint) < 30  # 8 results, and the 10 arrays and cotangents of one block


def test_residuals_of_custom_rules_are_let_go():
    saved = Watch()
    f = wg.custom_vjp(np.sin)
    f.defvjp(lambda x: (np.sin(x), saved(np.cos(x))), lambda c, ct: (ct * c,))
    x = np.linspace(0, 1, 1000)
    _, pull = wg.vjp(wg.checkpoint(lambda x: f(f(x))), x)
    assert saved.alive() == 0
    close(pull(np.ones(1000)), (np.cos(np.sin(x)) * np.cos(x),))
    assert saved.alive() == 0


# --- what is computed again -----------------------------------------------------------------------
def operations(f, *args):
    return Counter(node.op.name for node in wg.jit(f).plan(*args).graph.nodes)


def test_compiled_code_computes_again():
    def block(x):
        return np.sin(np.exp(x) * x)

    def loss(keep):
        return wg.value_and_grad(lambda x: np.sum(keep(block)(keep(block)(x))))

    plain, again = operations(loss(lambda f: f), X), operations(loss(wg.checkpoint), X)
    assert plain["exp"] == 2
    assert plain["cos"] == 2
    assert again["exp"] == 4
    assert again["sin"] == plain["sin"] == 2  # the results are kept
    assert again["cos"] == 2
    assert again["barrier"] >= 2
    assert not plain["barrier"]


def test_nested_checkpoints_compute_again_at_each_level():
    def f(x):
        return np.sin(np.exp(x))

    once = wg.grad(lambda x: np.sum(wg.checkpoint(f)(x) ** 2))
    twice = wg.grad(lambda x: np.sum(wg.checkpoint(wg.checkpoint(f))(x) ** 2))
    assert operations(once, X)["exp"] == 2
    assert operations(twice, X)["exp"] >= 2
    close(wg.jit(twice)(X), wg.grad(lambda x: np.sum(f(x) ** 2))(X))


def test_the_price_is_one_more_evaluation():
    def loss(keep):
        return lambda x: deep(x, keep, lambda y: y)

    value = count_function(loss(lambda f: f), X).flops
    plain = count_function(wg.grad(loss(lambda f: f)), X).flops
    again = count_function(wg.grad(loss(wg.checkpoint)), X).flops
    assert plain < again <= plain + value


def test_python_code_inside_runs_once():
    runs = []

    @wg.checkpoint
    def block(x):
        runs.append(1)
        return np.exp(x)

    wg.grad(lambda x: np.sum(block(x)))(X)
    assert len(runs) == 1


def test_random_decisions_inside_are_repeated():
    rng = np.random.default_rng(0)
    noise = []

    @wg.checkpoint
    def block(x):
        noise.append(rng.normal(size=4))
        return np.exp(x) * noise[-1] if rng.random() < 0.5 else np.sin(x * noise[-1])

    for _ in range(8):
        g = wg.grad(lambda x: np.sum(block(x)))(X)
        n = noise[-1]
        assert np.allclose(g, np.exp(X) * n) or np.allclose(g, n * np.cos(X * n))


# --- errors ---------------------------------------------------------------------------------------
def stores_outside(x):
    y = np.positive(x)

    def inside():
        y[0] = np.exp(x[1])

    wg.checkpoint(inside)()
    return np.sum(y)


def keeps_outside(x):
    kept = []
    wg.checkpoint(lambda x: kept.append(np.exp(x) * 2))(x)
    return np.sum(kept[0] * x)


def test_values_that_leave_without_being_returned():
    with pytest.raises(
        LeakedTracerError, match=r"under wg\.checkpoint was used outside of it without being ret"
    ):
        wg.grad(keeps_outside)(X)


def test_stores_into_arrays_from_outside():
    want = np.array([0.0, 1 + np.exp(X[1]), 1.0, 1.0])
    close(wg.grad(stores_outside)(X), want)
    close(wg.jit(wg.grad(stores_outside))(X), want)


def test_looks():
    @wg.checkpoint
    def block(x):
        """Do it."""
        return x * 2

    assert block.__name__ == "block"
    assert block.__doc__ == "Do it."
    close(block(X), X * 2)


def test_exceptions_inside():
    @wg.checkpoint
    def block(x):
        raise KeyError("inside")

    def f(x):
        try:
            return np.sum(block(np.exp(x)))
        except KeyError:
            return np.sum(np.exp(x))

    close(wg.grad(f)(X), np.exp(X))
