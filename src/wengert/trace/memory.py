"""Where NumPy would hold the elements of a traced value, and who decides by it.

The data under a handle is laid out as NumPy's: operations are evaluated with NumPy, and what comes
out in another order of axes is put in order (`settle`). Gaps are not kept: an update in place makes
a new array. So a handle remembers its own strides from then on, and a view follows from its base.

A recording holds for the layouts of its arguments only if something was decided by one
(`decided`): the order of elements in ``ravel(order="K")``, or an update of an array whose reshape
is a view or a copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.ir.graph import Const, Value, aval_of
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.ops.control import stop_gradient
from wengert.ops.convert import convert, select
from wengert.ops.index import getitem, index_add, index_set, is_basic
from wengert.ops.shape import broadcast_to, reshape, transpose
from wengert.trace import layout
from wengert.trace.active import ACTIVE
from wengert.trace.joined import PART
from wengert.trace.layout import Layout
from wengert.trace.lazy import Folded, LazyValue

__all__ = [
    "arranged",
    "as_iterated",
    "converted",
    "decided",
    "example",
    "held",
    "of_form",
    "of_value",
    "order_of",
    "ordered",
    "settle",
    "small_form",
    "strides",
]


def strides(x: Any) -> Layout:
    """Return NumPy's strides of a handle, in bytes."""
    found: Layout | None = x._layout
    if found is not None:
        return found
    below = []
    while found is None and x._view is not None:
        below.append(x)
        x = x._view.base
        found = x._layout
    if found is None:
        found = of_value(x._var)
    for h in reversed(below):
        link = h._view
        found = h._layout = _viewed(link.op, link.attrs, link.base, found)
    return found


def of_value(var: Any) -> Layout:
    """Return the strides of the data of a value; of one example of a batch."""
    if type(var) is LazyValue:
        if var.strides is not None:
            return var.strides
        if not var.is_known:
            return _lazy_layout(var)
    elif type(var) is Folded:
        for fold in ACTIVE.folds:
            found = fold.like(var)
            if found is not None:
                return of_value(found)
    data = var.data
    if isinstance(data, np.ndarray):
        made: Layout = data.strides
    elif isinstance(data, Traced) and data is not var:
        made = of_value(data._var)  # type: ignore[attr-defined]
    else:
        made = layout.row_major(shape_of(data), 8)
    if getattr(var, "batched", False):
        made = made[1:]
        if var.fresh:  # NumPy would make an array for each example
            shape, dtype = shape_of(data)[1:], data.dtype
            made = layout.compact(shape, layout.kept(made), dtype.itemsize)
    return made


def converted(a: Any, dtype: np.dtype[Any], order: str = "K") -> Any:
    """Copy as another dtype, laid out as NumPy's copy in this order is."""
    if order not in ("C", "F", "A", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', 'K', not {order!r}" + user_line())
    if not isinstance(a, Traced) or len(shape_of(a)) < 2:
        return convert(a, dtype=dtype)
    wanted = order_of(a, order)
    return arranged(a, dtype, range(len(shape_of(a))) if wanted == "C" else wanted)


def held(x: Any) -> Any:
    """Turn a traced scalar into an array without axes, as `numpy.array` does."""
    if not isinstance(x, Traced) or x._is_array():  # type: ignore[attr-defined]
        return x
    return index_set(np.zeros((), dtype_of(x)), x, spec=())


def example(trace: Any, var: Any) -> Any:
    """Return the plain array under a value (one example of a batch), or None."""
    data = var.data
    if isinstance(data, Traced) and data is not var:
        data = example(data._trace, data._var)  # type: ignore[attr-defined]
    if not isinstance(data, np.ndarray):
        return None
    if getattr(var, "batched", False):
        return data[0] if len(data) else None
    return data


def order_of(x: Any, order: str) -> Any:
    """Return what `order` means for a copy of a handle: "C", or its axes from slow to fast."""
    rank = len(x.shape)
    if order == "C" or rank < 2:
        return "C"
    if order == "F":
        return list(range(rank))[::-1]
    own, size = strides(x), x.dtype.itemsize
    if layout.is_c(x.shape, own, size):
        return "C"
    if layout.is_f(x.shape, own, size):
        return list(range(rank))[::-1]
    return layout.kept(own) if order == "K" else "C"


def settle(new: Any, want: Layout) -> Any:
    """Return a value whose data has its axes in the order of a layout."""
    shape = new.shape
    if len(shape) < 2 or layout.same_order(shape, of_value(new._var), want):
        return new
    return arranged(new, new.dtype, layout.kept(want))


def arranged(x: Any, dtype: Any, order: Any) -> Any:
    """Return a copy of a handle as a dtype, with its axes from slow to fast in `order`."""
    shape, have = x.shape, of_value(x._var)
    want = layout.compact(shape, order, 1)
    attrs = {} if layout.kept_like(shape, have, want) else {"order": tuple(order)}
    y = convert(x, dtype=dtype, **attrs)
    # A conversion to integers may come back as a plain array, which cannot be updated.
    return y if getattr(y, "_trace", None) is x._trace else x._trace.lift(y)


def ordered(y: Any, order: Any) -> Any:
    """Return a new result with its axes from slow to fast in `order`; as it is for None."""
    if order is None or len(shape_of(y)) < 2:
        return y
    if isinstance(y, np.ndarray):
        return y.transpose(order).copy(order="C").transpose(np.argsort(order))
    return settle(y, layout.compact(shape_of(y), order, 8))


def as_iterated(result: Any, inputs: Any) -> Any:
    """Return the results of a ufunc in the order in which NumPy goes through its arguments."""
    if isinstance(result, tuple):
        return tuple([as_iterated(y, inputs) for y in result])
    if len(shape_of(result)) < 2:
        return result
    operands = [
        (shape_of(x), strides(x) if isinstance(x, Traced) else x.strides)
        for x in inputs
        if isinstance(x, (Traced, np.ndarray))
    ]
    return ordered(result, layout.iterated(shape_of(result), operands))


def decided() -> None:
    """Say that something was decided by a layout; recordings at work then depend on it."""
    for recorder in ACTIVE.recorders:
        recorder.laid = True


def _viewed(op: Any, attrs: dict[str, Any], base: Any, own: Layout) -> Layout:
    """Return the strides of a view of a handle."""
    shape: tuple[int, ...] = base.shape
    if op.alias in ("real", "imag"):
        return own
    if op is PART:
        part = layout.indexed(shape, own, attrs["spec"])
        return tuple([part[i] for i in attrs["axes"]])
    if getattr(op, "follow", None) is not None:
        return tuple(op.follow(shape, own, attrs))
    return _moved(op, attrs, shape, own, base.dtype.itemsize)


def _moved(op: Any, attrs: dict[str, Any], shape: Any, own: Layout, size: int) -> Layout:
    """Return the strides of what an operation that moves no element makes."""
    if op is getitem:
        return layout.indexed(shape, own, attrs["spec"])
    if op is transpose:
        return tuple([own[i] for i in attrs["axes"]])
    if op is broadcast_to:
        return layout.spread(shape, own, attrs["shape"])
    new = attrs["shape"]
    made = layout.reshaped(shape, own, new, size)
    return layout.row_major(new, size) if made is None else made


# --- values that were not computed ----------------------------------------------------------------
def _lazy_layout(var: LazyValue) -> Layout:
    """Work out the strides of a lazy value from those that it is made of."""
    if var.node is None:  # one of a loop that is being taken in
        for fold in ACTIVE.folds:
            found = fold.like(var)
            if found is not None:
                var.strides = of_value(found)
                return var.strides
        var._trace.settle()
    waiting = [var]
    while waiting:
        v = waiting[-1]
        if v.strides is None:
            node = v.node
            needed = [
                x
                for x in node.inputs
                if type(x) is LazyValue and not x.is_known and x.strides is None
            ]
            if needed:
                waiting += needed
                continue
            v.strides = _made(node, v.aval)
        waiting.pop()
    assert var.strides is not None
    return var.strides


def _is_open(x: LazyValue) -> bool:
    return not x.is_known and x.strides is None


def _operand(x: Any) -> tuple[tuple[int, ...], Layout]:
    if isinstance(x, Value):
        return x.shape, of_value(x)
    data = x.data if isinstance(x, Const) else x
    return (data.shape, data.strides) if isinstance(data, np.ndarray) else ((), ())


_MOVES = (reshape, transpose, broadcast_to)


def _made(node: Any, aval: Any) -> Layout:
    op, shape, size = node.op, aval.shape, aval.dtype.itemsize
    if len(shape) < 2 and op not in _MOVES and op is not getitem:
        return layout.row_major(shape, size)
    first, own = _operand(node.inputs[0])
    if op in _MOVES or (op is getitem and is_basic(node.attrs["spec"])):
        return _moved(op, node.attrs, first, own, size)
    if op is stop_gradient or op is convert or op is index_set or op is index_add:
        return layout.compact(shape, node.attrs.get("order") or layout.kept(own), size)
    if op.ufunc is not None or op is select:
        operands = [_operand(x) for x in node.inputs]
        return layout.compact(shape, layout.iterated(shape, operands), size)
    return layout.compact(shape, layout.kept(_tried(node).strides), size)


def _tried(node: Any) -> Any:
    """Evaluate an operation on small arrays whose axes lie in the same order."""
    small = []
    for x in node.inputs:
        shape, own = _operand(x)
        small.append(_small(shape, own, aval_of(x).dtype) if shape else aval_of(x).dtype.type(1))
    attrs = node.attrs
    if node.op is getitem:
        return _indexed(small[0], small[1:], attrs["spec"])
    with np.errstate(all="ignore"):
        return np.asarray(node.op.evaluate(*small, **attrs))


def _indexed(small: Any, index: Any, spec: Any) -> Any:
    """Read a small array at its first elements, with the axes of the index."""
    full = [slice(None) if isinstance(s, slice) else 0 if type(s) is int else s for s in spec]
    return np.asarray(getitem.evaluate(small, *map(np.zeros_like, index), spec=tuple(full)))


def as_indexed(y: Any, x: Any, arrays: Any, spec: Any) -> Any:
    """Return an example of a batch, read at arrays, in the order in which NumPy reads one."""
    small = [of_form(small_form(i)) for i in (x, *arrays)]
    index = [np.zeros_like(i, np.intp) for i in small[1:]]
    return ordered(y, layout.kept(_indexed(small[0], index, spec).strides))


def _small(shape: tuple[int, ...], own: Layout, dtype: Any) -> Any:
    return of_form(_form(shape, own, dtype))


def small_form(x: Any) -> Any:
    """Return what `of_form` makes a small array of, in the order of a handle's or array's axes."""
    own = strides(x) if isinstance(x, Traced) else getattr(x, "strides", ())
    return _form(shape_of(x), own, x.dtype)


def _form(shape: tuple[int, ...], own: Layout, dtype: Any) -> Any:
    zero = tuple([i for i, (n, s) in enumerate(zip(shape, own, strict=True)) if n > 1 and not s])
    return tuple([min(n, 2) for n in shape]), tuple(layout.kept(own)), zero, dtype


def of_form(form: Any) -> Any:
    """Return an array of ones with at most two elements along each axis."""
    few, order, zero, dtype = form
    made = np.ones([few[i] for i in order], dtype).transpose(np.argsort(order))
    if zero:
        once = tuple([slice(1) if i in zero else slice(None) for i in range(len(few))])
        made = np.broadcast_to(made[once], few)
    return made
