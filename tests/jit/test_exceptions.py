"""An exception that a function catches decides as an ``if`` does: never kept, never lost."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.errors import MemoryBudgetError, MutationError, UnsupportedError, WengertError
from wengert.jit.jitted import NotCompiled
from wengert.trace.alarm import covered

pytestmark = pytest.mark.filterwarnings("ignore::wengert.jit.jitted.NotCompiled")

GOOD, BAD = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([[1.0, 3.0], [3.0, 9.0]])


def jitter(a):
    for size in (0.0, 1e-3, 1.0, 10.0):
        try:
            factor = np.linalg.cholesky(a + size * np.eye(2))
        except np.linalg.LinAlgError:
            continue
        return np.sum(np.log(np.diag(factor)))
    return np.sum(a)


def unused(a):  # what the try is about is not used
    with contextlib.suppress(np.linalg.LinAlgError):
        np.linalg.inv(a)
        return np.sum(a)
    return -np.sum(a)


def other_function(a):
    def solved(b):
        return np.linalg.solve(a, b)

    try:
        return np.sum(solved(np.arange(2.0)))
    except np.linalg.LinAlgError:
        return np.sum(np.linalg.pinv(a) @ np.arange(2.0))


def within(x):
    with np.errstate(all="raise"):
        try:
            return np.sum(np.log(x))
        except FloatingPointError:
            return np.sum(x)


def as_error(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.sum(1.0 / x)
        except RuntimeWarning:
            return np.sum(x) * 2


def picked(x, i):
    try:
        return x[i] * 2.0
    except IndexError:
        return np.sum(x)


def finally_returns(x, i):
    y = np.sum(x)
    try:
        y = x[i]
    finally:
        return y  # noqa: B012


def whole(x):
    try:
        n = int(x[0])
    except (ValueError, OverflowError):
        n = -1
    return np.sum(x[1:]) * n


def not_followed(x):
    try:
        return np.sum(np.lib.stride_tricks.as_strided(x)) * 2.0
    except TypeError:
        return np.sum(x) * 3.0


X = np.array([0.5, 2.0, 3.0])
CASES = [
    (jitter, (GOOD,), (BAD,)),
    (unused, (GOOD,), (BAD,)),
    (other_function, (GOOD,), (BAD,)),
    (within, (X,), (-X,)),
    (as_error, (X,), (X - 0.5,)),
    (picked, (X, 1), (X, 7)),
    (picked, (X, np.array([0, 1])), (X, np.array([0, 5]))),
    (finally_returns, (X, 2), (X, -9)),
    (whole, (X,), (np.array([np.nan, 1.0, 2.0]),)),
    (not_followed, (X,), (X + 1,)),
]


def value(f, args):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return f(*args)
    except (ArithmeticError, np.linalg.LinAlgError, IndexError, WengertError) as error:
        return type(error)


def same(got, want):
    if isinstance(want, type):
        return got is want
    return np.allclose(got, want, equal_nan=True)


@pytest.mark.parametrize("order", ["abab", "baab", "bbbbba", "aabb"])
@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0].__name__)
def test_the_path_of_each_call_is_its_own(case, backend, order):
    f, *calls = case
    jitted = wg.jit(f, backend=backend)
    for which in order:
        args = calls["ab".index(which)]
        assert same(value(jitted, args), value(f, args)), which


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("case", CASES[:6], ids=lambda c: c[0].__name__)
def test_gradients_take_the_path_of_each_call(case, order):
    f, *calls = case
    gradient = wg.grad(f)
    compiled, inner = wg.jit(gradient), wg.grad(wg.jit(f))
    for which in order * 2:
        args = calls["ab".index(which)]
        want = value(gradient, args)
        assert same(value(compiled, args), want)
        assert same(value(inner, args), want)


@pytest.mark.parametrize("wrap", [wg.checkpoint, lambda f: f], ids=["checkpoint", "plain"])
def test_into_checkpoint_and_sparse_plans(wrap):
    def f(a):
        try:
            return wrap(lambda a: np.diag(np.linalg.inv(a)) ** 2)(a)
        except np.linalg.LinAlgError:
            return np.diag(a) * 3.0

    jitted, out = wg.jit(f), np.empty(2)
    sparse, dense = wg.jacobian(f, format="csr", probe=False), wg.jacobian(f)
    for a in (GOOD, BAD, GOOD, GOOD, BAD, BAD, GOOD):
        np.testing.assert_allclose(jitted.into(out, a), f(a))
        np.testing.assert_allclose(sparse(a).toarray(), dense(a).reshape(2, 4))


def test_what_is_caught_outside_is_raised_as_numpy_raises_it():
    solve = wg.jit(lambda a, b: np.linalg.solve(a, b))
    solve(GOOD, X[:2])
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        solve(BAD, X[:2])
    take = wg.jit(lambda x, i: x[i])
    take(X, 1)
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        take(X, 5)


def test_errstate_around_a_call_is_heeded():
    root = wg.jit(np.sqrt)
    for _ in range(3):
        root(X)
    with np.errstate(all="ignore"):
        assert np.isnan(root(-X)).all()
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        root(-X)
    with np.errstate(invalid="raise"):
        np.testing.assert_allclose(root(X), np.sqrt(X))
    np.testing.assert_allclose(root(X), np.sqrt(X))
    assert root.cache_info().traces == 1


@pytest.mark.filterwarnings("error")
def test_a_signature_that_is_given_up_warns_once():
    jitted = wg.jit(jitter)
    jitted(BAD)
    jitted(BAD)
    with pytest.warns(NotCompiled, match="catches the LinAlgError that an operation raises"):
        jitted(BAD)
    jitted(BAD)
    jitted.clear_cache()
    jitted(GOOD)
    assert jitted.cache_info().specialisations == 1
    with pytest.warns(NotCompiled, match="floating-point error is an exception"):
        wg.jit(within)(X)


def test_plans_of_what_is_caught():
    with pytest.raises(UnsupportedError, match="cannot be planned at this example: it catches"):
        wg.jit(jitter).plan(BAD)
    plan = wg.jit(jitter).plan(GOOD)
    assert "done" in str(plan.graph)
    with pytest.raises(np.linalg.LinAlgError):
        plan(BAD)


def test_a_budget_is_not_given_up_silently():
    jitted = wg.jit(jitter, memory_budget="1MiB")
    np.testing.assert_allclose(jitted(GOOD), jitter(GOOD))
    with pytest.raises(MemoryBudgetError, match="catches an exception"):
        jitted(BAD)


def test_shapes_that_do_not_fit_are_no_decision():
    def f(a, b):
        try:
            return a @ b
        except ValueError:
            return a * b

    jitted = wg.jit(f)
    for args in ((X, X[:, None] * np.ones((3, 2))), (X, X[None])):
        np.testing.assert_allclose(jitted(*args), f(*args))
        np.testing.assert_allclose(jitted(*args), f(*args))
    assert jitted.cache_info().specialisations == 2


def test_what_a_handler_covers():
    def f(x):
        y = x + 1
        try:
            y = x[0]
        except IndexError as error:
            y = repr(error)
        return y

    found = covered(f.__code__)
    assert len(found) == 1
    start, stop = found[0]
    assert 0 < start < stop < len(f.__code__.co_code)


# --- vmap -----------------------------------------------------------------------------------------
def handler_raises(a):
    try:
        return np.sum(np.linalg.inv(a))
    except np.linalg.LinAlgError:
        if np.sum(a) > 0:  # a decision, which there is not for all examples together
            return np.sum(a)
        return np.sum(a) * 2


def twice(a):
    try:
        if np.sum(a) > 5:  # no single outcome, which is caught
            return np.sum(a) * 2
        return np.sum(a)
    except Exception:
        try:
            return np.sum(np.linalg.inv(a))
        except ZeroDivisionError:
            return 0.0


ROWS = [
    (twice, (np.stack([BAD, GOOD, 2 * GOOD]),)),
    (jitter, (np.stack([GOOD, BAD, 2 * GOOD]),)),
    (unused, (np.stack([BAD, GOOD]),)),
    (other_function, (np.stack([BAD, GOOD]),)),
    (handler_raises, (np.stack([BAD, GOOD, -BAD]),)),
    (within, (np.stack([X, -X]),)),
    (picked, (np.stack([X, X + 1]), np.array([1, 8]))),
]


@pytest.mark.parametrize("case", ROWS, ids=lambda c: c[0].__name__)
def test_vmap_takes_the_path_of_each_example(case):
    f, args = case
    want = np.stack([f(*row) for row in zip(*args, strict=True)])
    for g in (wg.vmap(f), wg.jit(wg.vmap(f)), wg.vmap(wg.jit(f))):
        for _ in range(2):
            np.testing.assert_allclose(g(*args), want)
    compiled = wg.jit(wg.vmap(f))
    fine = tuple(np.stack([x[0 if f is not unused else 1]] * len(x)) for x in args)
    for given in (fine, args, fine):
        wanted = np.stack([f(*row) for row in zip(*given, strict=True)])
        np.testing.assert_allclose(compiled(*given), wanted)


def test_vmap_of_a_gradient_takes_the_path_of_each_example():
    a = np.stack([GOOD, BAD])
    want = np.stack([wg.grad(jitter)(x) for x in a])
    np.testing.assert_allclose(wg.vmap(wg.grad(jitter))(a), want)
    np.testing.assert_allclose(wg.grad(lambda a: np.sum(wg.vmap(jitter)(a)))(a), want)
    np.testing.assert_allclose(
        wg.vmap(wg.vmap(jitter), 1, 1)(a[:, None])[:, 0], [jitter(x) for x in a]
    )


def test_vmap_passes_on_what_nobody_catches():
    with pytest.raises(np.linalg.LinAlgError):
        wg.vmap(np.linalg.inv)(np.stack([GOOD, BAD]))


def _views(x):
    np.ascontiguousarray(x, like=x)[0] = 0


def _sorted(x):
    x.sort()


def _added(x):
    x += 1


def _out(x):
    np.negative(x, out=x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("write", [_views, _sorted, _added, _out])
@pytest.mark.parametrize("order", ["FC", "CF", "FFCC"])
def test_a_write_into_an_argument_is_told_where_nothing_is_compiled(write, order, backend):
    """Whether it is one depends on the layout: a copy of the transpose, a view of the array."""

    def f(x):
        y = x if write is _views else x[:]
        with np.errstate(all="raise"):
            try:
                z = np.exp(900 * x)
            except FloatingPointError:
                z = np.exp(x)
        write(y)
        return np.sum(z) + np.sum(y)

    jitted = wg.jit(f, backend=backend)
    for layout in order * 2:
        x = np.array([[1.0, 2.0], [3.0, 4.0]], order=layout)
        if write is _views and layout == "F":
            np.testing.assert_allclose(jitted(x), f(x))
            continue
        with pytest.raises(MutationError, match="changes an argument"):
            jitted(x)
        assert x.tolist() == [[1, 2], [3, 4]]


@pytest.mark.filterwarnings("ignore")
def test_a_write_into_what_was_read_only_before_is_numpys_error():
    x = np.ones(2)
    x.flags.writeable = False
    for f in (lambda x: _raised(x, x), lambda x: _raised(np.broadcast_to(1.0, 2), x)):
        for _ in range(3):
            with pytest.raises(ValueError, match=r"read-only|in place"):
                wg.jit(f)(x)


def _raised(y, x):
    with np.errstate(all="raise"):
        try:
            np.exp(900 * x)
        except FloatingPointError:
            y[0] = 2.0
    return y
