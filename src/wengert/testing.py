"""Check derivatives against theory and against an independent computation.

Three checks an order: forward against reverse mode (the dot-product test ``<ct, J t> = <J^T ct,
t>``), forward mode along a random direction against a numerical derivative, and reverse mode
against one for every entry of the inputs. Of large inputs a random sample of entries is checked,
and a random direction through all of them; where that one disagrees, bisection finds the entry.

The numerical derivative is a complex step (Squire and Trapp, *Using complex variables to estimate
derivatives of real functions*, SIAM Review 1998) where the function is analytic. Where it is not,
or where the complex step disagrees, it is central differences with Richardson extrapolation
(Ridders, *Accurate computation of F'(x) and F'(x)F''(x)*, 1982), whose error estimate enters the
tolerance.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optree

from wengert import derivatives as api
from wengert import trees
from wengert.errors import DerivativeError, DerivativeMismatchError, InputError
from wengert.follow.functions import call as call_followed
from wengert.ops.base import is_inexact
from wengert.transform.custom_rules import own_rules_only

__all__ = ["Check", "CheckReport", "check_derivatives", "numerical_derivative"]

SAMPLE = 64
"""Entries of the inputs that are checked one by one; of more, a random sample of so many."""

DOUBLE = 1e-12
"""Epsilons below this one are those of double precision, or better."""

Arrays = Sequence[Any]
Flat = Callable[..., list[Any]]


# --- reports --------------------------------------------------------------------------------------
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
        """Return a line, and a second one with both numbers where they disagree."""
        mark = "ok  " if self.ok else "FAIL"
        line = f"{mark} {self.name:<52} error {self.error:.1e} (tolerance {self.tolerance:.1e})"
        return (
            line
            if self.ok
            else f"{line}\n       {self.place}: got {self.got}, expected {self.expected}"
        )


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
        return max(self.checks, key=lambda c: c.error / max(c.tolerance, 1e-300))

    def __str__(self) -> str:
        """Return a line for each comparison."""
        verdict = "derivatives agree" if self.ok else "derivatives DISAGREE"
        return "\n".join([f"{self.name}: {verdict}", *(f"  {c}" for c in self.checks)])


# --- numerical derivatives ------------------------------------------------------------------------
class Estimate(NamedTuple):
    """A numerical derivative, an estimate of its absolute error, and how it was computed."""

    value: Any
    error: Any
    method: str


def numerical_derivative(f: Callable[[Any], Any], x: Any, t: Any) -> tuple[Any, Any, str]:
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
    x = np.asarray(x)
    line = Line(f, Location([x], _coarsest([x, f(x)])), [np.asarray(t)])
    exact, differences = line.complex_step(), line.differences()
    if exact is not None and _near(exact.value, differences, 10):
        return tuple(exact)
    return tuple(differences)


class Location(NamedTuple):
    """Where numerical derivatives are taken, and the epsilon of what is computed there."""

    xs: Arrays
    eps: float


class Line:
    """A function along a line, ``s -> f(*(xs + s ts))``, and its numerical derivatives at 0."""

    def __init__(self, f: Callable[..., Any], location: Location, ts: Arrays) -> None:
        self.f = f
        self.xs, self.eps = location
        self.ts = ts

    def at(self, s: Any) -> Any:
        """Evaluate; NaN where the function raises."""
        moved = [
            x
            if t is None
            else x + (s * t if isinstance(s, complex) else np.asarray(s * t).astype(x.dtype))
            for x, t in zip(self.xs, self.ts, strict=True)
        ]
        try:
            with np.errstate(all="ignore"):
                return np.asarray(self.f(*moved))
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            return np.asarray(np.nan)

    def complex_step(self) -> Estimate | None:
        """Return Im f(x + i h t) / h, or None where the function does not take complex numbers."""
        if self.eps > DOUBLE or any(x.dtype.kind == "c" for x in self.xs):
            return None
        h = 1e-100
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a cast that discards the imaginary part
                y = self.at(1j * h)
        except Exception:
            return None
        if y.dtype.kind != "c" or not np.all(np.isfinite(y)):
            return None
        value = y.imag / h
        return Estimate(value, np.finfo(float).eps * np.abs(value), "complex step")

    def differences(self) -> Estimate:
        """Extrapolate central differences over shrinking steps; keep each entry's best estimate."""
        h = (0.4 if self.eps > DOUBLE else 0.1) * self._scale()
        last: list[Any] = []
        best: Any = np.nan
        error: Any = np.inf
        for _ in range(11):
            up, down = self.at(h), self.at(-h)
            with np.errstate(all="ignore"):
                noise = self.eps * (np.abs(up) + np.abs(down)) / h
                row = [(up - down) / (2 * h)]
                for j, coarse in enumerate(last[:6]):
                    row.append(row[j] + (row[j] - coarse) / (16 ** (j + 1) - 1))
                    gaps = np.abs(row[-1] - row[j]), np.abs(row[-1] - coarse)
                    new = np.maximum(*gaps) + noise
                    best, error = np.where(new < error, row[-1], best), np.fmin(new, error)
            if np.all(error <= 1e-11 * np.max(np.abs(best), initial=0.0)):
                break
            last = row
            h /= 4
        return Estimate(best, error, "differences")

    def _scale(self) -> float:
        """Return the step that is as long as the largest entry that moves (1 where all are 0)."""
        sizes = [
            (np.max(np.abs(x), initial=0.0, where=t != 0) or 1.0) / np.max(np.abs(t))
            for x, t in zip(self.xs, self.ts, strict=True)
            if t is not None and np.any(t)
        ]
        return float(min(sizes, default=1.0))


def _near(value: Any, estimate: Estimate, factor: float) -> bool:
    """Whether a value lies within the error of an estimate."""
    bound = factor * estimate.error + 1e-8 * np.abs(estimate.value)
    return np.shape(value) == np.shape(estimate.value) and bool(
        np.all(np.abs(value - estimate.value) <= bound)
    )


# --- the check ------------------------------------------------------------------------------------
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
        The point, away from kinks; integers, strings and the like are constants.
    order : int
        1 for first derivatives, 2 for those of the pullback as well, and so on.
    rtol : float, optional
        Relative tolerance. By default the dtype's epsilon to the power 0.6 (4e-10 for float64)
        against a complex step, its square root and ten times the error estimate against
        differences.
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
    InputError
        Where there is nothing to check: no floating-point argument or result, or a result that is
        not finite.
    """
    name = getattr(f, "__name__", "f")
    leaves, rebuild = trees.flatten(args)
    leaves = [np.asarray(x)[()] if isinstance(x, (float, complex)) else x for x in leaves]
    free = [
        i for i, x in enumerate(leaves) if isinstance(x, (np.ndarray, np.generic)) and is_inexact(x)
    ]
    if not free:
        raise InputError(
            f"check_derivatives({name}) needs a floating-point argument; write 3.0 instead of 3"
        )
    paths = optree.tree_paths(args)  # type: ignore[arg-type]

    def flat(*xs: Any) -> list[Any]:
        full = list(leaves)
        for i, x in zip(free, xs, strict=True):
            full[i] = x
        return [y for y in trees.flatten(call_followed(f, rebuild(full), {}))[0] if is_inexact(y)]

    rng = np.random.default_rng(seed)
    point = Point(flat, [leaves[i] for i in free], [_path(paths[i]) for i in free], rng, rtol)
    checks: list[Check] = []
    for k in range(order):
        prefix = ("", "second order: ")[k] if k < 2 else f"order {k + 1}: "
        checks += point.checks(name, prefix)
        if not checks[-1].ok:
            break  # the next order starts from this one
        point = point.pull_back()
    report = CheckReport(name, tuple(checks))
    if raises and not report.ok:
        raise DerivativeMismatchError(str(report))
    return report


def _path(path: tuple[Any, ...]) -> str:
    return f"argument {path[0]}" + "".join(f"[{p!r}]" for p in path[1:])


class Point:
    """A function of flat arrays and a point at which its derivatives are checked.

    Attributes
    ----------
    location : Location
        For numerical derivatives: in double precision where the function allows it.
    """

    def __init__(
        self,
        flat: Flat,
        xs: Arrays,
        paths: list[str],
        rng: np.random.Generator,
        rtol: float | None,
        parent: Point | None = None,
    ) -> None:
        self.flat = flat
        self.xs = list(xs)
        self.paths = paths
        self.rng = rng
        self.rtol = rtol
        self.ys = [np.asarray(y) for y in flat(*xs)]
        self.ts = [_random(rng, x) for x in xs]
        self.cts = [_random(rng, y) for y in self.ys]
        self.eps: float = parent.eps if parent else _coarsest([*self.xs, *self.ys])
        self.location: Location = parent.location if parent else self._location()

    def _location(self) -> Location:
        wide = [x.astype(np.result_type(x, np.float64)) for x in self.xs]
        eps = _coarsest([*wide, *self.flat(*wide)])
        return Location(self.xs if eps > DOUBLE else wide, eps)

    def pull_back(self) -> Point:
        """Return the pullback of the random cotangents, as a function of the same point."""

        def gradient(*xs: Any) -> list[Any]:
            _, pull = api.vjp(lambda *zs: self.flat(*zs), *xs)
            return list(pull(list(self.cts)))

        return Point(gradient, self.xs, self.paths, self.rng, self.rtol, self)

    def checks(self, name: str, prefix: str) -> list[Check]:
        """Compare forward mode, reverse mode and a numerical derivative."""
        if not self.ys or not all(np.all(np.isfinite(y)) for y in self.ys):
            what = "a finite" if self.ys else "a floating-point"
            raise InputError(
                f"check_derivatives: {prefix}{name} has not {what} result at this point"
            )
        _, pull = api.vjp(lambda *xs: self.flat(*xs), *self.xs)
        reverse = pull(list(self.cts))
        found = []
        try:
            with own_rules_only():
                _, forward = api.jvp(lambda *xs: self.flat(*xs), tuple(self.xs), tuple(self.ts))
        except DerivativeError:
            pass  # a custom pullback: there is no forward mode
        else:
            found = [self._dot_product(forward, reverse), self._forward(forward)]
        found.append(self._reverse(reverse))
        return [
            Check(prefix + c.name, c.error, c.tolerance, c.place, c.got, c.expected) for c in found
        ]

    def _dot_product(self, forward: Arrays, reverse: Arrays) -> Check:
        left = [_pairs(c, t) for c, t in zip(self.cts, forward, strict=True)]
        right = [_pairs(g, t) for g, t in zip(reverse, self.ts, strict=True)]
        a, b = sum(float(np.sum(p)) for p in left), sum(float(np.sum(p)) for p in right)
        size = sum(float(np.sum(np.abs(p))) for p in left + right)
        tolerance = (self.rtol or self.eps**0.6) * size
        return Check(
            "forward against reverse (dot product)", abs(a - b), tolerance, "inner product", b, a
        )

    def _forward(self, forward: Arrays) -> Check:
        """Compare the tangents along one random direction."""

        def joined(*xs: Any) -> Any:
            return np.concatenate([np.ravel(y) for y in self.flat(*xs)])

        got = np.concatenate([np.ravel(t) for t in forward])
        expected = self._expected(joined, self.ts, got)
        results = [f"result {k}" if len(self.ys) > 1 else "result" for k in range(len(self.ys))]
        entries = Entries([y.real for y in self.ys], [y.real for y in self.ys])
        return self._worst("forward mode", got, [expected], lambda i: entries.describe(i, results))

    def _reverse(self, reverse: Arrays) -> Check:
        """Compare the cotangents, entry by entry."""
        entries = Entries(self.xs, reverse)
        chosen = np.arange(entries.count)
        if entries.count > SAMPLE:
            chosen = self.rng.choice(entries.count, SAMPLE, replace=False)
            chosen = np.append(chosen, self._odd_one(entries)).astype(int)
        expected = [
            self._expected(
                self._paired, entries.direction(np.array([i]), np.ones(1)), entries.values[i]
            )
            for i in chosen
        ]
        return self._worst(
            "reverse mode",
            entries.values[chosen],
            expected,
            lambda i: entries.describe(chosen[i], self.paths),
        )

    def _odd_one(self, entries: Entries) -> list[int]:
        """Find a wrong entry, by bisection along a random direction through all entries."""
        span = np.arange(entries.count)
        weights = self.rng.standard_normal(entries.count)

        def gap(part: Any) -> tuple[float, bool]:
            got = float(entries.values[part] @ weights[part])
            expected = self._expected(self._paired, entries.direction(part, weights[part]), got)
            found = abs(got - float(expected.value))
            return found, found > self._tolerance(
                expected, float(np.sum(np.abs(entries.values[part])))
            )

        if not gap(span)[1]:
            return []
        while len(span) > 1:
            span = max(np.array_split(span, 2), key=lambda part: gap(part)[0])
        return [int(span[0])]

    def _paired(self, *xs: Any) -> Any:
        """Return <ct, f>; its derivatives are the entries of the cotangents."""
        total: Any = sum(np.sum(c * y) for c, y in zip(self.cts, self.flat(*xs), strict=True))
        return np.real(total) if any(c.dtype.kind == "c" for c in self.cts) else total

    def _expected(self, f: Callable[..., Any], ts: Arrays, got: Any) -> Estimate:
        """Differentiate numerically; differences are needed only where a complex step disagrees."""
        line = Line(f, self.location, ts)
        exact = line.complex_step()
        if exact is not None:
            bound = self._tolerance(exact, float(np.max(np.abs(exact.value), initial=0.0)))
            if np.shape(got) == np.shape(exact.value) and np.all(
                np.abs(got - exact.value) <= bound
            ):
                return exact
        differences = line.differences()
        if exact is not None and _near(exact.value, differences, 10):
            return exact
        return differences

    def _tolerance(self, estimate: Estimate, size: float) -> Any:
        """Return what may differ, where the entries compared are as large as `size`."""
        if estimate.method == "complex step":
            relative = self.rtol or self.eps**0.6
            return relative * np.abs(estimate.value) + self.eps**0.85 * size
        eps = self.location.eps
        relative = self.rtol or max(eps**0.5, self.eps**0.6)
        # An estimate that knows nothing (at a kink) must not let anything pass.
        error = np.minimum(
            10 * np.nan_to_num(estimate.error, nan=np.inf), max(1e-4, eps**0.25) * size
        )
        return error + relative * np.abs(estimate.value) + max(eps**0.6, self.eps**0.85) * size

    def _worst(
        self, name: str, got: Any, expected: list[Estimate], place: Callable[[int], str]
    ) -> Check:
        """Compare entries, each with its own estimate or all with one; report the worst."""
        methods = {e.method for e in expected}
        name += f" against {'differences' if 'differences' in methods else 'complex step'}"
        if not len(got):
            return Check(name, 0.0, 0.0, "no entries", 0.0, 0.0)
        wanted = np.concatenate([np.ravel(e.value) for e in expected])
        size = float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted)))
        bounds = np.concatenate([np.ravel(self._tolerance(e, size)) for e in expected])
        error = np.nan_to_num(np.abs(got - wanted), nan=np.inf)
        i = int(np.argmax(error / np.maximum(bounds, 1e-300)))
        return Check(name, float(error[i]), float(bounds[i]), f"at {place(i)}", got[i], wanted[i])


class Entries:
    """The real numbers that arrays consist of, counted through; a complex entry has two.

    Attributes
    ----------
    count : int
    values : array
        The derivative of <ct, f> with respect to each: Re(g), and Re(g i) = -Im(g).
    """

    def __init__(self, xs: Arrays, cotangents: Arrays) -> None:
        self.shapes = [x.shape for x in xs]
        self.units: list[Any] = [(1, 1j) if x.dtype.kind == "c" else (1,) for x in xs]
        sizes = [x.size * len(u) for x, u in zip(xs, self.units, strict=True)]
        self.starts = np.cumsum([0, *sizes])
        self.count = int(self.starts[-1])
        self.values = np.concatenate(
            [
                np.stack([np.real(g * unit) for unit in u], axis=-1).ravel()
                for g, u in zip(cotangents, self.units, strict=True)
            ]
        )

    def describe(self, i: int, names: list[str]) -> str:
        """Name a number by its array and the index in it."""
        k = int(np.searchsorted(self.starts, i, side="right")) - 1
        entry, part = divmod(int(i - self.starts[k]), len(self.units[k]))
        index = np.unravel_index(entry, self.shapes[k]) if self.shapes[k] else ()
        shown = names[k] + (f", index [{', '.join(str(j) for j in index)}]" if index else "")
        return shown + (" (imaginary part)" if part else "")

    def direction(self, part: Any, weights: Any) -> list[Any]:
        """Return tangents with these weights at these numbers; None for arrays that do not move."""
        found: list[Any] = []
        for k, (shape, units) in enumerate(zip(self.shapes, self.units, strict=True)):
            inside = (part >= self.starts[k]) & (part < self.starts[k + 1])
            if not np.any(inside):
                found.append(None)
                continue
            t = np.zeros(int(self.starts[k + 1] - self.starts[k]))
            t[part[inside] - self.starts[k]] = weights[inside]
            found.append((t.reshape(-1, len(units)) @ np.array(units)).reshape(shape))
        return found


def _random(rng: np.random.Generator, x: Any) -> Any:
    t = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        t = t + 1j * rng.standard_normal(x.shape)
    return np.asarray(t).astype(x.dtype)


def _pairs(a: Any, b: Any) -> Any:
    """Return the terms of the real pairing Re(sum a b), the one that cotangents are defined by."""
    return np.real(np.asarray(a) * np.asarray(b))


def _coarsest(xs: Arrays) -> float:
    """Return the largest epsilon of the dtypes of arrays, those of integers aside."""
    kinds = [np.asarray(x).dtype for x in xs]
    return max((float(np.finfo(d).eps) for d in kinds if d.kind in "fc"), default=0.0)
