"""Jacobians of many examples, accumulated a block of examples at a time."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.linear import blocked

RNG = np.random.default_rng(0)
SHARED = RNG.standard_normal((3, 4))


def turned(q, feature):
    """Return a formula of vectors, as of one observation of a camera."""
    angle = np.sqrt(np.sum(q[:3] ** 2))
    axis = q[:3] / angle
    x = np.cross(axis, SHARED @ q) * np.sin(angle) + axis * np.cos(angle)
    return x[:2] / (2 + x[2] ** 2) - feature


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(blocked, "BLOCK", 8)
    monkeypatch.setattr(blocked, "LEAST", 16)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("count", [15, 16, 24, 27])
def test_blocks_are_the_jacobian(count):
    q, feature = RNG.standard_normal((count, 4)), RNG.standard_normal((count, 2))
    made = wg.jit(wg.vmap(wg.jacobian(turned, mode="eliminate")))
    wanted = wg.vmap(wg.jacobian(turned, mode="reverse"))(q, feature)
    np.testing.assert_allclose(made(q, feature), wanted, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(made(-q, feature), wg.vmap(wg.jacobian(turned))(-q, feature), 1e-9)
    assert ("scan" in str(made.plan(q, feature).source())) == (count >= 16)


@pytest.mark.usefixtures("small")
def test_what_else_differs_by_example():
    """A value that the function closes over has a row for each example too."""
    q, feature, scale = (RNG.standard_normal((20, n)) for n in (4, 2, 2))

    def jacobian(mode):
        def of(q, feature, scale):
            s = np.exp(scale)
            return wg.jacobian(lambda q: s * turned(q, feature) + q[:2] * s[0], mode=mode)(q)

        return wg.vmap(of)

    made = wg.jit(jacobian("eliminate"))(q, feature, scale)
    np.testing.assert_allclose(made, jacobian("reverse")(q, feature, scale), rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("small")
def test_several_arguments_one_shared():
    q, feature = RNG.standard_normal((20, 4)), RNG.standard_normal(2)

    def of(mode):
        return wg.vmap(wg.jacobian(turned, argnums=(0, 1), mode=mode), in_axes=(0, None))

    made, wanted = wg.jit(of("eliminate"))(q, feature), of("reverse")(q, feature)
    for a, b in zip(made, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("small")
def test_it_is_derived_again():
    q, feature = RNG.standard_normal((20, 4)), RNG.standard_normal((20, 2))

    def total(mode):
        blocks = wg.vmap(wg.jacobian(turned, mode=mode))
        return lambda q: np.sum(np.sin(blocks(q, feature)))

    made = wg.jit(wg.grad(total("eliminate")))(q)
    np.testing.assert_allclose(made, wg.grad(total("reverse"))(q), rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("small")
def test_a_loop_is_accumulated_for_all_at_once():
    def f(q):
        return wg.scan(lambda c, _: (c * q[0], c), q[1], None, length=3)[1] * q[2]

    q = RNG.standard_normal((20, 4))
    made = wg.jit(wg.vmap(wg.jacobian(f, mode="eliminate")))(q)
    wanted = wg.vmap(wg.jacobian(f, mode="reverse"))(q)
    np.testing.assert_allclose(made, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("small")
def test_the_order_of_each_example_can_be_given_back():
    q, feature = RNG.standard_normal((20, 4)), RNG.standard_normal((20, 2))
    plan = wg.jit(wg.vmap(wg.jacobian(turned))).plan(q, feature)
    (choice,) = (note for note in plan.notes if hasattr(note, "candidates"))
    order = next(c.order for c in choice.candidates if c.mode == "eliminate")
    again = wg.jit(wg.vmap(wg.jacobian(turned, mode=order.with_sequence(order.sequence[::-1]))))
    wanted = wg.vmap(wg.jacobian(turned, mode="reverse"))(q, feature)
    np.testing.assert_allclose(again(q, feature), wanted, rtol=1e-10, atol=1e-12)
    assert "scan" in str(again.plan(q, feature).source())
    assert "accumulate" not in {c.mode for c in choice.candidates if c.seconds is not None}
