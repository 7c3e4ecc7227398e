"""The check of a plan before it is used: a sparse matrix against products of the function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import SparsityError, user_line
from wengert.ir.build import evaluate
from wengert.ir.graph import Graph
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.matrices.probe import applied, blame, disagreement, missing_entries
from wengert.matrices.program import MatrixProgram
from wengert.matrices.trials import holds_at, noise, noisy, points
from wengert.transform.linear import linearize_flat

__all__ = ["Probe"]

PROBED = 1 << 25
"""Operations up to which a detected pattern is compared at another point too."""


class Probe:
    """Compares a matrix with products of the function that it was planned for.

    Parameters
    ----------
    planner : Planner
        What knows the function and the call.
    """

    def __init__(self, planner: Any) -> None:
        self.planner = planner

    def check(self, found: MatrixProgram) -> None:
        """Compare the matrix with products of the function, at the example and at other points.

        A given pattern that is wrong elsewhere only is right for this call: the program says so in
        `doubt`, and is not to be used again.

        Raises
        ------
        SparsityError
        """
        if not found.first:
            found.first = list(found.run(lambda xs: evaluate(found.graph, xs), self.planner.leaves))
        self._compare(found, self.planner.leaves, np.asarray(found.first[-1]), "at this point")
        if found.alone is not None:
            return  # the recording stands for this call only
        small = max(*found.chunks, 1) * found.cost.flops <= PROBED
        finite = all(np.isfinite(x).all() for x in self.planner.chosen)
        if self.planner.request.pattern is None and finite and not small:
            return
        for point in points(self.planner.leaves):
            leaves = next((p for p in point if holds_at(found.graph, p)), None)
            if leaves is None:
                continue
            try:
                data = found.run(lambda xs: evaluate(found.graph, xs), leaves)[-1]
                self._compare(found, leaves, np.asarray(data), "at another point")
            except SparsityError as error:
                if self.planner.request.pattern is None or not finite:
                    raise  # nor could it be compared at the example
                found.doubt = error
                return
            except Exception:
                continue
            if self.planner.request.pattern is None:
                return  # a detected pattern holds everywhere by its rules

    def _compare(self, found: MatrixProgram, leaves: Sequence[Any], data: Any, where: str) -> None:
        """Compare the matrix with products of the function at a point."""
        place = found.order.place
        if place is not None:
            data = data[place]
        f, pattern = self.planner.of_chosen(leaves), found.pattern
        chosen = [self.planner.call.as_differentiated(leaves)[i] for i in self.planner.call.wrt]

        def size_of_noise(forward: bool, seed: Any) -> Any:
            return self._noise(found, leaves, forward, seed)

        wrong = disagreement(f, chosen, pattern, data, size_of_noise)
        if wrong is None:
            return
        name, given = self.planner.request.name, self.planner.request.pattern
        if given is not None:
            missing = missing_entries(f, chosen, pattern, wrong)
            listed = ", ".join(f"({i}, {j})" for i, j in missing[:10]) + (
                ", ..." if len(missing) > 10 else ""
            )
            raise SparsityError(
                f"{name}: the given pattern is wrong: the matrix {where} has entries that it "
                f"lacks, among them {listed or 'some in ' + _lines(wrong)}. sparsity='auto' "
                f"detects the pattern." + user_line()
            )
        graph = (
            self.planner.detection.graph
            if self.planner.detection is not None
            else self._differentiable()
        )
        node = blame(graph, [*leaves, *self.planner.seeds][: len(graph.inputs)])
        if node is None:
            raise SparsityError(
                f"{name}: the sparse matrix (mode {found.mode!r}) does not agree with products of "
                f"the function in {_lines(wrong)}, although the pattern of each operation holds. "
                f"Please report this; another mode may work." + user_line()
            )
        at = f" (recorded at {node.line[0]}:{node.line[1]})" if node.line else ""
        raise SparsityError(
            f"{name}: the sparsity pattern of the operation {node.op.name!r}{at} is wrong: its "
            f"Jacobian has entries that the pattern lacks, so the matrix differs in "
            f"{_lines(wrong)}. Please report this, and give the pattern "
            f"(sparsity=...)." + user_line()
        )

    def _noise(self, found: MatrixProgram, leaves: Sequence[Any], forward: bool, seed: Any) -> Any:
        """Return the size of rounding errors in the matrix times a seed, and in the product."""

        def product(direction: Any, *xs: Any) -> list[Any]:
            chosen = [self.planner.call.as_differentiated(xs)[i] for i in self.planner.call.wrt]
            lin = linearize_flat(self.planner.of_chosen(xs), chosen)
            given, made = (chosen, lin.ys) if forward else (lin.ys, chosen)
            return [applied(lin, forward, direction, given, made)]

        data, form = split((seed, *leaves), {})  # an input, so that nothing is computed beforehand
        graph = record(product, data, form).graph
        place = found.order.place

        def by_matrix(each: Callable[[Any], Any]) -> Any:
            xs = [each(x) for x in leaves]
            entries = found.run(lambda xs: evaluate(found.graph, xs, noisy(each)), xs)[-1]
            matrix = found.pattern.tocsr(entries if place is None else entries[place])
            return (matrix if forward else matrix.T) @ seed

        def directly(each: Callable[[Any], Any]) -> Any:
            return evaluate(graph, [seed, *(each(x) for x in leaves)], noisy(each))[0]

        return noise(by_matrix) + noise(directly)

    def _differentiable(self) -> Graph:
        data, form = split(tuple(self.planner.leaves), {})
        return record(self.planner.function, data, form, differentiable=True).graph


def _lines(wrong: Any) -> str:
    rows = wrong[0] >= 0
    shown = ", ".join(str(i) for i in (wrong if rows else -1 - wrong)[:5].tolist())
    return f"{'row' if rows else 'column'}{'s' if len(wrong) > 1 else ''} {shown}" + (
        ", ..." if len(wrong) > 5 else ""
    )
