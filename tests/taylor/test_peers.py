"""Taylor mode against JAX's."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

pytestmark = pytest.mark.peers
X = np.array([0.4, 0.7, 1.3])
TERMS = [np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.1, -1.0]), np.array([0.0, 1.0, 0.5])]
W = np.array([[1.0, -2.0, 0.5], [0.3, 0.7, 1.1], [2.0, 0.1, -0.4]])
FUNCTIONS = {
    "sums": lambda xp, x: xp.sum(xp.sin(x) * xp.exp(x)),
    "a net": lambda xp, x: xp.tanh(W @ xp.tanh(W @ x)),
    "quotients": lambda xp, x: x / (1 + xp.sum(x * x)),
    "logs": lambda xp, x: xp.log(xp.sum(xp.exp(x))) * xp.sqrt(x),
    "a curve at rest": lambda xp, x: x**3,
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_jets_are_those_of_jax(name):
    jax = pytest.importorskip("jax")
    jet = pytest.importorskip("jax.experimental.jet").jet
    jnp = pytest.importorskip("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    f = FUNCTIONS[name]
    terms = [0 * TERMS[0], *TERMS[1:]] if name == "a curve at rest" else TERMS
    y, got = wg.jet(lambda x: f(np, x), (X,), (terms,))
    z, want = jet(lambda x: f(jnp, x), (jnp.asarray(X),), ([jnp.asarray(t) for t in terms],))
    np.testing.assert_allclose(y, z, rtol=1e-12)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_laplacians_are_traces_of_hessians_of_jax(name):
    jax = pytest.importorskip("jax")
    jnp = pytest.importorskip("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    f = FUNCTIONS[name]
    want = jnp.trace(jax.hessian(lambda x: f(jnp, x))(jnp.asarray(X)), axis1=-2, axis2=-1)
    np.testing.assert_allclose(wg.laplacian(lambda x: f(np, x))(X), want, rtol=1e-10, atol=1e-12)
