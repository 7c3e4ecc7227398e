"""What a plan of a sparse matrix is made of: the request, the candidates, the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from wengert.cost.count import Count, count_graph
from wengert.ir.graph import Graph
from wengert.matrices.rates import rates
from wengert.matrices.work import work_of
from wengert.sparse.colouring.result import ColouringResult
from wengert.sparse.pattern import SparsityPattern

__all__ = ["DENSE", "MODES", "Candidate", "MatrixProgram", "Mode", "Order", "Request"]

DENSE = ("eliminate", "symmetric", "coloured")
"""Modes of dense matrices only."""

Mode = Literal[
    "auto", "accumulate", "forward", "reverse", "both", "eliminate", "symmetric", "coloured"
]
MODES = get_args(Mode)


class Request(NamedTuple):
    """What is asked for, apart from the arguments.

    Attributes
    ----------
    f : callable
    kind : {"jacobian", "hessian"}
    argnums : int or sequence of int
    pattern : SparsityPattern or None
        Given by the user; None to detect it.
    mode : str
        One of `MODES`.
    columns_first : bool
        Whether the entries are wanted by columns.
    value : bool
        Whether the function's value is wanted too.
    chunk_size : int or None
        Colours in one batch.
    probe : bool
        Whether to check the matrix at the example.
    name : str
        For messages.
    colouring : ColouringResult or None
        Known from a saved plan, for `mode`.
    saved : bool
        Whether pattern and colours come from a saved plan.
    """

    f: Callable[..., Any]
    kind: str
    argnums: Any
    pattern: SparsityPattern | None
    mode: str
    columns_first: bool
    value: bool
    chunk_size: int | None
    probe: bool
    name: str
    colouring: ColouringResult | None = None
    saved: bool = False


class Candidate(NamedTuple):
    """A way to compute the matrix, with what it is predicted to cost, the time in seconds."""

    mode: str
    sweeps: str
    colours: int
    flops: int
    bytes: int
    seconds: float


class Order(NamedTuple):
    """How the array of entries is ordered, as the index arrays of a SciPy matrix.

    Attributes
    ----------
    indptr, indices : int arrays
        Compressed by rows or by columns; read-only, shared by all results.
    place : int array or None
        Where each entry by rows stands; None for the same order.
    """

    indptr: Any
    indices: Any
    place: Any

    @classmethod
    def of(cls, pattern: SparsityPattern, columns_first: bool) -> Order:
        """Make the order of a pattern."""
        if not columns_first:
            return cls(pattern.indptr, pattern.indices, None)
        by_columns = pattern.tocsr(np.arange(pattern.nnz)).tocsc()
        place = np.empty(pattern.nnz, np.int64)
        place[by_columns.data] = np.arange(pattern.nnz)
        for x in (by_columns.indptr, by_columns.indices):
            x.flags.writeable = False
        return cls(by_columns.indptr, by_columns.indices, place)


@dataclass
class MatrixProgram:
    """What is to run: a graph from the data of a call to values and entries, and its meaning.

    Attributes
    ----------
    graph : Graph
        Outputs: the function's results if the value is wanted, then the entries; with chunks, the
        products of one batch of seeds, which are its last inputs.
    pattern : SparsityPattern
    order : Order
    mode : str
        The way taken.
    colouring : ColouringResult or None
        None for accumulation.
    chunk : int or None
        Colours in one batch; None where all are one.
    dtype : dtype
    result : tuple
        Form of the function's result, and its leaves that are not data.
    first : list
        The outputs at the example (all of them, entries last).
    times : dict
        Seconds of each stage.
    alone : Recorded or None
        The recording, where it stands for its own call only.
    doubt : SparsityError or None
        How the given pattern was found wrong at another point than the example.
    why : str
        Why accumulation was not taken; empty where it was.
    """

    graph: Graph
    pattern: SparsityPattern
    order: Order
    mode: str
    colouring: ColouringResult | None
    chunk: int | None
    dtype: np.dtype[Any]
    result: tuple[Any, list[Any]]
    first: list[Any]
    times: dict[str, float]
    why: str = ""
    relied: list[Callable[[Sequence[Any]], bool]] = field(default_factory=list)
    planner: Any = None
    alone: Any = None
    doubt: Exception | None = None

    @cached_property
    def cost(self) -> Count:
        """Operations and bytes of one run of the graph."""
        return count_graph(self.graph)

    @cached_property
    def seconds(self) -> float:
        """The predicted time of one run of the graph."""
        return rates().seconds(work_of(self.graph))

    @property
    def chunks(self) -> tuple[int, int]:
        """Number of batches of column colours and of row colours."""
        if self.colouring is None or self.chunk is None:
            return 0, 0
        c = self.colouring
        return -(-c.column_number // self.chunk), -(-c.row_number // self.chunk)

    def holds(self, leaves: Sequence[Any]) -> bool:
        """Whether constant arrays that the pattern was read from are as they were."""
        return all(check(leaves) for check in self.relied)

    def run(self, run: Callable[[Sequence[Any]], Sequence[Any]], leaves: Sequence[Any]) -> Any:
        """Run the compiled graph; return the outputs, entries last."""
        if self.chunk is None:
            return run(leaves)
        c = self.colouring
        assert c is not None
        (m, n), k = c.shape, self.chunk
        sides = [  # the products wanted, the seeds of a batch of them, the width of each
            (np.empty((c.column_number, m), self.dtype), c.seeds_columns, n),
            (np.empty((c.row_number, n), self.dtype), c.seeds_rows, m),
        ]
        sides = [side for side in sides if len(side[0])]
        ys: Sequence[Any] = []
        for i in range(max(self.chunks)):
            seeds = []
            for _, get, width in sides:
                whole = np.zeros((k, width), self.dtype)
                part = get(self.dtype, i * k, (i + 1) * k)
                whole[: len(part)] = part
                seeds.append(whole)
            *ys, joined = run([*leaves, *seeds])
            start = 0
            for made, _, _ in sides:
                stop = start + k * made.shape[1]
                left = made[i * k : (i + 1) * k]
                left[:] = joined[start:stop].reshape(k, -1)[: len(left)]
                start = stop
        columns, rows = (
            next((made for made, get, _ in sides if get == wanted), None)
            for wanted in (c.seeds_columns, c.seeds_rows)
        )
        data = c.decompress(columns, rows)
        if self.order.place is not None:
            ordered = np.empty_like(data)
            ordered[self.order.place] = data
            data = ordered
        return [*ys, data]
