"""Checkpointing of chains whose stages differ: the fewest operations done again under a budget.

Dynamic programming over the schedules in which what is kept is kept until it is used: Beaumont,
Eyraud-Dubois, Herrmann, Joly and Shilova (2019), *Optimal checkpointing for heterogeneous chains:
how to train deep neural networks with limited memory* (INRIA RR-9302), with stages whose backward
pass needs nothing but their own result told apart, so that a result that is kept is not computed
again for it. For uniform chains the counts are those of `wengert.plan.binomial`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import InputError

__all__ = ["Chain", "Stage"]

SLOTS = 600
"""Resolution of memory where sizes have no large common divisor."""

TINY = 2000
"""Sizes below this part of the largest are taken for nothing."""


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

    Attributes
    ----------
    unit : int
        Bytes that budgets are rounded down to.
    costs : array
        Of all forward runs, for each budget in units; infinite where there is no schedule.
    """

    def __init__(self, stages: Sequence[Stage], limit: int) -> None:
        if limit < 0:
            raise InputError(f"a chain cannot be run in {limit} bytes")
        self.stages = tuple(stages)
        self.unit = _unit(self.stages, limit)
        self._width = limit // self.unit + 1
        n = len(self.stages)
        self._sized = [self._in_units(x) for x in self.stages]
        self._best: dict[tuple[int, int], np.ndarray[Any, Any]] = {}
        self._choice: dict[tuple[int, int], np.ndarray[Any, Any]] = {}
        # Costs of stages k to t where the result of k - 1 is kept, at [t, k], and of s to k - 1
        # after them, at [s, k].
        self._behind = np.full((n, n + 1, self._width), math.inf)
        self._before = np.full((n, n + 1, self._width), math.inf)
        self._runs = np.concatenate([[0.0], np.cumsum([x.cost for x in self.stages])])
        for length in range(1, n + 1):
            for s in range(n - length + 1):
                self._solve(s, s + length - 1)
        self.costs = self._best[0, n - 1] if n else np.zeros(self._width)

    def _in_units(self, stage: Stage) -> Stage:
        small = max((max(x.out, x.saved, x.backward) for x in self.stages), default=0) / TINY

        def units(size: int) -> int:
            return 0 if size <= small else -(-size // self.unit)

        return Stage(
            stage.cost,
            units(stage.out),
            units(stage.saved),
            stage.needs_out,
            *map(units, stage[4:]),
        )

    # Choices: -1 no schedule, 0 keep all of the first stage, k > 0 keep the input of stage s + k;
    # -2 the last stage's backward pass needs nothing; -3 keep nothing but what it needs.
    def _solve(self, s: int, t: int) -> None:
        m = np.arange(self._width)
        best = np.full(self._width, math.inf)
        choice = np.full(self._width, -1, np.int64)
        first, last = self._sized[s], self._sized[t]

        def offer(cost: Any, least: int, which: int) -> None:
            better = (m >= least) & (cost < best)
            best[better] = np.broadcast_to(cost, best.shape)[better]
            choice[better] = which

        if not last.saved and not last.needs_out and not self.stages[t].saved:
            offer(self._best[s, t - 1] if t > s else 0.0, last.backward, -2)
        kept = first.saved + first.out
        if s == t:
            read = first.saved + (first.out if first.needs_out else 0)
            offer(first.cost, max(first.held + first.forward_all, read + first.backward), 0)
        else:
            least = max(last.held + first.forward_all, kept + first.backward)
            offer(first.cost + self._shifted(s + 1, t, kept), least, 0)
            run = self._runs[s + 1 : t + 1] - self._runs[s]
            inputs = [0, *(self._sized[k].out for k in range(s, t))]
            needs = [a + self._sized[s + i].forward for i, a in enumerate(inputs)]
            enough = np.maximum.accumulate(needs[:-1]) + last.held
            split = slice(s + 1, t + 1)
            costs = run[:, None] + self._behind[t, split] + self._before[s, split]
            costs[m < enough[:, None]] = math.inf
            which = np.argmin(costs, axis=0)
            found = np.take_along_axis(costs, which[None], axis=0)[0]
            better = found < best
            best[better] = found[better]
            choice[better] = which[better] + 1
            read = last.saved + (last.out if last.needs_out else 0)
            sweep = max(enough[-1], last.held + inputs[-1] + last.forward_all, read + last.backward)
            offer(run[-1] + last.cost + self._best[s, t - 1], int(sweep), -3)
        self._best[s, t], self._choice[s, t] = best, choice
        self._behind[t, s] = self._shifted(s, t, self._sized[s - 1].out) if s else math.inf
        self._before[s, t + 1] = self._with_result(s, t)[0]

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
        direct[: min(last.out + last.backward, self._width)] = math.inf
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
            which = int(self._choice[s, t][m])
            if which == -2:
                found.append(("back", t))
                if t > s:
                    work.append((s, t - 1, m, False))
            elif which == -3:
                found += [*(("advance", i) for i in range(s, t)), ("all", t), ("back", t)]
                work.append((s, t - 1, m, False))
            elif s == t:
                found += [("all", s), ("back", s)]
            elif which == 0:
                found.append(("all", s))
                kept = self._sized[s].saved + self._sized[s].out
                work += [("back", s), (s + 1, t, m - kept, False)]
            else:
                k = s + which
                found += [("advance", i) for i in range(s, k)]
                work += [(s, k - 1, m, True), (k, t, m - self._sized[k - 1].out, False)]
        return found

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
