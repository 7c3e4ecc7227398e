"""Functions with the user's own derivative, in every transformation."""

from __future__ import annotations

import numpy as np
import optree
import pytest

import wengert as wg
from wengert.analysis.cost import count_function
from wengert.errors import DerivativeError, InputError, LeakedTracerError, ShapeError
from wengert.testing import check_derivatives

rng = np.random.default_rng(3)
X = rng.normal(size=4)
M = rng.normal(size=(3, 4))


def close(got, expected, rtol=1e-11):
    got, expected = optree.tree_leaves(got), optree.tree_leaves(expected)
    for g, e in zip(got, expected, strict=True):
        assert np.shape(g) == np.shape(e)
        np.testing.assert_allclose(g, e, rtol=rtol, atol=1e-12)


# --- the same functions with and without rules ----------------------------------------------------
def plain_sine(x):
    return np.sin(x)


@wg.custom_jvp
def jvp_sine(x):
    return np.sin(x)


@jvp_sine.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return jvp_sine(x), np.cos(x) * t


@wg.custom_vjp
def vjp_sine(x):
    return np.sin(x)


vjp_sine.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (ct * np.cos(x),))


def plain_tree(d, y):
    return {"sum": d["a"] + d["b"][0] * y, "product": (d["a"] * y,)}


@wg.custom_jvp
def jvp_tree(d, y):
    return plain_tree(d, y)


@jvp_tree.defjvp
def _(primals, tangents):
    d, y = primals
    dt, yt = tangents
    total = dt["a"] + dt["b"][0] * y + d["b"][0] * yt
    return plain_tree(d, y), {"sum": total, "product": (dt["a"] * y + d["a"] * yt,)}


@wg.custom_vjp
def vjp_tree(d, y):
    return plain_tree(d, y)


def _bwd_tree(saved, ct):
    d, y = saved
    s, p = ct["sum"], ct["product"][0]
    return {"a": s + p * y, "b": [np.sum(s * y)]}, s * d["b"][0] + p * d["a"]


vjp_tree.defvjp(lambda d, y: (plain_tree(d, y), (d, y)), _bwd_tree)


def total(f):
    """A scalar function of an array that uses `f` several times, also on its own results."""
    return lambda x: np.sum(f(x) * f(f(x) * 2) * x)


def tree_total(f):
    def scalar(x):
        out = f({"a": x, "b": [x[0]]}, x[::-1])
        return np.sum(out["sum"] ** 2) * np.sum(out["product"][0])

    return scalar


BOTH = [(total(plain_sine), total(jvp_sine)), (tree_total(plain_tree), tree_total(jvp_tree))]
REVERSE = [(total(plain_sine), total(vjp_sine)), (tree_total(plain_tree), tree_total(vjp_tree))]
REVERSE_MODES = {
    "grad": wg.grad,
    "value and grad": wg.value_and_grad,
    "jit": wg.jit,
    "jit of grad": lambda f: wg.jit(wg.grad(f)),
    "grad of jit": lambda f: wg.grad(wg.jit(f)),
    "jacrev": wg.jacrev,
    "jacrev of grad": lambda f: wg.jacrev(wg.grad(f)),
    "grad of grad": lambda f: wg.grad(lambda x: np.sum(wg.grad(f)(x) ** 2)),
    "vjp": lambda f: lambda x: wg.vjp(f, x)[1](2.0),
    "vmap": lambda f: lambda x: wg.vmap(f)(np.stack([x, x + 1])),
    "vmap of grad": lambda f: lambda x: wg.vmap(wg.grad(f))(np.stack([x, x + 1])),
    "grad of vmap": lambda f: wg.grad(lambda x: np.sum(wg.vmap(f)(np.stack([x, x * 2])))),
    "vmap of vmap of grad": lambda f: (
        lambda x: wg.vmap(wg.vmap(wg.grad(f)))(np.stack([[x, x + 1]]))
    ),
    "grad of vmap of grad": lambda f: wg.grad(
        lambda x: np.sum(wg.vmap(wg.grad(f))(np.stack([x, x * 2])) ** 2)
    ),
    "jit of vmap of grad": lambda f: lambda x: wg.jit(wg.vmap(wg.grad(f)))(np.stack([x, x + 1])),
    "checkpoint": lambda f: wg.grad(wg.checkpoint(f)),
    "third": lambda f: wg.grad(lambda x: wg.grad(lambda y: wg.grad(f)(y)[1])(x)[0]),
}
FORWARD_MODES = {
    "jvp": lambda f: lambda x: wg.jvp(f, (x,), (x + 1,)),
    "jacfwd": wg.jacfwd,
    "linearize": lambda f: lambda x: wg.linearize(f, x)[1](x),
    "hessian": wg.hessian,
    "jit of hessian": lambda f: wg.jit(wg.hessian(f)),
    "hvp": lambda f: lambda x: wg.hvp(f, (x,), (x,)),
    "grad of jvp": lambda f: wg.grad(lambda x: wg.jvp(f, (x,), (x,))[1]),
    "jvp of jvp": lambda f: lambda x: wg.jvp(lambda y: wg.jvp(f, (y,), (x,))[1], (x,), (x,)),
    "vmap of jvp": lambda f: lambda x: wg.vmap(lambda y: wg.jvp(f, (y,), (y,)))(np.stack([x, x])),
    "vmap of hessian": lambda f: lambda x: wg.vmap(wg.hessian(f))(np.stack([x, x + 1])),
    "jvp of vmap": lambda f: (
        lambda x: wg.jvp(wg.vmap(f), (np.stack([x, x]),), (np.stack([x, -x]),))
    ),
    "jacfwd of jacfwd": lambda f: wg.jacfwd(wg.jacfwd(f)),
    "jacrev of jacfwd": lambda f: wg.jacrev(wg.jacfwd(f)),
    "checkpoint of hessian": lambda f: wg.hessian(wg.checkpoint(f)),
}


@pytest.mark.parametrize("mode", REVERSE_MODES)
@pytest.mark.parametrize(
    ("plain", "custom"), BOTH + REVERSE, ids=["jvp", "jvp tree", "vjp", "vjp tree"]
)
def test_reverse_modes(mode, plain, custom):
    transform = REVERSE_MODES[mode]
    close(transform(custom)(X), transform(plain)(X))


@pytest.mark.parametrize("mode", FORWARD_MODES)
@pytest.mark.parametrize(("plain", "custom"), BOTH, ids=["jvp", "jvp tree"])
def test_forward_modes(mode, plain, custom):
    transform = FORWARD_MODES[mode]
    close(transform(custom)(X), transform(plain)(X))


@pytest.mark.parametrize(
    "f", [total(jvp_sine), tree_total(jvp_tree), total(vjp_sine), tree_total(vjp_tree)]
)
def test_rules_pass_the_check(f):
    assert check_derivatives(f, X).ok


@pytest.mark.parametrize("f", [jvp_sine, vjp_sine])
@pytest.mark.parametrize(
    "x", [X, M, 0.5, np.float32(0.5), X.astype(np.float32), np.zeros((0, 2)), X + 1j * X]
)
def test_dtypes_and_shapes(f, x):
    y, pull = wg.vjp(f, x)
    (ct,) = pull(np.ones_like(y))
    assert np.asarray(y).dtype == np.asarray(ct).dtype == np.asarray(x).dtype
    close(ct, np.cos(x), 1e-6)


def test_the_rule_is_what_is_used():
    @wg.custom_jvp
    def f(x):
        return x * 1

    f.defjvp(lambda p, t: (f(p[0]), 7 * t[0]))
    assert wg.grad(f)(2.0) == 7
    assert wg.jvp(f, (2.0,), (1.0,))[1] == 7
    assert wg.jit(wg.grad(f))(2.0) == 7
    np.testing.assert_array_equal(wg.vmap(wg.grad(f))(X), 7)
    assert wg.hessian(f)(2.0) == 0
    np.testing.assert_array_equal(wg.jacobian(f)(X), 7 * np.eye(4))


def test_shared_arguments_under_vmap():
    def plain(x, w):
        return np.tanh(x @ w)

    @wg.custom_vjp
    def custom(x, w):
        return plain(x, w)

    def bwd(saved, ct):
        x, w, y = saved
        d = ct * (1 - y * y)
        return w @ d, np.outer(x, d)

    custom.defvjp(lambda x, w: (plain(x, w), (x, w, plain(x, w))), bwd)
    xs, w = rng.normal(size=(5, 3)), M
    for argnums in (0, 1, (0, 1)):
        results = [
            wg.grad(lambda xs, w, f=f: np.sum(wg.vmap(f, (0, None))(xs, w) ** 2), argnums)(xs, w)
            for f in (plain, custom)
        ]
        close(*results)


def test_nondifferentiated_arguments():
    @wg.custom_jvp
    def power(x, n, name):
        assert isinstance(name, str)
        return x**n

    power = wg.custom_jvp(power.f, nondiff_argnums=(1, 2))
    power.defjvp(lambda n, name, p, t: (power(p[0], n, name), n * p[0] ** (n - 1) * t[0]))
    close(wg.grad(power)(2.0, 3, "a"), 12.0)
    close(wg.hessian(power)(2.0, 3, "a"), 12.0)
    close(wg.vmap(wg.grad(lambda x: power(x, 3, "a")))(X), 3 * X**2)

    scaled = wg.custom_vjp(lambda f, x: f(x), nondiff_argnums=0)
    scaled.defvjp(lambda f, x: (f(x), x), lambda f, x, ct: (ct * wg.grad(f)(x),))
    close(wg.grad(lambda x: scaled(np.sin, x))(0.3), np.cos(0.3))
    close(wg.jit(wg.grad(lambda x: scaled(np.sin, x)))(0.3), np.cos(0.3))


def test_integer_arguments_have_no_derivative():
    @wg.custom_vjp
    def take(x, i):
        return x[i]

    take.defvjp(lambda x, i: (x[i], (x, i)), lambda s, ct: (np.zeros_like(s[0]) + ct, None))
    close(wg.grad(lambda x: take(x, 2))(X), np.ones(4))
    close(wg.grad(lambda x: take(x, np.array(2)))(X), np.ones(4))


def test_keywords_are_bound_to_positions():
    @wg.custom_jvp
    def f(x, scale=2.0):
        return x * scale

    f.defjvp(lambda p, t: (p[0] * p[1], t[0] * p[1] + p[0] * t[1]))
    close(wg.grad(lambda x: f(scale=x, x=3.0))(5.0), 3.0)
    close(wg.grad(lambda x: f(x=x))(5.0), 2.0)
    with pytest.raises(InputError, match="f: got an unexpected keyword argument 'y'"):
        f(1.0, y=2)
    g = wg.custom_jvp(lambda x, *, k: x * k)
    g.defjvp(lambda p, t: None)
    with pytest.raises(InputError, match="positional arguments only; it was called with k="):
        g(1.0, k=2)


def test_residuals_may_be_anything():
    @wg.custom_vjp
    def f(x):
        return x**3

    f.defvjp(
        lambda x: (x**3, {"x": x, "n": 3, "s": "t", "no": None}),
        lambda s, ct: (s["n"] * s["x"] ** 2 * ct,),
    )
    for mode in ("grad of vmap", "vmap of grad", "grad of grad", "jit of grad"):
        close(
            REVERSE_MODES[mode](lambda x: np.sum(f(x)))(X),
            REVERSE_MODES[mode](lambda x: np.sum(x**3))(X),
        )


def test_zero_cotangents_inside_a_tree():
    @wg.custom_vjp
    def f(d):
        return d["a"] * 2

    f.defvjp(lambda d: (d["a"] * 2, ()), lambda _, ct: ({"a": ct * 2, "b": None},))
    g = wg.grad(lambda d: np.sum(f(d)))({"a": X, "b": M})
    close(g, {"a": np.full(4, 2.0), "b": np.zeros((3, 4))})


def test_the_forward_function_runs_once():
    calls = []

    @wg.custom_vjp
    def f(x):
        raise AssertionError("not used where a derivative is taken")

    def fwd(x):
        calls.append(1)
        return np.sin(x), np.cos(x)

    f.defvjp(fwd, lambda c, ct: (ct * c,))
    wg.grad(f)(1.0)
    assert len(calls) == 1
    wg.grad(lambda x: np.sum(wg.vmap(f)(x)))(X)
    assert len(calls) == 2


# --- examples -------------------------------------------------------------------------------------
def test_straight_through_estimator():
    @wg.custom_vjp
    def quantise(x):
        return np.round(x * 4) / 4

    quantise.defvjp(lambda x: (np.round(x * 4) / 4, ()), lambda _, ct: (ct,))

    def by_stop_gradient(x):
        return x + wg.stop_gradient(np.round(x * 4) / 4 - x)

    for f in (quantise, by_stop_gradient):
        y, g = wg.value_and_grad(lambda x, f=f: np.sum(f(x) ** 2))(X)
        close(y, np.sum((np.round(X * 4) / 4) ** 2))
        close(g, 2 * np.round(X * 4) / 4)
        close(wg.jit(wg.grad(lambda x, f=f: np.sum(f(x) ** 2)))(X), g)


def test_gradient_clipping():
    @wg.custom_vjp
    def clip(x):
        return x

    clip.defvjp(lambda x: (x, ()), lambda _, ct: (np.clip(ct, -1, 1),))
    f = lambda x: np.sum(10 * clip(x) + np.sin(clip(x * 2)))  # noqa: E731
    close(wg.grad(f)(X), 1 + 2 * np.cos(2 * X))
    close(wg.jit(wg.vmap(wg.grad(f)))(np.stack([X, X])), np.stack([1 + 2 * np.cos(2 * X)] * 2))


def test_a_stable_rule():
    @wg.custom_jvp
    def log1pexp(x):
        return np.log1p(np.exp(x))

    log1pexp.defjvp(lambda p, t: (np.logaddexp(p[0], 0.0), t[0] / (1 + np.exp(-p[0]))))
    with np.errstate(over="ignore"):
        assert wg.grad(log1pexp)(1000.0) == 1.0
        assert wg.jvp(log1pexp, (1000.0,), (1.0,)) == (1000.0, 1.0)


def test_implicit_differentiation():
    """The rule of a fixed point is written with the equation, and is differentiated again."""

    @wg.custom_jvp
    def root(a):
        x = a
        while abs(x * x - a) > 1e-14 * a:
            x = (x + a / x) / 2
        return x

    root.defjvp(lambda p, t: (y := root(p[0]), t[0] / (2 * y)))
    for n, f in enumerate([root, wg.grad(root), wg.grad(wg.grad(root)), wg.hessian(wg.grad(root))]):
        expected = [2**0.5, 0.5 * 2**-0.5, -0.25 * 2**-1.5, -0.375 * -2.5 * 2**-3.5 * -1]
        close(f(2.0), expected[n] if n < 3 else wg.hessian(wg.grad(np.sqrt))(2.0))


# --- stop_gradient --------------------------------------------------------------------------------
STOPPED = [
    (lambda x: wg.stop_gradient(x) * x, lambda x: x),
    (lambda x: np.sin(wg.stop_gradient(x)), lambda x: 0 * x),
    (lambda x: wg.stop_gradient({"a": x, "b": [x]})["b"][0] * x**2, lambda x: 2 * x**2),
    (lambda x: x * wg.stop_gradient(wg.stop_gradient(x) + x), lambda x: 2 * x),
]


@pytest.mark.parametrize(("f", "derivative"), STOPPED)
def test_stop_gradient(f, derivative):
    def scalar(x):
        return np.sum(f(x))

    close(wg.grad(scalar)(X), derivative(X))
    close(wg.jvp(f, (X,), (np.ones(4),))[1], derivative(X))
    close(wg.jit(wg.grad(scalar))(X), derivative(X))
    close(wg.grad(wg.jit(scalar))(X), derivative(X))
    close(wg.vmap(wg.grad(f))(X), derivative(X))
    assert wg.stop_gradient(3) == 3


# --- errors ---------------------------------------------------------------------------------------
def with_jvp(rule, f=np.sin):
    made = wg.custom_jvp(lambda x: f(x))
    made.f.__name__ = made.name = "f"
    made.defjvp(rule)
    return made


def with_vjp(fwd, bwd):
    made = wg.custom_vjp(lambda x: x * 2)
    made.name = "f"
    made.defvjp(fwd, bwd)
    return made


WRONG = {
    "tangent shape": (
        with_jvp(lambda p, t: (np.sin(p[0]), np.sum(t[0]))),
        ShapeError,
        r"rule of f returned a tangent of shape \(\) for a result of shape \(4,\)",
    ),
    "tangent form": (
        with_jvp(lambda p, t: (np.sin(p[0]), [t[0]])),
        ShapeError,
        "rule of f returned a tangent of another form than the result",
    ),
    "tangent dtype": (
        with_jvp(lambda p, t: (np.sin(p[0]), 1j * t[0])),
        InputError,
        "tangent of dtype complex128 for a result of dtype float64",
    ),
    "no pair": (
        with_jvp(lambda p, t: np.sin(p[0])),
        InputError,
        r"must return \(result, tangent\)",
    ),
    "text": (
        with_jvp(lambda p, t: None, lambda x: "text"),
        InputError,
        "must return arrays, not a str",
    ),
    "square": (
        with_jvp(lambda p, t: (np.sin(p[0]), t[0] ** 2)),
        DerivativeError,
        "rule of f is not linear in its tangents: it applies power",
    ),
    "product": (
        with_jvp(lambda p, t: (p[0], t[0] * t[0])),
        DerivativeError,
        "not linear.*multiply",
    ),
    "exponential": (
        with_jvp(lambda p, t: (p[0], np.exp(t[0]))),
        DerivativeError,
        "not linear.*exp",
    ),
    "branch": (
        with_jvp(lambda p, t: (p[0], t[0] if t[0][0] > 0 else -t[0])),
        DerivativeError,
        "not linear in its tangents",
    ),
    "cotangent shape": (
        with_vjp(lambda x: (x, ()), lambda _, ct: (np.sum(ct),)),
        ShapeError,
        r"backward function of f returned a cotangent of shape \(\) for an argument of shape "
        r"\(4,\)",
    ),
    "cotangent form": (
        with_vjp(lambda x: (x, ()), lambda _, ct: ([ct],)),
        ShapeError,
        "returned a cotangent of another form than the argument",
    ),
    "cotangent dtype": (
        with_vjp(lambda x: (x, ()), lambda _, ct: (ct * 1j,)),
        InputError,
        "cotangent of dtype complex128 for an argument of dtype float64",
    ),
    "no tuple": (
        with_vjp(lambda x: (x, ()), lambda _, ct: ct),
        InputError,
        "must return a tuple with one cotangent for each of 1 arguments",
    ),
    "too many": (
        with_vjp(lambda x: (x, ()), lambda _, ct: (ct, ct)),
        InputError,
        "one cotangent for each of 1 arguments",
    ),
    "no residuals": (
        with_vjp(lambda x: x, lambda _, ct: (ct,)),
        InputError,
        r"return \(result, residuals\)",
    ),
    "no jvp rule": (
        wg.custom_jvp(np.sin),
        DerivativeError,
        r"sin has no rule yet; give it with @sin.defjvp",
    ),
    "no vjp rule": (
        wg.custom_vjp(np.sin),
        DerivativeError,
        r"sin has no rule yet; .* sin.defvjp\(fwd, bwd\)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("compiled", [False, True])
def test_wrong_rules_say_what_is_wrong(name, compiled):
    f, error, message = WRONG[name]
    gradient = wg.grad(lambda x: np.sum(f(x)))
    with pytest.raises(error, match=f"(?s){message}"):
        (wg.jit(gradient) if compiled else gradient)(X)


FORWARD = {
    "jvp": lambda f, x: wg.jvp(f, (x,), (x,))[1],
    "jacfwd": lambda f, x: wg.jacfwd(f)(x) @ x,
    "batch": lambda f, x: wg.vmap(lambda t: wg.jvp(f, (t,), (t,))[1])(x),
    "linearize": lambda f, x: wg.linearize(f, x)[1](x),
    "compiled": lambda f, x: wg.jit(lambda x: wg.jvp(f, (x,), (x,))[1])(x),
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward_mode_transposes_a_pullback_that_is_linear(name):
    close(FORWARD[name](vjp_sine, X), np.cos(X) * X)


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize(
    "bwd",
    [
        lambda _, ct: (np.clip(ct, -1, 1),),
        lambda _, ct: (ct + 1.0,),
        lambda _, ct: (np.ones(np.shape(ct)),),
        lambda _, ct: (ct * ct,),
    ],
    ids=["clip", "affine", "constant", "square"],
)
def test_forward_mode_of_a_pullback_that_is_not_linear_is_refused(name, bwd):
    f = wg.custom_vjp(lambda x: x * 1.0)
    f.name = "clipped"
    f.defvjp(lambda x: (x * 1.0, ()), bwd)
    message = "clipped has a custom vjp only, so it cannot be differentiated in forward mode"
    with pytest.raises(DerivativeError, match=message):
        FORWARD[name](f, X)


def closing(t, kind):
    """A custom function that closes over `t`."""
    if kind == "jvp":
        f = wg.custom_jvp(lambda x: x * t)
        f.defjvp(lambda p, d: (p[0] * t, d[0] * t))
    else:
        f = wg.custom_vjp(lambda x: x * t)
        f.defvjp(lambda x: (x * t, ()), lambda _, ct: (ct * t,))
    return f


CLOSURES = {
    "grad": lambda kind: wg.grad(lambda t: closing(t, kind)(t))(2.0),
    "other argument": lambda kind: wg.grad(lambda t, x: closing(t, kind)(x))(2.0, 3.0),
    "plain argument": lambda kind: wg.grad(lambda t: closing(t, kind)(3.0))(2.0),
    "two levels": lambda kind: wg.grad(lambda t: wg.grad(lambda x: closing(t, kind)(x))(3.0))(2.0),
    "jvp": lambda kind: wg.jvp(lambda t: closing(t, kind)(3.0), (2.0,), (1.0,)),
    "jit": lambda kind: wg.jit(wg.grad(lambda t: closing(t, kind)(t)))(2.0),
    "vmap": lambda kind: wg.vmap(lambda t: closing(t, kind)(t))(X),
}


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
@pytest.mark.parametrize("name", CLOSURES)
def test_closing_over_a_traced_value_is_refused(name, kind):
    with pytest.raises(
        LeakedTracerError, match="depends on a traced value that is not one of its diff"
    ):
        CLOSURES[name](kind)


def test_a_traced_nondifferentiated_argument_is_refused():
    f = wg.custom_jvp(lambda x, n: x * n, nondiff_argnums=1)
    f.defjvp(lambda n, p, t: (p[0] * n, t[0] * n))
    with pytest.raises(LeakedTracerError, match="through nondiff_argnums"):
        wg.grad(lambda n: f(2.0, n))(3.0)
    assert wg.grad(f)(2.0, 3.0) == 3.0


def test_text_arguments_are_named():
    f = wg.custom_jvp(lambda x, how: x)
    f.defjvp(lambda p, t: None)
    with pytest.raises(InputError, match=r"name an argument of type str_? in nondiff_argnums"):
        f(1.0, "how")
    with pytest.raises(InputError, match="nondiff_argnums counts from 0"):
        wg.custom_jvp(np.sin, nondiff_argnums=-1)


def test_rules_are_counted_as_what_they_do():
    counted = count_function(wg.grad(lambda x: np.sum(jvp_sine(x))), X)
    assert counted.by_op["cos"] == 4
    assert not counted.unknown


def test_looks():
    assert jvp_sine.__name__ == "jvp_sine"
    close(jvp_sine(X), np.sin(X))
    close(vjp_sine(X), np.sin(X))
