"""What a specialisation depends on: shapes, dtypes, kinds of numbers, static arguments."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
from jit_use import A, B, assert_same

import wengert as wg
from wengert.errors import InputError, MutationError


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
