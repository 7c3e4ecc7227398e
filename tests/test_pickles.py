"""What transformations return is sent to other processes: by what was applied to what."""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np
import pytest

import wengert as wg

X = np.array([0.5, -1.0, 2.0])


def loss(x, scale=1.0):
    return scale * np.sum(np.sin(x) * x)


def field(x):
    return np.sin(x) * np.concatenate([x[1:], x[:1]])


def pair(x):
    return np.sum(x**3), x.shape


class Model:
    """A method that is a gradient."""

    weight = 2.0

    def value(self, x):
        return self.weight * np.sum(x**2)


MADE = {
    "grad": lambda: wg.grad(loss),
    "grad by name": lambda: wg.grad(loss, argnames="x"),
    "grad with aux": lambda: wg.grad(pair, has_aux=True),
    "value_and_grad": lambda: wg.value_and_grad(loss, argnums=(0,)),
    "elementwise_grad": lambda: wg.elementwise_grad(np.sin),
    "jacobian": lambda: wg.jacobian(field),
    "reverse": lambda: wg.jacobian(field, mode="reverse"),
    "jacfwd": lambda: wg.jacfwd(field),
    "jacrev": lambda: wg.jacrev(field),
    "value_and_jacobian": lambda: wg.value_and_jacobian(field),
    "hessian": lambda: wg.hessian(loss),
    "sparse": lambda: wg.jacobian(field, format="csr"),
    "sparse, dense array": lambda: wg.hessian(loss, sparsity="auto"),
    "pattern": lambda: wg.jacobian(field, sparsity=np.ones((3, 3), bool), format="csc"),
    "operator": lambda: wg.hessian(loss, format="operator"),
    "vmap": lambda: wg.vmap(loss, in_axes=0),
    "vmap of grad": lambda: wg.vmap(wg.grad(loss)),
    "laplacian": lambda: wg.laplacian(loss),
    "hessian_diagonal": lambda: wg.hessian_diagonal(loss),
    "jit of grad": lambda: wg.jit(wg.grad(loss), fastmath=True),
    "jit of jacobian": lambda: wg.jit(wg.jacobian(field)),
    "a method": lambda: wg.grad(Model().value),
}


@pytest.fixture
def importable(monkeypatch):
    """Stand in for a module that can be imported by name, which test modules cannot."""
    module = types.ModuleType(__name__)
    for f in (loss, field, pair, Model):
        setattr(module, f.__name__, f)
    monkeypatch.setitem(sys.modules, __name__, module)


def numbers(y):
    """Return the numbers of a result."""
    if isinstance(y, tuple):
        return [n for part in y for n in numbers(part)]
    if isinstance(y, dict):
        return [n for part in y.values() for n in numbers(part)]
    if hasattr(y, "to_dense"):
        y = y.to_dense()
    if hasattr(y, "toarray"):
        y = y.toarray()
    return list(np.ravel(y))


@pytest.mark.parametrize("name", MADE)
def test_pickle(name, importable):
    f = MADE[name]()
    g = pickle.loads(pickle.dumps(f))
    assert type(g) is type(f)
    np.testing.assert_allclose(numbers(g(X)), numbers(f(X)), rtol=1e-14)
    again = pickle.loads(pickle.dumps(g))  # after a call, of what was unpickled
    np.testing.assert_allclose(numbers(again(X)), numbers(f(X)), rtol=1e-14)


def test_by_name(importable, monkeypatch):
    """A function that replaces the one it was made of is found by name, as functions are."""
    made = wg.grad(loss)
    monkeypatch.setattr(sys.modules[__name__], "loss", made)
    assert pickle.loads(pickle.dumps(made)) is made


def test_functions_without_a_name(importable):
    """What cannot be pickled by itself cannot be pickled in a gradient; the error names it."""
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(wg.grad(lambda x: x))
