"""Plans of dense matrices: plans of compiled functions that know the other ways to compute it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from wengert import trees
from wengert.errors import DerivativeError, UnsupportedError
from wengert.jit.jitted import Jitted
from wengert.jit.plan import Plan
from wengert.matrices.choice import Candidate, Choice
from wengert.matrices.compare import Comparison, compared
from wengert.matrices.ways import WAYS
from wengert.orders.order import Order

__all__ = ["DensePlan"]


class DensePlan(Plan):
    """One way to compute a dense Jacobian or Hessian, compiled for given shapes and dtypes.

    It prints the candidates with what each is predicted to take, the choice and its reason.
    """

    _again: Callable[[str], Callable[..., Any]]
    _example: tuple[tuple[Any, ...], dict[str, Any]]

    @classmethod
    def of(
        cls,
        plan: Plan,
        again: Callable[[str], Callable[..., Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> DensePlan:
        """Make one of a compiled plan, a maker of the same matrix in any mode, and an example."""
        made = cls.__new__(cls)
        made.__dict__.update(plan.__dict__)
        made._again = again
        made._example = args, kwargs
        return made

    @property
    def choice(self) -> Choice | None:
        """What was chosen, and among what; None where the mode was given."""
        return next((note for note in self.notes if isinstance(note, Choice)), None)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The ways, with what they are predicted to cost, the cheapest first."""
        return () if self.choice is None else self.choice.candidates

    @property
    def mode(self) -> str | None:
        """The way taken; None where the mode was given."""
        return None if self.choice is None else self.choice.mode

    @property
    def order(self) -> Order | None:
        """The order of elimination, where that is the way taken.

        It is data: ``wg.jacobian(f, mode=order)`` takes it, or one with another sequence.
        """
        return None if self.choice is None else self.choice.order

    def compare(self) -> Comparison:
        """Run every way that suits the function at the plan's example.

        Each is compiled, and its result compared with the plan's.

        Returns
        -------
        Comparison
            A table of predicted and measured times.
        """
        args, kwargs = self._example
        runs: dict[str, Callable[[], Any]] = {}
        mode = self.mode or "given"
        for key in dict.fromkeys([*WAYS, *(c.mode for c in self.candidates)]):
            try:
                plan = Jitted(self._again(key)).plan(*args, **kwargs)
            except (UnsupportedError, DerivativeError):  # a custom rule of the other direction
                continue
            runs[key] = functools.partial(plan, *args, **kwargs)
        runs[mode] = functools.partial(self, *args, **kwargs)
        guesses = {c.mode: c.seconds for c in self.candidates}
        return compared(self.name, mode, runs, lambda y: trees.flatten(y)[0], guesses)
