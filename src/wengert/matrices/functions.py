"""Jacobians and Hessians as matrices: dense ones, and sparse ones that are planned once."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, get_args, overload

import numpy as np
import scipy.sparse as sps

from wengert.backend.base import from_handler
from wengert.derivatives import Argnums, grad
from wengert.errors import DataError, InputError, user_line
from wengert.jit.fallback import too_many, unplannable
from wengert.jit.fastpath import Match, matcher, never
from wengert.jit.form import bare, split
from wengert.jit.planned_function import (
    LOCK,
    MAX_SPECIALISATIONS,
    PlannedFunction,
    TooManySpecialisations,
)
from wengert.jit.specialise import Leaf
from wengert.matrices.dense import dense_jacobian
from wengert.matrices.operator import Operator
from wengert.matrices.plan import MatrixPlan, Outdated
from wengert.matrices.planner import Planner
from wengert.matrices.program import DENSE, MODES, Mode, Request
from wengert.matrices.saved import read_plan
from wengert.memory.dense import check_dense
from wengert.naming import name_of
from wengert.ops.options import check_function, check_places
from wengert.orders.order import Order
from wengert.sparse.pattern import SparsityPattern
from wengert.trace.alarm import stops
from wengert.transform.linear import quiet

__all__ = ["MatrixFunction", "hessian", "jacobian", "load_plan", "value_and_jacobian"]

Sparse = Literal["csr", "csc", "coo", "operator"]
FORMATS = ("dense", *get_args(Sparse))
P = ParamSpec("P")


@overload
def jacobian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Literal["dense"] = "dense",
    chunk_size: int | None = None,
    probe: bool = True,
) -> Callable[P, Any]: ...
@overload
def jacobian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Sparse,
    chunk_size: int | None = None,
    probe: bool = True,
) -> MatrixFunction: ...
def jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Literal["dense"] | Sparse = "dense",
    chunk_size: int | None = None,
    probe: bool = True,
) -> Any:
    """Return a function that computes the Jacobian of `f`.

    Parameters
    ----------
    f : callable
        From arrays (or pytrees) to an array (or pytree).
    argnums : int or sequence of int
        The positional arguments to differentiate.
    has_aux : bool
        Whether `f` returns ``(result, aux)``; for a dense Jacobian without `sparsity` only.
    mode : {"auto", "forward", "reverse", "both", "accumulate", "eliminate"} or Order
        ``auto`` takes what is predicted to be the cheapest (see the page on plans). ``forward``
        pushes a tangent for each column, ``reverse`` pulls a cotangent for each row;
        ``accumulate`` carries the nonzeros of the Jacobian of each value through the function;
        ``eliminate`` multiplies local Jacobians in the cheapest order that it finds, or in the one
        that is given (``plan.order``).
        Sparse: ``forward`` compresses columns, ``reverse`` rows, ``both`` some of each.
    sparsity : None, "auto", SparsityPattern or SciPy sparse array
        ``auto`` detects the pattern; a given one is checked when planning. None stands for
        ``auto`` where `format` is a sparse one.
    format : {"dense", "csr", "csc", "coo", "operator"}
        ``csr``, ``csc`` and ``coo`` are sparse arrays of SciPy, with a row for each entry of the
        flat result and a column for each entry of the chosen arguments. Their index arrays are the
        same objects from call to call, and read-only. ``operator`` is a
        `scipy.sparse.linalg.LinearOperator`, which multiplies without making a matrix, and has
        ``diagonal()`` and ``solve(b)`` that keep to the structure of a diagonal plus low rank.
    chunk_size : int, optional
        Products computed at once; by default as many as fit into a bound of memory (sparse), or all
        (dense).
    probe : bool
        Whether to compare a sparse matrix with a random product from either side when it is
        planned, at the cost of one evaluation of each: at the first point, and at others near it
        and anywhere. A given pattern that is wrong at those only is not planned for, with a
        `PatternWarning`: each call is checked anew.

    Returns
    -------
    callable
        The Jacobian. Dense: for an array argument and an array result, an array of shape
        ``out.shape + in.shape``; for pytrees, a tree of such arrays with the argument's form inside
        the result's. Sparse: a `MatrixFunction`, which plans for each signature of its arguments
        and each outcome of Python's decisions in `f`, and compiles on the second call; it has
        ``plan(*example)``.

    Raises
    ------
    SparsityError
        When planning, if the pattern turns out to lack entries.
    DenseTooLargeError
        For a dense matrix that would not fit in memory.
    """
    return _matrix(
        "jacobian", f, argnums, has_aux, mode, sparsity, format, chunk_size, probe, False
    )


@overload
def value_and_jacobian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Literal["dense"] = "dense",
    chunk_size: int | None = None,
    probe: bool = True,
) -> Callable[P, tuple[Any, Any]]: ...
@overload
def value_and_jacobian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Sparse,
    chunk_size: int | None = None,
    probe: bool = True,
) -> MatrixFunction: ...
def value_and_jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Literal["dense"] | Sparse = "dense",
    chunk_size: int | None = None,
    probe: bool = True,
) -> Any:
    """Return a function that computes `f` and its Jacobian together; see `jacobian`.

    Returns
    -------
    callable
        ``(value, jacobian)``.
    """
    return _matrix("jacobian", f, argnums, False, mode, sparsity, format, chunk_size, probe, True)


@overload
def hessian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Literal["dense"] = "dense",
    chunk_size: int | None = None,
    probe: bool = True,
) -> Callable[P, Any]: ...
@overload
def hessian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Sparse,
    chunk_size: int | None = None,
    probe: bool = True,
) -> MatrixFunction: ...
def hessian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    mode: Mode | Order = "auto",
    *,
    sparsity: Any = None,
    format: Literal["dense"] | Sparse = "dense",
    chunk_size: int | None = None,
    probe: bool = True,
) -> Any:
    """Return a function that computes the Hessian of a scalar function, forward over reverse.

    Parameters
    ----------
    f : callable
        Returns a real scalar.
    argnums : int or sequence of int
        The positional arguments to differentiate.
    mode, sparsity, format, chunk_size, probe
        As for `jacobian`, of the gradient. Symmetry is used: ``forward`` and ``reverse`` take a
        star colouring where the matrix is sparse, and ``symmetric`` eliminates values and their
        adjoints in pairs where `f` is a formula of numbers.

    Returns
    -------
    callable
        The Hessian. Dense: of shape ``in.shape + in.shape`` for an array argument; for pytrees, a
        tree of trees of such arrays. Sparse: as for `jacobian`, a row and a column for each entry
        of the chosen arguments.
    """
    return _matrix("hessian", f, argnums, False, mode, sparsity, format, chunk_size, probe, False)


def _matrix(
    kind: str,
    f: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    mode: str | Order,
    sparsity: Any,
    format: str,
    chunk_size: int | None,
    probe: bool,
    value: bool,
) -> Any:
    check_places(f, argnums, kind, has_aux=has_aux, probe=probe)
    if not isinstance(format, str) or format not in FORMATS:
        raise InputError(
            f"format must be one of {', '.join(map(repr, FORMATS))}, not {format!r}" + user_line()
        )
    if not isinstance(mode, Order) and (not isinstance(mode, str) or mode not in MODES):
        raise InputError(
            f"mode must be one of {', '.join(map(repr, MODES))}, not {mode!r}" + user_line()
        )
    if chunk_size is not None and (type(chunk_size) is not int or chunk_size < 1):
        raise InputError(f"chunk_size must be a positive int, not {chunk_size!r}")
    pattern = _pattern(sparsity)
    if sparsity is None and format == "dense":
        if mode == "both":
            raise InputError(f"mode={mode!r} is for sparse matrices: add sparsity='auto'")
        if not probe:
            raise InputError("probe=False is for sparse matrices: add sparsity='auto'")
        if kind == "hessian":
            made = grad(f, argnums)
            return dense_jacobian(made, argnums, False, mode, chunk_size, kind=kind, scalar=f)
        return dense_jacobian(f, argnums, has_aux, mode, chunk_size, value)
    if isinstance(mode, Order) or mode in DENSE:
        what = "colours its sweeps in any mode" if mode == "coloured" else "eliminates no vertices"
        raise InputError(
            f"mode={mode!r} makes dense matrices, and a sparse one {what}: leave sparsity= and "
            f"format= out, or take mode='accumulate'" + user_line()
        )
    if has_aux:
        raise InputError(
            "has_aux is for dense Jacobians without sparsity; let f return its result only"
        )
    if format == "operator":
        ignored = {"sparsity": sparsity is not None, "mode": mode != "auto"}
        ignored |= {"chunk_size": chunk_size is not None, "probe": not probe}
        for option in [k for k, given in ignored.items() if given]:
            raise InputError(
                f"{option}= means nothing for format='operator', which multiplies without making a "
                f"matrix" + user_line()
            )
        return Operator(kind, f, argnums, value)
    return MatrixFunction(kind, f, argnums, mode, pattern, format, chunk_size, probe, value)


def _pattern(sparsity: Any) -> SparsityPattern | None:
    if sparsity is None or (isinstance(sparsity, str) and sparsity == "auto"):
        return None
    if isinstance(sparsity, SparsityPattern):
        return sparsity
    if sps.issparse(sparsity):
        return SparsityPattern.from_scipy(sparsity)
    if isinstance(sparsity, np.ndarray) and sparsity.ndim == 2:
        return SparsityPattern.from_dense(sparsity)
    raise InputError(
        f"sparsity must be None, 'auto', a wengert.sparse.SparsityPattern, a sparse array of SciPy "
        f"or a 2-D array, not {type(sparsity).__name__}" + user_line()
    )


class PatternWarning(UserWarning):
    """A given sparsity pattern is right where a matrix was computed, and wrong elsewhere."""


class MatrixFunction(PlannedFunction[..., Any]):
    """A sparse Jacobian or Hessian; see `wengert.jacobian`.

    The first call with arguments of a form, shapes and dtypes finds the pattern and records how to
    compute the entries, which gives the first result too. The second call compiles that to machine
    code, and further ones run it. Another outcome of a Python decision is planned for anew.
    """

    def __init__(
        self,
        kind: str,
        f: Callable[..., Any],
        argnums: Argnums,
        mode: str,
        pattern: SparsityPattern | None,
        format: str,
        chunk_size: int | None,
        probe: bool,
        value: bool,
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self.name = f"{kind}({getattr(f, '__name__', 'f')})"
        super().__init__(f, self.name, MAX_SPECIALISATIONS)
        self.format = format
        self.value = value
        self.request = Request(
            f, kind, argnums, pattern, mode, format == "csc", value, chunk_size, probe, self.name
        )
        self._doubted = False

    def _any(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the matrix (``(value, matrix)`` for `wengert.value_and_jacobian`)."""
        leaves, key = self._plain_key(args, kwargs)
        stopped = stops()
        found = None if stopped == "errstate" else self._run(key, leaves)
        if found is not None and not (stopped and self._warns(found[0], leaves)):
            leaf, outputs = found
            return leaf.rebuild(outputs)
        plan = self._plan(key, args, kwargs)
        if plan.program.doubt is not None and not self._doubted:  # right here
            self._doubted = True
            warnings.warn(
                f"{str(plan.program.doubt).splitlines()[0]} Until it is mended, each call "
                f"plans and checks anew." + user_line(),
                PatternWarning,
                stacklevel=3,
            )
        # The results of recording are handed out once.
        first, plan.program.first = plan.program.first, []
        return plan.pack(first or plan.decide(leaves))

    def _plain_key(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], Any]:
        leaves, key = self._key(args, kwargs)
        if key is None:
            raise InputError(
                f"{self.name} makes a sparse matrix, which cannot be traced, but an argument, or "
                f"what its function looks up, is a traced value. Call it with plain arrays, "
                f"outside of jit, grad and vmap (it compiles itself), or use a dense matrix (no "
                f"sparsity=, no format=)" + user_line()
            )
        return leaves, key

    def _run(self, key: Any, leaves: Sequence[Any]) -> tuple[Leaf, Any] | None:
        try:
            return super()._run(key, leaves)
        except Outdated:
            self._forget(key)
        except Exception as error:
            if from_handler(error):
                raise
        return None  # an exception is for the function's own handlers, or its caller

    def _is_full(self, key: Any) -> bool:
        """Whether there are too many paths. Of states the oldest goes: each has to be planned."""
        tree = self._trees.get(key)
        return tree is not None and tree.size >= self._most

    def _plan(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> MatrixPlan:
        """Plan a call; keep the plan, if it stands for other calls too."""
        leaves, form = self._split(args, kwargs)
        errors: dict[str, Any] = dict(np.geterr()) if stops() else {}
        with LOCK:
            self._traces += 1
        with quiet():
            planner = Planner(self.request, args, kwargs, errors)
            planner.state = bare(key)[1]
            program = planner.program()
        if self.format == "dense":
            check_dense(program.pattern.shape, program.dtype, self.name)
        alone = program.alone is not None or program.doubt is not None
        match: Match = never
        if not alone:
            if planner.laid:
                key = self._by_layout(key, leaves)
            tree = self._trees.get(key)
            match = (
                tree.match
                if tree
                else matcher(form, leaves, args, kwargs, planner.laid, planner.state.guard)
            )
        plan = MatrixPlan(program, self.format, form, leaves, match)
        if alone:
            return plan
        if tree is not None and tree.root is not None and tree.find(plan.graph) is not None:
            plan.as_recorded()  # native rounding led elsewhere
        if not self._is_full(key):
            self._keep(key, Leaf(plan, plan.run, plan.pack))
        elif self._overflows(key):
            warnings.warn(
                too_many(self.name, self._most, True, "are planned at each call") + user_line(),
                TooManySpecialisations,
                stacklevel=4,
            )
        return plan

    def plan(self, *args: Any, **kwargs: Any) -> MatrixPlan:
        """Return the plan for a call with these arguments, compiled now if it is new.

        Returns
        -------
        MatrixPlan
            Printable, callable and savable.
        """
        leaves, key = self._plain_key(args, kwargs)
        found = self._run(key, leaves)
        plan: MatrixPlan
        plan = self._plan(key, args, kwargs) if found is None else found[0].plan
        if plan.program.alone is not None:
            raise unplannable(self.name, plan.program.alone)
        if plan.program.doubt is not None:
            raise plan.program.doubt
        plan.program.first = []
        plan.compile()
        return plan

    def __reduce__(self) -> Any:
        """Pickle by name where the name leads here, as functions are, else as what was applied."""
        r = self.request
        sparsity = "auto" if r.pattern is None else r.pattern
        options = (r.argnums, False, r.mode, sparsity, self.format, r.chunk_size, r.probe, r.value)
        return name_of(self) or (_matrix, (r.kind, r.f, *options))

    @property
    def __wengert_compiled__(self) -> MatrixFunction:
        """What `wengert.jit` makes of this function: itself, as it compiles itself."""
        return self

    def __repr__(self) -> str:
        """Return a line."""
        return f"<sparse {self.name}, {self.format}>"


def load_plan(path: str | os.PathLike[str], f: Callable[..., Any]) -> MatrixPlan:
    """Read a plan of a sparse matrix that `MatrixPlan.save` wrote, for the function it was made of.

    Parameters
    ----------
    path : str or path
    f : callable
        The function that was given to `jacobian`, `value_and_jacobian` or `hessian`.

    Returns
    -------
    MatrixPlan
        With the pattern and the colours from the file; the program is recorded anew, and compiled
        at the first call.

    Raises
    ------
    PlanMismatchError
        When `f`, recorded at the example of the plan, is not what it was.
    DataError
        For a file that is no plan.
    """
    check_function(f, "load_plan")
    saved = read_plan(path)
    function = MatrixFunction(
        saved.kind, f, saved.argnums, saved.mode, saved.pattern, saved.format,
        saved.chunk, True, saved.value,
    )  # fmt: skip
    function.request = function.request._replace(colouring=saved.colouring, saved=True)
    with quiet():
        try:
            planner = Planner(function.request, saved.args, saved.kwargs)
        except InputError as error:
            raise DataError(f"{path} is a plan that was changed: {error}") from None
        if saved.pattern.shape[1] != planner.columns:
            raise DataError(
                f"{path} is a plan that was changed: its pattern has {saved.pattern.shape[1]} "
                f"columns, and its example {planner.columns} entries" + user_line()
            )
        saved.compare(planner.fingerprint(), function.name)
        program = planner.program()
    if program.doubt is not None:
        raise program.doubt
    leaves, form = split(saved.args, saved.kwargs)
    program.first = []
    return MatrixPlan(program, saved.format, form, leaves, never)
