"""The loops of a kernel: which axes each one walks.

Axes that every array walks as one are merged, and axes that are summed may move inwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.backend.native.emit.items import touched, written
from wengert.backend.native.schedule.layout import View
from wengert.backend.native.schedule.steps import Compact, Gather, Loop, Reduce, Scan, Update

__all__ = ["LANES", "Nest"]

LANES = 8
"""Elements from which an innermost loop is worth a vector."""


class Nest:
    """Nested loops over the shape of a `Loop`.

    Attributes
    ----------
    groups : list of list of int
        The axes that each loop walks, the outermost loop first.
    dims : list of int
        The trips of each loop.
    pinned : set of int
        Identities of the buffers that are written and touched at several places.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.views = self._all_views()
        shape = loop.shape
        strides = [v.broadcast(shape) if v.shape != shape else _zeroed(v) for v in self.views]
        self.groups = self._reordered(self._merged(strides), strides)
        self.dims = [int(np.prod([shape[a] for a in g])) for g in self.groups]
        self.pinned = self._pinned()

    def walked_by(self, axis: int) -> int | None:
        """Return which loop walks an axis; None where its length is 1."""
        return next((d for d, g in enumerate(self.groups) if axis in g), None)

    def strides(self, view: View) -> list[int]:
        """Strides of a view over the merged axes."""
        return self.strides_of(view, self.groups)

    def strides_of(self, view: View, groups: list[list[int]]) -> list[int]:
        """Strides of a view over groups of axes."""
        full = view.broadcast(self.loop.shape) if view.shape != self.loop.shape else view.strides
        return [full[g[-1]] for g in groups]

    def outermost_sums(self) -> list[Reduce] | None:
        """Return the reductions over the outermost loop; None where its ranges depend on others.

        Each is the only one to touch its target.
        """
        if not self.dims:
            return None
        found = []
        for item in self.loop.items:
            if isinstance(item, Reduce):
                step = self.strides(item.out)[0]
                if step == 0:
                    found.append(item)
                elif step * self.dims[0] != item.out.buffer.size:
                    return None
            elif self._goes_on(item):
                return None
        return found

    def _goes_on(self, item: Any) -> bool:
        """Whether an iteration of the outermost loop may touch what another one writes."""
        if isinstance(item, Update):
            return not self._apart(item)
        if isinstance(item, Scan):
            return self.walked_by(item.axis) == 0
        return isinstance(item, Compact)

    def _apart(self, u: Update) -> bool:
        """Whether an update changes, and reads, other memory in each turn of the outermost loop."""
        far, *near = (abs(s) for s in self.strides(u.target))
        span = sum(s * (n - 1) for s, n in zip(near, self.dims[1:], strict=True))
        here = [v for v in self.views if v.buffer is u.target.buffer]
        return not u.index and far > span and all(v is u.target for v in here)

    def _all_views(self) -> list[View]:
        found: list[View] = []
        for item in self.loop.items:
            found += touched(item, self.loop.shape)
        for x, target in self.loop.stores:
            found.append(target)
            if isinstance(x, View):
                found.append(x)
        return found

    def _merged(self, strides: list[tuple[int, ...]]) -> list[list[int]]:
        """Merge neighbouring axes that every view walks as one."""
        groups: list[list[int]] = []
        for axis, n in enumerate(self.loop.shape):
            if n == 1:
                continue
            if groups:
                last = groups[-1][-1]
                if all(s[last] == s[axis] * n for s in strides):
                    groups[-1].append(axis)
                    continue
            groups.append([axis])
        return groups

    def _reordered(
        self, groups: list[list[int]], strides: list[tuple[int, ...]]
    ) -> list[list[int]]:
        """Move axes that are summed inwards, up to a short last one that is kept.

        Then a row of sums stays in registers. Not where an array as large as the loop would be
        walked in long strides.
        """
        loop = self.loop
        sums = [item for item in loop.items if isinstance(item, Reduce)]
        plain = all(isinstance(item, (Reduce, Gather, tuple)) for item in loop.items)
        if len(groups) < 3 or not sums or not plain or loop.stores:
            return groups
        kept = {
            tuple(self.strides_of(r.out, groups)[d] != 0 for d in range(len(groups))) for r in sums
        }
        if len(kept) > 1 or any(all(s[g[-1]] for g in groups) for s in strides):
            return groups
        (stays,) = kept
        last = len(groups) - 1
        if not stays[last] or np.prod([loop.shape[a] for a in groups[last]]) > 2 * LANES:
            return groups
        order = sorted(range(last), key=lambda d: not stays[d])
        return [groups[d] for d in (*order, last)]

    def _pinned(self) -> set[int]:
        """Find the buffers that are written and touched at several places."""
        changed = {id(b) for item in self.loop.items for b in written(item)}
        changed |= {id(target.buffer) for _, target in self.loop.stores}
        offsets: dict[int, set[int]] = {}
        for v in self.views:
            offsets.setdefault(id(v.buffer), set()).add(v.offset)
        return {b for b in changed if len(offsets.get(b, ())) > 1}


def _zeroed(view: View) -> tuple[int, ...]:
    return tuple(0 if n == 1 else s for n, s in zip(view.shape, view.strides, strict=True))
