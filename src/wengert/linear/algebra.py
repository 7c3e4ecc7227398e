"""What products and sums of Jacobians of arrays are and take, before they are computed."""

from __future__ import annotations

from wengert.linear.pieces import Free, Part, Piece, Work, dense_piece, meet

__all__ = [
    "MOST_TERMS",
    "Kind",
    "Labels",
    "are_alike",
    "end_of",
    "product_of",
    "shape_of_side",
    "total_of",
]

MOST_TERMS = 3
"""Terms of one Jacobian beyond which it becomes one without structure."""

Kind = tuple[Part, ...]


class Labels:
    """The algebra of sums of pieces: what products and sums are, and what they take."""

    def __init__(self) -> None:
        self.spent: Work | None = None

    def _paid(self, work: Work) -> float:
        if self.spent is not None:
            self.spent = self.spent.plus(work)
        return work.time

    def times(self, a: Kind, b: Kind) -> tuple[Kind, float]:
        """Return the kind of a product, and its time."""
        total = Work()
        found: list[Part] = []
        for p in a:
            for q in b:
                made, work = product_of(p, q)
                total = total.plus(work)
                found, more = total_of(found, made)
                total = total.plus(more)
        return tuple(sorted(found, key=repr)), total.time

    def plus(self, a: Kind, b: Kind) -> tuple[Kind, float]:
        """Return the kind of a sum, and its time."""
        found, total = list(a), Work()
        for p in b:
            found, work = total_of(found, p)
            total = total.plus(work)
        return tuple(sorted(found, key=repr)), total.time

    def end(self, a: Kind) -> float:
        """Return the time that it takes to make an array of all entries."""
        return sum((end_of(p, k == 0).time for k, p in enumerate(a)), 0.0)


def product_of(a: Part, b: Part) -> tuple[Piece, Work]:
    """Return what a product of two pieces is, and what it takes."""
    if isinstance(a, Free) and isinstance(b, Free):
        if max(min(a.shape), 1) * a.flops <= max(min(b.shape), 1) * b.flops:
            first = densified(a)
            made, work = product_of(first[0], b)
            return made, work.plus(first[1])
        first = densified(b)
        made, work = product_of(a, first[0])
        return made, work.plus(first[1])
    if isinstance(a, Free):
        assert isinstance(b, Piece)
        full = dense_piece(a.operand, shape_of_side(b, True))
        return dense_piece(a.result, shape_of_side(b, True)), _spread(b, full).plus(
            _applied(a, b.shape[1])
        )
    if isinstance(b, Free):
        full = dense_piece(shape_of_side(a, False), b.result)
        return dense_piece(shape_of_side(a, False), b.operand), _spread(a, full).plus(
            _applied(b, a.shape[0])
        )
    meeting = meet(a, b)
    return meeting.piece, meeting.work


def shape_of_side(p: Piece, columns: bool) -> tuple[int, ...]:
    """Return the shape of a piece's argument, or of its result."""
    return tuple(p.sizes[ord(s) - 97] for s in (p.columns if columns else p.rows))


def _applied(free: Free, count: int) -> Work:
    work = count * free.flops
    m, n = free.shape
    return Work(work - work // 2, work // 2, count * (m + n), 2)


def densified(free: Free) -> tuple[Piece, Work]:
    """Return a matrix-free Jacobian by its entries, and what it takes to find them."""
    return dense_piece(free.result, free.operand), _applied(free, min(free.shape))


def _spread(p: Piece, full: Piece) -> Work:
    """Return what it takes to write out the entries of a piece."""
    if p.is_dense:
        return Work()
    return Work(0, 0, full.held + p.held, 2)


def end_of(p: Part, first: bool) -> Work:
    """Return what it takes to add a term to the array of all entries."""
    if isinstance(p, Free):
        return densified(p)[1]
    m, n = p.shape
    if first and p.is_dense:
        return Work()
    return Work(0, 0 if first else p.held, m * n * first + 2 * p.held, 1)


def total_of(parts: list[Part], new: Part) -> tuple[list[Part], Work]:
    """Return terms with one more, those of the same labels added up."""
    work = Work()
    if isinstance(new, Free) and parts:
        new, work = densified(new)
    found: list[Part] = []
    for p in parts:
        if isinstance(p, Free):
            p, more = densified(p)
            work = work.plus(more)
        found.append(p)
    for i, p in enumerate(found):
        if isinstance(p, Piece) and isinstance(new, Piece) and are_alike(p, new):
            inside = "".join(sorted({*p.inside, *new.inside}))
            number = 2 if p.number and new.number else 0
            made = p._replace(inside=inside, number=number)
            found[i] = made
            if number:
                return found, work
            return found, work.plus(Work(0, made.held, p.held + new.held + made.held, 1))
    found.append(new)
    if len(found) > MOST_TERMS:
        pieces = [p for p in found if isinstance(p, Piece)]
        full = dense_piece(shape_of_side(pieces[0], False), shape_of_side(pieces[0], True))
        for k, p in enumerate(pieces):
            work = work.plus(end_of(p, k == 0))
        return [full], work
    return found, work


def are_alike(p: Piece, q: Piece) -> bool:
    """Whether the axes of two pieces have the same labels, so that coefficients are added up."""
    return p.rows == q.rows and p.columns == q.columns
