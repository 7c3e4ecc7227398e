"""Local Jacobians as data: the block of a result and an argument, of known structure.

A block has an axis for each axis of the result and each axis of the argument. Most are `Labelled`:
the axes have labels, and an axis of the argument with the label of one of the result is a diagonal.
So the block of ``sum(x, axis=1)`` of a matrix has the rows ``a`` and the columns ``ab``, and that
of ``x @ w`` with respect to x the rows ``ac``, the columns ``ab`` and the coefficients ``bc`` of w.
Products of such blocks are contractions of their coefficients over the labels between them:
size, cost and pattern of a product follow from labels. The others copy entries (`Moved`, `Written`)
or are listed (`Listed`).

A block says where entries can be, and for which formula; it holds no values but the indices of what
moves. The same block serves a pattern, of which entries are true or false, and an accumulation, of
which they are numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sps

from wengert.ir.graph import aval_of

__all__ = [
    "LETTERS",
    "Block",
    "Joined",
    "Labelled",
    "Listed",
    "Moved",
    "Product",
    "Running",
    "Written",
    "Zero",
]

LETTERS = "".join(map(chr, (*range(97, 123), *range(65, 91), *range(256, 384))))
"""Labels: more than two arrays can have axes."""

Pair: TypeAlias = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
Mask: TypeAlias = tuple[tuple[int, ...], Callable[..., Any]]


class Call(NamedTuple):
    """An operation, its result and arguments, and which of these a block is of.

    Attributes
    ----------
    op : Op
    k : int
        Which argument.
    part : int or None
        Which of several results.
    result, operand : tuple of int
        Their shapes.
    out : array, value or abstract value, or a tuple of them
    xs : sequence
    attrs : mapping
    """

    op: Any
    k: int
    part: int | None
    result: tuple[int, ...]
    operand: tuple[int, ...]
    out: Any
    xs: Sequence[Any]
    attrs: Mapping[str, Any]


class Product(NamedTuple):
    """What the product of two blocks is and costs, before it is computed.

    Attributes
    ----------
    shape : (int, int)
    nnz : int
        How many entries can be nonzero.
    multiplications, additions : int
        Of coefficients; a factor of 1 or -1 is none. Of a block that is matrix-free, those of the
        operation's products.
    products : int
        How often the operation of a block that is matrix-free is applied.
    rows, columns, inside, summed : str
        The labels of its axes, those that its coefficients depend on, and those that are summed
        over; empty where a block has no labels.
    sizes : mapping
        The length of the axes of each label.
    """

    shape: tuple[int, int]
    nnz: int
    multiplications: int
    additions: int
    products: int = 0
    rows: str = ""
    columns: str = ""
    inside: str = ""
    summed: str = ""
    sizes: Mapping[str, int] = {}

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return self.multiplications + self.additions

    def __str__(self) -> str:
        """Return a line for people."""
        m, n = self.shape
        labels = f"[{self.rows}, {self.columns}] of [{self.inside}], " if self.sizes else ""
        applied = f", {self.products:,} products" if self.products else ""
        return (
            f"{labels}{m:,} x {n:,}, {self.nnz:,} entries, {self.multiplications:,} "
            f"multiplications, {self.additions:,} additions{applied}"
        )


@dataclass(frozen=True, eq=False)
class Block:
    """The Jacobian of one result of an operation with respect to one argument.

    Attributes
    ----------
    of : Call
    """

    of: Call

    @property
    def result(self) -> tuple[int, ...]:
        """The shape of the result."""
        return self.of.result

    @property
    def operand(self) -> tuple[int, ...]:
        """The shape of the argument."""
        return self.of.operand

    def entries(self) -> Pair:
        """Return row and column of each entry that can be nonzero, in flattened order."""
        op, k, part, _, _, out, xs, attrs = self.of
        found: Any = op.pattern(k, out, *xs, **attrs)
        pair: Pair = found if part is None else found[part]
        return pair

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the flattened matrix."""
        return math.prod(self.result), math.prod(self.operand)

    @property
    def kind(self) -> str:
        """What structure it has, in a word."""
        raise NotImplementedError

    @property
    def nnz(self) -> int:
        """How many entries can be nonzero."""
        return len(self.entries()[0])

    @property
    def is_matrix_free(self) -> bool:
        """Whether there are products with it and no formula of its entries."""
        return False

    @property
    def is_copy(self) -> bool:
        """Whether all entries are 1 or -1, so that to multiply by them is no operation."""
        return False

    def times(self, other: Block) -> Product:
        """Say what this block times one of its argument with respect to another value is.

        Parameters
        ----------
        other : Block
            Its result has the shape of this block's argument.
        """
        return _listed_product(self, other)

    def flops(self) -> int:
        """Return the operations of a product with a vector, as the operation's row counts them."""
        op, _, _, _, _, out, xs, attrs = self.of
        first = out[0] if type(out) is tuple else out
        return int(op.flops(aval_of(first), *map(aval_of, xs), **attrs))

    def __str__(self) -> str:
        """Return a line for people."""
        m, n = self.shape
        free = ", matrix-free" if self.is_matrix_free and self.kind != "matrix-free" else ""
        return (
            f"{self.of.op.name}, argument {self.of.k}: {self.kind}{free}, {m:,} x {n:,}, "
            f"{self.nnz:,} entries"
        )

    __repr__ = __str__


@dataclass(frozen=True, eq=False, repr=False)
class Zero(Block):
    """No entry."""

    @property
    def kind(self) -> str:
        """``zero``."""
        return "zero"

    def entries(self) -> Pair:
        """Return none."""
        return np.empty(0, np.int64), np.empty(0, np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class Labelled(Block):
    """A block whose axes have labels.

    Attributes
    ----------
    rows, columns : str
        A label for each axis of the result, and of the argument. An axis of length 1 that is
        repeated along one of the result has a label of its own.
    inside : str
        The labels that the coefficients depend on.
    factor : number, callable or None
        The coefficients: a number; ``factor(t, y, *xs, **attrs)`` at ``t = 1``, which broadcasts
        to `inside`; None where there are products only.
    zeros, choices : (positions, function) or None
        Where coefficients vanish: ``function`` of the arguments at these positions is a mask of the
        result (of the argument, where axes are summed over). Of a factor that is zero; and where
        something else was chosen.
    weights : int or None
        The argument that is the coefficients.
    choice : callable or None
        As of `Running`.
    """

    rows: str
    columns: str
    inside: str
    factor: Any
    zeros: Mask | None = None
    choices: Mask | None = None
    weights: int | None = None
    choice: Callable[..., Any] | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """The length of the axes of each label."""
        return {
            **dict(zip(self.columns, self.operand, strict=True)),
            **dict(zip(self.rows, self.result, strict=True)),
        }

    @property
    def summed(self) -> str:
        """The labels of the argument that the result does not have."""
        return "".join([s for s in self.columns if s not in self.rows])

    @property
    def is_pointwise(self) -> bool:
        """Whether it is a diagonal, the argument being broadcast to the result as NumPy does it."""
        rows, columns = self.rows, self.columns
        lead = len(rows) - len(columns)
        if self.inside not in ("", rows) or lead < 0:
            return False
        return rows == columns or all(
            s == rows[i + lead] or (n == 1 and s not in rows)
            for i, (s, n) in enumerate(zip(columns, self.operand, strict=True))
        )

    @property
    def is_sum(self) -> bool:
        """Whether it is a diagonal of the argument's shape, and a sum over some of its axes."""
        if self.inside not in ("", self.columns):
            return False
        kept = [s for s in self.columns if s in self.rows]
        if len(self.rows) == len(kept):
            return list(self.rows) == kept
        return len(self.rows) == len(self.columns) and all(
            s == r or (n == 1 and r not in self.columns and s not in self.rows)
            for s, r, n in zip(self.columns, self.rows, self.result, strict=True)
        )

    @property
    def summed_axes(self) -> tuple[int, ...]:
        """The axes of the argument that the result does not have."""
        return tuple([i for i, s in enumerate(self.columns) if s not in self.rows])

    @property
    def is_matrix_free(self) -> bool:
        """Whether there is no formula of the coefficients."""
        return self.factor is None

    @property
    def kind(self) -> str:
        """The structure that the labels say."""
        sizes = self.sizes
        own = [s for s in self.rows if s not in self.columns and sizes[s] != 1]
        lost = [s for s in self.summed if sizes[s] != 1]
        shared = [s for s in self.columns if s in self.rows]
        if not own and not lost:
            if isinstance(self.factor, int) and [s for s in self.rows if s in shared] != shared:
                return "permutation"
            return "diagonal"
        if not lost:
            return "broadcast"
        if not own:
            return "reduction"
        if self.factor is not None and not {*own, *lost, *shared}.issubset(self.inside):
            return "contraction"
        if shared:
            return "block"
        return "dense" if self.factor is not None else "matrix-free"

    @property
    def nnz(self) -> int:
        """How many entries can be nonzero."""
        return math.prod(self.result) * math.prod(self.sizes[s] for s in self.summed)

    @property
    def is_copy(self) -> bool:
        """Whether all entries are 1 or -1."""
        return isinstance(self.factor, int) and self.factor != 0

    def times(self, other: Block) -> Product:
        """Say what this block times one of its argument with respect to another value is.

        The labels between them are joined. A label on both sides of the product is a diagonal of
        it; one on neither side is summed over, or multiplies by its length where no coefficient
        depends on it. An operation without a formula is applied once for each column, or row, of
        the other block, at once for all of a diagonal.
        """
        if not isinstance(other, Labelled):
            return _listed_product(self, other)
        names: dict[str, str] = dict(zip(other.rows, self.columns, strict=True))
        free = (s for s in LETTERS if s not in self.rows and s not in self.columns)
        for s in other.columns:
            if s not in names:
                names[s] = next(free)
        columns = "".join(names[s] for s in other.columns)
        sizes = {**{names[s]: n for s, n in other.sizes.items()}, **self.sizes}
        every = {*self.inside, *(names[s] for s in other.inside)}
        kept = {*self.rows, *columns}
        inside = "".join(s for s in sizes if s in every and s in kept)
        summed = "".join(s for s in self.columns if s not in kept)
        nnz = math.prod(sizes[s] for s in kept)
        shape = self.shape[0], other.shape[1]
        labels = self.rows, columns, inside, summed, sizes
        if self.is_matrix_free or other.is_matrix_free:
            last, first = (columns, self.rows) if self.is_matrix_free else (self.rows, columns)
            count = math.prod(sizes[s] for s in last if s not in first)
            work = count * (self if self.is_matrix_free else other).flops()
            return Product(shape, nnz, work - work // 2, work // 2, count, *labels)
        work = math.prod(sizes[s] for s in every)
        made = math.prod(sizes[s] for s in inside)
        plain = self.is_copy or other.is_copy
        repeated = any(sizes[s] > 1 and s not in every for s in summed)
        times = 0 if plain and not repeated else made if plain else work + made * repeated
        return Product(shape, nnz, times, work - made, 0, *labels)


@dataclass(frozen=True, eq=False, repr=False)
class Moved(Block):
    """Each entry of the result is a copy of one of the argument, or of none.

    Attributes
    ----------
    index : sequence
        The arrays of integers, after the data, that say which.
    attrs : mapping
    """

    index: Sequence[Any]
    attrs: Mapping[str, Any]

    @property
    def is_copy(self) -> bool:
        """Yes."""
        return True

    @property
    def kind(self) -> str:
        """``permutation`` where each entry is copied once, else ``gather``."""
        m, n = self.shape
        return "permutation" if m == n and self.nnz == m and self._once() else "gather"

    def _once(self) -> bool:
        columns = self.entries()[1]
        return len(np.unique(columns)) == len(columns)


@dataclass(frozen=True, eq=False, repr=False)
class Joined(Moved):
    """The place of one of several arguments that are put together along ``axis``."""

    @property
    def kind(self) -> str:
        """``gather``."""
        return "gather"


@dataclass(frozen=True, eq=False, repr=False)
class Written(Block):
    """The base of an update of a part, or what is written.

    Attributes
    ----------
    index : sequence
        The arrays of integers that say where.
    spec : tuple
    adds : bool
        Whether the old content stays.
    """

    index: Sequence[Any]
    spec: tuple[Any, ...]
    adds: bool

    @property
    def is_copy(self) -> bool:
        """Yes."""
        return True

    @property
    def kind(self) -> str:
        """``diagonal`` for the base, ``scatter`` for what is written."""
        return "scatter" if self.of.k else "diagonal"

    @property
    def nnz(self) -> int:
        """How many entries can be nonzero; what is added twice to a place is one of 2."""
        rows, columns = self.entries()
        return len(np.unique(rows * self.shape[1] + columns))


@dataclass(frozen=True, eq=False, repr=False)
class Listed(Block):
    """A block with fewer entries than labels say: there are products only.

    Attributes
    ----------
    rows, columns : str
        Labels as of a `Labelled` block that has all these entries; empty where there is none.
    """

    rows: str = ""
    columns: str = ""

    @property
    def is_matrix_free(self) -> bool:
        """Yes."""
        return True

    @property
    def kind(self) -> str:
        """``sparse``."""
        return "sparse"


@dataclass(frozen=True, eq=False, repr=False)
class Running(Listed):
    """A triangle along an axis: an entry depends on those at the same or an earlier place.

    Attributes
    ----------
    axis : int
    first : bool
        Whether the first entry of a line is read at all.
    choice : callable or None
        ``choice(x)``: which entry each one is a copy of, for `numpy.take_along_axis`, where that
        depends on the values.
    """

    axis: int = -1
    first: bool = True
    choice: Callable[..., Any] | None = None

    @property
    def kind(self) -> str:
        """``triangle``."""
        return "triangle"


def _listed_product(a: Block, b: Block) -> Product:
    """Say what a product is by its entries, where a block has no labels."""
    shape = a.shape[0], b.shape[1]
    first, second = _boolean(a), _boolean(b)
    nnz = (first @ second).nnz
    if a.is_matrix_free or b.is_matrix_free:
        used = (second.sum(0) if a.is_matrix_free else first.sum(1)) != 0
        count = int(np.count_nonzero(used))
        work = count * (a if a.is_matrix_free else b).flops()
        return Product(shape, nnz, work - work // 2, work // 2, count)
    work = int(first.sum(0) @ second.sum(1))
    return Product(shape, nnz, 0 if a.is_copy or b.is_copy else work, work - nnz)


def _boolean(block: Block) -> Any:
    rows, columns = block.entries()
    made = sps.coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape=block.shape).tocsr()
    made.data[:] = 1
    return made
