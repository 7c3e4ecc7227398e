"""Elementwise operations as LLVM instructions on numbers.

`LOWER` maps an operation to a function that writes its instructions; what is missing there runs in
NumPy instead. Semantics are NumPy's for NaN, infinities and signed zeros. Functions of libm carry
the names of their vector versions in libmvec, which LLVM's vectoriser then calls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.backend.native.scalar.division import DIVISIONS
from wengert.backend.native.scalar.slopes import SLOPES
from wengert.ir.graph import Node, aval_of
from wengert.llvm.code import BOOL, F64, I64, TYPES, Code, intrinsic, libm, number
from wengert.ops.base import Op
from wengert.ops.elementwise import UFUNCS

__all__ = ["CASTS", "LOWER", "loop_dtypes", "lowered"]

Lowering = Callable[[Code, Sequence[str], np.dtype[Any], Node], str]
LOWER: dict[str, Lowering] = {}


CASTS = {"convert", "as_number"}
"""Operations that are a conversion; a number of Python has 64 bits."""

Dtypes = tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]


def loop_dtypes(node: Node) -> Dtypes | None:
    """Return the dtypes of arguments and result that NumPy computes an elementwise node in."""
    op: Op = node.op
    if op.name == "select":
        out = node.outputs[0].dtype
        return (_BOOL, out, out), out
    if op.name in ("cut", "instead"):
        out = node.outputs[0].dtype
        return (out, aval_of(_plain(node.inputs[1])).dtype), out
    if op.name in CASTS:
        return (aval_of(_plain(node.inputs[0])).dtype,), node.outputs[0].dtype
    if op.name in PARTS:
        compared = _resolved(np.maximum, tuple(map(_kind, node.inputs[1:])))
        out = node.outputs[0].dtype
        return compared and ((out, *compared[0]), out)
    if op.like is None:
        return None
    found = _resolved(op.like, tuple(map(_kind, node.inputs[: op.like.nin])))
    more = len(node.inputs) - op.like.nin
    return (found[0] + found[0][:1] * more, found[1]) if found and more else found


_BOOL = np.dtype(bool)
_NUMBERS = {float: float, int: int, complex: complex, bool: _BOOL}
_WEAK = {"f": float, "c": complex}


def _kind(x: Any) -> Any:
    """Return an argument's dtype, or the type of a Python number."""
    found = _NUMBERS.get(type(x))
    if found is not None:
        return found
    aval = aval_of(_plain(x))
    if aval.weak and aval.dtype.kind != "b":
        return _WEAK.get(aval.dtype.kind, int)
    return aval.dtype


@functools.lru_cache(maxsize=4096)
def _resolved(ufunc: np.ufunc, kinds: tuple[Any, ...]) -> Dtypes | None:
    given = tuple(map(np.dtype, kinds)) if all(isinstance(k, type) for k in kinds) else kinds
    try:
        found = ufunc.resolve_dtypes((*given, None))
    except TypeError:
        return None
    return tuple(np.dtype(d) for d in found[:-1]), np.dtype(found[-1])


def _plain(x: Any) -> Any:
    return x.aval if hasattr(x, "aval") else x


def lowered(node: Node) -> bool:
    """Whether an elementwise node has native code for its dtypes."""
    name = node.op.name
    if name not in LOWER or len(node.outputs) != 1:
        return False
    dtypes = loop_dtypes(node)
    if dtypes is None:
        return False
    arguments, out = dtypes
    if out not in TYPES or out != node.outputs[0].dtype:
        return False
    for x, d in zip(node.inputs, arguments, strict=True):
        if d not in TYPES:
            return False
        if type(x) is int and not _fits(x, d):
            return False  # NumPy compares such a number exactly, and refuses it otherwise
    kind = arguments[0].kind
    if kind == "f":
        return True
    if name == "power":
        exponent = node.inputs[1]
        return kind == "i" and type(exponent) is int and 0 <= exponent <= LARGEST_POWER
    return name not in FLOAT_ONLY and not (name in NOT_BOOL and kind == "b")


def _fits(x: int, dtype: np.dtype[Any]) -> bool:
    if dtype.kind != "i":
        return dtype.kind == "f" or x in (0, 1)
    info = np.iinfo(dtype)
    return int(info.min) <= x <= int(info.max)


def _lower(name: str) -> Callable[[Lowering], Lowering]:
    def decorate(f: Lowering) -> Lowering:
        LOWER[name] = f
        return f

    return decorate


FLOAT_ONLY: set[str] = set()
"""Operations whose integer and boolean arguments NumPy computes with otherwise, or refuses."""

NOT_BOOL = {"subtract", "negative", "sign", "square"}
LARGEST_POWER = 64
"""Largest constant exponent for which powers of integers are products."""


def _negated(code: Code, dtype: np.dtype[Any], x: str) -> str:
    return code.emit(f"fneg {TYPES[dtype]} {x}")


# --- arithmetic -----------------------------------------------------------------------------------
def _arithmetic(name: str, real: str, integer: str | None, boolean: str = "") -> None:
    def lower(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        plain = boolean if dtype.kind == "b" else str(integer)
        return code.binary(
            f"{real} {code.fast}".strip() if dtype.kind == "f" else plain, dtype, xs[0], xs[1]
        )

    LOWER[name] = lower
    if integer is None:
        FLOAT_ONLY.add(name)


_arithmetic("add", "fadd", "add", "or")
_arithmetic("subtract", "fsub", "sub")
_arithmetic("multiply", "fmul", "mul", "and")
_arithmetic("divide", "fdiv", None)


@_lower("negative")
def _negative(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    if dtype.kind == "f":
        return _negated(code, dtype, xs[0])
    return code.binary("sub", dtype, "0", xs[0])


for _name in (
    "positive",
    "convert",
    "as_number",
    "stop_gradient",
    "barrier",
    "conjugate",
    "instead",
):
    LOWER[_name] = lambda code, xs, dtype, node: xs[0]


@_lower("square")
def _square(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    return code.binary("fmul" if dtype.kind == "f" else "mul", dtype, xs[0], xs[0])


@_lower("reciprocal")
def _reciprocal(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    return code.binary("fdiv", dtype, number(1, dtype), xs[0])


FLOAT_ONLY.add("reciprocal")


@_lower("power")
def _power(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    exponent = node.inputs[1]
    if dtype.kind == "i":
        return _integer_power(code, xs[0], int(exponent), dtype)
    if isinstance(exponent, (int, float)):
        if exponent == 2:
            return code.binary("fmul", dtype, xs[0], xs[0])
        if exponent == 1:
            return xs[0]
        if exponent == 0.5 and node.op.name == "power":
            root = code.call(intrinsic("sqrt", dtype), dtype, xs[0])
            if node.outputs[0].shape != ():
                return root
            # NumPy takes the square root of arrays, C's pow of scalars: inf at -inf, 0 at -0
            low = code.compare("eq", dtype, xs[0], number(-np.inf, dtype))
            root = code.binary("fadd", dtype, root, number(0, dtype))
            return code.select(dtype, low, number(np.inf, dtype), root)
        if exponent == -1:
            return code.binary("fdiv", dtype, number(1, dtype), xs[0])
        if exponent in (3, 4):
            two = code.binary("fmul", dtype, xs[0], xs[0])
            return code.binary("fmul", dtype, two, xs[0] if exponent == 3 else two)
    return code.call(libm("pow", dtype), dtype, *xs)


def _integer_power(code: Code, x: str, n: int, dtype: np.dtype[Any]) -> str:
    """Multiply, with wrap-around, by repeated squaring."""
    y = ""
    while n:
        if n & 1:
            y = code.binary("mul", dtype, y, x) if y else x
        n >>= 1
        if n:
            x = code.binary("mul", dtype, x, x)
    return y or "1"


LOWER["float_power"] = _power
FLOAT_ONLY.add("float_power")


@_lower("absolute")
def _absolute(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    if dtype.kind == "f":
        return code.call(intrinsic("fabs", dtype), dtype, xs[0])
    if dtype.kind == "b":
        return xs[0]
    below = code.compare("lt", dtype, xs[0], "0")
    return code.select(dtype, below, code.binary("sub", dtype, "0", xs[0]), xs[0])


LOWER["fabs"] = _absolute


@_lower("sign")
def _sign(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    x = xs[0]
    up = code.compare("gt", dtype, x, number(0, dtype))
    down = code.compare("lt", dtype, x, number(0, dtype))
    y = code.select(
        dtype, up, number(1, dtype), code.select(dtype, down, number(-1, dtype), number(0, dtype))
    )
    return code.select(dtype, code.isnan(dtype, x), x, y) if dtype.kind == "f" else y


PARTS: set[str] = set()
"""Derivatives of choices, ``name(t, a, b)``, where t has a dtype of its own."""


def _choice(name: str, predicate: str, skip_nan: bool, boolean: str) -> None:
    """Lower a choice between two numbers, and what of a tangent belongs to the first one.

    Of equal numbers NumPy takes the second (-0 is not 0); each has half of the tangent.
    """

    def first_is_chosen(code: Code, dtype: np.dtype[Any], a: str, b: str) -> str:
        first = code.compare(predicate, dtype, a, b)
        if dtype.kind != "f":
            return first
        return code.emit(f"or i1 {first}, {code.isnan(dtype, b if skip_nan else a)}")

    def lower(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        a, b = xs
        if dtype.kind == "b":
            return code.binary(boolean, dtype, a, b)
        return code.select(dtype, first_is_chosen(code, dtype, a, b), a, b)

    def part(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        dtypes = loop_dtypes(node)
        assert dtypes is not None
        compared, (t, a, b) = dtypes[0][1], xs
        half = code.binary("fmul", dtype, number(0.5, dtype), t)
        tie = code.compare("eq", compared, a, b)
        rest = code.select(dtype, tie, half, number(0, dtype))
        return code.select(dtype, first_is_chosen(code, compared, a, b), t, rest)

    LOWER[name] = lower
    LOWER[f"{name}_part"] = part
    PARTS.add(f"{name}_part")


_choice("maximum", "gt", False, "or")
_choice("minimum", "lt", False, "and")
_choice("fmax", "gt", True, "or")
_choice("fmin", "lt", True, "and")


def _comparison(predicate: str) -> Lowering:
    return lambda code, xs, dtype, node: code.compare(predicate, dtype, xs[0], xs[1])


for _name, _predicate in {
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "equal": "eq",
    "not_equal": "ne",
}.items():
    LOWER[_name] = _comparison(_predicate)


def _logical(instruction: str) -> Lowering:
    def lower(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        bits = [code.cast(x, dtype, BOOL) for x in xs]
        return code.emit(f"{instruction} i1 {bits[0]}, {bits[1] if len(bits) > 1 else 'true'}")

    return lower


LOWER["logical_and"] = _logical("and")
LOWER["logical_or"] = _logical("or")
LOWER["logical_xor"] = _logical("xor")
LOWER["logical_not"] = _logical("xor")


def _bitwise(instruction: str) -> Lowering:
    return lambda code, xs, dtype, node: code.binary(instruction, dtype, xs[0], xs[1])


for _name, _instruction in {"bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor"}.items():
    LOWER[_name] = _bitwise(_instruction)


def _shift(instruction: str) -> Lowering:
    """Shift; by more bits than there are, everything goes out, as in NumPy."""

    def lower(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        x, n = xs
        bits = 8 * dtype.itemsize
        few = code.emit(f"icmp ult {TYPES[dtype]} {n}, {bits}")
        if instruction == "ashr":
            return code.binary("ashr", dtype, x, code.select(dtype, few, n, str(bits - 1)))
        return code.select(
            dtype, few, code.binary("shl", dtype, x, code.select(dtype, few, n, "0")), "0"
        )

    return lower


LOWER["left_shift"] = _shift("shl")
LOWER["right_shift"] = _shift("ashr")
NOT_BOOL.update(("left_shift", "right_shift"))
LOWER["invert"] = lambda code, xs, dtype, node: code.binary(
    "xor", dtype, xs[0], "true" if dtype == BOOL else "-1"
)


@_lower("isnan")
def _isnan(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    return code.isnan(dtype, xs[0]) if dtype.kind == "f" else "false"


@_lower("isfinite")
def _isfinite(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    if dtype.kind != "f":
        return "true"
    size = code.call(intrinsic("fabs", dtype), dtype, xs[0])
    return code.compare("lt", dtype, size, number(np.inf, dtype))


@_lower("isinf")
def _isinf(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    if dtype.kind != "f":
        return "false"
    size = code.call(intrinsic("fabs", dtype), dtype, xs[0])
    return code.compare("eq", dtype, size, number(np.inf, dtype))


@_lower("signbit")
def _signbit(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    whole = "i64" if dtype == F64 else "i32"
    return code.emit(
        f"icmp slt {whole} " + code.emit(f"bitcast {TYPES[dtype]} {xs[0]} to {whole}") + ", 0"
    )


FLOAT_ONLY.add("signbit")


@_lower("select")
def _select(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    return code.select(node.outputs[0].dtype, *xs)


@_lower("cut")
def _cut(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    dtypes = loop_dtypes(node)
    assert dtypes is not None
    seed = dtypes[0][1]
    live = xs[1] if seed == _BOOL else code.compare("ne", seed, xs[1], number(0, seed))
    return code.select(dtype, live, xs[0], number(0, dtype))


# --- functions of libm and intrinsics -------------------------------------------------------------
def _rounding(name: str) -> Lowering:
    def lower(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        return code.call(intrinsic(name, dtype), dtype, xs[0]) if dtype.kind == "f" else xs[0]

    return lower


def _call_of(function: str) -> Lowering:
    return lambda code, xs, dtype, node: code.call(libm(function, dtype), dtype, *xs)


for _name in ("sqrt", "floor", "ceil", "trunc", "rint"):
    LOWER[_name] = _rounding(_name)
FLOAT_ONLY.update(("sqrt", "rint"))  # of integers, the others are those integers

for _op in UFUNCS.values():
    if _op.libm is not None:
        LOWER[_op.name] = _call_of(_op.libm)
        FLOAT_ONLY.add(_op.name)


@_lower("copysign")
def _copysign(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    return code.call(intrinsic("copysign", dtype), dtype, *xs)


@_lower("heaviside")
def _heaviside(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    x, at_zero = xs
    up = code.compare("gt", dtype, x, number(0, dtype))
    y = code.select(dtype, up, number(1, dtype), number(0, dtype))
    y = code.select(dtype, code.compare("eq", dtype, x, number(0, dtype)), at_zero, y)
    return code.select(dtype, code.isnan(dtype, x), x, y)


@_lower("log_expit")
def _log_expit(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    (x,) = xs
    size = code.call(intrinsic("fabs", dtype), dtype, x)
    e = code.call(libm("exp", dtype), dtype, _negated(code, dtype, size))
    tail = code.call(libm("log1p", dtype), dtype, e)
    below = code.compare("lt", dtype, x, number(0, dtype))
    return code.binary("fsub", dtype, code.select(dtype, below, x, number(-0.0, dtype)), tail)


def _log_of_sum(exp: str, unit: float, scale: float | None) -> Lowering:
    """Lower ``log(b**x + b**y)`` to the base b of `exp`; `unit` is its value at 0, 0."""

    def lower(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        a, b = xs
        same = code.compare("eq", dtype, a, b)
        gap = code.binary("fsub", dtype, a, b)
        size = code.call(intrinsic("fabs", dtype), dtype, gap)
        top = code.select(dtype, code.compare("gt", dtype, gap, number(0, dtype)), a, b)
        e = code.call(libm(exp, dtype), dtype, _negated(code, dtype, size))
        tail = code.call(libm("log1p", dtype), dtype, e)
        if scale is not None:
            tail = code.binary("fmul", dtype, number(scale, dtype), tail)
        y = code.binary("fadd", dtype, top, tail)
        y = code.select(dtype, code.isnan(dtype, gap), gap, y)
        return code.select(dtype, same, code.binary("fadd", dtype, a, number(unit, dtype)), y)

    return lower


LOWER["logaddexp"] = _log_of_sum("exp", float(np.log(2.0)), None)
LOWER["logaddexp2"] = _log_of_sum("exp2", 1.0, float(1 / np.log(2.0)))


def _times_log(log: str) -> Lowering:
    """Lower ``x log(y)``, which is 0 where x is, unless y is NaN."""

    def lower(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
        x, y = xs
        found = code.binary("fmul", dtype, x, code.call(libm(log, dtype), dtype, y))
        known = code.emit(f"fcmp ord {TYPES[dtype]} {y}, {y}")
        zero = code.emit(f"and i1 {known}, {code.compare('eq', dtype, x, number(0, dtype))}")
        return code.select(dtype, zero, number(0, dtype), found)

    return lower


LOWER["xlogy"] = _times_log("log")
LOWER["xlog1py"] = _times_log("log1p")


@_lower("entr")
def _entr(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    (x,) = xs
    y = code.binary(
        "fmul", dtype, _negated(code, dtype, x), code.call(libm("log", dtype), dtype, x)
    )
    y = code.select(dtype, code.compare("eq", dtype, x, number(0, dtype)), number(0, dtype), y)
    return code.select(
        dtype, code.compare("lt", dtype, x, number(0, dtype)), number(-np.inf, dtype), y
    )


@_lower("ldexp")
def _ldexp(code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node) -> str:
    dtypes = loop_dtypes(node)
    assert dtypes is not None
    n, t = xs[1], TYPES[dtype]
    if dtypes[0][1] == I64:  # exponents beyond an int all overflow, or vanish
        n = _clamped(code, n)
    name = f"{intrinsic('ldexp', dtype)}.i32"
    code.externals.setdefault(name, f"declare {t} @{name}({t}, i32)")
    return code.emit(f"call {t} @{name}({t} {xs[0]}, i32 {n})")


def _clamped(code: Code, n: str) -> str:
    for name, bound in (("smax", -(2**31)), ("smin", 2**31 - 1)):
        code.externals.setdefault(f"llvm.{name}.i64", f"declare i64 @llvm.{name}.i64(i64, i64)")
        n = code.emit(f"call i64 @llvm.{name}.i64(i64 {n}, i64 {bound})")
    return code.emit(f"trunc i64 {n} to i32")


LOWER.update(DIVISIONS)
NOT_BOOL.update(DIVISIONS)

for _name, _up in {"degrees": True, "rad2deg": True, "radians": False, "deg2rad": False}.items():

    def _angle(
        code: Code, xs: Sequence[str], dtype: np.dtype[Any], node: Node, up: bool = _up
    ) -> str:
        half_turn, pi = dtype.type(180), dtype.type(np.pi)
        return code.binary(
            "fmul", dtype, xs[0], number(half_turn / pi if up else pi / half_turn, dtype)
        )

    LOWER[_name] = _angle

LOWER.update(SLOPES)
FLOAT_ONLY.update(SLOPES)
FLOAT_ONLY.update(("copysign", "heaviside", "log_expit", "logaddexp", "logaddexp2", "xlogy"))
FLOAT_ONLY.update(("xlog1py", "entr", "ldexp", "degrees", "rad2deg", "radians", "deg2rad"))
