"""Sparse matrices and linear operators as constants beside traced values.

``A @ x``, ``x @ A`` and ``A.dot(x)`` become operations on the entries of A, so that patterns and
compiled code see them. Solvers become linear maps, with the transposed solve as their derivative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ConversionError, InputError, ShapeError, user_line
from wengert.follow.functions import LIBRARY, OF_OBJECTS
from wengert.ops.base import dtype_of, shape_of
from wengert.ops.maps import LinearMap, linear_map
from wengert.trace.foreign import SPARSE
from wengert.trace.fresh import made_plain
from wengert.trace.python.table import among
from wengert.trace.tracer import Tracer

__all__ = ["is_sparse", "product"]


def is_sparse(x: Any) -> bool:
    """Whether an object is a sparse matrix or array of SciPy."""
    return type(x).__module__.startswith("scipy.sparse") and hasattr(x, "tocsr")


def product(a: Any, x: Any) -> Any:
    """Return ``a @ x`` of a sparse matrix and a traced vector or matrix."""
    if a.ndim != 2:
        raise InputError(
            f"a sparse array of {a.ndim} axis cannot be multiplied with a traced value: write "
            "np.sum(a.data * x[a.indices]), or a.toarray() @ x" + user_line()
        )
    shape = shape_of(x)
    if len(shape) not in (1, 2) or shape[0] != a.shape[1]:
        raise ShapeError(
            f"A @ x: a sparse matrix of shape {a.shape} does not fit an array of shape {shape}"
            + user_line()
        )
    rows, columns, entries = _entries(a)
    if len(shape) == 2:
        entries = entries[:, None]
    dtype = np.result_type(entries.dtype, dtype_of(x))
    out = np.zeros((a.shape[0], *shape[1:]), dtype, like=x)
    np.add.at(out, rows, entries * x[columns])
    return out


def _entries(a: Any) -> tuple[Any, Any, Any]:
    """Return rows, columns and entries; of a CSR matrix its own memory, which may change."""
    if a.format == "csr":
        rows = np.repeat(np.arange(a.shape[0]), np.diff(a.indptr))
        return rows, a.indices, a.data
    if a.format == "csc":
        columns = np.repeat(np.arange(a.shape[1]), np.diff(a.indptr))
        return a.indices, columns, a.data
    if a.format == "lil":
        raise InputError(
            "a sparse matrix in LIL format is made for being filled: convert it once, with "
            "A = A.tocsr(), outside of the function" + user_line()
        )
    made = a.tocoo(copy=True)
    return made.row, made.col, made.data


def _times(a: Any, x: Tracer, side: str) -> Any:
    """Multiply by a sparse matrix from one side: the operators of a traced value."""
    if side == "left":
        return product(a, x)
    return product(a.T, x.T).T if x.ndim == 2 else product(a.T, x)


SPARSE[:] = [is_sparse, _times]


# --- solvers --------------------------------------------------------------------------------------
def _columns(b: Any) -> tuple[Any, bool]:
    """Return a right-hand side as a matrix, and whether it was a vector."""
    return (b[:, None], True) if len(shape_of(b)) == 1 else (b, False)


def _applied(of: LinearMap, b: Any) -> Any:
    if not shape_of(b) or shape_of(b)[0] != of.order:
        raise ShapeError(
            f"{of.text}: a right-hand side of shape {shape_of(b)} does not fit a matrix of order "
            f"{of.order}" + user_line()
        )
    columns, is_vector = _columns(b)
    x = linear_map(columns, of=of)
    return x[:, 0] if is_vector else x


def stands_for(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what is called in the place of functions of `scipy.sparse`."""

    def put(stand_in: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            found = LIBRARY.setdefault(name.rpartition(".")[2], {})
            found[f"scipy.sparse.{name}"] = stand_in
        return stand_in

    return put


def _plain_or(f: Callable[..., Any], name: str, linear: Callable[..., Any]) -> Any:
    """Return a function that calls `f` where nothing is traced, and `linear` where the rhs is."""

    @functools.wraps(f)
    def call(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        t = among((a, b, *args), kwargs)
        if t is None:
            return f(a, b, *args, **kwargs)
        if among((a, *args), kwargs) is not None or not isinstance(b, Tracer):
            raise ConversionError(
                f"{name}: the matrix and the options are constants, and one of them is traced. "
                "Its right-hand side is differentiated; for the entries of the matrix use "
                "np.linalg.solve, or wg.custom_vjp" + user_line()
            )
        if b._trace.level == 0:
            return f(a, made_plain(b), *args, **kwargs)
        return linear(a, b, *args, **kwargs)

    return call


@stands_for("linalg.spsolve")
def spsolve(f: Any) -> Any:
    """Stand for `scipy.sparse.linalg.spsolve` with a traced right-hand side."""

    def linear(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        from scipy.sparse.linalg import splu

        return _applied(_of_factor(splu(a.tocsc(), *args, **kwargs), "spsolve"), b)

    return _plain_or(f, "spsolve", linear)


def _of_factor(lu: Any, name: str) -> LinearMap:
    return LinearMap(
        name, lu.shape[0], lu.L.dtype, lu.solve, functools.partial(lu.solve, trans="T")
    )


def _solve(f: Any) -> Any:
    """Stand for the method ``solve`` of a factor that `scipy.sparse.linalg.splu` made."""
    lu = f.__self__

    def call(rhs: Any, trans: str = "N") -> Any:
        if not isinstance(rhs, Tracer):
            return f(rhs, trans)
        if rhs._trace.level == 0:
            return f(made_plain(rhs), trans)
        of = _of_factor(lu, "splu(A).solve")
        if trans == "H":
            return np.conjugate(_applied(of.T, rhs.conj()))
        return _applied(of if trans == "N" else of.T, rhs)

    return call


OF_OBJECTS["SuperLU"] = {"solve": _solve}


@stands_for(
    *(f"linalg.{name}" for name in ("bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres")),
    *(f"linalg.{name}" for name in ("lgmres", "minres", "qmr", "tfqmr")),
)
def iterative(f: Any) -> Any:
    """Stand for an iterative solver of `scipy.sparse.linalg` with a traced right-hand side."""
    name = f.__name__
    symmetric = name in ("cg", "minres")

    def linear(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        from scipy.sparse.linalg import aslinearoperator

        map_ = aslinearoperator(a)
        infos: list[int] = []

        def solves(matrix: Any, options: dict[str, Any], is_primal: bool) -> Any:
            def solve(columns: Any) -> Any:
                found = []
                for column in columns.T:
                    x, info = f(matrix, column, *(args if is_primal else ()), **options)
                    if not is_primal and info != 0:
                        raise np.linalg.LinAlgError(
                            f"{name}: the solve of the derivative did not converge (info={info})"
                        )
                    if is_primal and infos and info != infos[0]:
                        raise np.linalg.LinAlgError(
                            f"{name}: info={info}, where it was {infos[0]} at first"
                        )
                    if is_primal:
                        infos.append(info)
                    found.append(x)
                return np.stack(found, axis=1)

            return solve

        turned = {k: v for k, v in kwargs.items() if k not in ("x0", "callback")}
        if not symmetric and turned.get("M") is not None:
            turned["M"] = aslinearoperator(turned["M"]).T
        of = LinearMap(
            name,
            map_.shape[0],
            map_.dtype,
            solves(a, kwargs, True),
            solves(a if symmetric else map_.T, turned, False),
        )
        x = _applied(of, b)
        return x, infos[0] if infos else 0

    return _plain_or(f, name, linear)


def _method(name: str, direction: str) -> Any:
    """Stand for a method of `LinearOperator` that multiplies."""

    def make(f: Any) -> Any:
        @functools.wraps(f)
        def call(self: Any, x: Any) -> Any:
            if not isinstance(x, Tracer) or (name == "__mul__" and not x.shape):
                return f(self, x)
            if x._trace.level == 0:
                return f(self, made_plain(x))
            if self.shape[0] != self.shape[1]:
                raise ConversionError(
                    f"LinearOperator.{name}: a linear operator of shape {self.shape}, which is not "
                    "square, cannot be applied to a traced value. Give its product by "
                    "wg.custom_vjp, or use a sparse matrix: A @ x" + user_line()
                )
            of = LinearMap(
                "LinearOperator", self.shape[0], self.dtype, self.matmat, lambda y: self.T.matmat(y)
            )
            if direction == "back":
                return np.conjugate(_applied(of.T, x.conj()))
            return _applied(of, x)

        return call

    return make


for _name, _direction in (
    *(("matvec", ""), ("matmat", ""), ("dot", ""), ("rmatvec", "back")),
    *(("__matmul__", ""), ("__mul__", "")),
):
    stands_for(f"linalg.LinearOperator.{_name}")(_method(_name, _direction))


@stands_for("_coo_base.dot")
def _dot(f: Any) -> Any:
    """Stand for ``A.dot(x)`` of a COO array, which does not leave it to the operator."""
    return lambda self, x: self @ x if isinstance(x, Tracer) else f(self, x)
