"""At which arguments each row of the operation table is tested.

`CASES` maps the name of an operation to its cases; those of elementwise ones are in
`elementwise_cases`.
"""

from __future__ import annotations

import itertools
from typing import Any

import loop_cases as loop
import numpy as np
from case import Case, Draw, apart, constant, fixed, integers, mask, quadrant, real, signed
from elementwise_cases import ELEMENTWISE, SHAPES
from scipy.linalg import lu_factor

from wengert.ops.base import TABLE
from wengert.ops.index import SLOT
from wengert.ops.maps import LinearMap

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
    "instead": [Case("instead", (real(shape=s), real(shape=s)), wrt=()) for s in SHAPES],
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


MATRIX = np.array([[1.0, 2.0, 0.5], [0.5, -1.0, 3.0], [-0.5, 0.25, 2.0]])
MAP = LinearMap("MATRIX", 3, float, lambda x: MATRIX @ x, lambda y: MATRIX.T @ y)

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
    "linear_map": [
        Case("linear_map", (draw((3, 2)),), {"of": MAP}) for draw in (spread, quadrant)
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
