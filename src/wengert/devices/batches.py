"""Which inputs of a graph have the examples of a batch along their first axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from wengert.devices.candidates import listed
from wengert.errors import InputError, user_line
from wengert.ir.graph import Graph, Value
from wengert.jit.form import DYNAMIC
from wengert.ops.base import Traced

__all__ = ["Batch", "find_batch"]


class Batch(NamedTuple):
    """Inputs with examples along their first axis, how many, and in which arguments; or why not.

    Attributes
    ----------
    parameters : frozenset of Value
        Inputs that are no data: those without examples; where no batch is known, those of the first
        of several arguments.
    """

    inputs: tuple[Value, ...]
    examples: int | None
    why: str
    arguments: tuple[int | str, ...] = ()
    parameters: frozenset[Value] = frozenset()


def find_batch(
    graph: Graph, args: tuple[Any, ...], kwargs: dict[str, Any], batch: int | Sequence[int] | None
) -> Batch:
    """Find the inputs with examples along their first axis.

    Raises
    ------
    InputError
        For `batch` arguments that are none, or have no first axis in common.
    """
    spans = _spans(graph, args, kwargs)
    found = _found(spans, len(args), batch)
    several = len([span for span in spans.values() if span]) > 1
    first = frozenset(next(iter(spans.values()))) if several else frozenset()
    others = frozenset(graph.inputs) - set(found.inputs)
    return found._replace(parameters=first if found.examples is None else others)


def _spans(
    graph: Graph, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[int | str, list[Value]]:
    """Return the inputs that are arrays, by argument."""
    spans: dict[int | str, list[Value]] = {}
    at = 0
    given: list[tuple[int | str, Any]] = list(enumerate(args))
    for name, a in given + [(k, kwargs[k]) for k in sorted(kwargs)]:
        leaves = [x for x in optree.tree_leaves(a) if isinstance(x, (Traced, *DYNAMIC))]
        spans[name] = [v for v in graph.inputs[at : at + len(leaves)] if v.shape]
        at += len(leaves)
    return spans


def _found(
    spans: dict[int | str, list[Value]], count: int, batch: int | Sequence[int] | None
) -> Batch:
    if batch is not None:
        single = isinstance(batch, (int, np.integer, str)) or not isinstance(batch, Sequence)
        nums = (batch,) if single else tuple(batch)  # type: ignore[arg-type]
        for i in nums:
            ours = isinstance(i, (int, np.integer)) and not isinstance(i, bool)
            if not ours or not -count <= i < count:  # type: ignore[operator]
                raise InputError(
                    f"batch={batch!r}: there are {count} positional arguments; name those with "
                    f"the examples by their numbers, from 0." + user_line()
                )
        if not nums:
            return Batch((), None, "no input has a batch axis (batch=())")
        named = tuple(dict.fromkeys(int(i) % count for i in nums))  # type: ignore[arg-type]
        found = tuple(v for i in named for v in spans[i])
        lengths = sorted({v.shape[0] for v in found})
        if len(lengths) != 1:
            shapes = ", ".join(str(v.shape) for v in found) or "no array"
            raise InputError(
                f"batch={batch!r} names arguments without a common first axis: {shapes}. Name "
                f"those that have the examples along it." + user_line()
            )
        if lengths[0] < 2:
            return Batch((), None, f"a batch of {lengths[0]} has no parts", named)
        return Batch(found, lengths[0], "", named)
    first = next(iter(spans), None)
    with_axis: dict[int, list[int | str]] = {}
    for name, span in spans.items():
        lengths = sorted({v.shape[0] for v in span})
        if (name != first or len([v for v in spans.values() if v]) == 1) and len(lengths) == 1:
            with_axis.setdefault(lengths[0], []).append(name)
    by_length = {n: names for n, names in with_axis.items() if n > 1}
    if not by_length:
        short = "".join(
            f" longer than {n}: {listed(names)}" for n, names in sorted(with_axis.items())[-1:]
        )
        return Batch(
            (), None, f"no argument after the first has a batch axis{short}; name them with batch="
        )
    counts = {n: sum(len(spans[k]) for k in names) for n, names in by_length.items()}
    most = max(counts.values())
    (length, *more) = [n for n, count in counts.items() if count == most]
    if more:
        return Batch(
            (), None, f"first axes of {length} and of {more[0]}; name the batch with batch="
        )
    names = by_length[length]
    return Batch(tuple(v for k in names for v in spans[k]), length, "", tuple(names))
