"""Python integers beside arrays of small integer types: NumPy's numbers, or its refusal."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

MASK = np.array([True, False])
WRITES = {
    "y[0] = v": lambda y, v: y.__setitem__(0, v),
    "y[:] = v": lambda y, v: y.__setitem__(slice(None), v),
    "y[:] = [v, v]": lambda y, v: y.__setitem__(slice(None), [v, v]),
    "y[mask] = v": lambda y, v: y.__setitem__(MASK, v),
    "fill": lambda y, v: y.fill(v),
    "copyto": lambda y, v: np.copyto(y, v),
    "put": lambda y, v: np.put(y, [0], v),
    "putmask": lambda y, v: np.putmask(y, MASK, v),
    "place": lambda y, v: np.place(y, MASK, [v]),
    "fill_diagonal": lambda y, v: np.fill_diagonal(y.reshape(1, 2), v),
    "+=": lambda y, v: y.__iadd__(v),
    "add.at": lambda y, v: np.add.at(y, [0], v),
}
READS = {
    "+": lambda y, v: y + v,
    "<": lambda y, v: y < v,
    "where": lambda y, v: np.where(y > 0, y, v),
    "maximum": lambda y, v: np.maximum(y, v),
    "clip": lambda y, v: np.clip(y, v, 100),
    "clip, nothing above": lambda y, v: np.clip(y, 0, v),
    "full_like": lambda y, v: np.full_like(y, v),
    "pad": lambda y, v: np.pad(y, 1, constant_values=v),
    "select": lambda y, v: np.select([y > 0], [y], v),
}


def outcome(f, x):
    try:
        y = f(x)
    except (OverflowError, TypeError) as error:
        return isinstance(error, OverflowError)
    return y.tolist(), y.dtype


@pytest.mark.share(4)
@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("value", [5, -1, 127, 128, 300, 2**40, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i8"])
@pytest.mark.parametrize("name", [*WRITES, *READS])
def test_integers_beside_arrays(name, dtype, value, backend):
    def f(x):
        y = x * np.ones(2, dtype)
        result = (WRITES | READS)[name](y, value)
        return y if name in WRITES else result

    x = np.array([3, 0], dtype)
    compiled = wg.jit(f, backend=backend)
    assert outcome(compiled, x) == outcome(f, x)
    assert outcome(compiled, x) == outcome(f, x)
