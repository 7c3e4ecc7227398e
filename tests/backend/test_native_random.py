"""Random graphs in native code and in NumPy.

The numbers are small integers, whatever the dtype, so that sums are exact in any order: every bit
must agree. Programs with functions of mathematics are compared to rounding errors.
"""

from __future__ import annotations

import itertools
import string
from typing import Any

import native_oracle as oracle
import numpy as np
from hypothesis import note
from hypothesis import strategies as st
from twice import twice

import wengert as wg
from wengert.backend.native import NativeBackend
from wengert.backend.numpy import NumpyBackend
from wengert.errors import GraphError
from wengert.ir.build import Builder
from wengert.ir.graph import SLOT, Const, Value
from wengert.ir.text import show
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

DTYPES = [np.dtype(t) for t in ("f8", "f8", "f8", "f4", "i8", "i4", "?")]
SHAPES = [
    (),
    (1,),
    (3,),
    (2, 3),
    (3, 1),
    (4, 3, 2),
    (3, 3),
    (17,),
    (5, 33),
    (0,),
    (2, 0, 3),
    (1, 2, 1),
]

UNARY = (
    "negative",
    "absolute",
    "sign",
    "floor",
    "rint",
    "positive",
    "logical_not",
    "isnan",
    "signbit",
    "square",
    "stop_gradient",
    "barrier",
    "reciprocal",
    "ceil",
)
BINARY = (
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "fmax",
    "less",
    "greater_equal",
    "equal",
    "not_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "copysign",
    "bitwise_and",
    "floor_divide",
    "remainder",
    "heaviside",
    "left_shift",
)
GROWING = {
    "reciprocal",
    "multiply",
    "prod",
    "contract",
    "sum",
    "cumsum",
    "square",
    "floor_divide",
    "remainder",
    "add",
    "subtract",
    "index_add",
}
REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "argmax")
ALONG = ("cumsum", "sort", "cummax", "cummin", "argsort")
PIECES = [
    slice(None),
    slice(1, None),
    slice(None, None, -1),
    slice(None, None, 2),
    0,
    -1,
    slice(0, 1),
]

REFUSALS = (ArithmeticError, IndexError, TypeError, ValueError)


class Drawer:
    """Draws the nodes of one graph."""

    def __init__(self, draw: Any, rng: np.random.Generator) -> None:
        self.draw = draw
        self.rng = rng
        self.builder = Builder()
        self.values: list[Any] = []

    def pick(self, items: Any) -> Any:
        return self.draw(st.sampled_from(list(items)))

    def data(self, shape: Any, dtype: Any) -> Any:
        return np.asarray(self.rng.integers(-3, 4, shape)).astype(dtype)

    def value(self) -> Any:
        """Draw a value, a late one more often, or an array held by reference."""
        k = self.draw(st.integers(0, 2 * len(self.values) + 1))
        if k < 2 * len(self.values):
            return self.values[-1 - k // 2]
        x = self.data(self.pick(SHAPES), self.pick(DTYPES))
        layout = self.draw(st.integers(0, 3))
        return (x, x.T, x[::-1] if x.ndim else x, np.asfortranarray(x))[layout]

    def call(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        kind = self.pick(
            [
                "unary",
                "binary",
                "binary",
                "shape",
                "index",
                "update",
                "reduce",
                "contract",
                "choose",
                "along",
            ]
        )
        x = self.value()
        rank = len(x.shape)
        if kind == "unary":
            return self.pick(UNARY), (x,), {}
        if kind == "binary":
            y = (
                self.value()
                if self.draw(st.integers(0, 4))
                else self.pick([0, 1, 2, -1.0, 0.5, True, np.float32(2)])
            )
            return self.pick(BINARY), (x, y) if self.draw(st.booleans()) else (y, x), {}
        if kind == "shape":
            size = int(np.prod(x.shape, dtype=int))
            shapes = [x.shape[::-1], (size,), (1, size), (size, 1), (1, *x.shape), (*x.shape, 1)]
            return self.pick(
                [
                    ("transpose", (x,), {"axes": tuple(self.draw(st.permutations(range(rank))))}),
                    ("reshape", (x,), {"shape": self.pick(shapes)}),
                    (
                        "broadcast_to",
                        (x,),
                        {"shape": (self.pick([1, 2]), *(3 if n == 1 else n for n in x.shape))},
                    ),
                    ("convert", (x,), {"dtype": self.pick(DTYPES)}),
                    (
                        "concatenate",
                        (x, self.value(), x)[: self.pick([2, 3])],
                        {"axis": self.pick(range(max(rank, 1)))},
                    ),
                ]
            )
        if kind == "index":
            if self.draw(st.booleans()):
                spec = tuple(self.pick([*PIECES, None]) for _ in range(self.pick(range(rank + 1))))
                return "getitem", (x,), {"spec": spec}
            return "getitem", (x, self.indices(x, 0)), {"spec": (SLOT,)}
        if kind == "update":
            name = self.pick(["index_add", "index_set"])
            if self.draw(st.booleans()):
                spec = tuple(self.pick(PIECES) for _ in range(self.pick(range(rank + 1))))
                return name, (x, self.value()), {"spec": spec}
            slots = self.pick(range(1, max(rank, 1) + 1))
            index = [self.indices(x, axis) for axis in range(slots)] if rank else [np.zeros(1, int)]
            return name, (x, self.value(), *index), {"spec": (SLOT,) * len(index)}
        if kind == "reduce":
            name = self.pick(REDUCTIONS)
            keepdims = self.draw(st.booleans())
            if name == "argmax" and rank:
                return name, (x,), {"axis": self.pick(range(rank)), "keepdims": keepdims}
            axes = tuple(sorted(self.draw(st.sets(st.integers(0, rank - 1))))) if rank else ()
            return name, (x,), {"axis": axes, "keepdims": keepdims}
        if kind == "contract":
            return self.contraction(x, self.value())
        if kind == "choose":
            return "select", (self.value(), x, self.value()), {}
        return (
            (self.pick(ALONG), (x,), {"axis": self.pick(range(rank))})
            if rank
            else ("negative", (x,), {})
        )

    def indices(self, x: Any, axis: int) -> Any:
        n = x.shape[axis] if x.shape else 1
        return (
            self.rng.integers(-n, n, self.pick([(2,), (3,), (), (2, 1)]))
            if n
            else np.zeros((0,), int)
        )

    def contraction(self, x: Any, y: Any) -> Any:
        """Draw labels that fit the sizes, some of them shared."""
        letters = iter(string.ascii_lowercase)
        sizes: dict[str, int] = {}
        terms = []
        for a in (x, y):
            term = ""
            for n in a.shape:
                known = [s for s, m in sizes.items() if m == n and s not in term and terms]
                label = (
                    self.pick(known) if known and self.draw(st.integers(0, 3)) else next(letters)
                )
                sizes[label] = n
                term += label
            terms.append(term)
        shared = [s for s in terms[0] if s in terms[1]]
        summed = {s for s in shared if self.draw(st.booleans())}
        kept = [s for s in sizes if s not in summed]
        out = "".join(self.draw(st.permutations(kept)))
        return "contract", (x, y), {"spec": f"{terms[0]},{terms[1]}->{out}"}

    def attempt(self, name: str, args: Any, attrs: Any) -> None:
        """Try an operation on numbers of these shapes; a shape rule does not look at everything."""
        with np.errstate(all="ignore"):
            stands = [np.ones(x.shape, x.dtype)[()] if isinstance(x, Value) else x for x in args]
            TABLE[name].evaluate(*stands, **attrs)

    def add(self) -> None:
        name, args, attrs = self.call()
        try:
            self.attempt(name, args, attrs)
            y = self.builder.add(TABLE[name], *args, **attrs)
        except (*REFUSALS, GraphError):  # the operation does not take these
            return
        if not isinstance(y, Value) or y.dtype not in oracle.NATIVE or y.aval.size > 400:
            return
        if y.dtype.kind == "f" and name in GROWING:  # numbers stay small integers
            b = self.builder
            y = b.add(TABLE["fmax"], b.add(TABLE["fmin"], b.add(TABLE["rint"], y), 4), -4)
        self.values.append(y)


@st.composite
def graphs(draw: Any) -> Any:
    """Draw a graph and its inputs."""
    d = Drawer(draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    inputs = [d.data(d.pick(SHAPES), d.pick(DTYPES)) for _ in range(draw(st.integers(1, 3)))]
    d.values += [d.builder.input(x) for x in inputs]
    for _ in range(draw(st.integers(1, 30))):
        d.add()
    outputs = [*d.values[-3:], *(d.pick(d.values) for _ in range(2))]
    return verify(d.builder.finish(outputs)), inputs


def compare(case: Any) -> None:
    graph, inputs = case
    note(show(graph))
    kept = [x.copy() for x in inputs]
    captured = [x for n in graph.nodes for x in n.inputs if isinstance(x, Const)]
    before = [c.data.copy() for c in captured]
    with np.errstate(all="ignore"):
        try:
            want = NumpyBackend().compile(graph).run(inputs)
        except REFUSALS as error:
            note(repr(error))
            return
        got = NativeBackend().compile(graph).run(inputs)
    for x, y in zip(got, want, strict=True):
        oracle.same_bits(x, y, zeros=False)
    for x, y in itertools.chain(
        zip(inputs, kept, strict=True), zip((c.data for c in captured), before, strict=True)
    ):
        np.testing.assert_array_equal(x, y)


test_graphs, test_many_graphs = twice(compare, 40, 600, graphs())


# --- programs with derivatives --------------------------------------------------------------------
FUNCTIONS = {
    "sin": np.sin,
    "tanh": np.tanh,
    "bell": lambda x: np.exp(-x * x),
    "log1p": lambda x: np.log1p(x * x),
    "abs": np.abs,
    "root": lambda x: np.sqrt(1 + x * x),
    "half": lambda x: x / 2,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "turn": lambda x: x.T,
    "flip": lambda x: x[::-1],
    "rows": lambda x: x[np.array([0, 2, 0])],
    "part": lambda x: np.concatenate([x[1:], x[:1] * 2]),
    "cumsum": lambda x: np.cumsum(x, axis=0) / 3,
    "mean": lambda x: x - np.mean(x, axis=1, keepdims=True),
    "max": lambda x: x / (1 + np.max(x * x, axis=0)),
    "square": lambda x: (x @ x.T) / 3,
    "clip": lambda x: np.where(x > 0, x, 0.1 * x),
    "sort": lambda x: np.sort(x, axis=0),
    "power": lambda x: np.abs(x) ** 1.5,
    "softmax": lambda x: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True),
    "outer": lambda x: x[:, :1] * x[:1, :],
    "diagonal": lambda x: x + np.diag(np.diagonal(x)),
}
PAIRS = {
    "add": lambda x, y: x + y,
    "multiply": lambda x, y: x * y,
    "matmul": lambda x, y: x @ y / 2,
    "divide": lambda x, y: x / (1 + y * y),
    "hypot": np.hypot,
    "maximum": np.maximum,
    "einsum": lambda x, y: np.einsum("ab,bc->ca", x, y),
    "solve": lambda x, y: x + np.arctan2(x, 1 + y * y),
}


def program(steps: Any) -> Any:
    """Make a function of two matrices from the names of its steps."""

    def f(x: Any, w: Any) -> Any:
        values = [x, w]
        for name, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(FUNCTIONS[name](a) if name in FUNCTIONS else PAIRS[name](a, b))
        return sum(np.sum(np.tanh(v)) for v in values[-3:])

    return f


step = st.tuples(st.sampled_from([*FUNCTIONS, *PAIRS]), st.integers(0, 40), st.integers(0, 40))


def compare_gradients(steps: Any, seed: int, single: bool):
    rng = np.random.default_rng(seed)
    x, w = (rng.normal(size=(3, 3)).astype(np.float32 if single else float) for _ in range(2))
    graph, leaves = oracle.recorded(wg.value_and_grad(program(steps), argnums=(0, 1)), x, w)
    got, want = oracle.both(graph, leaves)
    for a, b in zip(got, want, strict=True):
        oracle.close(a, b, 1e5 if single else 1e8, scale=1.0)


test_gradients_of_programs, test_gradients_of_many_programs = twice(
    compare_gradients,
    *(15, 300),
    st.lists(step, min_size=1, max_size=15),
    st.integers(0, 1000),
    st.booleans(),
)
