"""Contractions: loops for small and memory-bound ones, BLAS for the rest."""

from __future__ import annotations

import itertools
import math
from typing import Any

from wengert.backend.native.schedule.layout import View, contiguous
from wengert.backend.native.schedule.steps import Contraction, Reduce
from wengert.ir.graph import Const, Node, Value, aval_of
from wengert.ops.elementwise import multiply

__all__ = ["LARGEST", "contraction", "walkable"]

LARGEST = 2**31 - 1
"""Largest dimension that BLAS takes: its integers are of 32 bits."""

BLAS_FROM = 4_000
"""Multiplications from which a matrix product goes to BLAS."""


def walkable(rows: int, columns: int, row: int, column: int) -> bool:
    """Whether BLAS can read a matrix with these strides where it lies.

    One axis must lie without gaps, and the lines along it apart from each other, in order: not
    backwards, not one over the other. Where that fails BLAS computes nothing at all.
    """
    return (column == 1 and columns <= row <= LARGEST) or (row == 1 and rows <= column <= LARGEST)


def contraction(schedule: Any, node: Node) -> None:
    """Schedule ``contract(a, b)``."""
    (v,) = node.outputs
    spec = node.attrs["spec"]
    operands, out = spec.split("->")
    ta, tb = operands.split(",")
    a, b = (schedule._value(x) for x in node.inputs)
    given = aval_of(a), aval_of(b)  # an operand without axes may be a number
    sizes = dict(zip(ta + tb, (*given[0].shape, *given[1].shape), strict=True))
    shared = [s for s in ta if s in tb]
    summed = "".join(s for s in shared if s not in out)
    batch = "".join(s for s in out if s in shared)
    free_a = "".join(s for s in out if s in ta and s not in tb)
    free_b = "".join(s for s in out if s in tb and s not in ta)
    m, n, k = (math.prod(sizes[s] for s in t) for t in (free_a, free_b, summed))
    big = m * n * k >= BLAS_FROM and min(m, n, k) > 1 and summed and v.aval.size
    big = big and max(m, n, k) <= LARGEST
    same = given[0].dtype == given[1].dtype == v.dtype
    if big and same:
        _blas(schedule, v, a, b, ta, tb, out, (batch, free_a, free_b, summed), sizes)
    else:
        _loops(schedule, node, v, a, b, ta, tb, out, batch + free_a, free_b, summed, sizes)


def _labelled(view: Any, term: str, want: str, sizes: dict[str, int]) -> Any:
    """View an operand over the labels `want`, with stride 0 for those that it lacks."""
    if not isinstance(view, View):
        return view
    strides = tuple(view.strides[term.index(s)] if s in term else 0 for s in want)
    shape = tuple(sizes[s] if s in term else 1 for s in want)
    return View(view.buffer, view.offset, strides, shape, view.version)


def _loops(
    schedule: Any, node: Node, v: Value, a: Any, b: Any, ta: str, tb: str, out: str,
    rows: str, columns: str, summed: str, sizes: dict[str, int],
) -> None:  # fmt: skip
    """Multiply and sum in a loop nest: depth innermost where both operands lie along it."""
    earliest = max(schedule.ready(a), schedule.ready(b))
    va, vb = (schedule.view(x, earliest) if isinstance(x, (Value, Const)) else x for x in (a, b))
    along = bool(summed) and _step(va, ta, summed[-1]) <= 1 and _step(vb, tb, summed[-1]) <= 1
    order = rows + columns + summed if along or not columns else rows + summed + columns
    shape = tuple(sizes[s] for s in order)
    loop = schedule._append(shape)
    for view in (va, vb):
        if isinstance(view, View):
            view.buffer.read_at(loop.step)
    product = Value(None, type(v.aval)(shape, v.dtype))
    inner = Node(multiply, (a, b), {}, (product,))
    loop.items.append((inner, [_labelled(va, ta, order, sizes), _labelled(vb, tb, order, sizes)]))
    loop.inside.add(product)
    target = schedule._temporary(v)
    target.buffer.write_at(loop.step)
    placed = View(
        target.buffer,
        0,
        tuple(target.strides[out.index(s)] if s in out else 0 for s in order),
        shape,
    )
    if summed:
        axis = tuple(i for i, s in enumerate(order) if s in summed)
        loop.items.append(Reduce("sum", product, axis, placed, v.dtype))
    else:
        loop.stores.append((product, placed))
    schedule._view[v] = target
    schedule._ready[v] = loop.step + 1


def _step(view: View, term: str, label: str) -> int:
    return view.strides[term.index(label)]


def _merged(view: View, term: str, group: str) -> int | None:
    """Return the stride with which a group of labels is walked as one axis, or None."""
    axes = [term.index(s) for s in group if view.shape[term.index(s)] != 1]
    for i, j in itertools.pairwise(axes):
        if view.strides[i] != view.strides[j] * view.shape[j]:
            return None
    return view.strides[axes[-1]] if axes else 1


def _matrix(
    schedule: Any, x: Any, term: str, batch: str, rows: str, depth: str
) -> tuple[View, str, int, int]:
    """Return an operand with its row and column strides, copied where BLAS cannot walk it."""
    view = schedule.view(x, schedule.ready(x))
    r, c = _merged(view, term, rows), _merged(view, term, depth)
    m, k = (math.prod(view.shape[term.index(s)] for s in group) for group in (rows, depth))
    if r is None or c is None or not walkable(m, k, r, c):
        want = batch + rows + depth
        moved = View(
            view.buffer,
            view.offset,
            tuple(view.strides[term.index(s)] for s in want),
            tuple(view.shape[term.index(s)] for s in want),
            view.version,
        )
        view = _copied(schedule, moved)
        term = want
        r, c = _merged(view, term, rows), _merged(view, term, depth)
    assert r is not None
    assert c is not None
    return view, term, r, c


def _copied(schedule: Any, view: View) -> View:
    class Like:
        aval = type("A", (), {"dtype": view.buffer.dtype, "size": math.prod(view.shape)})

    out = contiguous(schedule._new("arena", 0, Like), view.shape)
    schedule.copy_into(view, out)
    return out


def _blas(
    schedule: Any, v: Value, a: Any, b: Any, ta: str, tb: str, out: str,
    groups: tuple[str, str, str, str], sizes: dict[str, int],
) -> None:  # fmt: skip
    """Schedule calls of ``gemm``, written straight into the result's layout where that works."""
    batch, free_a, free_b, summed = groups
    va, ta, ra, ca = _matrix(schedule, a, ta, batch, free_a, summed)
    vb, tb, cb, rb = _matrix(schedule, b, tb, batch, free_b, summed)
    step = len(schedule.steps)
    buffer = schedule._new("arena", 0, v)
    whole = contiguous(buffer, v.shape)
    rc, cc = _merged(whole, out, free_a), _merged(whole, out, free_b)
    order = out
    if rc is None or cc is None or 1 not in (rc, cc) or max(rc, cc) > LARGEST:
        order = batch + free_a + free_b
        whole = contiguous(buffer, tuple(sizes[s] for s in order))
        rc, cc = _merged(whole, order, free_a), 1
    assert rc is not None
    m, n, k = (math.prod(sizes[s] for s in t) for t in (free_a, free_b, summed))
    walk = [
        (sizes[s], va.strides[ta.index(s)], vb.strides[tb.index(s)], whole.strides[order.index(s)])
        for s in batch
    ]
    if cc != 1:  # the result's rows are contiguous instead: C^T = B^T A^T
        va, vb = vb, va
        ra, ca, rb, cb = cb, rb, ca, ra
        m, n, rc = n, m, cc
        walk = [(size, sb, sa, sc) for size, sa, sb, sc in walk]
    schedule.steps.append(Contraction(step, va, vb, whole, (m, n, k), (ra, ca, rb, cb, rc), walk))
    va.buffer.read_at(step)
    vb.buffer.read_at(step)
    buffer.write_at(step)
    schedule._view[v] = View(buffer, 0, tuple(whole.strides[order.index(s)] for s in out), v.shape)
    schedule._ready[v] = step + 1
