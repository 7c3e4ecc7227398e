"""Jacobians of arrays by labels: what a product of two is and takes, from labels and sizes alone.

A `Piece` stands for a Jacobian whose axes have labels; a label on both sides is a diagonal, and the
coefficients depend on some of the labels. A Jacobian is a sum of pieces. `Free` stands for one of
which only products with vectors are known.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from wengert.ops.blocks import LETTERS

__all__ = ["Free", "Meeting", "Piece", "Work", "dense_piece", "meet", "piece_of"]


class Work(NamedTuple):
    """Operations and numbers moved.

    Attributes
    ----------
    multiplications, additions : int
    moved : int
        Numbers read and written.
    calls : int
        Operations of arrays.
    contracted : int
        Multiplications that are part of a product of matrices, which runs many times faster.
    """

    multiplications: int = 0
    additions: int = 0
    moved: int = 0
    calls: int = 0
    contracted: int = 0

    def plus(self, other: Work) -> Work:
        """Add up."""
        return Work(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def time(self) -> float:
        """Nanoseconds, roughly, of one core."""
        alone = self.multiplications - self.contracted
        return 0.08 * self.contracted + 0.3 * alone + 0.3 * self.moved + 400.0 * self.calls


class Piece(NamedTuple):
    """A Jacobian by labels, which are named by their first place in rows, then columns.

    Attributes
    ----------
    rows, columns : str
        A label for each axis of the result, and of the argument.
    inside : str
        The labels that the coefficients depend on, in order; "" where they are one number.
    sizes : tuple of int
        Of the labels, in order of their names.
    number : int
        1 where the coefficient is +1 or -1, 2 where it is another known number, 0 for an array.
    """

    rows: str
    columns: str
    inside: str
    sizes: tuple[int, ...]
    number: int = 0

    def size(self, labels: str) -> int:
        """Return how many entries an array with these labels has."""
        return math.prod(self.sizes[ord(s) - 97] for s in labels)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the flattened matrix."""
        return self.size(self.rows), self.size(self.columns)

    @property
    def held(self) -> int:
        """The number of coefficients."""
        return self.size(self.inside)

    @property
    def is_dense(self) -> bool:
        """Whether all axes have labels of their own, and coefficients depend on them all."""
        every = self.rows + self.columns
        return len(set(every)) == len(every) and all(
            s in self.inside or self.sizes[ord(s) - 97] == 1 for s in every
        )


class Free(NamedTuple):
    """A Jacobian of which there are products only.

    Attributes
    ----------
    result, operand : tuple of int
        The shapes.
    flops : int
        Of a product with a vector.
    """

    result: tuple[int, ...]
    operand: tuple[int, ...]
    flops: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the flattened matrix."""
        return math.prod(self.result), math.prod(self.operand)


Part: TypeAlias = Piece | Free


def piece_of(rows: str, columns: str, inside: str, sizes: dict[str, int], number: int = 0) -> Piece:
    """Return a piece with labels named anew; axes of length 1 have labels of their own."""
    names: dict[str, str] = {}
    lengths: list[int] = []

    def named(s: str) -> str:
        if sizes[s] == 1 or s not in names:
            name = chr(97 + len(lengths))
            lengths.append(sizes[s])
            names[s] = name
        return names[s]

    new_rows = "".join(map(named, rows))
    new_columns = "".join(map(named, columns))
    new_inside = "".join(sorted(names[s] for s in set(inside) if sizes[s] != 1 and s in names))
    return Piece(new_rows, new_columns, new_inside, tuple(lengths), number)


def dense_piece(result: tuple[int, ...], operand: tuple[int, ...]) -> Piece:
    """Return a piece without structure."""
    rows = LETTERS[: len(result)]
    columns = LETTERS[len(result) : len(result) + len(operand)]
    sizes = dict(zip(rows + columns, result + operand, strict=True))
    return piece_of(rows, columns, rows + columns, sizes)


class Meeting(NamedTuple):
    """The product of two pieces.

    Attributes
    ----------
    piece : Piece
    left, right : str
        The labels of the coefficients of both, named as those of the product where it has them.
    times : int
        How often a sum repeats each product.
    work : Work
    """

    piece: Piece
    left: str
    right: str
    times: int
    work: Work


@lru_cache(maxsize=1 << 14)
def meet(a: Piece, b: Piece) -> Meeting:
    """Return what the Jacobian `a` times the Jacobian `b` of its argument is."""
    parent: dict[tuple[int, str], tuple[int, str]] = {}

    def root(x: tuple[int, str]) -> tuple[int, str]:
        while x in parent:
            x = parent[x]
        return x

    for s, t in zip(a.columns, b.rows, strict=True):
        x, y = root((0, s)), root((1, t))
        if x != y:
            parent[y] = x
    sizes: dict[tuple[int, str], int] = {}
    for k, p in enumerate((a, b)):
        for s in p.rows + p.columns:
            sizes[root((k, s))] = p.sizes[ord(s) - 97]
    letters = {r: LETTERS[i] for i, r in enumerate(sizes)}
    lengths = {letters[r]: n for r, n in sizes.items()}

    def mapped(k: int, labels: str) -> str:
        return "".join(letters[root((k, s))] for s in labels)

    rows, columns = mapped(0, a.rows), mapped(1, b.columns)
    left, right, middle = mapped(0, a.inside), mapped(1, b.inside), mapped(0, a.columns)
    kept = {*rows, *columns}
    every = {s for s in left + right if lengths[s] > 1}
    inside = "".join(s for s in letters.values() if s in every and s in kept)
    summed = [s for s in dict.fromkeys(middle) if s not in kept and lengths[s] > 1]
    times = math.prod(lengths[s] for s in summed if s not in every)
    number = 0
    if a.number and b.number:
        number = 1 if a.number == b.number == 1 and times == 1 else 2
    piece = piece_of(rows, columns, inside, lengths, number)
    # the letters of the product, as `piece_of` has named them
    names = dict(zip(rows + columns, piece.rows + piece.columns, strict=True))
    spare = iter(s for s in LETTERS[26:])
    for s in dict.fromkeys(left + right):
        if s not in names:
            names[s] = next(spare)
    left, right = ("".join(names[s] for s in x) for x in (left, right))
    full = math.prod(lengths[s] for s in every)
    made = piece.held
    if number:
        work = Work()
    elif (a.number or b.number) and full == made:
        plain = 1 in (a.number, b.number) and times == 1
        work = Work() if plain else Work(made, 0, 2 * made, 1)
    elif a.number or b.number:
        work = Work(0, full - made, full + made, 1)
    else:
        contracted = full if full > made else 0
        work = Work(
            full + made * (times > 1), full - made, a.held + b.held + made, 1, contracted
        )  # fmt: skip
    return Meeting(piece, left, right, times, work)
