"""In which order of memory NumPy's functions return new arrays, where what stands for them differs.

NumPy's functions that are written in terms of others make their results in C order, in that of the
first argument, or in Fortran order where that argument is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.ops.base import Traced, shape_of
from wengert.trace import layout, memory

__all__ = ["ORDERS", "laid"]


def laid(y: Any, x: Any, order: str) -> Any:
    """Return a new result whose axes lie as those of NumPy's copy of `x` in an order do."""
    if len(shape_of(y)) < 2:
        return y
    wanted: Any
    if order == "C" or len(shape_of(x)) != len(shape_of(y)):
        wanted = range(len(shape_of(y)))
    elif order == "A" and isinstance(x, np.ndarray):
        wanted = layout.kept(np.empty_like(x, order="A").strides)
    elif isinstance(x, np.ndarray):
        wanted = layout.kept(x.strides)
    else:
        wanted = memory.order_of(x, order)
        wanted = range(len(shape_of(y))) if wanted == "C" else wanted
    return memory.ordered(y, wanted)


_NAMES = ("a", "arr", "array", "f", "p", "x")
"""What NumPy calls the array that a result lies like, in functions of this table."""


def _like(order: str, place: int = 0) -> Any:
    def rule(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) > place:
            x = args[place]
        else:
            named = [kwargs[k] for k in _NAMES if k in kwargs]
            x = named[-1] if named else result
        if isinstance(result, (tuple, list)):
            return type(result)([laid(y, x, order) for y in result])
        return laid(result, x, order)

    return rule


def _rounded(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    decimals = args[1] if len(args) > 1 else kwargs.get("decimals", 0)
    return _like("A")(result, args, kwargs) if decimals else result


def _filled(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    in_place = not (args[1] if len(args) > 1 else kwargs.get("copy", True))
    return result if in_place else _like("K")(result, args, kwargs)


BLOCK = 2 * 512 * 512
"""Elements from which `numpy.block` fills an array instead of concatenating."""


def _block(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Copy in C order, or as `numpy.block` fills: in Fortran order if all parts are."""
    (parts,) = args or tuple(kwargs.values())
    if not isinstance(parts, list):
        return laid(result, result, "C")
    if math.prod(shape_of(result)) <= BLOCK:
        return result
    found = list(_flat(parts))
    fortran = all(_is(layout.is_f, x) for x in found) and not all(
        _is(layout.is_c, x) for x in found
    )
    if not isinstance(result, Traced):
        return result
    axes = range(len(shape_of(result)))
    return memory.ordered(result, axes[::-1] if fortran else axes)


def _flat(parts: Any) -> Any:
    for p in parts:
        if isinstance(p, list):
            yield from _flat(p)
        else:
            yield p


def _is(test: Any, x: Any) -> bool:
    if not isinstance(x, (Traced, np.ndarray)):
        return True
    own = memory.strides(x) if isinstance(x, Traced) else x.strides
    return bool(test(shape_of(x), own, x.dtype.itemsize))  # type: ignore[union-attr]


def _tiled(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep the order of the argument where nothing is repeated, and copy in C order otherwise."""
    reps = args[1] if len(args) > 1 else kwargs["reps"]
    return result if np.all(np.equal(reps, 1)) else laid(result, result, "C")


def _rolled(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep the order of the argument along axes; the flat array is rolled in C order."""
    axis = args[2] if len(args) > 2 else kwargs.get("axis")
    return _like("C" if axis is None else "K")(result, args, kwargs)


def _below(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Lay several quantiles behind each other for each place, as they are found there."""
    q = args[1] if len(args) > 1 else kwargs["q"]
    rank = len(shape_of(result))
    many = range(rank) if not np.ndim(q) else (*range(np.ndim(q), rank), *range(np.ndim(q)))
    return result if rank < 2 else memory.ordered(result, many)


def _deleted(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep Fortran order for a number or a range; an array of indices indexes the argument."""
    named = dict(zip(("arr", "obj", "axis"), args, strict=False)) | kwargs
    x, obj, axis = named["arr"], named["obj"], named.get("axis")
    if not isinstance(x, Traced) or axis is None or isinstance(obj, Traced):
        return result
    own = memory.strides(x)
    if layout.is_c(shape_of(x), own, x.dtype.itemsize):  # type: ignore[attr-defined]
        return laid(result, x, "C")
    shape, order = shape_of(x), layout.kept(own)
    gap = not layout.is_f(shape, own, x.dtype.itemsize)  # type: ignore[attr-defined]
    plain = np.empty([shape[i] + gap for i in order], bool).transpose(np.argsort(order))
    plain = plain[tuple([slice(n) for n in shape])]
    return memory.ordered(result, layout.kept(np.delete(plain, obj, axis).strides))


ORDERS: dict[Any, Any] = {
    np.select: _like("C"),
    np.choose: _like("C"),
    np.tensordot: _like("C"),
    np.linalg.multi_dot: _like("C"),
    np.pad: _like("A"),
    np.insert: _like("A"),
    np.unwrap: _like("K"),
    np.piecewise: _like("K"),
    np.gradient: _like("K"),
    np.polyval: _like("K", 1),
    np.round: _rounded,
    np.around: _rounded,
    np.nan_to_num: _filled,
    np.block: _block,
    np.tile: _tiled,
    np.roll: _rolled,
    np.fft.fftshift: _like("K"),
    np.fft.ifftshift: _like("K"),
    np.percentile: _like("C"),
    np.quantile: _like("C"),
    np.nanpercentile: _below,
    np.nanquantile: _below,
    np.delete: _deleted,
}
"""``rule(result, args, kwargs)`` returns the result of a function in NumPy's order of memory."""
