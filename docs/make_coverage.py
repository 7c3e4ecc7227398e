"""Write `coverage.md`: what each NumPy function does under each transformation, found by trying.

Usage: ``python docs/make_coverage.py`` (a minute). The arguments are those of the tests
(`tests/ops/numpy_cases.py`, `tests/ops/rest_cases.py`, `tests/ops/test_linalg.py`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import wengert as wg
import wengert.public

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "ops"), str(ROOT / "tests")]

HEAD = """\
# Coverage

What each function of NumPy does with traced values, found by trying one call of each:
`python docs/make_coverage.py` writes this page from the cases of the tests, and a test compares it.
*forward* is `jvp`, *reverse* `vjp`, *second* the reverse derivative of the reverse derivative.
*compiled* says how `jit` runs it: `native` in machine code, or which operations NumPy computes
between pieces of machine code. `0` stands for a function that is piecewise constant.
[NumPy under wengert](numpy.md) says which options are refused and has the conventions at kinks;
[what wengert says](messages.md) what is refused, and why.

| function | forward | reverse | second | compiled |
|---|---|---|---|---|
"""


MATRIX = np.array([[3.0, 0.5, -0.25], [0.5, 2.0, 0.75], [-0.25, 0.75, 1.5]])
VECTOR = np.array([0.5, -1.0, 2.0])
linalg = np.linalg
OF_MATRICES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "solve": (linalg.solve, (MATRIX, VECTOR)),
    "lstsq": (lambda a, b: linalg.lstsq(a, b)[0], (MATRIX[:, :2], VECTOR)),
    "cross": (linalg.cross, (VECTOR, VECTOR[::-1].copy())),
    "multi_dot": (lambda a, b: linalg.multi_dot([a, b, a]), (MATRIX, MATRIX)),
    "matmul": (linalg.matmul, (MATRIX, MATRIX)),
    "outer": (linalg.outer, (VECTOR, VECTOR)),
    "tensordot": (linalg.tensordot, (MATRIX, MATRIX)),
    "vecdot": (linalg.vecdot, (VECTOR, VECTOR)),
    "matrix_power": (lambda a: linalg.matrix_power(a, 3), (MATRIX,)),
    "tensorinv": (lambda a: linalg.tensorinv(np.reshape(a, (3, 3)), ind=1), (MATRIX,)),
    "tensorsolve": (linalg.tensorsolve, (MATRIX, VECTOR)),
    "eig": (lambda a: linalg.eig(a).eigenvalues, (MATRIX,)),
}


def row(name: str, f: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """Return the line of one function."""
    smooth = [i for i, x in enumerate(args) if np.asarray(x).dtype.kind in "fc"]

    def total(*xs: Any) -> Any:
        y = f(*xs)
        parts = [p for p in wg.tree.leaves(y) if np.asarray(wg.stop_gradient(p)).dtype.kind in "fc"]
        squares = [np.sum(np.abs(p) ** 2 if np.iscomplexobj(p) else p * p) for p in parts]
        return sum(squares, 0.0)

    def tried(run: Callable[[], Any]) -> str:
        try:
            found = [np.asarray(x) for x in wg.tree.leaves(run())]
        except wg.errors.WengertError:
            return "no"
        found = [x for x in found if x.dtype.kind in "fc"]
        return "yes" if any(np.any(x != 0) for x in found) else "0"

    ones = tuple(np.ones_like(x) if i in smooth else x * 0 for i, x in enumerate(args))
    forward = tried(lambda: wg.jvp(f, args, ones, allow_int=True)[1])
    if not smooth:
        return f"| `{name}` | 0 | 0 | 0 | {compiled(f, args)} |"
    k = smooth[0]
    gradient = wg.grad(total, k)
    reverse = tried(lambda: gradient(*args))
    second = tried(lambda: wg.grad(lambda *xs: np.sum(np.real(gradient(*xs))), k)(*args))
    return f"| `{name}` | {forward} | {reverse} | {second} | {compiled(f, args)} |"


def compiled(f: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """Say what computes a compiled call."""
    try:
        calls = wg.jit(f).plan(*args).host_calls
    except wg.errors.WengertError:
        return "no"
    return "native" if not calls else ", ".join(f"`{n}`" for n in sorted(calls)) + " by NumPy"


def cases() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Return a call of each function."""
    from numpy_cases import USES
    from op_cases import CASES
    from rest_cases import POLYNOMIALS, SETS

    from wengert.ops.elementwise import UFUNCS
    from wengert.trace.dispatch import FUNCTIONS

    found = {}
    for ufunc, op in UFUNCS.items():
        made = [c for c in CASES.get(op.name, ()) if np.size(c.args()[0])]
        if made and getattr(np, ufunc.__name__, None) is ufunc:
            found[f"np.{ufunc.__name__}"] = (ufunc, made[-1].args())
    for function, uses in USES.items():
        if callable(function):
            module = getattr(function, "__module__", "numpy").replace("numpy", "np")
            found[f"{module}.{function.__name__}"] = (uses[0].f, uses[0].args())
    for function in FUNCTIONS:
        module = getattr(function, "__module__", "")
        if module in ("numpy.linalg", "numpy.fft"):
            f, args = OF_MATRICES.get(function.__name__, (function, (MATRIX,)))
            found[f"{module.replace('numpy', 'np')}.{function.__name__}"] = (f, args)
    for name, (f, x) in {**POLYNOMIALS, **SETS}.items():
        found.setdefault(name, (f, (x,)))
    return dict(sorted(found.items()))


def page() -> str:
    """Return the text of the page."""
    rows = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, (f, args) in cases().items():
            rows.append(row(name, f, args))
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("coverage.md").write_text(page(), encoding="utf-8")
