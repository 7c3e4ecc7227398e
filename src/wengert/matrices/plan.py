"""Plans of sparse matrices: what runs, what it returns, and what it costs."""

from __future__ import annotations

import functools
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sps

from wengert import trees
from wengert.backend.native import NativeBackend
from wengert.backend.numpy import NumpyBackend
from wengert.errors import (
    DerivativeError,
    InputError,
    PlanMismatchError,
    UnsupportedError,
    user_line,
)
from wengert.ir.graph import GuardMiss
from wengert.jit.fastpath import Match, never
from wengert.jit.form import Form, layouts, split
from wengert.jit.graph_plan import GraphPlan
from wengert.jit.progress import Patience
from wengert.jit.record import Result
from wengert.matrices.compare import Comparison, as_time, compared
from wengert.matrices.program import Candidate, MatrixProgram
from wengert.matrices.saved import write_plan
from wengert.ops.base import shape_of
from wengert.sparse.pattern import SparsityPattern
from wengert.transform.linear import quiet

__all__ = ["MatrixPlan", "Outdated"]

Run = Callable[[Sequence[Any]], Sequence[Any]]


class Outdated(PlanMismatchError):
    """A constant array that a plan relies on has changed since it was made."""


class MatrixPlan(GraphPlan):
    """One way to compute a sparse matrix, for given shapes, dtypes and outcomes of decisions.

    It is compiled at the first run, or where its program is asked for. A plan in batches runs its
    graph once for each batch of colours, whose seeds are further inputs: `cost`, `memory` and
    `host_calls` are those of one batch, `flops` and `bytes` those of all.

    Attributes
    ----------
    name : str
        What is computed.
    graph : Graph
        What runs, simplified; its last output is the array of entries.
    program : MatrixProgram
        The pattern, the colours, the graph.
    """

    _caller = "the function"

    def __init__(
        self, program: MatrixProgram, format: str, form: Form, leaves: Sequence[Any], match: Match
    ) -> None:
        planner = program.planner
        laid = layouts(leaves) if planner.laid else None
        super().__init__(planner.request.name, program.graph, split, form, leaves, match, laid)
        self.state = None if planner.state is None else planner.state.guard
        self.format = format
        self.value = planner.request.value
        self.program = program
        self._run: Run | None = None
        self._lock = threading.Lock()
        self.pack = _packed(program, _template(program, format))
        """Make the result of a call from what ran."""

    # --- what runs --------------------------------------------------------------------------------
    @property
    def _program(self) -> Any:
        """The compiled graph."""
        return self._compiled or self.compile()

    @property
    def backend(self) -> str:
        """What runs it: ``numpy`` also where native code is lacking for the graph's dtypes."""
        return str(getattr(self._program, "backend", self._backend))

    def run(self, leaves: Sequence[Any]) -> Any:
        """Run on the data of a call.

        Raises
        ------
        GuardMiss
            Where the plan does not hold.
        Outdated
            Where a constant array that the pattern was read from has changed.
        """
        run = self._run or self._runner()
        return run(leaves)

    def _runner(self) -> Run:
        """Return what runs a call: machine code itself, where there is nothing else to do."""
        compiled, program = self._program, self.program
        if program.chunk is None and not program.relied and not self.host_calls:
            self._run = compiled.quick() if hasattr(compiled, "quick") else compiled.run
            return self._run

        def run(leaves: Sequence[Any]) -> Any:
            with quiet():
                outputs = program.run(compiled.run, leaves)
            if not program.holds(leaves):
                raise Outdated(
                    f"this plan of {self.name} relies on a constant array that has changed; call "
                    f"the function itself, which plans again" + user_line()
                )
            return outputs

        self._run = run
        return run

    def as_recorded(self) -> None:
        """Let NumPy run the graph from now on, which rounds, and decides, as the recording did."""
        with self._lock:
            self._compiled, self._run = NumpyBackend().compile(self.graph), None
            self._backend = "numpy"
            for name in ("memory", "host_calls", "nodes"):
                self.__dict__.pop(name, None)

    def decide(self, leaves: Sequence[Any]) -> Any:
        """Run; where native rounding decides otherwise than the recording, NumPy decides."""
        try:
            return self.run(leaves)
        except GuardMiss:
            with quiet():
                return self.program.run(NumpyBackend().compile(self.graph).run, leaves)

    def compile(self) -> Any:
        """Compile to machine code, once."""
        with self._lock:
            if self._compiled is None:
                start = time.perf_counter()
                number = len(self.graph.nodes)
                with Patience(f"compiling a matrix, {number:,} operations on arrays ..."):
                    self._compiled = NativeBackend().compile(self.graph)
                self.program.times["compile"] = time.perf_counter() - start
        return self._compiled

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the plan.

        Raises
        ------
        PlanMismatchError
            For arguments of another form, shape or dtype, or another outcome of a Python decision.
        """
        leaves = self._leaves(args, kwargs)
        try:
            return self.pack(self.decide(leaves))
        except GuardMiss as miss:
            raise self._missed(miss) from None

    # --- looking ----------------------------------------------------------------------------------
    @property
    def pattern(self) -> SparsityPattern:
        """The sparsity pattern."""
        return self.program.pattern

    @property
    def mode(self) -> str:
        """The way taken."""
        return self.program.mode

    @property
    def colouring(self) -> Any:
        """The colouring of the pattern; None for accumulation, which needs none."""
        return self.program.colouring

    @property
    def flops(self) -> int:
        """Operations of one run; a multiply-add is 2."""
        each = self.program.cost.flops
        return each * max(*self.program.chunks, 1)

    @property
    def bytes(self) -> int:
        """Bytes read and written by one run, each operation on its own."""
        return self.program.cost.bytes * max(*self.program.chunks, 1)

    @functools.cached_property
    def candidates(self) -> list[Any]:
        """The ways by coloured sweeps and what they are predicted to cost; coloured now if new."""
        found = [c for c, _ in self.program.planner.candidates()]
        if self.mode == "accumulate":
            cost = self.program.cost
            found.insert(
                0, Candidate(self.mode, "", 0, cost.flops, cost.bytes, self.program.seconds)
            )
        return found

    def compare(self) -> Comparison:
        """Run every way that suits the function at the plan's example.

        Each is planned and compiled, and its matrix compared with the plan's by products with two
        vectors.

        Returns
        -------
        Comparison
            A table of predicted and measured times.
        """
        planner = self.program.planner
        args, kwargs = planner.args, planner.kwargs
        leaves, form = split(args, kwargs)
        runs: dict[str, Callable[[], Any]] = {self.mode: functools.partial(self, *args, **kwargs)}
        guesses = {c.mode: c.seconds for c in self.candidates}
        for mode in ("accumulate", "forward", "reverse", "both"):
            if mode in runs:
                continue
            request = planner.request._replace(mode=mode, probe=False, colouring=None, saved=False)
            try:
                with quiet():
                    program = type(planner)(request, args, kwargs).program()
            except (UnsupportedError, DerivativeError):  # it does not suit the function
                continue
            plan = MatrixPlan(program, self.format, form, leaves, never)
            plan.compile()
            runs[mode] = functools.partial(plan, *args, **kwargs)
        return compared(self.name, self.mode, runs, self._looked_at, guesses)

    def _looked_at(self, result: Any) -> list[Any]:
        """Return arrays that tell one matrix from another."""
        matrix = result[1] if self.value else result
        if not sps.issparse(matrix):
            return trees.flatten(matrix)[0]
        m, n = matrix.shape
        return [matrix @ np.cos(np.arange(n)), matrix.T @ np.cos(np.arange(m))]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file, for `wengert.load_plan`.

        Pattern, colours, the example that it was planned at, and a hash of the function recorded
        there. The file is written beside its place and moved there.

        Raises
        ------
        InputError
            For an example with other arguments than arrays, numbers, strings, None, and lists,
            tuples and dicts of them.
        """
        write_plan(path, self.program, self.format)

    def plot(self, ax: Any = None) -> Any:
        """Draw the pattern with matplotlib, coloured where the matrix comes from coloured sweeps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        """
        if self.colouring is None:
            return self.pattern.plot(ax, colouring=False)
        return self.colouring.plot(ax)

    def _repr_html_(self) -> str:
        """Return a summary, the ways compared, and the pattern, for a notebook."""
        from wengert.charts.html import figure, fragment, paragraphs, table
        from wengert.charts.matrix import svg_matrix

        shown = self.pattern if self.colouring is None else self.colouring
        rows = [
            (("→ " if c.mode == self.mode else "") + c.mode, str(c.sweeps or ""),
             as_time(c.seconds), f"{c.flops:,}", f"{c.bytes:,}")
            for c in self.candidates
        ]  # fmt: skip
        head = ("way", "sweeps", "predicted", "operations", "bytes")
        inputs = ", ".join(map(str, self._avals))
        return fragment(
            paragraphs([f"plan of {self.name}({inputs}), {self.format}"]),
            table(head, rows),
            figure(svg_matrix(shown._places()), str(shown).splitlines()[0]),
        )

    def __str__(self) -> str:
        """Return a summary for people."""
        p = self.program
        inputs = ", ".join(map(str, self._avals))
        lines = [f"plan of {self.name}({inputs}), {self.format}"]
        lines.append(f"  {p.pattern!r}")
        lines.append(f"  way: {self.mode}" + (f" (not accumulation: {p.why})" if p.why else ""))
        if p.colouring is not None:
            lines.append(f"  {p.colouring}")
            if p.chunk is not None:
                lines.append(f"  in {max(p.chunks)} batches of {p.chunk}")
        lines += [
            f"  {'->' if c.mode == self.mode else '  '} {c.mode}: {as_time(c.seconds)} predicted, "
            f"{c.sweeps or 'no sweeps'}, {c.flops:,} operations, {c.bytes:,} bytes"
            for c in self.candidates
        ]
        lines += self._decisions()
        lines += [f"  {self.cost}", f"  memory: {self.memory}", *self._host_line()]
        lines.append("  " + ", ".join(f"{k} {1e3 * t:.3g} ms" for k, t in p.times.items()))
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return a line."""
        return f"<MatrixPlan of {self.name}: {self.mode}, {self.pattern!r}>"


def _packed(program: MatrixProgram, matrix: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what makes a call's result of the outputs of the graph."""
    if not program.planner.request.value:
        return lambda outputs: matrix(outputs[-1])
    spec, still = program.result
    value = Result(spec, [y for _, y in still], [d for d, _ in still]).rebuild
    return lambda outputs: (value(outputs[:-1]), matrix(outputs[-1]))


def _template(program: MatrixProgram, format: str) -> Callable[[Any], Any]:
    """Return what makes a matrix of the array of entries, with index arrays that are shared.

    SciPy's constructors look at the index arrays each time, which takes longer than many a Jacobian
    to compute; so a matrix made once is copied, and given its own entries.
    """
    indptr, indices, _ = program.order
    shape, nnz = program.pattern.shape, program.pattern.nnz
    empty = np.zeros(nnz, program.dtype)
    if format == "dense":
        return _dense(program)
    if format == "coo":
        rows = program.pattern.rows
        rows.flags.writeable = False
        made: Any = sps.coo_array((empty, (rows, indices)), shape=shape)
        made.coords = (rows, indices)
        made.has_canonical_format = True
    else:
        kind = sps.csr_array if format == "csr" else sps.csc_array
        made = kind((empty, indices, indptr), shape=shape)
        made.indices, made.indptr = indices, indptr
        made.has_sorted_indices = made.has_canonical_format = True
    made.data = None
    cls: Any = type(made)
    parts = vars(made)

    def with_data(data: Any) -> Any:
        copied = cls.__new__(cls)
        copied.__dict__.update(parts)
        copied.data = data
        return copied

    return with_data


def _dense(program: MatrixProgram) -> Callable[[Any], Any]:
    """Return what makes a dense matrix, or a tree of dense blocks, of the array of entries."""
    planner, pattern = program.planner, program.pattern
    chosen = trees.select(planner.args, planner.request.argnums, planner.request.name)
    places = pattern.rows.astype(np.int64) * pattern.shape[1] + pattern.indices
    insides = [shape_of(x) for x in chosen.leaves]
    if planner.hessian:
        outsides, pack = insides, chosen.pack
    else:
        spec, still = program.result
        outsides = planner.shapes
        if len(outsides) != len(still):
            raise InputError(f"{planner.request.name}: the result has leaves that are no arrays")
        pack = spec.unflatten

    def with_data(data: Any) -> Any:
        matrix = np.zeros(pattern.shape, program.dtype)
        matrix.reshape(-1)[places] = data
        rows = []
        i = 0
        for out in outsides:
            j, row = 0, []
            for inside in insides:
                m, n = math.prod(out), math.prod(inside)
                block = matrix[i : i + m, j : j + n]
                row.append(np.ascontiguousarray(block).reshape(out + inside))
                j += n
            i += math.prod(out)
            rows.append(chosen.pack(row))
        return pack(rows)

    return with_data
