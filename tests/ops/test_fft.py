"""Fourier transforms: linear, so every derivative is known from the transform itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.fft as nf
import pytest

import wengert as wg
from wengert.errors import InputError
from wengert.ops.base import TABLE


class Case(NamedTuple):
    """A transform and the shape of its argument; `real` says that it takes real numbers only."""

    name: str
    f: Callable[..., Any]
    shape: tuple[int, ...] = (2, 6)
    real: bool = False


CASES = [
    *(
        Case(f"{f.__name__} {norm}", lambda x, f=f, norm=norm: f(x, norm=norm), real=f is nf.rfft)
        for f in (nf.fft, nf.ifft, nf.rfft, nf.irfft)
        for norm in (None, "ortho", "forward")
    ),
    *(
        Case(f"{f.__name__} n={n}", lambda x, f=f, n=n: f(x, n), real=f in (nf.rfft, nf.ihfft))
        for f in (nf.fft, nf.ifft, nf.rfft, nf.irfft, nf.hfft, nf.ihfft)
        for n in (1, 2, 3, 5, 6, 8, 9)
    ),
    *(
        Case(f"{f.__name__} axis 0", lambda x, f=f: f(x, axis=0), (5, 2), f is nf.rfft)
        for f in (nf.fft, nf.rfft, nf.irfft, nf.hfft)
    ),
    Case("hfft", nf.hfft),
    Case("hfft ortho", lambda x: nf.hfft(x, norm="ortho")),
    Case("ihfft", nf.ihfft, real=True),
    Case("ihfft forward", lambda x: nf.ihfft(x, norm="forward"), real=True),
    Case("fft of one point", nf.fft, (3, 1)),
    Case("rfft of one point", nf.rfft, (3, 1), True),
    Case("fft2", nf.fft2, (2, 3, 4)),
    Case("ifft2", lambda x: nf.ifft2(x, norm="ortho"), (2, 3, 4)),
    Case("rfft2", nf.rfft2, (2, 3, 4), True),
    Case("irfft2", nf.irfft2, (2, 3, 4)),
    Case("fftn", nf.fftn, (2, 3, 2)),
    Case("ifftn s", lambda x: nf.ifftn(x, (4, 2), axes=(0, 2)), (2, 3, 3)),
    Case("fftn twice", lambda x: nf.fftn(x, axes=(1, 1)), (2, 3)),
    Case("fftn nothing", lambda x: nf.fftn(x, axes=()), (2, 3)),
    Case("rfftn", lambda x: nf.rfftn(x, norm="forward"), (2, 3, 4), True),
    Case("rfftn s", lambda x: nf.rfftn(x, (4, -1), axes=(0, 2)), (2, 3, 3), True),
    Case("irfftn", lambda x: nf.irfftn(x, (3, 5), axes=(0, 1)), (2, 3, 3)),
    Case("irfftn odd", lambda x: nf.irfftn(x, (2, 5), axes=(1, 2)), (2, 3, 3)),
    Case("fftshift", nf.fftshift, (3, 4)),
    Case("fftshift axis", lambda x: nf.fftshift(x, 0), (3, 4)),
    Case("ifftshift", lambda x: nf.ifftshift(x, axes=(1,)), (3, 5)),
]
case = pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
kind = pytest.mark.parametrize("dtype", [np.float32, float, complex], ids=["f32", "f64", "c128"])


def normal(*shape: int, dtype: Any = float, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def pairing(ct: Any, t: Any) -> float:
    return float(np.real(np.sum(ct * t)))


@case
@kind
def test_tangent_and_cotangent(case: Case, dtype: Any) -> None:
    if case.real and dtype is complex:
        pytest.skip("takes real numbers")
    tol = 1e-5 if dtype is np.float32 else 1e-12
    x, t = normal(*case.shape, dtype=dtype), normal(*case.shape, dtype=dtype, seed=1)
    y, dy = wg.jvp(case.f, (x,), (t,))
    assert y.dtype == dy.dtype == case.f(x).dtype
    np.testing.assert_allclose(y, case.f(x), atol=tol)
    np.testing.assert_allclose(dy, case.f(t), atol=tol)
    ct = normal(*y.shape, dtype=y.dtype, seed=2)
    (g,) = wg.vjp(case.f, x)[1](ct)
    assert (g.shape, g.dtype) == (x.shape, x.dtype)
    assert pairing(ct, dy) == pytest.approx(pairing(g, t), rel=100 * tol, abs=100 * tol)


@case
def test_vmap_is_a_loop(case: Case) -> None:
    x = normal(3, *case.shape)
    y, pull = wg.vjp(case.f, x[0])
    ct = normal(3, *y.shape, dtype=y.dtype, seed=2)
    expected = np.stack([case.f(p) for p in x])
    np.testing.assert_allclose(wg.vmap(case.f)(x), expected, atol=1e-12)
    expected = np.stack([pull(c)[0] for c in ct])
    np.testing.assert_allclose(wg.vmap(lambda c: pull(c)[0])(ct), expected, atol=1e-12)


@case
def test_second_order(case: Case) -> None:
    """The Hessian of sum(w |F x|^2) is 2 Re(F^H W F)."""
    x = normal(*case.shape)
    weights = np.cos(np.arange(case.f(x).size)).reshape(case.f(x).shape)

    def loss(x: Any) -> Any:
        y = case.f(x)
        return np.sum(weights * np.real(y * np.conjugate(y)))

    basis = np.eye(x.size).reshape(-1, *x.shape)
    matrix = np.stack([np.ravel(case.f(e)) for e in basis], axis=-1)
    expected = 2 * np.real(np.conjugate(matrix).T @ (weights.ravel()[:, None] * matrix))
    for found in (wg.hessian(loss)(x), wg.jacrev(wg.grad(loss))(x)):
        np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-10)


@case
def test_an_empty_batch(case: Case) -> None:
    if "axis" in case.name or case.name in ("fftn", "ifftn s", "rfftn", "rfftn s", "irfftn"):
        pytest.skip("transforms the first axis")
    x = np.zeros((0, *case.shape[1:]))
    y, pull = wg.vjp(case.f, x)
    assert y.shape == case.f(x).shape
    assert pull(np.zeros_like(y))[0].shape == x.shape


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_the_matrix_of_the_transform(n: int) -> None:
    k = np.arange(n)
    matrix = np.exp(-2j * np.pi * np.outer(k, k) / n)
    x = normal(n, dtype=complex)
    forward = wg.jacobian(nf.fft, mode="forward")(x)
    np.testing.assert_allclose(forward, matrix, atol=1e-12)
    np.testing.assert_allclose(wg.jacobian(nf.fft, mode="reverse")(x), matrix, atol=1e-12)
    np.testing.assert_allclose(wg.jacobian(nf.ifft)(x), matrix.conj() / n, atol=1e-12)


def test_a_convolution_by_transforms() -> None:
    x, h = normal(8), normal(8, seed=1)

    def loss(x: Any, h: Any) -> Any:
        return np.sum(nf.irfft(nf.rfft(x, 15) * nf.rfft(h, 15), 15) ** 3)

    found = wg.grad(loss, (0, 1))(x, h)
    expected = wg.grad(lambda x, h: np.sum(np.convolve(x, h) ** 3), (0, 1))(x, h)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-10)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-10)


def test_integers_become_floats() -> None:
    y = wg.vmap(nf.rfft)(np.arange(6).reshape(2, 3))
    np.testing.assert_allclose(y, nf.rfft(np.arange(6).reshape(2, 3)))


@pytest.mark.parametrize(
    ("f", "dtype", "error", "words"),
    [
        (nf.rfft, complex, InputError, "np.fft.fft"),
        (lambda x: nf.fft(x, 0), float, ValueError, "data points"),
        (lambda x: nf.irfft(x[:1]), float, ValueError, "data points"),
        (lambda x: nf.fft(x, norm="other"), float, ValueError, "other"),
        (lambda x: nf.fft(x, axis=3), float, np.exceptions.AxisError, "axis 3"),
        (lambda x: nf.fft2(x, s=(2,)), float, ValueError, "axes|axis"),
    ],
)
def test_refusals_say_what_is_wrong(f: Any, dtype: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        wg.vjp(f, normal(4, dtype=dtype))


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "attrs"),
    [
        ("fft", (2, 3, 4), np.float32, {"axis": (0, 2), "inverse": False, "norm": None}),
        ("fft", (2, 3), complex, {"axis": (1,), "inverse": True, "norm": "ortho"}),
        ("rfft", (2, 5), np.float32, {"axis": 1, "norm": None}),
        ("rfft", (4, 2), float, {"axis": 0, "norm": "forward"}),
        ("irfft", (2, 3), np.complex64, {"n": 5, "axis": 1, "norm": None}),
        ("irfft", (3, 2), complex, {"n": 4, "axis": 0, "norm": None}),
    ],
)
def test_rows_state_shapes_dtypes_counts_and_patterns(
    name: str, shape: Any, dtype: Any, attrs: Any
) -> None:
    op, x = TABLE[name], normal(*shape, dtype=dtype)
    y, aval = op(x, **attrs), op.infer(x, **attrs)
    assert (y.shape, y.dtype) == (aval.shape, aval.dtype)
    assert op.flops(aval, x, **attrs) > 0
    jac = wg.jacobian(lambda x: op(x, **attrs), mode="forward")(x).reshape(y.size, x.size)
    pattern = np.zeros(jac.shape, bool)
    pattern[op.pattern(0, aval, x, **attrs)] = True
    assert not np.abs(jac[~pattern]).any()
    axes = attrs["axis"] if isinstance(attrs["axis"], tuple) else (attrs["axis"],)
    assert pattern.sum() == y.size * np.prod([shape[i] for i in axes])


def test_operation_counts() -> None:
    op = TABLE["fft"]
    x = np.zeros((3, 8), complex)
    attrs = {"axis": (1,), "inverse": False, "norm": None}
    assert op.flops(op.infer(x, **attrs), x, **attrs) == 3 * 5 * 8 * 3


@pytest.mark.peers
@pytest.mark.parametrize("real", [True, False], ids=["real", "complex"])
@pytest.mark.parametrize(
    "name", ["fft", "ifft", "rfft", "irfft", "fft2", "rfft2", "irfft2", "hfft"]
)
def test_against_jax(name: str, real: bool) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    if name.startswith("rfft") and not real:
        pytest.skip("takes real numbers")
    x = normal(4, 6, dtype=float if real else complex)
    f = getattr(nf, name)
    y, pull = wg.vjp(f, x)
    ct = normal(*y.shape, dtype=y.dtype, seed=2)
    with jax.enable_x64(True):
        expected, jax_pull = jax.vjp(getattr(jax.numpy.fft, name), x)
        (gradient,) = jax_pull(jax.numpy.asarray(ct))
    np.testing.assert_allclose(y, expected, atol=1e-12)
    np.testing.assert_allclose(pull(ct)[0], gradient, atol=1e-12)
