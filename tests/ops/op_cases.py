"""At which arguments each row of the operation table is tested.

`CASES` maps the name of an operation to its cases. A case draws its arguments afresh from a seed,
so that a batch can be made of several draws.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import loop_cases as loop
import numpy as np
import scipy.special as sp
from oracle import inexact
from scipy.linalg import lu_factor
from tail_cases import UNARY

from wengert.ops.base import TABLE, Op
from wengert.ops.index import SLOT

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Case:
    """Arguments and attributes of one operation.

    Parameters
    ----------
    op : str
    draws : tuple of callables
        Each draws one argument from a random generator.
    attrs : dict
    analytic : bool
        Whether a complex step gives the derivative.
    smooth : bool
        Whether differences give the derivative.
    wrt : tuple of int or None
        The arguments to differentiate; all that are floating-point for None.
    narrow : bool
        Whether the case makes sense in single precision.
    """

    op: str
    draws: tuple[Draw, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    analytic: bool = False
    smooth: bool = True
    wrt: tuple[int, ...] | None = None
    narrow: bool = True
    tol: float = 1e-8

    @property
    def row(self) -> Op:
        """The row of the table."""
        return TABLE[self.op]

    def args(self, seed: int = 0) -> tuple[Any, ...]:
        """Draw the arguments."""
        rng = np.random.default_rng([zlib.crc32(self.op.encode()), seed])
        return tuple(draw(rng) for draw in self.draws)

    def active(self, args: tuple[Any, ...]) -> tuple[int, ...]:
        """Positions of the arguments that are differentiated."""
        if self.wrt is not None:
            return self.wrt
        return tuple(i for i, x in enumerate(args) if inexact(x))

    def __str__(self) -> str:
        """Name the case in a test's id."""

        def shown(x: Any) -> str:
            if not hasattr(x, "dtype"):
                return repr(x)
            return f"{x.dtype.kind}{x.dtype.itemsize}{list(x.shape)}".replace(" ", "")

        attrs = "".join(f"-{k}={v!r}" for k, v in self.attrs.items()).replace(" ", "")
        return f"{self.op}-{'-'.join(shown(x) for x in self.args())}{attrs}"


# --- how arguments are drawn --------------------------------------------------------------------
def real(
    lo: float = -2.0, hi: float = 2.0, shape: tuple[int, ...] = (), dtype: Any = float
) -> Draw:
    """Uniform between two bounds."""
    return lambda rng: np.asarray(rng.uniform(lo, hi, shape), dtype)[()]


def quadrant(shape: tuple[int, ...] = ()) -> Draw:
    """Complex numbers inside the unit circle, away from every branch cut."""
    return lambda rng: (rng.uniform(0.4, 0.9, shape) * np.exp(1j * rng.uniform(0.3, 1.2, shape)))[
        ()
    ]


def apart(shape: tuple[int, ...] = (), offset: float = 0.0) -> Draw:
    """Distinct numbers in random order, a quarter apart and never near an integer."""

    def draw(rng: np.random.Generator) -> Any:
        n = int(np.prod(shape, dtype=int))
        return (rng.permutation(n).reshape(shape) / 4 - n / 8 + 0.06 + offset)[()]

    return draw


def signed(shape: tuple[int, ...] = ()) -> Draw:
    """Numbers of both signs, away from zero."""
    return lambda rng: (rng.uniform(0.4, 1.6, shape) * rng.choice([-1.0, 1.0], shape))[()]


def integers(lo: int = 0, hi: int = 5, shape: tuple[int, ...] = (), dtype: Any = np.int64) -> Draw:
    """Integers, ``lo <= i < hi``."""
    return lambda rng: np.asarray(rng.integers(lo, hi, shape), dtype)[()]


def mask(shape: tuple[int, ...] = ()) -> Draw:
    """Booleans, both of them where there is more than one."""
    size = int(np.prod(shape, dtype=int))
    return lambda rng: ((rng.permutation(size) + rng.integers(2)) % 2 == 0).reshape(shape)[()]


def constant(x: Any) -> Draw:
    """Return a draw that is always this array."""
    return lambda rng: x


def fixed(*values: Any) -> Draw:
    """Always the same: an array of the values, or a Python scalar for a single one."""
    return lambda rng: values[0] if len(values) == 1 else np.array(values)


# --- elementwise --------------------------------------------------------------------------------
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


# --- reductions, and operations along an axis ---------------------------------------------------
REDUCED = [
    ((), (), False), ((3,), (0,), False), ((2, 3), (1,), True), ((2, 3), (0, 1), False),
    ((2, 3, 2), (0, 2), False), ((2, 3, 2), (1,), False), ((2, 3), (), False),
    ((2, 0), (0,), False),
]  # fmt: skip
EMPTY = [((0,), (0,), False), ((2, 0), (1,), True)]


def reduction(name: str, draw: Any, empty: bool = True, **options: Any) -> list[Case]:
    """Cases of a reduction."""
    return [
        Case(name, (draw(shape),), {"axis": axis, "keepdims": keepdims}, **options)
        for shape, axis, keepdims in REDUCED + EMPTY * empty
    ]


def spread(shape: tuple[int, ...]) -> Draw:
    """Numbers of any sign."""
    return real(shape=shape)


REDUCTIONS = {
    "sum": reduction("sum", spread, analytic=True) + reduction("sum", quadrant),
    "prod": reduction("prod", signed, analytic=True) + reduction("prod", quadrant),
    "max": reduction("max", apart, empty=False),
    "min": reduction("min", apart, empty=False),
    "logsumexp": reduction("logsumexp", spread, empty=False),
    "any": reduction("any", mask) + reduction("any", spread),
    "all": reduction("all", mask) + reduction("all", spread),
    **{
        name: [
            Case(name, (apart(s),), {"axis": a, "keepdims": k})
            for s, a, k in [
                ((3,), 0, False),
                ((2, 3), 0, True),
                ((2, 3, 2), 1, False),
                ((0, 3), 1, False),
            ]
        ]
        for name in ("argmax", "argmin")
    },
}
for _name in ("sum", "prod", "max", "min", "any", "all"):
    for _draw in (integers(-2, 3, (2, 3), np.int32), mask((2, 3))):
        REDUCTIONS[_name] += [Case(_name, (_draw,), {"axis": (1,), "keepdims": False})]
REDUCTIONS["prod"] += [
    Case("prod", (fixed(*row),), {"axis": (0,), "keepdims": False}, analytic=True)
    for row in ([0.0, 2.0, 3.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0])
]

LINES = [((4,), 0), ((2, 3), 0), ((2, 3), 1), ((2, 3, 2), 1), ((0,), 0), ((2, 0), 1), ((1, 0), 0)]


def along(name: str, draw: Any, count: int = 1, attrs: Any = None, **options: Any) -> list[Case]:
    """Cases of an operation along one axis."""
    return [
        Case(name, (draw(shape),) * count, {"axis": axis, **(attrs or {})}, **options)
        for shape, axis in LINES
        if not attrs or shape[axis] > 1
    ]


ALONG = {
    "cumsum": along("cumsum", spread, analytic=True) + along("cumsum", quadrant)[:2],
    "cumprod": along("cumprod", signed, analytic=True) + along("cumprod", quadrant)[:2],
    "recurrence": along("recurrence", signed, 2) + along("recurrence", quadrant, 2)[:2],
    "cummax": along("cummax", apart),
    "cummin": along("cummin", apart),
    "sort": along("sort", apart),
    "argsort": along("argsort", apart),
    "partition": along("partition", apart, attrs={"kth": (1,)}),
    "argpartition": along("argpartition", apart, attrs={"kth": (0, 1)}),
    "searchsorted": [
        Case("searchsorted", (fixed(-1.0, 0.0, 0.7), real(shape=s)), {"side": side})
        for s, side in [((), "left"), ((3,), "right"), ((2, 2), "left"), ((0,), "left")]
    ],
}
for _name in ("cumsum", "cumprod", "cummax", "sort"):
    for _draw in (integers(-2, 3, (2, 3), np.int32), mask((2, 3))):
        ALONG[_name] += [Case(_name, (_draw,), {"axis": 1})]
ALONG["cumprod"] += [
    Case("cumprod", (fixed(*row),), {"axis": 0}, analytic=True)
    for row in ([2.0, 0.0, 3.0, 1.5], [0.0, 2.0, 0.0, 3.0])
]
ALONG["recurrence"] += [
    Case("recurrence", (fixed(0.5, 0.0, 2.0), real(shape=(3,))), {"axis": 0}),
    Case("recurrence", (fixed(1e-200, 2.0, 1e-200), real(shape=(3,))), {"axis": 0}, narrow=False),
]


# --- moving elements ----------------------------------------------------------------------------
def moves(name: str, attr: str, *records: tuple[tuple[int, ...], Any]) -> list[Case]:
    """Cases of an operation that moves elements: real and complex."""
    every = [Case(name, (real(shape=s),), {attr: value}, analytic=True) for s, value in records]
    return [*every, Case(name, (quadrant(records[0][0]),), {attr: records[0][1]})]


SHAPE = {
    "reshape": moves("reshape", "shape", ((2, 3), (3, 2)), ((), (1, 1)), ((1,), ()),
                     ((0, 2), (3, 0)),
                     ((2, 3, 2), (12,))),
    "transpose": moves("transpose", "axes", ((2, 3, 4), (2, 0, 1)), ((), ()), ((3,), (0,)),
                       ((2, 3), (1, 0)), ((0, 2), (1, 0))),
    "broadcast_to": moves("broadcast_to", "shape", ((2, 1), (3, 2, 3)), ((), (2, 2)),
                          ((3,), (2, 3)),
                          ((1,), (0,)), ((2, 3), (2, 3)), ((1, 3), (2, 3))),
    "concatenate": [
        Case("concatenate", (real(shape=(2, 3)), real(shape=(1, 3))), {"axis": 0}, analytic=True),
        Case("concatenate", tuple(real(shape=(2, n)) for n in (1, 0, 2)), {"axis": 1}),
        Case("concatenate", (real(shape=(3,)),), {"axis": 0}),
        Case("concatenate", (quadrant((2,)), real(shape=(1,))), {"axis": 0}),
        Case("concatenate", (integers(0, 3, (2,)), real(shape=(1,))), {"axis": 0}),
        Case("concatenate", (real(shape=(2,), dtype=np.float32), real(shape=(1,))), {"axis": 0},
             narrow=False, wrt=(1,)),
    ],
    "barrier": [Case("barrier", (real(shape=s),), analytic=True) for s in SHAPES],
    "cut": [Case("cut", (real(shape=(2, 3)), fixed(True, False, True))),
            Case("cut", (quadrant((2,)), fixed(False, True))),
            Case("cut", (real(shape=()), fixed(False)))],
    "as_number": [Case("as_number", (real(shape=()),), narrow=False)],
    "stop_gradient": [Case("stop_gradient", (real(shape=s),), smooth=False) for s in SHAPES],
    "nonzero": [Case("nonzero", (fixed(True, False, True),), {"size": 2}),
                Case("nonzero", (fixed([True, False], [False, False]),), {"size": 1})],
}  # fmt: skip

SPECS = [
    ("ab,bc->ac", {}), ("ab,bc->ca", {}), ("ba,bc->ac", {}), ("ab,cb->ac", {}), ("ba,cb->ac", {}),
    ("ba,cb->ca", {}), ("ba,bc->ca", {}), ("ab,cb->ca", {}), ("ab,b->a", {}), ("a,ab->b", {}),
    ("ba,b->a", {}), ("a,a->", {}), ("a,b->ab", {}), ("a,b->ba", {}), (",->", {}), (",ab->ba", {}),
    ("a,->a", {}), ("abc,cd->dab", {}), ("abc,cbd->ad", {}), ("zab,zbc->zac", {}),
    ("zab,zb->az", {}),
    ("za,za->z", {}), ("za,bz->azb", {}), ("yzab,zyb->yza", {}), ("ab,ab->", {}), ("ab,ba->ba", {}),
    ("ab,bc->ac", {"b": 0}), ("ab,bc->ac", {"a": 0}), ("za,za->z", {"z": 0}),
    ("ab,b->a", {"a": 1, "b": 1}),
]  # fmt: skip
SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "z": 2, "y": 3}


def contraction(spec: str, sizes: dict[str, int], *draws: Any) -> Case:
    """Make a case from a specification and the lengths of its labels."""
    lengths = SIZES | sizes
    terms = spec.split("->")[0].split(",")
    shapes = [tuple(lengths[s] for s in term) for term in terms]
    args = tuple(draw(shape) for draw, shape in zip(draws, shapes, strict=True))
    return Case("contract", args, {"spec": spec}, analytic=draws == (spread, spread))


CONTRACT = [contraction(spec, sizes, spread, spread) for spec, sizes in SPECS]
for _spec in ("ab,bc->ac", "zab,zb->az", "a,b->ba", "abc,cbd->ad", "ab,b->a"):
    for _pair in ((quadrant, quadrant), (quadrant, spread), (spread, lambda s: integers(1, 4, s))):
        CONTRACT.append(contraction(_spec, {}, *_pair))

_ = slice(None)
BASIC = [
    ((), ()), ((), (None,)), ((4,), (1,)), ((4,), (slice(1, 3),)), ((4,), (slice(None, None, -2),)),
    ((2, 3), (-1,)), ((2, 3), (_, slice(0, 2))), ((2, 3), (None, Ellipsis, 1)),
    ((2, 3, 2), (1, Ellipsis, 0)),
    ((0, 2), (_, 1)), ((3,), (slice(2, 1),)),
]  # fmt: skip
ADVANCED = [
    ((4,), (SLOT,), [(3,)]), ((4,), (SLOT,), [()]), ((4,), (SLOT,), [(2, 2)]),
    ((4,), (SLOT,), [(0,)]),
    ((4, 3), (SLOT,), [(2,)]), ((4, 3), (_, SLOT), [(2,)]), ((4, 3), (SLOT, SLOT), [(2,), (2,)]),
    ((4, 3), (SLOT, SLOT), [(2, 1), (3,)]), ((4, 3, 2), (SLOT, _, SLOT), [(2,), (2,)]),
    ((2, 4, 3), (_, SLOT, SLOT), [(2,), (2,)]), ((2, 4, 3), (1, SLOT), [(2,)]),
    ((2, 4, 3), (1, _, SLOT), [(2,)]), ((2, 4), (_, None, SLOT), [(2,)]),
    ((4, 2), (SLOT, None), [(3,)]),
    ((2, 4), (Ellipsis, SLOT), [(2, 2)]), ((4, 2), (SLOT, slice(0, 1)), [(2,)]),
    ((0, 4), (_, SLOT), [(2,)]), ((2, 4, 2), (slice(None, None, -1), SLOT), [(3,)]),
]  # fmt: skip


def gathers(name: str, value: bool) -> list[Case]:
    """Cases of reading, adding into or replacing a part."""
    every = []
    for (shape, spec, *rest), draw in itertools.product(BASIC + ADVANCED, (spread, quadrant)):
        index = rest[0] if rest else []
        if draw is quadrant and len(shape) != 2:
            continue
        numbers = tuple(np.zeros(s, int) for s in index)
        arrays = iter(numbers)
        part = np.zeros(shape)[tuple(next(arrays) if s is SLOT else s for s in spec)].shape
        draws = [
            draw(shape),
            *([draw(part)] if value else []),
            *(integers(-2, 2, s) for s in index),
        ]
        every.append(Case(name, tuple(draws), {"spec": spec}, analytic=draw is spread))
    if value:
        three = integers(0, 4, (3,))
        every += [
            Case(name, (real(shape=(4,)), fixed(1.5)), {"spec": (slice(1, 3),)}),
            Case(name, (real(shape=(4,)), fixed(2), three), {"spec": (SLOT,)}),
            Case(name, (real(shape=(4, 2)), real(shape=(2,)), three), {"spec": (SLOT,)}),
            Case(name, (real(shape=(4, 2)), real(), integers(0, 4, (2,))), {"spec": (SLOT, 1)}),
            Case(name, (real(shape=(4,)), integers(0, 4, (3,)), three), {"spec": (SLOT,)}),
        ]
    return every


INDEX = {
    "getitem": gathers("getitem", False),
    "index_add": gathers("index_add", True),
    "index_set": gathers("index_set", True),
}


# --- linear algebra -----------------------------------------------------------------------------
def regular(shape: tuple[int, ...]) -> Draw:
    """Matrices whose leading square part is far from singular."""
    return lambda rng: rng.normal(size=shape) + 3 * np.eye(*shape[-2:])


def complex_regular(shape: tuple[int, ...]) -> Draw:
    """Complex matrices far from singular."""
    real_part, imaginary = regular(shape), regular(shape)
    return lambda rng: real_part(rng) + 1j * imaginary(rng)


def symmetric(shape: tuple[int, ...]) -> Draw:
    """Symmetric positive definite matrices with distinct eigenvalues."""

    def draw(rng: np.random.Generator) -> Any:
        a = rng.normal(size=shape)
        return a @ np.swapaxes(a, -1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))

    return draw


KNOWN = np.random.default_rng(0).normal(size=(3, 3)) + 3 * np.eye(3)
FACTORED = lu_factor(KNOWN)


def factor(shape: tuple[int, ...]) -> Draw:
    """Cholesky factors."""
    return lambda rng: np.linalg.cholesky(symmetric(shape)(rng))


def complex_factor(shape: tuple[int, ...]) -> Draw:
    """Complex lower triangles with a real positive diagonal."""
    return lambda rng: factor(shape)(rng) + 1j * np.tril(rng.normal(size=shape), -1)


def matrices(name: str, *draws: Any, tail: tuple[int, ...] = (3, 3), **attrs: Any) -> list[Case]:
    """Cases of an operation on a matrix: one matrix, a batch, an empty batch."""
    return [Case(name, (draw(s),), attrs) for draw in draws for s in (tail, (2, *tail), (0, *tail))]


SPECTRA = [((4,), (0,)), ((2, 3), (1,)), ((2, 3), (0, 1)), ((3, 2, 2), (0, 2))]
HALF = [((4,), 0), ((5, 2), 0), ((2, 3), 1), ((2, 4), 1)]


def _frames(name: str, values: int, tail: tuple[int, int]) -> dict[str, list[Case]]:
    """Make cases of the rows of a decomposition's frames, which take results that belong to `a`.

    The derivative in `a` is that of the results too, so differences do not see it.
    """
    rng = np.random.default_rng(3)
    found: dict[str, list[Case]] = {}
    attrs = {"lower": True} if name == "eigh" else {}
    for lead in ((), (2,), (0,)):
        for kind in (float, complex):
            a = rng.normal(size=(*lead, *tail)) + (1j if kind is complex else 0)
            if name == "eigh":
                a = a + np.conjugate(np.swapaxes(a, -1, -2))
            y = TABLE[name](a, **attrs)
            w, f = y[values], y[-1]
            t, g = (quadrant if kind is complex else spread)((*lead, *tail)), spread(w.shape)
            data = tuple(constant(x) for x in (a, w, f, f))
            rest = {**attrs, "free": True, "constant": False}
            for row, draws, given, wrt in (
                ("push", (t, *data), attrs, (0,)),
                ("pull", (g, *data), rest, (0,)),
                ("turned", (constant(w), constant(f), t), {}, ()),
                ("chosen", (constant(w), constant(f), constant(f)), {}, ()),
                ("agree", (constant(w), constant(f), constant(f)), {}, ()),
                ("along", (constant(a), t, *(constant(x) for x in y)), attrs, ()),
            ):
                case = Case(f"{name}_{row}", draws, given, wrt=wrt, narrow=False)
                found.setdefault(case.op, []).append(case)
    return found


LINALG = {
    "fft": [
        Case("fft", (draw(s),), {"axis": axis, "inverse": inverse, "norm": norm})
        for s, axis in SPECTRA
        for draw, inverse, norm in ((spread, False, None), (quadrant, True, "ortho"))
    ],
    "rfft": [
        Case("rfft", (spread(s),), {"axis": axis, "norm": norm})
        for s, axis in HALF
        for norm in (None, "forward")
    ],
    "irfft": [
        Case("irfft", (quadrant((3, 2)),), {"n": n, "axis": 0, "norm": norm})
        for n, norm in ((4, None), (5, "ortho"))
    ],
    "inv": matrices("inv", regular, complex_regular),
    "det": matrices("det", regular, complex_regular),
    "adjugate": [
        Case("adjugate", (fixed(*KNOWN), fixed(np.linalg.det(KNOWN))), wrt=()),
        Case("adjugate", (fixed(KNOWN, 2j * KNOWN), fixed(*np.linalg.det([KNOWN, 2j * KNOWN]))),
             wrt=()),
        Case("adjugate", (real(shape=(0, 3, 3)), real(shape=(0,))), wrt=()),
    ],
    "slogdet": matrices("slogdet", regular, complex_regular),
    "cholesky": matrices("cholesky", symmetric, lower=True)
    + matrices("cholesky", symmetric, lower=False),
    "hermitian": [
        Case("hermitian", (t(s),), {"lower": lower, "transposed": transposed})
        for t in (spread, quadrant)
        for s in ((3, 3), (2, 3, 3), (0, 3, 3))
        for lower, transposed in ((True, False), (False, True))
    ],
    **{
        name: [
            Case(name, (t(s), given(s)), wrt=(0, 1))
            for t, given in ((spread, factor), (quadrant, complex_factor))
            for s in ((3, 3), (2, 3, 3), (0, 3, 3), (18, 18))
        ]
        for name in ("cholesky_push", "cholesky_pull")
    },
    "eigh": matrices("eigh", symmetric, lower=True) + matrices("eigh", symmetric, lower=False),
    **_frames("eigh", 0, (3, 3)), **_frames("svd", 1, (4, 3)),
    "over_separations": [
        Case("over_separations", (spread(s), spread(s), real(0.5, 2.0, s), real(), real()),
             wrt=(0, 1, 2))
        for s in ((3, 3), (2, 3, 3), (0, 2, 2))
    ],
    "eig": matrices("eig", symmetric),
    "svd": matrices("svd", regular, tail=(4, 3)) + matrices("svd", regular, tail=(2, 3)),
    "qr": matrices("qr", regular, tail=(4, 3)) + matrices("qr", complex_regular),
    "pinv": matrices("pinv", regular, tail=(4, 3), rtol=None)
    + matrices("pinv", regular, tail=(2, 3), rtol=None),
    "solve": [
        Case("solve", (a(sa), b(sb)))
        for a, b in ((regular, spread), (complex_regular, quadrant))
        for sa, sb in (((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 1)), ((0, 3, 3), (0, 3, 1)))
    ],
    "solve_triangular": [
        Case("solve_triangular", (regular(sa), spread(sb)),
             {"lower": lower, "transposed": transposed})
        for sa, sb in (((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 1)))
        for lower, transposed in ((True, False), (True, True), (False, False))
    ],
    "lu_factor": [Case("lu_factor", (regular((3, 3)),), smooth=False)],
    "lu_solve": [
        Case("lu_solve", (fixed(*np.zeros((3, 3))), fixed(*FACTORED[0]), fixed(*FACTORED[1]),
                          spread((3, 2))),
             {"transposed": transposed}, wrt=(3,), narrow=False)
        for transposed in (False, True)
    ],
}  # fmt: skip

# --- loops and branches -------------------------------------------------------------------------
LOOPS: dict[str, list[Case]] = {
    "scan": [
        *(
            Case("scan", (spread((3,)), spread((3,)), integers(), spread((n, 3))),
                 {"body": loop.ROLL, "length": n, "consts": 1, "carries": 2, "reverse": reverse},
                 narrow=False)
            for n, reverse in ((4, False), (3, True), (1, False), (0, False))
        ),
        Case("scan", (spread(()), spread(()), spread((5,))),
             {"body": loop.LATE, "length": 5, "consts": 0, "carries": 2, "reverse": False},
             narrow=False),
        Case("scan", (spread((2, 2)), integers(0, 2, (2,)), spread((2, 2)), spread((3,))),
             {"body": loop.POWERS, "length": 3, "consts": 2, "carries": 1, "reverse": True},
             narrow=False),
        Case("scan", (spread(()), spread((2, 3))),
             {"body": loop.NESTED, "length": 2, "consts": 0, "carries": 1, "reverse": False},
             narrow=False),
    ],
    "while_loop": [
        Case("while_loop", (real(0.3, 0.9, (2,)), real(0.5, 1.0, (2,)), real(0.0, 0.4)),
             {"test": test, "body": loop.GROW, "consts": 1}, narrow=False)
        for test in (loop.LARGE, loop.FEW)
    ],
    "cond": [
        Case("cond", (index, spread((2,)), spread(())), {"branches": branches}, narrow=False)
        for index, branches in (
            (fixed(1), loop.BRANCHES), (fixed(0), loop.BRANCHES), (fixed(7), loop.BRANCHES),
            (integers(0, 3), loop.BRANCHES), (mask(), loop.BRANCHES[:2]),
        )
    ],
}  # fmt: skip

CASES: dict[str, list[Case]] = {
    **ELEMENTWISE, **REDUCTIONS, **ALONG, **SHAPE, "contract": CONTRACT, **INDEX, **LINALG, **LOOPS,
}  # fmt: skip
"""Every operation's cases."""
