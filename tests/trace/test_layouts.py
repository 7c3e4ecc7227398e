"""Where results lie in memory, and what they share it with: traced values against NumPy's arrays.

Every expression of `layout_cases` is evaluated on arrays that lie in memory in every way. Updates
of the argument, of what it is a view of, of the result, and of a reshape of the result are then
seen by the same arrays as in NumPy; ``ravel("K")`` shows the order of the axes.
"""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest
from layout_cases import CASES, LAYOUTS, environment

import wengert as wg
from wengert.errors import BatchedControlError, MutationError, WengertError

POINT = np.random.default_rng(0).uniform(0.2, 1.5, 24) * np.where(np.arange(24) % 5 == 2, -1, 1)
REFUSED = {"np.meshgrid(x[:, 0], x[:, 0], copy=False)", "np.meshgrid(v, v, copy=False)"}
"""Written into by NumPy with a warning that this will end, refused here."""
NEEDS_ARRAY = "like=s"
"""NumPy's own scalars are not taken for `like=`."""


def made(name, layout, text, p):
    """Return the base, an array that lies in it in some way, and what an expression makes of it."""
    base = p * 1.0
    a = LAYOUTS[name][layout](base)
    y = eval(text, environment(name, a))
    return base, a, list(y) if isinstance(y, (tuple, list)) else [y]


def flat(*arrays):
    return np.concatenate([np.ravel(y) * 1.0 for y in arrays])


def in_order(base, a, ys):
    return np.concatenate([np.ravel(y, "K") * 1.0 for y in ys])


def base_written(base, a, ys):
    base *= 3.0
    return flat(*ys)


def argument_written(base, a, ys):
    a *= 3.0
    return flat(*ys)


def result_written(base, a, ys):
    for k, y in enumerate(ys):
        y += 7.0 + k
    return flat(base, a, *ys)


def reshape_written(base, a, ys):
    for y in ys:
        if np.ndim(y) > 1:
            r = y.reshape(-1)
            r += 7.0
    return flat(base, *ys)


CHECKS = [in_order, base_written, argument_written, result_written, reshape_written]


def compare(name, layout, text, check, transformed):
    f = lambda p: check(*made(name, layout, text, p))  # noqa: E731
    refused = (MutationError,) if text in REFUSED else ()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            want = f(POINT)
        except (ValueError, TypeError, IndexError) as error:
            if NEEDS_ARRAY in text and isinstance(error, TypeError):
                return
            with pytest.raises((WengertError, ValueError, TypeError, IndexError)):
                transformed(f)
            return
        try:
            got = transformed(f)
        except refused:
            return
        except WengertError as error:
            if "is not supported" in str(error) or "does not differentiate" in str(error):
                return
            raise
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=f"{text} of {layout}, {check}")


def batched(f):
    try:
        return wg.vmap(f)(np.stack([POINT, POINT]))[1]
    except (MutationError, BatchedControlError):
        return f(POINT)  # refused where one example's layout is not known, or a decision differs


WAYS = {
    "vjp": lambda f: wg.vjp(f, POINT, allow_int=True)[0],
    "jvp": lambda f: wg.jvp(f, (POINT,), (POINT,), allow_int=True)[0],
    "jit": lambda f: wg.jit(f)(POINT),
    "vmap": batched,
}


def some(things, *seed):
    """Return one of several things, the same at each run."""
    return things[zlib.crc32(repr(seed).encode()) % len(things)]


@pytest.mark.share(4)
@pytest.mark.parametrize(("name", "text"), CASES)
def test_results_lie_and_share_memory_as_in_numpy(name, text):
    for layout in LAYOUTS[name]:
        for check in CHECKS:
            compare(name, layout, text, check, WAYS["vjp"])


@pytest.mark.share(4)
@pytest.mark.parametrize("way", ["jvp", "jit", "vmap"])
@pytest.mark.parametrize(("name", "text"), CASES)
def test_in_other_traces(name, text, way):
    layout = some([*LAYOUTS[name]], text, way)
    compare(name, layout, text, some(CHECKS, way, text), WAYS[way])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["jvp", "jit", "vmap"])
@pytest.mark.parametrize(("name", "text"), CASES[::8])
def test_in_other_traces_each_layout(name, text, way):
    for layout in LAYOUTS[name]:
        for check in CHECKS:
            compare(name, layout, text, check, WAYS[way])


# --- arguments that lie in memory in several ways -------------------------------------------------
GIVEN = {
    "C": lambda x: x.copy(),
    "F": np.asfortranarray,
    "T": lambda x: x.T.copy().T,
    "gaps": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "rows": lambda x: np.repeat(x, 3, axis=0)[::3],
}
MATRIX = np.arange(1.0, 7.0).reshape(2, 3)


def through_ravel(x):
    y = x * 1.0
    v = y.ravel()
    v[0] = 100.0
    return np.sum(y * y)


def through_zeros(x):
    y = np.zeros_like(x)
    y.reshape(-1)[:] = x.ravel() ** 2
    return np.sum(y)


def keeping_order(x):
    return np.sum(np.ravel(x * 2, "K") * np.arange(6.0))


def any_order(x):
    return np.sum(x.reshape(-1, order="A") * np.arange(6.0))


def later(x):
    y = x + np.ones((3, 2)).T
    r = y.reshape(3, 2)
    y += 1.0
    return np.sum(r * np.arange(6.0).reshape(3, 2))


def by_sharing(x):
    y = x * 1.0
    return np.sum(y) * (2.0 if np.shares_memory(y, y.reshape(-1)) else 3.0)


DECIDING = [through_ravel, through_zeros, keeping_order, any_order, later, by_sharing]


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("f", DECIDING)
def test_a_plan_for_each_layout(f, backend):
    compiled = wg.jit(f, backend=backend)
    gradient = wg.jit(wg.grad(f), backend=backend)
    for name in [*GIVEN, *reversed(GIVEN)]:
        x = GIVEN[name](MATRIX)
        np.testing.assert_allclose(compiled(x), f(x), err_msg=name)
        np.testing.assert_allclose(compiled({"x": x}["x"]), f(x), err_msg=name)
        np.testing.assert_allclose(gradient(x), wg.grad(f)(x), err_msg=name)
    out = np.empty(())
    for name in GIVEN:
        x = GIVEN[name](MATRIX)
        assert compiled.into(out, x) is out
        np.testing.assert_allclose(out, f(x), err_msg=name)


def test_layouts_do_not_matter_where_nothing_is_decided_by_them():
    compiled = wg.jit(lambda x: np.sum(np.sin(x.reshape(-1)) * 2) + np.sum(x.ravel()))
    for make in GIVEN.values():
        compiled(make(MATRIX))
    assert compiled.cache_info().traces == 1


def test_a_plan_says_that_it_was_made_for_another_layout():
    plan = wg.jit(through_ravel).plan(MATRIX)
    assert plan(GIVEN["C"](MATRIX)) == through_ravel(MATRIX)
    with pytest.raises(wg.errors.PlanMismatchError, match="lie in memory in another way"):
        plan(GIVEN["F"](MATRIX))


def rows_of(x):
    y = x * 1.0
    v = y.ravel()
    v *= np.arange(1.0, 7.0)
    return np.reshape(y, -1)


def test_sparse_matrices_of_each_layout():
    jacobian = wg.jacobian(rows_of, format="csr")
    for name in [*GIVEN, *reversed(GIVEN)]:
        x = GIVEN[name](MATRIX)
        dense = wg.jacrev(rows_of)(x).reshape(6, 6)
        np.testing.assert_allclose(jacobian(x).toarray(), dense, err_msg=name)
    plan = jacobian.plan(GIVEN["F"](MATRIX))
    with pytest.raises(wg.errors.PlanMismatchError, match="lie in memory in another way"):
        plan(MATRIX)


def test_a_saved_plan_keeps_the_layout_of_its_example(tmp_path):
    wg.jacobian(rows_of, format="csr").plan(GIVEN["F"](MATRIX)).save(tmp_path / "plan")
    plan = wg.load_plan(tmp_path / "plan", rows_of)
    np.testing.assert_allclose(plan(GIVEN["F"](MATRIX)).toarray(), np.eye(6)[:, [0, 1, 2, 3, 4, 5]])
    with pytest.raises(wg.errors.PlanMismatchError, match="lie in memory in another way"):
        plan(MATRIX)


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("f", DECIDING)
def test_arguments_themselves(f, name):
    x = GIVEN[name](MATRIX)
    assert wg.value_and_grad(f)(x)[0] == f(x)
    assert wg.jvp(f, (x,), (x,), allow_int=True)[0] == f(x)


def test_large_values_that_are_not_computed():
    """A recording knows the layout of arrays that it leaves uncomputed."""

    def f(x):
        y = np.sin(x.T) * 2 + 1  # in Fortran order
        r = y.reshape(-1)
        r[:3] = 0.0  # a copy
        z = (x @ x.T)[:, :100].copy().T.copy()
        z.reshape(-1)[:5] = 7.0  # a view
        k = np.ravel(np.concatenate([y, y], axis=1), "K")
        return np.sum(y) + np.sum(z) + k @ np.arange(k.size)

    x = np.random.default_rng(0).normal(size=(150, 120))
    np.testing.assert_allclose(wg.jit(f)(x), f(x), rtol=1e-10)
    np.testing.assert_allclose(wg.value_and_grad(f)(x)[0], f(x), rtol=1e-10)


# --- long chains ----------------------------------------------------------------------------------
def shrinking(v):
    return v[1:]


def turning(v):
    return v[::-1].reshape(-1)


def framing(v):
    return np.squeeze(v[None].T)[...]


@pytest.mark.parametrize("step", [shrinking, turning, framing])
def test_a_chain_of_views_costs_its_length(step):
    def run(x, n):
        y = x * 1.0
        v = y
        for _ in range(n):
            v = step(v)
            v[0] *= 1.01
        return y

    x = np.linspace(1.0, 2.0, 100)
    np.testing.assert_allclose(wg.vjp(lambda x: run(x, 60), x)[0], run(x, 60))
    sizes = [len(wg.jit(lambda x, n=n: run(x, n)).plan(x).graph.nodes) for n in (10, 20, 40)]
    assert sizes[2] - sizes[1] <= 2.2 * (sizes[1] - sizes[0])


def test_a_base_and_the_end_of_a_chain_in_turn():
    def f(x):
        y = x * 1.0
        v = y
        for _ in range(50):
            v = v[...].T[:, None][:, 0]
        for i in range(50):
            y[i % 4] *= 1.1
            v[(i + 1) % 3] += 0.1
        return v

    x = np.linspace(1.0, 2.0, 12).reshape(4, 3)
    np.testing.assert_allclose(wg.vjp(f, x, allow_int=True)[0], f(x))
    np.testing.assert_allclose(wg.jit(f)(x), f(x))


# --- what is refused ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "view",
    [
        lambda y: np.broadcast_to(y, (2, *y.shape)),
        lambda y: np.diagonal(y),
        lambda y: np.linalg.diagonal(y),
        lambda y: np.lib.stride_tricks.sliding_window_view(y, 2, axis=0),
    ],
)
def test_read_only_views(view):
    def f(x):
        y = x * 1.0
        v = view(y)
        v += 1.0
        return np.sum(y)

    with pytest.raises(MutationError, match="is a read-only view, as in NumPy"):
        wg.grad(f)(np.eye(3))


def test_no_copy_where_one_is_needed():
    for f in (
        lambda x: np.reshape(x.T, -1, copy=False),
        lambda x: np.asarray(x.T, order="C", copy=False, like=x),
        lambda x: np.array(x, np.float32, copy=False, like=x),
    ):
        with pytest.raises(ValueError, match=r"[Uu]nable to avoid"):
            f(MATRIX)
        with pytest.raises(ValueError, match=r"[Uu]nable to avoid"):
            wg.vjp(f, MATRIX, allow_int=True)


def test_orders_that_do_not_exist():
    for f in (lambda x: x.ravel("Q"), lambda x: x.reshape(-1, order="K"), lambda x: x.copy("Q")):
        with pytest.raises(ValueError, match="order"):
            wg.vjp(f, MATRIX, allow_int=True)


def test_the_end_of_a_joined_chain_without_axes_is_an_array():
    def f(x):
        y = x * 1.0
        turned = y.T
        v = turned[1, 2, ...]
        y *= 2.0
        v *= 0.5
        return y

    x = np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(wg.vjp(f, x, allow_int=True)[0], f(x))


def doubled(a, b):
    a *= 2
    return np.sum(a * b)


def first_doubled(a, b):
    a.reshape(-1)[0] *= 2
    return np.sum(a) + np.sum(b)


RUNS = {
    "grad": lambda f, a, b: wg.grad(f)(a, b),
    "keyword": lambda f, a, b: wg.grad(f)(a, b=b),
    "both": lambda f, a, b: wg.grad(f, argnums=(0, 1))(a, b),
    "vjp": lambda f, a, b: wg.vjp(f, a, b, allow_int=True),
    "jvp": lambda f, a, b: wg.jvp(f, (a, b), (a, b), allow_int=True),
    "vmap": lambda f, a, b: wg.vmap(f, (0, None))(a[None], b),
    "jit": lambda f, a, b: wg.jit(f)(a, b),
}


@pytest.mark.parametrize("f", [doubled, first_doubled])
@pytest.mark.parametrize("run", RUNS)
def test_an_updated_argument_shares_no_memory_with_another(f, run):
    x = np.arange(1.0, 7.0).reshape(2, 3)
    for b in (x, x[::-1], x[0]):
        with pytest.raises(MutationError, match="in place"):
            RUNS[run](f, x, b)


def test_arguments_that_share_no_memory_are_updated():
    whole = np.arange(12.0).reshape(2, 6)
    a, b = whole[:, :3], whole[:, 3:]
    assert wg.value_and_grad(doubled)(a, b)[0] == doubled(a.copy(), b.copy())
    assert wg.vjp(doubled, a, b, allow_int=True)[0] == doubled(a.copy(), b.copy())
    one = np.arange(1.0, 7.0).reshape(2, 3)
    np.testing.assert_allclose(wg.grad(lambda z: doubled(z, z))(one), 8 * one)
