"""What a row of the operation table holds, and how an operation is called.

An `Op` gathers everything about one operation: evaluation, shape rule, derivative, batching rule,
operation count and sparsity pattern. Calling it evaluates it on plain arrays; when an argument is
traced, the innermost trace decides what happens. The derivative is written once, as one of

`Scale`
    elementwise: ``rule(t, y, *xs)`` multiplies ``t`` by a partial derivative. The local Jacobian is
    diagonal, so the same formula serves a tangent and a cotangent.
`Fold`
    a reduction whose local Jacobian is a `Scale` followed by a sum over `axis`.
`Transpose`
    linear, or linear in each of several arguments: the tangent is the operation itself, the
    cotangent is ``rule(ct, *xs)``.
`Jvp`
    anything else: ``rule(t, y, *xs)`` is the tangent that one argument contributes, written with
    operations linear in ``t``; reverse mode transposes those (Radul et al., *You Only Linearize
    Once*, POPL 2023).
`Joint`
    what tangents of several arguments contribute together, in two functions that are each other's
    transpose.
`Zero`
    piecewise constant.
`OfRegions`
    of an operation whose attributes are graphs: the derivative follows from theirs.

Rules are ordinary NumPy, so they run on arrays at once and are recorded when given traced values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from wengert.errors import retold
from wengert.ir.graph import Aval, aval_of
from wengert.ops.blocks import Call

__all__ = [
    "TABLE",
    "ZERO",
    "Derivative",
    "Fold",
    "Joint",
    "Jvp",
    "Minus",
    "OfRegions",
    "Op",
    "PythonComplex",
    "PythonFloat",
    "RegionOp",
    "Scale",
    "Traced",
    "Transpose",
    "Zero",
    "dtype_of",
    "is_differentiated",
    "is_inexact",
    "like_shape",
    "register",
    "shape_of",
]

Rule = Any  # Callable[..., Any] | 1 | -1 | None
Counts = str | Mapping[str, int] | Callable[..., Mapping[str, int]]


class Minus:
    """A formula with the other sign.

    The sign is taken last, of the sum where an argument was broadcast, which is fewer numbers.
    """

    __slots__ = ("rule",)

    def __init__(self, rule: Callable[..., Any]) -> None:
        self.rule = rule

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        """Evaluate the formula, and change its sign."""
        return -self.rule(*args, **attrs)


@dataclass(frozen=True)
class Scale:
    """Elementwise derivative; a rule per argument: a formula, 1, -1, or None where it is zero."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Fold:
    """Derivative of a reduction: ``rule(t, y, x, **attrs)`` with `y` shaped like ``keepdims``."""

    rule: Callable[..., Any]


@dataclass(frozen=True)
class Transpose:
    """Derivative of a (multi)linear operation; None for arguments it is not linear in.

    `joint` says that the operation is linear in all those arguments together (``concatenate``)
    rather than in each one alone (``contract``). `accumulate` adds the cotangent into an existing
    accumulator of the first argument's shape: ``accumulate(acc, ct, *xs, **attrs)``. `jvps` holds a
    `Jvp` rule for the arguments that the operation is not linear in (the matrix of ``solve``).
    """

    rules: tuple[Rule, ...] | Callable[..., Any]
    joint: bool = False
    accumulate: Callable[..., Any] | None = None
    jvps: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Jvp:
    """Tangent contribution per argument, linear in the tangent; None where it is zero."""

    rules: tuple[Rule, ...]


class Joint:
    """A derivative in which tangents (cotangents) of several arguments take part together."""

    __slots__ = ()

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Return the tangents of the results; None is zero, on both sides."""
        raise NotImplementedError

    def pull(
        self, ct: Any, y: Any, xs: list[Any], wanted: list[bool], attrs: dict[str, Any]
    ) -> Any:
        """Return the cotangents of those arguments that are wanted, by their places."""
        raise NotImplementedError


@dataclass(frozen=True)
class Zero:
    """The derivative vanishes wherever it exists."""


class OfRegions:
    """The derivative of an operation with regions, made of the derivatives of the regions.

    What differentiates and batches graphs is `wengert.transform`, which puts these functions here.

    Attributes
    ----------
    push : callable
        ``push(xs, ts, attrs) -> (ys, ts)``: results and their tangents, None for zero.
    taped : callable
        ``taped(xs, active, attrs) -> (op, xs, attrs)``: the call that a tape records in place of
        this one. Its first results are this one's, the others are what `pull` needs.
    pull : callable
        ``pull(xs, active, ys, cts, attrs)``: cotangents of the active arguments of a taped call.
    batched : callable
        ``batched(xs, flags, attrs) -> (ys, flags)``: results along a batch, and which of them have
        a batch axis.
    """

    __slots__ = ("batched", "pull", "push", "taped")
    push: Callable[..., Any]
    taped: Callable[..., Any]
    pull: Callable[..., Any]
    batched: Callable[..., Any]


ZERO = Zero()
Derivative = Scale | Fold | Transpose | Jvp | Joint | Zero | OfRegions


class Traced:
    """Base of traced values: `trace` decides what an operation on it does."""

    __slots__ = ("_trace",)
    _trace: Any
    _view: Any = None


def is_differentiated(x: Any) -> bool:
    """Whether a transformation differentiates what is computed from `x`.

    Given the values that a rule sees, this says that the rule is differentiated in its turn.
    """
    while isinstance(x, Traced):
        if x._trace.differentiates:
            return True
        x = x._var.data  # type: ignore[attr-defined]
    return False


class PythonFloat(np.float64):
    """A float of Python as a leaf that is differentiated: operators make Python numbers of it."""

    __slots__ = ()


class PythonComplex(np.complex128):
    """A complex number of Python, likewise."""

    __slots__ = ()


class Op:
    """One row of the operation table.

    Parameters
    ----------
    name : str
        Unique name, NumPy's where NumPy has one.
    evaluate : callable
        ``evaluate(*arrays, **attrs)`` with NumPy; a tuple of arrays for several outputs.
    infer : callable
        Shape rule: ``infer(*avals, **attrs) -> Aval`` (a Python scalar stands for itself).
    derivative : Scale, Fold, Transpose, Jvp or Zero
    batch : callable
        ``batch(op, args, batched, attrs)`` applies the operation to arguments whose axis 0 is a
        batch where `batched` says so; the outputs' axis 0 is the batch.
    flops : callable
        ``flops(out, *avals, **attrs)``: operations of one evaluation, multiply-add being 2.
    counts : str, mapping or callable
        The kinds of those operations: ``add``, ``multiply``, ``transcendental``, ``compare`` or
        ``move``; ``mixed`` for half multiplications, half additions; a mapping of kinds to shares;
        or ``counts(n, out, *operands) -> mapping`` of `n` operations.
    kinds : mapping
        Operations of one evaluation by kind, where they are the same for all arguments.
    is_slow : bool
        Whether it takes a transcendental function.
    complex_counts : mapping or callable, optional
        Real operations of one evaluation at a complex number, where it is not made of complex
        products, sums and elementary functions; `counts` again where that is of complex numbers.
    macs : bool
        Whether each addition goes with a multiplication, as in a contraction.
    formula : str
        The leading term, for people, where operations are counted by a formula.
    excess : str
        Why the derivative takes more than five times the operations, where it does.
    pattern : Pattern
        ``pattern(k, out, *avals, **attrs) -> (rows, columns)``: indices of the structural nonzeros
        of the local Jacobian with respect to argument `k`, in flattened order.
    residual : bool
        Whether the derivative reads the arguments' values.
    alias : str or None
        NumPy returns a view for it: how an update of the view reaches its base.
    ufunc : numpy.ufunc or None
        For elementwise operations, so that backends can pass ``out=``.
    python : callable or None
        The operator of Python, where Python numbers among themselves are not NumPy's.
    integers : str
        What the operator does with Python's integers, which have no bound: it ``compares`` them,
        the result ``fits`` into as many bits or ``grows``; it ``divides``, or is a ``power``.
    like : numpy.ufunc or None
        The ufunc whose dtypes an elementwise operation has; `ufunc` where it is one.
    along : Op or None
        What forward mode differentiates in its place: ``along(x, t, *results)``, whose results may
        depend on the direction `t` where those of the operation are not determined.
    linear : tuple of int
        The arguments that an elementwise operation with a `Scale` derivative is linear in.
    together : bool
        Whether it is linear in them together, as ``add`` is, or in each alone, as ``multiply``.
    returns : str or callable
        What the result is in NumPy where it has no axes: ``scalar``, ``array``, or ``same`` for
        what the first argument is; ``returns(**attrs)`` where attributes decide.
    by_kind : bool
        Whether Python numbers take part by their kind, as they do in ufuncs; else as arrays.
    identity : bool
        Whether the result is the first argument.
    kept : bool
        Whether simplification never merges, folds or removes it while its result is used.
    may_raise : bool
        Whether it may raise for some numbers though the shapes fit.
    waits : bool
        Whether its evaluation on large arrays may wait while a function is recorded.
    folds : numpy.ufunc or None
        What a reduction or a cumulative operation applies again and again.
    libm : str or None
        The function of C's mathematical library that is the operation on real numbers.
    native : bool
        Whether native code has instructions for it, if it is elementwise; else NumPy is called.
    ulp : float
        Units in the last place within which different backends agree; 0 where they do exactly.
    steep : bool or callable
        Whether a slope can be infinite at finite arguments, for all of them or, by
        ``steep(*arrays)``, for these.
    partial : bool
        Whether entries of a tangent or cotangent may be zero by structure (`transform.reach`), as
        where the pattern says so.
    """

    __slots__ = (
        "_zero_at_zero", "alias", "along", "batch", "by_kind", "complex_counts", "counts",
        "derivative", "evaluate", "excess", "flops", "folds", "formula", "identity", "infer",
        "integers", "is_slow", "kept", "kinds", "libm", "like", "linear", "macs", "may_raise",
        "name", "native", "partial", "pattern", "python", "residual", "returns", "steep",
        "together", "ufunc", "ulp", "waits",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        evaluate: Callable[..., Any],
        *,
        infer: Callable[..., Any],
        derivative: Derivative,
        batch: Callable[..., Any],
        flops: Callable[..., Any],
        pattern: Any,
        counts: Counts = "add",
        complex_counts: Counts | None = None,
        macs: bool = False,
        is_slow: bool = False,
        formula: str = "",
        excess: str = "",
        residual: bool = True,
        alias: str | None = None,
        ufunc: np.ufunc | None = None,
        python: Callable[..., Any] | None = None,
        integers: str = "",
        like: np.ufunc | None = None,
        along: Op | None = None,
        linear: tuple[int, ...] = (),
        together: bool = False,
        returns: str | Callable[..., str] = "scalar",
        by_kind: bool = False,
        identity: bool = False,
        kept: bool = False,
        may_raise: bool = True,
        waits: bool = False,
        folds: Any = None,
        libm: str | None = None,
        native: bool = True,
        ulp: float = 0,
        steep: bool | Callable[..., bool] = False,
        partial: bool = False,
    ) -> None:
        self.name = name
        self.evaluate = evaluate
        self.infer = infer
        self.derivative = derivative
        self.batch = batch
        self.flops = flops
        self.pattern = pattern
        self.counts = counts
        kinds = {counts: 1} if isinstance(counts, str) else counts
        self.kinds: Mapping[str, int] = kinds if isinstance(kinds, Mapping) else {}
        self.is_slow = is_slow or "transcendental" in self.kinds
        self.complex_counts = complex_counts
        self.macs = macs or counts == "mixed"
        self.formula = formula
        self.excess = excess
        self.residual = residual
        self.alias = alias
        self.ufunc = ufunc
        self.python = python
        self.integers = integers
        self.like = like or ufunc
        self.along = along
        self.linear = linear
        self.together = together
        self.returns = returns
        self.by_kind = by_kind or ufunc is not None
        self.identity = identity
        self.kept = kept
        self.may_raise = may_raise
        self.waits = waits
        self.folds = folds
        self.libm = libm
        self.native = native
        self.ulp = ulp
        self.steep = steep
        self.partial = partial or bool(getattr(pattern, "partial", False))
        self._zero_at_zero: bool | None = None

    @property
    def zero_at_zero(self) -> bool:
        """Whether it is an elementwise function of one argument that is zero at zero."""
        if self._zero_at_zero is None:
            self._zero_at_zero = self._vanishes()
        return self._zero_at_zero

    def _vanishes(self) -> bool:
        if self.identity:
            return True
        if isinstance(self.derivative, Transpose):
            return bool(self.pattern.is_entrywise)
        if isinstance(self.derivative, Scale) and len(self.derivative.rules) == len(self.linear):
            return len(self.linear) == 1
        if self.like is None or self.like.nin != 1:
            return False
        try:
            with np.errstate(all="ignore"):
                return bool(self.evaluate(np.float64(0.0)) == 0)
        except TypeError:  # of integers only, or of more arguments than the ufunc it is like
            return False

    def local_jacobian(self, k: int, out: Any, *xs: Any, **attrs: Any) -> Any:
        """Return the Jacobian of the result with respect to argument `k`, as data.

        Parameters
        ----------
        k : int
        out, *xs : arrays, values or abstract values
            The result and the arguments. Only shapes and dtypes are read, except of arrays that are
            indices.

        Returns
        -------
        Block
            For several results, a tuple of them.
        """
        block, operand = self.pattern.block, shape_of(xs[k])
        if type(out) is tuple:
            return tuple(
                block(Call(self, k, i, shape_of(y), operand, out, xs, attrs))
                for i, y in enumerate(out)
            )
        return block(Call(self, k, None, shape_of(out), operand, out, xs, attrs))

    def linear_in(self, n: int) -> tuple[list[bool], bool]:
        """Return which of `n` arguments the operation is linear in, and whether together."""
        derivative = self.derivative
        if isinstance(derivative, Transpose):
            rules = derivative.rules
            return [callable(rules) or rules[k] is not None for k in range(n)], derivative.joint
        return [k in self.linear for k in range(n)], self.together

    def makes(self, attrs: Mapping[str, Any]) -> str:
        """Return what a result without axes is in NumPy: ``scalar``, ``array`` or ``same``."""
        return self.returns if isinstance(self.returns, str) else self.returns(**attrs)

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        """Apply the operation: at once to plain arrays, else through the innermost trace."""
        top = below = None
        level = -1
        for a in args:
            if isinstance(a, Traced):
                if a._view is not None:  # its base may have come to belong to another trace
                    a._refresh()  # type: ignore[attr-defined]
                trace = a._trace
                if trace.level > level:
                    top, level = trace, trace.level
                if trace.level == 0:
                    below = trace
        if top is None:
            try:
                return self.evaluate(*args, **attrs)
            except RuntimeWarning:
                return retold(partial(self.evaluate, *args, **attrs))
        if below is not None and top is not below:
            args = below.without(args)
        return top.process(self, args, attrs)

    def __repr__(self) -> str:
        """Return the name."""
        return f"<op {self.name}>"


class RegionOp(Op):
    """A row of an operation with regions.

    Parameters
    ----------
    runs : callable
        ``runs(**attrs)``: pairs of a region and how often a call runs it, None where data decides;
        of branches, the dearest one. This is what a call costs.
    prune : callable, optional
        ``prune(node, is_read)`` returns a node without those results that `is_read` says nobody
        reads, and without what only they need; None where nothing can go.
    """

    __slots__ = ("prune", "runs")

    def __init__(
        self,
        name: str,
        evaluate: Callable[..., Any],
        *,
        runs: Callable[..., Any],
        prune: Callable[..., Any] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(name, evaluate, **rest)
        self.runs = runs
        self.prune = prune


TABLE: dict[str, Op] = {}
"""All operations by name."""


def register(op: Op) -> Op:
    """Add a row to the table."""
    if op.name in TABLE:
        raise ValueError(f"operation {op.name!r} is already in the table")
    TABLE[op.name] = op
    return op


def shape_of(x: Any) -> tuple[int, ...]:
    """Return the shape of an array, a traced value, an abstract value or a Python scalar."""
    try:
        return x.shape  # type: ignore[no-any-return]
    except AttributeError:
        return np.shape(x)


def dtype_of(x: Any) -> np.dtype[Any]:
    """Return the dtype of an array, a traced value, an abstract value or a Python scalar."""
    try:
        return x.dtype  # type: ignore[no-any-return]
    except AttributeError:
        return aval_of(x).dtype


def is_inexact(x: Any) -> bool:
    """Whether `x` is of a floating or complex dtype, so that it can be differentiated."""
    return dtype_of(x).kind in "fc"


def like_shape(shape: Sequence[int], like: Any) -> Aval:
    """Return an abstract value of the given shape with the dtype of `like`."""
    return Aval(tuple(shape), dtype_of(like))
