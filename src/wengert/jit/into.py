"""Results written into arrays that the caller has: what `out` may be, and when memory is shared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optree

from wengert.errors import InputError, ShapeError, user_line
from wengert.ir.graph import aval_of
from wengert.jit.fastpath import OUTPUT
from wengert.trees import flattened

__all__ = ["copy_into", "share", "targets"]


def targets(
    out: Any, spec: Any, still: Sequence[Any], avals: Sequence[Any], name: str
) -> list[Any]:
    """Return the arrays of `out`, in the order of a program's outputs.

    Parameters
    ----------
    out : pytree of arrays
    spec, still
        Form of the result, and its leaves; only those that are `OUTPUT` are written.
    avals : sequence
        Shapes and dtypes of the outputs.
    name : str
        Of the function, for messages.

    Raises
    ------
    ShapeError
        For another form, or an array of another shape.
    InputError
        For something that is no writeable array, another dtype, or arrays that share memory.
    """
    leaves, given = flattened(out)
    if given != spec:
        raise ShapeError(
            f"out of {name} must have the form of its result:\n  expected {spec}\n"
            f"  got      {given}" + user_line()
        )
    found = [(y, k) for k, (y, s) in enumerate(zip(leaves, still, strict=True)) if s is OUTPUT]
    for (y, k), aval in zip(found, avals, strict=True):
        wrong = _wrong(y, aval)
        if wrong is not None:
            kind, text = wrong
            place = optree.tree_accessors(out)[k].codify("out")
            raise kind(f"{place} of {name} {text}" + user_line())
    arrays = [y for y, _ in found]
    if share(arrays, ()) and any(
        np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i]
    ):
        raise InputError(
            f"arrays in out of {name} share memory with each other; give each result an array of "
            f"its own" + user_line()
        )
    return arrays


def _wrong(y: Any, aval: Any) -> tuple[type[InputError] | type[ShapeError], str] | None:
    """Say what keeps an array from taking a result."""
    want = f"np.empty({aval.shape}, {str(aval.dtype)!r})"
    if not isinstance(y, np.ndarray):
        return InputError, f"is a {type(y).__name__}; give an array: {want}"
    if y.shape != aval.shape:
        return ShapeError, f"has shape {y.shape}, but the result has shape {aval.shape}"
    if y.dtype != aval.dtype:
        return InputError, f"has dtype {y.dtype}, but the result has dtype {aval.dtype}"
    if not y.flags.writeable:
        return InputError, f"is read-only; give a writeable array: {want}"
    return None


def share(written: Sequence[Any], read: Sequence[Any]) -> bool:
    """Whether an array that is written may overlap another one, by the bounds of their memory."""
    marked = [(*np.lib.array_utils.byte_bounds(x), True) for x in written if x.size]
    marked += [
        (*np.lib.array_utils.byte_bounds(x), False)
        for x in read
        if isinstance(x, np.ndarray) and x.size
    ]
    end = end_written = 0
    for low, high, is_written in sorted(marked):
        if low < (end if is_written else end_written):
            return True
        end = max(end, high)
        end_written = max(end_written, high) if is_written else end_written
    return False


def copy_into(out: Any, result: Any, name: str) -> Any:
    """Copy a result into arrays of the same form, and return them."""
    leaves, spec = flattened(result)
    data = [isinstance(y, (np.ndarray, np.generic, float, int, complex)) for y in leaves]
    still = [OUTPUT if d else y for y, d in zip(leaves, data, strict=True)]
    moving = [y for y, d in zip(leaves, data, strict=True) if d]
    for target, y in zip(
        targets(out, spec, still, [aval_of(y) for y in moving], name), moving, strict=True
    ):
        target[...] = y
    return out
