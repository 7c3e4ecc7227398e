"""Planning a sparse Jacobian or Hessian: its pattern, the way to compute it, and the program.

Two ways are known. *Accumulation* carries the nonzeros through the function
(`wengert.linear.accumulate`): nothing else is computed, but not every function suits it.
*Sweeps* push or pull a seed for each colour of the pattern (`wengert.matrices.sweeps`). The planner
records the one that it predicts to be cheaper as one graph, whose last output is the array of
nonzeros; its guards are those of the function, and the plan holds where they do.
"""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from wengert.cost.count import Count, count_graph
from wengert.errors import (
    DerivativeError,
    InputError,
    ShapeError,
    UnsupportedError,
    user_line,
)
from wengert.follow.functions import call as call_followed
from wengert.ir.build import evaluate
from wengert.ir.graph import Const, Graph
from wengert.ir.simplify import remove_dead
from wengert.jit.form import DYNAMIC, split
from wengert.jit.record import Recorded, record
from wengert.jit.state import State
from wengert.linear.accumulate import accumulate_flat
from wengert.linear.entries import assemble, entries_of
from wengert.linear.terms import NotAccumulable
from wengert.matrices.check import Probe
from wengert.matrices.compare import as_time
from wengert.matrices.patterns import Call, hessian_sparsity, jacobian_sparsity
from wengert.matrices.program import Candidate, MatrixProgram, Order, Request
from wengert.matrices.rates import rates
from wengert.matrices.sweeps import compressed_data, products
from wengert.matrices.work import Work, work_of
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.sparse.colouring.colouring import colour
from wengert.sparse.colouring.problem import ColouringAlgorithm, ColouringProblem
from wengert.sparse.colouring.result import ColouringResult
from wengert.sparse.detection.detect import Detection
from wengert.sparse.pattern import SparsityPattern
from wengert.trace.tracer import Tracer
from wengert.trees import flattened

__all__ = ["Planner", "plan_matrix"]

Flat = Callable[..., list[Any]]

MOST = 1 << 25
"""Entries that the terms of one value may have in accumulation."""

BATCH_BYTES = 1 << 28
"""Memory that the sweeps of one batch may take, unless a size of chunks is given."""


def plan_matrix(request: Request, args: tuple[Any, ...], kwargs: dict[str, Any]) -> MatrixProgram:
    """Plan a matrix at an example.

    Raises
    ------
    ShapeError
        For a given pattern of the wrong shape.
    SparsityError
        When the matrix at the example does not agree with products of the function.
    """
    return Planner(request, args, kwargs).program()


class Planner:
    """The stages of planning one call.

    Parameters
    ----------
    request : Request
    args, kwargs : tuple and dict
        Of the call.
    errors : dict, optional
        What `numpy.errstate` makes of floating-point errors where the matrix is asked for, if it
        makes them raise: the function then runs under it.
    """

    def __init__(
        self,
        request: Request,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        errors: Mapping[str, Any] | None = None,
    ) -> None:
        self.request = request
        self.errors = errors or {}
        self.args, self.kwargs = args, kwargs
        self.results: list[tuple[Any, list[Any]]] = []
        self.shapes: list[tuple[int, ...]] = []

        @functools.wraps(request.f)
        def noted(*xs: Any, **named: Any) -> Any:
            return self._noted(*xs, **named)

        self.noted = noted
        self.call = Call(noted, args, kwargs, request.argnums, request.name)
        self.hessian = request.kind == "hessian"
        self.function: Flat = self.call.gradient if self.hessian else self.call.results
        self.leaves = self.call.leaves
        self.chosen = [self.leaves[i] for i in self.call.wrt]
        for x in self.chosen:
            if dtype_of(x).kind == "c":
                raise InputError(
                    f"{request.name}: sparse derivatives are of real functions, and an argument is "
                    f"{dtype_of(x)}. Pass real and imaginary parts, or leave sparsity= "
                    f"out." + user_line()
                )
        self.columns = sum(math.prod(shape_of(x)) for x in self.chosen)
        dtypes = {dtype_of(x) for x in self.chosen}
        self.dtype = np.result_type(*dtypes) if dtypes else np.dtype(float)
        self.times: dict[str, float] = {}
        self.state: State | None = None
        self.why = ""
        self.alone: Recorded | None = None
        self.laid = False
        self.pattern: SparsityPattern | None = None
        self.detection: Detection | None = None
        self.seeds: tuple[Any, ...] = ()

    def _noted(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and remember the form of its result."""
        with np.errstate(**self.errors):
            out = call_followed(self.request.f, args, kwargs)
        leaves, spec = flattened(out)
        still = [None if isinstance(y, (Traced, *DYNAMIC)) else y for y in leaves]
        self.results.append((spec, [(y is None, y) for y in still]))
        self.shapes = [shape_of(y) for y, s in zip(leaves, still, strict=True) if s is None]
        return out

    def fingerprint(self) -> str:
        """Return a text that is the same for the same function recorded at the same example.

        The graph, and a hash of each array that it holds.
        """
        data, form = split(tuple(self.leaves), {})
        graph = record(self.call.results, data, form, differentiable=True).graph
        used = [x for n in graph.nodes for x in n.inputs] + list(graph.outputs)
        held = {id(x): x.data for x in used if isinstance(x, Const)}
        hashes = [hashlib.sha256(x.tobytes()).hexdigest() for x in held.values()]
        return "\n".join([str(graph), *hashes])

    def of_chosen(self, leaves: Sequence[Any]) -> Flat:
        """Return the function of the differentiated leaves, the others being as given."""
        return self.call._of_chosen(self.function, leaves)

    # --- stages -----------------------------------------------------------------------------------
    def program(self) -> MatrixProgram:
        """Go through the stages."""
        if self.request.pattern is not None:
            self.pattern = self.request.pattern
        found = None
        if self.request.mode in ("auto", "accumulate"):
            try:
                found = self.accumulated()
            except NotAccumulable as unfit:
                self.why = str(unfit)
                if self.request.mode == "accumulate":
                    raise UnsupportedError(
                        f"{self.request.name}: accumulation does not suit this function: {unfit}. "
                        f"mode='auto' takes coloured sweeps instead." + user_line()
                    ) from None
        if found is not None and self.request.mode == "auto" and not self._is_cheap(found):
            found = self.cheaper(found)
        if found is None:
            found = self.swept(self.best())
        start = time.perf_counter()
        if self.request.probe:
            Probe(self).check(found)
        self.times["probe"] = time.perf_counter() - start
        return found

    def _timed(self, stage: str, start: float) -> None:
        self.times[stage] = self.times.get(stage, 0.0) + time.perf_counter() - start

    def _record(self, function: Flat, leaves: Sequence[Any]) -> tuple[Graph, list[Any], bool]:
        """Record a function of flat data; return the graph and its outputs at the example."""
        outputs: list[Any] = []

        def named(*xs: Any) -> list[Any]:
            made = function(*self.call.as_differentiated(xs))
            outputs.extend(_concrete(y) for y in made)
            return made

        named.__name__ = getattr(self.request.f, "__name__", "f")
        data, form = split(tuple(leaves), {})
        recorded = record(named, data, form, state=self.state)
        if recorded.why == "random":
            raise UnsupportedError(
                f"{self.request.name}: the function draws random numbers, which the plan of a "
                f"sparse matrix would give again at each call. Draw them outside, and pass them as "
                f"an argument" + user_line()
            )
        self.alone = recorded if recorded.why else None
        self.laid |= recorded.laid
        return recorded.graph, outputs, recorded.custom

    def accumulated(self) -> MatrixProgram:
        """Record accumulation.

        Raises
        ------
        NotAccumulable
            For a function that it does not suit.
        """
        start = time.perf_counter()
        known = self.pattern
        indices: list[Any] = []
        order = None

        def function(*leaves: Any) -> list[Any]:
            nonlocal known, order
            found = accumulate_flat(self.function, leaves, self.call.wrt, MOST)
            self._check_real(found.ys)
            entries = entries_of(found, self.columns)
            if known is None:
                known = entries.pattern
                if self.hessian and not known.is_symmetric:
                    known = known | known.T
            self._check_shape(known, entries.shape)
            order = Order.of(known, self.request.columns_first)
            indices.extend(found.indices)
            data = assemble(entries, known, self.dtype, order.place)
            return [*(found.ys if self.request.value else []), data]

        graph, first, _ = self._record(function, self.leaves)
        assert known is not None
        assert order is not None
        self._timed("record", start)
        self.pattern = known
        made = self._made(graph, order, "accumulate", None, None, first)
        made.relied += [_unchanged(x) for x in indices if x.flags.writeable]
        return made

    def _made(
        self,
        graph: Graph,
        order: Order,
        mode: str,
        colouring: ColouringResult | None,
        chunk: int | None,
        first: list[Any],
    ) -> MatrixProgram:
        assert self.pattern is not None
        return MatrixProgram(
            graph, self.pattern, order, mode, colouring, chunk, self.dtype,
            self.results[-1], first, self.times, self.why, [], self,
            self.alone,
        )  # fmt: skip

    def _check_real(self, ys: Sequence[Any]) -> None:
        for y in ys:
            if dtype_of(y).kind not in "fc":
                raise InputError(
                    f"{self.request.name} takes a function that returns floating-point numbers, "
                    f"but it returned {dtype_of(y)}, which has no derivative" + user_line()
                )
        if any(dtype_of(y).kind == "c" for y in ys):
            raise InputError(
                f"{self.request.name}: sparse derivatives are of real functions, and the result is "
                f"complex. Return real and imaginary parts, or leave sparsity= out." + user_line()
            )

    def _check_shape(self, pattern: SparsityPattern, shape: tuple[int, int]) -> None:
        if pattern.shape != shape:
            what = "gradient" if self.hessian else "result"
            raise ShapeError(
                f"{self.request.name}: the given pattern has shape {pattern.shape}, but the matrix "
                f"has a row for each of {shape[0]} entries of the {what} and a column for each of "
                f"{shape[1]} entries of the arguments" + user_line()
            )

    def _is_cheap(self, found: MatrixProgram) -> bool:
        """Whether no sweeps can be much cheaper: every entry takes a few operations."""
        return found.cost.flops <= 8 * (found.pattern.nnz + sum(found.pattern.shape))

    def cheaper(self, found: MatrixProgram) -> MatrixProgram | None:
        """Return an accumulation that is predicted to be the cheapest way, else None."""
        self.detect()
        others = [c for c, _ in self.candidates()]
        least = min(others, key=lambda c: c.seconds, default=None)
        if least is None or found.seconds <= least.seconds:
            return found
        took, other = as_time(found.seconds), as_time(least.seconds)
        self.why = f"predicted {took} against {other} for {least.mode}"
        return None

    # --- sweeps -----------------------------------------------------------------------------------
    def detect(self) -> SparsityPattern:
        """Find the pattern, unless it is known."""
        if self.pattern is None or (self.detection is None and self.request.pattern is None):
            start = time.perf_counter()
            find = hessian_sparsity if self.hessian else jacobian_sparsity
            found = find(self.noted, self.args, self.kwargs, self.request.argnums)
            self.pattern, self.detection, self.seeds = found.pattern, found.detection, found.seeds
            self._timed("detect", start)
        return self.pattern

    @cached_property
    def sweep_costs(self) -> dict[str, tuple[Count, Work]]:
        """Cost of the function alone and of one sweep each way, the function included."""
        start = time.perf_counter()
        found = {}
        pattern = self.detect()
        widths = {"value": None, "forward": pattern.shape[1], "reverse": pattern.shape[0]}
        for mode, width in widths.items():
            seed = [] if width is None else [np.ones((1, width), self.dtype)]

            def function(*xs: Any, mode: str = mode) -> list[Any]:
                leaves, seeds = xs[: len(self.leaves)], xs[len(self.leaves) :]
                columns = seeds[0] if mode == "forward" else None
                rows = seeds[0] if mode == "reverse" else None
                chosen = [leaves[i] for i in self.call.wrt]
                ys, made = products(self.of_chosen(leaves), chosen, columns, rows, self.dtype)
                self._check_real(ys)
                self._check_shape(pattern, (_entries(ys), self.columns))
                return made or ys

            try:
                graph = self._record(function, [*self.leaves, *seed])[0]
                found[mode] = count_graph(graph), work_of(graph)
            except DerivativeError:  # a function with a rule for one direction only
                continue
        self._timed("count", start)
        return found

    def candidates(self) -> list[tuple[Candidate, ColouringResult]]:
        """Return the ways by sweeps, coloured, with their costs."""
        pattern, every = self.detect(), self.sweep_costs
        costs = {mode: count for mode, (count, _) in every.items()}
        spent = {mode: _of_one(work, every["value"][1]) for mode, (_, work) in every.items()}
        found: list[tuple[Candidate, ColouringResult]] = []
        each = {m: max(costs[m].flops - costs["value"].flops, 1) for m in costs if m != "value"}
        symmetric = self.hessian and pattern.is_symmetric
        for mode in ("forward", "reverse", "both"):
            if self.request.mode not in ("auto", "accumulate", mode):
                continue
            if mode == "both" and (len(each) < 2 or (self.request.mode != mode and symmetric)):
                continue
            if mode != "both" and mode not in each:
                continue
            least = min((c.colours for c, _ in found), default=9)
            if mode == "both" and self.request.mode != mode and least <= 3:
                continue  # two ways take two colours at least
            weight = each["reverse"] / each["forward"] if mode == "both" else 1.0
            c = self._coloured(pattern, mode, symmetric, weight)
            columns, rows = c.column_number, c.row_number
            if mode == "reverse" and symmetric:
                columns, rows = 0, columns
            flops, moved = costs["value"].flops, costs["value"].bytes
            seconds = rates().seconds({**every["value"][1]})
            seconds += rates().seconds({"lookup": pattern.nnz})  # the entries are read off
            for k, way in ((columns, "forward"), (rows, "reverse")):
                if k:
                    flops += k * each[way]
                    moved += k * max(costs[way].bytes - costs["value"].bytes, 0)
                    once, apiece = spent[way]
                    seconds += once + k * apiece
            counts = [f"{k} {w}" for k, w in ((columns, "forward"), (rows, "reverse")) if k]
            text = f"{' and '.join(counts) or 'no sweeps'} (at least {c.lower_bound})"
            found.append((Candidate(mode, text, columns + rows, flops, moved, seconds), c))
        return found

    def _coloured(
        self, pattern: SparsityPattern, mode: str, symmetric: bool, weight: float
    ) -> ColouringResult:
        if self.request.colouring is not None:
            return self.request.colouring
        start = time.perf_counter()
        if symmetric and mode != "both":
            problem = ColouringProblem("symmetric")
        else:
            partition = {"forward": "column", "reverse": "row", "both": "bidirectional"}[mode]
            problem = ColouringProblem("nonsymmetric", partition)
        found = colour(pattern, problem, ColouringAlgorithm(row_weight=weight))
        self._timed("colour", start)
        return found

    def best(self) -> tuple[Candidate, ColouringResult]:
        """Return the cheapest way by sweeps."""
        found = self.candidates()
        if not found:
            raise DerivativeError(
                f"{self.request.name}: mode={self.request.mode!r} takes a derivative that a custom "
                f"rule does not have; use mode='auto'" + user_line()
            )
        return min(found, key=lambda pair: pair[0].seconds)

    def swept(self, best: tuple[Candidate, ColouringResult]) -> MatrixProgram:
        """Record coloured sweeps."""
        (candidate, colouring), pattern = best, self.detect()
        start = time.perf_counter()
        if candidate.mode == "reverse" and colouring.problem.structure == "symmetric":
            colouring = _turned(colouring)
        order = Order.of(pattern, self.request.columns_first)
        number = max(colouring.column_number, colouring.row_number, 1)
        chunk = self.request.chunk_size or self._fitting(number)

        def function(*leaves: Any) -> list[Any]:
            chosen = [leaves[i] for i in self.call.wrt]
            place = order.place
            ys, data = compressed_data(self.of_chosen(leaves), chosen, colouring, self.dtype, place)
            self._check_real(ys)
            self._check_shape(pattern, (_entries(ys), self.columns))
            return [*(ys if self.request.value else []), data]

        def batch(*xs: Any) -> list[Any]:
            leaves, seeds = xs[: len(self.leaves)], list(xs[len(self.leaves) :])
            chosen = [leaves[i] for i in self.call.wrt]
            columns = seeds.pop(0) if colouring.column_number else None
            rows = seeds.pop(0) if colouring.row_number else None
            ys, made = products(self.of_chosen(leaves), chosen, columns, rows, self.dtype)
            self._check_shape(pattern, (_entries(ys), self.columns))
            flat = [np.reshape(p, (-1,)) for p in made]
            return [*(ys if self.request.value else []), np.concatenate(flat)]

        if chunk >= number:
            graph, first, _ = self._record(function, self.leaves)
            made = self._made(graph, order, candidate.mode, colouring, None, first)
        else:
            m, n = pattern.shape
            widths = [w for w, k in ((n, colouring.column_number), (m, colouring.row_number)) if k]
            seeds = [np.zeros((chunk, w), self.dtype) for w in widths]
            graph, _, _ = self._record(batch, [*self.leaves, *seeds])
            made = self._made(graph, order, candidate.mode, colouring, chunk, [])
        self._timed("record", start)
        if self.detection is not None and self.detection.relied:
            made.relied.append(_same_reliance(self.detection, self.seeds))
        return made

    def _fitting(self, number: int) -> int:
        """Return how many colours fit into the memory of a batch."""
        graph = self.detection.graph if self.detection is not None else None
        if graph is None:
            widest = max(self.pattern.shape, default=1) * self.dtype.itemsize if self.pattern else 8
        else:
            sizes = [y.aval.nbytes for n in graph.nodes for y in n.outputs]
            widest = max([*sizes, self.columns * self.dtype.itemsize, 8])
        return max(1, min(number, BATCH_BYTES // (6 * widest)))


def _of_one(work: Work, value: Work) -> tuple[float, float]:
    """Return the seconds of a sweep beside the value's: once for all seeds, and for each."""
    more = {k: max(n - value.get(k, 0.0), 0.0) for k, n in work.items()}
    once: Work = {k: more.pop(k) for k in ("step", "host") if k in more}
    return rates().seconds(once), rates().seconds(more)


def _entries(ys: Sequence[Any]) -> int:
    return sum(math.prod(shape_of(y)) for y in ys)


def _concrete(y: Any) -> Any:
    """Return a copy of the value of a traced result of recording."""
    if isinstance(y, Tracer):
        y._refresh()
        y = y._var.data
    return np.array(y)[()]


def _turned(c: ColouringResult) -> ColouringResult:
    """Return a symmetric colouring as one of rows: the products from either side are the same."""
    problem = ColouringProblem("nonsymmetric", "row")
    made = ColouringResult(
        problem, c.algorithm, c.shape, c.indptr, c.indices, None, c.column_colours,
        c.lower_bound, c.order,
    )  # fmt: skip
    # A symmetric matrix' entry may be read from its transposed one: as with columns.
    made.__dict__["gather"] = c.gather
    return made


def _unchanged(x: Any) -> Callable[[Sequence[Any]], bool]:
    mark = x.copy()
    return lambda leaves: bool(np.array_equal(x, mark))


def _same_reliance(detection: Detection, seeds: tuple[Any, ...]) -> Callable[[Sequence[Any]], bool]:
    """Return a check of what a global pattern relied on: constant arrays."""
    graph = detection.graph
    needed = [x for r in detection.relied for x in r.inputs]
    small = remove_dead(Graph(graph.inputs, graph.nodes, needed))

    def check(leaves: Sequence[Any]) -> bool:
        found = iter(evaluate(small, [*leaves, *seeds]))
        return all(
            np.array_equal(r.function(*[next(found) for _ in r.inputs]), r.outcome)
            for r in detection.relied
        )

    frozen = all(not (isinstance(x, Const) and x.data.flags.writeable) for x in needed)
    return (lambda leaves: True) if frozen and not small.nodes else check
