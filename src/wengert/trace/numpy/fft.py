"""NumPy's Fourier transforms on traced values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import InputError, UnsupportedError, user_line
from wengert.ops import fft as ops
from wengert.trace.numpy.table import axis_index, cast, deliver, implements, traced


def _floating(x: Any) -> Any:
    x = traced(x)
    return cast(x, np.float64) if x.dtype.kind in "iub" else x


def _norm(norm: Any) -> Any:
    if norm not in ops.SWAPPED:
        raise ValueError(
            f"Invalid norm value {norm}; should be 'backward', 'ortho' or 'forward'." + user_line()
        )
    return norm


def _resize(x: Any, n: Any, axis: int) -> Any:
    """Crop the axis to the first `n` entries, or pad it with zeros."""
    if n is None:
        n = x.shape[axis]
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified." + user_line())
    have = x.shape[axis]
    if n < have:
        return x[(slice(None),) * axis + (slice(n),)]
    if n > have:
        pad = np.zeros((*x.shape[:axis], n - have, *x.shape[axis + 1 :]), x.dtype)
        return np.concatenate([x, pad], axis=axis)
    return x


def _complex(a: Any, lengths: Sequence[Any], axes: Sequence[int], norm: Any, inverse: bool) -> Any:
    for n, axis in zip(lengths, axes, strict=True):
        a = _resize(a, n, axis)
    return ops.fft(a, axis=tuple(axes), inverse=inverse, norm=_norm(norm)) if axes else a


def _rfft(a: Any, n: Any, axis: int, norm: Any) -> Any:
    if a.dtype.kind == "c":
        raise InputError(
            "a real Fourier transform takes real numbers; use np.fft.fft" + user_line()
        )
    return ops.rfft(_resize(a, n, axis), axis=axis, norm=_norm(norm))


def _irfft(a: Any, n: Any, axis: int, norm: Any) -> Any:
    n = 2 * (a.shape[axis] - 1) if n is None else operator.index(n)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified." + user_line())
    return ops.irfft(_resize(a, n // 2 + 1, axis), n=n, axis=axis, norm=_norm(norm))


def _one_axis(transform: Callable[[Any, Any, int, Any], Any]) -> Callable[..., Any]:
    def implementation(
        a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None
    ) -> Any:
        a = _floating(a)
        return deliver(transform(a, n, axis_index(axis, a.ndim), norm), out)

    return implementation


for _function, _transform in {
    np.fft.fft: lambda a, n, axis, norm: _complex(a, [n], [axis], norm, False),
    np.fft.ifft: lambda a, n, axis, norm: _complex(a, [n], [axis], norm, True),
    np.fft.rfft: _rfft,
    np.fft.irfft: _irfft,
    np.fft.hfft: lambda a, n, axis, norm: _irfft(
        np.conjugate(a), n, axis, ops.SWAPPED[_norm(norm)]
    ),
    np.fft.ihfft: lambda a, n, axis, norm: np.conjugate(
        _rfft(a, n, axis, ops.SWAPPED[_norm(norm)])
    ),
}.items():
    implements(_function)(_one_axis(_transform))


# --- several axes ---------------------------------------------------------------------------------
def _lengths(s: Any, axes: Any, rank: int) -> tuple[list[Any], list[int]]:
    """Return a length (None: as it is) and a non-negative axis for each transform."""
    if axes is None:
        axes = range(rank) if s is None else range(-len(s), 0)
    places = [axis_index(i, rank) for i in axes]
    lengths = [None] * len(places) if s is None else [None if n == -1 else n for n in s]
    if len(lengths) != len(places):
        raise ValueError("Shape and axes have different lengths." + user_line())
    return lengths, places


def _different(lengths: list[Any], places: list[int]) -> tuple[list[Any], list[int]]:
    if len(set(places)) != len(places):
        raise UnsupportedError("a real Fourier transform twice along one axis" + user_line())
    return lengths, places


def _fftn(a: Any, s: Any, axes: Any, norm: Any) -> Any:
    return _complex(a, *_lengths(s, axes, a.ndim), norm, False)


def _ifftn(a: Any, s: Any, axes: Any, norm: Any) -> Any:
    return _complex(a, *_lengths(s, axes, a.ndim), norm, True)


def _rfftn(a: Any, s: Any, axes: Any, norm: Any) -> Any:
    lengths, places = _different(*_lengths(s, axes, a.ndim))
    a = _rfft(a, lengths[-1], places[-1], norm)
    return _complex(a, lengths[:-1], places[:-1], norm, False)


def _irfftn(a: Any, s: Any, axes: Any, norm: Any) -> Any:
    lengths, places = _different(*_lengths(s, axes, a.ndim))
    a = _complex(a, lengths[:-1], places[:-1], norm, True)
    return _irfft(a, lengths[-1], places[-1], norm)


def _many_axes(transform: Callable[[Any, Any, Any, Any], Any], default: Any) -> Callable[..., Any]:
    def implementation(
        a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None
    ) -> Any:
        a = traced(a)
        if s is None and len(range(a.ndim) if axes is None else axes) == 0:
            if transform not in (_fftn, _ifftn):
                raise IndexError("a real Fourier transform along no axis" + user_line())
            return deliver(a, out)
        return deliver(transform(_floating(a), s, axes, norm), out)

    return implementation


for _several, _plane, _general in (
    (np.fft.fftn, np.fft.fft2, _fftn),
    (np.fft.ifftn, np.fft.ifft2, _ifftn),
    (np.fft.rfftn, np.fft.rfft2, _rfftn),
    (np.fft.irfftn, np.fft.irfft2, _irfftn),
):
    implements(_several)(_many_axes(_general, None))
    implements(_plane)(_many_axes(_general, (-2, -1)))


# --- shifts ---------------------------------------------------------------------------------------
def _shift(sign: int) -> Callable[..., Any]:
    def implementation(x: Any, axes: Any = None) -> Any:
        x = traced(x)
        if not x.ndim:
            raise ValueError("a Fourier shift of a number" + user_line())
        if axes is None:
            axes = range(x.ndim)
        places = tuple(axis_index(i, x.ndim) for i in np.atleast_1d(axes))
        shifts = tuple(x.shape[i] // 2 if sign > 0 else -(x.shape[i] // 2) for i in places)
        return np.roll(x, shifts, places)

    return implementation


implements(np.fft.fftshift)(_shift(1))
implements(np.fft.ifftshift)(_shift(-1))
