"""Functions with custom rules: arguments left out, rules that call the function, all orders."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import DerivativeError, MutationError, ShapeError, WengertError

X = np.array([0.7, -0.4, 1.3])
V = np.array([1.0, -2.0, 0.5])


def close(got, want):
    got = got.toarray() if hasattr(got, "toarray") else got
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


# --- derivatives of every order -------------------------------------------------------------------
def plain(x):
    return np.sin(x) * x


def slope(x):
    return np.cos(x) * x + np.sin(x)


def by_jvp(calls):
    f = wg.custom_jvp(lambda x: plain(x))
    f.defjvp(lambda p, t: ((f if calls else plain)(p[0]), slope(p[0]) * t[0]))
    return f


def by_vjp(calls, in_bwd=False):
    f = wg.custom_vjp(lambda x: plain(x))

    def bwd(x, ct):
        # in_bwd: the slope by the function itself, cos(x) x + f(x) / x
        return ((np.cos(x) * x + (f(x) / x if in_bwd else np.sin(x))) * ct,)

    f.defvjp(lambda x: ((f if calls else plain)(x), x), bwd)
    return f


MADE = {
    "jvp": by_jvp(False),
    "jvp that calls itself": by_jvp(True),
    "vjp": by_vjp(False),
    "vjp that calls itself": by_vjp(True),
    "vjp that calls itself twice": by_vjp(True, True),
}

total = lambda f: lambda x: np.sum(f(x) * x)  # noqa: E731
rows = lambda f: lambda x: f(x) * x[0]  # noqa: E731

WAYS = {
    "grad": lambda f: wg.grad(total(f))(X),
    "jit of grad": lambda f: wg.jit(wg.grad(total(f)))(X),
    "jit of grad in NumPy": lambda f: wg.jit(wg.grad(total(f)), backend="numpy")(X),
    "grad of jit": lambda f: wg.grad(wg.jit(total(f)))(X),
    "vmap of grad": lambda f: wg.vmap(wg.grad(total(f)))(np.stack([X, 2 * X])),
    "grad of vmap": lambda f: wg.grad(lambda x: np.sum(wg.vmap(f)(x) * x))(X),
    "jit of vmap of grad": lambda f: wg.jit(wg.vmap(wg.grad(total(f))))(np.stack([X, 2 * X])),
    "jacobian": lambda f: wg.jacobian(rows(f))(X),
    "jacrev": lambda f: wg.jacrev(rows(f))(X),
    "jacfwd": lambda f: wg.jacfwd(rows(f))(X),
    "jacobian of a wide one": lambda f: wg.jacobian(lambda x: f(x)[:1])(X),
    "csr": lambda f: wg.jacobian(rows(f), format="csr")(X).toarray(),
    "csr forward": lambda f: wg.jacobian(rows(f), format="csr", mode="forward")(X).toarray(),
    "csr reverse": lambda f: wg.jacobian(rows(f), format="csr", mode="reverse")(X).toarray(),
    "hessian": lambda f: wg.hessian(total(f))(X),
    "jit of hessian": lambda f: wg.jit(wg.hessian(total(f)))(X),
    "hessian, sparse": lambda f: wg.hessian(total(f), format="csr")(X).toarray(),
    "hessian, reverse": lambda f: wg.hessian(total(f), mode="reverse")(X),
    "hvp": lambda f: wg.hvp(total(f), (X,), (V,)),
    "jvp of grad": lambda f: wg.jvp(wg.grad(total(f)), (X,), (V,))[1],
    "grad of grad": lambda f: wg.jacrev(wg.grad(total(f)))(X),
    "grad of jvp": lambda f: wg.grad(lambda x: np.sum(wg.jvp(f, (x,), (V,))[1]))(X),
    "third": lambda f: wg.jacfwd(wg.hessian(total(f)))(X),
    "linearize of grad": lambda f: wg.linearize(wg.grad(total(f)), X)[1](V),
    "checkpoint": lambda f: wg.grad(wg.checkpoint(total(f)))(X),
    "hessian of checkpoint": lambda f: wg.hessian(wg.checkpoint(total(f)))(X),
    "vmap of hvp": lambda f: wg.vmap(lambda v: wg.hvp(total(f), (X,), (v,)))(np.stack([V, X])),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made", MADE)
def test_every_order(made, way):
    close(WAYS[way](MADE[made]), WAYS[way](plain))


@pytest.mark.parametrize("made", MADE)
def test_cost_and_memory(made):
    """They record the function too, and end."""
    assert wg.cost(wg.grad(total(MADE[made])), X).flops > 0
    assert wg.memory(total(MADE[made]), X) is not None


def test_what_is_differentiated_again_is_what_the_rules_compute():
    """As in JAX: a gradient that is clipped has a second derivative where it is not."""
    f = wg.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, ()), lambda _, ct: (np.clip(ct, -1, 1),))
    g = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    x = np.array([0.3, 2.0, -0.1])
    for hessian in (wg.hessian(g), wg.jacrev(wg.grad(g)), wg.jit(wg.hessian(g))):
        close(hessian(x), np.diag([2.0, 0.0, 2.0]))
    close(wg.hvp(g, (x,), (V,)), [2.0, 0.0, 1.0])
    close(wg.jacobian(f)(x), np.eye(3))  # no forward rule: the rows


# --- arguments ------------------------------------------------------------------------------------
def power(x, n=2.0, *, scale=1.0):
    return scale * x**n


def jvp_power():
    f = wg.custom_jvp(power)
    f.defjvp(lambda p, t: (p[0] ** p[1], p[1] * p[0] ** (p[1] - 1) * t[0] + 0.0 * t[1]))
    return f


def vjp_power():
    f = wg.custom_vjp(power)
    f.defvjp(
        lambda x, n: (x**n, (x, n)),
        lambda s, ct: (ct * s[1] * s[0] ** (s[1] - 1), np.sum(ct * s[0] ** s[1]) * 0.0),
    )
    return f


def fixed_power():
    f = wg.custom_vjp(power, nondiff_argnums=1)
    f.defvjp(lambda x, n: (x**n, x), lambda n, x, ct: (ct * n * x ** (n - 1),))
    return f


CALLS = {
    "default": (lambda f, x: f(x), 2.0),
    "by position": (lambda f, x: f(x, 3.0), 3.0),
    "by name": (lambda f, x: f(x, n=3.0), 3.0),
    "all by name": (lambda f, x: f(n=3.0, x=x), 3.0),
    "first by name": (lambda f, x: f(x=x), 2.0),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("make", [jvp_power, vjp_power, fixed_power], ids=lambda f: f.__name__)
def test_arguments(make, call):
    """A rule gets the arguments left at their defaults, and those given by name."""
    f, (apply, n) = make(), CALLS[call]
    x = np.array([0.5, 2.0])
    close(apply(f, x), x**n)
    for transform in (wg.grad, lambda g: wg.jit(wg.grad(g)), lambda g: wg.grad(wg.jit(g))):
        close(transform(lambda x: np.sum(apply(f, x)))(x), n * x ** (n - 1))
    close(wg.vmap(wg.grad(lambda x: apply(f, x)))(x), n * x ** (n - 1))


def test_arguments_that_the_rule_does_not_take():
    """Options of NumPy's functions stay at their defaults; `*args` takes what is given."""
    f = wg.custom_vjp(np.round)
    f.defvjp(lambda x: (np.round(x), ()), lambda _, ct: (ct,))
    close(wg.grad(lambda x: np.sum(f(x)))(X), np.ones(3))
    f = wg.custom_vjp(lambda *xs: sum(xs))
    f.defvjp(lambda *xs: (sum(xs), len(xs)), lambda n, ct: (ct,) * n)
    close(wg.grad(lambda x: np.sum(f(x, x, 2 * x)))(X), np.full(3, 4.0))


@pytest.mark.parametrize("make", [jvp_power, vjp_power, fixed_power], ids=lambda f: f.__name__)
def test_arguments_that_are_refused(make):
    f = make()
    with pytest.raises(WengertError, match=r"takes positional arguments only; .* scale="):
        wg.grad(lambda x: f(x, scale=2.0))(1.0)
    with pytest.raises(WengertError, match="power: missing a required argument: 'x'"):
        f()
    with pytest.raises(WengertError, match="power: got an unexpected keyword argument 'm'"):
        f(1.0, m=2)


# --- what is changed in place ---------------------------------------------------------------------
def zero_first(u):
    u[0] = 0.0
    return u * 2


def sort_it(u):
    u.sort()
    return u * 2


def out_of(u):
    np.sin(u, out=u)
    return u * 2


def of_a_view(u):
    u[::-1][0] += 1.0
    return u * 2


def doubled(ct):
    ct *= 2
    return ct


CHANGES = {f.__name__: f for f in (zero_first, sort_it, out_of, of_a_view)}
CHANGED = {
    "the function, jvp": lambda g: wg.custom_jvp(lambda u: g(u)),
    "the function, vjp": lambda g: wg.custom_vjp(lambda u: g(u)),
    "its rule": lambda g: wg.custom_jvp(lambda u: u * 2),
    "its forward function": lambda g: wg.custom_vjp(lambda u: u * 2),
}
TAKEN = {
    "grad": lambda f: wg.grad(lambda x: np.sum(f(x * 1.0)))(X),
    "jvp": lambda f: wg.jvp(lambda x: f(x * 1.0), (X,), (V,)),
    "vmap": lambda f: wg.vmap(lambda x: f(x * 1.0))(np.stack([X, V])),
    "vmap of grad": lambda f: wg.vmap(wg.grad(lambda x: np.sum(f(x * 1.0))))(np.stack([X, V])),
    "jit": lambda f: wg.jit(lambda x: f(x * 1.0))(X),
    "jit of grad": lambda f: wg.jit(wg.grad(lambda x: np.sum(f(x * 1.0))))(X),
    "hessian": lambda f: wg.hessian(lambda x: np.sum(f(x * 1.0)))(X),
}


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("who", CHANGED)
def test_arguments_changed_in_place(who, change, taken):
    """Whether by the function or by its rule: refused, or as if nothing had been changed."""
    g = CHANGES[change]
    f = CHANGED[who](g)
    if "jvp" in who or who == "its rule":
        changed = (lambda u: g(u)) if who == "its rule" else (lambda u: u * 2)
        f.defjvp(lambda p, t: (changed(p[0]), t[0] * 2))
    else:
        changed = (lambda u: g(u)) if who == "its forward function" else (lambda u: u * 2)
        f.defvjp(lambda u: (changed(u), ()), lambda _, ct: (ct * 2,))
    rule_only = who in ("its rule", "its forward function")
    if rule_only and taken in ("vmap", "jit"):
        TAKEN[taken](f)  # the rule is not called
        return
    with pytest.raises(MutationError, match="changes in place an array that it is given"):
        TAKEN[taken](f)


def test_a_plain_call_is_plain():
    """Without a derivative the function does what it does."""
    for made in (wg.custom_jvp(zero_first), wg.custom_vjp(zero_first)):
        if isinstance(made, wg.custom_jvp):
            made.defjvp(lambda p, t: (p[0], t[0]))
        else:
            made.defvjp(lambda x: (x, ()), lambda _, ct: (ct,))
        x = X.copy()
        close(made(x), [0.0, 2 * X[1], 2 * X[2]])
        assert x[0] == 0.0


@pytest.mark.parametrize("bwd", [lambda r, ct: (doubled(ct),), lambda r, ct: (doubled(r) * ct,)])
def test_cotangents_and_residuals_changed_in_place(bwd):
    """They belong to others too: with y = a + b both get the same cotangent."""
    f = wg.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, np.full(3, 2.0)), bwd)
    for gradient in (
        wg.grad(lambda x: np.sum((f(x) + x * 3) * V)),
        wg.jit(wg.grad(lambda x: np.sum((f(x) + x * 3) * V))),
    ):
        with pytest.raises(MutationError, match=r"the backward function of .* changes in place"):
            gradient(X)


# --- what changes between the passes --------------------------------------------------------------
def test_rules_see_what_the_forward_pass_saw():
    w = np.array([1.0, 2.0, 3.0])
    big = np.arange(1.0, 100_001.0)
    by_rule = wg.custom_jvp(lambda x: x * w)
    by_rule.defjvp(lambda p, t: (p[0] * w, t[0] * w))
    by_residual = wg.custom_vjp(lambda x: x * w)
    by_residual.defvjp(lambda x: (x * w, w), lambda w, ct: (ct * w,))
    by_argument = wg.custom_vjp(lambda x, w: x * w, nondiff_argnums=1)
    by_argument.defvjp(lambda x, w: (x * w, ()), lambda w, _, ct: (ct * w,))
    for f in (by_rule, by_residual, lambda x: by_argument(x, w)):

        def changing(x, f=f):
            y = f(x)
            w[:] = 100.0
            return np.sum(y)

        for take in (
            lambda g: wg.grad(g)(X),
            lambda g: wg.vjp(g, X)[1](1.0)[0],
            lambda g: wg.jit(wg.grad(g))(X),
        ):
            w[:] = [1.0, 2.0, 3.0]
            close(take(changing), [1.0, 2.0, 3.0])
    large = wg.custom_vjp(lambda x: x * big)
    large.defvjp(lambda x: (x * big, big), lambda w, ct: (np.sum(ct * w),))
    _, pull = wg.vjp(large, 2.0)
    close(pull(np.ones(100_000))[0], big.sum())
    big[5] = 0.0
    with pytest.raises(MutationError):
        pull(np.ones(100_000))


def test_a_linear_map_kept_for_later():
    w = np.array([1.0, 2.0, 3.0])
    f = wg.custom_jvp(lambda x: x * w)
    f.defjvp(lambda p, t: (p[0] * w, t[0] * w))
    _, push = wg.linearize(f, X)
    w[:] = 100.0
    close(push(np.ones(3)), [1.0, 2.0, 3.0])


def test_called_again_under_checkpoint():
    """A forward function that draws other numbers the second time is found out."""
    rng = np.random.default_rng(0)
    f = wg.custom_vjp(lambda x: x)

    def fwd(x):
        noise = rng.standard_normal(3)
        return x * noise, noise

    f.defvjp(fwd, lambda noise, ct: (ct * noise,))
    with pytest.raises(MutationError, match="gave other values than before"):
        wg.grad(wg.checkpoint(lambda x: np.sum(np.sin(f(x)))))(X)
    y, g = wg.value_and_grad(lambda x: np.sum(f(x) * V))(X)
    assert np.isclose(y, g @ X)


# --- rules that are wrong -------------------------------------------------------------------------
def wrong_jvp(rule):
    f = wg.custom_jvp(lambda x: np.sin(x))
    f.name = "f"
    f.defjvp(rule)
    return f


def wrong_vjp(fwd, bwd):
    f = wg.custom_vjp(lambda x: np.sin(x))
    f.name = "f"
    f.defvjp(fwd, bwd)
    return f


WRONG = {
    "a result of another shape": (
        wrong_jvp(lambda p, t: (p[0][:1], t[0][:1])),
        ShapeError,
        r"rule of f returned a result of shape \(1,\), where the function returns one of shape",
    ),
    "a result without axes": (
        wrong_jvp(lambda p, t: (np.sum(p[0]), np.sum(t[0]))),
        ShapeError,
        "rule of f returned a result of shape",
    ),
    "no tangent": (wrong_jvp(lambda p, t: (np.sin(p[0]), None)), ShapeError, "another form"),
    "nothing": (wrong_jvp(lambda p, t: None), TypeError, r"must return \(result, tangent\)"),
    "a tangent that is constant": (
        wrong_jvp(lambda p, t: (np.sin(p[0]), np.ones(3))),
        DerivativeError,
        "not linear in its tangents",
    ),
    "a tangent that is shifted": (
        wrong_jvp(lambda p, t: (np.sin(p[0]), t[0] + 1.0)),
        DerivativeError,
        "not linear in its tangents: it applies add",
    ),
    "no cotangents": (
        wrong_vjp(lambda x: (np.sin(x), x), lambda x, ct: None),
        TypeError,
        "must return a tuple",
    ),
    "a text": (
        wrong_vjp(lambda x: (np.sin(x), x), lambda x, ct: ("text",)),
        WengertError,
        "returned a cotangent of",
    ),
    "no pair": (
        wrong_vjp(lambda x: None, lambda x, ct: (ct,)),
        TypeError,
        r"must return \(result, residuals\)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(
    "take",
    [
        lambda f: wg.grad(lambda x: np.sum(f(x)))(X),
        lambda f: wg.jit(wg.grad(lambda x: np.sum(f(x))))(X),
        lambda f: wg.jacrev(f)(X),
        lambda f: wg.hessian(lambda x: np.sum(f(x)))(X),
    ],
)
def test_wrong_rules(name, take):
    f, error, message = WRONG[name]
    with pytest.raises(error, match=message) as caught:
        take(f)
    assert isinstance(caught.value, WengertError)


def test_zeros_may_be_added():
    """A rule may begin a sum with 0, and leave a place at zero."""
    f = wg.custom_jvp(lambda x: np.sin(x))
    f.defjvp(
        lambda p, t: (
            np.sin(p[0]),
            sum([np.cos(p[0]) * t[0], np.where(p[0] > 9, t[0], 0.0)], np.zeros(3)),
        )
    )
    close(wg.grad(lambda x: np.sum(f(x)))(X), np.cos(X))
