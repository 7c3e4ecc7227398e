"""A Jacobian or Hessian as a linear operator: products without a matrix, and its structure."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert import trees
from wengert.derivatives import Argnums, grad, jvp, vjp
from wengert.errors import InputError, user_line
from wengert.jit.decorator import jit
from wengert.naming import name_of
from wengert.ops.base import dtype_of, is_inexact, shape_of

__all__ = ["Operator"]


class Operator:
    """A Jacobian or Hessian as a linear operator at a point; see `wengert.jacobian`."""

    def __init__(self, kind: str, f: Callable[..., Any], argnums: Argnums, value: bool) -> None:
        functools.update_wrapper(self, f, updated=())
        self.name = f"{kind}({getattr(f, '__name__', 'f')})"
        self._made_of = (kind, f, argnums, value)
        self._f = grad(f, argnums) if kind == "hessian" else f
        self._argnums = argnums
        self._value = value
        self._push = jit(self._around(self._pushed), backend="native")
        self._pull = jit(self._around(self._pulled), backend="native")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the operator at a point.

        Returns
        -------
        MatrixOperator
            A `scipy.sparse.linalg.LinearOperator`.
        """
        from wengert.matrices.at_point import MatrixOperator  # it loads SciPy's solvers

        chosen = trees.select(args, self._argnums, self.name)
        y = self._f(*args, **kwargs)
        for part in trees.flatten(y)[0]:
            if not is_inexact(part):
                raise InputError(
                    f"{self.name} takes a function that returns floating-point numbers, but it "
                    f"returned {dtype_of(part)}, which has no derivative" + user_line()
                )
        rows = sum(math.prod(shape_of(x)) for x in trees.flatten(y)[0])
        columns = sum(math.prod(shape_of(x)) for x in chosen.leaves)
        dtype = np.result_type(*{dtype_of(x) for x in chosen.leaves}, np.float32)
        own = list(args)
        for i in chosen.argnums:  # the point stays where it is
            own[i] = trees.map_leaves(trees.renewed, args[i])
        made = MatrixOperator(self, (rows, columns), dtype, tuple(own), kwargs)
        return (y, made) if self._value else made

    def __reduce__(self) -> Any:
        """Pickle by name where the name leads here, as functions are, else as what was applied."""
        return name_of(self) or (Operator, self._made_of)

    def _around(self, product: Callable[..., Any]) -> Callable[..., Any]:
        """Return a product as a function around `f`, so that `jit` sees what `f` looks up."""

        def around(args: Any, kwargs: Any, v: Any) -> Any:
            return product(args, kwargs, v)

        around.__wrapped__ = self._f  # type: ignore[attr-defined]
        around.__name__ = self.name
        return around

    def _of(self, args: Any, kwargs: Any) -> tuple[Any, list[Any]]:
        chosen = trees.select(tuple(args), self._argnums, self.name)
        return (lambda *xs: chosen.call(self._f, xs, kwargs)), chosen.leaves

    def _pushed(self, args: Any, kwargs: Any, v: Any) -> Any:
        f, leaves = self._of(args, kwargs)
        return _flat(jvp(f, tuple(leaves), tuple(_cut(v, leaves)))[1])

    def _pulled(self, args: Any, kwargs: Any, u: Any) -> Any:
        f, leaves = self._of(args, kwargs)
        y, pull = vjp(f, *leaves)
        parts, rebuild = trees.flatten(y)
        return _flat(pull(rebuild(_cut(u, parts))))

    def flat(self, args: Any, kwargs: Any) -> tuple[Callable[..., list[Any]], list[Any]]:
        """Return the function of flat leaves, which returns flat results, and its leaves."""
        f, leaves = self._of(args, kwargs)
        return (lambda *xs: trees.flatten(f(*xs))[0]), leaves


def _cut(v: Any, likes: Sequence[Any]) -> list[Any]:
    parts = []
    start = 0
    for x in likes:
        stop = start + math.prod(shape_of(x))
        part = np.reshape(v[start:stop], shape_of(x))
        parts.append(part.astype(dtype_of(x)))
        start = stop
    return parts


def _flat(tree: Any) -> Any:
    parts = [np.ravel(x) for x in trees.flatten(tree)[0]]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
