"""Discrete Fourier transforms, all linear.

The matrix of the transform is symmetric, so `fft` is its own transpose (the pairing of a cotangent
with a tangent is ``Re(ct * t)``, without conjugation). A real transform keeps half of a Hermitian
spectrum: its transpose is the inverse real transform with weights that count each kept coefficient
as often as the full spectrum holds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import Op, Transpose, dtype_of, register, shape_of

__all__ = ["SWAPPED", "fft", "irfft", "rfft"]

SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The normalisation under which the inverse transform is the conjugate transpose."""


def _axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    return (axis,) if isinstance(axis, int) else axis


def _batch(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    axis = attrs["axis"]
    shifted = axis + 1 if isinstance(axis, int) else tuple(i + 1 for i in axis)
    return op(args[0], **{**attrs, "axis": shifted})


def _flops(real: bool) -> Callable[..., int]:
    """Count 5 N log2 N for N complex points, half of it for real ones.

    The convention of Frigo and Johnson, *The design and implementation of FFTW3*, 2005, from the
    radix-2 algorithm of Cooley and Tukey.
    """

    def flops(out: Any, x: Any, *, axis: Any, **_: Any) -> int:
        full = [max(p, q) for p, q in zip(shape_of(out), shape_of(x), strict=True)]
        stages = sum(math.log2(max(full[i], 1)) for i in _axes(axis))
        return round((2.5 if real else 5) * math.prod(full) * stages)

    return flops


def _butterflies(n: int, *_: Aval) -> dict[str, int]:
    """Count the butterflies of a radix-2 transform: 4 products and 6 sums each."""
    times = 2 * n // 5
    return {"multiply": times, "add": n - times}


def _row(name: str, evaluate: Callable[..., Any], infer: Any, transpose: Any, real: bool) -> Op:
    return register(
        Op(
            name,
            evaluate,
            infer=infer,
            derivative=Transpose((transpose,)),
            batch=_batch,
            flops=_flops(real),
            counts=_butterflies,
            complex_counts=_butterflies,
            formula="2.5n log2 n" if real else "5n log2 n",
            pattern=patterns.lines,
            residual=False,
            may_raise=False,
        )
    )


def _fft(x: Any, *, axis: tuple[int, ...], inverse: bool, norm: Any) -> Any:
    transform = np.fft.ifft if inverse else np.fft.fft
    for i in reversed(axis):
        x = transform(x, axis=i, norm=norm)
    return x


# fft(x): x real or complex, transformed along several axes in turn.
fft: Op = _row(
    "fft",
    _fft,
    lambda x, **_: Aval(shape_of(x), np.result_type(dtype_of(x), np.complex64)),
    lambda ct, x, **attrs: fft(ct, **attrs),
    real=False,
)


def _half(n: int, axis: int, rank: int, ends: float, middle: float, like: Any) -> Any:
    """Return weights of the ``n // 2 + 1`` kept coefficients; the unpaired ones are the `ends`."""
    dtype = np.zeros((), dtype_of(like)).real.dtype
    weights = np.full(n // 2 + 1, middle, dtype)
    weights[0] = ends
    if n % 2 == 0:
        weights[-1] = ends
    return weights.reshape((-1,) + (1,) * (rank - 1 - axis))


def _resized(shape: tuple[int, ...], axis: int, n: int) -> tuple[int, ...]:
    return (*shape[:axis], n, *shape[axis + 1 :])


def _pull_rfft(ct: Any, x: Any, *, axis: int, norm: str | None) -> Any:
    shape = shape_of(x)
    weights = _half(shape[axis], axis, len(shape), 1.0, 0.5, ct)
    return irfft(np.conjugate(ct) * weights, n=shape[axis], axis=axis, norm=SWAPPED[norm])


rfft: Op = _row(
    "rfft",
    lambda x, *, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    lambda x, *, axis, norm: Aval(
        _resized(shape_of(x), axis, shape_of(x)[axis] // 2 + 1),
        np.result_type(dtype_of(x), np.complex64),
    ),
    _pull_rfft,
    real=True,
)


def _pull_irfft(ct: Any, x: Any, *, n: int, axis: int, norm: str | None) -> Any:
    weights = _half(n, axis, len(shape_of(x)), 1.0, 2.0, ct)
    return np.conjugate(rfft(ct, axis=axis, norm=SWAPPED[norm])) * weights


# irfft(x): n // 2 + 1 coefficients of which the first (and for even n the last) count as real.
irfft: Op = _row(
    "irfft",
    lambda x, *, n, axis, norm: np.fft.irfft(x, n, axis=axis, norm=norm),
    lambda x, *, n, axis, norm: Aval(
        _resized(shape_of(x), axis, n), np.zeros((), dtype_of(x)).real.dtype
    ),
    _pull_irfft,
    real=True,
)
