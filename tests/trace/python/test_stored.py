"""Plain arrays that get traced values: each is written into, or the write raises."""

from __future__ import annotations

import collections
import gc

import numpy as np
import pytest

import wengert as wg

X = np.array([0.4, 0.9, 1.3])
WRITES = {}
REFUSED = {}
KEPT = np.zeros(3)


def made():
    return np.exp(np.arange(3.0))


def write(f):
    WRITES[f.__name__] = f
    return f


def refused(f):
    REFUSED[f.__name__] = f
    return f


class Holder:
    pass


class Slots:
    __slots__ = ("a",)


def doubled(a, x):
    a[0] = x[0] * x[1]
    return a


@write
def one_variable(x):
    a = made()
    a[1] = x[0]
    return a @ a


@write
def two_variables(x):
    a = b = made()
    a[1] = x[0]
    return b @ b


@write
def variables_of_two_functions(x):
    a = made()
    doubled(a, x)
    return a @ a


@write
def a_list_and_a_dict(x):
    a = made()
    kept = [a, {"a": a}, a]
    kept[0][1] = x[0]
    return kept[2] @ kept[1]["a"]


@write
def attributes(x):
    h = Holder()
    h.a = made()
    h.b = h.a
    h.a += x
    h.b[1] *= x[0]
    return h.a @ h.b


@write
def attributes_with_slots(x):
    h = Slots()
    h.a = made()
    h.a[1] = x[0]
    return h.a @ h.a


@write
def closures(x):
    a = made()

    def read():
        return a @ a

    a[2] = x[1]
    return read()


@write
def items_of_a_loop(x):
    rows = [made() for _ in range(3)]
    for r in rows:
        r[0] = x[0] * r[1]
    return sum(r @ r for r in rows)


@write
def a_row_read_for_its_item(x):
    a = np.exp(np.arange(9.0) / 9).reshape(3, 3)
    a[1][2] = x[0]
    a[2] += x
    a[:, 0] *= x
    return np.sum(a * a)


@write
def all_operators(x):
    a = made()
    a += x
    a /= x[0]
    a **= 2
    a -= x
    a *= x
    m = np.ones((3, 3)) @ np.eye(3)
    m @= np.outer(x, x)
    return a.sum() + m.sum()


@write
def factories(x):
    d = collections.defaultdict(made)
    d[1][0] = x[0]
    d[2] += x
    return d[1] @ d[2]


@write
def lists_of_values(x):
    a = made()
    a[:2] = [x[0], 1.0]
    b = made()
    b[1:] = x[0], x[1]
    return a @ b


@write
def plain_after_all(x):
    a = made()
    a[0] = 3.0
    b = a * 2
    b[1] = 4.0
    return np.sum(x * b)


@refused
def a_view(x):
    a = np.exp(np.zeros(4))
    v = a[1:]
    a[1] = x[0]
    return v @ v


@refused
def through_a_view(x):
    a = np.exp(np.zeros(4))
    v = a.T
    v[1] = x[0]
    return a @ a


@refused
def a_global(x):
    KEPT[1] = x[0]
    return KEPT.sum()


@refused
def a_default(x, a=np.zeros(3)):  # noqa: B008
    a[1] = x[0]
    return a.sum()


@refused
def a_tuple(x):
    kept = (made() + 0,)
    kept[0][1] = x[0]
    return kept[0] @ kept[0]


@refused
def a_view_kept_by_an_object_array(x):
    a = made() * 1.0
    b = np.array([a, None], dtype=object)
    a[1] = x[0]
    return b[0].sum()


def differences(f, h=1e-6):
    return np.array([(f(X + e) - f(X - e)) / (2 * h) for e in h * np.eye(3)])


@pytest.mark.parametrize("name", WRITES)
def test_written(name):
    f = WRITES[name]
    np.testing.assert_allclose(wg.grad(f)(X), differences(f), rtol=1e-6, atol=1e-8)
    compiled = wg.jit(wg.grad(f))
    np.testing.assert_allclose(compiled(X), wg.grad(f)(X), rtol=1e-12)
    assert type(f(X)) is np.float64


@pytest.mark.parametrize("name", REFUSED)
def test_refused_or_right(name):
    """What anything else may look at is not replaced behind its back."""
    f = REFUSED[name]
    try:
        found = wg.grad(f)(X)
    except wg.errors.ConversionError:
        return
    np.testing.assert_allclose(found, differences(f), rtol=1e-6, atol=1e-8)


def test_some_are_refused():
    with pytest.raises(wg.errors.ConversionError):
        wg.grad(a_global)(X)
    assert not KEPT.any()


def test_arguments_of_the_caller_stay():
    def f(x, w):
        w[0] = x[0]
        return w @ x

    w = np.ones(3)
    with pytest.raises(wg.errors.ConversionError):
        wg.grad(f)(X, w)
    assert w.tolist() == [1.0, 1.0, 1.0]


def test_variables_go_with_their_function():
    """Looking at the variables of a frame keeps none of them alive."""
    alive = []

    def f(x):
        before = len([o for o in gc.get_objects() if type(o) is Holder])
        h = Holder()
        a = made()
        a[0] = x[0]
        del h
        alive.append(len([o for o in gc.get_objects() if type(o) is Holder]) - before)
        return a @ a

    wg.grad(f)(X)
    assert alive == [0]


class Model:
    def __init__(self):
        self.state = np.exp(np.zeros(3))

    def __call__(self, x):
        self.state += x
        return self.state @ self.state


def from_a_factory():
    state = made()

    def f(x):
        state[0] = x[0]
        return state @ x

    return f


OUTSIDE = {"object": Model, "closure": from_a_factory}


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("take", [wg.grad, lambda f: wg.jit(wg.grad(f))])
def test_what_is_kept_outside_gets_no_traced_values(name, take):
    f = OUTSIDE[name]()
    with pytest.raises(wg.errors.ConversionError):
        take(f)(X)
    with pytest.raises(wg.errors.ConversionError):
        take(lambda x: f(x))(X)
    assert f(X) == OUTSIDE[name]()(X)


def test_lists_and_dicts_of_the_caller_get_no_traced_values():
    def f(x, kept):
        kept["a"][0][1] = x[0]
        return kept["a"][0] @ x

    kept = {"a": [made()]}
    with pytest.raises(wg.errors.ConversionError):
        wg.grad(f)(X, kept)
    assert type(kept["a"][0]) is np.ndarray


def test_objects_made_inside_are_written_into():
    def f(x):
        model = Model()
        return model(x) + model(2 * x)

    np.testing.assert_allclose(wg.grad(f)(X), differences(f), rtol=1e-6)


def test_classes_of_a_function_do_not_outlive_it():
    def f(x):
        class Kept:
            big = x * 2

            def __add__(self, other):
                return self.big + other

        return np.sum(Kept() + x) * getattr(Kept(), "big")[0]  # noqa: B009

    for _ in range(3):
        wg.grad(f)(X)
    gc.collect()
    assert not [k for k in object.__subclasses__() if k.__qualname__.endswith("f.<locals>.Kept")]
