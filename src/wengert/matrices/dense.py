"""Dense Jacobians: the function is linearised at the point, and a way to its matrix taken."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

import numpy as np

from wengert import trees
from wengert.derivatives import Argnums, pair, refuse_piecewise
from wengert.errors import InputError, user_line
from wengert.jit.plan import Plan
from wengert.jit.transformed import Transformed
from wengert.linear.narrow import narrowed
from wengert.matrices.choice import blocks_of
from wengert.matrices.dense_plan import DensePlan
from wengert.matrices.ways import EVERY, WAYS, Point
from wengert.memory.dense import check_dense
from wengert.ops.base import Traced, dtype_of
from wengert.ops.options import check_places, names
from wengert.orders.order import Order
from wengert.transform.linear import Linearized, linearize_flat

__all__ = ["dense_jacobian", "jacfwd", "jacrev"]

P = ParamSpec("P")


def jacfwd(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
) -> Transformed[P, Any]:
    """Return a function that computes the dense Jacobian in forward mode, all columns at once.

    See `jacobian`.
    """
    made: Transformed[P, Any] = dense_jacobian(f, argnums, has_aux, "forward", argnames=argnames)
    return made


def jacrev(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    argnames: str | Sequence[str] | None = None,
) -> Transformed[P, Any]:
    """Return a function that computes the dense Jacobian in reverse mode, all rows at once.

    See `jacobian`.
    """
    made: Transformed[P, Any] = dense_jacobian(f, argnums, has_aux, "reverse", argnames=argnames)
    return made


def dense_jacobian(
    f: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    mode: str | Order,
    chunk_size: int | None = None,
    value: bool = False,
    argnames: str | Sequence[str] | None = None,
    kind: str = "jacobian",
    scalar: Callable[..., Any] | None = None,
) -> Any:
    """Return a function that computes the dense Jacobian of `f`, or the value and it; see there.

    Of a Hessian, `f` is the gradient of `scalar`.
    """
    check_places(f, argnums, "jacobian", has_aux=has_aux)
    if argnames is not None:
        names(argnames, "jacobian", "argnames")
    ways = WAYS if scalar is None else EVERY
    if not isinstance(mode, Order) and mode not in ("auto", *ways):
        raise InputError(
            f"mode must be one of 'auto', {', '.join(map(repr, ways))}, not {mode!r}" + user_line()
        )
    name = f"{kind}({getattr(f, '__name__', 'f')})"

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        chosen = trees.select(args, argnums, name, f, kwargs, argnames)
        form: list[Any] = []

        def flat(*leaves: Any) -> list[Any]:
            out = chosen.call(f, leaves, kwargs)
            if has_aux:
                out, aux = pair(out, name)
                form.append(aux)
            results, rebuild = trees.flatten(out)
            form.append(rebuild)
            return as_arrays(results)

        def original(scalar: Callable[..., Any]) -> Linearized:
            def value(*leaves: Any) -> list[Any]:
                return as_arrays(trees.flatten(chosen.call(scalar, leaves, kwargs))[0])

            return linearize_flat(value, chosen.leaves)

        lin = linearize_flat(flat, chosen.leaves)
        refuse_piecewise(lin.ys, name)
        whole = None if scalar is None else functools.partial(original, scalar)
        point = Point(narrowed(lin, chosen.leaves), chosen.leaves, chunk_size, whole)
        dtype = np.result_type(*map(dtype_of, chosen.leaves), np.float16)
        check_dense((point.rows, point.columns), dtype, name)
        blocks = blocks_of(point, mode, name)
        result = form[-1]([chosen.pack(row) for row in blocks])
        if value:
            return form[-1](trees.own(lin.ys, lin.ys)), result
        return (result, trees.unwrap(form[0], lin.tape)) if has_aux else result

    remade = functools.partial(
        dense_jacobian,
        argnums=argnums,
        has_aux=has_aux,
        mode=mode,
        chunk_size=chunk_size,
        value=value,
        argnames=argnames,
        kind=kind,
        scalar=scalar,
    )
    made: DenseFunction[...] = DenseFunction(kind, f, wrapped, remade)
    return made


def as_arrays(results: Sequence[Any]) -> list[Any]:
    """Return results as arrays or traced values."""
    return [y if isinstance(y, (Traced, np.ndarray)) else np.asarray(y)[()] for y in results]


class DenseFunction(Transformed[P, Any]):
    """A dense Jacobian or Hessian as a function, whose plans can be compared."""

    __slots__ = ("_plans",)

    def __init__(
        self,
        kind: str,
        f: Callable[..., Any],
        call: Callable[..., Any],
        again: Callable[..., Any],
    ) -> None:
        super().__init__(kind, f, call, again)
        self._plans: WeakKeyDictionary[Plan, DensePlan] = WeakKeyDictionary()

    def plan(self, *args: P.args, **kwargs: P.kwargs) -> DensePlan:
        """Return the plan for a call with these arguments, as ``jit`` of this function does.

        Returns
        -------
        DensePlan
            Printable and callable; it can be compared with the other ways.
        """
        plan = super().plan(*args, **kwargs)
        found = self._plans.get(plan)
        if found is None:
            found = self._plans[plan] = DensePlan.of(plan, self._by, args, kwargs)
        return found

    def _by(self, mode: str) -> Callable[..., Any]:
        """Return the same matrix in another way."""
        made: Callable[..., Any] = self._again(f=self._f, mode=mode)
        return made
