"""The local derivative of an operation, in symbols: its own rule, carried out on names."""

from __future__ import annotations

from typing import Any

from wengert.drawing.formulas import Writer, number_of
from wengert.ir.graph import Node, Value, aval_of
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.ops.base import Fold, Minus, Scale, Transpose, Zero
from wengert.trace.recorder import GraphRecorder

__all__ = ["local_derivative"]

_KNOWN: dict[Any, str] = {}
MANY = 2_000
"""So many formulas are kept."""

_LINEAR = {
    "sum": "x̄ = ȳ for each entry that was added", "getitem": "x̄[…] += ȳ",
    "reshape": "x̄ = ȳ, in the shape of x", "transpose": "x̄ = ȳ, axes turned back",
    "broadcast_to": "x̄ = Σ ȳ over the axes that were repeated",
    "concatenate": "x̄ = the part of ȳ that x became", "convert": "x̄ = ȳ",
    "index_add": "ā = ȳ,  v̄ = ȳ[…]", "index_set": "ā = ȳ without the part,  v̄ = ȳ[…]",
    "cumsum": "x̄ = sums of ȳ from the end", "stop_gradient": "0",
    "scan": "the trips backwards, each transposed", "cond": "that of the branch taken",
    "while_loop": "forward mode only", "solve": "b̄ = A⁻ᵀ ȳ,  Ā = −b̄ yᵀ",
}  # fmt: skip

_EXPLICIT = {"tanh": "∂y/∂x = 1 − y²", "expit": "∂y/∂x = y (1 − y)",
             "sech_squared": "∂y/∂x = −2 y tanh(x)"}  # fmt: skip


def local_derivative(node: Node) -> str:
    """Return how a cotangent ȳ of the result is carried to the arguments."""
    op = node.op
    numbers = tuple(number_of(x) for x in node.inputs)
    key = op.name, numbers, str(node.attrs.get("spec", ""))
    if key not in _KNOWN:
        if len(_KNOWN) > MANY:
            _KNOWN.clear()
        try:
            _KNOWN[key] = _written(node, numbers)
        except Exception:  # a rule that needs arrays of a certain form has no short formula
            _KNOWN[key] = ""
    return _KNOWN[key]


def _written(node: Node, numbers: tuple[float | None, ...]) -> str:
    op = node.op
    derivative = op.derivative
    if op.name in _LINEAR:
        return _LINEAR[op.name]
    if isinstance(derivative, Zero):
        return "0: piecewise constant"
    if op.name == "contract":
        return _of_product(node)
    if isinstance(derivative, Fold):
        return "x̄ = ȳ · ∂y/∂x, spread over the axes that were reduced"
    if isinstance(derivative, Transpose):
        return "x̄ = transposed operation of ȳ"
    if not isinstance(derivative, Scale):
        return ""
    if op.name in _EXPLICIT:
        return _EXPLICIT[op.name]
    active = [k for k, x in enumerate(node.inputs) if numbers[k] is None]
    names = ["x"] if len(node.inputs) == 1 or len(active) == 1 else ["a", "b", "c", "d"]
    symbols = dict(zip(active, names, strict=False))
    parts = []
    for k in active:
        rule = derivative.rules[k]
        if rule is None:
            continue
        text = _slope(rule, node, numbers, symbols, active)
        parts.append(f"∂y/∂{symbols[k]} = {text}")
    return ",  ".join(parts)


def _slope(
    rule: Any, node: Node, numbers: tuple[float | None, ...], symbols: dict[int, str],
    active: list[int],
) -> str:  # fmt: skip
    """Record a rule on numbers, with 1 for the cotangent, and write what it computes."""
    if rule in (1, -1):
        return "1" if rule == 1 else "−1"
    minus = isinstance(rule, Minus)
    formula = rule.rule if minus else rule

    def applied(y: Any, *xs: Any) -> Any:
        given: list[Any] = [_plain(n) if n is not None else 0.0 for n in numbers]
        for k, x in zip(active, xs, strict=True):
            given[k] = x
        return formula(1.0, y, *given, **node.attrs)

    leaves, form = split((0.5, *(0.6 for _ in active)), {})
    graph = record(applied, leaves, form, recorder=GraphRecorder(checks=False)).graph
    (out,) = graph.outputs
    inputs = ["y", *(symbols[k] for k in active)]
    table: dict[Any, tuple[str, str]] = {
        v: (n, n) for v, n in zip(graph.inputs, inputs, strict=True)
    }
    makers = {v: n for n in graph.nodes for v in n.outputs}
    text = Writer(makers, table).whole(out) if isinstance(out, Value) else _plain_text(out)
    return f"−({text})" if minus else text


def _plain(n: float) -> float | int:
    return int(n) if n == int(n) else n


def _plain_text(x: Any) -> str:
    n = number_of(x)
    return str(x) if n is None else f"{n:.6g}"


def _of_product(node: Node) -> str:
    """Write the transposes of a product of matrices and vectors."""
    spec = node.attrs.get("spec", "")
    ins, _, out = spec.partition("->")
    labels = ins.split(",")
    if len(labels) != 2:
        return "x̄ = einsum of ȳ and the other operands"
    a, b = labels
    left, right = Value(aval=aval_of(node.inputs[0])), Value(aval=aval_of(node.inputs[1]))
    ct = Value(aval=node.outputs[0].aval)
    table = {left: ("A", "A"), right: ("B", "B"), ct: ("Ȳ", r"\bar Y")}
    writer = Writer({}, table)
    parts = []
    for name, mark, pair in (
        ("Ā", f"{out},{b}->{a}", (ct, right)), ("B̄", f"{a},{out}->{b}", (left, ct)),
    ):  # fmt: skip
        made = Node(node.op, pair, {"spec": mark}, (Value(aval=aval_of(left)),))
        parts.append(f"{name} = {writer.node(made).text}")
    return ",  ".join(parts)
