"""A compiled function: recorded once for each signature and path through it, then run as graphs."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from wengert.backend.base import from_handler
from wengert.backend.native.run.footprint import footprint
from wengert.backend.native.schedule.schedule import Unsupported
from wengert.backend.numpy import NumpyBackend
from wengert.backends import BACKENDS, make_backend
from wengert.errors import (
    InputError,
    MemoryBudgetError,
    UnsupportedError,
    WengertError,
    user_line,
)
from wengert.follow.functions import call as call_followed
from wengert.ir.graph import Graph
from wengert.jit import running as running  # makes programs of loops
from wengert.jit.fallback import Fallbacks, NotCompiled, too_many, unplannable
from wengert.jit.fastpath import matcher
from wengert.jit.form import Laid, bare
from wengert.jit.into import copy_into
from wengert.jit.keywords import static_places
from wengert.jit.plan import Plan
from wengert.jit.planned_function import (
    LOCK,
    MAX_SPECIALISATIONS,
    PlannedFunction,
    TooManySpecialisations,
)
from wengert.jit.progress import Patience
from wengert.jit.record import Recorded, record, uncompiled
from wengert.jit.specialise import CacheInfo, Leaf
from wengert.memory.profile import size_text
from wengert.memory.remat import fit
from wengert.naming import called, name_of, wrap
from wengert.rolling.limits import Limits, current
from wengert.rolling.roll import fold, rolled_with_decisions
from wengert.trace.alarm import stops
from wengert.trace.recorder import GraphRecorder, OuterValueError
from wengert.trace.trips import is_touched

__all__ = [
    "BACKENDS",
    "CacheInfo",
    "Jitted",
    "NotCompiled",
    "TooManySpecialisations",
]

P = ParamSpec("P")
R = TypeVar("R")


class Jitted(PlannedFunction[P, R]):
    """A function that compiles itself; see `jit`."""

    def __init__(
        self,
        f: Callable[..., Any],
        static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (),
        backend: str | None = None,
        max_specialisations: int = MAX_SPECIALISATIONS,
        fastmath: bool = False,
        memory_budget: int | None = None,
    ) -> None:
        wrap(self, f)
        name = called(f)
        self._options = (
            *(tuple(static_argnums), tuple(static_argnames)),
            *(backend, max_specialisations, fastmath, memory_budget),
        )
        nums, names = static_places(f, name, static_argnums, static_argnames)
        super().__init__(f, name, max_specialisations, nums, names)
        self._backend = make_backend(backend, fastmath)
        self._budget = memory_budget
        self._fast = fastmath
        self._fallbacks = Fallbacks()

    # --- calling ----------------------------------------------------------------------------------
    def _any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run any call, of a signature not seen before too."""
        leaves, key = self._key(args, kwargs)
        if key is None:
            return call_followed(self._f, args, kwargs)  # as part of the enclosing transformation
        stopped = stops()
        if key in self._fallbacks or stopped == "errstate":
            return self._plain(args, kwargs)
        raised: Exception | None = None
        found = None
        try:
            found = self._run(key, leaves)
        except Exception as error:
            if from_handler(error):
                raise
            raised = error
        if stopped and found and self._budget is None and self._warns(found[0], leaves):
            return self._plain(args, kwargs)
        if raised is not None:  # not inside of the handler, so that it is no context
            return self._raising(key, args, kwargs, raised)
        if found is None:
            if self._fallbacks.is_settled(key):
                return self._plain(args, kwargs)
            if self._is_full(key):
                return self._uncompiled(key, args, kwargs)
            try:
                found = self._specialise(key, args, kwargs)
            except OuterValueError:
                return call_followed(self._f, args, kwargs)
        leaf, outputs = found
        return leaf.rebuild(outputs)

    def into(self, out: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, and write its result into arrays that the caller has.

        Parameters
        ----------
        out : pytree of arrays
            Of the form, shapes and dtypes of the result; an array without axes for a number. Native
            code writes straight into contiguous arrays that share no memory with anything else;
            into others, such as an argument itself, the result is copied once it is complete.
        *args, **kwargs
            As for a call.

        Returns
        -------
        pytree
            `out`. After an error its content is undefined.

        Raises
        ------
        ShapeError, InputError
            When `out` does not fit the result, or its arrays share memory with each other; for
            traced arguments.
        """
        leaves, key = self._key(args, kwargs)
        if key is None:
            raise InputError(
                f"{self._name}.into takes plain arrays, not traced values; call {self._name} "
                f"itself" + user_line()
            )
        tree = None if stops() else self._trees.get(key)
        if tree is not None and tree.root is not None:
            try:
                return tree.root.last.plan.run_into(out, leaves)  # type: ignore[no-any-return]
            except WengertError:
                raise
            except Exception as error:  # a guard missed, or an operation raised
                if from_handler(error):
                    raise
        return copy_into(out, self._any(args, kwargs), self._name)  # type: ignore[no-any-return]

    def _specialise(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Leaf, Any]:
        """Record, compile, keep and run a new specialisation."""
        state = bare(key)[1]
        leaves, form = self._split(args, kwargs)
        with LOCK:
            self._traces += 1
        with Patience(f"recording {self._name} ...") as patience:
            bound = None if self._budget is None else self._budget // 2
            limits = self._limits()
            for folds in (limits is not None, False):
                recorder = GraphRecorder(bound=bound)
                recorder.rolls, recorder.folds = limits, folds
                if limits is not None:
                    recorder.taken_in = functools.partial(fold, limits=limits)
                recorded = record(self._f, leaves, form, recorder=recorder, state=state)
                if not any(map(is_touched, recorder.shared)):
                    break
            if recorded.why:
                return self._once(key, recorded, args, kwargs)
            if recorded.laid:
                key = self._by_layout(key, leaves)
            known = self._trees.get(key)
            same = None if known is None else known.find(recorded.graph)
            if same is None:
                number = len(recorded.graph.nodes)
                patience.say(f"compiling {self._name}, {number:,} operations on arrays ...")
                graph, folded = rolled_with_decisions(recorded.graph, current())
                recorded, trips, again = self._within_budget(recorded, graph, folded)
                program = self._backend.compile(recorded.graph)
        if same is None:
            backend = getattr(program, "backend", self._backend.name)
            laid = key.layouts if type(key) is Laid else None
            match = (
                known.match
                if known
                else matcher(form, leaves, args, kwargs, laid is not None, state.guard)
            )
            plan = Plan(
                self._name, recorded, program, backend, self._split, form, match, laid,
                self._budget, *again,
            )  # fmt: skip
            plan.state, plan.folded = state.guard, trips or plan.folded
            run = program.quick() if hasattr(program, "quick") else program.run
            leaf = Leaf(plan, run, recorded.result.rebuild, trips)
        else:  # rounding led native code to another path than NumPy, as it may do again
            leaf = same
            self._fallbacks.repeated(key)
        try:
            outputs = leaf.run(leaves)
        except Exception as error:
            if from_handler(error):
                raise
            rounded = True
        else:
            rounded = False
        if rounded:
            leaf = self._as_recorded(leaf)
            try:
                outputs = leaf.run(leaves)
            except Exception:
                self._fallbacks.repeated(key)
                return Leaf(None, recorded, _same), self._plain(args, kwargs)
        self._keep(key, leaf)
        return leaf, outputs

    def _as_recorded(self, leaf: Leaf) -> Leaf:
        """Return a specialisation that decides as its recording did.

        Native code rounds otherwise than NumPy, so a decision on numbers that are equal but for
        rounding may have another outcome. Where it does, NumPy runs the graph.
        """
        program = NumpyBackend().compile(leaf.plan.graph)
        if self._budget is not None:
            return Leaf(leaf.plan, program.run, leaf.rebuild, leaf.folded)
        plan = leaf.plan.run_by(program, "numpy")
        return Leaf(plan, program.run, leaf.rebuild, leaf.folded)

    def _once(
        self, key: Any, recorded: Recorded, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Leaf, Any]:
        """Return the result of a recording that stands for its own call only."""
        with LOCK:
            warning = self._fallbacks.note(key, self._name, recorded)
        if warning:
            self._forget(key)
            warnings.warn(warning, NotCompiled, stacklevel=5)
        if recorded.values is None:
            return Leaf(None, recorded, _same), self._plain(args, kwargs)
        return Leaf(None, recorded, recorded.result.rebuild), recorded.values

    def _raising(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
    ) -> Any:
        """Run the function itself where a compiled run raised, for its handlers, or its caller."""
        if self._budget is not None and not self._trees[key].catches:
            raise error
        return self._plain(args, kwargs)

    def _limits(self) -> Limits | None:
        """Return from when on a tape is rolled: later where a budget has to choose what to keep."""
        limits = current()
        if self._budget is None or limits is None:
            return limits
        return limits._replace(nodes=max(limits.nodes, limits.large))

    def _within_budget(
        self, recorded: Recorded, graph: Graph, folded: Sequence[Any]
    ) -> tuple[Recorded, Sequence[Any], tuple[int, float | None]]:
        """Return a recording that keeps to the budget.

        Parameters
        ----------
        recorded : Recorded
        graph : Graph
            The recorded one, its loops rolled.
        folded : sequence
            What its guards stand for.

        Returns
        -------
        recorded : Recorded
        folded : sequence
        again : (int, float or None)
            The operations done again, and the gap.
        """
        budget = self._budget
        if budget is None:
            return recorded._replace(graph=graph), folded, (0, None)
        try:
            measure = functools.partial(footprint, fast=self._fast)
            found = fit(graph, budget, measure)
            if not found.within and graph is not recorded.graph:
                other = fit(recorded.graph, budget, measure)
                if (not other.within, other.peak) < (not found.within, found.peak):
                    found, folded = other, ()
        except Unsupported as error:
            raise UnsupportedError(
                f"{self._name} runs in NumPy because of {error}, which native code lacks, so its "
                f"memory cannot be kept within {budget:,} bytes" + user_line()
            ) from None
        if not found.within:
            raise MemoryBudgetError(
                f"{self._name} cannot run in {size_text(budget)} ({budget:,} bytes) between its "
                f"inputs and outputs; the least found is {size_text(found.peak)}: "
                f"memory_budget={found.peak}" + user_line(),
                found.peak,
            )
        return recorded._replace(graph=found.graph), folded, (found.extra, found.gap)

    def _uncompiled(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the function itself, which takes too many paths."""
        if self._budget is not None:
            raise MemoryBudgetError(
                f"{self._name} takes more than {self._most} different paths for one signature, "
                f"and without compilation its memory cannot be kept within {self._budget:,} bytes. "
                f"Use np.where, or compile more of them with wg.jit(f, max_specialisations=...)."
                + user_line()
            )
        if self._overflows(key):
            why = too_many(self._name, self._most, key in self._trees)
            warnings.warn(
                f"{why}, or compile more of them with wg.jit(f, max_specialisations=...)."
                + user_line(),
                TooManySpecialisations,
                stacklevel=4,
            )
        return self._plain(args, kwargs)

    def _plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the function itself; as in a compiled one, arguments stay and results are new."""
        if self._budget is not None:
            raise MemoryBudgetError(
                f"{self._name} cannot be compiled for this call, which catches an exception or "
                f"lets floating-point errors raise, and without compilation its memory cannot be "
                f"kept within {self._budget:,} bytes. Choose with np.where instead" + user_line()
            )
        return uncompiled(self._f, args, kwargs)

    # --- looking ----------------------------------------------------------------------------------
    def plan(self, *args: P.args, **kwargs: P.kwargs) -> Plan:
        """Return the plan for a call with these arguments, compiled now if it is new.

        Returns
        -------
        Plan
            Printable and callable.

        Raises
        ------
        InputError
            For traced arguments.
        """
        leaves, key = self._key(args, kwargs)
        if key is None:
            raise InputError(
                f"{self._name}.plan takes plain arrays, not traced values" + user_line()
            )
        leaf, _ = self._run(key, leaves) or self._specialise(key, args, kwargs)
        if leaf.plan is None:
            raise unplannable(self._name, leaf.run)
        plan: Plan = leaf.plan
        return plan

    def clear_cache(self) -> None:
        """Forget all specialisations."""
        super().clear_cache()
        self._fallbacks.clear()

    def __reduce__(self) -> Any:
        """Pickle by name where the name leads here, as functions are, else as ``jit(f)``."""
        return name_of(self) or (Jitted, (self._f, *self._options))

    def __repr__(self) -> str:
        """Return a line."""
        return f"<jit of {self._name}: {self.cache_info()}>"


def _same(x: Any) -> Any:
    return x
