"""Random programs of views, products and updates in place, in exact arithmetic.

All numbers are small integers, whatever the dtype, and are clipped after each sum: so sums in any
order have the same bits, and a difference is a fault. A program is a list of steps, each a function
of the values before it; what a step does is drawn while plain NumPy runs it.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Step = Callable[[list[Any]], Any]

SMALL = [1, 2, 3, 4, 7, 8]
SIZES = [*SMALL, 16, 17, 20, 31, 40, 64, 65, 100, 130]
LONG = [500, 1000, 2000]
MOST = 60_000
"""Elements of a value."""

WORK = 12_000_000
"""Multiplications of a product."""


def clipped(x: Any) -> Any:
    return np.minimum(np.maximum(x, -4), 4)


def _fits(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    """Whether an array broadcasts to a shape."""
    pairs = zip(reversed(small), reversed(large), strict=False)
    return len(small) <= len(large) and all(a in (1, b) for a, b in pairs)


def _size(x: Any) -> int:
    """Elements of an array, where an axis of length 0 is one: sums over it are not small."""
    return int(np.prod([max(n, 1) for n in x.shape], dtype=object))


class Program:
    """Draws a program, while it runs on plain arrays.

    Attributes
    ----------
    steps : list of callable
    text : list of str
        What each step does, for a message.
    """

    def __init__(self, seed: int, length: int = 12) -> None:
        self.rng = np.random.default_rng(seed)
        self.steps: list[Step] = []
        self.text: list[str] = []
        self.dtype = np.dtype(self.pick(["f8", "f8", "f8", "f4", "f4", "f4", "i8"]))
        self.sizes = [self.pick(SIZES), self.pick(SIZES[len(SMALL) :]), self.pick([1, *SMALL])]
        self.shapes = [self.shape() for _ in range(self.pick([1, 2, 2, 3]))]
        self.inputs = self.draw(seed)
        self.values: list[Any] = list(self.inputs)
        self.kept = None
        tries = 0
        while len(self.steps) < length and tries < 40 * length:
            tries += 1
            self.attempt()
        count = len(self.values)
        self.results = sorted({count - 1, max(count - 2, 0), self.pick(range(count))})

    # --- drawing ----------------------------------------------------------------------------------
    def pick(self, items: Any) -> Any:
        items = list(items)
        return items[int(self.rng.integers(len(items)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def shape(self) -> tuple[int, ...]:
        rank = self.pick([1, 2, 2, 2, 3, 3, 4])
        while True:
            sizes = [self.pick(LONG if self.chance(0.03) else self.sizes) for _ in range(rank)]
            if self.chance(0.02):
                sizes[0] = 0
            if np.prod(sizes) <= MOST:
                return tuple(sizes)

    def draw(self, seed: int) -> list[Any]:
        """Draw inputs, of layouts of their own."""
        rng = np.random.default_rng(seed + 1)
        found = []
        for shape in self.shapes:
            x = rng.integers(-3, 4, shape).astype(self.dtype)
            found.append([x, np.asfortranarray(x), x[::-1].copy()[::-1]][int(rng.integers(3))])
        return found

    def run(self, inputs: Any) -> list[Any]:
        """Run the program: on plain arrays, or traced ones."""
        values = list(inputs)
        for step in self.steps:
            values.append(step(values))
        return [values[k] for k in self.results]

    def which(self) -> int:
        """Draw a value, a late one more often."""
        n = len(self.values)
        return n - 1 - int(self.rng.integers(n) * self.rng.random())

    def attempt(self) -> None:
        kind = self.pick(
            ["view"] * 4 + ["product"] * 7 + ["elementwise"] * 2
            + ["update", "reduce", "join", "captured", "lookup"]
        )  # fmt: skip
        made = getattr(self, kind)()
        if made is None:
            return
        text, step = made
        try:
            y = step(list(self.values))
        except (ValueError, IndexError, TypeError):
            return
        if not isinstance(y, np.ndarray) or y.size > MOST or y.dtype.kind not in "fi" or not y.ndim:
            return
        self.steps.append(step)
        self.text.append(f"v{len(self.values)}{y.shape} = {text}")
        self.values.append(y)

    # --- steps ------------------------------------------------------------------------------------
    def piece(self, n: int) -> Any:
        if n < 2:
            return slice(None)
        return self.pick([
            slice(None), slice(None), slice(None, None, -1), slice(1, None), slice(None, -1),
            slice(None, None, 2), slice(None, None, -2), slice(n // 2, None, -1), int(n // 2), -1,
        ])  # fmt: skip

    def spec(self, x: Any) -> tuple[Any, ...]:
        return tuple(self.piece(n) for n in x.shape[: int(self.rng.integers(1, x.ndim + 1))])

    def view(self) -> Any:
        i = self.which()
        x = self.values[i]
        kind = self.pick(["slice", "slice", "turn", "flip", "reshape", "wide", "window", "more",
                          "diagonal", "flat"])  # fmt: skip
        axis = int(self.rng.integers(x.ndim))
        n = x.shape[axis]
        if kind == "slice":
            spec = self.spec(x)
            return f"v{i}[{spec}]", lambda vs: vs[i][spec]
        if kind == "turn":
            order = tuple(int(a) for a in self.rng.permutation(x.ndim))
            return f"v{i}.transpose{order}", lambda vs: np.transpose(vs[i], order)
        if kind == "flip":
            return f"flip(v{i}, {axis})", lambda vs: np.flip(vs[i], axis)
        if kind == "reshape" and x.size:
            a = self.pick([d for d in range(1, x.size + 1) if x.size % d == 0][:40])
            shape = self.pick([(a, x.size // a), (x.size // a, a), (a, 1, x.size // a)])
            return f"v{i}.reshape{shape}", lambda vs: vs[i].reshape(shape)
        if kind == "wide":
            wide = (
                self.pick([1, 2, 3, 17]),
                *(self.pick([m, 5, 20]) if m == 1 else m for m in x.shape),
            )
            return f"broadcast_to(v{i}, {wide})", lambda vs: np.broadcast_to(vs[i], wide)
        if kind == "window" and n > 1:
            w = int(self.rng.integers(1, min(n, 30) + 1))
            return f"windows(v{i}, {w}, {axis})", lambda vs: sliding_window_view(vs[i], w, axis)
        if kind == "more" and x.ndim < 4:
            return f"expand(v{i}, {axis})", lambda vs: np.expand_dims(vs[i], axis)
        if kind == "diagonal" and x.ndim > 1:
            return f"diagonal(v{i})", lambda vs: np.diagonal(vs[i])
        if kind == "flat":
            return f"v{i}.ravel()", lambda vs: np.ravel(vs[i])
        return None

    def lookup(self) -> Any:
        """Read at an integer that the data decide: a view in NumPy."""
        i, j = self.which(), self.which()
        x = self.values[i]
        axis = int(self.rng.integers(x.ndim))
        n = x.shape[axis]
        if x.ndim < 2 or not n or not self.values[j].size:
            return None
        lead = (slice(None),) * axis
        return f"v{i}[{axis}: argmax(v{j}) % {n}]", lambda vs: vs[i][(*lead, np.argmax(vs[j]) % n)]

    def captured(self) -> Any:
        """Multiply by an array that the function has, of a layout of its own."""
        i = self.which()
        x = self.values[i]
        n, k = x.shape[-1], self.pick(SIZES)
        if x.size * k > WORK or not n:
            return None
        base = self.rng.integers(-3, 4, (n, k)).astype(self.dtype)
        kind = self.pick(["reversed", "row", "column", "turned", "apart", "windows"])
        held = {
            "reversed": lambda: base[::-1],
            "row": lambda: np.broadcast_to(base[:1], (n, k)),
            "column": lambda: np.broadcast_to(base[:, :1], (n, k)),
            "turned": lambda: np.ascontiguousarray(base.T).T[::-1],
            "apart": lambda: np.repeat(base, 2, 1)[:, ::-2],
            "windows": lambda: sliding_window_view(np.arange(n + k - 1).astype(self.dtype) % 5, k),
        }[kind]()
        return f"clip(v{i} @ {kind}({n}, {k}))", lambda vs: clipped(vs[i] @ held)

    def product(self) -> Any:
        i, j = self.which(), self.which()
        x, y = self.values[i], self.values[j]
        kind = self.pick(["matmul", "einsum", "einsum", "gram", "tensordot", "dot", "outer"])
        if kind == "gram" and x.ndim >= 2 and _size(x) * max(x.shape[-2:]) <= WORK:
            if self.chance(0.5):
                return f"gram(v{i})", lambda vs: clipped(vs[i] @ np.swapaxes(vs[i], -1, -2))
            return f"gramT(v{i})", lambda vs: clipped(np.swapaxes(vs[i], -1, -2) @ vs[i])
        if kind == "matmul" and _size(x) * y.shape[-1] <= WORK:
            for a, b in itertools.product((False, True), repeat=2):
                xs, ys = x.shape, y.shape
                a, b = a and len(xs) > 1, b and len(ys) > 1
                inner = xs[-2] if a else xs[-1]
                other = ys[-1] if b or len(ys) == 1 else ys[-2]
                if inner == other:
                    return f"clip(v{i}{'T' * a} @ v{j}{'T' * b})", lambda vs, a=a, b=b: clipped(
                        (np.swapaxes(vs[i], -1, -2) if a else vs[i])
                        @ (np.swapaxes(vs[j], -1, -2) if b else vs[j])
                    )
        if kind == "einsum":
            return self.einsum(i, j)
        if kind == "tensordot":
            for p, q in itertools.product(range(x.ndim), range(y.ndim)):
                if x.shape[p] == y.shape[q] > 1 and _size(x) * _size(y) // x.shape[p] <= WORK:
                    return f"tensordot(v{i}, v{j}, {p}, {q})", lambda vs, p=p, q=q: clipped(
                        np.tensordot(vs[i], vs[j], ((p,), (q,)))
                    )
        if kind == "dot" and _size(x) * _size(y) <= WORK:
            return f"dot(v{i}, v{j})", lambda vs: clipped(np.dot(vs[i], vs[j]))
        if kind == "outer" and _size(x) * _size(y) <= MOST:
            return f"outer(v{i}, v{j})", lambda vs: clipped(np.outer(vs[i], vs[j]))
        return None

    def einsum(self, i: int, j: int) -> Any:
        x, y = self.values[i], self.values[j]
        letters = iter(string.ascii_lowercase)
        sizes: dict[str, int] = {}
        terms = []
        for a in (x, y):
            term = ""
            for n in a.shape:
                known = [s for s, m in sizes.items() if m == n and s not in term and terms]
                label = self.pick(known) if known and self.chance(0.8) else next(letters)
                sizes[label] = n
                term += label
            terms.append(term)
        shared = [s for s in terms[0] if s in terms[1]]
        summed = {s for s in sizes if self.chance(0.7 if s in shared else 0.1)}
        out = [s for s in sizes if s not in summed]
        self.rng.shuffle(out)
        if np.prod([max(n, 1) for n in sizes.values()]) > WORK or not out:
            return None
        spec = f"{terms[0]},{terms[1]}->{''.join(out)}"
        return f"einsum({spec!r}, v{i}, v{j})", lambda vs: clipped(np.einsum(spec, vs[i], vs[j]))

    def elementwise(self) -> Any:
        i, j = self.which(), self.which()
        kind = self.pick(["add", "subtract", "multiply", "maximum", "negative", "where", "half"])
        if kind == "negative":
            return f"-v{i}", lambda vs: -vs[i]
        if kind == "half":
            return f"clip(v{i} + v{i})", lambda vs: clipped(vs[i] + vs[i])
        if kind == "where":
            return f"where(v{i} > 0, v{i}, v{j})", lambda vs: np.where(vs[i] > 0, vs[i], vs[j])
        function = getattr(np, kind)
        return f"clip({kind}(v{i}, v{j}))", lambda vs: clipped(function(vs[i], vs[j]))

    def update(self) -> Any:
        """Change a copy in place: a part, a view of it, entries that an index names."""
        i, j = self.which(), self.which()
        x, y = self.values[i], self.values[j]
        kind = self.pick(["add", "set", "view", "index", "part"])
        spec = self.spec(x)
        if kind == "index":
            n = x.shape[0]
            if not n:
                return None
            at = self.rng.integers(-n, n, 5)

            def indexed(vs: Any) -> Any:
                z = vs[i].copy()
                np.add.at(z, at, 1)
                return clipped(z)

            return f"add.at(v{i}, {at.tolist()}, 1)", indexed
        fits = _fits(y.shape, x[spec].shape)

        def updated(vs: Any) -> Any:
            z = vs[i].copy()
            value = vs[j] if fits else 2
            if kind == "add":
                z[spec] += value
            elif kind == "set":
                z[spec] = value
            elif kind == "view":
                part = z[spec]
                part *= value
            else:
                part = z[spec]
                z[spec] = part - value
                return clipped(z * 1)
            return clipped(z)

        if x[spec].ndim == 0:
            return None
        return f"{kind} v{j if fits else '2'} into v{i}[{spec}]", updated

    def reduce(self) -> Any:
        i = self.which()
        x = self.values[i]
        axis = int(self.rng.integers(x.ndim))
        kind = self.pick(["sum", "max", "cumsum", "sort", "mean"])
        if not x.shape[axis]:
            return None
        if kind in ("cumsum", "sort"):
            return f"clip({kind}(v{i}, {axis}))", lambda vs: clipped(getattr(np, kind)(vs[i], axis))
        keep = self.chance(0.5)
        name = "sum" if kind == "mean" else kind
        return f"clip({name}(v{i}, {axis}, keepdims={keep}))", lambda vs: clipped(
            getattr(np, name)(vs[i], axis=axis, keepdims=keep)
        )

    def join(self) -> Any:
        i, j = self.which(), self.which()
        axis = int(self.rng.integers(self.values[i].ndim))
        if self.chance(0.3):
            return f"stack(v{i}, -v{i})", lambda vs: np.stack([vs[i], -vs[i]], axis)
        return f"concatenate(v{i}, v{j}, {axis})", lambda vs: np.concatenate([vs[i], vs[j]], axis)
