"""`jit`: the same results as the plain function, compiled once for each path through it."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optree
import pytest

import wengert as wg
from wengert.compile import TooManySpecialisations
from wengert.errors import ConversionError, InputError, LeakedTracerError, MutationError


def assert_same(got, expected):
    """The same form, types, dtypes, shapes and values."""
    leaves, form = optree.tree_flatten(got)
    wanted, wanted_form = optree.tree_flatten(expected)
    assert form == wanted_form
    for g, w in zip(leaves, wanted, strict=True):
        assert type(g) is type(w), f"{type(g)} instead of {type(w)}"
        if isinstance(w, (np.ndarray, np.generic)):
            assert g.dtype == w.dtype
            assert g.shape == w.shape
            np.testing.assert_allclose(g, w, rtol=1e-6 if w.dtype.itemsize < 8 else 1e-13)
        else:
            assert g == w


# --- Python decisions -----------------------------------------------------------------------------
def branch(x):
    return x**2 if x[0] > 0 else np.exp(x)


def nested_branches(x):
    if x[0] > 0:
        return np.sin(x) if x[1] > 0 else np.cos(x)
    return x * 2 if x[1] > 0 else x * 3


def early_return(x):
    y = x * 2
    if y.sum() < 0:
        return y
    y = y + 1
    if np.all(y > 2):
        return np.sum(y)
    return y**2


def halve_until_small(x):
    steps = 0
    while np.linalg.norm(x) > 1:
        x = x / 2
        steps += 1
    return x, steps


def newton(a):
    x = a
    while abs(x * x - a) > 1e-12 * a:
        x = (x + a / x) / 2
    return x


def count_from_int(x):
    total = 0.0
    for i in range(int(x[0])):
        total = total + x[1] * i
    return total


def count_from_argument(x, n):
    for _ in range(n):
        x = np.sin(x)
    return x


def prefix(x, n):
    return x[:n] * 2


def window(x, n):
    return x[n : n + 2]


def rounded(x):
    return x * round(float(np.floor(x[0])))


def boolean_operators(x):
    if (x[0] > 0 and x[1] > 0) or not x[0] < 5:
        return x + 1
    return x - 1


def comparison_chain(x):
    return x if 0 < x[0] < 1 else -x


def mask(x):
    return x[x > 0] * 2


def mask_total(x):
    return np.sum(x[np.abs(x) < 1] ** 2)


def assert_inside(x):
    assert np.all(np.isfinite(x))
    return np.cumsum(x)


def any_of(x):
    return x / 2 if any(v > 1 for v in x) else x


def shape_from_data(x, n):
    return np.ones((n, 2)) * x[0]


def string_choice(x, kind):
    return {"sin": np.sin, "cos": np.cos}[kind](x)


def maybe(x, y=None):
    return x if y is None else x * y


A, B = np.array([0.5, 2.0, -0.3]), np.array([-0.5, 1.0, 0.2])
DECISIONS = [
    (branch, [(A,), (B,), (A * 2,), (B * 3,)], 2),
    (nested_branches, [(A,), (B,), (-A,), (-B,), (A * 2,)], 4),
    (early_return, [(A,), (-A,), (A + 5,), (A + 6,), (B,)], 3),
    (halve_until_small, [(A,), (A * 4,), (A * 64,), (A / 8,), (A * 4.1,)], 4),
    (count_from_int, [(A + 3,), (A + 4,), (A + 3.2,), (A,)], 3),
    (count_from_argument, [(A, 3), (B, 3), (A, 0), (A, 2)], 3),
    (prefix, [(A, 1), (A, 2), (B, 1), (B, np.int64(1))], 3),
    (window, [(A, 0), (A, 1), (B, 1)], 2),
    (rounded, [(A + 1,), (A + 2,), (A + 1.1,)], 2),
    (boolean_operators, [(A,), (B,), (np.array([9.5, -7.0, -0.3]),), (-A,), (A + 9,)], 3),
    (comparison_chain, [(A,), (B,), (A + 1,)], 3),
    (mask, [(A,), (B,), (A[::-1].copy(),), (-A,)], 2),
    (mask_total, [(A,), (A * 2,), (B * 0.1,), (B,)], 3),
    (assert_inside, [(A,), (B,)], 1),
    (any_of, [(A,), (A + 1,), (B,), (B - 1,)], 3),
    (shape_from_data, [(A, 1), (A, 3), (B, 3)], 2),
    (string_choice, [(A, "sin"), (A, "cos"), (B, "sin")], 2),
    (maybe, [(A,), (A, B), (B, None), (B, 2.0), (B, 3)], 5),
    (newton, [(2.0,), (9.0,), (2.1,)], None),
]


@pytest.mark.parametrize(
    ("f", "points", "paths"), DECISIONS, ids=lambda x: getattr(x, "__name__", "")
)
def test_every_path_is_right_and_recorded_once(f, points, paths):
    jitted = wg.jit(f)
    for args in points:
        assert_same(jitted(*args), f(*args))
    traces = jitted.cache_info().traces
    if paths is not None:
        assert traces == paths
    for args in points[::-1] + points:
        assert_same(jitted(*args), f(*args))
    assert jitted.cache_info().traces == traces == jitted.cache_info().specialisations


@pytest.mark.parametrize(
    "f",
    [branch, nested_branches, early_return, mask_total, halve_until_small],
    ids=lambda f: f.__name__,
)
def test_gradients_on_both_sides_of_each_branch(f):
    def total(x):
        y = f(x)
        return np.sum(y[0] if isinstance(y, tuple) else y)

    plain, jitted = wg.grad(total), wg.jit(wg.grad(total))
    for x in (A, B, -A, -B, A * 4, A + 5, A, B):
        assert_same(jitted(x), plain(x))
    assert jitted.cache_info().traces <= 4


def test_an_index_from_data_needs_no_guard():
    def f(x):
        return x[x.argmax()] * 2 + x[np.argsort(x)[0]]

    jitted = wg.jit(f)
    for x in (A, B, A[::-1].copy(), B[::-1].copy()):
        assert_same(jitted(x), f(x))
    assert jitted.cache_info().traces == 1


def test_an_integer_array_indexes_without_a_guard():
    def f(x, i):
        return x[i] ** 2

    jitted = wg.jit(f)
    for i in (np.array(0), np.array(2)):
        assert_same(jitted(A, i), f(A, i))
    assert jitted.cache_info().traces == 1


def test_a_mask_is_guarded_by_its_count_only():
    jitted = wg.jit(mask)
    for x in (np.array([1.0, -1, -1, 2]), np.array([-1.0, 3, 4, -1]), np.array([5.0, -1, -1, 6])):
        assert_same(jitted(x), mask(x))
    assert jitted.cache_info().traces == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0, 0.0, 1.5])
def test_float_outcomes_are_compared_by_their_bits(value):
    jitted = wg.jit(lambda x: np.copysign(1.0, float(x)))
    for v in (value, 0.0, -0.0, value, np.nan):
        x = np.float64(v)
        assert jitted(x) == np.copysign(1.0, v)
    traces = jitted.cache_info().traces
    assert jitted(np.float64(value)) == np.copysign(1.0, value)
    assert jitted.cache_info().traces == traces <= 4


def test_exceptions_leave_the_cache_usable():
    def f(x):
        if x[0] < 0:
            raise KeyError("negative")
        if x[0] > 10:
            return np.linalg.inv(np.zeros((2, 2)) * x[0])
        return x * 2

    jitted = wg.jit(f)
    for _ in range(2):
        assert_same(jitted(A), A * 2)
        with pytest.raises(KeyError, match="negative"):
            jitted(-A)
        with pytest.raises(np.linalg.LinAlgError):
            jitted(A + 10)
    assert jitted.cache_info().specialisations == 1


# --- too many paths -------------------------------------------------------------------------------
def test_past_the_limit_one_warning_and_right_results():
    def f(x, n):
        return np.sum(x) * sum(range(n)), x

    jitted = wg.jit(f, limit=3)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for n in [*range(6), *range(6)]:
            assert_same(jitted(A, n), f(A, n))
    (warning,) = seen
    assert warning.category is TooManySpecialisations
    assert "f takes more than 3 different paths" in str(warning.message)
    assert "np.where" in str(warning.message)
    assert warning.filename == __file__
    assert jitted.cache_info() == (3, 1, 3, 1)


def test_without_compilation_the_promises_hold():
    def f(x, n):
        if int(n) == 2:
            x[0] = 5.0
        return x

    jitted = wg.jit(f, limit=1)
    x = A.copy()
    jitted(x, 0)
    with pytest.warns(TooManySpecialisations):
        y = jitted(x, 1)
    y[:] = 7.0
    np.testing.assert_array_equal(x, A)
    with pytest.raises(ValueError, match="read-only"):
        jitted(x, 2)
    np.testing.assert_array_equal(x, A)


def test_a_function_without_decisions_never_reaches_the_limit():
    jitted = wg.jit(lambda x: x * 2, limit=1)
    for n in range(4):
        assert_same(jitted(np.ones(n)), np.full(n, 2.0))
    assert jitted.cache_info().fallbacks == 0


# --- what a specialisation depends on -------------------------------------------------------------
@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.complex64, np.complex128, np.int32, bool]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 2)])
def test_shapes_and_dtypes_are_keys(dtype, shape):
    def f(x):
        return x + x, x.sum(), np.abs(x), x * 2.0

    jitted = wg.jit(f)
    x = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    assert_same(jitted(x), f(x))
    assert_same(jitted(x[..., None]), f(x[..., None]))
    wide = x.astype(np.result_type(x, np.complex128))
    assert_same(jitted(wide), f(wide))
    assert jitted.cache_info().traces == (2 if dtype == np.complex128 else 3)


SCALARS = [
    1.5,
    3,
    True,
    2 + 1j,
    np.float32(1.5),
    np.float64(1.5),
    np.int8(3),
    np.array(1.5),
    np.array(3),
]


@pytest.mark.parametrize("t", SCALARS, ids=lambda t: f"{type(t).__name__}-{np.asarray(t).dtype}")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scalars_promote_and_return_as_in_numpy(t, dtype):
    def f(x, t):
        return x * t, t, t + t, t * 2.5, x[0] * t, -t, np.sqrt(t), t == 1, x * np.add(t, 1)

    x = np.ones(3, dtype)
    assert_same(wg.jit(f)(x, t), f(x, t))


def test_python_numbers_stay_weak_through_arithmetic():
    def f(x, t, n):
        rate = 0.1 / (1 + n) * 0.5**n - t
        return x * rate + (n % 3) - n // 2, rate

    x = np.ones(3, np.float32)
    jitted = wg.jit(f)
    for t, n in ((0.5, 3), (0.25, 4)):
        assert_same(jitted(x, t, n), f(x, t, n))
        assert jitted(x, t, n)[0].dtype == np.float32
    assert jitted.cache_info().traces == 1


def test_a_step_counter_does_not_retrace():
    @wg.jit
    def update(w, g, step, rate=0.1):
        return w - rate / (1 - 0.9 ** (step + 1)) * g

    w = np.ones(4, np.float32)
    for step in range(20):
        w = update(w, w * 0.5, step, rate=0.1 + step)
        assert w.dtype == np.float32
    assert update.cache_info().traces == 1


def test_int_and_float_and_bool_are_different():
    jitted = wg.jit(lambda x, t: x * t)
    assert_same([jitted(A, t) for t in (1, 1.0, True)], [A, A, A])
    assert jitted.cache_info().signatures == 3


def test_an_array_without_axes_is_not_a_scalar():
    def f(t):
        u = t
        u += 1  # rebinds a scalar, changes an array
        return t + 0

    jitted = wg.jit(f)
    assert jitted(np.float64(1.0)) == 1.0
    with pytest.raises(MutationError):
        jitted(np.array(1.0))


def test_static_arguments_by_position_and_name():
    seen = []

    def f(x, n, mode="a", *, axis=0):
        seen.append((n, mode, axis))
        assert not isinstance(n, wg.trace.tracer.Tracer)
        return np.sum(x, axis=axis) * (2 if mode == "a" else 3) ** n

    x = np.ones((2, 3))
    for jitted in (
        wg.jit(f, static_argnums=1, static_argnames="axis"),
        wg.jit(f, static_argnames=("n", "axis")),
        wg.jit(f, static_argnums=(-2,), static_argnames=["axis"]),
        wg.jit(static_argnums=1, static_argnames="axis")(f),
    ):
        for _ in range(2):
            for args, kwargs in (
                ((x, 2), {}),
                ((x, 3), {}),
                ((x,), {"n": 3}),
                ((x, 2, "b"), {}),
                ((x, 2), {"axis": 1}),
            ):
                assert_same(jitted(*args, **kwargs), f(*args, **kwargs))
        assert jitted.cache_info().traces == 5


def test_static_values_that_are_equal_but_differ():
    jitted = wg.jit(lambda x, s: x * s[0], static_argnums=1)
    for s in ((1,), (1.0,), (True,), (0.0,), (-0.0,)):
        assert_same(jitted(A, s), A * s[0])
    assert np.copysign(1, jitted(A, (-0.0,))[0]) == -1
    assert jitted.cache_info().traces == 5


def test_callables_and_objects_are_static():
    class Scale:
        factor = 3.0

    scale = Scale()
    jitted = wg.jit(lambda x, g, s: g(x) * s.factor)
    for g in (np.sin, np.cos, np.sin):
        assert_same(jitted(A, g, scale), g(A) * 3)
    assert jitted.cache_info().traces == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"static_argnums": 3}, "static_argnums=3 does not name an argument of f, which takes 2"),
        ({"static_argnames": "axis"}, "static_argnames='axis' does not name an argument of f"),
        ({"backend": "abacus"}, "backend='abacus' is not one of"),
    ],
)
def test_wrong_options(options, message):
    def f(x, n):
        return x * n

    with pytest.raises(InputError, match=message):
        wg.jit(f, **options)


def test_a_static_argument_that_cannot_be_hashed():
    with pytest.raises(InputError, match=r"static argument 1 is a list.*tuple instead of a list"):
        wg.jit(lambda x, n: x, static_argnums=1)(A, [1])


Point = namedtuple("Point", "x y")


def test_pytrees_in_and_out():
    def f(tree, point, *rest, **named):
        return {
            "sum": tree["w"] + tree["b"][0] * point.x,
            "point": Point(point.y * 2, point.x),
            "text": "unchanged",
            "none": None,
            "number": 7,
            "list": [rest[0] * named["k"], (), {}],
            "missing": tree["b"][1],
        }

    args = {"w": A, "b": [2.0, None]}, Point(1.5, B), 3
    jitted = wg.jit(f)
    for _ in range(2):
        assert_same(jitted(*args, k=A), f(*args, k=A))
    assert jitted.cache_info().traces == 1
    assert_same(
        jitted({"w": A, "b": [2.0, B]}, *args[1:], k=A), f({"w": A, "b": [2.0, B]}, *args[1:], k=A)
    )
    assert jitted.cache_info().traces == 2


@pytest.mark.parametrize("value", [None, "text", 3, 2.5, (), {}, np.arange(3)], ids=repr)
def test_results_that_do_not_depend_on_the_arguments(value):
    jitted = wg.jit(lambda x: value)
    for _ in range(2):
        assert_same(jitted(A), value)
    assert_same(wg.jit(lambda: value)(), value)


def test_keyword_order_does_not_matter():
    jitted = wg.jit(lambda a, b: a - b)
    assert_same(jitted(a=A, b=B), A - B)
    assert_same(jitted(b=B, a=A), A - B)
    assert jitted.cache_info().traces == 1


# --- arrays from outside --------------------------------------------------------------------------
@pytest.mark.parametrize("size", [3, 40_000])
def test_captured_arrays_are_read_at_each_call(size):
    w = np.arange(float(size))
    f = wg.jit(lambda x: np.sum(x * w) + np.sum(x + w))
    g = wg.jit(wg.grad(lambda x: np.sum(x * w)))
    x = np.ones(size)
    assert f(x) == 2 * np.sum(w) + size
    np.testing.assert_array_equal(g(x), w)
    w[1] = 100.0
    assert f(x) == 2 * np.sum(w) + size
    np.testing.assert_array_equal(g(x), w)
    assert f.cache_info().traces == 1


def test_a_view_of_a_captured_array_is_read_at_each_call():
    w = np.arange(6.0)
    f = wg.jit(lambda x: x + w[::2] + w.reshape(3, 2)[:, 1])
    f(A)
    w += 10
    assert_same(f(A), A + w[::2] + w[1::2])


def test_a_work_buffer_changed_while_recording():
    buffer = np.zeros(3)

    def f(x):
        total = x * 0
        for i in range(4):
            buffer[:] = i
            total = total + buffer * x
        buffer[:] = -1
        return total

    jitted = wg.jit(f)
    for _ in range(3):
        assert_same(jitted(A), 6 * A)


def test_a_large_work_buffer_changed_while_recording():
    buffer = np.zeros(40_000)

    def f(x):
        buffer[0] = 1
        y = x * buffer
        buffer[0] = 2
        return y + x * buffer

    with pytest.raises(
        MutationError, match=r"plain array of shape \(40000,\) was changed in place"
    ):
        wg.jit(f)(np.ones(40_000))


CHANGES = [
    (lambda x: x.__setitem__(0, 1.0), (A,), r"argument of shape \(3,\) in place.*x = x.copy\(\)"),
    (lambda x: np.add(x, 1, out=x), (A,), r"argument of shape \(3,\)"),
    (lambda x: x[1:].fill(0.0), (A,), r"argument of shape \(3,\)"),
    (lambda x: x.sort(), (A,), r"argument of shape \(3,\)"),
    (lambda d: d["w"].__imul__(2), ({"w": A},), r"argument of shape \(3,\)"),
    (lambda d: d.__setitem__("w", d["w"] * 2), ({"w": A},), "changes a list or dict among its arg"),
    (lambda d: d.pop("w"), ({"w": A, "b": B},), "changes a list or dict"),
    (lambda xs: xs.append(xs[0]), ([A],), "changes a list or dict"),
]


@pytest.mark.parametrize(("f", "args", "message"), CHANGES)
def test_changing_an_argument_raises(f, args, message):
    before = [x.copy() for x in optree.tree_leaves(args)]
    with pytest.raises(MutationError, match=f"(?s){message}"):
        wg.jit(f)(*args)
    for x, y in zip(optree.tree_leaves(args), before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_changing_a_copy_or_an_own_dict_is_fine():
    def f(x, d, **kwargs):
        y = x.copy()
        y[0] = x[1]
        d = dict(d)
        d["new"] = y * 2
        kwargs.pop("a")
        return y, d

    assert_same(wg.jit(f)(A, {"w": B}, a=A), f(A, {"w": B}, a=A))


W = np.arange(3.0)
SHARED = [
    lambda x: x,
    lambda x: (x, x),
    lambda x: (x * 2,) * 2,
    lambda x: W,
    lambda x: (W, W, W[:2]),
    lambda x: x[1:],
    lambda x: x[::-1],
    lambda x: x.reshape(3, 1),
    lambda x: np.broadcast_to(x, (2, 3)),
    lambda x: np.broadcast_to(x * 2, (2, 3)),
    lambda x: (np.stack([x, x]).T, np.stack([x, x])[0]),
    lambda x: wg.stop_gradient(x),
    lambda x: [y := x + 1, y[1:], y.reshape(1, 3), y],
    lambda x: np.real(x),
    lambda x: x.astype(float, copy=False),
    wg.grad(np.sum),
    wg.grad(lambda x: np.sum(W * x)),
    lambda x: wg.vjp(np.sin, x)[0],
    wg.jacobian(lambda x: x),
    wg.vmap(lambda t: t),
    lambda x: wg.custom_jvp(lambda z: z).f(x),
]


@pytest.mark.parametrize("f", SHARED, ids=range(len(SHARED)))
def test_results_are_the_callers_own(f):
    """Changing a result in place changes nothing else."""
    jitted = wg.jit(f)
    x = A.copy()
    expected = [np.array(y) for y in optree.tree_leaves(f(A.copy()))]
    for _ in range(3):
        results = optree.tree_leaves(jitted(x))
        assert len(results) == len(expected)
        for k, y in enumerate(results):
            np.testing.assert_array_equal(y, expected[k])
            assert y.flags.writeable
            y[...] = -77.0 - k
        for k, y in enumerate(results):
            assert np.all(y == -77.0 - k)
        np.testing.assert_array_equal(x, A)
        np.testing.assert_array_equal(W, np.arange(3.0))


def test_a_small_result_does_not_keep_a_large_array_alive():
    y = wg.jit(lambda x: (x * 2)[:2])(np.ones(10_000))
    assert y.base is None or y.base.nbytes <= y.nbytes


# --- composition ----------------------------------------------------------------------------------
def energy(x):
    return np.sum(np.sin(x) * x**2) if x[0] > 0 else np.sum(np.exp(x))


def inner(x):
    return np.tanh(x) * 2


COMPOSED = {
    "jit of jit": (wg.jit(lambda x: wg.jit(inner)(x) + 1), lambda x: inner(x) + 1),
    "grad of jit": (wg.grad(wg.jit(energy)), wg.grad(energy)),
    "jit of grad": (wg.jit(wg.grad(energy)), wg.grad(energy)),
    "jit of grad of jit": (wg.jit(wg.grad(wg.jit(energy))), wg.grad(energy)),
    "value and grad": (wg.jit(wg.value_and_grad(energy)), wg.value_and_grad(energy)),
    "hessian": (wg.jit(wg.hessian(energy)), wg.hessian(energy)),
    "hessian of jit": (wg.hessian(wg.jit(energy)), wg.hessian(energy)),
    "jacfwd": (wg.jit(wg.jacfwd(inner)), wg.jacfwd(inner)),
    "jacrev": (wg.jit(wg.jacrev(inner)), wg.jacrev(inner)),
    "jvp": (wg.jit(lambda x: wg.jvp(inner, (x,), (x,))), lambda x: wg.jvp(inner, (x,), (x,))),
    "hvp": (wg.jit(lambda x: wg.hvp(energy, (x,), (x,))), lambda x: wg.hvp(energy, (x,), (x,))),
    "vmap of jit": (wg.vmap(wg.jit(inner)), wg.vmap(inner)),
    "jit of vmap of grad": (
        wg.jit(wg.vmap(wg.grad(lambda t: np.sin(t) * t))),
        lambda x: np.cos(x) * x + np.sin(x),
    ),
    "third derivative": (
        wg.jit(wg.vmap(wg.grad(wg.grad(wg.jit(wg.grad(np.sin)))))),
        lambda x: -np.cos(x),
    ),
    "linearize": (
        wg.jit(lambda x: wg.linearize(inner, x)[1](x)),
        lambda x: x * 2 / np.cosh(x) ** 2,
    ),
    "checkpoint": (wg.jit(wg.grad(wg.checkpoint(energy))), wg.grad(energy)),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_composition(name):
    composed, expected = COMPOSED[name]
    for x in (A, A + 1, -A, A):
        got, want = composed(x), expected(x)
        for g, w in zip(optree.tree_leaves(got), optree.tree_leaves(want), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-14)


def test_a_jitted_function_that_closes_over_a_traced_value():
    def f(t):
        scaled = wg.jit(lambda x: np.sum(x * t))
        return scaled(A) + scaled(B)

    assert wg.grad(f)(2.0) == pytest.approx(np.sum(A + B))
    assert wg.jit(wg.grad(f))(2.0) == pytest.approx(np.sum(A + B))
    np.testing.assert_allclose(wg.vmap(f)(np.array([1.0, 2.0])), np.sum(A + B) * np.array([1, 2]))


def test_recursion():
    @wg.jit
    def power(x, n):
        return x * power(x, n - 1) if n > 0 else x * 0 + 1

    assert_same(power(A, 5), A**0 * A * A * A * A * A)
    assert power.cache_info().traces == 1


def test_methods():
    class Model:
        def __init__(self, scale):
            self.scale = scale

        @wg.jit
        def apply(self, x):
            """Scale."""
            return x * self.scale if x[0] > 0 else x

        @staticmethod
        @wg.jit
        def fixed(x):
            return x + 1

    one, two = Model(2.0), Model(3.0)
    for _ in range(2):
        assert_same(one.apply(A), A * 2)
        assert_same(two.apply(A), A * 3)
        assert_same(Model.apply(one, B), B)
        assert_same(Model.fixed(A), A + 1)
    assert one.apply.cache_info().traces == 3
    assert one.apply.plan(A).flops == 4
    assert one.apply.__doc__ == "Scale."
    assert_same(wg.grad(lambda x: np.sum(one.apply(x)))(A), np.full(3, 2.0))


def test_threads_share_one_function():
    def f(x, n):
        y = x
        for _ in range(n):
            y = np.sin(y) if y[0] > 0.2 else np.cos(y)
        return np.sum(y), y

    jitted = wg.jit(wg.value_and_grad(lambda x, n: f(x, n)[0]))
    plain = wg.value_and_grad(lambda x, n: f(x, n)[0])
    jobs = [(A + k % 5, k % 4) for k in range(200)]
    barrier = threading.Barrier(8)

    def work(start):
        barrier.wait()
        return [jitted(*job) for job in jobs[start::8]]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    for start in range(8):
        for got, job in zip(found[start], jobs[start::8], strict=True):
            assert_same(got, plain(*job))
    info = jitted.cache_info()
    assert info.specialisations <= info.traces
    for job in jobs:
        jitted(*job)
    assert jitted.cache_info() == info


def test_random_numbers_are_drawn_when_recording():
    """As the documentation says; what changes is passed as an argument."""
    rng = np.random.default_rng(0)
    drawn = wg.jit(lambda x: x + rng.normal(size=3))
    assert_same(drawn(A), drawn(A))
    passed = wg.jit(lambda x, noise: x + noise)
    assert np.any(passed(A, rng.normal(size=3)) != passed(A, rng.normal(size=3)))
    assert "random numbers" in wg.jit.__doc__


def test_what_cannot_be_followed():
    import math

    kept = []
    with pytest.raises(ConversionError, match="plain NumPy array"):
        wg.jit(lambda x: np.asarray(x))(A)
    wg.jit(lambda x: kept.append(x))(A)
    with pytest.raises(LeakedTracerError):
        kept[0] + 1
    assert wg.jit(lambda x: math.sin(x[0]) * x)(A)[1] == math.sin(0.5) * 2.0


@wg.jit
def module_level(x):
    return x * 2


def plain_function(x):
    return x * 3


jitted_plain = wg.jit(plain_function, limit=5)


@pytest.mark.parametrize(("f", "factor"), [(module_level, 2), (jitted_plain, 3)])
def test_pickle(f, factor, monkeypatch):
    import sys
    import types

    # Test modules are not importable by name; stand in for one that is.
    module = types.ModuleType(__name__)
    module.module_level, module.plain_function = module_level, plain_function
    monkeypatch.setitem(sys.modules, __name__, module)
    g = pickle.loads(pickle.dumps(f))
    assert_same(g(A), A * factor)
    assert (g is f) == (f is module_level)
    assert g._options == f._options


def test_looks():
    jitted = wg.jit(branch)
    assert jitted.__name__ == "branch"
    assert repr(jitted).startswith("<jit of branch: CacheInfo(traces=0")
    jitted(A)
    jitted.clear_cache()
    assert jitted.cache_info() == (1, 0, 0, 0)
    assert_same(jitted(A), branch(A))


def test_a_plan_is_kept():
    jitted = wg.jit(branch)
    plan = jitted.plan(A)
    assert jitted.plan(A) is plan
    assert_same(jitted(A), branch(A))
    assert jitted.cache_info().traces == 1
    assert jitted.plan(B) is not plan
    with pytest.raises(InputError, match=r"branch\.plan takes plain arrays"):
        wg.grad(lambda x: jitted.plan(x))(A)


def test_nothing_of_the_recording_is_kept_alive():
    import gc
    import weakref

    seen = []

    def f(x):
        y = x * 2
        seen.append(weakref.ref(y._var.data))
        return np.sum(y)

    jitted = wg.jit(f)
    jitted(np.ones(1000))
    gc.collect()
    assert seen[0]() is None
