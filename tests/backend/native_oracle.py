"""Native programs beside NumPy's: how a graph is made, and how near two results must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.backend.native import NativeBackend
from wengert.backend.native.run.program import NativeProgram
from wengert.backend.numpy import NumpyBackend
from wengert.ir.build import Builder
from wengert.ir.graph import Const, Graph, aval_of
from wengert.ir.verify import verify
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.ops.base import TABLE

NATIVE = {np.dtype(t) for t in ("f8", "f4", "i8", "i4", "?")}
"""Dtypes of native code; a graph with others runs in NumPy."""

CANCELS = {"logaddexp", "logaddexp2"}
"""Those whose result can be much smaller than what it is computed from: the ulp is that of 1."""

SUMS = {"sum", "prod", "contract", "logsumexp", "recurrence"}
"""Operations that the backends add up in different orders."""


def one_node(name: str, args: Sequence[Any], attrs: dict[str, Any] | None = None) -> Graph:
    """Return the graph of one operation on inputs like `args`."""
    b = Builder()
    y = b.add(TABLE[name], *(b.input(x) for x in args), **(attrs or {}))
    return verify(b.finish(list(y) if type(y) is tuple else [y]))


def recorded(f: Callable[..., Any], *args: Any) -> tuple[Graph, list[Any]]:
    """Return the graph of a function, and its inputs."""
    leaves, form = split(args, {}, (), ())
    return verify(record(f, leaves, form).graph), leaves


def compiled(graph: Graph) -> NativeProgram:
    """Compile a graph, which must become native code."""
    program = NativeBackend().compile(graph)
    assert isinstance(program, NativeProgram)
    return program


LOOPS = ("scan", "while_loop", "cond")


def is_native(graph: Graph) -> bool:
    """Whether every array of a graph has a dtype of native code."""
    values = [*graph.inputs, *(v for n in graph.nodes for v in n.outputs)]
    values += [x for n in graph.nodes for x in n.inputs if isinstance(x, Const)]
    return all(aval_of(v).dtype in NATIVE for v in values)


def both(graph: Graph, inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Run a graph natively and in NumPy."""
    with np.errstate(all="ignore"):
        return list(NativeBackend().compile(graph).run(inputs)), list(
            NumpyBackend().compile(graph).run(inputs)
        )


def ordered(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Number floats in their order, so that neighbours differ by 1."""
    whole = x.view({8: np.int64, 4: np.int32}[x.dtype.itemsize]).astype(object)
    least = -(1 << (8 * x.dtype.itemsize - 1))
    return np.where(whole < 0, least - whole, whole)


def ulps(a: Any, b: Any) -> np.ndarray[Any, Any]:
    """Return how many floats lie between two."""
    return np.abs(ordered(np.atleast_1d(a)) - ordered(np.atleast_1d(b)))


def describe(got: Any, want: Any, what: str = "") -> None:
    """Compare dtype and shape."""
    x, y = np.asarray(got), np.asarray(want)
    assert (x.dtype, x.shape) == (y.dtype, y.shape), what
    assert type(got) is type(want) or x.shape == (), what


def same_bits(got: Any, want: Any, what: str = "", zeros: bool = True) -> None:
    """Compare bit for bit; any NaN is like another. `zeros` says that the sign of zero matters."""
    describe(got, want, what)
    x, y = np.asarray(got), np.asarray(want)
    np.testing.assert_array_equal(x, y, err_msg=what)
    if zeros and x.dtype.kind in "fc":
        for p, q in ((x.real, y.real), (x.imag, y.imag)):
            wrong = (np.signbit(p) != np.signbit(q)) & (p == p)
            assert not wrong.any(), f"{what}: signs of zeros at {np.argwhere(wrong)[:5].tolist()}"


def near(got: Any, want: Any, bound: int, what: str = "", cancels: bool = False) -> None:
    """Compare to `bound` ulp; infinities, NaN and the signs of zeros exactly."""
    describe(got, want, what)
    x, y = np.atleast_1d(np.asarray(got)), np.atleast_1d(np.asarray(want))
    finite = np.isfinite(y) & (y != 0)
    if cancels:
        finite &= np.abs(y) > bound * np.finfo(x.dtype).eps
        small = np.isfinite(y) & ~finite
        assert np.all(np.abs(x[small] - y[small]) <= bound * np.finfo(x.dtype).eps), what
        finite &= np.abs(y) >= 1
        between = np.isfinite(y) & ~finite & ~small
        np.testing.assert_allclose(
            x[between], y[between], rtol=0, atol=bound * np.finfo(x.dtype).eps
        )
        x, y = x[~(small | between)], y[~(small | between)]
        finite = np.isfinite(y)
    same_bits(x[~finite], y[~finite], what)
    assert np.isfinite(x[finite]).all(), what
    far = ulps(x[finite], y[finite])
    assert far.size == 0 or far.max() <= bound, f"{what}: {far.max()} ulp"


def close(got: Any, want: Any, units: float, what: str = "", scale: float = 0.0) -> None:
    """Compare to `units` rounding errors of the largest entry."""
    describe(got, want, what)
    x, y = np.asarray(got), np.asarray(want)
    if x.dtype.kind not in "fc":
        np.testing.assert_array_equal(x, y, err_msg=what)
        return
    eps = float(np.finfo(x.dtype).eps) * units
    scale = max(scale, float(np.max(np.abs(y), initial=0.0, where=np.isfinite(y))))
    np.testing.assert_allclose(x, y, rtol=eps, atol=eps * scale, err_msg=what)


def agree(name: str, got: Any, want: Any, args: Sequence[Any] = ()) -> None:
    """Compare the results of an operation as its kind allows."""
    if np.asarray(want).dtype.kind == "f" and TABLE[name].ulp:
        near(got, want, TABLE[name].ulp, name, name in CANCELS)
    elif name in LOOPS and np.asarray(want).dtype.kind in "fc":
        close(got, want, 100, name)  # what the cases' bodies make of functions
    elif name in SUMS and np.asarray(want).dtype.kind in "fc":
        # condition-aware: relative to what the absolute values sum or multiply up to
        size = max((np.size(x) for x in args), default=1)
        close(got, want, 4 + size, name, _magnitude(name, args))
    else:
        same_bits(got, want, name)


def _magnitude(name: str, args: Sequence[Any]) -> float:
    if name == "prod" or not args:
        return 0.0
    total = 1.0
    for x in args:
        total *= float(np.sum(np.abs(x), where=np.isfinite(x)))
    return total
