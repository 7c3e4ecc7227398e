"""The functions of `math` and `cmath`, and the conversions of Python, on traced numbers.

Each gives a Python number where the plain function does, with its derivative, and raises where it
does.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from wengert.errors import InputError, user_line
from wengert.follow.functions import STAND_INS
from wengert.ops.convert import convert
from wengert.trace.numbers import as_python, fails, number_type
from wengert.trace.python.answered import check_text
from wengert.trace.python.table import among, find, stands_for
from wengert.trace.sizes import equal
from wengert.trace.tracer import Tracer

__all__ = ["number"]

DOMAIN = "math domain error"
RANGE = "math range error"


def number(x: Any, kind: type = float) -> Any:
    """Return what `float` or `complex` makes of a traced value, with its derivative.

    Raises
    ------
    TypeError
        As Python does: for an array of several elements, and for a complex value as a float.
    """
    if type(x) is not Tracer:
        return x
    if number_type(x) is kind:
        return x
    if x._trace.shape(x._var):
        if x.size != 1:
            raise InputError(
                "only length-1 arrays can be converted to Python scalars" + user_line()
            )
        x = x.reshape(())
    if kind is float and x.dtype.kind == "c":
        raise InputError("float() argument must be a real number, not complex" + user_line())
    return equal(as_python(convert(+x, dtype=np.dtype(kind))), x)


@stands_for(float)
def _float(*args: Any) -> Any:
    if len(args) == 1 and type(args[0]) is Tracer:
        return number(*args)
    if len(args) == 1 and type(args[0]) is str:
        check_text(args[0])
    return float(*args)


@stands_for(complex)
def _complex(*args: Any, **kwargs: Any) -> Any:
    if among(args, kwargs) is None:
        return complex(*args, **kwargs)
    real, imag = [*args, 0, 0][:2]
    real, imag = kwargs.get("real", real), kwargs.get("imag", imag)
    made = number(real, complex)
    return made if imag == 0 and type(imag) is int else made + 1j * number(imag, complex)


def _plain(function: Any, stand_in: Callable[..., Any]) -> None:
    """Let a stand-in be called where an argument is traced, and the function itself elsewhere."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Tracer:
                return stand_in(*args, **kwargs)
        if find(args) is not None:
            return stand_in(*args, **kwargs)
        return function(*args, **kwargs)

    stands_for(function)(call)


def _of_numbers(function: Any, ufunc: Any, outside: Any, overflows: bool) -> None:
    """Let a ufunc stand for a function of numbers.

    Parameters
    ----------
    function : callable
        Of `math`.
    ufunc : callable
        Of NumPy or SciPy.
    outside : callable, optional
        Whether the arguments are outside of the domain of the function.
    overflows : bool
        Whether an infinite result of finite arguments raises OverflowError.
    """

    def stand_in(*args: Any) -> Any:
        xs = [number(x) for x in args]
        if outside is not None and fails(outside(*xs)):
            raise ValueError(DOMAIN + user_line())
        if not overflows:
            return as_python(ufunc(*xs))
        with np.errstate(over="ignore"):
            y = as_python(ufunc(*xs))
        if fails(_overflowed(y, xs)):
            raise OverflowError(RANGE + user_line())
        return y

    _plain(function, stand_in)


def _overflowed(y: Any, xs: list[Any]) -> Any:
    found = np.isinf(y)
    for x in xs:
        found = found & ~np.isinf(x)
    return found


def _is_pole(x: Any) -> Any:
    return (x <= 0) & (x == np.floor(x))


_ROWS: dict[str, tuple[Any, Any, bool]] = {
    "acos": (np.arccos, lambda x: abs(x) > 1, False),
    "acosh": (np.arccosh, lambda x: x < 1, False),
    "asin": (np.arcsin, lambda x: abs(x) > 1, False),
    "asinh": (np.arcsinh, None, False),
    "atan": (np.arctan, None, False),
    "atan2": (np.arctan2, None, False),
    "atanh": (np.arctanh, lambda x: abs(x) >= 1, False),
    "cbrt": (np.cbrt, None, False),
    "copysign": (np.copysign, None, False),
    "cos": (np.cos, np.isinf, False),
    "cosh": (np.cosh, None, True),
    "degrees": (np.degrees, None, False),
    "erf": (scipy.special.erf, None, False),
    "erfc": (scipy.special.erfc, None, False),
    "exp": (np.exp, None, True),
    "exp2": (np.exp2, None, True),
    "expm1": (np.expm1, None, True),
    "fabs": (np.abs, None, False),
    "fmod": (np.fmod, lambda x, y: (y == 0) | np.isinf(x), False),
    "gamma": (scipy.special.gamma, _is_pole, True),
    "ldexp": (lambda x, n: x * 2.0**n, None, True),
    "lgamma": (scipy.special.gammaln, _is_pole, True),
    "log10": (np.log10, lambda x: x <= 0, False),
    "log1p": (np.log1p, lambda x: x <= -1, False),
    "log2": (np.log2, lambda x: x <= 0, False),
    "nextafter": (np.nextafter, None, False),
    "pow": (
        np.power,
        lambda x, y: ((x < 0) & (y != np.floor(y))) | ((x == 0) & (y < 0)),
        True,
    ),
    "radians": (np.radians, None, False),
    "sin": (np.sin, np.isinf, False),
    "sinh": (np.sinh, None, True),
    "sqrt": (np.sqrt, lambda x: x < 0, False),
    "tan": (np.tan, np.isinf, False),
    "tanh": (np.tanh, None, False),
}

for _name, (_ufunc, _outside, _overflows) in _ROWS.items():
    if hasattr(math, _name):
        _of_numbers(getattr(math, _name), _ufunc, _outside, _overflows)


def _log(x: Any, base: Any = None) -> Any:
    x = number(x)
    if fails(x <= 0) or (base is not None and fails(base <= 0)):
        raise ValueError(DOMAIN + user_line())
    y = as_python(np.log(x))
    return y if base is None else y / as_python(np.log(number(base)))


def _remainder(x: Any, y: Any) -> Any:
    x, y = number(x), number(y)
    if fails((y == 0) | np.isinf(x)):
        raise ValueError(DOMAIN + user_line())
    return as_python(x - y * np.rint(x / y))


def _modf(x: Any) -> Any:
    part, whole = np.modf(number(x))
    return as_python(part), as_python(whole)


def _frexp(x: Any) -> Any:
    x = number(x)
    if x == 0 or not bool(np.isfinite(x)):
        return x, 0
    power = int(np.floor(np.log2(np.abs(x)))) + 1
    part = x / 2.0**power
    if abs(part) >= 1:
        power, part = power + 1, part / 2
    elif abs(part) < 0.5:
        power, part = power - 1, part * 2
    return part, power


def _fsum(items: Any) -> Any:
    total: Any = 0.0
    for x in items:
        total = total + number(x)
    return total


def _prod(items: Any, *, start: Any = 1) -> Any:
    for x in items:
        start = start * x
    return start


def _hypot(*xs: Any) -> Any:
    total = number(xs[0]) if xs else 0.0
    if len(xs) == 1:
        return as_python(np.abs(total))
    for x in xs[1:]:
        total = as_python(np.hypot(total, number(x)))
    return total


def _dist(p: Any, q: Any) -> Any:
    p, q = list(p), list(q)
    if len(p) != len(q):
        raise ValueError("both points must have the same number of dimensions" + user_line())
    return _hypot(*[a - b for a, b in zip(p, q, strict=True)])


def _sumprod(p: Any, q: Any) -> Any:
    return sum((a * b for a, b in zip(p, q, strict=True)), 0)


def _fma(x: Any, y: Any, z: Any) -> Any:
    return number(x) * number(y) + number(z)


def _isclose(a: Any, b: Any, *, rel_tol: Any = 1e-09, abs_tol: Any = 0.0) -> bool:
    if a == b:
        return True
    if bool(np.isinf(a)) or bool(np.isinf(b)):
        return False
    return bool(abs(a - b) <= max(rel_tol * max(abs(a), abs(b)), abs_tol))


_OTHERS: dict[str, Callable[..., Any]] = {
    "log": _log, "remainder": _remainder, "modf": _modf, "frexp": _frexp, "fsum": _fsum,
    "prod": _prod, "hypot": _hypot, "dist": _dist, "sumprod": _sumprod, "fma": _fma,
    "isclose": _isclose, "isnan": lambda x: bool(np.isnan(x)),
    "isinf": lambda x: bool(np.isinf(x)), "isfinite": lambda x: bool(np.isfinite(x)),
    "floor": lambda x: int(np.floor(x)), "ceil": lambda x: int(np.ceil(x)),
    "trunc": lambda x: int(np.trunc(x)), "ulp": lambda x: as_python(np.spacing(np.abs(number(x)))),
}  # fmt: skip

for _name, _function in _OTHERS.items():
    if hasattr(math, _name):
        _plain(getattr(math, _name), _function)


def _of_items(name: str) -> None:
    """Let a function look through the items of what it iterates over, a generator as well."""
    inner = STAND_INS[getattr(math, name)]

    def call(*args: Any, **kwargs: Any) -> Any:
        return inner(*[a if type(a) is Tracer else list(a) for a in args], **kwargs)

    stands_for(getattr(math, name))(call)


for _name in ("fsum", "prod", "dist", "sumprod"):
    if hasattr(math, _name):
        _of_items(_name)


def _of_complex(function: Any, ufunc: Any) -> None:
    _plain(function, lambda *xs: as_python(ufunc(*[number(x, complex) for x in xs])))


for _name in ("acos", "acosh", "asin", "asinh", "atan", "atanh"):
    _of_complex(getattr(cmath, _name), getattr(np, "arc" + _name[1:]))
for _name in ("cos", "cosh", "exp", "log10", "sin", "sinh", "sqrt", "tan", "tanh"):
    _of_complex(getattr(cmath, _name), getattr(np, _name))
_plain(cmath.phase, lambda x: as_python(np.angle(number(x, complex))))
_plain(
    cmath.polar,
    lambda x: (as_python(np.abs(number(x, complex))), as_python(np.angle(number(x, complex)))),
)
_plain(
    cmath.rect,
    lambda r, phi: as_python(number(r, complex) * np.exp(1j * number(phi, complex))),
)
_plain(
    cmath.log,
    lambda x, base=None: (
        as_python(np.log(number(x, complex)))
        / (1 if base is None else as_python(np.log(number(base, complex))))
    ),
)
for _name in ("isnan", "isinf", "isfinite"):
    _plain(getattr(cmath, _name), functools.partial(lambda f, x: bool(f(x)), getattr(np, _name)))
