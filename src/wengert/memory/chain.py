"""Checkpointing of chains whose stages differ: the fewest operations done again under a budget.

Dynamic programming over the schedules in which what is kept is kept until it is used: Beaumont,
Eyraud-Dubois, Herrmann, Joly and Shilova (2019), *Optimal checkpointing for heterogeneous chains:
how to train deep neural networks with limited memory* (INRIA RR-9302), with stages whose backward
pass needs nothing but their own result told apart, so that a result that is kept is not computed
again for it. For uniform chains the counts are those of `wengert.memory.binomial`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import InputError

__all__ = ["Chain", "Stage"]

SLOTS = 600
"""Resolution of memory where sizes have no large common divisor."""

TINY = 2000
"""Sizes below this part of the largest are taken for nothing."""


UNREAD, KEEP, SWEEP = -1, -2, -3
"""What to do with some stages: the last one's backward pass reads nothing; keep all that the first
one's reads, and its result; run all, keeping nothing but what the last one's reads."""


class Stage(NamedTuple):
    """One stage of a chain. Sizes are in bytes.

    Attributes
    ----------
    cost : float
        Of running it forward.
    out : int
        Its result: all that later stages read of it and of what comes before it.
    saved : int
        What its backward pass reads besides its result.
    needs_out : bool
        Whether its backward pass reads its result.
    forward : int
        Most that is held while it runs, its input aside.
    forward_all : int
        The same where all that its backward pass reads is kept.
    backward : int
        Most that its backward pass holds, besides what it reads of the stage.
    held : int
        What the backward passes of later stages hold when its own begins.
    """

    cost: float
    out: int
    saved: int = 0
    needs_out: bool = True
    forward: int = 0
    forward_all: int = 0
    backward: int = 0
    held: int = 0


class Chain:
    """The best schedules of a chain for all budgets up to a limit.

    Parameters
    ----------
    stages : sequence of Stage
        In forward order. The input of the first is always held, and counts for nothing.
    limit : int
        The largest budget, in bytes.
    shared : array of int, shape (stages, stages), optional
        At [a, b], a < b: how many bytes of b's result are in a's result already, since stages
        after b read them too. They are held once where both results are.

    Attributes
    ----------
    unit : int
        Bytes that budgets are rounded down to.
    costs : array
        Of all forward runs, for each budget in units; infinite where there is no schedule.
    """

    def __init__(self, stages: Sequence[Stage], limit: int, shared: Any = None) -> None:
        if limit < 0:
            raise InputError(f"a chain cannot be run in {limit} bytes")
        self.stages = tuple(stages)
        self.unit = _unit(self.stages, limit)
        self._width = limit // self.unit + 1
        self._small = max((max(x.out, x.saved, x.backward) for x in stages), default=0) / TINY
        n = len(self.stages)
        self._sized = [self._in_units(x) for x in self.stages]
        self._new = self._results(shared)
        self._best: dict[tuple[int, int], np.ndarray[Any, Any]] = {}
        self._forward = np.array([x.forward for x in self._sized], np.int64)
        # Costs of stages k to t, at [t, k], with as much in front that is no budget at all, and of
        # running s to k - 1 before them and reversing those after them, at [s, k].
        self._behind = np.empty((n, n, 2 * self._width))
        self._before = np.empty((n, n + 1, self._width))
        self._runs = np.concatenate([[0.0], np.cumsum([x.cost for x in self.stages])])
        for s in reversed(range(n)):
            # Where in `_behind` what is left beside the input of k is, for all k.
            taken = np.minimum([0, *self._new[s, : n - 1]], self._width)
            rows = (2 * np.arange(n) + 1) * self._width - taken
            self._left = rows[:, None] + np.arange(self._width)
            for t in range(s, n):
                self._solve(s, t)
        self.costs = self._best[0, n - 1] if n else np.zeros(self._width)

    def _results(self, shared: Any) -> np.ndarray[Any, Any]:
        """Return what the result of k takes in units beside the input of s, at [s, k]."""
        n = len(self.stages)
        new = np.zeros((n, n), np.int64)
        for s in range(n):
            for k in range(s, n):
                common = int(shared[s - 1, k]) if s and shared is not None else 0
                new[s, k] = self._units(self.stages[k].out - common)
        return new

    def _in_units(self, stage: Stage) -> Stage:
        units = self._units
        return Stage(
            stage.cost,
            units(stage.out),
            units(stage.saved),
            stage.needs_out,
            *map(units, stage[4:]),
        )

    def _units(self, size: int) -> int:
        return 0 if size <= self._small else -(-size // self.unit)

    def _solve(self, s: int, t: int) -> None:
        best = np.full(self._width, math.inf)
        for _, least, cost in self._whole(s, t):
            np.minimum(best[least:], cost[least:], out=best[least:])
        if s < t:
            costs = self._behind[t].ravel().take(self._left[s + 1 : t + 1])
            costs += self._before[s, s + 1 : t + 1]
            for row, least in zip(costs, self._enough(s, t).tolist(), strict=True):
                row[:least] = math.inf
            np.minimum(best, costs.min(axis=0), out=best)
        self._best[s, t] = best
        self._behind[t, s, : self._width] = math.inf
        self._behind[t, s, self._width :] = best
        self._before[s, t + 1] = self._with_result(s, t)[0] + (self._runs[t + 1] - self._runs[s])

    def _whole(self, s: int, t: int) -> Iterator[tuple[int, int, Any]]:
        """Yield the ways to treat stages s to t that keep no input in between.

        With a number for each, the least budget, and the costs for all budgets.
        """
        first, last, new = self._sized[s], self._sized[t], self._new[s]
        nothing = np.zeros(self._width)
        if not last.saved and not last.needs_out and not self.stages[t].saved:
            yield UNREAD, last.backward, self._best[s, t - 1] if t > s else nothing
        kept = int(first.saved + new[s])
        if s == t:
            read = int(first.saved + (new[s] if first.needs_out else 0))
            least = max(first.held + first.forward_all, read + first.backward)
            yield KEEP, least, nothing + first.cost
            return
        least = max(last.held + first.forward_all, kept + first.backward)
        yield KEEP, least, self._shifted(s + 1, t, kept) + first.cost
        read = last.saved + (int(self._new[t, t]) if last.needs_out else 0)
        swept = int(self._enough(s, t)[-1])
        least = max(swept, last.held + int(new[t - 1]) + last.forward_all, read + last.backward)
        run = self._runs[t + 1] - self._runs[s]
        yield SWEEP, least, self._best[s, t - 1] + run

    def _enough(self, s: int, t: int) -> Any:
        """Return what it takes to run s up to s, to s + 1, and so on up to t - 1."""
        inputs = self._new[s, s : t - 1]
        needs = self._forward[s:t].copy()
        needs[1:] += inputs
        return np.maximum.accumulate(needs) + self._sized[t].held

    def _choice(self, s: int, t: int, m: int) -> int:
        """Return what is best for stages s to t: one of `_whole`, or whose input to keep."""
        best = self._best[s, t][m]
        for which, least, cost in self._whole(s, t):
            if m >= least and cost[m] == best:
                return which
        splits = np.arange(s + 1, t + 1)
        taken = np.minimum(self._new[s, s:t], self._width)
        costs = self._behind[t, splits, self._width + m - taken] + self._before[s, splits, m]
        costs[m < self._enough(s, t)] = math.inf
        return int(splits[np.argmin(costs)])

    def _shifted(self, s: int, t: int, taken: int) -> np.ndarray[Any, Any]:
        found = np.full(self._width, math.inf)
        if taken < self._width:
            found[taken:] = self._best[s, t][: self._width - taken]
        return found

    def _with_result(self, s: int, t: int) -> tuple[Any, Any]:
        """Return the costs for stages whose last result is held already, and where it is used."""
        again = self._best[s, t]
        last = self._sized[t]
        if self.stages[t].saved or not last.needs_out:
            return again, np.zeros(self._width, bool)
        direct = self._best[s, t - 1].copy() if t > s else np.zeros(self._width)
        direct[: min(int(self._new[s, t]) + last.backward, self._width)] = math.inf
        return np.minimum(again, direct), direct <= again

    def schedule(self, budget: int) -> list[tuple[str, int]]:
        """Return what to do within a budget.

        Returns
        -------
        list of (str, int)
            ``advance`` a stage, keeping its result only; ``all``: run it and keep what its backward
            pass reads; ``back``: run its backward pass. With the number of the stage.

        Raises
        ------
        InputError
            Where there is no schedule.
        """
        width = min(budget // self.unit, self._width - 1)
        if width < 0 or not np.isfinite(self.costs[width]):
            raise InputError(f"the chain cannot be run in {budget:,} bytes")
        found: list[tuple[str, int]] = []
        work: list[Any] = [(0, len(self.stages) - 1, width, False)] if self.stages else []
        while work:
            item = work.pop()
            if len(item) == 2:
                found.append(item)
                continue
            s, t, m, result = item
            if result and self._with_result(s, t)[1][m]:
                found.append(("back", t))
                if t > s:
                    work.append((s, t - 1, m, False))
                continue
            which = self._choice(s, t, m)
            if which == UNREAD:
                found.append(("back", t))
                if t > s:
                    work.append((s, t - 1, m, False))
            elif which == SWEEP:
                found += [*(("advance", i) for i in range(s, t)), ("all", t), ("back", t)]
                work.append((s, t - 1, m, False))
            elif s == t:
                found += [("all", s), ("back", s)]
            elif which == KEEP:
                found.append(("all", s))
                kept = int(self._sized[s].saved + self._new[s, s])
                work += [("back", s), (s + 1, t, m - kept, False)]
            else:
                k = which
                found += [("advance", i) for i in range(s, k)]
                work += [(s, k - 1, m, True), (k, t, m - int(self._new[s, k - 1]), False)]
        return found

    def cost(self, budget: int) -> float:
        """Return the cost of all forward runs within a budget; infinite without a schedule."""
        return float(self.costs[min(budget // self.unit, self._width - 1)])

    def budgets(self) -> list[int]:
        """Return the least budget in bytes of each different cost, the lowest cost first."""
        finite = np.flatnonzero(np.isfinite(self.costs))
        if not len(finite):
            return []
        starts = [int(i) for i in finite if i == finite[0] or self.costs[i] < self.costs[i - 1]]
        return [i * self.unit for i in reversed(starts)]


def _unit(stages: Sequence[Stage], limit: int) -> int:
    sizes = [
        v for x in stages for v in (x.out, x.saved, x.forward, x.forward_all, x.backward, x.held)
    ]
    small = max(sizes, default=0) / TINY
    common = math.gcd(*(v for v in sizes if v > small)) if sizes else 1
    return max(common, -(-limit // SLOTS), 1) if common * SLOTS < limit or not common else common
