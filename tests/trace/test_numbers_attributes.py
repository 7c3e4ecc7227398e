"""A traced Python number has the attributes of a Python number, and no others."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import ConversionError, InputError

NUMBERS = {float: 0.5, int: 3, complex: 0.5 + 1j, bool: True}
NAMES = sorted(
    {n for kind in (np.ndarray, *NUMBERS) for n in dir(kind) if not n.startswith("_")}
    - {"from_bytes", "fromhex", "dtype"}
)
WAYS = {
    "jit": lambda f, x: wg.jit(f)(x),
    "vjp": lambda f, x: wg.vjp(f, x),
    "jvp": lambda f, x: wg.jvp(f, (x,), (type(x)(1),)),
    "jit of vjp": lambda f, x: wg.jit(lambda y: wg.vjp(f, y)[0])(x),
    "vjp of vjp": lambda f, x: wg.vjp(lambda y: wg.vjp(f, y)[0], x),
}
CASES = [
    (kind, way) for kind in NUMBERS for way in WAYS if way == "jit" or kind in (float, complex)
]


def has(x, name):
    try:
        getattr(x, name)
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize(("kind", "way"), CASES)
def test_attributes_are_those_of_the_number(kind, way):
    x = NUMBERS[kind]
    found = {}

    def f(x):
        found.update({name: {has(x, name), hasattr(x, name)} for name in NAMES})
        return x * 1

    WAYS[way](f, x)
    assert found == {name: {hasattr(x, name)} for name in NAMES}


CALLS = [
    *(lambda x: x.copy(), lambda x: x.sum(), lambda x: x.T, lambda x: x.shape, lambda x: x.dtype),
    *(lambda x: x.reshape(1), lambda x: x[...], lambda x: x[()], lambda x: x[None]),
    *(lambda x: x.flat, lambda x: x.ndim, lambda x: x.item(), lambda x: x.tolist()),
    *(lambda x: x.clip(0), lambda x: x.astype(int)),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("way", WAYS)
def test_what_numbers_refuse(call, way):
    with pytest.raises((AttributeError, TypeError)):
        call(0.5)
    with pytest.raises(InputError, match="'float' object has no attribute"):
        WAYS[way](call, 0.5)


def _added(x):
    x[...] += 1
    return x


def _stored(x):
    x[()] = 1.0
    return x


@pytest.mark.parametrize("store", [_added, _stored])
@pytest.mark.parametrize("x", [0.5, np.float64(0.5), np.float32(0.5)])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_stored_into_a_number(store, x, way):
    with pytest.raises(TypeError):
        store(x)
    with pytest.raises(InputError):
        WAYS[way](store, x)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_stored_into_a_scalar_that_was_computed(way):
    with pytest.raises(TypeError):
        _stored(np.sum(np.ones(2)))
    with pytest.raises(InputError, match="'float64' object does not support item assignment"):
        WAYS[way](lambda x: _stored(np.sum(x * np.ones(2))), 0.5)


@pytest.mark.parametrize("way", WAYS)
def test_what_both_have(way):
    for x in (0.5, 0.5 + 1j):
        for call in (lambda x: x.real, lambda x: x.imag, lambda x: x.conjugate()):
            y = WAYS[way](call, x)
            assert np.all((y[0] if isinstance(y, tuple) else y) == call(x))


def test_methods_of_python_numbers():
    assert wg.jit(lambda n: (n.bit_length(), n.numerator, n.denominator))(6) == (3, 6, 1)
    assert type(wg.jit(lambda b: b.conjugate())(True)) is int

    def f(x):
        return 2 * x if x.is_integer() else 3 * x

    for g in (wg.grad(f), wg.jit(wg.grad(f))):
        assert [g(x) for x in (2.0, 2.5, np.inf, 4.0)] == [2, 3, 3, 2]
    with pytest.raises(ConversionError, match="Python number"):
        wg.grad(lambda x: x * len(x.hex()))(0.5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("x", [0.5, 0.5 + 1j, np.float32(0.5)])
def test_the_dtype_that_code_asks_for_beside_the_type(x, way):
    """It must not take a traced number for a constant, as ``np.dtype(type(x))`` would."""
    found = set()

    def f(x):
        found.add(np.dtype(getattr(x, "dtype", type(x))))
        return x * 1

    WAYS[way](f, x)
    assert found == {np.dtype(getattr(x, "dtype", type(x)))}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_written_into_a_scalar_given_as_out(way):
    def f(x):
        v = x * np.ones(2)
        return np.sum(v, out=v[0])

    with pytest.raises(TypeError):
        f(0.5)
    with pytest.raises(TypeError, match="must be an array"):
        WAYS[way](f, 0.5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("write", [np.put, np.place, np.putmask, lambda v, i, y: np.copyto(v, y)])
def test_a_number_is_not_written_into(way, write):
    """NumPy refuses, or changes a copy of the number that nobody sees."""

    def f(x):
        v = np.sum(x * np.ones(2))
        write(v, 0, 5.0)
        return v * 2

    with pytest.raises(TypeError):
        WAYS[way](f, 0.5)
