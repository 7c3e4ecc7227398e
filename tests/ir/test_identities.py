"""Each row of the table of identities holds on special values; what is left out does not fire."""

from textwrap import dedent

import numpy as np
import pytest

from wengert.ir.build import evaluate
from wengert.ir.identities import IDENTITIES, holds
from wengert.ir.simplify import apply_identities
from wengert.ir.verify import verify

FLOATS, INTEGERS, COMPLEX = ("f16", "f32", "f64"), ("i8", "u16", "i64"), ("c64", "c128")
REAL = (*FLOATS, *INTEGERS)
NUMPY = {"b8": "bool", "c64": "complex64", "c128": "complex128"}


def special(name):
    """Six values of a dtype: zeros of both signs, NaN, infinities, extremes."""
    dtype = np.dtype(NUMPY.get(name, name[0] + str(int(name[1:]) // 8)))
    reals = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, -1.5])
    if dtype.kind == "c":
        made = np.empty(6, dtype)
        made.real, made.imag = reals, reals[[1, 2, 0, 5, 3, 4]]
        return made
    if dtype.kind == "f":
        return reals.astype(dtype)
    if dtype.kind == "b":
        return np.array([True, False] * 3)
    info = np.iinfo(dtype)
    return np.array([0, 1, 3, 5, info.min, info.max], dtype)


# law -> (dtypes, nodes for an input %x of dtype T, name of the result)
EXAMPLES = {
    "x * 1 = x": [(REAL, "%y: T[6] = multiply(%x, 1)"), (("b8",), "%y: T[6] = multiply(%x, True)")],
    "1 * x = x": [(FLOATS, "%y: T[6] = multiply(1.0, %x)")],
    "x / 1 = x": [(FLOATS, "%y: T[6] = divide(%x, 1)")],
    "x ** 1 = x": [
        (REAL, "%y: T[6] = power(%x, 1)"),
        (FLOATS, "%y: T[6] = power(%x, 1.0)"),
        (("f64",), "%y: T[6] = float_power(%x, 1.0)"),
    ],
    "x - 0.0 = x": [((*REAL, *COMPLEX), "%y: T[6] = subtract(%x, 0)")],
    "x + 0 = x, integer": [(INTEGERS, "%y: T[6] = add(%x, 0)")],
    "0 + x = x, integer": [(INTEGERS, "%y: T[6] = add(0, %x)")],
    "x + -0.0 = x": [(FLOATS, "%y: T[6] = add(%x, -0.0)")],
    "-0.0 + x = x": [(FLOATS, "%y: T[6] = add(-0.0, %x)")],
    "+x = x": [((*REAL, *COMPLEX), "%y: T[6] = positive(%x)")],
    "--x = x": [((*REAL, *COMPLEX), "%a: T[6] = negative(%x)\n%y: T[6] = negative(%a)")],
    "conj(conj(x)) = x": [(COMPLEX, "%a: T[6] = conjugate(%x)\n%y: T[6] = conjugate(%a)")],
    "~~x = x": [
        (INTEGERS, "%a: T[6] = invert(%x)\n%y: T[6] = invert(%a)"),
        (("b8",), "%a: T[6] = logical_not(%x)\n%y: T[6] = logical_not(%a)"),
    ],
    "real x is x": [(REAL, "%y: T[6] = real(%x)"), (REAL, "%y: T[6] = conjugate(%x)")],
    "rounding twice": [
        (FLOATS, f"%a: T[6] = {op}(%x)\n%y: T[6] = {op}(%a)")
        for op in ("floor", "ceil", "trunc", "rint")
    ],
    "||x|| = |x|": [
        (REAL, "%a: T[6] = absolute(%x)\n%y: T[6] = absolute(%a)"),
        (REAL, "%a: T[6] = sign(%x)\n%y: T[6] = sign(%a)"),
        (FLOATS, "%a: T[6] = fabs(%x)\n%y: T[6] = fabs(%a)"),
    ],
    "max(x, x) = x": [
        ((*REAL, *COMPLEX), f"%y: T[6] = {op}(%x, %x)")
        for op in ("maximum", "minimum", "fmax", "fmin")
    ],
    "x & x = x": [
        ((*INTEGERS, "b8"), f"%y: T[6] = {op}(%x, %x)") for op in ("bitwise_and", "bitwise_or")
    ],
    "x and x = x": [(("b8",), f"%y: T[6] = {op}(%x, %x)") for op in ("logical_and", "logical_or")],
    "choice of equals": [
        (REAL, "%c: b8[6] = isnan(%f)\n%y: T[6] = select(%c, %x, %x)"),
    ],
    "known choice": [
        (REAL, "%a: T[6] = negative(%x)\n%y: T[6] = select(True, %x, %a)"),
        (REAL, "%a: T[6] = negative(%x)\n%y: T[6] = select(np.bool(False), %a, %x)"),
    ],
    "to its own shape": [
        (REAL, "%y: T[6] = reshape(%x) shape=(6,)"),
        (REAL, "%y: T[6] = broadcast_to(%x) shape=(6,)"),
    ],
    "last shape wins": [
        (REAL, "%a: T[2,3] = reshape(%x) shape=(2, 3)\n%y: T[3,2] = reshape(%a) shape=(3, 2)"),
        (
            REAL,
            "%a: T[2,6] = broadcast_to(%x) shape=(2, 6)\n"
            "%y: T[3,2,6] = broadcast_to(%a) shape=(3, 2, 6)",
        ),
    ],
    "order kept": [(REAL, "%y: T[6] = transpose(%x) axes=(0,)")],
    "orders composed": [
        (
            ("f64",),
            "%a: T[1,2,3] = reshape(%x) shape=(1, 2, 3)\n%b: T[2,3,1] = transpose(%a) "
            "axes=(1, 2, 0)\n%y: T[1,2,3] = transpose(%b) axes=(2, 0, 1)",
        ),
        (
            ("f64",),
            "%a: T[1,2,3] = reshape(%x) shape=(1, 2, 3)\n%b: T[2,3,1] = transpose(%a) "
            "axes=(1, 2, 0)\n%y: T[2,1,3] = transpose(%b) axes=(0, 2, 1)",
        ),
    ],
    "one part": [(REAL, "%y: T[6] = concatenate(%x) axis=0")],
    "to its own dtype": [(REAL, "%y: T[6] = convert(%x) dtype=T")],
    "a number already": [(("~f64",), "%y: ~f64[] = as_number(%x)")],
    "a number again": [
        (("~f64",), "%a: f64[] = convert(%x) dtype=f64\n%y: ~f64[] = as_number(%a)")
    ],
    "lossless chain": [
        (("f16", "f32"), "%a: f64[6] = convert(%x) dtype=f64\n%y: c64[6] = convert(%a) dtype=c64"),
        (("f32", "f64"), "%a: c128[6] = convert(%x) dtype=c128\n%y: T[6] = convert(%a) dtype=T"),
        (("i8", "u16"), "%a: i64[6] = convert(%x) dtype=i64\n%y: u8[6] = convert(%a) dtype=u8"),
        (("i8", "u16"), "%a: f32[6] = convert(%x) dtype=f32\n%y: T[6] = convert(%a) dtype=T"),
        (("b8",), "%a: i8[6] = convert(%x) dtype=i8\n%y: f32[6] = convert(%a) dtype=f32"),
    ],
    "sum of one": [
        (
            ("i64",),
            "%a: T[6,1] = reshape(%x) shape=(6, 1)\n%y: T[6,1] = sum(%a) axis=(1,) keepdims=True",
        ),
        (("i64",), "%y: T[6] = sum(%x) axis=() keepdims=False"),
    ],
    "extremum of one": [
        (
            FLOATS,
            f"%a: T[6,1] = reshape(%x) shape=(6, 1)\n%y: T[6,1] = {op}(%a) axis=(1,) keepdims=True",
        )
        for op in ("max", "min", "prod")
    ]
    + [(("b8",), f"%y: T[6] = {op}(%x) axis=() keepdims=False") for op in ("any", "all")],
    "x[:] = x": [
        (REAL, f"%y: T[6] = getitem(%x) spec=[{spec}]")
        for spec in (":", "...", "", "0:", "0:6:1", ":9", "..., :", ":, ...")
    ],
    "x[:] = v": [(REAL, "%a: T[6] = negative(%x)\n%y: T[6] = index_set(%x, %a) spec=[:]")],
    "read of a write": [
        (
            REAL,
            "%a: T[2] = getitem(%x) spec=[:2]\n%b: T[6] = index_set(%x, %a) spec=[2:4]\n"
            "%y: T[2] = getitem(%b) spec=[2:4]",
        ),
    ],
    "no derivative is taken any more": [
        (REAL, "%y: T[6] = stop_gradient(%x)"),
        (REAL, "%y: T[6] = instead(%x, %f)"),
    ],
}

CASES = [
    (law, dtype, text)
    for law, rows in EXAMPLES.items()
    for dtypes, text in rows
    for dtype in dtypes
]


def source(dtype, text):
    shape = "[]" if dtype[0] == "~" else "[6]"
    return f"graph(%x: {dtype}{shape}, %f: f64[6])\n{text.replace('T', dtype)}\n-> (%y)".replace(
        f"{dtype}rue", "True"
    )


def test_every_row_has_an_example():
    assert set(EXAMPLES) == {row.law for row in IDENTITIES}
    used = {name for row in IDENTITIES for name in row.ops}
    shown = {name for name in used for *_, text in CASES if f"= {name}(" in text}
    assert shown == used


@pytest.mark.parametrize(("law", "dtype", "text"), CASES)
def test_a_row_fires_and_keeps_every_bit(law, dtype, text, read, same_bits):
    graph = read(source(dtype, text))
    last = graph.nodes[-1]
    simple = verify(apply_identities(graph))
    assert last not in simple.nodes  # replaced by an operand or by a better node
    assert [y.aval for y in simple.outputs] == [y.aval for y in graph.outputs]
    inputs = [0.1 if dtype == "~f64" else special(dtype), special("f64")]
    with np.errstate(all="ignore"):
        same_bits(evaluate(simple, inputs), evaluate(graph, inputs))


WRONG = [
    ("f64", "%y: T[6] = add(%x, 0.0)"),
    ("f64", "%y: T[6] = add(0, %x)"),
    ("f64", "%y: T[6] = subtract(%x, -0.0)"),
    ("f64", "%y: T[6] = subtract(0.0, %x)"),
    ("f64", "%y: T[6] = subtract(%x, %x)"),
    ("f64", "%y: T[6] = multiply(%x, 0)"),
    ("f64", "%y: T[6] = divide(%x, %x)"),
    ("f64", "%y: T[6] = divide(1.0, %x)"),
    ("f64", "%y: T[6] = power(%x, 0)"),
    ("f64", "%y: T[6] = power(1.0, %x)"),
    ("c128", "%y: T[6] = multiply(%x, 1)"),
    ("c128", "%y: T[6] = divide(%x, 1)"),
    ("c128", "%y: T[6] = power(%x, 1)"),
    ("c128", "%y: T[6] = add(%x, -0.0)"),
    ("f64", "%y: T[6] = sum(%x) axis=() keepdims=False"),
    ("f32", "%y: f64[6] = multiply(%x, np.float64(1.0))"),  # changes the dtype
    ("i64", "%y: f64[6] = divide(%x, 1)"),
    ("f64", "%a: T[6] = exp(%x)\n%y: T[6] = log(%a)"),
    ("f64", "%a: b8[6] = less(%x, 1.0)\n%y: b8[6] = logical_not(%a)"),
    ("c128", "%a: T[6] = sign(%x)\n%y: T[6] = sign(%a)"),
    ("f64", "%a: f32[6] = convert(%x) dtype=f32\n%y: f64[6] = convert(%a) dtype=f64"),
    ("i64", "%a: f64[6] = convert(%x) dtype=f64\n%y: i64[6] = convert(%a) dtype=i64"),
    ("f32", "%a: f64[6] = convert(%x) dtype=f64\n%y: i8[6] = convert(%a) dtype=i8"),
    ("f64", "%y: T[6] = getitem(%x) spec=[::-1]"),
    ("f64", "%y: T[1,6] = getitem(%x) spec=[None, :]"),
    ("f64", "%y: T[5] = getitem(%x) spec=[1:]"),
    ("f64", "%y: T[6] = index_set(%x, 2.0) spec=[:]"),
    ("f64", "%y: T[6] = select(%f, %x, -0.0)"),
    ("f64", "%y: T[6] = barrier(%x)"),
    (
        "f64",
        "%a: T[2] = getitem(%x) spec=[:2]\n%b: T[6] = index_set(%x, %a) spec=[1:3]\n"
        "%y: T[2] = getitem(%b) spec=[2:4]",
    ),
]


@pytest.mark.parametrize(("dtype", "text"), WRONG)
def test_what_would_be_wrong_does_not_fire(dtype, text, read):
    graph = read(source(dtype, text))
    assert apply_identities(graph).nodes == graph.nodes


def test_stop_gradient_stays_where_derivatives_will_be_taken(read):
    graph = read(source("f64", "%y: T[6] = stop_gradient(%x)"))
    assert apply_identities(graph, differentiable=True).nodes == graph.nodes


def test_rows_work_on_each_others_results(read):
    text = dedent("""
        %a: f64[2,3] = reshape(%x) shape=(2, 3)
        %b: f64[2,3] = multiply(%a, 1)
        %c: f64[3,2] = reshape(%b) shape=(3, 2)
        %y: f64[6] = reshape(%c) shape=(6,)
        """)
    graph = read(source("f64", text))
    assert apply_identities(graph).outputs == (graph.inputs[0],)


@pytest.mark.parametrize("narrow", ["b8", "i8", "u8", "i32", "i64", "u64", "f16", "f32", "f64"])
@pytest.mark.parametrize(
    "wide", ["b8", "i8", "u8", "i32", "i64", "u64", "f16", "f32", "f64", "c64"]
)
def test_a_dtype_holds_another_when_extremes_survive(wide, narrow):
    x = special(narrow)
    if narrow[0] in "iu":
        x = np.append(x, [x.max() - 1])
    to = special(wide).dtype
    with np.errstate(all="ignore"):
        through = x.astype(to)
        back = (through.real if to.kind == "c" else through).astype(x.dtype)
    survived = np.array_equal(back, x, equal_nan=narrow[0] == "f")
    if survived and narrow[0] == "f":
        survived = np.finfo(to).bits >= np.finfo(x.dtype).bits if to.kind in "fc" else False
    if survived and narrow[0] in "iu" and to.kind in "iu":
        survived = np.array_equal(through.astype(object), x.astype(object))
    assert holds(to, x.dtype) == survived
