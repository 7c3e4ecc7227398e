"""NumPy's products of arrays on traced values: matmul, dot, einsum and kin, all contractions."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from wengert.errors import ShapeError, UnsupportedError, user_line
from wengert.ops.contract import LABELS, contract
from wengert.ops.control import instead, stop_gradient
from wengert.ops.shape import reshape, transpose
from wengert.trace import layout, memory
from wengert.trace.numpy.table import (
    axis_index,
    cast,
    decided,
    deliver,
    implements,
    optional,
    refuse,
    traced,
)
from wengert.trace.numpy.views import diagonal_view
from wengert.trace.sizes import squared
from wengert.trace.tracer import Tracer


def product(a: Any, b: Any, ta: str, tb: str, out: str) -> Any:
    """Contract two arrays, after summing the labels that only one of them has."""
    ta, a = _presum(a, ta, tb + out)
    tb, b = _presum(b, tb, ta + out)
    return contract(a, b, spec=f"{ta},{tb}->{out}")


def _presum(x: Any, term: str, others: str) -> tuple[str, Any]:
    lonely = tuple(i for i, s in enumerate(term) if s not in others)
    if not lonely:
        return term, x
    return "".join(s for i, s in enumerate(term) if i not in lonely), np.sum(x, lonely, x.dtype)


def _mismatch(name: str, a: Any, b: Any) -> ShapeError:
    return ShapeError(f"{name}: shapes {a.shape} and {b.shape} do not fit" + user_line())


_MATMUL = {(2, 2): "ab,bc->ac", (2, 1): "ab,b->a", (1, 2): "b,bc->c", (1, 1): "b,b->"}
"""Products of matrices and vectors, by their numbers of axes."""


@implements(np.matmul)
def matmul(x1: Any, x2: Any, /, out: Any = None, **options: Any) -> Any:
    """Stand for `numpy.matmul`."""
    a, b = traced(x1), traced(x2)
    if a is b and not options and (found := _of_size(matmul, a)) is not None:
        return deliver(found, out)
    dtype = options.pop("dtype", None)
    refuse("matmul", **{k: (v, None) for k, v in options.items() if k in ("axes", "axis", "where")})
    a, b = cast(a, dtype), cast(b, dtype)
    shape_a, shape_b = a.shape, b.shape
    if not shape_a or not shape_b:
        raise ShapeError("matmul takes no scalars; use *" + user_line())
    spec = _MATMUL.get((len(shape_a), len(shape_b)))
    if spec is not None and shape_a[-1] == shape_b[0]:
        return deliver(contract(a, b, spec=spec), out)
    k_b = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != k_b:
        raise _mismatch("matmul", a, b)
    batch_a, batch_b = a.shape[:-2], b.shape[:-2]
    try:
        batch = np.broadcast_shapes(batch_a, batch_b)
    except ValueError:
        raise _mismatch("matmul", a, b) from None
    labels = LABELS[3 : 3 + len(batch)]
    ta, a = _batch_labels(a, batch_a, batch, labels)
    tb, b = _batch_labels(b, batch_b, batch, labels)
    row = "a" if a.ndim - len(ta) == 2 else ""
    col = "c" if b.ndim - len(tb) == 2 else ""
    missing = [i for i, s in enumerate(labels) if s not in ta + tb]
    present = "".join(s for s in labels if s in ta + tb)
    y = contract(a, b, spec=f"{ta}{row}b,{tb}b{col}->{present}{row}{col}")
    if missing:
        y = reshape(y, shape=batch + y.shape[len(present) :])
    return deliver(y, out)


def _batch_labels(
    x: Any, own: tuple[int, ...], batch: tuple[int, ...], labels: str
) -> tuple[str, Any]:
    """Label batch axes; axes of length 1 are dropped, so that they are never copied out."""
    lead = len(batch) - len(own)
    kept = [i for i, n in enumerate(own) if n == batch[lead + i] and n != 1]
    if len(kept) < len(own):
        x = np.reshape(x, tuple(own[i] for i in kept) + x.shape[len(own) :])
    return "".join(labels[lead + i] for i in kept), x


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Stand for `numpy.dot`."""
    a, b = traced(a), traced(b)
    if a is b and (found := _of_size(dot, a)) is not None:
        return deliver(found, out)
    if a.ndim == 0 or b.ndim == 0:
        return deliver(a * b, out)
    if a.shape[-1] != (b.shape[-2] if b.ndim > 1 else b.shape[0]):
        raise _mismatch("dot", a, b)
    ta = LABELS[1 : a.ndim] + "a"
    rest = LABELS[a.ndim : a.ndim + b.ndim - 1]
    tb = rest[:-1] + "a" + rest[-1:] if b.ndim > 1 else "a"
    return deliver(contract(a, b, spec=f"{ta},{tb}->{ta[:-1]}{rest}"), out)


def _of_size(product: Any, a: Any) -> Any:
    """Return the product of a vector of sizes with itself, which has derivatives where they are 0.

    None for any other vector.
    """
    other = squared(a) if isinstance(a, Tracer) and a.ndim == 1 else None
    return (
        None
        if other is None
        else instead(getattr(np, product.__name__)(*[stop_gradient(a)] * 2), np.sum(other))
    )


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Stand for `numpy.vdot`."""
    a, b = traced(a), traced(b)
    if a is b and (found := _of_size(vdot, a)) is not None:
        return found
    with np.errstate(over="ignore", invalid="ignore"):  # as in NumPy, which does not ask BLAS
        return dot(np.reshape(_conjugated(a), -1), np.reshape(b, -1))


def _core(name: str, x: Any, rank: int) -> Any:
    """Return an operand with at least the axes that a product is along."""
    x = traced(x)
    if x.ndim < rank:
        raise ValueError(
            f"{name}: an operand of shape {x.shape} has less than {rank} axes" + user_line()
        )
    return x


def _conjugated(x: Any) -> Any:
    return np.conjugate(x) if x.dtype.kind == "c" else x


@implements(*optional("vecdot"))
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, **options: Any) -> Any:
    """Stand for `numpy.vecdot`."""
    refuse("vecdot", **{k: (v, None) for k, v in options.items()})
    a, b = _core("vecdot", x1, 1), _core("vecdot", x2, 1)
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    if a.shape[-1] != b.shape[-1]:
        raise _mismatch("vecdot", a, b)
    with np.errstate(over="ignore", invalid="ignore"):
        y = _conjugated(a) * b
        return np.sum(y, axis=-1, dtype=y.dtype)


@implements(*optional("matvec"))
def matvec(x1: Any, x2: Any, /, **options: Any) -> Any:
    """Stand for `numpy.matvec`."""
    refuse("matvec", **{k: (v, None) for k, v in options.items()})
    return matmul(_core("matvec", x1, 2), _core("matvec", x2, 1)[..., None])[..., 0]


@implements(*optional("vecmat"))
def vecmat(x1: Any, x2: Any, /, **options: Any) -> Any:
    """Stand for `numpy.vecmat`."""
    refuse("vecmat", **{k: (v, None) for k, v in options.items()})
    a = _conjugated(_core("vecmat", x1, 1))
    return matmul(a[..., None, :], _core("vecmat", x2, 2))[..., 0, :]


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Stand for `numpy.inner`."""
    a, b = traced(a), traced(b)
    if a is b and (found := _of_size(inner, a)) is not None:
        return found
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise _mismatch("inner", a, b)
    ta = LABELS[1 : a.ndim] + "a"
    tb = LABELS[a.ndim : a.ndim + b.ndim - 1] + "a"
    return contract(a, b, spec=f"{ta},{tb}->{ta[:-1]}{tb[:-1]}")


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Stand for `numpy.outer`."""
    a, b = np.reshape(traced(a), -1), np.reshape(traced(b), -1)
    return deliver(contract(a, b, spec="a,b->ab"), out)


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Stand for `numpy.tensordot`."""
    a, b = traced(a), traced(b)
    if np.ndim(axes) == 0:
        n = operator.index(axes)
        left, right = list(range(a.ndim - n, a.ndim)), list(range(n))
    else:
        left, right = ([*map(int, np.atleast_1d(i))] for i in axes)
    left = [axis_index(i, a.ndim) for i in left]
    right = [axis_index(i, b.ndim) for i in right]
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        raise ValueError("duplicate axes are not allowed in tensordot" + user_line())
    if len(left) != len(right) or any(
        a.shape[i] != b.shape[j] for i, j in zip(left, right, strict=True)
    ):
        raise _mismatch("tensordot", a, b)
    ta = list(LABELS[: a.ndim])
    tb = list(LABELS[a.ndim : a.ndim + b.ndim])
    for i, j in zip(left, right, strict=True):
        tb[j] = ta[i]
    out = [s for i, s in enumerate(ta) if i not in left] + [
        s for j, s in enumerate(tb) if j not in right
    ]
    if not left:
        return contract(a, b, spec=f"{''.join(ta)},{''.join(tb)}->{''.join(out)}")
    return contract(a, b, spec=f"{''.join(ta)},{''.join(tb)}->{''.join(out)}")


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Stand for `numpy.kron`."""
    a, b = traced(a), traced(b)
    rank = max(a.ndim, b.ndim)
    a = np.reshape(a, (1,) * (rank - a.ndim) + a.shape)
    b = np.reshape(b, (1,) * (rank - b.ndim) + b.shape)
    ta, tb = LABELS[:rank], LABELS[rank : 2 * rank]
    out = "".join(p + q for p, q in zip(ta, tb, strict=True))
    y = contract(a, b, spec=f"{ta},{tb}->{out}")
    return np.reshape(y, tuple(m * n for m, n in zip(a.shape, b.shape, strict=True)))


# --- einsum ---------------------------------------------------------------------------------------
@implements(np.einsum)
def einsum(*operands: Any, out: Any = None, **options: Any) -> Any:
    """Stand for `numpy.einsum`, which does not warn of what its sums do."""
    with np.errstate(over="ignore", invalid="ignore"):
        return deliver(_einsum(*operands, **options), out)


def _einsum(*operands: Any, optimize: Any = False, **options: Any) -> Any:
    """Contract; several operands are contracted pairwise along NumPy's path."""
    refuse("einsum", dtype=(options.get("dtype"), None))
    terms, result, arrays = _parse(operands)
    if (
        len(arrays) == 1
        and set(terms[0]) == set(result)
        and arrays[0].size
        and _is_even(terms[0], arrays[0])
    ):
        return _einsum_view(terms[0], result, arrays[0])
    order = _order(terms, result, arrays, optimize, options.get("order", "K"))
    terms, arrays = _broadcast_ones(terms, arrays)
    pairs = [_diagonal(t, x) for t, x in zip(terms, arrays, strict=True)]
    if len(pairs) > 2:
        path = np.einsum_path(
            ",".join(t for t, _ in pairs) + "->" + result,
            *(np.broadcast_to(np.zeros(()), x.shape) for _, x in pairs),
            optimize="optimal" if len(pairs) <= 5 else "greedy",
        )[0][1:]
        for step in path:
            taken = [pairs[i] for i in step]
            pairs = [p for i, p in enumerate(pairs) if i not in step]
            needed = "".join(t for t, _ in pairs) + result
            while len(taken) > 1:
                (ta, a), (tb, b) = taken.pop(0), taken.pop(0)
                later = needed + "".join(t for t, _ in taken)
                merged = "".join(dict.fromkeys(s for s in ta + tb if s in later))
                taken.insert(0, (merged, product(a, b, ta, tb, merged)))
            pairs.append(taken[0])
    if len(pairs) == 2:
        (ta, a), (tb, b) = pairs
        return memory.ordered(product(a, b, ta, tb, result), order)
    ((term, x),) = pairs
    term, x = _presum(x, term, result)
    x = transpose(x, axes=tuple(term.index(s) for s in result))
    return memory.ordered(x, order)


def _is_even(term: str, x: Any) -> bool:
    """Whether the axes of every label that a term repeats have one length."""
    return len(set(zip(term, x.shape, strict=True))) == len(set(term))


def _einsum_view(term: str, result: str, x: Any) -> Any:
    """Return diagonals and a transpose: a view that can be written into, as in NumPy."""
    if not term:
        return x[()]
    for s in dict.fromkeys(term):
        while term.count(s) > 1:
            i = term.index(s)
            j = term.index(s, i + 1)
            x = diagonal_view(x, 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + s
    return np.transpose(x, tuple(term.index(s) for s in result))


def _order(terms: list[str], result: str, arrays: list[Any], optimize: Any, order: Any) -> Any:
    """Return the axes of einsum's result from slow to fast, as NumPy lays it out."""
    if len(result) < 2 or not any(isinstance(x, Tracer) for x in arrays):
        return None
    small = tuple(memory.small_form(x) for x in arrays)
    if not isinstance(optimize, (bool, str)):
        optimize = True
    return _einsum_order(",".join(terms) + "->" + result, small, optimize, order)


@functools.lru_cache(maxsize=4096)
def _einsum_order(text: str, small: Any, optimize: Any, order: Any) -> list[int]:
    arrays = [memory.of_form(form) for form in small]
    return layout.kept(np.einsum(text, *arrays, optimize=optimize, order=order).strides)


def _parse(operands: tuple[Any, ...]) -> tuple[list[str], str, list[Any]]:
    """Read the subscripts of einsum: explicit terms, an explicit result, no ellipsis."""
    if isinstance(operands[0], str):
        text, arrays = operands[0].replace(" ", ""), [traced(x) for x in operands[1:]]
    else:
        parts = list(operands)
        result_list = parts.pop() if len(parts) % 2 else None
        arrays = [traced(x) for x in parts[::2]]

        def word(labels: Any) -> str:
            return "".join("..." if s is Ellipsis else LABELS[s] for s in labels)

        text = ",".join(word(s) for s in parts[1::2])
        if result_list is not None:
            text += "->" + word(result_list)
    if "." in text.replace("...", ""):
        raise ValueError(f"einsum {text!r} has a '.' that is no part of an ellipsis" + user_line())
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ShapeError(
            f"einsum {text!r} names {len(terms)} operands, got {len(arrays)}" + user_line()
        )
    used = set(text)
    spare = [s for s in LABELS if s not in used]
    width = max(
        (
            x.ndim - len(t.replace("...", ""))
            for t, x in zip(terms, arrays, strict=True)
            if "..." in t
        ),
        default=0,
    )
    dots = "".join(spare[:width])
    for i, (t, x) in enumerate(zip(terms, arrays, strict=True)):
        if "..." in t:
            own = x.ndim - len(t.replace("...", ""))
            terms[i] = t.replace("...", dots[width - own :])
        if len(terms[i]) != x.ndim:
            raise ShapeError(
                f"einsum {text!r}: term {t!r} does not fit shape {x.shape}" + user_line()
            )
    if arrow:
        result = result.replace("...", dots)
    else:
        joined = "".join(terms)
        result = dots + "".join(
            sorted(s for s in set(joined) if joined.count(s) == 1 and s not in dots)
        )
    return terms, result, arrays


def _broadcast_ones(terms: list[str], arrays: list[Any]) -> tuple[list[str], list[Any]]:
    """Drop axes of length 1 whose label is longer elsewhere, and check that lengths agree."""
    sizes: dict[str, int] = {}
    for t, x in zip(terms, arrays, strict=True):
        for s, n in zip(t, x.shape, strict=True):
            if sizes.get(s, 1) != 1 and n not in (1, sizes[s]):
                shapes = ", ".join(f"{u}: {y.shape}" for u, y in zip(terms, arrays, strict=True))
                raise ShapeError(
                    f"einsum: label {s!r} has lengths {sizes[s]} and {n} ({shapes})" + user_line()
                )
            sizes[s] = max(sizes.get(s, 1), n) if n != 0 else 0
    for i, (t, x) in enumerate(zip(terms, arrays, strict=True)):
        drop = tuple(j for j, s in enumerate(t) if x.shape[j] == 1 and sizes[s] != 1)
        if drop:
            keep = [j for j in range(len(t)) if j not in drop]
            arrays[i] = np.reshape(x, tuple(x.shape[j] for j in keep))
            terms[i] = "".join(t[j] for j in keep)
    return terms, arrays


def _diagonal(term: str, x: Any) -> tuple[str, Any]:
    """Take the diagonal over a label that a term repeats."""
    for s in dict.fromkeys(term):
        while term.count(s) > 1:
            i = term.index(s)
            j = term.index(s, i + 1)
            x = np.diagonal(x, axis1=i, axis2=j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + s
    return term, x


@implements(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    """Stand for `numpy.cross` of 3-vectors."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(traced(a), axisa, -1), np.moveaxis(traced(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise UnsupportedError("np.cross on traced values takes vectors of length 3" + user_line())
    after, before = np.array([1, 2, 0]), np.array([2, 0, 1])

    def part(x: Any, places: Any) -> Any:
        return np.take(x, places, axis=-1)  # row-major, as the result is in NumPy

    c = part(a, after) * part(b, before) - part(a, before) * part(b, after)
    return np.moveaxis(c, -1, axisc)


def _sequences(name: str, a: Any, v: Any, mode: Any) -> tuple[Any, Any]:
    """Return the arguments of a convolution as vectors."""
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode of {name} is 'full', 'same' or 'valid', not {mode!r}" + user_line())
    a, v = traced(a), traced(v)
    if a.ndim != 1 or v.ndim != 1 or 0 in (a.size, v.size):
        raise ShapeError(f"{name} takes two 1-d arrays that are not empty" + user_line())
    return a, v


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Stand for `numpy.convolve`."""
    a, v = _sequences("np.convolve", np.atleast_1d(traced(a)), np.atleast_1d(traced(v)), mode)
    if v.size > a.size:
        a, v = v, a
    n, m = a.size, v.size
    padded = np.pad(a, m - 1)
    places = np.arange(n + m - 1)[:, None] + np.arange(m)[None, :]
    windows, back = padded[places], v[::-1]
    with np.errstate(over="ignore", invalid="ignore"):
        if (a.dtype.kind in "iub" and v.dtype.kind in "iub") or decided(_is_tame(a) & _is_tame(v)):
            y = windows @ back
        else:  # zeros beyond the ends, times an infinity, are not part of a sum
            inside = (places >= m - 1) & (places < n + m - 1)
            y = np.sum(np.where(inside, windows * back, 0), axis=1)
    if mode == "full":
        return y
    if mode == "same":
        return y[(m - 1) // 2 : (m - 1) // 2 + n]
    return y[m - 1 : n]


def _is_tame(x: Any) -> Any:
    return np.all(np.isfinite(x))


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Stand for `numpy.correlate`."""
    a, v = _sequences("np.correlate", a, v, mode)
    v = np.conjugate(v) if v.dtype.kind == "c" else v
    if v.size > a.size and mode != "full":
        raise UnsupportedError(
            "np.correlate with a second argument longer than the first" + user_line()
        )
    if mode == "same":
        full = convolve(a, v[::-1], "full")
        lo = v.size // 2 - 1 + v.size % 2
        return full[lo : lo + a.size]
    return convolve(a, v[::-1], mode)
