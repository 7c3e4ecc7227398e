"""A compiled graph: what it costs, what runs, and which calls it holds for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from wengert.cost.count import Count, count_graph
from wengert.errors import PlanMismatchError, UnsupportedError, user_line
from wengert.ir.graph import Const, Graph, Guard, GuardMiss, aval_of
from wengert.ir.questions import EFFECTS, TESTS
from wengert.jit.fastpath import Match
from wengert.jit.form import Form, layouts
from wengert.jit.nodes import PlanNode, nodes_of
from wengert.memory.profile import Memory

__all__ = ["GraphPlan"]


class GraphPlan:
    """What all plans have: a graph, the program that runs it, and the form of its calls.

    Attributes
    ----------
    name : str
        The function's name.
    graph : Graph
        What runs, simplified.
    """

    _caller = "the wg.jit function"
    """What keeps a plan for each form of its arguments, in messages."""

    def __init__(
        self,
        name: str,
        graph: Graph,
        split: Callable[..., tuple[list[Any], Form]],
        form: Form,
        inputs: Sequence[Any],
        match: Match,
        laid: tuple[Any, ...] | None,
    ) -> None:
        self.name = name
        self.graph = graph
        self._split = split
        self.form = form
        self._avals = [aval_of(x) for x in inputs]
        self._match = match
        self._compiled: Any = None
        self._backend = "native"
        self._laid = laid
        self._budget: tuple[int | None, int, float | None] = None, 0, None
        self.folded: Sequence[tuple[bool, ...] | None] = [None] * len(graph.guards)
        """Of a guard of a loop, the decisions of the trips that it stands for."""
        self.loud: Any = None
        """Says whether NumPy may warn in a call, where that would be an error."""
        self.state: Any = None  # what the function looked up, where there is such

    @property
    def match(self) -> Match:
        """From a call's arguments to its data; None where they may be of another signature."""
        return self._match

    @property
    def _program(self) -> Any:
        """The compiled graph."""
        return self._compiled

    @property
    def backend(self) -> str:
        """What runs it: ``numpy`` also where native code is lacking for the graph's dtypes."""
        return self._backend

    # --- what runs, and what it costs -------------------------------------------------------------
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
        """Return readable Python of what runs; native code computes the same."""
        return str(self._program.source)

    def llvm(self) -> str:
        """Return the LLVM assembly of a native plan, optimised.

        Raises
        ------
        UnsupportedError
            For a plan that does not run in native code.
        """
        return self._of_native_code("llvm")

    def assembly(self) -> str:
        """Return the machine code of a native plan as assembly of this computer's processor.

        Raises
        ------
        UnsupportedError
            For a plan that does not run in native code.
        """
        return self._of_native_code("assembly")

    def _of_native_code(self, what: str) -> str:
        show = getattr(self._program, what, None)
        if show is None:
            dtypes = sorted({str(d) for d in self._dtypes() if d.name not in _NATIVE})
            why = f" because of {', '.join(dtypes)}" if dtypes else ""
            raise UnsupportedError(
                f"this plan of {self.name} has no {what}: it runs on the {self.backend} "
                f"backend{why}. Its plan.source() shows what runs; "
                f'wg.jit(f, backend="native") compiles real numbers.' + user_line()
            )
        return str(show())

    def _dtypes(self) -> set[Any]:
        values = [*self.graph.inputs, *(v for n in self.graph.nodes for v in n.outputs)]
        return {aval_of(x).dtype for x in [*values, *self.graph.outputs]}

    @cached_property
    def memory(self) -> Memory:
        """Bytes of inputs, outputs, captured arrays and what is in between, which it lists."""
        graph = self.graph
        held = {id(x): x.nbytes for x in self._captured}
        return Memory(
            sum(v.aval.nbytes for v in graph.inputs),
            sum(aval_of(y).nbytes for y in graph.outputs),
            sum(held.values()),
            getattr(self._program, "peak", None),
            *self._budget,
            graph,
            getattr(self._program, "footprint", None),
        )

    @cached_property
    def nodes(self) -> tuple[PlanNode, ...]:
        """Its operations in order: the source of each, what it differentiates, costs and holds."""
        return nodes_of(self.graph, self.memory)

    @cached_property
    def host_calls(self) -> dict[str, int]:
        """Operations that NumPy evaluates, and how often each: all of them without native code."""
        calls = getattr(self._program, "host_calls", None)
        return dict(Counter(n.op.name for n in self.graph.nodes) if calls is None else calls)

    # --- which calls it holds for -----------------------------------------------------------------
    @cached_property
    def _captured(self) -> list[Any]:
        used = [x for n in self.graph.nodes for x in n.inputs] + list(self.graph.outputs)
        return [x.data for x in used if isinstance(x, Const)]

    def _missed(self, miss: GuardMiss) -> Exception:
        guard = self.graph.guards[miss.index]
        if guard.kind in TESTS:
            error, reason = TESTS[guard.kind]
            return error(f"in {self.name}, {reason}" + user_line())
        folded, found = self.folded[miss.index], repr(miss.outcome)
        if folded is not None:
            found = f"otherwise at number {miss.outcome + 1}"
        return PlanMismatchError(
            f"this plan of {self.name} holds where {_decision(guard, folded)}; "
            f"here it is {found}. Call {self._caller} itself, which keeps a plan for "
            f"each outcome." + user_line()
        )

    def _leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Return the data of a call, of the form, shapes and dtypes that the plan was made for."""
        leaves = self._match(args, kwargs)
        if leaves is None:
            leaves, form = self._split(args, kwargs)
            self._check(leaves, form)
            if self.state is not None and not self.state.test():
                raise PlanMismatchError(
                    f"what {self.name} looks up outside of its arguments (globals, variables "
                    f"around it, attributes, arrays) has changed since this plan was made. Call "
                    f"{self._caller} itself, which plans again" + user_line()
                )
        return leaves

    def _check(self, leaves: list[Any], form: Form) -> None:
        """Raise, with a line for each argument that differs."""
        wanted = self.form.describe(self._avals)
        if form == self.form and self._avals == [aval_of(x) for x in leaves]:
            if self._laid is not None and self._laid != layouts(leaves):
                raise PlanMismatchError(_laid_otherwise(self.name, self._laid, layouts(leaves)))
            return
        given = form.describe(leaves)
        lines = [
            _compared(place, wanted.get(place), given.get(place)) for place in {**wanted, **given}
        ]
        if not any(
            line.startswith("  !") for line in lines
        ):  # lists for tuples, or other containers
            lines = [f"  ! expected {self.form.spec}", f"    got      {form.spec}"]
        raise PlanMismatchError(
            f"this plan of {self.name} was made for other arguments:\n"
            + "\n".join(lines)
            + user_line()
        )

    # --- for people -------------------------------------------------------------------------------
    def _decisions(self) -> list[str]:
        """Return a line for each decision of Python that the plan holds under."""
        return [
            f"  holds where {_decision(g, f)}"
            for g, f in zip(self.graph.guards, self.folded, strict=True)
            if g.kind not in EFFECTS
        ]

    def _host_line(self) -> list[str]:
        if self.memory.peak is None or not self.host_calls:
            return []
        calls = ", ".join(f"{name} x{n}" for name, n in sorted(self.host_calls.items()))
        return [f"  evaluated by NumPy: {calls}"]


def _laid_otherwise(name: str, wanted: Sequence[Any], given: Sequence[Any]) -> str:
    """Say that a plan was made for arrays that lie in memory in another way."""
    lines = [
        f"  ! array {k}: expected {_strides(want)}, got {_strides(got)}"
        for k, (want, got) in enumerate(zip(wanted, given, strict=True))
        if want != got
    ]
    return (
        f"this plan of {name} was made for arrays that lie in memory in another way, and the "
        f"function updates an array whose reshape is a view or a copy by that, or asks for "
        f'order="K" or "A":\n'
        + "\n".join(lines)
        + "\nCall the function itself, which keeps a plan "
        "for each, or pass np.ascontiguousarray(x)." + user_line()
    )


def _strides(layout: Any) -> str:
    return "C order" if layout is None else f"strides {layout}"


_NATIVE = {"float64", "float32", "int64", "int32", "bool"}


def _decision(guard: Guard, folded: tuple[bool, ...] | None) -> str:
    """Describe a guard in the user's terms."""
    if folded is not None:
        return f"each of {len(folded):,} decisions in a loop is as it was recorded"
    return f"{guard.kind}() of a {guard.value.aval} is {guard.outcome!r}"


def _compared(place: str, want: str | None, got: str | None) -> str:
    if want == got:
        return f"    {place}: {want}"
    return f"  ! {place}: expected {want or 'nothing'}, got {got or 'nothing'}"
