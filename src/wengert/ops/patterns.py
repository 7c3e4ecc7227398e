"""Sparsity patterns of local Jacobians: a class per family of operations.

A pattern is data about an operation's structure, with two readings. Called,
``pattern(k, out, *avals, **attrs)`` gives the row and column indices (flattened, C order) of the
entries of the local Jacobian that can be nonzero, a pair for each result where there are several.
`wengert.sparse` knows the classes, and carries dependences through an operation of each family
without listing those entries.

A pattern holds for every argument. Where an argument is known, some entries may be known to vanish:
`Masks` says where, from which arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np

from wengert.ops.base import Fold, Op, Scale, Transpose, dtype_of, shape_of
from wengert.ops.blocks import (
    LETTERS,
    Block,
    Call,
    Joined,
    Labelled,
    Listed,
    Moved,
    Running,
    Written,
    Zero,
)

__all__ = [
    "ByArgument",
    "Contraction",
    "Elementwise",
    "Grouped",
    "Masks",
    "Mixing",
    "Moving",
    "Nothing",
    "Permuting",
    "Prefix",
    "TriangularSolve",
    "Writing",
    "contraction",
    "dense",
    "elementwise",
    "grouped",
    "lines",
    "nothing",
    "prefix",
    "repeated",
    "within_column",
    "within_matrix",
    "within_vector",
]

Pair: TypeAlias = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
Masks: TypeAlias = Mapping[int, tuple[tuple[int, ...], Callable[..., Any]]]
"""For an argument k: positions of the arguments to read, and the function of them that is true
where the derivative with respect to k vanishes."""


def _ids(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


class Pattern:
    """What the families share."""

    is_entrywise: ClassVar[bool] = False

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        return Listed(of)

    def __call__(self, k: int, out: Any, *xs: Any, **attrs: Any) -> Any:
        """Return the entries."""
        raise NotImplementedError


def repeated(result: tuple[int, ...], operand: tuple[int, ...]) -> tuple[str, str]:
    """Return the labels of a result and of an argument that is broadcast to it.

    Leading axes of length 1 that the result lacks have labels of their own, as all that repeat.
    """
    rank, lead = len(result), len(result) - len(operand)
    rows = LETTERS[:rank]
    if operand == result:
        return rows, rows
    columns = [
        rows[i + lead] if i + lead >= 0 and n == result[i + lead] else LETTERS[rank + i]
        for i, n in enumerate(operand)
    ]
    return rows, "".join(columns)


# --- entry by entry -------------------------------------------------------------------------------
@dataclass(frozen=True)
class Elementwise(Pattern):
    """Diagonal up to broadcasting.

    Parameters
    ----------
    zeros : Masks
        Where a factor that is zero makes the derivative vanish. Used for constants only: the entry
        is structural where a variable happens to be zero.
    choices : Masks
        Where another argument is chosen (`select`, `maximum`). Used at a given point too.
    """

    zeros: Masks = field(default_factory=dict)
    choices: Masks = field(default_factory=dict)
    is_entrywise: ClassVar[bool] = True

    @property
    def partial(self) -> bool:
        """Whether entries are left out, whatever the values of derivatives."""
        return bool(self.choices)

    def __call__(self, k: int, out: Any, *xs: Any, **_: Any) -> Pair:
        """Return the entries."""
        columns = np.broadcast_to(_ids(shape_of(xs[k])), shape_of(out)).ravel()
        return np.arange(columns.size), columns

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        derivative = of.op.derivative
        factor: Any = None
        if isinstance(derivative, Scale):
            factor = derivative.rules[of.k]
            if factor is None:
                return Zero(of)
        elif isinstance(derivative, Transpose) and dtype_of(of.xs[of.k]).kind != "c":
            one = np.ones((1,) * len(of.operand))
            factor = int(np.real(of.op.evaluate(one, **of.attrs)).item())  # linear: 1 or 0
        if of.operand == of.result:
            rows = columns = LETTERS[: len(of.result)]
        else:
            rows, columns = repeated(of.result, of.operand)
        inside = "" if isinstance(factor, int) else rows
        return Labelled(
            of, rows, columns, inside, factor,
            self.zeros.get(of.k), self.choices.get(of.k),
        )  # fmt: skip


@dataclass(frozen=True)
class Nothing(Pattern):
    """No dependence that a derivative sees."""

    def __call__(self, k: int, out: Any, *xs: Any, **_: Any) -> Pair:
        """Return no entries."""
        return _no_entries()

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        return Zero(of)


def _no_entries() -> Pair:
    return np.empty(0, np.int64), np.empty(0, np.int64)


@dataclass(frozen=True)
class ByArgument(Pattern):
    """A pattern for each of some arguments; the others have none."""

    which: Mapping[int, Any]

    @property
    def partial(self) -> bool:
        """Whether entries are left out, whatever the values of derivatives."""
        return any(getattr(pattern, "partial", False) for pattern in self.which.values())

    def __call__(self, k: int, out: Any, *xs: Any, **attrs: Any) -> Any:
        """Return the entries."""
        return self.which.get(k, nothing)(k, out, *xs, **attrs)

    def block(self, of: Call) -> Block:
        """Return the block of the argument's own pattern."""
        return self.which.get(of.k, nothing).block(of)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Moving(Pattern):
    """Operations whose outputs are copies of inputs: run them on the numbers of the elements.

    Arguments other than `k` are filled with -1; those after the first `data` are indices, used as
    they are. `labels`, for what permutes or repeats axes, gives those of the result and of the
    argument: ``labels(result, operand, **attrs)``. `partial` says that entries of an argument may
    be left out, or that those of the result come from several arguments.
    """

    evaluate: Callable[..., Any]
    data: int | None = None
    labels: Callable[..., tuple[str, str]] | None = None
    partial: bool = False

    def __call__(self, k: int, out: Any, *xs: Any, **attrs: Any) -> Pair:
        """Return the entries."""

        def numbers(i: int, x: Any) -> Any:
            if self.data is not None and i >= self.data:
                return x
            return _ids(shape_of(x)) if i == k else np.full(shape_of(x), -1, np.int64)

        given = (numbers(i, x) for i, x in enumerate(xs))
        moved = np.asarray(self.evaluate(*given, **attrs)).ravel()
        rows = np.flatnonzero(moved >= 0)
        return rows, moved[rows]

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        if self.data is not None and of.k >= self.data:
            return Zero(of)
        if self.labels is not None:
            rows, columns = self.labels(of.result, of.operand, **of.attrs)
            return Labelled(of, rows, columns, "", 1)
        index = of.xs[self.data :] if self.data is not None else ()
        kind = Joined if len(of.xs) > 1 and self.data is None else Moved
        return kind(of, index, of.attrs)


@dataclass(frozen=True)
class Writing(Pattern):
    """``op(x, v, *index, spec=)``: `v` is added into a part of `x`, or replaces it.

    Parameters
    ----------
    getitem, index_set : callable
        Read and replace a part.
    adds : bool
        Whether the old content stays.
    """

    getitem: Callable[..., Any]
    index_set: Callable[..., Any]
    adds: bool
    partial: ClassVar[bool] = True

    def __call__(self, k: int, out: Any, x: Any, v: Any, *index: Any, spec: Any) -> Pair:
        """Return the entries."""
        if not self.adds:
            return Moving(self.index_set, 2)(k, out, x, v, *index, spec=spec)
        if k == 0:
            return elementwise(0, out, x)
        part = self.getitem(_ids(shape_of(x)), *index, spec=spec)
        return np.ravel(part), np.broadcast_to(_ids(shape_of(v)), np.shape(part)).ravel()

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        if of.k > 1:
            return Zero(of)
        return Written(of, of.xs[2:], of.attrs["spec"], self.adds)


# --- along axes -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Grouped(Pattern):
    """Reductions over ``axis``: an output depends on the entries that it folds.

    Parameters
    ----------
    skips : callable or None
        ``skips(x, y)`` is true at the entries that did not win (`max`), with the result `y` shaped
        like ``keepdims``.
    """

    skips: Callable[..., Any] | None = None

    @property
    def partial(self) -> bool:
        """Whether entries are left out, whatever the values of derivatives."""
        return self.skips is not None

    def __call__(self, k: int, out: Any, x: Any, *, axis: tuple[int, ...], **_: Any) -> Pair:
        """Return the entries."""
        shape = shape_of(x)
        kept = tuple(1 if i in axis else n for i, n in enumerate(shape))
        rows = np.broadcast_to(_ids(kept), shape).ravel()
        return rows, np.arange(rows.size)

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        axis, rank = of.attrs["axis"], len(of.operand)
        columns = LETTERS[:rank]
        if of.attrs["keepdims"]:
            rows = [LETTERS[rank + i] if i in axis else s for i, s in enumerate(columns)]
        else:
            rows = [s for i, s in enumerate(columns) if i not in axis]
        fold = isinstance(of.op.derivative, Fold)
        return Labelled(
            of, "".join(rows), columns,
            columns if fold else "", of.op.derivative.rule if fold else 1,
            choices=None if self.skips is None else ((0,), Skipped(of.op, self.skips, of.attrs)),
        )  # fmt: skip


class Skipped:
    """The entries of a reduction that did not win."""

    def __init__(self, op: Op, skips: Callable[..., Any], attrs: Mapping[str, Any]) -> None:
        self.op = op
        self.skips = skips
        self.attrs = {**attrs, "keepdims": True}

    def __call__(self, x: Any) -> Any:
        """Return a mask."""
        return self.skips(x, self.op.evaluate(x, **self.attrs))


@dataclass(frozen=True)
class Mixing(Pattern):
    """An output depends on all entries at its place along every axis but some.

    Parameters
    ----------
    axes : callable
        ``axes(rank, attrs)``: the first of the axes that mix, where `rank` is that of the argument.
        Arguments and outputs have the same lengths along the other axes, in order.
    """

    axes: Callable[[int, Mapping[str, Any]], tuple[int, ...]]

    def __call__(self, k: int, out: Any, *xs: Any, **attrs: Any) -> Any:
        """Return the entries, for each of several results."""
        if type(out) is tuple:
            return tuple(self(k, part, *xs, **attrs) for part in out)
        shape = shape_of(xs[k])
        mixed = self.axes(len(shape), attrs)
        lead = len(shape) - len(mixed)
        columns = np.moveaxis(_ids(shape), mixed, range(lead, len(shape)))
        same = [i for i in range(len(shape)) if i not in mixed]
        rows = np.moveaxis(_ids(shape_of(out)), same, range(lead))
        count = math.prod(shape[i] for i in same)
        m, n = math.prod(rows.shape[lead:]), math.prod(columns.shape[lead:])
        grid = (count, m, n)
        return (
            np.broadcast_to(rows.reshape(count, m, 1), grid).ravel(),
            np.broadcast_to(columns.reshape(count, 1, n), grid).ravel(),
        )

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        rank = len(of.operand)
        mixed = self.axes(rank, of.attrs)
        columns = LETTERS[:rank]
        rows = "".join(
            columns[i] if i < rank and i not in mixed else LETTERS[rank + i]
            for i in range(len(of.result))
        )
        return Labelled(of, rows, columns, rows + columns, None)


@dataclass(frozen=True)
class Permuting(Pattern):
    """Each output along ``axis`` is one of the line's entries, which depends on the values.

    Parameters
    ----------
    order : callable
        ``order(x, axis=, **attrs)``: positions along the axis, as `numpy.take_along_axis` takes.
    earlier : bool
        Whether it is always an entry at the same or an earlier place.
    """

    order: Callable[..., Any]
    earlier: bool = False

    def __call__(self, k: int, out: Any, *xs: Any, **attrs: Any) -> Pair:
        """Return the entries for any order."""
        found: Pair = (prefix if self.earlier else lines)(k, out, *xs, **attrs)
        return found

    def block(self, of: Call) -> Block:
        """Return the block for any order."""
        whole: Pattern = prefix if self.earlier else lines
        return replace(whole.block(of), choice=Ordered(self.order, of.attrs))  # type: ignore[call-arg]


class Ordered:
    """Which entry each result of an operation along an axis is."""

    def __init__(self, order: Callable[..., Any], attrs: Mapping[str, Any]) -> None:
        self.order = order
        self.attrs = attrs

    def __call__(self, x: Any) -> Any:
        """Return the order."""
        return self.order(x, **self.attrs)


@dataclass(frozen=True)
class Prefix(Pattern):
    """An output along ``axis`` depends on the line's entries at the same or an earlier place.

    Parameters
    ----------
    first : bool
        Whether the first entry of a line is read at all.
    """

    first: bool = True

    def __call__(self, k: int, out: Any, *xs: Any, axis: int = -1, **_: Any) -> Pair:
        """Return the entries."""
        line = np.moveaxis(_ids(shape_of(xs[k])), axis, -1)
        n = line.shape[-1]
        i, j = np.tril_indices(n)
        if not self.first:
            i, j = i[j > 0], j[j > 0]
        flat = line.reshape(math.prod(line.shape[:-1]), n)
        return flat[:, i].ravel(), flat[:, j].ravel()

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        like: Any = lines.block(of)
        return Running(of, like.rows, like.columns, of.attrs["axis"], self.first)


# --- linear algebra -------------------------------------------------------------------------------
@dataclass(frozen=True)
class Contraction(Pattern):
    """Pair outputs with the entries of one operand that share labels."""

    def __call__(self, k: int, out: Any, a: Any, b: Any, *, spec: str) -> Pair:
        """Return the entries."""
        operands, result = spec.split("->")
        labels = operands.split(",")
        sizes = {
            s: n
            for term, x in zip(labels, (a, b), strict=True)
            for s, n in zip(term, shape_of(x), strict=True)
        }
        every = "".join(dict.fromkeys(result + labels[k]))
        grid = tuple(sizes[s] for s in every)

        def numbered(term: str) -> np.ndarray[Any, Any]:
            ids = _ids(tuple(sizes[s] for s in term))
            order = sorted(range(len(term)), key=lambda i: every.index(term[i]))
            ids = ids.transpose(order)
            present = [sizes[s] if s in term else 1 for s in every]
            return np.broadcast_to(ids.reshape(present), grid).ravel()

        return numbered(result), numbered(labels[k])

    def block(self, of: Call) -> Block:
        """Return the block of a result and an argument."""
        operands, rows = of.attrs["spec"].split("->")
        terms, k = operands.split(","), of.k
        return Labelled(
            of, rows, terms[k], terms[1 - k],
            _second if k == 0 else _first, weights=1 - k,
        )  # fmt: skip


def _first(t: Any, y: Any, a: Any, b: Any, **_: Any) -> Any:
    return a


def _second(t: Any, y: Any, a: Any, b: Any, **_: Any) -> Any:
    return b


@dataclass(frozen=True)
class TriangularSolve(Pattern):
    """``x = a^-1 b`` of which one triangle of `a` is read: its inverse has that triangle too.

    ``x[i]`` depends on ``b[j]`` and on row ``a[j]`` (column, if transposed) of the triangle for the
    ``j`` that are solved for before i, or with it.
    """

    def __call__(self, k: int, out: Any, a: Any, b: Any, *, lower: bool, transposed: bool) -> Pair:
        """Return the entries."""
        *lead, n, m = shape_of(b)
        count = math.prod(lead)
        forward = lower != transposed
        i, j = np.tril_indices(n) if forward else np.triu_indices(n)
        out_ids = _ids((count, n, m))
        if k == 1:
            return out_ids[:, i, :].ravel(), out_ids[:, j, :].ravel()
        ids = _ids((count, n, n))
        ids = ids.swapaxes(1, 2) if transposed else ids
        # pairs (i, j) of solved places, then the entries q of row j of the triangle
        p, q = np.nonzero(np.tril(np.ones((n, n))) if forward else np.triu(np.ones((n, n))))
        at, entry = np.nonzero(i[:, None] * 0 + j[:, None] == p[None, :])
        rows, source = out_ids[:, i[at], :], ids[:, p[entry], q[entry], None]
        return rows.ravel(), np.broadcast_to(source, rows.shape).ravel()

    def block(self, of: Call) -> Block:
        """Return a list, with the labels of a matrix without zeros."""
        like: Any = (within_column if of.k else within_matrix).block(of)
        return Listed(of, like.rows, like.columns)


# --- the instances --------------------------------------------------------------------------------
elementwise = Elementwise()
nothing = Nothing()
grouped = Grouped()
prefix = Prefix()
contraction = Contraction()
dense = Mixing(lambda rank, attrs: tuple(range(rank)))
"""Every output depends on every entry of the argument."""
within_matrix = Mixing(lambda rank, attrs: (rank - 2, rank - 1))
"""Dense within each matrix of a batch, the matrix being in the last two axes of the argument."""
within_vector = Mixing(lambda rank, attrs: (rank - 1,))
"""Dense within each vector of a batch, along the last axis."""
within_column = Mixing(lambda rank, attrs: (rank - 2,))
"""Dense within each column of a batch of matrices."""
lines = Mixing(
    lambda rank, attrs: tuple(
        dict.fromkeys(i % rank for i in np.atleast_1d(attrs["axis"]).tolist())
    )
)
"""Dense along ``axis``, one axis or several."""
