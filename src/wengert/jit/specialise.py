"""The decision tree of guards: which specialisation holds for which outcomes of Python's decisions.

Every specialisation of one signature was recorded from the same code, so all of them take the same
first decision, and those that agree on it take the same second one: a tree whose edges are
outcomes. A run starts with the specialisation used last; where a guard differs, it goes on with one
from the subtree of the outcome it got.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wengert.ir.graph import GuardMiss
from wengert.ir.keys import key
from wengert.ir.questions import EFFECTS
from wengert.jit.fastpath import Match, never

__all__ = ["Branch", "CacheInfo", "DecisionTree", "Leaf"]


class CacheInfo(NamedTuple):
    """What a jitted function has done so far."""

    traces: int
    """How often the Python function was recorded."""
    signatures: int
    """Different shapes, dtypes, forms and static arguments."""
    specialisations: int
    """Compiled plans, over all signatures."""
    fallbacks: int
    """Signatures with more paths than are compiled, some of which run without compilation."""


class Leaf:
    """One specialisation: a program, and the outcomes that it holds under.

    Parameters
    ----------
    plan : Plan
    run : callable
        From inputs to outputs; raises `GuardMiss` where it does not hold.
    rebuild : callable
        From outputs to the function's result.
    folded : sequence, optional
        Of a guard of a loop, the decisions of its trips, which it stands for; else None.
    """

    __slots__ = ("folded", "outcomes", "places", "plan", "rebuild", "run")

    def __init__(
        self,
        plan: Any,
        run: Any,
        rebuild: Callable[..., Any],
        folded: Sequence[tuple[bool, ...] | None] = (),
    ) -> None:
        self.plan = plan
        self.run = run
        self.rebuild = rebuild
        guards = () if plan is None else plan.graph.guards
        # What other leaves of the same code hold under as well, whatever else they compute.
        self.folded = tuple(folded) or (None,) * len(guards)
        self.places: list[int | None] = []
        outcomes: list[Any] = []
        for guard, trips in zip(guards, self.folded, strict=True):
            if guard.kind in EFFECTS:
                self.places.append(None)
                continue
            self.places.append(len(outcomes))
            outcomes += map(key, [guard.outcome] if trips is None else trips)
        self.outcomes = tuple(outcomes)

    def missed(self, miss: GuardMiss) -> tuple[int | None, Any]:
        """Return which of the outcomes was another one, and what it was; None for an exception."""
        place, folded = self.places[miss.index], self.folded[miss.index]
        if place is None or folded is None:
            return place, miss.outcome
        k = int(miss.outcome)
        return place + k, not folded[k]


class Branch:
    """A point of the tree: the outcomes seen at one decision, and the leaf used last below."""

    __slots__ = ("children", "last")

    def __init__(self, last: Leaf) -> None:
        self.children: dict[Any, Branch] = {}
        self.last = last


class DecisionTree:
    """Specialisations of one signature.

    One thread may add while others run.

    Attributes
    ----------
    size : int
        How many there are.
    match : callable
        From a call's arguments to its data; None where they may be of another signature.
    """

    def __init__(self, match: Match = never) -> None:
        self.match = match
        self.root: Branch | None = None
        self.size = 0

    def add(self, leaf: Leaf) -> None:
        """Add a specialisation, and start with it from now on."""
        known = self.root is not None
        branch = self.root = self.root or Branch(leaf)
        branch.last = leaf
        for outcome in leaf.outcomes:
            known = known and outcome in branch.children
            branch = branch.children.setdefault(outcome, Branch(leaf))
            branch.last = leaf
        self.size += not known

    def find(self, graph: Any) -> Leaf | None:
        """Return the specialisation that holds for the outcomes of a graph, if there is one."""
        branch = self.root
        for guard in graph.guards:
            if guard.kind in EFFECTS:
                continue
            if branch is None:
                return None
            branch = branch.children.get(key(guard.outcome))
        return None if branch is None or branch.children else branch.last

    def run(self, inputs: Sequence[Any]) -> tuple[Leaf, Any] | None:
        """Run the specialisation that holds for these inputs.

        Returns
        -------
        (Leaf, outputs) or None
            None when a guard has an outcome not seen before.
        """
        root = self.root
        if root is None:
            return None
        leaf = root.last
        try:
            return leaf, leaf.run(inputs)
        except GuardMiss as miss:
            return self.search(root, inputs, leaf, miss)

    @property
    def catches(self) -> bool:
        """Whether the function waits for exceptions, which a run may raise."""
        if self.root is None:
            return False
        return any(g.kind == "done" for g in self.root.last.plan.graph.guards)

    def resume(
        self, branch: Branch, inputs: Sequence[Any], leaf: Leaf, stopped: Exception
    ) -> tuple[Leaf, Any] | None:
        """Go on where `leaf` stopped; None where that needs another recording, or the function."""
        if not isinstance(stopped, GuardMiss):
            return None
        try:
            return self.search(branch, inputs, leaf, stopped)
        except Exception:
            return None  # which it will raise again

    def search(
        self, branch: Branch, inputs: Sequence[Any], leaf: Leaf, miss: GuardMiss
    ) -> tuple[Leaf, Any] | None:
        """Go on below the branch where `leaf` missed, until a specialisation holds."""
        depth = 0
        while True:
            place, found = leaf.missed(miss)
            if place is None:
                return None  # plain Python would raise
            for outcome in leaf.outcomes[depth:place]:
                branch = branch.children[outcome]
            child = branch.children.get(key(found))
            if child is None:
                return None
            branch, depth, leaf = child, place + 1, child.last
            try:
                outputs = leaf.run(inputs)
            except GuardMiss as again:
                miss = again
                continue
            self._remember(leaf)
            return leaf, outputs

    def _remember(self, leaf: Leaf) -> None:
        """Start with this leaf next time, at every branch above it."""
        branch = self.root
        assert branch is not None
        branch.last = leaf
        for outcome in leaf.outcomes:
            branch = branch.children[outcome]
            branch.last = leaf
