"""A plan: one compiled specialisation of a function, as an object that prints itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


from wengert.errors import PlanMismatchError, user_line
from wengert.ir.graph import Graph, aval_of
from wengert.plan.cost import Count, count_graph

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
        flatten: Callable[..., tuple[list[Any], Any]],
        form: Any,
        rebuild: Callable[[Sequence[Any]], Any],
    ) -> None:
        self.name = name
        self.graph = graph
        self.backend = backend
        self._program = program
        self._flatten = flatten
        self._form = form
        self._rebuild = rebuild
        self._cost: Count | None = None

    @property
    def cost(self) -> Count:
        """Operations and bytes of one run."""
        if self._cost is None:
            self._cost = count_graph(self.graph)
        return self._cost

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
        from wengert.backend.base import GuardMiss

        leaves, form = self._flatten(args, kwargs)
        self._check(leaves, form)
        try:
            return self._rebuild(self._program.run(leaves))
        except GuardMiss as miss:
            guard = self.graph.guards[miss.index]
            raise PlanMismatchError(
                f"this plan of {self.name} holds where {guard.kind}() of a value is {guard.outcome!r}; here "
                f"it is {miss.outcome!r}. Call the wg.jit function itself, which keeps a plan for each "
                f"outcome." + user_line()
            ) from None

    def _check(self, leaves: list[Any], form: Any) -> None:
        if form != self._form:
            raise PlanMismatchError(
                f"this plan of {self.name} takes arguments of another form:\n  expected {self._form}\n"
                f"  got      {form}" + user_line()
            )
        lines = []
        wrong = False
        for i, (v, x) in enumerate(zip(self.graph.inputs, leaves, strict=True)):
            want, got = v.aval, aval_of(x)
            same = want.shape == got.shape and want.dtype == got.dtype
            wrong = wrong or not same
            lines.append(f"  {' ' if same else '!'} argument {i}: expected {want}, got {got}")
        if wrong:
            raise PlanMismatchError(
                f"this plan of {self.name} was made for other shapes or dtypes:\n" + "\n".join(lines) + user_line()
            )

    def __str__(self) -> str:
        """Return a summary for people and the graph."""
        inputs = ", ".join(str(v.aval) for v in self.graph.inputs)
        outputs = ", ".join(str(aval_of(getattr(y, "data", y)) if not hasattr(y, "aval") else y.aval) for y in self.graph.outputs)
        return (
            f"plan of {self.name}({inputs}) -> {outputs}\n"
            f"  backend {self.backend}, {len(self.graph.nodes)} nodes, {len(self.graph.guards)} guards\n"
            f"  {self.cost}\n\n{self.graph}"
        )

    def __repr__(self) -> str:
        """Return a line."""
        return f"<Plan of {self.name}: {len(self.graph.nodes)} nodes on {self.backend}>"


