"""The ways to compute a dense Jacobian of a function that was linearised at a point.

A way gets the linearised function and returns the blocks of its Jacobian, a list over the results
of lists over the arguments. It applies operations to whatever the values are: arrays, or tracers of
outer transformations, so a way can be recorded, and derived again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Node, Value
from wengert.linear.accumulate import Accumulation, accumulate_flat
from wengert.linear.blocked import in_blocks
from wengert.linear.entries import entries_of
from wengert.linear.graph import LinearGraph
from wengert.linear.symmetric import SecondOrder
from wengert.linear.terms import JacobianTerm, NotAccumulable, is_number
from wengert.linear.values import rely_on
from wengert.matrices.coloured import compressed_matrix
from wengert.ops.base import RegionOp, Traced, dtype_of, is_inexact, shape_of
from wengert.ops.convert import convert
from wengert.ops.index import SLOT, getitem, index_add, index_set
from wengert.ops.shape import filled, reshape, transpose
from wengert.orders.order import Order
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.linear import Linearized, as_recorded, quiet

__all__ = ["EVERY", "WAYS", "Blocks", "Point", "replayed"]

Blocks = list[list[Any]]
Ints = np.ndarray[Any, Any]


class Point:
    """A function linearised at a point, of which the Jacobian is wanted.

    Attributes
    ----------
    lin : Linearized
    leaves : list of arrays
        The arguments.
    chunk : int or None
        Products computed at once.
    rows, columns : int
        Entries of all results, and of all arguments.
    order : Order or None
        In which the vertices of its linear graph are to be eliminated, or were.
    most : int or None
        Nonzeros that accumulation may carry.
    scalar : callable or None
        Of a Hessian: linearises the function of which `lin` is the gradient.
    """

    def __init__(
        self,
        lin: Linearized,
        leaves: list[Any],
        chunk: int | None = None,
        scalar: Callable[[], Linearized] | None = None,
    ) -> None:
        self.lin = lin
        self.scalar = scalar
        self.leaves = leaves
        self.chunk = chunk
        self.order: Order | None = None
        self.most: int | None = None
        self.rows = sum(size_of(y) for y in lin.ys)
        self.columns = sum(size_of(x) for x in leaves)

    @property
    def ys(self) -> list[Any]:
        """The results."""
        return self.lin.ys

    @property
    def examples(self) -> int:
        """How many Jacobians there are under `vmap`, at once."""
        return max((_examples(x) for x in (*self.leaves, *self.ys)), default=1)


def _examples(x: Any) -> int:
    found = 1
    while isinstance(x, Tracer):
        trace, var = x._trace, x._var
        if isinstance(trace, BatchTrace) and var.batched:
            found *= trace.size
        x = getattr(var, "data", None)
    return found


def size_of(x: Any) -> int:
    """Return the number of entries of an array."""
    return math.prod(shape_of(x))


# --- whole sweeps ---------------------------------------------------------------------------------
def _basis(x: Any, start: int, stop: int) -> Any:
    """Return some elements of the basis of all arrays like `x`."""
    rows = np.eye(stop - start, size_of(x), start, dtype=dtype_of(x))
    return rows.reshape((stop - start, *shape_of(x)))


def _mapped(
    function: Callable[[Any], list[Any]], x: Any, likes: list[Any], chunk: int | None
) -> list[Any]:
    """Apply a linear function to a basis of arrays like `x`, a chunk at once, batch in front."""
    n = size_of(x)
    if n == 0:
        return [np.zeros((0, *shape_of(y)), dtype_of(y)) for y in likes]
    step = chunk or n
    chunks = [
        _chunk(function, as_recorded(_basis(x, start, min(start + step, n)), (x, *likes)), likes)
        for start in range(0, n, step)
    ]
    if len(chunks) == 1:
        return chunks[0]
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def _chunk(function: Callable[[Any], list[Any]], basis: Any, likes: list[Any]) -> list[Any]:
    n = shape_of(basis)[0]
    trace = BatchTrace(n)
    try:
        found = function(Tracer(trace, Batched(basis, True)))
    finally:
        trace.alive = False
    made = []
    for y, like in zip(found, likes, strict=True):
        if isinstance(y, Tracer) and y._trace is trace:
            y = (
                y._var.data
                if y._var.batched
                else np.broadcast_to(y._var.data, (n, *shape_of(like)))
            )
        elif y is None:
            y = np.zeros((n, *shape_of(like)), dtype_of(like))
        else:
            y = np.broadcast_to(y, (n, *shape_of(like)))
        made.append(y)
    return made


def by_columns(point: Point) -> Blocks:
    """Push a batch of tangents for each argument."""
    lin, leaves = point.lin, point.leaves
    columns = []
    for k, x in enumerate(leaves):

        def push(t: Any, k: int = k) -> list[Any]:
            return lin.push([t if i == k else None for i in range(len(leaves))])

        blocks = _mapped(push, x, lin.ys, point.chunk)
        columns.append(
            [
                np.reshape(np.moveaxis(b, 0, -1), shape_of(y) + shape_of(x))
                for b, y in zip(blocks, lin.ys, strict=True)
            ]
        )
    return [_owned(column[i] for column in columns) for i in range(len(lin.ys))]


def by_rows(point: Point) -> Blocks:
    """Pull a batch of cotangents for each result."""
    lin, leaves = point.lin, point.leaves
    rows = []
    for k, y in enumerate(lin.ys):
        if not is_inexact(y):
            rows.append([np.zeros(shape_of(y) + shape_of(x), dtype_of(x)) for x in leaves])
            continue

        def pull(ct: Any, k: int = k) -> list[Any]:
            return lin.pull([ct if i == k else None for i in range(len(lin.ys))])

        blocks = _mapped(pull, y, leaves, point.chunk)
        rows.append(
            _owned(
                np.reshape(b, shape_of(y) + shape_of(x))
                for b, x in zip(blocks, leaves, strict=True)
            )
        )
    return rows


def _owned(arrays: Any) -> list[Any]:
    return [
        np.array(a)
        if type(a) is np.ndarray and (a.base is not None or not a.flags.writeable)
        else a
        for a in arrays
    ]


# --- accumulation ---------------------------------------------------------------------------------
def replayed(lin: Linearized) -> Callable[..., list[Any]]:
    """Return a linearised function as a function again, whose operations are applied anew.

    Raises
    ------
    NotAccumulable
        By the function, for a loop and for what is computed twice by `wengert.checkpoint`.
    """
    nodes = lin.tape.nodes

    def function(*leaves: Any) -> list[Any]:
        table: dict[Value, Any] = dict(zip(lin.roots, leaves, strict=True))

        def read(x: Any) -> Any:
            if isinstance(x, Value):
                return table.get(x, x.data)
            return x.data if isinstance(x, Const) else x

        for node in nodes:
            if type(node) is not Node or isinstance(node.op, RegionOp):
                raise NotAccumulable("the function has a loop or a checkpoint")
            made = node.op(*[read(x) for x in node.inputs], **node.attrs)
            results = made if isinstance(made, tuple) else (made,)
            table.update(zip(node.outputs, results, strict=True))
        return [y if v is None else read(v) for v, y in zip(lin.outs, lin.ys, strict=True)]

    return function


def alike(point: Point) -> np.dtype[Any]:
    """Return the dtype of all arguments and results.

    Raises
    ------
    NotAccumulable
        Where they have several, or a complex one.
    """
    dtypes = {dtype_of(x) for x in (*point.leaves, *point.ys)}
    if len(dtypes) > 1:
        raise NotAccumulable("arguments and results have several dtypes")
    (dtype,) = dtypes
    if dtype.kind != "f":
        raise NotAccumulable("complex numbers")
    return dtype


def by_terms(point: Point) -> Blocks:
    """Carry the nonzeros of each value's Jacobian through the function, and spread them out.

    Raises
    ------
    NotAccumulable
    """
    dtype = alike(point)
    most = point.most
    if most is None:  # more entries than a dense matrix has: no gain
        most = 4 * point.rows * point.columns + 4096
    with quiet():
        leaves = list(point.leaves)
        found = accumulate_flat(replayed(point.lin), leaves, range(len(leaves)), most)
        rely_on(found.indices)
        made = []
        for y, terms in zip(point.ys, found.terms, strict=True):
            whole = _spread(terms, shape_of(y), point.columns, dtype)
            made.append(_cut(whole, y, point.leaves))
    return made


def by_order(point: Point) -> Blocks:
    """Eliminate the vertices of the linear graph in the cheapest order that is found.

    Raises
    ------
    NotAccumulable
    """
    dtype = alike(point)
    with quiet():
        many = in_blocks(point.lin, point.leaves, point.order)
        if many is not None:
            found, point.order = many
        else:
            graph = LinearGraph(point.lin)
            if point.order is None:
                point.order = graph.order("default")
            found = graph.accumulate(point.order)
            rely_on(graph.indices)
    return _with_zeros(found, point, dtype)


def by_colours(point: Point) -> Blocks:
    """Push columns that share no row at once, or pull rows that share no column.

    Raises
    ------
    NotAccumulable
    """
    whole = compressed_matrix(point.lin, point.leaves, alike(point))
    made, start = [], 0
    for y in point.ys:
        stop = start + size_of(y)
        part = getitem(whole, spec=(slice(start, stop),)) if len(point.ys) > 1 else whole
        made.append(_cut(part, y, point.leaves))
        start = stop
    return made


def by_symmetry(point: Point) -> Blocks:
    """Eliminate the numbers of a scalar function and their adjoints in pairs.

    Raises
    ------
    NotAccumulable
    """
    dtype = alike(point)
    if point.scalar is None:
        raise NotAccumulable("it is no Hessian")
    with quiet():
        graph = LinearGraph(point.scalar())
        if graph.level != "entries":
            raise NotAccumulable("its values are arrays and not numbers")
        found = SecondOrder(graph).accumulate()
        rely_on(graph.indices)
    return _with_zeros(found, point, dtype)


def _with_zeros(found: Blocks, point: Point, dtype: np.dtype[Any]) -> Blocks:
    blocks = []
    for y, row in zip(point.ys, found, strict=True):
        shapes = [shape_of(y) + shape_of(x) for x in point.leaves]
        blocks.append(
            _owned(
                np.zeros(shape, dtype) if b is None else b
                for b, shape in zip(row, shapes, strict=True)
            )
        )
    return blocks


def _cut(whole: Any, y: Any, leaves: Sequence[Any]) -> list[Any]:
    """Cut a matrix of all columns into a block for each argument."""
    if len(leaves) == 1:
        return _owned([np.reshape(whole, shape_of(y) + shape_of(leaves[0]))])
    blocks, start = [], 0
    for x in leaves:
        stop = start + size_of(x)
        part = getitem(whole, spec=(slice(None), slice(start, stop)))
        blocks.append(np.reshape(part, shape_of(y) + shape_of(x)))
        start = stop
    return _owned(blocks)


def _spread(terms: list[JacobianTerm], shape: tuple[int, ...], n: int, dtype: np.dtype[Any]) -> Any:
    """Return the dense matrix of some terms of a value of a shape, with `n` columns."""
    size = math.prod(shape)
    base: Any = None
    later = []
    for t in terms:
        whole = _whole(t, shape, size, n)
        if whole is None:
            later.append(t)
        else:
            base = whole if base is None else base + whole
    if base is not None:
        data = reshape(base, shape=(size * n,))
        data = data if dtype_of(data) == dtype else convert(data, dtype=dtype)
    else:
        data = filled(np.zeros((), dtype)[()], shape=(size * n,))
    fresh = base is None
    written = np.zeros(size * n, np.bool_) if later else np.zeros(0, np.bool_)
    for t in later:
        at, c = _entries(t, shape, n)
        if not len(at):
            continue
        if not isinstance(c, (Traced, np.ndarray)):
            c = np.full(len(at), c, dtype)
        elif dtype_of(c) != dtype:
            c = convert(c, dtype=dtype)
        step = _step(at)
        alone = fresh and not written[at].any() and (step is not None or _distinct(at))
        written[at] = True
        write = index_set if alone else index_add
        if step is not None:
            data = write(data, c, spec=(slice(int(at[0]), int(at[-1]) + 1, step),))
        else:
            data = write(data, c, at, spec=(SLOT,))
    return reshape(data, shape=(size, n))


def _whole(t: JacobianTerm, shape: tuple[int, ...], size: int, n: int) -> Any:
    """Return a term whose place k is column k of every entry as a matrix; None for others."""
    if t.rows is not None or is_number(t.coefficient) or t.columns.shape[0] != n or n == 1:
        return None
    columns = t.columns.reshape(n, -1)
    if columns.shape[1] != 1 or not np.array_equal(columns[:, 0], np.arange(1, n + 1)):
        return None
    c = t.coefficient
    c = c if shape_of(c) == (n, *shape) else filled(c, shape=(n, *shape))
    return transpose(reshape(c, shape=(n, size)), axes=(1, 0))


def _entries(t: JacobianTerm, shape: tuple[int, ...], n: int) -> tuple[Ints, Any]:
    """Return the places of a term's entries in the flat matrix, and its coefficients there."""
    found = entries_of(Accumulation([np.empty(shape)], [[t]], []), n)
    (rows,), (columns,), (places,) = found.rows, found.columns, found.places
    at = rows.astype(np.int64) * n + columns
    c = t.coefficient
    if is_number(c):
        return at, c
    full = (t.columns.shape[0], *shape) if t.rows is None else t.rows.shape
    size = math.prod(full)
    c = reshape(c if shape_of(c) == full else filled(c, shape=full), shape=(size,))
    if len(places) == size or not len(places):
        return at, c
    if places[-1] - places[0] + 1 == len(places):
        return at, getitem(c, spec=(slice(int(places[0]), int(places[-1]) + 1),))
    return at, getitem(c, places, spec=(SLOT,))


def _distinct(at: Ints) -> bool:
    return len(np.unique(at)) == len(at)


def _step(at: Ints) -> int | None:
    """Return the positive distance between neighbours if it is the same for all, else None."""
    if len(at) == 1:
        return 1
    distances = np.diff(at)
    first = int(distances[0])
    return first if first > 0 and bool(np.all(distances == first)) else None


WAYS: dict[str, Callable[[Point], Blocks]] = {
    "forward": by_columns,
    "reverse": by_rows,
    "accumulate": by_terms,
    "eliminate": by_order,
    "coloured": by_colours,
}
"""The ways by name."""

EVERY = {**WAYS, "symmetric": by_symmetry}
"""Those to Hessians too."""
