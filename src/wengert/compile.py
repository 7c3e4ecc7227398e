"""`jit`: record a function once for each signature and set of decisions, then run the compiled graph."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from wengert.backend.base import Backend
from wengert.backend.numpy import NumpyBackend
from wengert.errors import InputError, user_line
from wengert.ir.simplify import simplify
from wengert.ops.base import Traced
from wengert.plan.guards import DecisionTree, Leaf
from wengert.plan.plan import Plan
from wengert.plan.record import DYNAMIC, record
from wengert.transform.linear import quiet

__all__ = ["CacheInfo", "Jitted", "TooManySpecialisations", "jit"]

BACKENDS: dict[str, Callable[[], Backend]] = {"numpy": NumpyBackend}
"""Backends by name; each entry makes one."""

_SCALARS = frozenset({float, int, bool, complex})


class TooManySpecialisations(UserWarning):  # noqa: N818
    """A jitted function takes so many different paths that it is run without compilation."""


class CacheInfo(NamedTuple):
    """What a jitted function has done so far."""

    traces: int
    """How often the Python function was recorded."""
    signatures: int
    """Different shapes, dtypes, forms and static arguments."""
    specialisations: int
    """Compiled plans, over all signatures."""
    fallbacks: int
    """Signatures that are run without compilation."""


class Jitted:
    """A function that compiles itself; see `jit`."""

    def __init__(
        self,
        f: Callable[..., Any],
        static_argnums: Sequence[int],
        static_argnames: Sequence[str],
        backend: str,
        limit: int,
    ) -> None:
        functools.update_wrapper(self, f)
        if backend not in BACKENDS:
            raise InputError(f"backend={backend!r} is not one of {', '.join(sorted(BACKENDS))}")
        self._f = f
        self._name = getattr(f, "__name__", "f")
        self._static_argnums = tuple(static_argnums)
        self._static_argnames = tuple(static_argnames)
        self._backend = BACKENDS[backend]()
        self._limit = limit
        self._trees: dict[Any, DecisionTree] = {}
        self._calls: dict[Any, Any] = {}
        self._fallback: set[Any] = set()
        self._traces = 0

    # --- calling ------------------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the specialisation for these arguments, compiling it first if it is new."""
        if not kwargs and not self._static_argnums and all(type(a) is np.ndarray for a in args):
            leaves: Sequence[Any] = args
            key: Any = tuple([(a.shape, a.dtype) for a in args])
            form = None
        else:
            leaves, form = self._flatten(args, kwargs)
            if any(isinstance(x, Traced) for x in leaves) or self._holds_traced(form):
                return self._f(*args, **kwargs)
            key = (form, tuple([_signature(x) for x in leaves]))
        tree = self._trees.get(key)
        if tree is not None:
            with quiet():
                found = tree.run(leaves)
            if found is not None:
                leaf, outputs = found
                return leaf.rebuild(outputs)
        if key in self._fallback:
            return self._f(*args, **kwargs)
        return self._specialise(key, args, kwargs)

    def _flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any]:
        """Split a call into dynamic leaves and what the specialisation depends on."""
        static: list[Any] = []
        n = len(args)
        where = {i % n if n else i for i in self._static_argnums if -n <= i < n}
        if where or self._static_argnames:
            static += [(i, args[i]) for i in sorted(where)]
            static += [(k, kwargs[k]) for k in self._static_argnames if k in kwargs]
            args = tuple(None if i in where else a for i, a in enumerate(args))
            kwargs = {k: v for k, v in kwargs.items() if k not in self._static_argnames}
        leaves, spec = optree.tree_flatten((args, kwargs))  # type: ignore[arg-type]
        dynamic = []
        fixed = []
        for i, x in enumerate(leaves):
            if isinstance(x, (Traced, *DYNAMIC)):
                dynamic.append(x)
            else:
                fixed.append((i, _Static(x)))
        return dynamic, (spec, tuple(fixed), tuple((k, _Static(v)) for k, v in static))

    def _holds_traced(self, form: Any) -> bool:
        return any(isinstance(v.value, Traced) for _, v in form[2])

    def _specialise(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plan, leaf, leaves = self._compile(args, kwargs)
        tree = self._trees.setdefault(key, DecisionTree())
        tree.add(leaf)
        if tree.size >= self._limit and key not in self._fallback:
            self._fallback.add(key)
            warnings.warn(
                f"{self._name} took {tree.size} different paths for one signature (a Python if, while, int() "
                f"or float() on traced values); calls on further paths run without compilation. Use "
                f"np.where, or raise the limit with wg.jit(f, limit=...)." + user_line(),
                TooManySpecialisations,
                stacklevel=3,
            )
        with quiet():
            return leaf.rebuild(leaf.run(leaves))

    def _compile(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Plan, Leaf, list[Any]]:
        leaves, form = self._flatten(args, kwargs)
        spec, fixed, static = form
        self._traces += 1

        def call(f: Callable[..., Any], traced: Sequence[Any]) -> Any:
            moving = iter(traced)
            still = {i: s.value for i, s in fixed}
            total = len(traced) + len(still)
            new_args, new_kwargs = spec.unflatten(
                [still[i] if i in still else next(moving) for i in range(total)]
            )
            new_args = list(new_args)
            for k, s in static:
                if isinstance(k, int):
                    new_args[k] = s.value
                else:
                    new_kwargs[k] = s.value
            return f(*new_args, **new_kwargs)

        recorded = record(self._f, leaves, call)
        graph = simplify(recorded.graph)
        program = self._backend.compile(graph)
        plan = Plan(self._name, graph, program, self._backend.name, self._flatten, form, recorded.rebuild)
        leaf = Leaf(plan, program.run, recorded.rebuild, [g.outcome for g in graph.guards])
        return plan, leaf, leaves

    # --- looking ------------------------------------------------------------------------------------
    def plan(self, *args: Any, **kwargs: Any) -> Plan:
        """Return the plan for a call with these arguments, compiled now.

        Returns
        -------
        Plan
            Printable and callable.
        """
        plan, _, _ = self._compile(args, kwargs)
        return plan

    def cache_info(self) -> CacheInfo:
        """Return what this function has compiled so far."""
        total = sum(t.size for t in self._trees.values())
        return CacheInfo(self._traces, len(self._trees), total, len(self._fallback))

    def clear_cache(self) -> None:
        """Forget all specialisations."""
        self._trees.clear()
        self._fallback.clear()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bind to an instance, as functions do; the instance is a static argument."""
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        """Return a line."""
        return f"<jit of {self._name}: {self.cache_info()}>"


class _Static:
    """A part of a call that the specialisation depends on, compared by value, else by identity."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        try:
            return hash((type(self.value), self.value))
        except TypeError:
            return id(self.value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Static) or type(self.value) is not type(other.value):
            return False
        if self.value is other.value:
            return True
        try:
            hash(self.value)
        except TypeError:
            return False
        return bool(self.value == other.value)


def _signature(x: Any) -> Any:
    kind = type(x)
    return kind if kind in _SCALARS else (x.shape, x.dtype)


def jit(
    f: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    backend: str = "numpy",
    limit: int = 64,
) -> Any:
    """Compile a function on its first call, for each signature and each path through its code.

    Parameters
    ----------
    f : callable
        Written in NumPy; derivatives included: ``jit(grad(loss))``.
    static_argnums, static_argnames
        Arguments that are part of the program: another value is another program. Arrays and numbers
        are inputs unless named here; strings and other objects are always static.
    backend : {"numpy"}
    limit : int
        Largest number of paths compiled for one signature. A Python ``if``, ``while``, ``int()`` or
        index on a traced value records its outcome as a guard; another outcome runs, or records,
        another specialisation. Past the limit, further paths run without compilation, with one
        warning.

    Returns
    -------
    Jitted
        A function with ``plan(*example)``, ``cache_info()`` and ``clear_cache()``. Arrays that `f`
        closes over are read at each call, so a later change in place is seen; other Python state is
        read when the function is recorded, and random numbers are drawn then.
    """
    if f is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, backend=backend, limit=limit
        )
    nums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    return Jitted(f, nums, names, backend, limit)
