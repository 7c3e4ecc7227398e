"""Awkward arrays, and the comparison of a traced call with NumPy's own on them.

A case is the text of a call, ``np.sum(x, axis=0)``, with the arrays that its names stand for. NumPy
evaluates it first. Where NumPy raises, the traced call must raise a compatible exception.
Where NumPy answers, the traced call must give the same values, shapes and dtypes, or refuse with an
error of wengert's own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import optree
import scipy.special as sp

import wengert as wg
from wengert.errors import WengertError
from wengert.ops.base import Traced

NAN, INF = float("nan"), float("inf")


def _readonly(x: Any) -> Any:
    x.flags.writeable = False
    return x


_BASE = np.array([[0.5, -1.25, 2.0], [1.75, 0.25, -0.75]])
_CUBE = np.linspace(-1.3, 1.9, 12).reshape(2, 3, 2)

MATRICES: dict[str, Any] = {
    "matrix": _BASE.copy(),
    "reversed": _BASE.copy()[::-1, ::-1],
    "fortran": np.asfortranarray(_BASE),
    "strided": np.arange(24.0).reshape(4, 6)[::2, ::2] / 7 - 1,
    "readonly": _readonly(_BASE.copy()),
    "broadcast": np.broadcast_to(np.array([1.5, -0.5, 0.75]), (2, 3)),
    "float32": _BASE.astype(np.float32),
    "float16": _BASE.astype(np.float16),
    "int64": np.array([[3, -1, 2], [0, 5, 2]]),
    "int8": np.array([[100, -100, 2], [100, 5, 2]], np.int8),
    "uint8": np.array([[200, 100, 2], [0, 5, 2]], np.uint8),
    "bool": np.array([[True, False, True], [False, False, True]]),
    "complex": _BASE + 1j * _BASE[::-1, ::-1],
    "complex64": (_BASE + 0.5j * _BASE[::-1]).astype(np.complex64),
    "nan": np.array([[1.0, NAN, 2.0], [0.5, 3.0, -1.0]]),
    "allnan": np.array([[NAN, 1.0, 2.0], [NAN, NAN, 3.0]]),
    "inf": np.array([[1.0, INF, 2.0], [-INF, 3.0, INF]]),
    "subnormal": np.array([[5e-324, 1e-310, -3e-320], [0.0, 2e-308, -5e-324]]),
    "huge": np.array([[1e308, -1e308, 1.7e308], [1e300, 1e308, -3e307]]),
    "ties": np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]]),
    "zeros": np.array([[0.0, -0.0, 0.0], [-0.0, 0.0, 0.0]]),
    "one by one": np.array([[0.75]]),
    "no columns": np.zeros((2, 0)),
    "no rows": np.zeros((0, 3)),
}
VECTORS: dict[str, Any] = {
    "vector": np.array([0.5, -1.25, 2.0, 0.75]),
    "rising": np.array([-1.0, 0.25, 0.5, 2.0]),
    "falling": np.array([2.0, 0.5, 0.25, -1.0]),
    "backwards": np.array([0.5, -1.25, 2.0, 0.75])[::-1],
    "every other": np.arange(8.0)[::2],
    "readonly line": _readonly(np.array([0.5, -1.25, 2.0, 0.75])),
    "single": np.array([0.5, -1.25, 2.0, 0.75], np.float32),
    "half": np.array([0.5, -1.25, 2.0, 0.75], np.float16),
    "integers": np.array([3, 0, 2, 3]),
    "small integers": np.array([120, -100, 7, 120], np.int8),
    "unsigned": np.array([3, 0, 250, 2], np.uint8),
    "booleans": np.array([True, False, True, True]),
    "complex line": np.array([1.0 - 1j, 0.5j, -2.0, 1.0 + 2j]),
    "with nan": np.array([0.5, NAN, 2.0, -1.0]),
    "only nan": np.array([NAN, NAN]),
    "with inf": np.array([1.0, INF, 2.0, -INF]),
    "tiny": np.array([5e-324, -1e-310, 2e-308, 0.0]),
    "large": np.array([1e308, -1.7e308, 1e307, 1e308]),
    "equal": np.array([0.7, 0.7, 0.7, 0.7]),
    "signed zeros": np.array([0.0, -0.0, 0.0, -0.0]),
    "one": np.array([0.75]),
    "nothing": np.zeros(0),
}
SCALARS: dict[str, Any] = {
    "0-d": np.array(0.75),
    "0-d integer": np.array(3),
    "0-d bool": np.array(True),
    "0-d nan": np.array(NAN),
    "0-d complex": np.array(0.5 - 1j),
    "scalar": np.float64(-0.5),
    "single scalar": np.float32(1.5),
}
CUBES: dict[str, Any] = {
    "cube": _CUBE.copy(),
    "fortran cube": np.asfortranarray(_CUBE),
    "empty cube": np.zeros((2, 0, 3)),
}
SQUARES: dict[str, Any] = {
    "square": np.array([[2.0, 0.5, -1.0], [0.25, 3.0, 0.5], [1.0, -0.5, 1.5]]),
    "square reversed": np.array([[2.0, 0.5, -1.0], [0.25, 3.0, 0.5], [1.0, -0.5, 1.5]])[::-1, ::-1],
    "square fortran": np.asfortranarray([[2.0, 0.5], [0.25, 3.0]]),
    "square integers": np.array([[2, 1], [1, 3]]),
    "square bool": np.array([[True, False], [True, True]]),
    "square single": np.array([[2.0, 0.5], [0.25, 3.0]], np.float32),
    "square half": np.array([[2.0, 0.5], [0.25, 3.0]], np.float16),
    "square complex": np.array([[2.0 + 1j, 0.5], [0.25j, 3.0]]),
    "square nan": np.array([[2.0, NAN], [0.25, 3.0]]),
    "square inf": np.array([[2.0, INF], [0.25, 3.0]]),
    "square tiny": np.array([[2e-310, 0.0], [0.0, 3e-310]]),
    "square huge": np.array([[1e300, 1e10], [-1e20, 1e300]]),
    "singular": np.array([[1.0, 2.0], [2.0, 4.0]]),
    "square zeros": np.zeros((2, 2)),
    "one by one": np.array([[0.75]]),
    "no square": np.zeros((0, 0)),
    "stacked": np.array([[[2.0, 0.5], [0.25, 3.0]], [[1.0, 0.0], [0.5, 2.0]]]),
    "no stack": np.zeros((0, 2, 2)),
    "wide": _BASE.copy(),
    "tall": _BASE.T.copy(),
}
ALL = {**MATRICES, **VECTORS, **SCALARS, **CUBES}
REAL = {k: v for k, v in ALL.items() if v.dtype.kind != "c"}
LINES = {**VECTORS, **SCALARS, **{k: MATRICES[k] for k in ("matrix", "no rows", "nan")}}
FLAT = {**VECTORS, **{k: MATRICES[k] for k in ("matrix", "fortran", "no rows", "one by one")}}
FEW = {
    k: ALL[k]
    for k in (
        "matrix", "reversed", "fortran", "strided", "readonly", "float32", "float16", "int8",
        "bool", "complex", "nan", "inf", "huge", "subnormal", "one by one", "no rows", "no columns",
        "vector", "backwards", "integers", "nothing", "one", "0-d", "0-d integer", "scalar", "cube",
    )
}  # fmt: skip


# --- cases ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Case:
    """A call, the arrays that are traced, and how its result is compared."""

    text: str
    arrays: tuple[tuple[str, str, Any], ...]  # name in the text, name of the array, array
    loose: bool = False

    def __str__(self) -> str:
        """Return the call and its arrays."""
        return f"{self.text}  with " + ", ".join(f"{n} = {k}" for n, k, _ in self.arrays)


@dataclass
class Family:
    """Calls of one kind: every template with every option, on every choice of arrays.

    In a template ``@`` stands for an option, preceded by a comma where the option is not empty.
    """

    functions: tuple[str, ...]
    templates: tuple[str, ...]
    options: tuple[str, ...]
    inputs: tuple[dict[str, Any], ...] = field(repr=False)
    loose: bool = False

    def cases(self) -> Iterator[Case]:
        """Produce the cases."""
        names = "xyz"
        for template in self.templates:
            for option in self.options:
                text = template.replace(", @", f", {option}" if option else "").replace("@", option)
                for pair in _choices(self.inputs):
                    arrays = tuple((names[i], k, v) for i, (k, v) in enumerate(pair))
                    if any(n in text for n in names):
                        yield Case(text, arrays, self.loose)


def _choices(inputs: tuple[dict[str, Any], ...]) -> Iterator[tuple[tuple[str, Any], ...]]:
    if len(inputs) == 1:
        yield from ((item,) for item in inputs[0].items())
        return
    if not inputs:
        return
    for k, v in inputs[0].items():
        for rest in _choices(inputs[1:]):
            yield ((k, v), *rest)


def family(
    functions: str, templates: str | list[str], *inputs: dict[str, Any],
    options: str | list[str] = "", loose: bool = False,
) -> list[Family]:  # fmt: skip
    """Make a family for each function: ``%`` in the templates stands for its name."""
    texts = [templates] if isinstance(templates, str) else templates
    given = [options] if isinstance(options, str) else options
    return [
        Family((f,), tuple(t.replace("%", f) for t in texts), tuple(given), inputs, loose)
        for f in functions.split()
    ]


# --- what the texts may say -----------------------------------------------------------------------
def mask(x: Any) -> Any:
    """Return a plain mask of the shape of `x`."""
    return (np.arange(math.prod(np.shape(x))) % 3 != 1).reshape(np.shape(x))


def ramp(x: Any) -> Any:
    """Return plain positive numbers of the shape of `x`."""
    return np.arange(1.0, math.prod(np.shape(x)) + 1).reshape(np.shape(x))


def after(x: Any, change: Callable[..., Any]) -> Any:
    """Return a copy of `x` after a change in place."""
    y = np.copy(x)
    change(y)
    return y


NAMES = {
    "np": np, "sp": sp, "mask": mask, "ramp": ramp, "after": after, "nan": NAN, "inf": INF,
    "sliding": np.lib.stride_tricks.sliding_window_view,
}  # fmt: skip


@cache
def compiled(text: str) -> Any:
    return compile(text, text, "eval")


def call(case: Case, arrays: list[Any]) -> Any:
    given = {n: a for (n, _, _), a in zip(case.arrays, arrays, strict=True)}
    return eval(compiled(case.text), {**NAMES, **given})


# --- outcomes -------------------------------------------------------------------------------------
@dataclass
class Outcome:
    """What a call gave: leaves, or an exception; and the warnings."""

    leaves: list[Any]
    error: BaseException | None = None
    warned: tuple[str, ...] = ()


def fresh(case: Case) -> list[Any]:
    """Copy the arrays of a case, with their strides."""
    return [
        v if isinstance(v, np.generic) or not v.flags.writeable else _copied(v)
        for _, _, v in case.arrays
    ]


def _copied(v: Any) -> Any:
    if v.flags.c_contiguous or v.flags.f_contiguous or not v.size:
        return v.copy(order="K")
    base = v
    while isinstance(base.base, np.ndarray):
        base = base.base
    again = base.copy(order="K")
    offset = v.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return np.ndarray(v.shape, v.dtype, again, offset, v.strides)


def _leaves(result: Any) -> list[Any]:
    return optree.tree_leaves(result, none_is_leaf=True)


def numpys(case: Case) -> Outcome:
    """Let NumPy evaluate a case."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            return Outcome(_leaves(call(case, fresh(case))), None, _categories(seen))
        except Exception as error:
            return Outcome([], error, _categories(seen))


def _categories(seen: list[Any]) -> tuple[str, ...]:
    return tuple(sorted({f"{w.category.__name__}: {w.message}" for w in seen}))


def traced(case: Case, run: Callable[..., list[Any]], active: tuple[int, ...]) -> list[Outcome]:
    """Evaluate a case on traced values; `run` gives the results of one call or several."""
    arrays = fresh(case)
    made: list[Any] = []

    @wg.unfollowed  # where isinstance would say what a plain value is
    def f(*xs: Any) -> Any:
        full = list(arrays)
        for i, x in zip(active, xs, strict=True):
            full[i] = x
        found = _leaves(call(case, full))
        made[:] = [None if isinstance(y, (Traced, np.ndarray, np.generic)) else y for y in found]
        return [y for y in found if isinstance(y, (Traced, np.ndarray, np.generic))]

    outcomes = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            for result in run(f, *(arrays[i] for i in active)):
                given = iter(result)
                whole = [next(given) if m is None else m for m in made]
                outcomes.append(Outcome(whole, None, _categories(seen)))
        except Exception as error:
            outcomes.append(Outcome([], error, _categories(seen)))
    return outcomes


def _by_vjp(f: Callable[..., Any], *xs: Any) -> Iterator[Any]:
    yield wg.vjp(f, *xs, allow_int=True)[0]


def _by_jvp(f: Callable[..., Any], *xs: Any) -> Iterator[Any]:
    yield wg.jvp(f, xs, tuple(np.zeros_like(x) for x in xs), allow_int=True)[0]


def _by_jit(backend: str) -> Callable[..., Any]:
    def run(f: Callable[..., Any], *xs: Any) -> Iterator[Any]:
        jitted = wg.jit(f, backend=backend)
        yield jitted(*xs)
        yield jitted(*xs)

    return run


RUNS: dict[str, Callable[..., Any]] = {
    "vjp": _by_vjp, "jvp": _by_jvp, "numpy": _by_jit("numpy"), "native": _by_jit("native"),
}  # fmt: skip

_KINDS = (
    IndexError, KeyError, ZeroDivisionError, OverflowError, np.linalg.LinAlgError, TypeError,
    ValueError, AttributeError, FloatingPointError, NotImplementedError,
)  # fmt: skip


def compatible(got: BaseException, wanted: BaseException) -> bool:
    """Whether a handler of NumPy's exception catches the traced call's, or it is a refusal."""
    if isinstance(got, (WengertError, type(wanted))):
        return True
    kinds = [k for k in _KINDS if isinstance(wanted, k)]
    return any(isinstance(got, k) for k in kinds)


def difference(want: Outcome, got: Outcome, loose: bool = False) -> str | None:
    """Say how a traced call departs from NumPy's; None where it does not."""
    if want.error is not None:
        if got.error is None:
            return f"NumPy raises {_said(want.error)}; traced: {got.leaves}"
        if not compatible(got.error, want.error):
            return f"NumPy raises {_said(want.error)}; traced: {_said(got.error)}"
        return None
    if got.error is not None:
        if isinstance(got.error, WengertError):
            return None
        return f"crash: {_said(got.error)}"
    if len(want.leaves) != len(got.leaves):
        return f"{len(got.leaves)} results, not {len(want.leaves)}"
    for a, b in zip(got.leaves, want.leaves, strict=True):
        found = _unlike(a, b, loose)
        if found:
            return found
    new = [w for w in got.warned if w not in want.warned and w.startswith("RuntimeWarning")]
    if new and not want.warned:
        return f"warns: {new}"
    return None


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def _unlike(got: Any, want: Any, loose: bool) -> str | None:
    if not isinstance(want, (np.ndarray, np.generic)):
        same = type(got) is type(want) or isinstance(want, (int, float, complex))
        equal = got == want or got is want or (got != got and want != want)
        return None if same and equal else f"{got!r}, not {want!r}"
    if not isinstance(got, (np.ndarray, np.generic)):
        return f"{type(got).__name__} {got!r}, not {want!r}"
    if got.shape != want.shape:
        return f"shape {got.shape}, not {want.shape}"
    if got.dtype != want.dtype:
        return f"dtype {got.dtype}, not {want.dtype}"
    if want.dtype.kind not in "fc":
        return None if np.array_equal(got, want) else f"{got.tolist()}, not {want.tolist()}"
    eps = float(np.finfo(want.dtype).eps)
    units = (1e6 if loose else 1e3) if eps < 1e-10 else 64 if eps < 1e-5 else 8
    with np.errstate(all="ignore"):
        wide = np.complex128 if want.dtype.kind == "c" else np.float64
        a, b = np.asarray(got, wide), np.asarray(want, wide)
        for p, q in ((a.real, b.real), (a.imag, b.imag)):
            finite = np.isfinite(q)
            scale = float(np.max(np.abs(b), initial=0, where=np.isfinite(b)))
            tol = units * eps * (np.abs(np.where(finite, q, 0)) + scale) + 64 * float(
                np.finfo(want.dtype).smallest_subnormal
            )
            good = np.where(
                finite,
                np.abs(p - np.where(finite, q, 0)) <= tol,
                (p == q) | (np.isnan(p) & np.isnan(q)),
            )
            if not np.all(good):
                return f"{got.tolist()}, not {want.tolist()}"
    return None


def faults(case: Case, runs: tuple[str, ...] = ("vjp",)) -> Iterator[str]:
    """Produce what is wrong with a case: a line for each run."""
    want = numpys(case)
    count = len(case.arrays)
    ways = [tuple(range(count))]
    if count > 1:
        ways += [(i,) for i in range(count)]
    for active in ways:
        for name in runs:
            for i, got in enumerate(traced(case, RUNS[name], active)):
                found = difference(want, got, case.loose)
                if found:
                    yield f"{case}: {name}{f' call {i + 1}' if i else ''}, traced {active}: {found}"
                    break


# --- derivatives ----------------------------------------------------------------------------------
def _ordinary(x: Any) -> bool:
    """Whether derivatives of functions of `x` neither overflow nor are undefined by its size."""
    size = np.abs(np.asarray(x, complex))
    return bool(np.all((size == 0) | ((size > 1e-50) & (size < 1e50))))


def disagreement(case: Case) -> str | None:
    """Say how forward and reverse mode disagree at ordinary numbers; None where they do not."""
    arrays = fresh(case)
    active = [i for i, x in enumerate(arrays) if x.dtype.kind in "fc" and x.dtype.itemsize > 2]
    want = numpys(case)
    if not active or want.error is not None or not all(map(_ordinary, arrays)):
        return None
    if any(x.size == 0 for x in arrays) or "1e-320" in case.text:
        return None
    if "zeros" in str(case) and any(name in case.text for name in ("svd", "eigvalsh", "eigh")):
        return None  # repeated values have slopes in each direction, and no derivative
    rng = np.random.default_rng(5)

    @wg.unfollowed
    def f(*xs: Any) -> Any:
        full = fresh(case)
        for i, x in zip(active, xs, strict=True):
            full[i] = x
        found = _leaves(call(case, full))
        return [y for y in found if isinstance(y, Traced) and y.dtype.kind in "fc"]  # type: ignore[attr-defined]

    def drawn(x: Any) -> Any:
        t = rng.normal(size=np.shape(x)) + (
            1j * rng.normal(size=np.shape(x)) if x.dtype.kind == "c" else 0
        )
        return np.asarray(t, x.dtype)

    xs = tuple(arrays[i] for i in active)
    ts = tuple(map(drawn, xs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ys, pushed = wg.jvp(f, xs, ts, allow_int=True)
            cts = [drawn(np.asarray(y)) for y in ys]
            pulled = wg.vjp(f, *xs, allow_int=True)[1](cts)
        except WengertError:
            return None
        except Exception as error:
            return f"{case}: derivative crashes: {_said(error)}"
    if not all(map(_ordinary, ys)):
        return None
    sizes = [np.all(np.isfinite(a)) for a in (*pushed, *pulled)]
    if not all(sizes):
        one_way = all(sizes[: len(pushed)]) or all(sizes[len(pushed) :])
        return f"{case}: finite in one mode only: {pushed} {pulled}" if one_way else None
    left = [np.real(np.asarray(c, complex) * t) for c, t in zip(cts, pushed, strict=True)]
    right = [np.real(np.asarray(c, complex) * t) for c, t in zip(pulled, ts, strict=True)]
    a, b = (float(sum(np.sum(p) for p in parts)) for parts in (left, right))
    scale = float(sum(np.sum(np.abs(p)) for p in (*left, *right))) or 1.0
    low = any(np.finfo(np.asarray(y).dtype).bits < 64 for y in (*ys, *xs))
    if abs(a - b) > scale * (2e-2 if low else 1e-8) + 1e-12:
        return f"{case}: forward {a}, reverse {b}"
    return None
