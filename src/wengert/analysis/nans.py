"""`find_nan` and `debug_nans`: the operation that first made NaN or infinity.

The function and its derivative are recorded and run one operation at a time. Where a result is not
finite, its operands are followed back to the operation that was given finite numbers. Where that is
a loop or a branch, its body is searched in the same way, in the first trip that makes it.
"""

from __future__ import annotations

import linecache
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert import trees
from wengert.derivatives import vjp
from wengert.errors import NonFiniteError, hidden, shorten, user_line
from wengert.ir import regions
from wengert.ir.build import computed, evaluate, typed
from wengert.ir.graph import Const, Graph, Node, Place, Value
from wengert.jit.form import split
from wengert.jit.jitted import Jitted
from wengert.jit.record import record
from wengert.jit.transformed import Transformed, kind_of
from wengert.ops.base import Traced, dtype_of, is_inexact, shape_of
from wengert.ops.leaves import is_data
from wengert.ops.options import check_function

__all__ = ["NanReport", "debug_nans", "find_nan"]

_STAGES = {
    "value": "in the function",
    "backward": "in its derivative, on the way back",
    "tangent": "in its derivative, on the way forward",
    "again": "in its derivative, computing a value again",
}


class NanReport(NamedTuple):
    """The operation that first made NaN or infinity.

    Attributes
    ----------
    op : str
        The operation; empty where an argument or a captured array holds it.
    stage : str
        ``value`` in the function, ``backward`` or ``tangent`` in its derivative.
    of : str
        The operation of the function that it differentiates, or empty.
    file, line : str, int
        Of the user's code; of a derivative, those of what is differentiated.
    element : tuple of int
        The index of the first element concerned.
    operands : tuple
        The numbers that this element was made of, where the operation works by elements.
    made : float
        NaN or an infinity.
    reaches : bool
        Whether a result is not finite because of it.
    why : str
        The explanation.
    trips : tuple of int
        The trip of each of `wengert.scan`, `wengert.while_loop` and their kin around the operation,
        from 0 on, the outermost first.
    """

    op: str
    stage: str
    of: str
    file: str
    line: int
    element: tuple[int, ...]
    operands: tuple[Any, ...]
    made: Any
    reaches: bool
    why: str
    trips: tuple[int, ...] = ()

    @property
    def source(self) -> str:
        """The line of the user's source."""
        return linecache.getline(self.file, self.line).strip() if self.file else ""

    def __str__(self) -> str:
        """Return the report."""
        what = self.op or "an argument"
        lines = [f"{self.made} first made by {what}, {_STAGES.get(self.stage, self.stage)}"]
        if not self.op:
            lines = [f"{self.made} is in {self.why}"]
        if self.of:
            lines[0] += f", of {self.of}"
        if self.trips:
            trips = ", ".join(map(str, self.trips))
            lines[0] += f", in trip {trips}" if len(self.trips) == 1 else f", in trips ({trips})"
        if self.file:
            lines.append(f"  at {self.file}:{self.line}: {self.source}")
        if self.op:
            numbers = ", ".join(f"{x:.6g}" for x in self.operands)
            given = f", from {numbers}" if numbers else ""
            lines.append(f"  element {self.element}{given}")
            lines.append(f"  {self.why}")
        return "\n".join(lines)


@hidden
def find_nan(f: Callable[..., Any], *args: Any, **kwargs: Any) -> NanReport | None:
    """Find the operation that first makes NaN or infinity in a function or its derivative.

    Parameters
    ----------
    f : callable
        A derivative, such as ``wg.grad(loss)``, which is run as it is; or a function, which is run
        with its derivative in reverse mode, each result seeded with 1.
    *args, **kwargs
        The arguments.

    Returns
    -------
    NanReport or None
        Printable. None where all numbers on the way are finite. Where all results are finite, an
        operation whose NaN or infinity is left out by a later one (`numpy.where`), with
        ``reaches=False``.
    """
    check_function(f, "find_nan")
    run = f if kind_of(f) is not None else _with_derivative(f)
    data, form = split(args, kwargs)
    with np.errstate(all="ignore"):
        graph = record(run, data, form).graph
        return _search(graph, data)


def _with_derivative(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes `f`, and its derivative in all arguments that are data."""

    def both(*args: Any, **kwargs: Any) -> Any:
        chosen = [i for i, x in enumerate(args) if _is_inexact(x)]

        def of_chosen(*xs: Any) -> Any:
            given = list(args)
            for i, x in zip(chosen, xs, strict=True):
                given[i] = x
            return f(*given, **kwargs)

        if not chosen:
            return f(*args, **kwargs)
        y, pull = vjp(of_chosen, *[args[i] for i in chosen])
        return y, pull(trees.map_leaves(lambda v: np.ones(shape_of(v), dtype_of(v)), y))

    return both


def _is_inexact(x: Any) -> bool:
    leaves = trees.flatten(x)[0]
    return bool(leaves) and all(map(is_data, leaves)) and any(map(is_inexact, leaves))


def _search(graph: Graph, inputs: list[Any], within: tuple[Graph, ...] = ()) -> NanReport | None:
    """Run a graph, and report what first made a number that is not finite.

    `within` are the graphs around it, where the operations are that it may differentiate.
    """
    known: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))

    def read(x: Any) -> Any:
        return known[x] if isinstance(x, Value) else x.data if isinstance(x, Const) else x

    maker: dict[Value, int] = {}
    wrong: list[int] = []
    for i, node in enumerate(graph.nodes):
        made = computed(node, [read(x) for x in node.inputs])
        results = made if isinstance(made, tuple) else (made,)
        for value, y in zip(node.outputs, results, strict=True):
            known[value] = typed(y, value.aval)
            maker[value] = i
        if any(_is_wrong(known[v]) for v in node.outputs):
            wrong.append(i)
    outputs = [y for y in graph.outputs if _is_wrong(read(y))]
    for x in (x for x in graph.inputs if _is_wrong(known[x])):
        k = graph.inputs.index(x)
        return _of_argument(f"number {k} of the arguments' arrays and numbers", known[x])
    if not wrong:
        held = next((x.data for x in graph.outputs if isinstance(x, Const)), None)
        return None if not outputs or held is None else _of_argument("a captured array", held)
    behind = _behind(graph, outputs, maker, read)
    first = min((i for i in behind if not _given_wrong(graph.nodes[i], read)), default=None)
    reaches = first is not None
    if first is None:
        first = next((i for i in wrong if not _given_wrong(graph.nodes[i], read)), wrong[0])
    for x in graph.nodes[first].inputs:
        if isinstance(x, Const) and _is_wrong(x.data):
            return _of_argument("a captured array", x.data)
    within = (graph, *within)
    inner = _in_region(graph.nodes[first], [read(x) for x in graph.nodes[first].inputs], within)
    return inner._replace(reaches=reaches) if inner else _report(within, first, read, reaches)


class _Watched:
    """Runs a region, and keeps the first operands from which it makes NaN or infinity."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.runs = 0
        self.failing: list[Any] | None = None

    def run(self, xs: Sequence[Any]) -> Sequence[Any]:
        ys = evaluate(self.graph, xs)
        if self.failing is None:
            if any(map(_is_wrong, ys)):
                self.failing = [x.copy() if isinstance(x, np.ndarray) else x for x in xs]
            else:
                self.runs += 1
        return ys


def _in_region(node: Node, operands: list[Any], within: tuple[Graph, ...]) -> NanReport | None:
    """Search the regions of a node that was given finite numbers; None for other nodes."""
    watched: list[_Watched] = []

    def watch(graph: Graph) -> _Watched:
        watched.append(_Watched(graph))
        return watched[-1]

    attrs = regions.map_attributes(node.attrs, watch)
    if not watched:
        return None
    computed(Node(node.op, node.inputs, attrs, node.outputs), operands)
    for region in watched:
        if region.failing is not None:
            report = _search(region.graph, region.failing, within)
            if report is None or node.op.name == "cond":
                return report
            trip = region.runs
            if node.attrs.get("reverse"):
                trip = node.attrs["length"] - 1 - trip
            return report._replace(trips=(trip, *report.trips))
    return None


def _behind(graph: Graph, outputs: list[Any], maker: dict[Value, int], read: Any) -> set[int]:
    """Return the nodes with NaN or infinity that lead to an output through others with it."""
    found: set[int] = set()
    stack = [maker[y] for y in outputs if y in maker]
    while stack:
        i = stack.pop()
        if i not in found:
            found.add(i)
            stack += [maker[x] for x in graph.nodes[i].inputs if x in maker and _is_wrong(read(x))]
    return found


def _given_wrong(node: Node, read: Any) -> bool:
    return any(isinstance(x, Value) and _is_wrong(read(x)) for x in node.inputs)


def _is_wrong(x: Any) -> bool:
    kind = dtype_of(x).kind
    return kind in "fc" and not bool(np.all(np.isfinite(x)))


def _of_argument(what: str, x: Any) -> NanReport:
    bad = np.argwhere(~np.isfinite(np.asarray(x)))[0]
    index = tuple(int(i) for i in bad)
    where = f"{what}, at {index}" if index else what
    return NanReport("", "value", "", "", 0, index, (), np.asarray(x)[index], True, where)


def _report(within: tuple[Graph, ...], i: int, read: Any, reaches: bool) -> NanReport:
    node = within[0].nodes[i]
    value = next(v for v in node.outputs if _is_wrong(read(v)))
    result = np.asarray(read(value))
    index = tuple(int(k) for k in np.argwhere(~np.isfinite(result))[0])
    operands = tuple(_elements(node, read, result.shape, index))
    place = node.line
    stage, of = "value", ""
    if isinstance(place, Place):
        stage = place.stage
        if place.primal is not None:
            of = _differentiated(within, place.primal)
    made = result[index]
    file, line = (place[0], place[1]) if place else ("", 0)
    why = _why(node, operands, made, stage, of, reaches)
    return NanReport(node.op.name, stage, of, file, line, index, operands, made, reaches, why)


def _differentiated(within: tuple[Graph, ...], primal: Place) -> str:
    """Return the name of the operation at a place of the function; empty where it is not clear."""
    nodes = [n for graph in within for n in regions.nodes(graph) if isinstance(n.line, Place)]
    itself = {n.op.name for n in nodes if n.line is primal}
    found = itself or {n.op.name for n in nodes if n.line == primal and n.line.stage == "value"}
    return found.pop() if len(found) == 1 else ""


def _elements(
    node: Node, read: Any, shape: tuple[int, ...], index: tuple[int, ...]
) -> Iterator[Any]:
    """Yield the operands' elements that an operation by elements made one element of."""
    if getattr(node.op, "ufunc", None) is None and node.op.name not in ("select", "cut"):
        return
    for x in node.inputs:
        data = np.asarray(read(x))
        if data.dtype.kind in "biufc":
            yield np.broadcast_to(data, shape)[index]


_DOUBLE = (
    "Where np.where leaves such elements out, put a harmless number in first: "
    "np.where(m, g(np.where(m, x, 1.0)), 0.0)."
)


def _why(
    node: Node, operands: tuple[Any, ...], made: Any, stage: str, of: str, reaches: bool
) -> str:
    """Explain why an operation made NaN or infinity."""
    name = node.op.name
    if not reaches:
        return (
            "No result depends on it: a later np.where or read by a mask leaves it out, in the "
            "derivative as well."
        )
    if stage != "value" and of in _REPEATED:
        return _REPEATED[of]
    if stage == "value":
        text = _DOMAINS.get(name, "The operation is not defined there.")
        if np.isinf(made) and name in ("exp", "multiply", "power", "square", "cosh", "sinh"):
            text = "The number is too large for the dtype."
        return text + " " + _DOUBLE if name in _DOMAINS else text
    if operands and any(x == 0 for x in operands) and name in ("divide", "reciprocal", "power"):
        text = "The slope is infinite there"
    elif len(operands) == 2 and 0 in operands:
        text = "A zero meets an infinite slope, and their product is not known"
    else:
        text = "The slope is not finite there"
    point = {"sqrt": "0", "log": "0", "power": "0", "arccos": "1 or -1", "arcsin": "1 or -1"}
    text += f": {of} has none at {point[of]}." if of in point else "."
    return (
        f"{text} {_DOUBLE} Where the function is smooth as a whole, write it without the kink: "
        "x * x for np.sqrt(x * x) ** 2, np.hypot or np.linalg.norm, whose slope at 0 is 0."
    )


_REPEATED = dict.fromkeys(
    ("eigh", "eig", "svd"),
    "Vectors of repeated eigenvalues or singular values have no derivative; symmetric functions of "
    "the values have (docs/numpy.md, Conventions).",
)

_DOMAINS = {
    "sqrt": "The square root of a negative number is NaN.",
    "log": "The logarithm of 0 is -inf, and of a negative number NaN.",
    "log10": "The logarithm of 0 is -inf, and of a negative number NaN.",
    "log2": "The logarithm of 0 is -inf, and of a negative number NaN.",
    "log1p": "log1p(x) is -inf at x = -1, and NaN below.",
    "divide": "The divisor is 0.",
    "reciprocal": "The divisor is 0.",
    "power": "A negative number has no real power that is no integer, and 0 no negative one.",
    "arccos": "arccos and arcsin take numbers from -1 to 1.",
    "arcsin": "arccos and arcsin take numbers from -1 to 1.",
    "arccosh": "arccosh takes numbers from 1 on.",
    "arctanh": "arctanh takes numbers between -1 and 1.",
    "remainder": "The divisor is 0.",
}


class debug_nans:
    """Within this block, functions made by wengert raise where a result is NaN.

    The exception has the report of `find_nan`: the operation that made it, and the line.

    Parameters
    ----------
    infinities : bool
        Whether infinite results raise as well.

    Raises
    ------
    NonFiniteError
        At the end of a call of a function that `grad`, `jit` or another transformation made. The
        block holds for all threads, and calls within it take longer.

    Examples
    --------
    >>> with wg.debug_nans():
    ...     step(params)
    """

    _lock = threading.RLock()
    _entered: list[debug_nans] = []  # noqa: RUF012  (shared on purpose)
    _plain: dict[type, Any] = {}  # noqa: RUF012

    def __init__(self, *, infinities: bool = False) -> None:
        self.infinities = infinities

    def __enter__(self) -> debug_nans:
        """Begin."""
        with self._lock:
            if not self._entered:
                for kind in (Jitted, Transformed):
                    self._plain[kind] = kind.__call__
                    setattr(kind, "__call__", _checking(kind.__call__))  # noqa: B010
            self._entered.append(self)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """End."""
        with self._lock:
            self._entered.remove(self)
            if not self._entered:
                for made, call in self._plain.items():
                    setattr(made, "__call__", call)  # noqa: B010


def _checking(plain: Callable[..., Any]) -> Callable[..., Any]:
    inside = threading.local()

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = plain(self, *args, **kwargs)
        if getattr(inside, "on", False) or not debug_nans._entered:
            return out
        leaves = trees.flatten(out)[0]
        if any(isinstance(y, Traced) for y in leaves):
            return out
        infinities = debug_nans._entered[-1].infinities
        if any(_is_bad(y, infinities) for y in leaves):
            inside.on = True
            try:
                report = find_nan(self, *args, **kwargs)
                what = "NaN or infinity" if infinities else "NaN"
                error = NonFiniteError(f"a result is {what}:\n{report}" + user_line())
                shorten(error)
                raise error
            finally:
                inside.on = False
        return out

    return __call__


def _is_bad(y: Any, infinities: bool) -> bool:
    return is_data(y) and _is_wrong(y) and (infinities or bool(np.any(np.isnan(y))))
