"""Loops and branches as operations against the same programs in plain Python, in every mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loop_programs import PROGRAMS

import wengert as wg
from wengert.errors import BatchedControlError, InputError, MutationError, ShapeError

every = pytest.mark.parametrize("program", PROGRAMS, ids=str)
POINTS = [
    (
        0.4 * np.random.default_rng(s).normal(size=(3, 3)),
        np.random.default_rng(s + 9).normal(size=3),
    )
    for s in range(4)
]
MODES = {
    "value": lambda f: f,
    "grad": lambda f: wg.grad(f, (0, 1)),
    "jvp": lambda f: lambda w, x: wg.jvp(f, (w, x), (np.cos(w), np.sin(x)), allow_int=True)[1],
    "second": lambda f: (
        lambda w, x: wg.jvp(wg.grad(f, (0, 1)), (w, x), (np.cos(w), np.sin(x)), allow_int=True)[1]
    ),
    "reverse twice": lambda f: wg.grad(
        lambda w, x: sum(np.sum(g**2) for g in wg.grad(f, (0, 1))(w, x)), (0, 1)
    ),
}
modes = pytest.mark.parametrize("mode", MODES)


def _close(found: Any, expected: Any) -> None:
    found = found if isinstance(found, tuple) else (found,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for a, b in zip(found, expected, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@every
@modes
def test_without_compilation(program, mode):
    for point in POINTS[:2]:
        _close(MODES[mode](program.f)(*point), MODES[mode](program.plain)(*point))


COMPILED = [("native", m) for m in MODES] + [("numpy", m) for m in ("value", "grad", "second")]


@every
@pytest.mark.parametrize(("backend", "mode"), COMPILED)
def test_compiled(program, mode, backend):
    compiled = wg.jit(MODES[mode](program.f), backend=backend)
    for point in [*POINTS[1:], POINTS[1]]:
        _close(compiled(*point), MODES[mode](program.plain)(*point))


@every
@pytest.mark.parametrize("mode", ["value", "grad", "second"])
@pytest.mark.parametrize("backend", [None, "native"])
def test_batches(program, mode, backend):
    f = wg.vmap(MODES[mode](program.f))
    if backend is not None:
        f = wg.jit(f, backend=backend)
    many = tuple(np.stack(part) for part in zip(*POINTS, strict=True))
    rows = [MODES[mode](program.plain)(*point) for point in POINTS]
    rows = [r if isinstance(r, tuple) else (r,) for r in rows]
    found = f(*many)
    found = found if isinstance(found, tuple) else (found,)
    _close(found, tuple(np.stack(part) for part in zip(*rows, strict=True)))


@every
def test_the_gradient_of_a_batch(program):
    many = tuple(np.stack(part) for part in zip(*POINTS, strict=True))

    def total(f: Any) -> Any:
        return lambda w, x: np.sum(wg.vmap(f)(w, x) ** 2)

    rows = [wg.grad(lambda w, x: program.plain(w, x) ** 2, (0, 1))(*p) for p in POINTS]
    _close(
        wg.jit(wg.grad(total(program.f), (0, 1)))(*many),
        tuple(np.stack(part) for part in zip(*rows, strict=True)),
    )


# --- what programs are made of --------------------------------------------------------------------
def total(length: int) -> Any:
    rows = np.linspace(0.0, 1.0, length)
    return lambda x: wg.scan(lambda c, r: (np.sin(c * r) + x, c), x, rows)[0]


@pytest.mark.parametrize("transform", [lambda f: f, wg.grad, lambda f: wg.grad(wg.grad(f))])
def test_a_program_does_not_grow_with_the_trips(transform):
    few, many = (wg.jit(transform(total(n))).plan(0.5).graph for n in (3, 4000))
    assert len(few.nodes) == len(many.nodes)
    assert str(few).count("\n") == str(many).count("\n")


def test_what_nothing_reads_is_left_out():
    f = wg.jit(
        lambda x: wg.scan(lambda c, _: ((c[0] * x, np.exp(c[1])), c[1]), (x, x), length=9)[0][0]
    )
    (node,) = f.plan(0.5).graph.nodes
    assert len(node.outputs) == node.attrs["carries"] == 1
    assert [n.op.name for n in node.attrs["body"].nodes] == ["multiply"]


def test_costs_go_into_bodies():
    count = wg.count(total(10), 0.5)
    assert count.by_op == {"multiply": 10, "sin": 10, "add": 10}
    branch = wg.count(lambda x: wg.cond(x > 0, np.sin, lambda x: x * x * x, x), 0.5)
    assert branch.by_op == {"multiply": 2, "greater": 1}
    endless = wg.count(lambda x: wg.while_loop(lambda y: y < 9, lambda y: y * 2, x), 0.5)
    assert endless.unknown == {"while_loop": 2}


def test_sources_show_bodies_as_functions():
    source = wg.jit(total(4), backend="numpy").plan(0.5).source()
    assert source.count("def ") == 2
    assert "scan(" in source


def test_while_loops_take_any_number_of_trips_without_a_new_recording():
    def f(x):
        return wg.while_loop(lambda c: c[0] < 50.0, lambda c: (c[0] * x, c[1] + 1), (1.0, 0))[0]

    for g in (wg.jit(f), wg.jit(lambda x: wg.jvp(f, (x,), (1.0,), allow_int=True)[1])):
        found = [g(x) for x in (1.5, 2.0, 9.0)]
        assert g.cache_info().traces == 1
        assert len(set(found)) == 3
    reverse = wg.jit(wg.grad(f))
    slope = [reverse(x) for x in (1.5, 2.0, 9.0, 1.6, 2.0)]
    np.testing.assert_allclose(slope, [10 * 1.5**9, 192.0, 18.0, 9 * 1.6**8, 192.0])


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_the_way_back_of_a_while_loop_is_for_many_numbers_of_trips(backend):
    def decay(x):
        """Halve until it is small; trips grow with the logarithm of `x`."""

        def step(state):
            y, total = state
            return y * 0.5, total + np.sin(y) * y

        return wg.while_loop(lambda s: s[0] > 1.0, step, (x, 0.0))[1]

    for transform in (wg.grad, lambda f: wg.grad(wg.grad(f))):
        slope = wg.jit(transform(decay), backend=backend)
        for trips in (0, 1, 3, 5, 7, 8, 9, 11, 12, 13, 14, 16, 2, 30):
            x = 1.4 * 2.0 ** (trips - 1)
            np.testing.assert_allclose(slope(x), transform(decay)(x), rtol=1e-12)
        assert slope.cache_info().traces == 4  # up to 8 trips, 12, 16 and 32


def test_trips_that_are_left_over_do_nothing():
    """What would divide by zero, raise, or be read out of range after the end is not computed."""
    table = np.arange(1.0, 7.0)

    def f(x):
        def step(state):
            i, left, y = state
            return i + 1, left - 1.0, y + x[0] * table.take(i) / left

        return wg.while_loop(lambda s: s[1] > 0, step, (0, x[1], 0.0))[2]

    slope = wg.jit(wg.grad(f))
    for n in (6.0, 2.0, 0.0):
        x = np.array([0.5, n])
        found = slope(x)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, wg.grad(f)(x), rtol=1e-12)
    assert slope.cache_info().traces == 1


def test_ends_of_loops_that_do_not_run():
    def f(x):
        carry, ys = wg.scan(lambda c, r: (c * x + r, c * r), x, np.zeros(0))
        return wg.fori_loop(3, 3, lambda i, c: c * x, carry) + np.sum(ys)

    for g in (f, wg.jit(f), wg.grad(f), wg.jit(wg.grad(f))):
        g(2.0)
    assert f(2.0) == wg.jit(f)(2.0) == 2.0
    assert wg.grad(f)(2.0) == wg.jit(wg.grad(f))(2.0) == 1.0
    _, ys = wg.scan(lambda c, _: (c, (c, np.ones(2))), 1.0, length=0)
    assert [y.shape for y in ys] == [(0,), (0, 2)]


def test_plain_numbers_and_traced_bounds():
    assert wg.fori_loop(0, 5, lambda i, c: c + i, 0) == 10
    assert wg.switch(7, [lambda: 1, lambda: 2]) == 2
    triangle = wg.jit(lambda n: wg.fori_loop(0, n, lambda i, c: c + i, 0))
    assert [triangle(n) for n in (0, 4, 11)] == [0, 6, 55]
    assert triangle.cache_info().traces == 1


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_numbers_of_python_take_the_dtype_of_the_body(dtype):
    xs = np.arange(3).astype(dtype)

    def f(xs):
        return wg.scan(lambda c, x: (c + x * x, c), 0.0, xs)

    for g in (f, wg.jit(f)):
        carry, ys = g(xs)
        assert carry.dtype == ys.dtype == dtype
        assert carry == 5


@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit], ids=["plain", "jit"])
class TestErrors:
    """Mistakes are shown leaf by leaf, compiled or not."""

    def test_a_carry_that_changes_shape_and_dtype(self, wrap):
        def f(x):
            def step(c, _):
                return {"a": c["a"][:2], "b": c["b"].astype(np.float32), "c": c["c"]}, None

            return wg.scan(step, {"a": x, "b": x, "c": x}, length=3)[0]

        with pytest.raises(ShapeError) as error:
            wrap(f)(np.ones(3))
        text = str(error.value)
        assert "['a']: f64[3] is given, f64[2] returned" in text
        assert "['b']: f64[3] is given, f32[3] returned" in text
        assert "['c']: f64[3] stays" in text
        assert "test_loops.py" in text

    def test_a_carry_of_another_form(self, wrap):
        with pytest.raises(ShapeError, match="another form"):
            wrap(lambda x: wg.while_loop(lambda c: c[0] < 3, lambda c: c[0] + 1, (x,)))(0.0)

    def test_a_body_without_a_pair(self, wrap):
        with pytest.raises(InputError, match=r"returns a pair \(carry, y\)"):
            wrap(lambda x: wg.scan(lambda c, r: c, x, np.ones(3)))(0.0)

    def test_rows_of_other_lengths(self, wrap):
        with pytest.raises(ShapeError, match=r"f64\[3\], f64\[2\]"):
            wrap(lambda x: wg.scan(lambda c, r: (c, r), 0.0, (x, x[:2])))(np.ones(3))
        with pytest.raises(InputError, match="give length="):
            wrap(lambda x: wg.scan(lambda c, r: (c, r), x))(1.0)


def test_branches_of_other_forms_are_shown():
    f = wg.jit(lambda x: wg.cond(x > 0, lambda x: x, lambda x: np.ones(2) * x, x))
    with pytest.raises(ShapeError, match=r"(?s)branch 0 .*f64\[2\].*branch 1 .*f64\[\]"):
        f(1.0)


def test_decisions_of_python_in_a_body():
    def f(x):
        return wg.scan(lambda c, r: (c if c > r else r, None), x, np.ones(3))[0]

    assert f(0.5) == 1.0
    with pytest.raises(BatchedControlError, match=r"(?s)wg.scan is run once.*wg.cond.*test_loops"):
        wg.jit(f)(0.5)
    outside = wg.jit(
        lambda x: wg.scan(lambda c, r: (c * r if x > 0 else r, None), x, np.ones(3))[0]
    )
    assert [outside(2.0), outside(-2.0)] == [2.0, 1.0]


def test_changes_of_what_is_outside():
    def plain(x):
        kept = np.zeros(3)

        def step(c, r):
            c = c + np.sum(r * kept)
            kept[0] += 1
            return c, None

        return wg.scan(step, x, np.ones(3))[0] + kept[0]

    with pytest.raises(MutationError, match="changes in place an array of shape"):
        wg.jit(plain)(1.0)

    def traced(x):
        y = x * 1.0

        def step(c, r):
            y[0] = y[0] * 2
            return c + r, None

        return wg.scan(step, 0.0, np.ones(3))[0] + y[0]

    with pytest.raises(MutationError, match="changes in place an array of shape"):
        wg.jit(traced)(np.ones(3))


def test_derivatives_of_the_users_own_are_kept():
    @wg.custom_vjp
    def clipped(x):
        return x * x

    clipped.defvjp(lambda x: (x * x, x), lambda x, ct: (100.0 * ct,))

    def f(x):
        return wg.scan(lambda c, r: (c + clipped(x) * r, None), 0.0, np.ones(3))[0]

    assert wg.grad(f)(1.0) == wg.jit(wg.grad(f))(1.0) == 300.0
    assert wg.jit(f)(2.0) == 12.0


def test_checkpoints_around_and_inside_of_loops():
    w, x = POINTS[0]

    def f(w, x):
        return np.sum(wg.scan(wg.checkpoint(lambda h, r: (np.tanh(w @ h) + r, h)), x, w)[1] ** 2)

    around = wg.checkpoint(f)
    expected = wg.grad(f)(w, x)
    for g in (wg.grad(around), wg.jit(wg.grad(around)), wg.jit(wg.grad(f))):
        np.testing.assert_allclose(g(w, x), expected, rtol=1e-10)


def test_sparse_matrices_have_every_entry():
    def f(x):
        return x + wg.fori_loop(0, 3, lambda i, y: np.sin(y) * x[0] + np.roll(y, 1), x)

    x = np.linspace(0.1, 1.0, 6)
    dense = wg.jacobian(f)(x)
    sparse = wg.jacobian(f, sparsity="auto")
    for _ in range(2):
        found = sparse(x)
        found = found.toarray() if hasattr(found, "toarray") else found
        np.testing.assert_allclose(found, dense, rtol=1e-10)


def test_captured_arrays_are_seen_to_change():
    rows = np.ones(3)
    f = wg.jit(lambda x: wg.scan(lambda c, r: (c + r * x, None), 0.0, rows)[0])
    assert f(2.0) == 6.0
    rows[:] = 2.0
    assert f(2.0) == 12.0


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_prefixes_share_no_memory_with_what_they_are_of(rows):
    x = np.ones((rows, 2))
    assert not np.shares_memory(wg.associative_scan(np.add, x), x)
    assert not np.shares_memory(wg.associative_scan(np.add, x, reverse=True), x)

    def f(x):
        y = wg.associative_scan(np.add, x)
        y *= 2.0
        return np.sum(y) + np.sum(x)

    if rows:
        turns = 2.0 * np.arange(rows, 0, -1)[:, None] * np.ones(2) + 1.0
        np.testing.assert_array_equal(wg.grad(f)(x), turns)
        np.testing.assert_array_equal(wg.jit(wg.grad(f))(x), turns)


# --- peers ----------------------------------------------------------------------------------------
@pytest.mark.peers
def test_jax_agrees():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    w, rows, x = 0.4 * rng.normal(size=(4, 4)), rng.normal(size=(50, 4)), np.ones(4)

    def program(lax: Any, xp: Any) -> Any:
        def f(w: Any, x: Any, rows: Any) -> Any:
            def step(carry: Any, row: Any) -> Any:
                h = xp.tanh(w @ carry[0] + row)
                return (h, carry[1] + 1), (xp.sum(h**2), h)

            (h, _), (squares, hs) = lax.scan(step, (x, 0), rows, reverse=True)
            turned = lax.fori_loop(0, 5, lambda i, y: xp.sin(y) * x + i, h)
            branch = lax.cond(xp.sum(h) > 0, xp.sum, lambda h: xp.sum(h**2), h)
            arm = lax.switch(1, [lambda y: y[0], lambda y: y[1] ** 2], turned)
            prefixes = lax.associative_scan(xp.add, hs)
            return xp.sum(squares) + arm + branch + xp.sum(prefixes * rows)

        return f

    ours, theirs = program(wg, np), program(jax.lax, jax.numpy)
    args = (w, x, rows)
    for a, b in zip(
        wg.jit(wg.grad(ours, (0, 1, 2)))(*args), jax.grad(theirs, (0, 1, 2))(*args), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    many = np.stack([w, 2 * w, -w])
    np.testing.assert_allclose(
        wg.jit(wg.vmap(wg.grad(ours), (0, None, None)))(many, x, rows),
        jax.vmap(jax.grad(theirs), (0, None, None))(many, x, rows),
        rtol=1e-9,
        atol=1e-12,
    )
    forward = lambda f, jvp: jvp(f, args, args)[1]  # noqa: E731
    np.testing.assert_allclose(forward(ours, wg.jvp), forward(theirs, jax.jvp), rtol=1e-10)


@pytest.mark.parametrize("bounds", [(0, 2.5), (0.0, 3), (0, np.array([1, 2])), (0, True)])
def test_bounds_of_fori_loop_are_integers(bounds):
    """A bound that is cut to an integer would be another loop."""

    def f(x):
        return wg.fori_loop(*bounds, lambda i, s: s * x, 1.0)

    for g in (f, wg.grad(f), wg.jit(f)):
        with pytest.raises(InputError, match="has to be an integer"):
            g(2.0)
    with pytest.raises(InputError, match="upper has to be an integer"):
        wg.grad(lambda x: wg.fori_loop(0, x, lambda i, s: s * x, 1.0))(2.0)
