"""A plan: one compiled specialisation of a function, as an object that prints itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from wengert.ir.graph import GuardMiss, aval_of
from wengert.jit.fastpath import Match
from wengert.jit.form import Form
from wengert.jit.graph_plan import GraphPlan
from wengert.jit.into import share, targets
from wengert.jit.record import Recorded
from wengert.memory.profile import Memory

__all__ = ["Memory", "Plan"]

LISTED = 5000
"""Operations of the largest plan of which a notebook lists the first."""


class Plan(GraphPlan):
    """A function compiled for given shapes, dtypes and outcomes of Python decisions.

    Attributes
    ----------
    name : str
        The function's name.
    graph : Graph
        What runs, simplified.
    notes : sequence
        What was decided while the function was recorded, such as the mode of a Jacobian.
    """

    def __init__(
        self,
        name: str,
        recorded: Recorded,
        program: Any,
        backend: str,
        split: Callable[..., tuple[list[Any], Form]],
        form: Form,
        match: Match,
        laid: tuple[Any, ...] | None = None,
        budget: int | None = None,
        extra: int = 0,
        gap: float | None = None,
    ) -> None:
        graph = recorded.graph
        super().__init__(name, graph, split, form, graph.inputs, match, laid)
        self._compiled, self._backend = program, backend
        self._result = recorded.result
        self._budget = budget, extra, gap
        self.notes = recorded.notes

    def run_by(self, program: Any, backend: str) -> Plan:
        """Return a plan of the same graph that another program runs."""
        made = copy.copy(self)
        made._compiled, made._backend = program, backend
        made.__dict__.pop("host_calls", None)
        made.__dict__.pop("memory", None)
        made.__dict__.pop("nodes", None)
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the plan.

        Returns
        -------
        pytree
            What the function returns, as new arrays.

        Raises
        ------
        PlanMismatchError
            When the arguments' form, shapes or dtypes differ from the plan's, or a Python decision
            taken while planning has another outcome.
        """
        leaves = self._leaves(args, kwargs)
        try:
            return self._result.rebuild(self._program.run(leaves))
        except GuardMiss as miss:
            raise self._missed(miss) from None

    def into(self, out: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the plan, and write its result into arrays that the caller has.

        The arguments, the result and the errors are those of ``Jitted.into``; a call that the plan
        does not hold for raises `PlanMismatchError`.
        """
        leaves = self._leaves(args, kwargs)
        try:
            return self.run_into(out, leaves)
        except GuardMiss as miss:
            raise self._missed(miss) from None

    def run_into(self, out: Any, leaves: Sequence[Any]) -> Any:
        """Run on data that fits, like `into`; raises `GuardMiss` where the plan does not hold."""
        outs = targets(
            out,
            self._result.spec,
            self._result.still,
            [aval_of(y) for y in self.graph.outputs],
            self.name,
        )
        direct = (
            getattr(self._program, "takes_outputs", False)
            and all(y.flags.c_contiguous and y.flags.aligned for y in outs)
            and not share(outs, [*leaves, *self._captured])
        )
        found = self._program.run(leaves, list(outs)) if direct else self._program.run(leaves)
        for y, result in zip(outs, found, strict=True):
            if result is not y:
                y[...] = result
        return out

    def summary(self) -> list[str]:
        """Return lines for people: signature, backend, decisions, operations and memory."""
        inputs = ", ".join(str(v.aval) for v in self.graph.inputs)
        outputs = ", ".join(str(aval_of(y)) for y in self.graph.outputs)
        return [
            f"plan of {self.name}({inputs}) -> {outputs or 'None'}",
            f"  {self.backend} backend, {len(self.graph.nodes)} operations on arrays",
            *self._host_line(),
            *self._decisions(),
            f"  {self.cost}",
            f"  memory: {self.memory}",
            *("  " + line for note in self.notes for line in str(note).splitlines()),
        ]

    def __str__(self) -> str:
        """Return the summary and the graph."""
        return "\n".join(self.summary()) + f"\n\n{self.graph}"

    def _repr_html_(self) -> str:
        """Return the summary, the operations, and the memory, for a notebook."""
        from wengert.charts.html import fragment

        return fragment(*self.html_parts())

    def html_parts(self, rows: int = 60) -> list[str]:
        """Return the summary, the operations and the program as pieces of HTML."""
        from wengert.charts import words
        from wengert.charts.html import code, details, paragraphs, table

        parts = [paragraphs(self.summary())]
        if len(self.graph.nodes) > LISTED:
            more = f"its {len(self.graph.nodes):,} operations are in plan.nodes"
            return [*parts, self.cost._repr_html_(), paragraphs([more])]
        head = ("", "operation", "result", "part", "operations", "bytes", "kept", "line", "")
        shown = [[words.shortened(cell, 64) for cell in node.cells()] for node in self.nodes[:rows]]
        parts.append(table(head, shown, left=(1, 2, 3, 6, 7, 8), codes=(8,)))
        if len(self.nodes) > rows:
            parts.append(paragraphs([f"the first {rows} of {len(self.nodes):,} operations"]))
        else:
            parts.append(details("the graph", code(str(self.graph))))
        return parts

    def __repr__(self) -> str:
        """Return a line."""
        return f"<Plan of {self.name}: {len(self.graph.nodes)} nodes on {self.backend}>"
