"""In-place updates of traced arrays do what NumPy does, aliasing included."""

from __future__ import annotations

import numpy as np
import pytest
from inplace_programs import DATA_DEPENDENT, PROGRAMS, UNCERTAIN

import wengert as wg
from wengert.errors import MutationError, UnsupportedError


@pytest.mark.parametrize("name", PROGRAMS)
def test_updates_in_place(name, check_agreement):
    f, x = PROGRAMS[name]
    check_agreement(f, x, batched=name not in DATA_DEPENDENT | UNCERTAIN)


@pytest.mark.parametrize("name", sorted(UNCERTAIN))
def test_reshapes_that_copy_are_refused_under_vmap(name):
    f, x = PROGRAMS[name]
    with pytest.raises(MutationError, match=r"Write x.reshape\(shape\).copy\(\)"):
        wg.vmap(f)(x[None])


def test_reshapes_that_copy_are_fine_under_vmap_without_updates():
    def f(x):
        return x.T.reshape(-1) * np.ravel(x[:, ::2].T)[0] + x.T.reshape(2, -1).copy().ravel()

    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(wg.vmap(f)(x), [f(x[0]), f(x[1])])


def test_inputs_of_other_layouts(check_agreement):
    """The first value of a handle may be a transposed or strided array of the caller."""

    def f(x):
        y = np.positive(x)
        y += 1
        y.reshape(-1)[:2] = x[0, :2] * 5
        return y

    x = np.linspace(0.1, 1.2, 12)
    for given in (x.reshape(3, 4), x.reshape(4, 3).T, np.repeat(x, 2).reshape(3, 8)[:, ::2]):
        check_agreement(f, given, batched=False)


@pytest.mark.filterwarnings("ignore:Numpy has detected")
@pytest.mark.parametrize("shapes", [((1, 3), (2, 3)), ((3,), (2, 1)), ((1,), (1, 1)), ((), (2,))])
def test_plain_arrays_beside_traced_ones_are_broadcast_as_by_numpy(shapes):
    """NumPy still lets the results of broadcast_arrays be written into; it warns."""
    x = np.linspace(0.5, 2.0, np.prod(shapes[1])).reshape(shapes[1])

    @wg.unfollowed
    def f(x):
        held = np.ones(shapes[0])
        wide, other = np.broadcast_arrays(held, x)
        wide[...] *= 3.0
        return wide * other + held

    np.testing.assert_array_equal(wg.vjp(f, x)[0], f(x))
    np.testing.assert_array_equal(wg.jit(f, backend="numpy")(x), f(x))


@pytest.mark.parametrize("index", [slice(0.5, None), slice(None, 1.0), slice(None, None, "a")])
def test_bounds_of_slices_are_integers(index):
    for x in (np.ones(3), np.ones((3, 2))):
        with pytest.raises(TypeError):
            wg.grad(lambda x: np.sum(x[index]))(x)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "hypot"])
@pytest.mark.parametrize("method", ["reduce", "accumulate", "reduceat", "outer"])
@pytest.mark.parametrize("shape", [(1,), (1, 3), (2, 3)])
def test_methods_of_ufuncs_return_new_arrays(name, method, shape):
    x = np.linspace(0.5, 1.5, np.prod(shape)).reshape(shape)
    more = {"reduceat": ([0],), "outer": (2.0,)}.get(method, ())

    def f(x):
        y = x * 1.0
        made = getattr(getattr(np, name), method)(y, *more)
        if np.ndim(made):
            made *= 0.5
        return y

    try:
        found = wg.vjp(f, x)[0]
    except UnsupportedError:
        assert method != "reduce"
        return
    np.testing.assert_array_equal(found, f(x))
