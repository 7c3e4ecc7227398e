"""Views: handles that share memory in NumPy, and how an update of one reaches the others.

A view remembers its base and the operation that made it. Handles of one family (a base, its
views, their views) share a clock that counts updates. An update is written through to the base at
once; the other views find out when they are next read, by the clock.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from wengert.errors import MutationError, user_line
from wengert.ops import elementwise as ew
from wengert.ops.base import Op, Traced
from wengert.ops.index import index_set
from wengert.ops.shape import inverse, reshape, transpose

__all__ = [
    "View",
    "assign",
    "attach",
    "delivered",
    "is_contiguous",
    "real_or_complex",
    "refresh",
    "reshapes_in_place",
    "watched",
    "write",
]


class View:
    """How a handle was made from its base, and which state of the base it shows."""

    __slots__ = ("attrs", "base", "op", "seen", "tick")

    def __init__(self, base: Any, op: Any, attrs: dict[str, Any]) -> None:
        self.base = base
        self.op = op
        self.attrs = attrs
        self.seen = base._var
        self.tick = base._clock[0]


class ReadOnly:
    """A function of NumPy that returns a read-only view, as an operation on handles."""

    alias = "readonly"

    def __init__(self, name: str, call: Any, evaluate: Any) -> None:
        self.name = name
        self.evaluate = evaluate
        self._call = call

    def __call__(self, base: Any, **attrs: Any) -> Any:
        """Apply the function."""
        return self._call(base, **attrs)


_SHARING = (
    "array", "array_split", "asanyarray", "asarray", "ascontiguousarray", "atleast_1d",
    "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to", "diag", "diagonal", "diff",
    "dsplit", "einsum", "expand_dims", "flip", "fliplr", "flipud", "hsplit", "imag",
    "matrix_transpose", "meshgrid", "moveaxis", "nan_to_num", "permute_dims", "ravel", "real",
    "real_if_close", "reshape", "rollaxis", "rot90", "split", "squeeze", "swapaxes", "transpose",
    "unstack", "vsplit",
)  # fmt: skip
SHARING = frozenset(getattr(np, name, None) for name in _SHARING)
"""Functions of NumPy whose result may share memory with an argument; others return new arrays."""


def delivered(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a function as a handle of its own where NumPy returns a new array."""
    if not isinstance(result, Traced) or function in SHARING or "out" in kwargs:
        return result
    if result._view is None and not any(result is a for a in args):  # type: ignore[attr-defined]
        return result
    result._refresh()  # type: ignore[attr-defined]
    return type(result)(result._trace, result._var)  # type: ignore[call-arg, attr-defined]


def attach(view: Any, base: Any, op: Any, attrs: dict[str, Any]) -> Any:
    """Remember that `view` was made from `base` by an operation that shares memory in NumPy."""
    if view is not base and hasattr(base, "_clock") and type(view) is type(base):
        if base._clock is None:
            base._clock = [0]
        view._clock = base._clock
        view._view = View(base, op, attrs)
    return view


class _Watching(threading.local):
    def __init__(self) -> None:
        self.lists: list[dict[int, tuple[Any, Any, Any]]] = []


_WATCHING = _Watching()


@contextlib.contextmanager
def watched() -> Iterator[list[tuple[Any, Any, Any]]]:
    """List the handles that come to stand for another value meanwhile, in this thread.

    Yields
    ------
    list of (handle, trace, var)
        Filled at the end; trace and var are what the handle stood for before.
    """
    moved: dict[int, tuple[Any, Any, Any]] = {}
    found: list[tuple[Any, Any, Any]] = []
    _WATCHING.lists.append(moved)
    try:
        yield found
    finally:
        _WATCHING.lists.pop()
        found += moved.values()


def _note(handle: Any) -> None:
    for moved in _WATCHING.lists:
        moved.setdefault(id(handle), (handle, handle._trace, handle._var))


def refresh(handle: Any) -> None:
    """Bring a view, and the views that it is made from, up to date with the base of all."""
    now = handle._clock[0]
    stale = []
    while handle._view is not None and handle._view.tick != now:
        stale.append(handle)
        handle = handle._view.base
    for handle in reversed(stale):
        link = handle._view
        if link.base._var is not link.seen:
            new = link.op(link.base, **link.attrs)
            if _WATCHING.lists:
                _note(handle)
            handle._trace, handle._var = new._trace, new._var
            handle._version += 1
            link.seen = link.base._var
        link.tick = now


def assign(handle: Any, new: Any) -> None:
    """Let a handle, and everything that it is a view of, stand for a new value."""
    handle._refresh()
    changes = [(handle, new)]
    link = handle._view
    while link is not None:
        new = write(link.base, link.op, link.attrs, new)
        changes.append((link.base, new))
        link = link.base._view
    root = changes[-1][0]
    if root._layout is None and len(root.shape) > 1:
        root._layout = layout(root)
    if root._clock is not None:
        root._clock[0] += 1
    for h, value in reversed(changes):
        if _WATCHING.lists:
            _note(h)
        h._trace, h._var = value._trace, value._var
        h._version += 1
        if h._view is not None:
            h._view.seen = h._view.base._var
            h._view.tick = h._clock[0]


def write(base: Any, op: Any, attrs: dict[str, Any], new: Any) -> Any:
    """Return the value of `base` after its view ``op(base, **attrs)`` was set to `new`."""
    kind = op.alias
    if kind == "getitem":
        return index_set(base, new, **attrs)
    if kind == "reshape":
        return reshape(new, shape=base.shape)
    if kind == "transpose":
        return transpose(new, axes=inverse(attrs["axes"]))
    if kind == "real":
        return new + 1j * np.imag(base)
    if kind == "imag":
        return np.real(base) + 1j * new
    if op is UNCERTAIN:
        _refuse_uncertain(base)
    raise MutationError(
        f"the result of np.{op.name} is a read-only view, as in NumPy; copy it before writing "
        "into it: y = y.copy()" + user_line()
    )


# --- where NumPy's reshape copies -----------------------------------------------------------------
def layout(x: Any) -> Any:
    """Return an array whose memory is laid out as that of the first value of a handle.

    "C" stands for row-major order and for a handle of which nothing is known.
    """
    data = example(x._trace, x._var)
    return "C" if data is None or data.flags.c_contiguous else data


def example(trace: Any, var: Any) -> Any:
    """Return the plain array under a value (one example of a batch), or None."""
    data = var.data
    if isinstance(data, Traced):
        data = example(data._trace, data._var)  # type: ignore[attr-defined]
    if not isinstance(data, np.ndarray):
        return None
    if getattr(var, "batched", False):
        return data[0] if len(data) else None
    return data


def template(x: Any) -> Any:
    """Return an array whose memory is laid out as NumPy's would be, or "C" for row-major order.

    The data that a handle holds need not be: an update in place makes a new array.
    """
    links = []
    while x._view is not None:
        links.append(x._view)
        x = x._view.base
    data = layout(x) if x._layout is None else x._layout
    if isinstance(data, str):
        if all(link.op.alias == "reshape" for link in links):
            return "C"
        data = np.empty(x.shape, x.dtype)
    for link in reversed(links):
        if link.op.name == "broadcast_to":
            data = np.broadcast_to(data, **link.attrs)
        else:
            data = link.op.evaluate(data, **link.attrs)
    return "C" if data.flags.c_contiguous else data


def ordered(x: Any, dtype: Any) -> Any:
    """Return zeros laid out as NumPy's copy of a handle in its own order (``order="K"``).

    None where converting the data itself gives that order.
    """
    if len(x.shape) < 2 or (x._view is None and x._layout is None):
        return None
    data = template(x)
    if isinstance(data, str):
        held = example(x._trace, x._var)
        return None if held is None or held.flags.c_contiguous else np.zeros(x.shape, dtype)
    return np.zeros_like(data, dtype=dtype)


def is_contiguous(x: Any) -> bool:
    """Whether NumPy would hold the elements of a handle in C order without gaps."""
    data = template(x)
    return isinstance(data, str) or bool(data.flags.c_contiguous)


def reshapes_in_place(x: Any, shape: tuple[int, ...]) -> bool:
    """Whether NumPy's ``x.reshape(shape)`` is a view; it copies when strides do not allow one."""
    data = template(x)
    if isinstance(data, str):
        return True
    try:
        np.reshape(data, shape, copy=False)
    except ValueError:
        return False
    except TypeError:  # NumPy 2.0 has no copy=
        return bool(np.may_share_memory(data, np.reshape(data, shape)))
    return True


def is_batched(x: Any) -> bool:
    """Whether a value is part of a batch, so that an example's strides are not NumPy's own."""
    var = x._var
    while True:
        if getattr(var, "batched", False):
            return True
        if not isinstance(var.data, Traced):
            return False
        var = var.data._var  # type: ignore[attr-defined]


def _refuse_uncertain(base: Any, **attrs: Any) -> Any:
    raise MutationError(
        "an array and its reshape were used together after one of them was updated in place "
        "under vmap, where it is not known whether NumPy's reshape of one example is a view or a "
        "copy. Write x.reshape(shape).copy(), or update before reshaping." + user_line()
    )


UNCERTAIN = ReadOnly("reshape", _refuse_uncertain, lambda x, *, shape: np.reshape(x, shape))
"""Stands for a reshape that copies, under ``vmap``: neither side may be updated in place."""


def real_or_complex(op: Op, x: Any) -> Any:
    """Apply ``absolute`` or ``sign``, whose derivatives differ for complex numbers."""
    if x.dtype.kind != "c":
        return op(x)
    modulus = ew.complex_absolute(x)
    if op is ew.absolute:
        return modulus
    return x / np.where(modulus == 0, 1, modulus)
