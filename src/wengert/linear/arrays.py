"""A linear graph whose vertices are arrays: local Jacobians by labels, multiplied as they are.

What can be a diagonal stays one, and an outer product stays two factors until somebody needs its
entries: a Jacobian between two values is a sum of terms, each a few labels and an array.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from wengert.linear.algebra import (
    MOST_TERMS,
    Kind,
    Labels,
    are_alike,
    end_of,
    product_of,
    shape_of_side,
    total_of,
)
from wengert.linear.blocks import coefficients
from wengert.linear.pieces import (
    Free,
    Meeting,
    Part,
    Piece,
    Work,
    dense_piece,
    meet,
    piece_of,
)
from wengert.linear.products import dense_block, pull_many, push_many
from wengert.linear.terms import NotAccumulable, align, is_number
from wengert.linear.values import Edge, Linear
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.ops.blocks import LETTERS, Labelled, Moved
from wengert.ops.contract import contract
from wengert.ops.control import cut
from wengert.ops.convert import convert
from wengert.ops.index import SLOT, index_add, index_set
from wengert.ops.reduce import reduce_sum
from wengert.ops.shape import filled, reshape
from wengert.orders.problem import eliminated
from wengert.orders.structured import StructuredGraph

__all__ = ["ArrayGraph"]

MOST = 400
"""Values of the largest graph that is accumulated array by array."""


class Term(NamedTuple):
    """A piece and its coefficients; for what is matrix-free, the edge.

    Attributes
    ----------
    piece : Piece or Free
    c : number, array or Edge
    live : array or None
        Zero where there is no entry, because something else was chosen there: what is multiplied
        there may be infinite, and zeros are put back before entries are added up.
    have : str
        The labels of `live`.
    """

    piece: Part
    c: Any
    live: Any = None
    have: str = ""


STRICT: ContextVar[bool] = ContextVar("strict", default=False)
"""Whether a slope may be infinite, so that it must be known where there is no entry."""


def _lost() -> None:
    """Refuse to lose sight of where there is no entry, if that may matter."""
    if STRICT.get():
        raise NotAccumulable("a slope may be infinite beside what is zero by structure")


def settled(t: Term) -> Term:
    """Put back zeros where there is no entry."""
    if t.live is None or is_number(t.c):
        return t
    p = t.piece
    assert isinstance(p, Piece)
    inside = "".join(sorted({*p.inside, *t.have}))
    c = cut(_spread_to(t.c, p.inside, inside), _spread_to(t.live, t.have, inside))
    return Term(p._replace(inside=inside), c)


# --- values ---------------------------------------------------------------------------------------
def multiply(s: Term, t: Term) -> Term:
    """Multiply the Jacobian `s` with `t`, which is of its argument."""
    s, t = (_entries_of(x) if _chooses(x) else x for x in (s, t))
    a, b = s.piece, t.piece
    if isinstance(a, Free) and isinstance(b, Free):
        if max(min(a.shape), 1) * a.flops <= max(min(b.shape), 1) * b.flops:
            return multiply(_entries_of(s), t)
        return multiply(s, _entries_of(t))
    if isinstance(a, Free) or isinstance(b, Free):
        made = _applied_to(s, t)
        free = s if isinstance(a, Free) else t
        if not free.c.block.is_copy:
            if s.live is not None or t.live is not None:
                _lost()
        elif STRICT.get():  # where something comes to lie, and where nothing does
            marks = _applied_to(*(x if x is free else _marks(x) for x in (s, t))).c
            if isinstance(marks, Traced) or not np.all(marks):
                assert isinstance(made.piece, Piece)
                return made._replace(live=marks, have=made.piece.inside)
        return made
    meeting = meet(a, b)
    live, have = _both_live(s, t, meeting)
    if live is not None and any(r not in meeting.piece.rows + meeting.piece.columns for r in have):
        _lost()  # entries that are there and others are added up
        s, t = settled(s), settled(t)
        assert isinstance(s.piece, Piece)
        assert isinstance(t.piece, Piece)
        meeting, live, have = meet(s.piece, t.piece), None, ""
    x, y, times = s.c, t.c, meeting.times
    if is_number(x) and is_number(y):
        return Term(meeting.piece, x * y * times, live, have)
    inside = meeting.piece.inside
    left, right = meeting.left, meeting.right
    if is_number(x) or is_number(y):
        c, names = (y, right) if is_number(x) else (x, left)
        factor = (x if is_number(x) else y) * times
        c, names = _summed(c, names, inside)
        c = _ordered(c, names, inside)
        c = c if factor == 1 else -c if factor == -1 else c * factor
        return Term(meeting.piece, c, live, have)
    x, left = _summed(x, left, inside + right)
    y, right = _summed(y, right, inside + left)
    if not left:
        c = x * _ordered(y, right, inside)
    elif not right:
        c = y * _ordered(x, left, inside)
    else:
        c = contract(x, y, spec=f"{left},{right}->{inside}")
    return Term(meeting.piece, c if times == 1 else c * times, live, have)


def _applied_to(s: Term, t: Term) -> Term:
    """Multiply where one of both is matrix-free."""
    a, b = s.piece, t.piece
    if isinstance(a, Free):
        assert isinstance(b, Piece)
        shape = shape_of_side(b, True)
        n, m = math.prod(shape), math.prod(a.operand)
        seeds = np.transpose(reshape(_full(t), shape=(m, n)))
        made = push_many(s.c, reshape(seeds, shape=(n, *a.operand)))
        made = np.transpose(reshape(made, shape=(n, math.prod(a.result))))
        return _dense_term(made, a.result, shape)
    assert isinstance(a, Piece)
    assert isinstance(b, Free)
    shape = shape_of_side(a, False)
    m = math.prod(shape)
    made = pull_many(t.c, reshape(_full(s), shape=(m, *b.result)))
    return _dense_term(made, shape, b.operand)


def _marks(t: Term) -> Term:
    """Return a term that is 1, or more, where there is an entry, and 0 elsewhere."""
    p = t.piece
    assert isinstance(p, Piece)
    if t.live is None:
        return Term(p._replace(inside="", number=1), 1)
    return Term(p._replace(inside=t.have, number=0), t.live * t.live)


def _both_live(s: Term, t: Term, meeting: Meeting) -> tuple[Any, str]:
    """Return where a product has entries."""
    found: Any = None
    have = ""
    for term, names in ((s, meeting.left), (t, meeting.right)):
        if term.live is None:
            continue
        p = term.piece
        assert isinstance(p, Piece)
        renamed = dict(zip(p.inside, names, strict=True))
        labels = "".join(renamed[r] for r in term.have)
        want = "".join(sorted(labels))
        live = _ordered(term.live, labels, want)
        if found is None:
            found, have = live, want
        else:
            both = "".join(sorted({*have, *want}))
            found = _spread_to(found, have, both) * _spread_to(live, want, both)
            have = both
    return found, have


def _either_live(s: Term, t: Term) -> tuple[Any, str]:
    """Return where a sum has entries, if that may matter."""
    if s.live is None or t.live is None or not STRICT.get():
        return None, ""
    have = "".join(sorted({*s.have, *t.have}))
    first, second = (_spread_to(x.live, x.have, have) for x in (s, t))
    return first * first + second * second, have


def _summed(c: Any, have: str, keep: str) -> tuple[Any, str]:
    """Sum over the labels that nothing else has."""
    axes = tuple(i for i, s in enumerate(have) if s not in keep)
    if not axes:
        return c, have
    left = "".join(s for s in have if s in keep)
    return reduce_sum(c, axis=axes, keepdims=False), left


def _ordered(c: Any, have: str, want: str) -> Any:
    return c if have == want else np.transpose(c, [have.index(s) for s in want])


def _dense_term(made: Any, result: tuple[int, ...], operand: tuple[int, ...]) -> Term:
    piece = dense_piece(result, operand)
    lengths = tuple(piece.sizes[ord(s) - 97] for s in piece.inside)
    return Term(piece, reshape(made, shape=lengths))


def _entries_of(t: Term) -> Term:
    """Find the entries of what is matrix-free."""
    p = t.piece
    if isinstance(p, Piece):
        return t
    found = _dense_term(dense_block(t.c), p.result, p.operand)
    if not _chooses(t) and not (STRICT.get() and t.c.block.is_copy):
        return found
    assert isinstance(found.piece, Piece)
    return found._replace(live=found.c, have=found.piece.inside)


def _chooses(t: Term) -> bool:
    """Whether entries are copied from where values say: it has none where nothing was copied."""
    return isinstance(t.piece, Free) and getattr(t.c.block, "choice", None) is not None


def added(terms: list[Term], new: Term) -> list[Term]:
    """Return terms with one more, those of the same labels added up."""
    if isinstance(new.piece, Free) and terms:
        new = _entries_of(new)
    found = [_entries_of(t) if terms else t for t in terms]
    for i, t in enumerate(found):
        p, q = t.piece, new.piece
        if isinstance(p, Piece) and isinstance(q, Piece) and are_alike(p, q):
            live, have = t.live, t.have
            if live is not new.live:
                live, have = _either_live(t, new)
                t, new = settled(t), settled(new)
            p, q = t.piece, new.piece
            assert isinstance(p, Piece)
            assert isinstance(q, Piece)
            inside = "".join(sorted({*p.inside, *q.inside}))
            both = [_spread_to(x, r.inside, inside) for x, r in ((t.c, p), (new.c, q))]
            number = 2 if is_number(both[0]) and is_number(both[1]) else 0
            c = both[0] + both[1]
            if inside and not is_number(c) and shape_of(c) != (full := _lengths(p, inside)):
                c = filled(c, shape=full)
            found[i] = Term(p._replace(inside=inside, number=number), c, live, have)
            return found
    found.append(new)
    if len(found) > MOST_TERMS:
        p = found[0].piece
        assert isinstance(p, Piece)
        if not any(isinstance(t.piece, Piece) and t.piece.is_dense for t in found):
            _lost()
        return [_dense_term(_sum(found), shape_of_side(p, False), shape_of_side(p, True))]
    return found


def _lengths(p: Piece, labels: str) -> tuple[int, ...]:
    return tuple(p.sizes[ord(s) - 97] for s in labels)


def _spread_to(c: Any, have: str, want: str) -> Any:
    """Give coefficients axes of length 1 for labels that they do not depend on."""
    return c if is_number(c) or have == want else align(c, have, want, 0)


def _full(t: Term) -> Any:
    """Return all entries of a term as an array with the axes of result and argument."""
    return _sum([t])


def _sum(terms: Sequence[Term]) -> Any:
    """Return all entries of a sum of terms, with the axes of result and argument."""
    terms = sorted(terms, key=lambda t: not (isinstance(t.piece, Piece) and t.piece.is_dense))
    total: Any = None
    shape: tuple[int, ...] = ()
    for t in map(_entries_of, terms):
        t = settled(t)
        p = t.piece
        assert isinstance(p, Piece)
        every = p.rows + p.columns
        shape = _lengths(p, every)
        if len(set(every)) == len(every):  # no diagonal: it broadcasts
            c = t.c if is_number(t.c) else align(t.c, p.inside, every, 0)
            total = _whole(c, shape) if total is None else total + c
            continue
        size = math.prod(shape)
        flat = np.zeros(size) if total is None else reshape(total, shape=(size,))
        total = reshape(_written(flat, t, p, total is None), shape=shape)
    return total


def _whole(c: Any, shape: tuple[int, ...]) -> Any:
    if is_number(c):
        return np.full(shape, c)
    return c if shape_of(c) == shape else filled(c, shape=shape)


def _written(flat: Any, t: Term, p: Piece, alone: bool) -> Any:
    """Write the entries of a term with a diagonal into the array of all entries."""
    labels = "".join(dict.fromkeys(p.rows + p.columns))
    grid = _lengths(p, labels)
    places: Any = np.zeros((1,) * len(grid), np.int64)
    for s in p.rows + p.columns:
        n = p.sizes[ord(s) - 97]
        steps = [n if r == s else 1 for r in labels]
        places = places * n + np.arange(n).reshape(steps)
    places = np.ascontiguousarray(np.broadcast_to(places, grid)).reshape(-1)
    if alone and is_number(t.c):
        flat[places] = t.c
        return flat
    c = t.c if is_number(t.c) else align(t.c, p.inside, labels, 0)
    c = np.full(len(places), c) if is_number(c) else reshape(_whole(c, grid), shape=(len(places),))
    if alone and dtype_of(c) != dtype_of(flat):
        flat = flat.astype(dtype_of(c))
    write = index_set if alone else index_add
    step = int(places[1] - places[0]) if len(places) > 1 else 1
    if step > 0 and np.all(np.diff(places) == step):
        stop = int(places[-1]) + 1
        return write(flat, c, spec=(slice(int(places[0]), stop, step),))
    return write(flat, c, places, spec=(SLOT,))


# --- the graph ------------------------------------------------------------------------------------
class ArrayGraph:
    """The arrays of a linear graph, and the terms between them.

    Attributes
    ----------
    problem : StructuredGraph
    names : list of int
        The vertex of `graph` for each one of `problem`.
    """

    def __init__(self, graph: Linear) -> None:
        self.graph = graph
        if len(graph.vertices) > MOST:
            raise NotAccumulable("too many values")
        onward = {e.source for e in graph.edges}
        arguments = [v.number for v in graph.vertices if v.role == "argument"]
        ends: list[int] = []
        uses = Counter(graph.results)
        copies: list[tuple[int, int]] = []
        count = len(graph.vertices)
        self.targets: list[int | None] = []
        for number in graph.results:
            if number is not None and (number in onward or uses[number] > 1 or number in arguments):
                copies.append((number, count))
                number, count = count, count + 1
            if number is not None:
                ends.append(number)
            self.targets.append(number)
        last = {*arguments, *ends}
        between = [v.number for v in graph.vertices if v.number not in last]
        order = [*between, *arguments, *ends]
        self._index = {v: i for i, v in enumerate(order)}
        self.strict = any(_is_steep(e) for e in graph.edges)
        self.edges: dict[tuple[int, int], list[Edge | int]] = {}
        kinds: dict[tuple[int, int], Kind] = {}
        self.algebra = Labels()
        for e in graph.edges:
            pair = self._index[e.source], self._index[e.target]
            self.edges.setdefault(pair, []).append(e)
            kinds[pair] = self.algebra.plus(kinds.get(pair, ()), (self._part(e),))[0]
        shapes = {v.number: v.shape for v in graph.vertices}
        for u, v in copies:
            pair = self._index[u], self._index[v]
            self.edges[pair] = [u]
            kinds[pair] = (_identity(shapes[u]),)
            shapes[v] = shapes[u]
        widths = [float(math.prod(shapes[v])) for v in order]
        self.names = order
        self.problem = StructuredGraph(len(between), len(order), kinds, self.algebra, widths)
        text = repr((len(between), len(order), sorted((e, repr(k)) for e, k in kinds.items())))
        self.key = hashlib.sha256(text.encode()).hexdigest()[:32]

    def _part(self, e: Edge) -> Part:
        """Return a local Jacobian as a part, and refuse one whose zeros might be met.

        Raises
        ------
        NotAccumulable
        """
        found = part_of(e)
        if self.strict and isinstance(found, Free):
            m, n = found.shape
            if not e.block.is_copy and e.block.nnz < m * n:
                raise NotAccumulable("a slope may be infinite beside what is zero by structure")
        return found

    def work(self, order: Sequence[int]) -> Work:
        """Return the operations of an order."""
        total = Work()
        kinds = self._start()
        for step in self.steps(order):
            total, kinds = total.plus(step[0]), step[1]
        for kind in kinds.values():
            for k, p in enumerate(kind):
                total = total.plus(end_of(p, k == 0))
        return total

    def _start(self) -> dict[tuple[int, int], Kind]:
        return {e: self.problem._kinds[k] for e, k in self.problem.edges.items()}

    def steps(self, order: Sequence[int]) -> Iterator[tuple[Work, dict[tuple[int, int], Kind]]]:
        """Yield the operations of each elimination, and the terms that are there after it."""
        kinds = self._start()
        for v in order:
            total = Work()
            into = [u for u, w in kinds if w == v]
            out = [w for u, w in kinds if u == v]
            for u in into:
                for w in out:
                    found: list[Part] = list(kinds.get((u, w), ()))
                    for p in kinds[v, w]:
                        for q in kinds[u, v]:
                            made, work = product_of(p, q)
                            found, more = total_of(found, made)
                            total = total.plus(work).plus(more)
                    kinds[u, w] = tuple(sorted(found, key=repr))
            for u in into:
                del kinds[u, v]
            for w in out:
                del kinds[v, w]
            yield total, kinds

    def accumulate(self, order: Sequence[int]) -> list[list[Any]]:
        """Eliminate the vertices in an order; see `LinearGraph.accumulate`."""
        terms: dict[tuple[int, int], list[Term]] = {}
        before: list[list[int]] = [[] for _ in range(self.problem.vertices)]
        after: list[list[int]] = [[] for _ in range(self.problem.vertices)]
        for (u, v), edges in self.edges.items():
            found: list[Term] = []
            for e in edges:
                if isinstance(e, int):
                    shape = self.graph.vertices[e].shape
                    found = added(found, Term(_identity(shape), 1))
                else:
                    found = added(found, term_of(e))
            terms[u, v] = found
            before[v].append(u)
            after[u].append(v)
        token = STRICT.set(self.strict)
        try:
            eliminated(terms, before, after, order, _products, _sums)
        finally:
            STRICT.reset(token)
        found_rows = []
        for y, target in zip(self.graph.ys, self.targets, strict=True):
            row: list[Any] = []
            for number in self.graph.arguments:
                made = None
                if number is not None and target is not None:
                    pair = self._index[number], self._index[target]
                    if pair in terms:
                        made = _sum(terms[pair])
                        if dtype_of(made) != dtype_of(y):
                            made = convert(made, dtype=dtype_of(y))
                        if not isinstance(made, Traced) and not made.flags.owndata:
                            made = made.copy()
                row.append(made)
            found_rows.append(row)
        return found_rows


def _products(first: list[Term], second: list[Term]) -> list[Term]:
    """Return the terms of the Jacobian `second` after `first`."""
    made: list[Term] = []
    for s in second:
        for t in first:
            made = added(made, multiply(s, t))
    return made


def _sums(some: list[Term], more: list[Term]) -> list[Term]:
    for t in more:
        some = added(some, t)
    return some


def _identity(shape: tuple[int, ...]) -> Piece:
    labels = LETTERS[: len(shape)]
    return piece_of(labels, labels, "", dict(zip(labels, shape, strict=True)), 1)


def _is_steep(e: Edge) -> bool:
    """Whether a slope may be infinite."""
    steep: Any = e.node.op.steep
    xs = e.inputs
    if callable(steep) and not any(isinstance(x, Traced) for x in xs):
        return bool(steep(*xs))
    return bool(steep)


def part_of(e: Edge) -> Part:
    """Return a local Jacobian as a piece, or as what there are products of."""
    block = e.block
    if isinstance(block, Labelled) and not block.is_matrix_free:
        number = 1 if block.is_copy else 2 if isinstance(block.factor, int) else 0
        return piece_of(block.rows, block.columns, block.inside, block.sizes, number)
    if isinstance(block, Moved):
        found = _as_labels(e)
        if found is not None:
            return found
        return Free(block.result, block.operand, 0)
    return Free(block.result, block.operand, 0 if block.is_copy else block.flops())


def _as_labels(e: Edge) -> Piece | None:
    """Return what moves whole axes as labels: axes of length 1 come and go, the others stay."""
    block = e.block
    m, n = block.shape
    if m != n:
        return None
    rows, columns = block.entries()
    if len(rows) != m or not (np.array_equal(rows, columns) and np.all(np.diff(rows) == 1)):
        return None
    long = [s for s in block.result if s != 1]
    if long != [s for s in block.operand if s != 1]:
        return None
    names = iter(LETTERS)
    sizes: dict[str, int] = {}

    def named(shape: tuple[int, ...]) -> str:
        found, k = "", 0
        for s in shape:
            if s != 1:
                label, k = LETTERS[40 + k], k + 1
            else:
                label = next(names)
            sizes[label] = s
            found += label
        return found

    return piece_of(named(block.result), named(block.operand), "", sizes, 1)


def term_of(e: Edge) -> Term:
    """Return a local Jacobian with its coefficients."""
    part = part_of(e)
    if isinstance(part, Free):
        return Term(part, e)
    block = e.block
    if not isinstance(block, Labelled):
        return Term(part, 1)
    c = coefficients(block, e.results, e.inputs, e.node.attrs)
    if is_number(c) and (block.choices is None or c != 0):
        return Term(part._replace(inside="", number=1 if c in (1, -1) else 2), c)
    if is_number(c):
        c = np.asarray(c)  # nothing is chosen
    shape = shape_of(c)
    have = block.inside[len(block.inside) - len(shape) :]
    long = "".join(s for s, n in zip(have, shape, strict=True) if n != 1)
    if len(long) != len(shape):
        c = reshape(c, shape=tuple(n for n in shape if n != 1))
    piece = piece_of(block.rows, block.columns, long, block.sizes)
    names = dict(zip(block.rows + block.columns, piece.rows + piece.columns, strict=True))
    c = _ordered(c, "".join(names[s] for s in long), piece.inside)
    return Term(piece, c) if block.choices is None else Term(piece, c, c, piece.inside)
