"""Colouring: which columns (or rows) of a sparse matrix can share one product.

Three nouns. A `ColouringProblem` says what is known of the matrix and what is to be coloured, a
`ColouringAlgorithm` how, and a `ColouringResult` holds the colours, makes the seeds of the products
and recovers the matrix from them. `colour` goes from one to the other. All of it sees arrays only.

=============  ===============  ============  ====================================================
structure      partition        decompress    colouring
=============  ===============  ============  ====================================================
nonsymmetric   column, row      direct        partial distance-2
nonsymmetric   bidirectional    direct        star bicolouring
nonsymmetric   bidirectional    substitution  acyclic bicolouring
symmetric      column           direct        star
symmetric      column           substitution  acyclic
=============  ===============  ============  ====================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wengert.errors import InputError, ShapeError
from wengert.sparse.colouring.bicolouring import bicolour, without_spare_symmetric
from wengert.sparse.colouring.problem import ColouringAlgorithm, ColouringProblem
from wengert.sparse.colouring.result import ColouringResult, transposed
from wengert.sparse.colouring.search import Effort, Graph, one_side, symmetric_bound, two_coloured

__all__ = ["colour"]

Array = NDArray[Any]


def _arrays(pattern: Any) -> tuple[Array, Array, tuple[int, int]]:
    """Return a pattern as row starts, column indices and a shape."""
    if isinstance(pattern, tuple) and len(pattern) == 3:
        indptr, indices, shape = pattern
    else:
        if getattr(pattern, "format", "csr") != "csr" and hasattr(pattern, "tocsr"):
            pattern = pattern.tocsr()
        if not hasattr(pattern, "indptr"):
            raise InputError(
                "a pattern is a SciPy sparse array, an object with indptr, indices and shape "
                f"by rows, or those three, not {type(pattern).__name__}"
            )
        if not getattr(pattern, "has_canonical_format", True):
            pattern = pattern.copy()
            pattern.sum_duplicates()
        indptr, indices, shape = pattern.indptr, pattern.indices, pattern.shape
    indptr, indices = np.asarray(indptr), np.asarray(indices)
    m, n = (int(size) for size in shape)
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise InputError(f"{name} must be a 1-D array of integers")
    if max(m, n, len(indices)) >= 2**31 - 1:
        raise ShapeError(f"a pattern of {m} x {n} with {len(indices)} entries is too large")
    return (
        np.ascontiguousarray(indptr, dtype=np.int32),
        np.ascontiguousarray(indices, dtype=np.int32),
        (m, n),
    )


def colour(
    pattern: Any,
    problem: ColouringProblem | None = None,
    algorithm: ColouringAlgorithm | None = None,
) -> ColouringResult:
    """Colour a sparse matrix.

    Parameters
    ----------
    pattern : sparse array, or (indptr, indices, shape)
        By rows. Stored zeros count as entries.
    problem : ColouringProblem, optional
        Columns of a nonsymmetric matrix without.
    algorithm : ColouringAlgorithm, optional

    Returns
    -------
    ColouringResult

    Raises
    ------
    InputError
        If there is no such pattern or problem: a one-sided partition with substitution.
    ShapeError
        If the arrays are not a pattern, or a symmetric one is asked for and it is not.
    """
    problem = problem or ColouringProblem()
    algorithm = algorithm or ColouringAlgorithm()
    indptr, indices, shape = _arrays(pattern)
    tptr, tidx, place = transposed(indptr, indices, shape)
    rows, columns = Graph(indptr, indices), Graph(tptr, tidx)
    effort = Effort(min(algorithm.effort, (1 << 19) + 256 * len(indices)))
    orders = [algorithm.order]
    substitution = algorithm.decompression == "substitution"
    column_colours: Array | None = None
    row_colours: Array | None = None
    if problem.structure == "symmetric":
        if shape[0] != shape[1] or not (
            np.array_equal(indptr, tptr) and np.array_equal(indices, tidx)
        ):
            raise ShapeError(f"the pattern of shape {shape} is not symmetric")
        column_colours, order, bound = _symmetric(rows, place, orders, effort, algorithm)
    elif problem.partition == "bidirectional":
        kind = "acyclic" if substitution else "star"
        row_colours, column_colours, order, bound = bicolour(
            rows, columns, place, kind, algorithm.order, effort, algorithm.seed,
            algorithm.row_weight, algorithm.neutral,
        )  # fmt: skip
    elif substitution:
        raise InputError(
            "substitution is for symmetric matrices and bidirectional partitions: "
            "use decompression='direct'"
        )
    elif problem.partition == "column":
        attempt, bound = one_side(columns, rows, orders, effort, algorithm.seed)
        column_colours, order = attempt.colour, attempt.order
    else:
        attempt, bound = one_side(rows, columns, orders, effort, algorithm.seed)
        row_colours, order = attempt.colour, attempt.order
    result = ColouringResult(
        problem, algorithm, shape, indptr, indices, column_colours, row_colours, bound, order
    )
    result.__dict__["_by_columns"] = (tptr, tidx, place)
    return result


def _symmetric(
    rows: Graph, place: Array, orders: list[str], effort: Effort, algorithm: ColouringAlgorithm
) -> tuple[Array, str, int]:
    """Star or acyclic colouring of a symmetric pattern: colours, order and lower bound."""
    n = rows.size
    of_row = np.repeat(np.arange(n, dtype=np.int32), rows.degrees)
    off = of_row != rows.adj
    graph = _part(rows, off)
    members = np.flatnonzero(rows.degrees > 0).astype(np.int32)
    needed = np.zeros(n, np.bool_)  # only its own colour gives an entry of the diagonal
    needed[of_row[~off]] = True
    spare = algorithm.neutral and not needed[members].all()
    kinds = ["star"] if algorithm.decompression == "direct" else ["acyclic"]
    if not spare:
        bound = symmetric_bound(graph, kinds[0], len(members))
    else:
        part = _part(rows, off & needed[of_row] & needed[rows.adj])
        bound = symmetric_bound(part, kinds[0], int(needed.sum()))
        bound = max(bound, int(len(members) > 0))
        # Substitution does with what a star colouring without its spare colours gives.
        kinds = list(dict.fromkeys(["star", *kinds]))

    def tidy(colour: Array) -> tuple[Array, float]:
        colour = without_spare_symmetric(rows, place, colour)
        return colour, int(colour.max(initial=-1)) + 1

    tries = [
        two_coloured(
            graph, members, kind, orders, bound, effort, algorithm.seed,
            finish=tidy if spare and kind == "star" else None,
            whole=(rows.ptr, rows.adj) if kind == "star" and not spare else None,
        )
        for kind in kinds
    ]  # fmt: skip
    best = min(tries, key=lambda attempt: attempt.cost)
    return best.colour, best.order, bound


def _part(rows: Graph, chosen: Array) -> Graph:
    """Return the graph of some entries."""
    starts = np.concatenate([[0], np.cumsum(chosen)])
    return Graph(starts[rows.ptr].astype(np.int32), rows.adj[chosen])
