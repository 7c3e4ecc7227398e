"""A plan: one compiled specialisation of a function, as an object that prints itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from wengert.errors import PlanMismatchError, user_line
from wengert.ir.graph import Graph, Guard, GuardMiss, aval_of
from wengert.plan.cost import Count, count_graph
from wengert.plan.form import Form
from wengert.transform.linear import quiet

__all__ = ["Plan"]


class Plan:
    """A function compiled for given shapes, dtypes and outcomes of Python decisions.

    Attributes
    ----------
    name : str
        The function's name.
    graph : Graph
        What runs, simplified.
    backend : str
        The backend's name.
    """

    def __init__(
        self,
        name: str,
        graph: Graph,
        program: Any,
        backend: str,
        split: Callable[..., tuple[list[Any], Form]],
        form: Form,
        rebuild: Callable[[Sequence[Any]], Any],
    ) -> None:
        self.name = name
        self.graph = graph
        self.backend = backend
        self._program = program
        self._split = split
        self._form = form
        self._rebuild = rebuild

    @cached_property
    def cost(self) -> Count:
        """Operations and bytes of one run."""
        return count_graph(self.graph)

    @property
    def flops(self) -> int:
        """Operations of one run; a multiply-add is 2."""
        return self.cost.flops

    @property
    def bytes(self) -> int:
        """Bytes read and written by one run, each operation on its own."""
        return self.cost.bytes

    def source(self) -> str:
        """Return readable code of what runs."""
        return str(self._program.source)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the plan.

        Raises
        ------
        PlanMismatchError
            When the arguments' form, shapes or dtypes differ from the plan's, or a Python decision
            taken while planning has another outcome.
        """
        leaves, form = self._split(args, kwargs)
        self._check(leaves, form)
        try:
            with quiet():
                return self._rebuild(self._program.run(leaves))
        except GuardMiss as miss:
            guard = self.graph.guards[miss.index]
            raise PlanMismatchError(
                f"this plan of {self.name} holds where {_decision(guard)}; here it is "
                f"{miss.outcome!r}. Call the wg.jit function itself, which keeps a plan for each "
                f"outcome." + user_line()
            ) from None

    def _check(self, leaves: list[Any], form: Form) -> None:
        """Raise, with a line for each argument that differs."""
        wanted = self._form.describe(self.graph.inputs)
        if form == self._form and all(
            v.aval == aval_of(x) for v, x in zip(self.graph.inputs, leaves, strict=True)
        ):
            return
        given = form.describe(leaves)
        lines = [
            _compared(place, wanted.get(place), given.get(place)) for place in {**wanted, **given}
        ]
        if not any(
            line.startswith("  !") for line in lines
        ):  # lists for tuples, or other containers
            lines = [f"  ! expected {self._form.spec}", f"    got      {form.spec}"]
        raise PlanMismatchError(
            f"this plan of {self.name} was made for other arguments:\n"
            + "\n".join(lines)
            + user_line()
        )

    def __str__(self) -> str:
        """Return a summary for people and the graph."""
        inputs = ", ".join(str(v.aval) for v in self.graph.inputs)
        outputs = ", ".join(str(aval_of(y)) for y in self.graph.outputs)
        summary = [
            f"plan of {self.name}({inputs}) -> {outputs or 'None'}",
            f"  {self.backend} backend, {len(self.graph.nodes)} operations on arrays",
            *(f"  holds where {_decision(g)}" for g in self.graph.guards),
            f"  {self.cost}",
        ]
        return "\n".join(summary) + f"\n\n{self.graph}"

    def __repr__(self) -> str:
        """Return a line."""
        return f"<Plan of {self.name}: {len(self.graph.nodes)} nodes on {self.backend}>"


def _decision(guard: Guard) -> str:
    """Describe a guard in the user's terms."""
    return f"{guard.kind}() of a {guard.value.aval} is {guard.outcome!r}"


def _compared(place: str, want: str | None, got: str | None) -> str:
    if want == got:
        return f"    {place}: {want}"
    return f"  ! {place}: expected {want or 'nothing'}, got {got or 'nothing'}"
