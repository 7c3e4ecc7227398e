"""SciPy's special functions, with a rule ``lambda t, y, x: t * dy/dx`` per argument.

`special` is a function that counts as ``erf`` does and that native code calls; `row` is one made of
elementary functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import DerivativeError
from wengert.ops import slopes
from wengert.ops.rows import LOG_OF_SUM, plain, row, special
from wengert.ops.slopes import ROOT_HALF
from wengert.ops.ufuncs import ufunc_of
from wengert.ops.ufuncs import ufuncs as sp

ROOT_TWO = float(np.sqrt(2.0))
TWO_OVER_SQRT_PI = float(2 / np.sqrt(np.pi))
SQRT_TWO_PI = float(np.sqrt(2 * np.pi))


def _no_rule(name: str, argument: str) -> Callable[..., Any]:
    """Refuse a derivative that has no closed form, rather than take it for zero."""

    def rule(*_: Any) -> Any:
        raise DerivativeError(f"{name} has no derivative with respect to its argument {argument}")

    return rule


erf = special(
    sp.erf,
    lambda t, y, x: t * (TWO_OVER_SQRT_PI * slopes.gaussian(x)),
    native=True,
    libm="erf",
    ulp=8,
)
erfc = special(
    sp.erfc,
    lambda t, y, x: -(t * (TWO_OVER_SQRT_PI * slopes.gaussian(x))),
    native=True,
    libm="erfc",
    ulp=1000,  # SciPy's is wrong by 500 at 25
)
# 2 x erfcx(x) - 2 / sqrt(pi) cancels at large x; excess(-sqrt(2) x) is what is left
erfcx = special(sp.erfcx, lambda t, y, x: -(t * (ROOT_TWO * (y * slopes.excess(-ROOT_TWO * x)))))
erfinv = special(sp.erfinv, lambda t, y, x: t * slopes.erfinv_slope(x, y), steep=True)
expit = row(
    sp.expit,
    lambda t, y, x: t * slopes.expit_slope(x),
    counts={"add": 2, "transcendental": 1, "multiply": 1},  # 1 / (1 + exp(-x))
    ulp=8,
)
logit = row(
    sp.logit,
    lambda t, y, x: t / slopes.bernoulli(x),
    counts={"add": 1, "multiply": 1, "transcendental": 1},  # log(x / (1 - x))
    native=False,
    steep=True,
)
log_expit = row(sp.log_expit, lambda t, y, x: t * sp.expit(-x), counts=LOG_OF_SUM, ulp=8)
gamma = special(sp.gamma, lambda t, y, x: t * (y * sp.psi(x)), steep=True)
gammaln = special(sp.gammaln, lambda t, y, x: t * sp.psi(x), steep=True)
psi = special(sp.psi, lambda t, y, x: t * sp.zeta(2.0, x), steep=True)
zeta = special(
    ufunc_of("zeta", 2),
    _no_rule("zeta", "0"),
    lambda t, y, s, x: -(t * (s * sp.zeta(s + 1, x))),
    name="zeta",
    steep=True,
)
_PRODUCT_WITH_LOG = {"compare": 1, "multiply": 1, "transcendental": 1}  # 0 where the factor is 0
xlogy = row(
    sp.xlogy,
    lambda t, y, a, b: t * plain(np.log(b), b),
    lambda t, y, a, b: t * (a / np.where((a == 0) & (b == 0), 1, b)),
    counts=_PRODUCT_WITH_LOG,
    ulp=8,
    steep=True,
)
xlog1py = row(
    sp.xlog1py,
    lambda t, y, a, b: t * plain(np.log1p(b), b),
    lambda t, y, a, b: t * (a / np.where((a == 0) & (b == -1), 1, 1 + b)),
    counts=_PRODUCT_WITH_LOG,
    ulp=8,
    steep=True,
)
entr = row(
    sp.entr,
    lambda t, y, x: -(t * (np.log(x) + 1)),
    counts={"add": 1, "multiply": 1, "transcendental": 1},  # -x log(x)
    ulp=8,
    steep=True,
)
ndtr = special(sp.ndtr, lambda t, y, x: t * (slopes.gaussian(ROOT_HALF * x) / SQRT_TWO_PI))
log_ndtr = special(sp.log_ndtr, lambda t, y, x: t * slopes.hazard(x))
ndtri = special(sp.ndtri, lambda t, y, x: t * slopes.ndtri_slope(x, y), steep=True)
iv = special(
    sp.iv,
    _no_rule("iv", "v (the order)"),
    lambda t, y, v, x: t * (0.5 * (sp.iv(v - 1, x) + sp.iv(v + 1, x))),
    steep=True,
)
jv = special(
    sp.jv,
    _no_rule("jv", "v (the order)"),
    lambda t, y, v, x: t * (0.5 * (sp.jv(v - 1, x) - sp.jv(v + 1, x))),
    steep=True,
)
i0 = special(sp.i0, lambda t, y, x: t * sp.i1(x))
i1 = special(sp.i1, lambda t, y, x: t * (0.5 * (sp.i0(x) + sp.iv(2.0, x))))
j0 = special(sp.j0, lambda t, y, x: -(t * sp.j1(x)))
j1 = special(sp.j1, lambda t, y, x: t * (0.5 * (sp.j0(x) - sp.jv(2.0, x))))
