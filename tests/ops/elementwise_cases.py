"""At which arguments each elementwise operation is tested."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sp
from case import Case, apart, fixed, integers, mask, quadrant, real, signed
from tail_cases import UNARY

from wengert.ops.base import TABLE

ANY, POSITIVE, UNIT, BEYOND, SMALL = (-2.0, 2.0), (0.3, 2.5), (-0.8, 0.8), (1.3, 3.0), (-1.2, 1.2)
FRACTION = (0.1, 0.9)
TURNS, ONE = (2.3, 2.7), (1.0, 1.1)
SHAPES = ((), (2, 0), (2, 1, 2))
BINARY = (((), ()), ((3,), (3,)), ((2, 1), (3,)), ((), (2, 2)), ((0,), (1,)))

SMOOTH: dict[str, tuple[tuple[float, float], ...]] = {
    "add": (ANY, ANY), "subtract": (ANY, ANY), "multiply": (ANY, ANY), "divide": (ANY, POSITIVE),
    "power": (POSITIVE, ANY), "negative": (ANY,), "positive": (ANY,),
    "float_power": (POSITIVE, ANY),
    "square": (ANY,), "reciprocal": (POSITIVE,), "absolute": (POSITIVE,), "fabs": ((-2.0, -0.3),),
    "remainder": (TURNS, ONE), "fmod": (TURNS, ONE), "floor_divide": (TURNS, ONE), "exp": (ANY,),
    "exp2": (ANY,),
    "expm1": (ANY,), "log": (POSITIVE,), "log2": (POSITIVE,), "log10": (POSITIVE,),
    "log1p": (UNIT,),
    "sqrt": (POSITIVE,), "cbrt": (POSITIVE,), "hypot": (ANY, POSITIVE), "logaddexp": (ANY, ANY),
    "logaddexp2": (ANY, ANY), "sin": (ANY,), "cos": (ANY,), "tan": (SMALL,), "arcsin": (UNIT,),
    "arccos": (UNIT,), "arctan": (ANY,), "arctan2": (ANY, POSITIVE), "sinh": (ANY,), "cosh": (ANY,),
    "tanh": (ANY,), "arcsinh": (ANY,), "arccosh": (BEYOND,), "arctanh": (UNIT,), "degrees": (ANY,),
    "rad2deg": (ANY,), "radians": (ANY,), "deg2rad": (ANY,), "copysign": (POSITIVE, (-2.0, -0.3)),
    "heaviside": (POSITIVE, ANY), "nextafter": (ANY, ANY), "erf": (ANY,), "erfc": (ANY,),
    "erfinv": (UNIT,), "expit": (ANY,), "logit": (FRACTION,), "log_expit": (ANY,),
    "gamma": (POSITIVE,),
    "gammaln": (POSITIVE,), "psi": (POSITIVE,), "zeta": (BEYOND, POSITIVE),
    "xlogy": (ANY, POSITIVE),
    "xlog1py": (ANY, UNIT), "entr": (POSITIVE,), "ndtr": (ANY,), "log_ndtr": (ANY,),
    "ndtri": (FRACTION,),
    "sech_squared": (ANY,), "expit_slope": (ANY,), "gaussian": (ANY,), "arctan_slope": (ANY,),
    "one_minus_square": (ANY,), "bernoulli": (ANY,), "hazard": (ANY,), "excess": (ANY,),
    "excess_slope": (ANY,),
    "root_one_minus_square": (UNIT,), "root_square_minus_one": (BEYOND,),
    "root_square_plus_one": (ANY,),
    "i0": (ANY,), "i1": (ANY,), "j0": (ANY,), "j1": (ANY,),
    "iv": (POSITIVE, POSITIVE), "jv": (POSITIVE, POSITIVE),
}  # fmt: skip
"""Domains of the operations with a derivative that differences see, argument by argument."""
SMOOTH |= {name: (tail.drawn,) for name, tail in UNARY.items() if tail.drawn is not None}

ENTIRE = {
    *(
        "add",
        "subtract",
        "multiply",
        "divide",
        "power",
        "negative",
        "positive",
        "float_power",
        "square",
    ),
    *(
        "reciprocal",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "sin",
        "cos",
        "tan",
    ),
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("erf", "xlogy", "xlog1py", "sech_squared", "gaussian", "arctan_slope", "one_minus_square"),
    *("bernoulli", "root_one_minus_square", "root_square_minus_one"),
}
"""Operations that NumPy or SciPy evaluates for complex numbers and that are analytic there."""

STEPS = {
    *("maximum", "minimum", "fmax", "fmin"),
    *("floor", "ceil", "trunc", "rint", "sign", "spacing"),
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
    *(
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
        "isnan",
        "isinf",
        "isfinite",
        "signbit",
    ),
}
"""Operations with jumps or kinks, tested at points between them."""

WHOLE = {
    "bitwise_and": 2, "bitwise_or": 2, "bitwise_xor": 2, "invert": 1, "left_shift": 2,
    "right_shift": 2, "gcd": 2, "lcm": 2, "bitwise_count": 1,
}  # fmt: skip
"""Operations on integers, and how many arguments they take."""


def _shapes(n: int) -> tuple[Any, ...]:
    return tuple((s,) for s in SHAPES) if n == 1 else BINARY


def smooth_cases(name: str, domains: tuple[tuple[float, float], ...]) -> list[Case]:
    """Cases of a smooth elementwise operation: shapes, then complex, then Python scalars."""
    analytic, wrt = name in ENTIRE, (1,) if name in ("zeta", "iv", "jv") else None
    every = [
        Case(name, tuple(real(*d, s) for d, s in zip(domains, shapes, strict=True)),
             analytic=analytic, wrt=wrt)
        for shapes in _shapes(len(domains))
    ]  # fmt: skip
    if analytic:
        every += [Case(name, tuple(quadrant(s) for s in _shapes(len(domains))[2]))]
    if len(domains) == 2:
        (a, b), middle = domains, [float(np.mean(d)) + 0.25 for d in domains]
        every += [Case(name, (fixed(middle[0]), real(*b, (2, 2))), analytic=analytic),
                  Case(name, (real(*a, (3,)), fixed(middle[1])), analytic=analytic,
                       wrt=() if wrt else (0,))]  # fmt: skip
    return every


def step_cases(name: str) -> list[Case]:
    """Cases of an operation with jumps: arguments that are apart from each other."""
    n = TABLE[name].ufunc.nin
    every = [
        Case(name, tuple(apart(s, 0.1 * i) for i, s in enumerate(shapes))) for shapes in _shapes(n)
    ]
    if n == 2:
        every += [Case(name, (apart((3,)), fixed(0.7))), Case(name, (fixed(1), apart((2, 2))))]
        every += [Case(name, (apart((3,), 9), integers(1, 4, (2, 1))))]
    return every


def whole_cases(name: str, n: int) -> list[Case]:
    """Cases of an operation on integers."""
    every = [Case(name, tuple(integers(0, 6, s) for s in shapes)) for shapes in _shapes(n)]
    every += [Case(name, (integers(0, 6, (3,), np.int32), fixed(2))[:n])]
    if name.startswith(("bitwise_a", "bitwise_o", "bitwise_x", "invert")):
        every += [Case(name, (mask((3,)), mask((2, 1)))[:n])]
    return every


ELEMENTWISE: dict[str, list[Case]] = {
    **{name: smooth_cases(name, domains) for name, domains in SMOOTH.items()},
    **{name: step_cases(name) for name in sorted(STEPS)},
    **{name: whole_cases(name, n) for name, n in WHOLE.items() if name in TABLE},
}
for _name in ("add", "subtract", "multiply", "divide", "power", "remainder"):
    ELEMENTWISE[_name] += [
        Case(_name, (real(*POSITIVE, (2, 2)), integers(1, 4, (2,)))),
        Case(_name, (integers(1, 4, (2, 1)), real(*POSITIVE, (2,)))),
        Case(_name, (integers(1, 4, (2, 1)), integers(1, 4, (2,), np.int32))),
        Case(_name, (real(*POSITIVE, (3,)), fixed(2)), analytic=_name in ENTIRE),
        Case(_name, (fixed(3), real(*POSITIVE, (3,))), analytic=_name in ENTIRE),
    ]
ELEMENTWISE["power"] += [
    *(
        Case("power", (real(*POSITIVE, (3,)), fixed(n)), analytic=True)
        for n in (0, 1, -1, 3, 0.5, 2.0)
    ),
    *(Case("power", (real(-2, -0.5, (3,)), fixed(n)), analytic=True) for n in (2, 3, -2)),
    Case("power", (real(-2, -0.5, (2,)), integers(-2, 4, (3, 1)))),
    Case("power", (real(-2, -0.5, (2,)), real(0, 0, (3, 1))), wrt=(0,)),
    Case("power", (quadrant((2,)), fixed(2))),
    Case("power", (fixed(-2.0), quadrant((2,)))),
    Case("power", (quadrant((2,)), real(*ANY, (3, 1)))),
]
ELEMENTWISE |= {
    f"{name}_part": [
        *(
            Case(f"{name}_part",
                 (real(shape=out), *(apart(s, 0.1 * i) for i, s in enumerate(shapes))), wrt=(0,))
            for shapes in _shapes(2)
            for out in (np.broadcast_shapes(*shapes),)
        ),
        Case(f"{name}_part", (real(shape=(3,)), fixed(1.0, 2.0, 3.0), fixed(2.0)), wrt=(0,)),
        Case(f"{name}_part", (real(shape=(2, 2)), apart((2, 2)), fixed(0)), wrt=(0,)),
    ]
    for name in ("maximum", "minimum", "fmax", "fmin")
}  # fmt: skip
_LEGS = np.array([0.3, -1.2, 2.0]), np.array([-0.7, 0.4, 1.1])
ELEMENTWISE |= {
    name: [
        Case(name, tuple(fixed(*x) for x in (*_LEGS, np.hypot(*_LEGS))), wrt=()),
        Case(name, tuple(real(*POSITIVE, (0,)) for _ in range(3)), wrt=()),
        Case(name, (fixed(3.0, 5.0), fixed(4.0), fixed(5.0, 41.0**0.5)), wrt=()),
    ]
    for name in ("direction", "over_squares")  # their third argument belongs to the others
}
ELEMENTWISE["over_again"] = [
    Case("over_again", tuple(fixed(*x) for x in (*_LEGS, np.divide(*_LEGS))), wrt=()),
    Case("over_again", tuple(real(*POSITIVE, (0,)) for _ in range(3)), wrt=()),
    Case("over_again", (fixed(3.0, 5.0), fixed(4.0), fixed(0.75, 1.25)), wrt=()),
]
_PARTS = np.array([0.1, 0.5, 0.97])
ELEMENTWISE |= {
    f"{name}_slope": [
        Case(f"{name}_slope", (fixed(*_PARTS), fixed(*getattr(sp, name)(_PARTS))), wrt=()),
        Case(f"{name}_slope", (real(*FRACTION, (0,)), real(*FRACTION, (0,))), wrt=()),
        Case(f"{name}_slope", (fixed(0.5), fixed(getattr(sp, name)(0.5))), wrt=()),
    ]
    for name in ("erfinv", "ndtri")  # the second argument is the function's value
}
ELEMENTWISE["heaviside"] += [
    Case("heaviside", (fixed(0.0, 1.0, 0.0), real(shape=(2, 1))), wrt=(1,))
]
ELEMENTWISE |= {
    "ldexp": [
        Case("ldexp", (real(shape=(3,)), integers(-2, 3, (3,), np.int32))),
        Case("ldexp", (real(), integers(-2, 3, (2, 2), np.int32))),
        Case("ldexp", (real(shape=(0,)), integers(-2, 3, (), np.int32))),
    ],
    "exponent": [Case("exponent", (signed(s),)) for s in SHAPES],
    "conjugate": [Case("conjugate", (draw(s),)) for draw in (quadrant,) for s in SHAPES]
    + [Case("conjugate", (real(shape=(2,)),))],
    **{
        name: [Case(name, (quadrant(s),)) for s in SHAPES]
        for name in ("real", "imag", "complex_absolute", "complex_angle")
    },
    "select": [
        Case("select", (fixed(True, False, True), real(shape=(3,)), real(shape=(3,)))),
        Case("select", (mask((2, 1)), real(shape=(3,)), real())),
        Case("select", (mask(), real(shape=(2, 0)), real(shape=(1,)))),
        Case("select", (mask(), real(), real())),
        Case("select", (mask((2, 2)), real(shape=(2,)), fixed(0))),
        Case("select", (mask((2, 2)), fixed(-1.5), real(shape=(2, 1)))),
        Case("select", (mask((2,)), quadrant((2,)), real(shape=(2,)))),
        Case("select", (mask((2,)), integers(0, 3, (2,)), real(shape=(2,)))),
        Case("select", (mask((2,)), fixed(1), fixed(2.0))),
    ],
    "convert": [
        *(Case("convert", (real(shape=s),), {"dtype": np.dtype(complex)}) for s in SHAPES),
        Case("convert", (quadrant((2, 2)),), {"dtype": np.dtype(float)}),
        Case("convert", (quadrant((2,)),), {"dtype": np.dtype(complex)}),
        Case(
            "convert", (real(shape=(3,)),), {"dtype": np.dtype(np.float32)}, narrow=False, tol=1e-3
        ),
        Case("convert", (real(0.1, 0.9, (3,)),), {"dtype": np.dtype(int)}),
        Case("convert", (integers(0, 3, (3,)),), {"dtype": np.dtype(float)}),
        Case("convert", (mask((2, 2)),), {"dtype": np.dtype(np.float32)}),
        Case("convert", (fixed(2),), {"dtype": np.dtype(np.float32)}),
        Case("convert", (real(0.1, 0.9, (3,)),), {"dtype": np.dtype(bool)}),
    ],
}
