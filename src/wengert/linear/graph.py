"""The linear graph of a function at a point.

Every derivative is an accumulation of this graph. Forward mode multiplies local Jacobians from the
arguments on, reverse mode from the results back, and any other order of elimination takes some
vertex between others first (Griewank and Walther, *Evaluating Derivatives*, 2nd ed., ch. 9 and 10).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from wengert.errors import InputError, UnsupportedError, user_line
from wengert.linear.arrays import ArrayGraph
from wengert.linear.order import accumulated, order_given, order_of
from wengert.linear.scalars import ScalarGraph
from wengert.linear.steps import Step, named, roles_of, steps_of
from wengert.linear.symmetric import SecondOrder
from wengert.linear.terms import NotAccumulable
from wengert.linear.values import Linear
from wengert.orders.order import Cost, Order
from wengert.transform.linear import linearize_flat

__all__ = ["LinearGraph", "linearised"]


class LinearGraph(Linear):
    """What is left of a function when it is linearised at a point.

    Attributes
    ----------
    vertices : list of Vertex
        The arguments that are differentiated, then the values in the order of the program.
    edges : list of Edge
        The local Jacobians, by their targets.
    ys : list
        The function's results.
    """

    # --- orders -----------------------------------------------------------------------------------
    @cached_property
    def scalars(self) -> ScalarGraph:
        """The graph taken apart into the entries of its values.

        Raises
        ------
        NotAccumulable
            Where there are too many.
        """
        return ScalarGraph(self)

    @cached_property
    def arrays(self) -> ArrayGraph:
        """The graph with local Jacobians by labels.

        Raises
        ------
        NotAccumulable
            Where an operation does not suit.
        """
        return ArrayGraph(self)

    @cached_property
    def level(self) -> str:
        """At which level orders are searched: ``entries`` where the values are mostly numbers."""
        numbers = sum(math.prod(v.shape) for v in self.vertices)
        return "entries" if numbers <= 4 * len(self.vertices) + 16 else "arrays"

    def at(self, level: str | None = None) -> ScalarGraph | ArrayGraph:
        """Return the graph at a level."""
        level = self.level if level is None else level
        if level not in ("entries", "arrays"):
            raise InputError(f"level must be 'entries' or 'arrays', not {level!r}" + user_line())
        return self.scalars if level == "entries" else self.arrays

    def order(self, effort: str = "default", level: str | None = None) -> Order:
        """Return the cheapest order of elimination that an effort finds.

        Parameters
        ----------
        effort : {"default", "high"} or a method's name
            Milliseconds or seconds; ``"forward"``, ``"reverse"`` and ``"markowitz"`` are one rule
            each, of numbers also ``"relative"`` and ``"lookahead"``, of arrays ``"bracketing"`` and
            ``"waist"``.
        level : {"entries", "arrays"}, optional
            Whether a vertex is a number or an array; by default, what suits the function.
        """
        return order_of(self.at(level), effort)

    def cost(self, order: Any = "default", level: str | None = None) -> Cost:
        """Return what an order, or the one of that name, takes."""
        if isinstance(order, str):
            return self.order(order, level).cost
        level = order.level if isinstance(order, Order) else level
        return order_given(self.at(level), order).cost

    def steps(self, order: Any = "default", level: str | None = None) -> tuple[Step, ...]:
        """Return what an order does step by step.

        Parameters
        ----------
        order : Order, str or sequence of int
            As of `order`, or the vertices in another sequence.
        level : {"entries", "arrays"}, optional
            Of an order that does not say it.

        Returns
        -------
        tuple of wengert.linear.steps.Step
            The vertex, its name, the multiplications, the edges made and those left.

        Raises
        ------
        OrderError
            For an order that is none, or of another graph.
        """
        chosen, at = self._chosen(order, level)
        return steps_of(at, chosen.sequence)

    def _chosen(self, order: Any, level: str | None) -> tuple[Order, ScalarGraph | ArrayGraph]:
        if isinstance(order, str):
            order = self.order(order, level)
        level = order.level if isinstance(order, Order) else level
        at = self.at(level)
        return order_given(at, order), at

    def elimination(self, order: Any = "default", level: str | None = None) -> Any:
        """Return what `plot` draws, as data: a `wengert.charts.elimination.Elimination`."""
        from wengert.charts.elimination import Eliminated, Elimination

        chosen, at = self._chosen(order, level)
        steps = steps_of(at, chosen.sequence)
        drawn = [Eliminated(s.vertex, s.multiplications, s.made, s.edges) for s in steps]
        total = chosen.cost.multiplications
        others = {
            name: self.cost(name, chosen.level).multiplications
            for name in ("forward", "reverse")
            if name != chosen.method
        }
        title = f"{self.name}, by {chosen.method}: {total:,} multiplications"
        rest = total - sum(s.multiplications for s in steps)
        edges = tuple(at.problem.edges)
        return Elimination(named(at), roles_of(at), edges, drawn, rest, others, title)

    def plot(
        self,
        ax: Any = None,
        *,
        order: Any = "default",
        level: str | None = None,
        step: int | None = None,
    ) -> Any:
        """Draw an order of elimination step by step with matplotlib.

        Without `step`, what each elimination multiplies, on top of those before, and what forward
        and reverse mode would. With it, the graph after so many eliminations, 0 before the first:
        edges that the last one made are orange.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.
        order : Order, str or sequence of int
            As of `accumulate`.
        level : {"entries", "arrays"}, optional
            Of an order that does not say it.
        step : int, optional

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        InputError
            For a step that there is not, and for a graph that is too large to be drawn.
        """
        from wengert.charts.axes import axes_for
        from wengert.charts.elimination import PLACED, plot_costs, plot_step

        shown = self.elimination(order, level)
        if step is None:
            return plot_costs(axes_for(ax, "graph.plot()"), shown)
        if not isinstance(step, int) or not 0 <= step <= len(shown.steps):
            raise InputError(
                f"step={step!r}: there are {len(shown.steps)} steps; 0 is the graph before the "
                f"first" + user_line()
            )
        if len(shown.names) > PLACED:
            raise InputError(
                f"the graph has {len(shown.names)} vertices, and up to {PLACED} are drawn; leave "
                f'out step= for the cost of each step, or give level="arrays"' + user_line()
            )
        return plot_step(axes_for(ax, "graph.plot()"), shown, step)

    def accumulate(self, order: Any = "default", level: str | None = None) -> list[list[Any]]:
        """Multiply the local Jacobians in an order.

        Parameters
        ----------
        order : Order, str or sequence of int
            As of `order`, or the vertices in another sequence.
        level : {"entries", "arrays"}, optional
            Of an order that does not say it.

        Returns
        -------
        list of list of array or None
            For each result and each argument a Jacobian of shape ``result.shape + argument.shape``;
            None where it is zero.

        Raises
        ------
        OrderError
            For an order that is none, or of another graph.
        """
        level = order.level if isinstance(order, Order) else level
        return accumulated(self.at(level), order)

    # --- second derivatives -----------------------------------------------------------------------
    @cached_property
    def second(self) -> SecondOrder:
        """The graph of numbers with second derivatives, of a function that returns one number.

        Its ``problem`` is a `wengert.orders.SymmetricGraph`; ``order(method)`` finds an order for
        the Hessian.

        Raises
        ------
        InputError
            For a function with other results.
        UnsupportedError
            For an operation without a formula of its second derivatives.
        """
        try:
            return SecondOrder(self)
        except NotAccumulable as unfit:
            raise UnsupportedError(
                f"the second derivatives of {self.name}: {unfit}. Use wg.hessian" + user_line()
            ) from None

    def hessian(self, order: Any = "default") -> list[list[Any]]:
        """Eliminate numbers and their adjoints in pairs.

        Parameters
        ----------
        order : str, FoundSymmetric or sequence of int
            ``"edge pushing"``, ``"cheapest first"``, ``"forward"``, or ``"default"`` for the
            cheapest of these; or the vertices in another sequence.

        Returns
        -------
        list of list of array or None
            For each argument and each argument a block of the Hessian.
        """
        return self.second.accumulate(order)


def linearised(
    f: Callable[..., list[Any]], leaves: Sequence[Any], wrt: Sequence[int] | None = None
) -> LinearGraph:
    """Run ``f(*leaves)``, which returns a list of arrays, and return its linear graph.

    Parameters
    ----------
    f : callable
    leaves : sequence of arrays
    wrt : sequence of int, optional
        The leaves that are differentiated; all by default.
    """
    if wrt is None:
        return LinearGraph(linearize_flat(f, list(leaves)))
    chosen = list(wrt)

    def part(*xs: Any) -> list[Any]:
        every = list(leaves)
        for i, x in zip(chosen, xs, strict=True):
            every[i] = x
        return f(*every)

    return LinearGraph(linearize_flat(part, [leaves[i] for i in chosen]))
