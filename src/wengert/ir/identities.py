"""Algebraic identities that hold exactly, a row each.

A row fires only where the result keeps its shape, its dtype and every element: NaN stays NaN, an
infinity stays one, and -0.0 is told from 0.0. (Which of its many bit patterns a NaN has is not
kept: NumPy itself does not.) A row's function gets a node and `source`, which gives the node that
made a value, and returns

* an operand that stands for the node's result,
* a `Node` that computes the same result in a cheaper way, or
* None, where the row does not apply.

What is left out, and why it would be wrong:

============================  ======================================================================
``x + 0.0 = x``               -0.0 + 0.0 is 0.0 (it holds for integers, and for ``x + -0.0``)
``0.0 - x = -x``              0.0 - 0.0 is 0.0, not -0.0
``x * 0 = 0``                 NaN and inf give NaN; a negative x gives -0.0
``x - x = 0``, ``x / x = 1``  NaN for NaN and inf; NaN for 0.0 / 0.0
``x * 1 = x``, complex        the product forms ``inf * 0``, NaN; so do ``x / 1`` and ``x ** 1``
``(x + a) + b = x + (a+b)``   rounds differently; so do all regroupings and distributive laws
``x / a = x * (1/a)``         1/a is rounded
``exp(log(x)) = x``           rounds, and log(-1) is NaN; so do sqrt(x*x), sin(arcsin(x)), ...
``not (a < b) = a >= b``      both comparisons are false for NaN
``sum`` over no axis          NumPy adds to 0.0, so -0.0 becomes 0.0 (it holds for integers)
``max(x, y)`` of 0.0, -0.0    either may come out, so arguments are not exchanged either
============================  ======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from wengert.ir.graph import Node, Value, aval_of

__all__ = ["IDENTITIES", "Identity", "Source"]

Source: TypeAlias = Callable[[Any], Node | None]
Rule: TypeAlias = Callable[[Node, Source], Any]

REAL = "biuf"
INTEGER = "biu"


class Identity(NamedTuple):
    """A row: the law, the operations at its root, the function that finds and applies it."""

    law: str
    ops: tuple[str, ...]
    rule: Rule


# --- what rows are made of ------------------------------------------------------------------------
def keeps(x: Any, node: Node) -> Any:
    """Return `x` if it has the shape and dtype of the node's result, else None."""
    return x if isinstance(x, Value) and x.aval == node.outputs[0].aval else None


def is_number(x: Any, number: float) -> bool:
    """Whether `x` is a plain real scalar equal to `number`, sign of zero included."""
    if not isinstance(x, (int, float, np.integer, np.floating, np.bool_)):
        return False
    return bool(x == number) and math.copysign(1.0, x) == math.copysign(1.0, number)


def kind_of(node: Node) -> str:
    """Return the kind of the result's dtype: b, i, u, f or c."""
    return node.outputs[0].aval.dtype.kind


def again(node: Node, x: Any, **attrs: Any) -> Node:
    """Return the node's operation on `x` with other attributes, making the same result."""
    return Node(node.op, (x,), attrs, node.outputs, node.line)


def made_by(name: str, x: Any, source: Source) -> Node | None:
    """Return the node that made `x` if its operation is `name`."""
    node = source(x)
    return node if node is not None and node.op.name == name else None


# --- arithmetic -----------------------------------------------------------------------------------
def first_with(number: float, kinds: str) -> Rule:
    """Make a rule for ``op(x, number) = x``."""

    def rule(node: Node, source: Source) -> Any:
        x, other = node.inputs
        return keeps(x, node) if kind_of(node) in kinds and is_number(other, number) else None

    return rule


def second_with(number: float, kinds: str) -> Rule:
    """Make a rule for ``op(number, x) = x``."""

    def rule(node: Node, source: Source) -> Any:
        other, x = node.inputs
        return keeps(x, node) if kind_of(node) in kinds and is_number(other, number) else None

    return rule


def itself(kinds: str = "biufc") -> Rule:
    """Make a rule for ``op(x) = x``."""
    return lambda node, source: keeps(node.inputs[0], node) if kind_of(node) in kinds else None


def twice_is_none(node: Node, source: Source) -> Any:
    """``op(op(x)) = x``."""
    inner = made_by(node.op.name, node.inputs[0], source)
    return keeps(inner.inputs[0], node) if inner is not None else None


def twice_is_once(node: Node, source: Source) -> Any:
    """``op(op(x)) = op(x)``."""
    if kind_of(node) not in REAL or made_by(node.op.name, node.inputs[0], source) is None:
        return None
    return keeps(node.inputs[0], node)


def equal_arguments(node: Node, source: Source) -> Any:
    """``op(x, x) = x``, the two last arguments being meant."""
    a, b = node.inputs[-2:]
    return keeps(a, node) if a is b else None


# --- shapes ---------------------------------------------------------------------------------------
def last_shape_wins(node: Node, source: Source) -> Any:
    """``op(op(x, shape=s), shape=t) = op(x, shape=t)``."""
    inner = made_by(node.op.name, node.inputs[0], source)
    return again(node, inner.inputs[0], **node.attrs) if inner is not None else None


def same_order(node: Node, source: Source) -> Any:
    """``transpose(x, axes=(0, 1, ...)) = x``."""
    axes = node.attrs["axes"]
    return keeps(node.inputs[0], node) if axes == tuple(range(len(axes))) else None


def composed_order(node: Node, source: Source) -> Any:
    """``transpose(transpose(x, axes=p), axes=q) = transpose(x, axes=p[q])``."""
    inner = made_by("transpose", node.inputs[0], source)
    if inner is None:
        return None
    first = inner.attrs["axes"]
    return again(node, inner.inputs[0], axes=tuple(first[a] for a in node.attrs["axes"]))


def only_one(node: Node, source: Source) -> Any:
    """``concatenate(x) = x``."""
    return keeps(node.inputs[0], node) if len(node.inputs) == 1 else None


def unit_axes(kinds: str) -> Rule:
    """Make a rule for a reduction over axes of length 1 that are kept, or over no axis."""

    def rule(node: Node, source: Source) -> Any:
        x = keeps(node.inputs[0], node)
        if x is None or kind_of(node) not in kinds:
            return None
        return x if all(x.shape[a] == 1 for a in node.attrs["axis"]) else None

    return rule


# --- indexing -------------------------------------------------------------------------------------
def is_everything(spec: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether an index template takes the whole array as it is."""
    if any(s is not Ellipsis and not isinstance(s, slice) for s in spec) or spec.count(...) > 1:
        return False
    at = spec.index(...) if ... in spec else len(spec)
    tail = spec[at + 1 :]
    pairs = [*zip(spec[:at], shape, strict=False), *zip(tail[::-1], shape[::-1], strict=False)]
    return all(s.indices(n) == (0, n, 1) for s, n in pairs)


def whole_read(node: Node, source: Source) -> Any:
    """``x[:] = x``."""
    x = keeps(node.inputs[0], node)
    return x if x is not None and is_everything(node.attrs["spec"], x.shape) else None


def whole_write(node: Node, source: Source) -> Any:
    """``index_set(x, v, spec=[:]) = v``."""
    v = keeps(node.inputs[1], node)
    return v if v is not None and is_everything(node.attrs["spec"], v.shape) else None


def read_of_write(node: Node, source: Source) -> Any:
    """``index_set(x, v, spec=s)[s] = v`` where `s` holds no arrays."""
    written = made_by("index_set", node.inputs[0], source)
    if written is None or len(written.inputs) > 2 or len(node.inputs) > 1:
        return None
    same = written.attrs["spec"] == node.attrs["spec"]
    return keeps(written.inputs[1], node) if same else None


# --- dtypes and choices ---------------------------------------------------------------------------
def holds(wide: np.dtype[Any], narrow: np.dtype[Any]) -> bool:
    """Whether every value of `narrow` is a value of `wide`.

    NumPy's ``can_cast`` also allows int64 to float64, which loses the low bits of large integers.
    """
    if narrow.kind in "iu" and wide.kind in "fc":
        bits = 8 * narrow.itemsize - (narrow.kind == "i")
        return bool(np.finfo(wide).nmant + 1 >= bits)
    return np.can_cast(narrow, wide, "safe")


def lossless_chain(node: Node, source: Source) -> Any:
    """``convert(convert(x, dtype=d), dtype=e) = convert(x, dtype=e)`` where `d` holds every x.

    From a float to an integer type that is too small, C leaves the result open, so such a last step
    is not merged with another.
    """
    inner = made_by("convert", node.inputs[0], source)
    if inner is None:
        return None
    x = inner.inputs[0]
    first, through, last = aval_of(x).dtype, inner.outputs[0].dtype, node.outputs[0].dtype
    open_in_c = last.kind in "iu" and through.kind in "fc" and not holds(last, first)
    return None if open_in_c or not holds(through, first) else again(node, x, **node.attrs)


def number_again(node: Node, source: Source) -> Any:
    """``as_number(convert(x, dtype=d)) = x`` for a Python number x of the same dtype."""
    inner = made_by("convert", node.inputs[0], source)
    return None if inner is None else keeps(inner.inputs[0], node)


def known_choice(node: Node, source: Source) -> Any:
    """``select(True, a, b) = a`` and ``select(False, a, b) = b``."""
    c, a, b = node.inputs
    return keeps(a if c else b, node) if isinstance(c, (bool, np.bool_)) else None


IDENTITIES: tuple[Identity, ...] = (
    Identity("x * 1 = x", ("multiply",), first_with(1, REAL)),
    Identity("1 * x = x", ("multiply",), second_with(1, REAL)),
    Identity("x / 1 = x", ("divide",), first_with(1, REAL)),
    Identity("x ** 1 = x", ("power", "float_power"), first_with(1, REAL)),
    Identity("x - 0.0 = x", ("subtract",), first_with(0.0, "iufc")),
    Identity("x + 0 = x, integer", ("add",), first_with(0, INTEGER)),
    Identity("0 + x = x, integer", ("add",), second_with(0, INTEGER)),
    Identity("x + -0.0 = x", ("add",), first_with(-0.0, "f")),
    Identity("-0.0 + x = x", ("add",), second_with(-0.0, "f")),
    Identity("+x = x", ("positive",), itself()),
    Identity("--x = x", ("negative",), twice_is_none),
    Identity("conj(conj(x)) = x", ("conjugate",), twice_is_none),
    Identity("~~x = x", ("invert", "logical_not"), twice_is_none),
    Identity("real x is x", ("real", "conjugate"), itself(REAL)),
    Identity("rounding twice", ("floor", "ceil", "trunc", "rint"), twice_is_once),
    Identity("||x|| = |x|", ("absolute", "fabs", "sign"), twice_is_once),
    Identity("max(x, x) = x", ("maximum", "minimum", "fmax", "fmin"), equal_arguments),
    Identity("x & x = x", ("bitwise_and", "bitwise_or"), equal_arguments),
    Identity("x and x = x", ("logical_and", "logical_or"), equal_arguments),
    Identity("choice of equals", ("select",), equal_arguments),
    Identity("known choice", ("select",), known_choice),
    Identity("to its own shape", ("reshape", "broadcast_to"), itself()),
    Identity("last shape wins", ("reshape", "broadcast_to"), last_shape_wins),
    Identity("order kept", ("transpose",), same_order),
    Identity("orders composed", ("transpose",), composed_order),
    Identity("one part", ("concatenate",), only_one),
    Identity("to its own dtype", ("convert",), itself()),
    Identity("lossless chain", ("convert",), lossless_chain),
    Identity("a number already", ("as_number",), itself()),
    Identity("a number again", ("as_number",), number_again),
    Identity("sum of one", ("sum",), unit_axes(INTEGER)),
    Identity("extremum of one", ("max", "min", "prod", "any", "all"), unit_axes(REAL)),
    Identity("x[:] = x", ("getitem",), whole_read),
    Identity("x[:] = v", ("index_set",), whole_write),
    Identity("read of a write", ("getitem",), read_of_write),
    Identity("no derivative is taken any more", ("stop_gradient", "instead"), itself()),
)
"""All identities, in the order in which they are tried."""
