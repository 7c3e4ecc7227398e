"""Derivatives along a line without any automatic differentiation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Slope(NamedTuple):
    """A derivative and an estimate of its absolute error."""

    value: Any
    error: Any


def slope(f: Callable[[float], Any]) -> Slope | None:
    """Differentiate `f` at 0 by central differences, extrapolated; None at a kink or a jump.

    A kink shows as a difference between the slopes on both sides that does not shrink with the step
    (Richardson, 1911, for the extrapolation).
    """
    try:
        middle = f(0.0)
        gaps = [np.abs(f(s) + f(-s) - 2 * middle) / s for s in (1e-6, 1e-5)]
        ahead, behind = f(1e-6), f(-1e-6)
        estimates = []
        for h in (2e-3, 3e-4, 4e-5):
            rough, fine = ((f(s) - f(-s)) / (2 * s) for s in (h, h / 2))
            best = (4 * fine - rough) / 3
            estimates.append(Slope(best, np.abs(best - fine)))
    except (ArithmeticError, ValueError, IndexError, TypeError, np.linalg.LinAlgError):
        return None
    right, left = (ahead - middle) / 1e-6, (middle - behind) / 1e-6
    scale = 1 + np.max(np.abs(estimates[-1].value), initial=0.0)
    if not np.all(np.isfinite(right) & np.isfinite(left)):
        return None
    if np.max(np.abs(right - left), initial=0.0) > 1e-3 * scale:
        return None
    # A small kink: the gap is that of a step ten times as long, which curvature would make wider.
    near, far = gaps
    if np.any((near > 4e-6 * scale) & (near > 0.3 * far)):
        return None
    spread = np.abs(estimates[-1].value - estimates[-2].value)
    best = min(estimates, key=lambda e: float(np.max(e.error, initial=0.0)))
    if not np.all(np.isfinite(best.value)) or np.max(spread, initial=0.0) > 1e-2 * scale:
        return None
    return best


def complex_step(f: Callable[[complex], Any]) -> Any:
    """Return ``Im f(ih) / h``, or None where the function does not take complex numbers."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            return np.imag(f(1e-60j)) / 1e-60
    except Exception:
        return None
