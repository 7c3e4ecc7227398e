"""Formulas of a graph's values, as text and as LaTeX.

A value that nobody has named is written out where it is read. Numbers that multiply are collected,
contractions of vectors and matrices are written as products, and the sum of squares as a norm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Const, Node, Value, aval_of
from wengert.ir.regions import is_region

__all__ = ["SIGNS", "Expression", "Writer", "latex_name", "number_of", "sign_of"]

SUM, PRODUCT, PREFIX, ATOM = range(4)
"""How tightly an expression holds together."""

LONGEST = 160
"""A longer part of a formula has a name, and a formula of its own."""

SIGNS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "negative": "−", "contract": "@",
    "sum": "Σ", "prod": "Π", "sqrt": "√", "square": "x²", "power": "xⁿ", "getitem": "[ ]",
    "index_add": "[ ]+", "index_set": "[ ]=", "reshape": "↔", "transpose": "ᵀ", "select": "where",
    "greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤", "equal": "=",
    "not_equal": "≠", "maximum": "max", "minimum": "min", "expit": "σ", "expit_slope": "σ′",
    "sech_squared": "tanh′", "absolute": "|x|", "concatenate": "⧺", "broadcast_to": "⇉",
    "convert": "type", "scan": "scan", "while_loop": "while", "logsumexp": "lse", "cumsum": "Σ…",
    "one_minus_square": "1−x²", "reciprocal": "1/x", "logical_and": "∧", "logical_or": "∨",
    "logical_not": "¬", "cut": "cut", "conjugate": "x*", "root_one_minus_square": "√(1−x²)",
}  # fmt: skip
"""What stands in the circle of an operation; the name of others."""

_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu",
    "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
}  # fmt: skip
_KNOWN = {"sin", "cos", "tan", "exp", "log", "tanh", "sinh", "cosh", "max", "min", "arctan", "det"}
_SHAPE = {"broadcast_to", "as_number", "barrier"}
_COMPARED = {"greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤", "equal": "=",
             "not_equal": "≠"}  # fmt: skip
_TEX_COMPARED = {"≥": r"\ge", "≤": r"\le", "≠": r"\ne"}
_NAMES = {"expit": ("σ", r"\sigma"), "expit_slope": ("σ′", r"\sigma'"),
          "sech_squared": ("tanh′", r"\tanh'"), "maximum": ("max", r"\max"),
          "minimum": ("min", r"\min"), "sign": ("sign", r"\operatorname{sign}")}  # fmt: skip


class Expression(NamedTuple):
    """A formula.

    Attributes
    ----------
    text, latex : str
    binds : int
        How tightly it holds together.
    factor : float
        A number before it.
    """

    text: str
    latex: str
    binds: int = ATOM
    factor: float = 1.0


class Writer:
    """Writes the formulas of a graph's values.

    Parameters
    ----------
    makers : mapping of Value to Node
    names : mapping of Value or Const to (str, str)
        The symbols, as text and LaTeX.
    fresh : callable
        Returns a symbol that nothing else has.

    Attributes
    ----------
    parts : list
        The values that are long parts, and the symbols that were given to them.
    """

    def __init__(
        self,
        makers: Mapping[Any, Node],
        names: Mapping[Any, tuple[str, str]],
        fresh: Callable[[], tuple[str, str]] | None = None,
    ) -> None:
        self.makers = makers
        self.names = names
        self.parts: list[tuple[Any, tuple[str, str]]] = []
        self._fresh = fresh or self._part
        self._known: dict[Any, Expression] = {}

    def _part(self) -> tuple[str, str]:
        n = len(self.parts) + 1
        return f"t{str(n).translate(_BELOW)}", f"t_{{{n}}}"

    def of(self, x: Any, top: bool = False) -> Expression:
        """Return the formula of a value; of its name's definition, if `top`."""
        if not top and isinstance(x, (Value, Const)) and x in self.names:
            return Expression(*self.names[x])
        if isinstance(x, Const):
            number = number_of(x)
            return _number(number) if number is not None else Expression("const", r"\mathrm{const}")
        if not isinstance(x, Value):
            return _number(x)
        found = None if top else self._known.get(x)
        if found is None:
            node = self.makers.get(x)
            found = Expression("·", r"\cdot") if node is None else self.node(node)
            if node is not None and len(node.outputs) > 1:
                found = _numbered(_whole(found), node.outputs.index(x))
            if not top:
                if len(found.text) > LONGEST:
                    symbol = self._fresh()
                    self.parts.append((x, symbol))
                    found = Expression(*symbol)
                self._known[x] = found
        return found

    def defined(self, x: Any) -> tuple[str, str]:
        """Return how a named value is computed."""
        found = _whole(self.of(x, top=True))
        return found.text, found.latex

    def whole(self, x: Any) -> str:
        """Return the text of a value, by its name where it has one."""
        return _whole(self.of(x)).text

    def array(self, x: Any) -> Expression:
        """Return the formula of an operand whose entries are not taken one by one.

        An array with one number everywhere is that number times ones.
        """
        found = self.of(x)
        if not found.text and _ndim(x):
            return Expression("ones", r"\mathbf{1}", ATOM, found.factor)
        return found

    def node(self, node: Node) -> Expression:
        """Return what a node computes."""
        name = node.op.name
        rule = _RULES.get(name)
        if rule is not None:
            return rule(self, node)
        if name in _SHAPE or (name == "convert" and node.outputs[0].dtype.kind in "fc"):
            return self.of(node.inputs[0])
        each = node.op.ufunc is not None
        xs = [_whole(self.of(x) if each else self.array(x)) for x in node.inputs]
        if name in _COMPARED:
            sign = _COMPARED[name]
            a, b = (_tight(x, SUM) for x in xs)
            tex = _TEX_COMPARED.get(sign, sign)
            return Expression(f"[{a.text} {sign} {b.text}]", f"[{a.latex} {tex} {b.latex}]")
        shown, tex = _NAMES.get(name) or (name, _operator(name))
        inner = ", ".join([x.text for x in xs] + _options(node))
        within = ", ".join([x.latex for x in xs] + [_escaped(o) for o in _options(node)])
        return Expression(f"{shown}({inner})", rf"{tex}\left({within}\right)")


def _options(node: Node) -> list[str]:
    """Return what else decides what a function computes: ``axis=1``."""
    hidden = ("keepdims", "length", "consts", "carries")
    return [
        f"{name}={x}" for name, x in node.attrs.items()
        if isinstance(x, (int, str, tuple, np.dtype)) and not is_region(x)
        and x is not False and x != () and name not in hidden
    ]  # fmt: skip


def _numbered(x: Expression, k: int) -> Expression:
    """Return one of several results."""
    return Expression(f"{x.text}[{k}]", f"{{{x.latex}}}_{{[{k}]}}")


def _operator(name: str) -> str:
    return "\\" + name if name in _KNOWN else rf"\operatorname{{{_escaped(name)}}}"


def _escaped(text: str) -> str:
    return re.sub(r"([_&%$#])", r"\\\1", text)


def latex_name(name: str) -> str:
    r"""Return a variable's name as LaTeX: ``W1`` is ``W_{1}``, ``lam`` is ``\lambda``."""
    found = re.fullmatch(r"([A-Za-z]+?)_?(\d+|[₀-₉]+)?((?:\[.*)?)", name)
    if found is None:
        return rf"\mathrm{{{_escaped(name)}}}"
    stem, number, rest = found[1], found[2] or "", found[3]
    number = number.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))
    if stem == "lam":
        stem = r"\lambda"
    elif stem in _GREEK:
        stem = "\\" + stem
    elif len(stem) > 1:
        stem = rf"\mathrm{{{stem}}}"
    below = ",".join(filter(None, [number, _escaped(rest.strip("[]").replace("][", ","))]))
    return f"{stem}_{{{below}}}" if below else stem


# --- numbers --------------------------------------------------------------------------------------
def number_of(x: Any) -> float | None:
    """Return the number that a constant is everywhere; None where it is not one."""
    if isinstance(x, Const):
        data = np.asarray(x.data)
        if not data.size or data.dtype.kind not in "fiub":
            return None
        first = data.flat[0]
        return float(first) if data.size == 1 or bool((data == first).all()) else None
    if isinstance(x, (bool, int, float, np.integer, np.floating, np.bool_)):
        return float(x)
    return None


def _digits(x: float) -> str:
    text = f"{x:.6g}"
    return text.replace("-", "−")


def _number(x: Any) -> Expression:
    number = number_of(x)
    if number is None:
        return Expression(str(x), rf"\mathtt{{{_escaped(str(x))}}}")
    if not np.isfinite(number):
        return Expression(str(number).replace("inf", "∞"), str(number).replace("inf", r"\infty"))
    return Expression("", "", ATOM, number)


def _whole(x: Expression) -> Expression:
    """Write the number before an expression out."""
    if x.factor == 1.0 and x.text:
        return x
    digits = _digits(x.factor)
    tex = digits.replace("−", "-")
    if "e" in tex:
        mantissa, _, power = tex.partition("e")
        tex = rf"{mantissa}\cdot 10^{{{int(power)}}}"
    if not x.text:
        return Expression(digits, tex, PREFIX if x.factor < 0 else ATOM)
    inner = _tight(x._replace(factor=1.0), PRODUCT)
    if x.text.startswith("1 / "):
        return Expression(digits + x.text[1:], rf"{tex}\,{x.latex}", PRODUCT)
    if x.factor == -1.0:
        return Expression(f"−{inner.text}", f"-{inner.latex}", PREFIX - 1)
    return Expression(f"{digits} {inner.text}", rf"{tex}\,{inner.latex}", PRODUCT)


def _tight(x: Expression, binds: int) -> Expression:
    """Put parentheses around what holds together less."""
    x = _whole(x)
    if x.binds >= binds:
        return x
    return Expression(f"({x.text})", rf"\left({x.latex}\right)")


# --- operations -----------------------------------------------------------------------------------
def _add(w: Writer, node: Node) -> Expression:
    a, b = (_whole(w.of(x)) for x in node.inputs)
    if b.text.startswith("−"):
        return Expression(f"{a.text} − {b.text[1:]}", f"{a.latex} - {b.latex[1:]}", SUM)
    return Expression(f"{a.text} + {b.text}", f"{a.latex} + {b.latex}", SUM)


def _subtract(w: Writer, node: Node) -> Expression:
    a, b = _whole(w.of(node.inputs[0])), _tight(w.of(node.inputs[1]), PRODUCT)
    return Expression(f"{a.text} − {b.text}", f"{a.latex} - {b.latex}", SUM)


def _multiply(w: Writer, node: Node) -> Expression:
    a, b = (w.of(x) for x in node.inputs)
    factor = a.factor * b.factor
    both = all(_ndim(x) and number_of(x) is None for x in node.inputs)
    parts = [x._replace(factor=1.0) for x in (a, b) if x.text]
    if len(parts) < 2:
        return parts[0]._replace(factor=factor) if parts else Expression("", "", ATOM, factor)
    left, right = (_tight(x, PRODUCT) for x in parts)
    if both:
        return Expression(
            f"{left.text} ⊙ {right.text}", rf"{left.latex} \odot {right.latex}", PRODUCT, factor
        )
    return Expression(
        f"{left.text} · {right.text}", rf"{left.latex}\,{right.latex}", PRODUCT, factor
    )


def _ndim(x: Any) -> int:
    return len(aval_of(x).shape)


def _divide(w: Writer, node: Node) -> Expression:
    a, b = w.of(node.inputs[0]), w.of(node.inputs[1])
    if not b.text and b.factor:
        return a._replace(factor=a.factor / b.factor)
    top = _whole(a._replace(factor=1.0)) if a.text else Expression("1", "1")
    down = _whole(b)
    tex = rf"\frac{{{top.latex}}}{{{down.latex}}}"
    text = f"{_tight(top, PRODUCT).text} / {_tight(down, ATOM).text}"
    return Expression(text, tex, PRODUCT, a.factor)


def _negative(w: Writer, node: Node) -> Expression:
    x = w.of(node.inputs[0])
    return x._replace(factor=-x.factor)


def _power(w: Writer, node: Node) -> Expression:
    base = _tight(w.of(node.inputs[0]), ATOM)
    n = number_of(node.inputs[1])
    if n is not None:
        raised = f"{n:g}"
        text = (
            "".join(_RAISED.get(c, "") for c in raised)
            if set(raised) <= set(_RAISED)
            else f"^{n:g}"
        )
        return Expression(f"{base.text}{text}", f"{{{base.latex}}}^{{{n:g}}}")
    exponent = _whole(w.of(node.inputs[1]))
    return Expression(f"{base.text}^({exponent.text})", f"{{{base.latex}}}^{{{exponent.latex}}}")


_RAISED = dict(zip("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻", strict=True))


def _square(w: Writer, node: Node) -> Expression:
    base = _tight(w.of(node.inputs[0]), ATOM)
    return Expression(f"{base.text}²", f"{{{base.latex}}}^{{2}}")


def _sqrt(w: Writer, node: Node) -> Expression:
    x = _whole(w.of(node.inputs[0]))
    return Expression(f"√({x.text})", rf"\sqrt{{{x.latex}}}")


def _sum(w: Writer, node: Node) -> Expression:
    x = node.inputs[0]
    aval = aval_of(x)
    shape = aval.shape
    axis = node.attrs.get("axis")
    whole = axis is None or len(axis if isinstance(axis, tuple) else (axis,)) == len(shape)
    inner = w.makers.get(x) if isinstance(x, Value) and x not in w.names else None
    if whole and inner is not None and _is_square(inner) and aval.dtype.kind == "f":
        base = _whole(w.of(inner.inputs[0]))
        return Expression(f"‖{base.text}‖²", rf"\left\|{base.latex}\right\|^2")
    y = w.array(x)
    inside = _tight(y._replace(factor=1.0), ATOM)
    below = "" if whole else ",".join(map(str, axis if isinstance(axis, tuple) else (axis,)))
    mark = f"Σ[{below}] " if below else "Σ "
    tex = rf"\sum_{{{below}}}" if below else r"\sum"
    return Expression(f"{mark}{inside.text}", rf"{tex} {inside.latex}", PREFIX, y.factor)


def _is_square(node: Node) -> bool:
    return (
        node.op.name == "square"
        or (node.op.name == "power" and number_of(node.inputs[1]) == 2)
        or (node.op.name == "multiply" and node.inputs[0] is node.inputs[1])
    )


def _transpose(w: Writer, node: Node) -> Expression:
    x = _tight(w.array(node.inputs[0]), ATOM)
    axes = node.attrs.get("axes")
    if _ndim(node.inputs[0]) > 2:
        shown = rf"\operatorname{{transpose}}({x.latex}, {axes})"
        return Expression(f"transpose({x.text}, {axes})", shown)
    return _turned(x)


def _turned(x: Expression) -> Expression:
    """Return the transpose of what holds together."""
    if x.text.endswith("ᵀ"):
        inner = x.latex.removesuffix(r"^{\top}")
        return Expression(x.text[:-1], inner[1:-1] if inner.startswith("{") else inner)
    return Expression(f"{x.text}ᵀ", f"{{{x.latex}}}^{{\\top}}")


def _reshape(w: Writer, node: Node) -> Expression:
    x = w.of(node.inputs[0])
    inner, outer = aval_of(node.inputs[0]).shape, node.outputs[0].aval.shape
    if tuple(n for n in inner if n != 1) == tuple(n for n in outer if n != 1):
        return x
    y = _whole(x)
    shape = "×".join(map(str, outer)) or "1"
    tex = shape.replace("×", r"\times ")
    return Expression(f"reshape({y.text}, {shape})", rf"\operatorname{{reshape}}({y.latex}, {tex})")


def _getitem(w: Writer, node: Node) -> Expression:
    x = _tight(w.of(node.inputs[0]), ATOM)
    text, tex = _place(w, node, 1)
    return Expression(f"{x.text}[{text}]", f"{{{x.latex}}}_{{[{tex}]}}")


def _place(w: Writer, node: Node, first: int) -> tuple[str, str]:
    """Return an index, with the arrays among it, which are operands from `first` on."""
    arrays = [_whole(w.of(x)) for x in node.inputs[first:]]
    spec = node.attrs.get("spec", ())
    return _index(spec, [x.text for x in arrays]), _index(spec, [x.latex for x in arrays])


def _index_add(w: Writer, node: Node) -> Expression:
    base, part = _whole(w.of(node.inputs[0])), _tight(w.of(node.inputs[1]), PRODUCT)
    text, tex = _place(w, node, 2)
    return Expression(
        f"{base.text} + ({part.text} at [{text}])",
        rf"{base.latex} + \left({part.latex}\right)_{{\text{{at }}[{tex}]}}", SUM,
    )  # fmt: skip


def _index_set(w: Writer, node: Node) -> Expression:
    base, part = _tight(w.of(node.inputs[0]), ATOM), _whole(w.of(node.inputs[1]))
    text, tex = _place(w, node, 2)
    return Expression(
        f"({base.text} with [{text}] = {part.text})",
        rf"\left({base.latex} \text{{ with }} [{tex}] = {part.latex}\right)",
    )


def _index(spec: Any, arrays: Sequence[str] = ()) -> str:
    parts = spec if isinstance(spec, tuple) else (spec,)
    rest = iter(arrays)

    def part(p: Any) -> str:
        if isinstance(p, slice):
            ends = ["" if e is None else str(e) for e in (p.start, p.stop)]
            return ":".join([*ends, str(p.step)] if p.step not in (None, 1) else ends)
        if repr(p) == "@":
            return next(rest, "i")
        return "…" if p is Ellipsis else str(p)

    return ", ".join(map(part, parts))


def _select(w: Writer, node: Node) -> Expression:
    c, a, b = (_whole(w.of(x)) for x in node.inputs)
    tex = rf"\begin{{cases}}{a.latex} & {c.latex}\\{b.latex} & \text{{else}}\end{{cases}}"
    return Expression(f"where({c.text}, {a.text}, {b.text})", tex)


def _absolute(w: Writer, node: Node) -> Expression:
    x = _whole(w.of(node.inputs[0]))
    return Expression(f"|{x.text}|", rf"\left|{x.latex}\right|")


def _contract(w: Writer, node: Node) -> Expression:
    spec = node.attrs.get("spec", "")
    xs = [w.array(x) for x in node.inputs]
    factor = 1.0
    for x in xs:
        factor *= x.factor if x.text else 1.0
    parts = [_tight(x._replace(factor=1.0) if x.text else x, ATOM) for x in xs]
    order = _product(spec) if len(xs) == 2 else None
    if order is None:
        inner = ", ".join(x.text for x in parts)
        within = ", ".join(x.latex for x in parts)
        mark = spec.replace("->", r"\to ")
        shown = rf"\operatorname{{einsum}}_{{{mark}}}({within})"
        return Expression(f"einsum({spec!r}, {inner})", shown, ATOM, factor)
    text: list[str] = []
    tex: list[str] = []
    for k, turned in order:
        part = _turned(parts[k]) if turned else parts[k]
        text.append(part.text)
        tex.append(part.latex)
    return Expression(" ".join(text), r"\,".join(tex), PRODUCT, factor)


def _product(spec: str) -> list[tuple[int, bool]] | None:
    """Return an einsum of two operands as a product of matrices: operands, and which are turned."""
    ins, _, out = spec.partition("->")
    a, _, b = ins.partition(",")
    if max(len(a), len(b)) > 2 or len(set(a)) < len(a) or len(set(b)) < len(b):
        return None
    if not a or not b:
        return [(0, False), (1, False)] if out == a + b else None
    if len(a) == 1 and len(b) == 1:
        if a == b:
            return [(0, True), (1, False)] if not out else None
        return {a + b: [(0, False), (1, True)], b + a: [(1, False), (0, True)]}.get(out)
    shared = [c for c in a if c in b]
    if len(shared) != 1 or shared[0] in out:
        return None
    c = shared[0]
    if len(a) == 2 and len(b) == 1:
        return [(0, a[0] == c), (1, False)]
    if len(a) == 1:
        return [(1, b[0] == c), (0, False)]
    rest = a.replace(c, ""), b.replace(c, "")
    if out == "".join(rest):
        return [(0, a[0] == c), (1, b[1] == c)]
    return [(1, b[0] == c), (0, a[1] == c)] if out == "".join(rest[::-1]) else None


_RULES: dict[str, Callable[[Writer, Node], Expression]] = {
    "add": _add, "subtract": _subtract, "multiply": _multiply, "divide": _divide,
    "negative": _negative, "power": _power, "square": _square, "sqrt": _sqrt, "sum": _sum,
    "transpose": _transpose, "reshape": _reshape, "getitem": _getitem, "select": _select,
    "absolute": _absolute, "contract": _contract, "index_add": _index_add,
    "index_set": _index_set,
}  # fmt: skip


def sign_of(node: Node) -> str:
    """Return what stands in an operator's circle."""
    name = node.op.name
    numbers = [number_of(x) for x in node.inputs]
    known = [n for n in numbers if n is not None]
    if len(known) == 1 and len(numbers) == 2:
        n = f"{known[0]:.3g}".replace("-", "−")
        if name == "power" and numbers[1] is not None:
            return "x²" if known[0] == 2 else f"x^{n}"
        if name in ("multiply", "add", "subtract", "divide") and len(n) <= 5:
            sign = SIGNS[name]
            return (
                f"{n}{sign}"
                if numbers[0] is not None and name in ("subtract", "divide")
                else f"{sign}{n}"
            )
    if name == "contract":
        return "@" if len(node.inputs) == 2 else "einsum"
    if name == "getitem":
        text = _index(node.attrs.get("spec", ()))
        return f"[{text}]" if len(text) <= 6 else "[ ]"
    return SIGNS.get(name, str(name))
