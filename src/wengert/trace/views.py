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
from wengert.ops.base import Traced
from wengert.ops.index import index_set
from wengert.ops.shape import inverse, reshape, transpose
from wengert.trace import layout, memory
from wengert.trace.joined import PART, joined
from wengert.trace.orders import ORDERS

__all__ = [
    "View",
    "assign",
    "attach",
    "delivered",
    "doubt",
    "duplicate",
    "flattened",
    "is_contiguous",
    "overlap",
    "own",
    "refresh",
    "reshaped",
    "root",
    "shares",
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


class Along:
    """A function of NumPy that returns a view, as an operation on handles.

    Parameters
    ----------
    name : str
    call : callable
        The function on handles: ``call(base, **attrs)``.
    evaluate : callable
        NumPy's, on plain arrays.
    follow : callable, optional
        From the shape and strides of the base and the attributes to the strides of the view.
    put : callable, optional
        ``put(base, new, **attrs)`` is the base after an update of the view. Without it the view is
        read-only.
    """

    def __init__(
        self, name: str, call: Any, evaluate: Any, follow: Any = None, put: Any = None
    ) -> None:
        self.name = name
        self.alias = "readonly" if put is None else "along"
        self.evaluate = evaluate
        self.follow = follow
        self.put = put
        self._call = call

    def __call__(self, base: Any, **attrs: Any) -> Any:
        """Apply the function; its result lies in the order in which NumPy goes through a view."""
        y = self._call(base, **attrs)
        if self.follow is None or len(y.shape) < 2:
            return y
        own = self.follow(base.shape, memory.strides(base), attrs)
        return memory.ordered(y, layout.iterated(y.shape, [(y.shape, own)]))


_SHARING = (
    "array", "array_split", "asanyarray", "asarray", "ascontiguousarray", "asfortranarray",
    "astype", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to", "diag",
    "diagonal", "diff", "dsplit", "einsum", "expand_dims", "flip", "fliplr", "flipud", "hsplit",
    "imag", "ix_", "matrix_transpose", "meshgrid", "moveaxis", "nan_to_num", "permute_dims",
    "polyder", "polyint", "ravel", "real", "real_if_close", "require", "reshape", "rollaxis",
    "rot90", "split", "squeeze", "swapaxes", "transpose", "trim_zeros", "unstack", "vsplit",
)  # fmt: skip
SHARING = frozenset(
    {getattr(np, name, None) for name in _SHARING}
    | {np.lib.stride_tricks.sliding_window_view, np.linalg.matrix_power, np.linalg.eigvals}
    | {getattr(np.linalg, name, None) for name in ("diagonal", "matrix_transpose")}
)
"""Functions of NumPy whose result may share memory with an argument, or with complex numbers that
nobody else sees; others return new arrays."""


def delivered(function: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a function as a handle of its own where NumPy returns a new array."""
    rule = ORDERS.get(function)
    if rule is not None and kwargs.get("out") is None:
        result = rule(result, args, kwargs)
    if not isinstance(result, Traced) or function in SHARING or "out" in kwargs:
        return result
    if result._view is None:
        for a in args:
            if result is a:
                break
        else:
            return result
    result._refresh()
    return duplicate(result)


def attach(view: Any, base: Any, op: Any, attrs: dict[str, Any]) -> Any:
    """Remember that `view` was made from `base` by an operation that shares memory in NumPy.

    A view of one of NumPy's scalars is a copy.
    """
    if type(view) is type(base) and issubclass(type(base), Traced) and view is not base:
        if not base.shape and not base._is_array():
            return view
        if base._clock is None:
            base._clock = [0, False]
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
    _shorten(handle)
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


def _shorten(handle: Any) -> None:
    """Make a view of views a view of the first base, as far as the steps go together."""
    if handle._view.base._view is None:
        return
    chain = []
    base = handle
    while base._view is not None:
        chain.append(base)
        base = base._view.base
    step: Any = None
    for h in reversed(chain):
        link = h._view
        made: Any = (link.op, link.attrs)
        if step is not None:
            made = joined(base.shape, step, link.base.shape, made)
            if made is None:
                _rest(link.base, base, step)
                base, made = link.base, (link.op, link.attrs)
        step = made
    _rest(handle, base, step)


def _rest(handle: Any, base: Any, step: Any) -> None:
    """Let a handle be a view of `base`."""
    if handle._view.base is not base:
        handle._view = View(base, *step)
        handle._view.seen, handle._view.tick = None, -1


def assign(handle: Any, new: Any) -> None:
    """Let a handle, and everything that it is a view of, stand for a new value."""
    if handle._view is not None:
        _shorten(handle)
    handle._refresh()
    changes = [(handle, new)]
    link = handle._view
    while link is not None:
        new = write(link.base, link.op, link.attrs, new)
        changes.append((link.base, new))
        link = link.base._view
    if changes[0][1].shape:
        changes = [(h, _laid(h, value)) for h, value in changes]
    clock = handle._clock
    if clock is not None:
        clock[0] += 1
        if clock[1]:
            memory.decided()
    for h, value in reversed(changes):
        if _WATCHING.lists:
            _note(h)
        h._trace, h._var = value._trace, value._var
        h._version += 1
        if h._view is not None:
            h._view.seen = h._view.base._var
            h._view.tick = h._clock[0]


def _laid(handle: Any, value: Any) -> Any:
    """Remember how the memory of a handle is laid out, and put a new value in its order of axes."""
    flat = len(value.shape) < 2
    if flat and handle._view is not None:
        return value
    want = handle._layout = memory.strides(handle)
    return value if flat else memory.settle(value, want)


def write(base: Any, op: Any, attrs: dict[str, Any], new: Any) -> Any:
    """Return the value of `base` after its view ``op(base, **attrs)`` was set to `new`."""
    kind = op.alias
    if kind == "getitem":
        return index_set(base, new, **attrs)
    if op is PART:
        return index_set(base, transpose(new, axes=inverse(attrs["axes"])), spec=attrs["spec"])
    if kind == "reshape":
        return reshape(new, shape=base.shape)
    if kind == "transpose":
        return transpose(new, axes=inverse(attrs["axes"]))
    if kind == "real":
        return new + 1j * np.imag(base)
    if kind == "imag":
        return np.real(base) + 1j * new
    if kind == "along":
        return op.put(base, new, **attrs)
    if op is UNCERTAIN:
        _refuse_uncertain(base)
    raise MutationError(
        f"the result of np.{op.name} is a read-only view, as in NumPy; copy it before writing "
        "into it: y = y.copy()" + user_line()
    )


# --- where NumPy's reshape copies -----------------------------------------------------------------
def reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    """Return ``x.reshape(shape)``: a view, or a copy where strides do not allow one."""
    y = reshape(x, shape=shape)
    if type(y) is not type(x):
        return y
    before = x.shape
    if len(before) < 2 or [n for n in before if n != 1] == [n for n in shape if n != 1]:
        return attach(y, x, reshape, {"shape": shape})
    doubt(x)
    size = x.dtype.itemsize
    made = layout.reshaped(before, memory.strides(x), shape, size)
    if made is not None:
        y._layout = made
        return attach(y, x, reshape, {"shape": shape})
    if is_batched(x):
        return attach(y, x, UNCERTAIN, {"shape": shape})
    y = own(y, layout.row_major(shape, size))
    doubt(y)
    return y


def own(y: Any, want: Any) -> Any:
    """Return a result as an array of its own, laid out like `want`."""
    y = memory.settle(y, want)
    y = type(y)(y._trace, y._var)
    y._layout = want
    return y


def duplicate(x: Any) -> Any:
    """Return a copy of a handle, in the order of its memory."""
    return own(x, layout.compact(x.shape, layout.kept(memory.strides(x)), x.dtype.itemsize))


def flattened(x: Any) -> Any:
    """Return a copy of the elements of a handle in C order, where NumPy's ``ravel`` copies."""
    y = reshape(x, shape=(x.size,))
    if is_batched(x):
        return attach(y, x, UNCERTAIN, {"shape": y.shape})
    doubt(x)
    y._layout = (x.dtype.itemsize,)
    doubt(y)
    return y


def doubt(x: Any) -> None:
    """Note that an update of a handle or of its relatives reaches others by its layout."""
    x = root(x)
    if x._clock is None:
        x._clock = [0, True]
    else:
        x._clock[1] = True


def root(x: Any) -> Any:
    """Return the array that a handle is a view of, or the handle."""
    while x._view is not None:
        x = x._view.base
    return x


def shares(a: Any, b: Any) -> bool:
    """Whether handles belong to one family."""
    return a is b or (a._clock is not None and a._clock is b._clock)


def overlap(function: Any, a: Any, b: Any) -> bool:
    """Ask NumPy whether two handles share memory: of arrays that are laid out as theirs are."""
    if not shares(a, b):
        return False
    memory.decided()
    base = root(a)
    order = layout.kept(memory.strides(base))
    plain = np.empty([base.shape[i] for i in order], base.dtype).transpose(np.argsort(order))
    return bool(function(_replayed(a, plain), _replayed(b, plain)))


def _replayed(x: Any, data: Any) -> Any:
    links = []
    while x._view is not None:
        links.append(x._view)
        x = x._view.base
    for link in reversed(links):
        data = getattr(link.op, "evaluate", link.op)(data, **link.attrs)
    return data


def is_contiguous(x: Any) -> bool:
    """Whether NumPy would hold the elements of a handle in C order without gaps."""
    return layout.is_c(x.shape, memory.strides(x), x.dtype.itemsize)


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


UNCERTAIN = Along("reshape", _refuse_uncertain, lambda x, *, shape: np.reshape(x, shape))
"""Stands for a reshape that copies, under ``vmap``: neither side may be updated in place."""
