"""Check derivatives against theory and against an independent computation.

Three checks an order: forward against reverse mode (the dot-product test ``<ct, J t> = <J^T ct, t>``),
reverse mode against a numerical derivative of every entry (of a sample, for large inputs), and forward
mode along a random direction likewise. The numerical derivative is a complex step (Squire and Trapp,
*Using complex variables to estimate derivatives of real functions*, SIAM Review 1998) where the
function is analytic, which is tested, else central differences with Richardson extrapolation (Ridders
1982), whose own error estimate enters the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optree

from wengert import api, trees
from wengert.errors import DerivativeMismatchError, InputError
from wengert.ops.base import is_inexact

__all__ = ["Check", "CheckReport", "check_derivatives", "numerical_derivative"]

SAMPLE = 64
"""Entries of the inputs that are checked one by one; of more, a random sample of so many."""


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes
    ----------
    name : str
        What was compared.
    error, tolerance : float
        Largest absolute difference, and what it may be there.
    place : str
        Where: the argument and the index of the worst entry.
    got, expected : float or complex
        The two numbers there.
    """

    name: str
    error: float
    tolerance: float
    place: str
    got: Any
    expected: Any

    @property
    def ok(self) -> bool:
        """Whether they agree."""
        return bool(self.error <= self.tolerance)

    def __str__(self) -> str:
        """Return a line."""
        mark = "ok  " if self.ok else "FAIL"
        line = f"{mark} {self.name:<52} error {self.error:.2e} (tolerance {self.tolerance:.1e})"
        return line if self.ok else f"{line}\n       at {self.place}: got {self.got}, expected {self.expected}"


@dataclass(frozen=True)
class CheckReport:
    """The comparisons of `check_derivatives`."""

    name: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all agree."""
        return all(c.ok for c in self.checks)

    @property
    def worst(self) -> Check:
        """The comparison furthest from its tolerance."""
        return max(self.checks, key=lambda c: c.error / c.tolerance if c.tolerance else np.inf)

    def __str__(self) -> str:
        """Return a line for each comparison."""
        verdict = "derivatives agree" if self.ok else "derivatives DISAGREE"
        return "\n".join([f"{self.name}: {verdict}", *(f"  {c}" for c in self.checks)])


def numerical_derivative(
    f: Callable[[Any], Any], x: np.ndarray[Any, Any], t: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], str]:
    """Differentiate a function of one array along a direction, without automatic differentiation.

    Parameters
    ----------
    f : callable
        From an array of shape `x.shape` to an array.
    x, t : array
        Point and direction, floating-point.

    Returns
    -------
    derivative, error : array
        Of the result's shape; the error is an estimate of the absolute error.
    method : str
        ``"complex step"`` or ``"differences"``.
    """
    difference, error = _richardson(f, x, t)
    stepped = _complex_step(f, x, t)
    if stepped is not None and stepped.shape == difference.shape:
        near = np.abs(stepped - difference) <= 10 * error + 1e-6 * np.abs(difference)
        if bool(np.all(near)):
            eps = np.finfo(stepped.dtype).eps
            return stepped, 64 * eps * (np.abs(stepped) + np.abs(np.asarray(f(x))) * 1e-2), "complex step"
    return difference, error, "differences"


def _complex_step(f: Callable[[Any], Any], x: Any, t: Any) -> np.ndarray[Any, Any] | None:
    """Return Im f(x + i h t) / h, or None where the function does not take complex numbers."""
    if x.dtype != np.float64:
        return None
    h = 1e-100
    try:
        with np.errstate(all="ignore"):
            y = np.asarray(f(x + 1j * h * t))
    except Exception:
        return None
    if y.dtype.kind != "c" or not np.all(np.isfinite(y)):
        return None
    return y.imag / h


def _richardson(f: Callable[[Any], Any], x: Any, t: Any) -> tuple[Any, Any]:
    """Extrapolate central differences over shrinking steps; keep the best estimate an entry."""
    single = x.dtype in (np.float32, np.complex64)
    scale = float(np.max(np.abs(x), initial=1.0)) / max(float(np.max(np.abs(t), initial=0.0)), 1e-300)
    h = (3e-2 if single else 1e-3) * scale
    shrink = 2.0
    rows: list[list[Any]] = []
    best: Any = None
    error: Any = None
    for i in range(6):
        with np.errstate(all="ignore"):
            up, down = np.asarray(f(x + (h * t).astype(x.dtype))), np.asarray(f(x - (h * t).astype(x.dtype)))
            row = [(up - down).astype(complex if up.dtype.kind == "c" else float) / (2 * h)]
            noise = np.finfo(x.dtype).eps * (np.abs(up) + np.abs(down)) / h
        for j in range(1, i + 1):
            factor = shrink ** (2 * j)
            row.append((factor * row[j - 1] - rows[i - 1][j - 1]) / (factor - 1))
            new = np.maximum(np.abs(row[j] - row[j - 1]), np.abs(row[j] - rows[i - 1][j - 1])) + noise
            if best is None:
                best, error = row[j], new
            else:
                better = new < error
                best, error = np.where(better, row[j], best), np.where(better, new, error)
        rows.append(row)
        h /= shrink
    return best, error


def check_derivatives(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    rtol: float | None = None,
    seed: int = 0,
    raises: bool = True,
) -> CheckReport:
    """Check the derivatives that wengert computes for a function at a point.

    Parameters
    ----------
    f : callable
        From arrays (or pytrees) to an array (or pytree).
    *args : pytrees of arrays
        The point, away from kinks; integer arrays are constants.
    order : int
        1 for first derivatives, 2 for those of the pullback as well.
    rtol : float, optional
        Relative tolerance, on top of the numerical derivative's own error estimate; by default the
        cube root of the dtype's epsilon for differences and its three-quarter power for complex steps.
    seed : int
        Of the random directions.
    raises : bool
        Whether a disagreement raises.

    Returns
    -------
    CheckReport

    Raises
    ------
    DerivativeMismatchError
        With the worst entry, its place, and both numbers.
    """
    rng = np.random.default_rng(seed)
    name = getattr(f, "__name__", "f")
    leaves, rebuild = trees.flatten(args)
    leaves = [np.asarray(x) for x in leaves]
    if not any(x.dtype.kind in "fc" for x in leaves):
        raise InputError(f"check_derivatives({name}) needs a floating-point argument; write 3.0 instead of 3")
    paths = [_path(p) for p in optree.tree_paths(args)]  # type: ignore[arg-type]

    def flat(*xs: Any) -> list[Any]:
        out, _ = trees.flatten(f(*rebuild(xs)))
        return [y for y in out if is_inexact(y)]

    checks = _check(flat, leaves, paths, rng, rtol, "")
    if order >= 2:
        ys = flat(*leaves)
        cts = [_random(rng, np.asarray(y)) for y in ys]

        def pulled(*xs: Any) -> list[Any]:
            _, pull = api.vjp(lambda *z: flat(*z), *xs)
            found = pull(list(cts))
            return [g for g, x in zip(found, leaves, strict=True) if x.dtype.kind in "fc"]

        checks += _check(pulled, leaves, paths, rng, rtol, "second order: ")
    report = CheckReport(name, tuple(checks))
    if raises and not report.ok:
        raise DerivativeMismatchError(str(report))
    return report


def _check(
    flat: Callable[..., list[Any]],
    leaves: list[Any],
    paths: list[str],
    rng: np.random.Generator,
    rtol: float | None,
    prefix: str,
) -> list[Check]:
    ts = [_random(rng, x) if x.dtype.kind in "fc" else np.zeros(x.shape, x.dtype) for x in leaves]
    ys, forward = api.jvp(lambda *xs: flat(*xs), tuple(leaves), tuple(ts))
    cts = [_random(rng, np.asarray(y)) for y in ys]
    _, pull = api.vjp(lambda *xs: flat(*xs), *leaves)
    reverse = pull(list(cts))
    checks = [_dot_product(forward, cts, reverse, ts, leaves, prefix)]
    checks.append(_direction(flat, leaves, ts, forward, rtol, prefix))
    checks.append(_entries(flat, leaves, paths, cts, reverse, rng, rtol, prefix))
    return checks


def _random(rng: np.random.Generator, x: Any) -> Any:
    t = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        t = t + 1j * rng.standard_normal(x.shape)
    return np.asarray(t).astype(x.dtype)


def _pair(a: Any, b: Any) -> float:
    """Return the real pairing Re(sum a b), the one that cotangents are defined by."""
    return float(np.real(np.sum(np.asarray(a, complex) * np.asarray(b, complex))))


def _dot_product(forward: Any, cts: Any, reverse: Any, ts: Any, leaves: Any, prefix: str) -> Check:
    left = [_pair(c, t) for c, t in zip(cts, forward, strict=True)]
    right = [_pair(g, t) for g, t, x in zip(reverse, ts, leaves, strict=True) if x.dtype.kind in "fc"]
    a, b = sum(left), sum(right)
    size = sum(float(np.sum(np.abs(np.asarray(c) * t))) for c, t in zip(cts, forward, strict=True))
    eps = max(_eps(x) for x in [*leaves, *forward])
    return Check(f"{prefix}forward against reverse (dot product)", abs(a - b), 1e4 * eps * (size + 1e-30), "the inner product", b, a)


def _eps(x: Any) -> float:
    kind = np.asarray(x).dtype
    return float(np.finfo(kind).eps) if kind.kind in "fc" else 0.0


def _tolerance(method: str, expected: Any, error: Any, eps: float, rtol: float | None) -> Any:
    relative = rtol if rtol is not None else eps ** (0.75 if method == "complex step" else 1 / 3)
    size = np.max(np.abs(expected), initial=0.0)
    return 10 * error + relative * np.abs(expected) + 100 * eps * size + 1e-300


def _direction(flat: Any, leaves: Any, ts: Any, forward: Any, rtol: float | None, prefix: str) -> Check:
    free = [i for i, x in enumerate(leaves) if x.dtype.kind in "fc"]
    shapes = [leaves[i].shape for i in free]
    dtype = np.result_type(*(leaves[i] for i in free))

    def along(s: Any) -> Any:
        moved = [
            x + (s * t if s.dtype.kind == "c" else (s * t).astype(x.dtype)) if i in free else x
            for i, (x, t) in enumerate(zip(leaves, ts, strict=True))
        ]
        return np.concatenate([np.ravel(y) for y in flat(*moved)] or [np.zeros(0)])

    real = np.float32 if dtype in (np.float32, np.complex64) else np.float64
    expected, error, method = numerical_derivative(along, np.zeros((), real), np.ones((), real))
    got = np.concatenate([np.ravel(t) for t in forward] or [np.zeros(0)])
    eps = max(_eps(x) for x in leaves)
    tolerance = _tolerance(method, expected, error, eps, rtol)
    return _worst(f"{prefix}forward mode against {method}", got, expected, tolerance, lambda i: f"result entry {i}", shapes)


def _entries(
    flat: Any, leaves: Any, paths: Any, cts: Any, reverse: Any, rng: Any, rtol: float | None, prefix: str
) -> Check:
    """Compare reverse mode with the numerical derivative of <ct, f> with respect to single entries."""
    places = [
        (k, index, unit)
        for k, x in enumerate(leaves)
        if x.dtype.kind in "fc"
        for index in np.ndindex(x.shape)
        for unit in ((1.0, 1j) if x.dtype.kind == "c" else (1.0,))
    ]
    if len(places) > SAMPLE:
        places = [places[i] for i in sorted(rng.choice(len(places), SAMPLE, replace=False))]
    got, expected, tolerance, methods = [], [], [], set()
    for k, index, unit in places:
        x = leaves[k]
        t = np.zeros(x.shape, x.dtype)
        t[index] = unit

        def scalar(s: Any, k: int = k, t: Any = t) -> Any:
            moved = list(leaves)
            moved[k] = leaves[k] + (s * t if s.dtype.kind == "c" else (s * t).astype(t.dtype))
            ys = flat(*moved)
            pairs = [np.sum(np.asarray(c) * y) for c, y in zip(cts, ys, strict=True)]
            total = np.asarray(sum(pairs))
            complex_result = any(np.asarray(c).dtype.kind == "c" for c in cts)
            if complex_result and s.dtype.kind == "c":
                raise TypeError("complex step of a complex function")
            return total.real if complex_result else total

        real = np.float32 if x.dtype in (np.float32, np.complex64) else np.float64
        if unit == 1j or x.dtype.kind == "c":
            e, err = _richardson(scalar, np.zeros((), real), np.ones((), real))
            method = "differences"
        else:
            e, err, method = numerical_derivative(scalar, np.zeros((), real), np.ones((), real))
        methods.add(method)
        got.append(float(np.real(reverse[k][index] * unit)))
        expected.append(float(np.real(e)))
        tolerance.append(_tolerance(method, np.asarray(e), err, _eps(x), rtol))
    size = max((abs(e) for e in expected), default=0.0)
    eps = max(_eps(x) for x in leaves)
    bound = np.array([float(t) for t in tolerance]) + 100 * eps * size
    how = "differences" if "differences" in methods else "complex step"
    return _worst(
        f"{prefix}reverse mode against {how}",
        np.array(got),
        np.array(expected),
        bound,
        lambda i: f"{paths[places[i][0]]}, index {places[i][1]}",
        [],
    )


def _path(path: Sequence[Any]) -> str:
    return f"argument {path[0]}" + "".join(f"[{p!r}]" for p in path[1:])


def _worst(name: str, got: Any, expected: Any, tolerance: Any, place: Callable[[int], str], _: Any) -> Check:
    if got.size == 0:
        return Check(name, 0.0, 1.0, "nowhere: no entries", 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        error = np.abs(got - expected)
    same = (np.isnan(got) & np.isnan(expected)) | (got == expected)
    error = np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))
    tolerance = np.broadcast_to(np.where(np.isnan(tolerance), 0.0, tolerance), error.shape)
    i = int(np.argmax(error / np.maximum(tolerance, 1e-300)))
    return Check(name, float(error[i]), float(tolerance[i]), place(i), got[i], expected[i])
