"""Reverse mode: walk the nodes backwards and accumulate cotangents.

Every node is visited once, so the cost is a small multiple of the recorded function's own (Baur and
Strassen, *The complexity of partial derivatives*, 1983; Griewank and Walther, *Evaluating
Derivatives*, ch. 3). Cotangents are accumulated in place once the accumulator is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Aval, BackwardPlace, Node, Value
from wengert.ops.base import (
    Fold,
    Joint,
    Jvp,
    Minus,
    OfRegions,
    Op,
    Scale,
    Traced,
    Transpose,
    dtype_of,
    shape_of,
)
from wengert.ops.control import cut
from wengert.ops.index import add_into, index_add
from wengert.ops.patterns import Moving, Writing
from wengert.ops.reduce import expand
from wengert.ops.shape import filled, match
from wengert.ops.spectral import Framed
from wengert.trace.abstract import AbstractTape
from wengert.trace.active import ACTIVE
from wengert.trace.recorder import GraphRecorder, active_recorder
from wengert.trace.tracer import Tracer
from wengert.transform.logsumexp_shift import find_shifts
from wengert.transform.reach import (
    Reach,
    collected,
    given,
    has_given,
    has_nan,
    is_elementwise,
    is_followed,
    joined,
    returned,
    settled,
    slope_reach,
)

__all__ = ["Cotangents", "backward", "pull_back", "seeded", "transpose_rule", "with_provenance"]


FEW_UPDATES = 8
"""Updates in place of a function, up to which a compiled program may copy an array at each."""


class Cotangents:
    """Cotangents by value, and which of the accumulators may be changed in place.

    Parameters
    ----------
    roots : sequence of Value
        The tape's inputs.

    Attributes
    ----------
    reaches : dict or None
        The reaches of those that do not reach everywhere; None where nobody follows them.
    has_parts : bool
        Whether some of them may be zero by structure, in something that was computed.
    """

    __slots__ = ("has_parts", "owned", "reaches", "roots", "table", "updates")

    def __init__(self, roots: Sequence[Value] = ()) -> None:
        self.table: dict[Value, Any] = {}
        self.owned: set[Value] = set()
        self.reaches: dict[Value, Reach] | None = None
        self.roots = roots
        self.has_parts = False
        self.updates = False

    def follow(self, nodes: Sequence[Any], seeds: bool = False) -> None:
        """Follow reaches from now on; `seeds` says that zeros in the cotangents are meant.

        A compiled program updates arrays in place, where they are filled entry by entry. To put
        zeros into one between its updates would copy it, so reaches end there, except where the
        updates are few.
        """
        self.updates = bool(ACTIVE.recorders) and (
            any(type(node) is not Node for node in nodes)
            or sum(isinstance(node.op.pattern, Writing) for node in nodes) > FEW_UPDATES
        )
        self.reaches = {}
        if seeds:
            found = {v: given(ct) for v, ct in self.table.items()}
            self.reaches = {v: r for v, r in found.items() if r is not None}

    def read(self, v: Value) -> Any:
        """Return a cotangent with its zeros; None is zero."""
        ct = self.table.get(v)
        return settled(self.reaches.get(v), ct) if self.reaches else ct

    def join(self, v: Value, ct: Any, r: Reach | None) -> None:
        """Add a contribution that has a reach."""
        reaches = self.reaches
        assert reaches is not None
        if v in self.table:
            have = reaches.get(v)
            if have is not None and r is not None and have.clean() is r.clean():
                r = have if have.is_spoilt else r
            else:
                self.settle(v)
                ct = settled(r, ct)
                r = joined(have, r)
        self.add(v, ct)
        if r is not None:
            reaches[v] = r
        else:
            reaches.pop(v, None)

    def settle(self, v: Value) -> Reach | None:
        """Put zeros back into a cotangent, and return its reach."""
        reaches = self.reaches
        assert reaches is not None
        r = reaches.get(v)
        if r is not None and r.is_spoilt:
            before = self.table[v]
            self.table[v] = after = r.settle(before)
            if after is not before:
                self.owned.discard(v)
            r = reaches[v] = r.clean()
        return r

    def add(self, v: Value, ct: Any) -> None:
        """Add a contribution."""
        table = self.table
        have = table.get(v)
        if have is None:
            table[v] = ct
        elif v in self.owned and not isinstance(ct, Traced):
            np.add(have, ct, out=have)
        else:
            total = have + ct
            table[v] = total
            if type(total) is np.ndarray:
                self.owned.add(v)

    def add_part(self, node: Node, v: Value, x: Any, ct: Any, rest: Sequence[Any]) -> None:
        """Add the cotangent of a read ``x[index]`` into the accumulator of `x`."""
        have = self.table.get(v)
        if (
            isinstance(ct, Traced)
            or isinstance(have, Traced)
            or isinstance(x, Traced)
            or any(isinstance(i, Traced) for i in rest)
        ):
            if have is None:
                have = np.zeros(shape_of(x), dtype_of(x))
            if node.attrs.keys() != {"spec"}:
                raise AssertionError(node.op.name)
            self.table[v] = index_add(have, ct, *rest, **node.attrs)
            self.owned.discard(v)
            return
        if have is None:
            have = np.zeros(shape_of(x), dtype_of(x))
        elif v not in self.owned:
            have = np.array(have)
        self.table[v] = add_into(have, ct, *rest, **node.attrs)
        self.owned.add(v)


def pull_back(
    nodes: Sequence[Any],
    seeds: Sequence[tuple[Value, Any]],
    roots: Sequence[Value],
    made: Callable[[Sequence[Value]], Cotangents] | None = None,
) -> list[Any]:
    """Return the cotangents of a tape's inputs; None is zero.

    Parameters
    ----------
    nodes : sequence of Node or Segment
    seeds : sequence of (Value, array)
        Cotangents of results.
    roots : sequence of Value
    made : callable, optional
        Makes the cotangents of a walk; the last ones made are those of the result.
    """
    made = made or Cotangents
    if not is_followed(nodes, seeds):
        cts = made(roots)
        for v, ct in seeds:
            cts.add(v, ct)
        backward(nodes, cts)
        found = [cts.table.get(r) for r in roots]
        if not (cts.has_parts or has_given(seeds)) or not has_nan(found):
            return found
    cts = made(roots)
    for v, ct in seeds:
        cts.add(v, ct)
    cts.follow(nodes, seeds=True)
    backward(nodes, cts)
    return [cts.read(r) for r in roots]


def backward(nodes: Sequence[Any], cts: Cotangents) -> None:
    """Carry the cotangents of results to the values that they were computed from.

    Parameters
    ----------
    nodes : sequence of Node or Segment
        A tape, in the order of recording.
    cts : Cotangents
        Seeds on entry; on return the cotangents of the tape's inputs.
    """
    with_provenance(_backward, nodes, cts)


def with_provenance(walk: Callable[..., None], nodes: Sequence[Any], table: Any) -> None:
    """Walk a tape, and give `walk` who records its operations, to say what they are for."""
    recorder = active_recorder()
    if recorder is None:
        walk(nodes, table)
        return
    outer = recorder.provenance
    try:
        walk(nodes, table, recorder)
    finally:
        recorder.provenance = outer


def _backward(nodes: Sequence[Any], cts: Cotangents, recorder: GraphRecorder | None = None) -> None:
    """Walk the nodes, and tell who records this which of them the operations are for."""
    table = cts.table
    skipped = find_shifts(nodes, table)
    reaches = cts.reaches
    for node in reversed(nodes):
        if type(node) is not Node:
            node.backward(cts, backward)
            continue
        if recorder is not None and node.line is not None:
            recorder.provenance = BackwardPlace(node.line, node.op.name)
        outputs = node.outputs
        if id(node) in skipped:
            table.pop(outputs[0], None)
            cts.owned.discard(outputs[0])
            continue
        if len(outputs) == 1:
            y = outputs[0]
            ct = table.pop(y, None)
            if ct is None:
                continue
            cts.owned.discard(y)
            if not ct.size if type(ct) is np.ndarray else 0 in shape_of(ct):
                continue  # nothing depends on what is made of it, not even as 0 * inf
            primal = y.data
        else:
            parts = [table.pop(v, None) for v in outputs]
            if all(p is None for p in parts):
                continue
            if type(node.op.derivative) in (
                Jvp,
                Framed,
                OfRegions,
            ):  # whose rules take None for zero
                ct = tuple(parts)
            else:
                ct = tuple(
                    np.zeros(v.shape, v.dtype) if p is None else p
                    for p, v in zip(parts, outputs, strict=True)
                )
            primal = tuple(v.data for v in outputs)
        if reaches is None:
            pull(node, ct, primal, cts)
        else:
            _pull_within(node, ct, primal, cts, reaches)


class _Parts(Cotangents):
    """What a node contributes to each of its arguments."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[Value, Any]] = []

    def add(self, v: Value, ct: Any) -> None:
        """Keep a contribution."""
        self.parts.append((v, ct))


def _pull_within(node: Node, ct: Any, y: Any, cts: Cotangents, reaches: dict[Value, Reach]) -> None:
    """Carry one node's cotangent to its arguments, and where it can differ from zero."""
    op, inputs, attrs = node.op, node.inputs, node.attrs
    derivative = op.derivative
    rs = [reaches.pop(v, None) for v in node.outputs]
    r = rs[0]
    xs = [v.data if isinstance(v, Value) else v for v in inputs]
    each = is_elementwise(op, y)
    moves = op is cut and isinstance(inputs[1], Value)
    if each and type(derivative) is Scale:
        for k, (rule, v, x) in enumerate(zip(derivative.rules, inputs, xs, strict=True)):
            if rule is not None and isinstance(v, Value):
                is_minus = isinstance(rule, Minus)
                formula = rule.rule if is_minus else rule
                part = ct if rule in (1, -1) else formula(ct, y, *xs, **attrs)
                part, found = _matched(part, slope_reach(op, k, r, xs), x)
                cts.join(v, -part if is_minus or rule == -1 else part, found)
        return
    if type(derivative) is Fold:
        x, axis = xs[0], attrs["axis"]
        part = derivative.rule(expand(settled(r, ct), x, axis), expand(y, x, axis), x, **attrs)
        found = returned(op, 0, r and r.clean(), y, xs, attrs)
        if found is not None and not (op.partial or found.faint):  # the slope may be no number
            found = found.spoilt()
        cts.join(inputs[0], match(part, x), found)
        return
    if isinstance(y, tuple):
        ct = tuple(settled(p, c) for p, c in zip(rs, ct, strict=True))
    elif not (each and all(shape_of(x) == shape_of(y) for x in xs[:1])):
        ct = settled(r, ct)
        r = r and r.clean()
    if type(derivative) is Transpose and derivative.accumulate is not None:
        v = inputs[0]
        if isinstance(v, Value):
            have = cts.settle(v) if v in cts.table else None
            found = None if cts.updates else returned(op, 0, r, y, xs, attrs)
            found = joined(have, found) if v in cts.table else found
            _pull_linear(node, derivative, ct, y, xs, cts)
            reaches.pop(v, None)
            if found is not None:
                reaches[v] = found
        return
    parts = _Parts()
    pull(node, ct, y, parts)
    for v, part in parts.parts:
        ks = [k for k, other in enumerate(inputs) if other is v and _has_rule(op, k)]
        if each:
            cts.join(v, part, slope_reach(op, ks[0], r, xs, moves))
        elif cts.updates and isinstance(op.pattern, (Moving, Writing)):
            cts.join(v, part, None)
        else:
            found = returned(op, ks[0], r, y, xs, attrs)
            for k in ks[1:]:
                found = joined(found, returned(op, k, r, y, xs, attrs))
            cts.join(v, part, found)


def _matched(part: Any, r: Reach | None, x: Any) -> tuple[Any, Reach | None]:
    """Bring a contribution to its argument's shape; what is added up then has its zeros."""
    if r is None or shape_of(part) == shape_of(x):
        return match(part, x), r
    return match(r.settle(part), x), collected(r, shape_of(x))


def _has_rule(op: Op, k: int) -> bool:
    """Whether an argument gets a cotangent."""
    derivative = op.derivative
    if isinstance(derivative, Scale | Jvp):
        return derivative.rules[k] is not None
    if isinstance(derivative, Transpose) and not callable(derivative.rules):
        jvps = derivative.jvps
        return derivative.rules[k] is not None or (k < len(jvps) and jvps[k] is not None)
    return True


def pull(node: Node, ct: Any, y: Any, cts: Cotangents) -> None:
    """Carry one node's cotangent to its arguments."""
    op, inputs, attrs = node.op, node.inputs, node.attrs
    xs = [v.data if isinstance(v, Value) else v for v in inputs]
    derivative = op.derivative
    kind = type(derivative)
    if kind is Scale:
        if op.partial:
            cts.has_parts = True
        for rule, v, x in zip(derivative.rules, inputs, xs, strict=True):
            if rule is None or not isinstance(v, Value):
                continue
            if type(rule) is int:
                part = match(ct, x)
                cts.add(v, part if rule == 1 else -part)
            elif type(rule) is Minus:
                cts.add(v, -match(rule.rule(ct, y, *xs, **attrs), x))
            else:
                cts.add(v, match(rule(ct, y, *xs, **attrs), x))
    elif kind is Transpose:
        _pull_linear(node, derivative, ct, y, xs, cts)
    elif kind is Fold:
        if op.partial:
            cts.has_parts = True
        x = xs[0]
        axis = attrs["axis"]
        spread = expand(ct, x, axis)
        cts.add(inputs[0], match(derivative.rule(spread, expand(y, x, axis), x, **attrs), x))
    elif kind is Jvp:
        for rule, v, x in zip(derivative.rules, inputs, xs, strict=True):
            if rule is not None and isinstance(v, Value):
                _add_transposed(op, rule, ct, y, xs, x, attrs, v, cts)
    elif isinstance(derivative, Joint):
        v = inputs[0]
        if isinstance(derivative, Framed) and derivative.has_vectors(ct) and isinstance(v, Value):
            _add_transposed(op, derivative.rule, ct, y, xs[:1], xs[0], attrs, v, cts)
        wanted = [isinstance(v, Value) for v in inputs]
        for k, part in derivative.pull(ct, y, xs, wanted, attrs).items():
            if wanted[k]:
                cts.add(inputs[k], match(part, xs[k]))
    elif kind is OfRegions:
        several = isinstance(y, tuple)
        ys, parts = (list(y), list(ct)) if several else ([y], [ct])
        for v, part in zip(inputs, derivative.pull(xs, ys, parts, attrs), strict=True):
            if part is not None and isinstance(v, Value):
                cts.add(v, part)
    else:
        derivative.pull(node, ct, y, xs, cts)


def _add_transposed(
    op: Op,
    rule: Any,
    ct: Any,
    y: Any,
    xs: list[Any],
    x: Any,
    attrs: dict[str, Any],
    v: Value,
    cts: Cotangents,
) -> None:
    (part,) = transpose_rule(op.name, lambda t: rule(t, y, *xs, **attrs), ct, [x])
    if part is not None:
        cts.add(v, match(part, x))


def _pull_linear(
    node: Node, derivative: Transpose, ct: Any, y: Any, xs: list[Any], cts: Cotangents
) -> None:
    inputs, attrs = node.inputs, node.attrs
    rules = derivative.rules
    if callable(rules):
        if node.op.partial:
            cts.has_parts = True
        for part, v, x in zip(rules(ct, *xs, **attrs), inputs, xs, strict=True):
            if isinstance(v, Value):
                cts.add(v, match(part, x))
        return
    if derivative.accumulate is not None:
        v = inputs[0]
        if isinstance(v, Value):
            if v not in cts.roots:
                cts.has_parts = True
            cts.add_part(node, v, xs[0], ct, xs[1:])
        return
    if node.op.partial:
        cts.has_parts = True
    for k, (v, x) in enumerate(zip(inputs, xs, strict=True)):
        if not isinstance(v, Value):
            continue
        if rules[k] is not None:
            cts.add(v, match(rules[k](ct, *xs, **attrs), x))
        elif k < len(derivative.jvps) and derivative.jvps[k] is not None:
            _add_transposed(node.op, derivative.jvps[k], ct, y, xs, x, attrs, v, cts)


def transpose_rule(name: str, rule: Any, ct: Any, xs: list[Any]) -> list[Any]:
    """Transpose a linear function given as code.

    Parameters
    ----------
    name : str
        For error messages.
    rule : callable
        ``rule(*tangents)``, linear; a tuple for several results.
    ct : array or tuple of arrays
        Cotangent of the result; None for those of a tuple that have none.
    xs : list
        Arrays (or abstract values) with the shapes and dtypes of the tangents.

    Returns
    -------
    list of array or None
        Cotangents of the tangents; None where the result does not depend on one.
    """
    tape = AbstractTape(name)
    ts = [tape.input(_aval(x)) for x in xs]
    roots = [t._var for t in ts]
    out = rule(*ts)
    cts = Cotangents()
    outs = out if isinstance(out, tuple) else (out,)
    seeds = ct if isinstance(ct, tuple) else (ct,)
    for o, c in zip(outs, seeds, strict=True):
        if c is not None and isinstance(o, Tracer) and o._trace is tape:
            seeded(cts, o._var, c)
    tape.alive = False
    backward(tape.nodes, cts)
    return [cts.table.get(r) for r in roots]


def seeded(cts: Cotangents, v: Value, ct: Any) -> None:
    """Add the cotangent of a rule's result, which may be of a shape that broadcasts to it."""
    if shape_of(ct) != v.shape:
        ct = filled(ct, shape=v.shape) if len(shape_of(ct)) <= len(v.shape) else match(ct, v)
    cts.add(v, match(ct, v))


def _aval(x: Any) -> Any:
    return Aval(shape_of(x), dtype_of(x))
