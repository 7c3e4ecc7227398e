"""What keeps the plans of a function: by signature, by what it looks up, and by its decisions."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

from wengert.backend.base import from_handler
from wengert.errors import shorten
from wengert.jit.form import Form, Laid, bare, layouts, signature, split
from wengert.jit.keywords import sees_order
from wengert.jit.loud import Loud
from wengert.jit.specialise import CacheInfo, DecisionTree, Leaf
from wengert.jit.state import States
from wengert.naming import Bound
from wengert.ops.base import Traced
from wengert.ops.leaves import is_array

__all__ = ["LOCK", "MAX_SPECIALISATIONS", "PlannedFunction", "TooManySpecialisations"]

P = ParamSpec("P")
R = TypeVar("R")

MAX_SPECIALISATIONS = 64
"""Paths compiled for one signature, unless `jit` is given another number."""

LOCK = threading.RLock()
"""Held for moments only, never while user code runs."""

if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread it does not have
    os.register_at_fork(
        before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release
    )


class TooManySpecialisations(UserWarning):
    """A compiled function takes so many different paths that some are not kept."""


class PlannedFunction(Generic[P, R]):
    """A function with a plan for each signature of its arguments and each path through its code.

    A call first tries the plan that was used last; `_any` takes all others.

    Parameters
    ----------
    f : callable
    name : str
        What it is called in messages.
    most : int
        Paths kept for one signature.
    nums, names
        Places and keywords of static arguments.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        name: str,
        most: int,
        nums: Sequence[int] = (),
        names: Sequence[str] = (),
    ) -> None:
        self._f = f
        self._name = name
        self._most = most
        self._nums, self._names = nums, names
        self._ordered = sees_order(f)
        self._last = DecisionTree()  # of the signature called last
        self._trees: dict[Any, DecisionTree] = {}
        self._laid: set[Any] = set()  # keys of signatures whose programs depend on layouts
        self._overflowed: set[Any] = set()
        self._states = States(f)
        self._traces = 0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the specialisation for these arguments, compiling it first if it is new."""
        tree = self._last
        leaves = tree.match(args, kwargs)
        if leaves is not None and (root := tree.root) is not None:
            leaf = root.last
            try:
                return leaf.rebuild(leaf.run(leaves))  # type: ignore[no-any-return]
            except Exception as stopped:
                if from_handler(stopped):
                    raise
                found = tree.resume(root, leaves, leaf, stopped)
            if found is not None:
                return found[0].rebuild(found[1])  # type: ignore[no-any-return]
        try:
            return self._any(args, kwargs)  # type: ignore[no-any-return]
        except Exception as error:
            shorten(error)
            raise

    def _any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run any call, of a signature not seen before too."""
        raise NotImplementedError

    # --- keys -------------------------------------------------------------------------------------
    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Any], Any]:
        """Return the data of a call and the key of its decision tree, None for traced data."""
        if not kwargs and not self._nums and all(map(is_array, args)):
            base: Any = tuple([(a.shape, a.dtype) for a in args])
            return args, self._of_layouts(self._with_state(base, ()), args)
        leaves, form = self._split(args, kwargs)
        for x in [*leaves, *[s.value for _, s in form.static]]:
            if isinstance(x, Traced):
                return leaves, None
        fixed = [s.value for _, s in (*form.fixed, *form.static)]
        base = (form, tuple([signature(x) for x in leaves]))
        return leaves, self._of_layouts(self._with_state(base, fixed), leaves)

    def _of_layouts(self, key: Any, leaves: Sequence[Any]) -> Any:
        return Laid(key, layouts(leaves)) if self._laid and key in self._laid else key

    def _with_state(self, base: Any, fixed: Sequence[Any]) -> Any:
        """Return a key: a signature, and the state that the function is in; None for traced data.

        A function that looks up a traced value cannot be recorded on its own.
        """
        state, forgotten = self._states.find(base, fixed)
        if forgotten is not None:
            with LOCK:
                for key in [k for k in self._trees if bare(k)[1] is forgotten]:
                    del self._trees[key]
        return None if state.traced else (base, state)

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Form]:
        return split(args, kwargs, self._nums, self._names, self._ordered)

    # --- plans ------------------------------------------------------------------------------------
    def _run(self, key: Any, leaves: Sequence[Any]) -> tuple[Leaf, Any] | None:
        """Run a compiled specialisation if there is one that holds."""
        tree = self._trees.get(key)
        if tree is None:
            return None
        self._last = tree
        return tree.run(leaves)

    def _warns(self, leaf: Leaf, leaves: Sequence[Any]) -> bool:
        """Whether NumPy may warn in this call, which compiled programs do not do."""
        if leaf.plan.loud is None:
            leaf.plan.loud = Loud(self._f, leaf.plan.form)
        return bool(leaf.plan.loud.warns(leaves))

    def _by_layout(self, key: Any, leaves: Sequence[Any]) -> Any:
        """Return the key of a recording that depends on how its arrays lie in memory."""
        if type(key) is Laid:
            return key
        with LOCK:  # what was recorded before depends on no layout, but shares its tree
            self._laid.add(key)
            self._trees.pop(key, None)
        return Laid(key, layouts(leaves))

    def _keep(self, key: Any, leaf: Leaf) -> None:
        """Keep a specialisation, and try it first at the next call."""
        with LOCK:  # not held while recording, so that threads cannot wait for each other
            tree = self._trees.setdefault(key, DecisionTree(leaf.plan.match))
            tree.add(leaf)
        self._last = tree

    def _forget(self, key: Any) -> None:
        """Forget the specialisations of a signature."""
        with LOCK:
            self._trees.pop(key, None)
            self._last = DecisionTree()

    def _is_full(self, key: Any) -> bool:
        tree = self._trees.get(key)
        if tree is not None and tree.size >= self._most:
            return True
        return tree is None and self._states.count[bare(key)[0]] > self._most

    def _overflows(self, key: Any) -> bool:
        """Note that a signature takes too many paths; return whether that is new."""
        with LOCK:
            base = bare(key)[0]
            first = base not in self._overflowed
            self._overflowed.add(base)
        return first

    def cache_info(self) -> CacheInfo:
        """Return what this function has compiled so far."""
        found = list(self._trees.values())
        signatures = len({bare(k)[0] for k in self._trees})
        return CacheInfo(
            self._traces, signatures, sum(t.size for t in found), len(self._overflowed)
        )

    def clear_cache(self) -> None:
        """Forget all specialisations."""
        with LOCK:
            self._trees.clear()
            self._laid.clear()
            self._overflowed.clear()
            self._states.clear()
            self._last = DecisionTree()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind to an instance, as functions do; the instance is a static argument."""
        return self if instance is None else Bound(self, instance)
