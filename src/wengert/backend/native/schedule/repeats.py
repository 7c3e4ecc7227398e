"""Loops and branches of a graph as steps: in registers, or as schedules of their regions.

A region that a trip runs has a schedule of its own, whose inputs and results are memory of the
graph around it. What a loop carries is in two places, of which trips take turns: one is read, the
other is written. Where a region changes what it gets in place, one of them is enough. All regions
of a step share one part of the arena, so that the size of the whole is known as of any other graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.backend.native.scalar.registers import fits
from wengert.backend.native.schedule.layout import Buffer, View
from wengert.backend.native.schedule.steps import Repeat
from wengert.ir.graph import Const, Node, Value
from wengert.llvm.code import TYPES

__all__ = ["REPEATS", "Unsupported", "repeat"]

REPEATS = ("scan", "while_loop", "cond")


class Unsupported(Exception):
    """The graph has something that native code cannot hold (a dtype), or a loop (a host call)."""


def repeat(schedule: Any, node: Node) -> bool:
    """Schedule a loop or a branch; False where a trip needs NumPy."""
    inputs = [schedule._value(x) for x in node.inputs]
    if any(isinstance(x, (Value, Const)) and x.aval.dtype not in TYPES for x in inputs):
        return False
    if any(v.dtype not in TYPES for v in node.outputs):
        return False
    if fits(node):
        _in_registers(schedule, node, inputs)
        return True
    try:
        regions = _regions(schedule, node)
    except Unsupported:
        return False
    _in_memory(schedule, node, inputs, regions)
    return True


def _in_registers(schedule: Any, node: Node, inputs: list[Any]) -> None:
    step = len(schedule.steps)
    operands = [schedule.view(x, step) if _is_array(x) else x for x in inputs]
    outs = [schedule._temporary(v) for v in node.outputs]
    _append(schedule, node, operands, outs, [], [])


def _is_array(x: Any) -> bool:
    return isinstance(x, (Value, Const))


def _regions(schedule: Any, node: Node) -> list[Any]:
    """Schedule the regions of a node."""
    attrs, kind = node.attrs, type(schedule)
    if node.op.name == "cond":
        return [kind(graph, schedule) for graph in attrs["branches"]]
    carries = attrs.get("carries", len(node.inputs) - attrs["consts"])
    body = kind(attrs["body"], schedule, {attrs["consts"] + k: k for k in range(carries)})
    return [kind(attrs["test"], schedule), body] if node.op.name == "while_loop" else [body]


def _in_memory(schedule: Any, node: Node, inputs: list[Any], regions: list[Any]) -> None:
    attrs = node.attrs
    outs = [schedule._temporary(v) for v in node.outputs]
    spare: list[View] = []
    first, carries = len(inputs), 0
    if node.op.name != "cond":
        first = attrs["consts"]
        carries = attrs.get("carries", len(inputs) - first)
        for x, v, out, made in zip(
            inputs[first : first + carries], node.outputs, outs, regions[-1].results, strict=False
        ):
            x = x if _is_array(x) else Const(np.asarray(x, v.dtype))
            schedule.copy_into(schedule.view(x, schedule.ready(x)), out)
            spare.append(out if made.buffer.owned else schedule._temporary(v))
    operands: list[Any] = []
    for k, x in enumerate(inputs):
        if first <= k < first + carries:
            operands.append(None)
            continue
        x = x if _is_array(x) else Const(np.asarray(x))
        view = schedule.view(x, schedule.ready(x))
        if not _is_whole(view, rows=k >= first + carries and node.op.name == "scan"):
            view = schedule.copy(x, view)
        operands.append(view)
    operands[first : first + carries] = outs[:carries]
    scratch = Buffer("arena", 0, np.dtype(np.uint8), 0)
    schedule.buffers.append(scratch)
    _append(schedule, node, operands, outs, regions, spare, scratch)


def _is_whole(view: View, rows: bool) -> bool:
    """Whether the elements, or those of each row, are without gaps."""
    if not rows:
        return view.is_contiguous
    return View(view.buffer, 0, view.strides[1:], view.shape[1:]).is_contiguous


def _append(
    schedule: Any,
    node: Node,
    operands: list[Any],
    outs: list[View],
    regions: list[Any],
    spare: list[View],
    scratch: Buffer | None = None,
) -> None:
    step = len(schedule.steps)
    for x in operands:
        if isinstance(x, View):
            x.buffer.read_at(step)
    for v, out in zip(node.outputs, outs, strict=True):
        schedule._view[v] = out
        schedule._ready[v] = step + 1
    written = [x.buffer for x in (*outs, *spare)]
    for b in written if scratch is None else [*written, scratch]:
        b.write_at(step)
        b.read_at(step)
    schedule.steps.append(Repeat(step, node, operands, outs, regions, spare, scratch))
