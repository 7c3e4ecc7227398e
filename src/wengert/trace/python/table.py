"""The table of stand-ins, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optree

from wengert.follow.functions import FINISH, STAND_INS, STAND_INS_BESIDE_STORES
from wengert.trace.fresh import COUNT, is_fresh, leave_plain, made_plain
from wengert.trace.tracer import Tracer

__all__ = ["among", "find", "stands_for"]


def stands_for(
    *functions: Any, beside_stores: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what is called in the place of functions.

    Parameters
    ----------
    *functions
        Of Python or NumPy.
    beside_stores : bool
        Whether only in code that writes into arrays.
    """
    table = STAND_INS_BESIDE_STORES if beside_stores else STAND_INS

    def put(stand_in: Callable[..., Any]) -> Callable[..., Any]:
        for f in functions:
            table[f] = stand_in
        return stand_in

    return put


def find(x: Any) -> Tracer | None:
    """Return a traced value in nested lists and tuples, or None; one with a derivative if any."""
    kind = type(x)
    if kind is Tracer:
        return x  # type: ignore[no-any-return]
    found = None
    if kind is list or kind is tuple:
        for item in x:
            t = find(item)
            if t is not None:
                if not is_fresh(t):
                    return t
                found = t
    return found


def among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tracer | None:
    """Return a traced value among the arguments of a call, or None."""
    found = find(args)
    return find(list(kwargs.values())) if found is None and kwargs else found


def _finish(out: Any) -> Any:
    """Return the result of a call with plain arrays in place of handles of them."""
    kind = type(out)
    if kind is Tracer:
        return _own(out)
    if kind is tuple or kind is list:
        made = [_finish(x) for x in out]
        return kind(made) if any(a is not b for a, b in zip(made, out, strict=True)) else out
    if kind is dict:
        changed = {k: _finish(x) for k, x in out.items()}
        return changed if any(changed[k] is not out[k] for k in out) else out
    if out is None or isinstance(out, (np.ndarray, np.generic, int, float, complex, str)):
        return out
    return optree.tree_map(_own, out)


def _own(x: Any) -> Any:
    """Return the plain array of a handle, which the caller may change: nothing else reads it."""
    if not is_fresh(x):
        return x
    shared = x._var.shared
    made = made_plain(x)
    return made.copy() if shared and type(made) is np.ndarray else made


FINISH[:] = [COUNT, _finish, leave_plain]
