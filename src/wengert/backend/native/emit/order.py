"""Sorting and searching as LLVM instructions.

Short lines are sorted in registers by a network that exchanges neighbours only (odd-even
transposition; Knuth, *The Art of Computer Programming* 3, 5.3.4), so that equal elements keep their
order and many lines run in one vector. Longer ones are merged bottom-up from short sorted runs
(5.2.4, algorithm S). NaN comes last, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from wengert.backend.native.schedule.sorting import RUN
from wengert.backend.native.schedule.steps import Search, Sort
from wengert.llvm.code import BOOL, TYPES, Code

__all__ = ["less", "merge_sort", "network", "search"]

Load = Callable[[str], str]


def less(code: Code, dtype: np.dtype[Any], a: str, b: str) -> str:
    """Write whether `a` comes before `b`, which it does not if they are equal."""
    if dtype.kind != "f":
        return code.compare("lt", dtype, a, b)
    t = TYPES[dtype]
    below = code.emit(f"fcmp ult {t} {a}, {b}")  # or one of them is NaN
    return code.emit(f"and i1 {below}, " + code.emit(f"fcmp ord {t} {a}, {a}"))


def network(code: Code, dtype: np.dtype[Any], xs: list[str], places: bool) -> list[str]:
    """Sort registers; return them in order, or where each was."""
    t = TYPES[dtype]
    at = [str(i) for i in range(len(xs))]
    for turn in range(len(xs)):
        for i in range(turn % 2, len(xs) - 1, 2):
            a, b = xs[i], xs[i + 1]
            swap = less(code, dtype, b, a)
            xs[i] = code.emit(f"select i1 {swap}, {t} {b}, {t} {a}")
            xs[i + 1] = code.emit(f"select i1 {swap}, {t} {a}, {t} {b}")
            if places:
                p, q = at[i], at[i + 1]
                at[i] = code.emit(f"select i1 {swap}, i64 {q}, i64 {p}")
                at[i + 1] = code.emit(f"select i1 {swap}, i64 {p}, i64 {q}")
    return at if places else xs


def search(code: Code, s: Search, load: Load, v: str) -> str:
    """Count the elements of a sorted array that come before a number, by bisection."""
    dtype = s.a.buffer.dtype

    def before(i: str) -> str:
        x = load(i)
        if s.side == "left":
            return less(code, dtype, x, v)
        return code.emit(f"xor i1 {less(code, dtype, v, x)}, true")

    base, rest = "0", s.a.shape[0]
    while rest > 1:
        half = rest // 2
        further = before(code.emit(f"add nsw i64 {base}, {half - 1}"))
        step = code.emit(f"select i1 {further}, i64 {half}, i64 0")
        base = code.emit(f"add nsw i64 {base}, {step}")
        rest -= half
    return code.emit(f"add nsw i64 {base}, " + code.emit(f"zext i1 {before(base)} to i64"))


class _Flow:
    """Variables, loops and branches; LLVM turns the variables into registers."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def variable(self, kind: str, value: str) -> str:
        name = self.code.fresh()
        self.code.lines.insert(0, f"{name} = alloca {kind}")
        self.code.line(f"store {kind} {value}, ptr {name}")
        return name

    def get(self, name: str, kind: str = "i64") -> str:
        return self.code.emit(f"load {kind}, ptr {name}")

    def put(self, name: str, value: str, kind: str = "i64") -> None:
        self.code.line(f"store {kind} {value}, ptr {name}")

    def add(self, a: str, b: str | int) -> str:
        return self.code.emit(f"add nsw i64 {a}, {b}")

    def at(self, kind: str, base: str, i: str) -> str:
        return self.code.emit(f"getelementptr inbounds {kind}, ptr {base}, i64 {i}")

    def below(self, a: str, b: str) -> str:
        return self.code.emit(f"icmp slt i64 {a}, {b}")

    def smaller(self, a: str, b: str | int) -> str:
        return self.code.emit(f"select i1 {self.below(a, str(b))}, i64 {a}, i64 {b}")

    @contextmanager
    def during(self, *tests: Callable[[], str]) -> Iterator[None]:
        """Repeat while all tests hold; each is made only where those before it hold."""
        name = self.code.fresh()[1:]
        self.code.line(f"br label %head{name}")
        self.code.line(f"head{name}:")
        for k, test in enumerate(tests):
            self.code.line(f"br i1 {test()}, label %pass{name}.{k}, label %end{name}")
            self.code.line(f"pass{name}.{k}:")
        yield
        self.code.line(f"br label %head{name}")
        self.code.line(f"end{name}:")


def merge_sort(code: Code, s: Sort, pointers: list[str]) -> None:
    """Sort one line in `pointers[0]`, and the positions in `pointers[2]`, with memory to spare.

    The result is in the second and fourth instead where `Sort.swapped` says so.
    """
    f = _Flow(code)
    dtype, n = s.work.buffer.dtype, s.length
    kinds = ["i8" if dtype == BOOL else TYPES[dtype], "i64"]
    lines = [(kinds[k], pointers[2 * k], pointers[2 * k + 1]) for k in range(len(pointers) // 2)]

    def key(base: str, i: str) -> str:
        x = code.emit(f"load {kinds[0]}, ptr {f.at(kinds[0], base, i)}")
        return code.emit(f"trunc i8 {x} to i1") if dtype == BOOL else x

    def move(kind: str, source: str, i: str, target: str, j: str) -> None:
        x = code.emit(f"load {kind}, ptr {f.at(kind, source, i)}")
        code.line(f"store {kind} {x}, ptr {f.at(kind, target, j)}")

    i, j, k = (f.variable("i64", "0") for _ in range(3))
    if len(lines) > 1:
        with f.during(lambda: f.below(f.get(i), str(n))):
            at = f.get(i)
            code.line(f"store i64 {at}, ptr {f.at('i64', lines[1][1], at)}")
            f.put(i, f.add(at, 1))
    _insertion(f, lines, dtype, n, key)
    here = [f.variable("ptr", a) for _, a, _ in lines]
    there = [f.variable("ptr", b) for _, _, b in lines]
    width, low = f.variable("i64", str(RUN)), f.variable("i64", "0")
    with f.during(lambda: f.below(f.get(width), str(n))):
        source = [f.get(p, "ptr") for p in here]
        target = [f.get(p, "ptr") for p in there]
        w = f.get(width)
        f.put(low, "0")
        with f.during(lambda: f.below(f.get(low), str(n))):
            start = f.get(low)
            middle = f.smaller(f.add(start, w), n)
            end = f.smaller(f.add(middle, w), n)
            f.put(i, start)
            f.put(j, middle)
            f.put(k, start)
            with f.during(lambda: f.below(f.get(i), middle), lambda: f.below(f.get(j), end)):
                p, q, to = f.get(i), f.get(j), f.get(k)
                right = less(code, dtype, key(source[0], q), key(source[0], p))
                chosen = code.emit(f"select i1 {right}, i64 {q}, i64 {p}, !unpredictable !{{}}")
                for (kind, _, _), a, b in zip(lines, source, target, strict=True):
                    move(kind, a, chosen, b, to)
                step = code.emit(f"zext i1 {right} to i64")
                f.put(j, f.add(q, step))
                f.put(i, code.emit(f"sub i64 {f.add(p, 1)}, {step}"))
                f.put(k, f.add(to, 1))
            for rest, last in ((i, middle), (j, end)):
                with f.during(lambda rest=rest, last=last: f.below(f.get(rest), last)):  # type: ignore[misc]
                    p, to = f.get(rest), f.get(k)
                    for (kind, _, _), a, b in zip(lines, source, target, strict=True):
                        move(kind, a, p, b, to)
                    f.put(rest, f.add(p, 1))
                    f.put(k, f.add(to, 1))
            f.put(low, end)
        for p, q, a, b in zip(here, there, source, target, strict=True):
            f.put(p, b, "ptr")
            f.put(q, a, "ptr")
        f.put(width, f.add(w, w))


def _insertion(
    f: _Flow,
    lines: list[tuple[str, str, str]],
    dtype: np.dtype[Any],
    n: int,
    key: Callable[[str, str], str],
) -> None:
    """Sort each run by insertion."""
    code = f.code
    i, j = f.variable("i64", "1"), f.variable("i64", "0")
    with f.during(lambda: f.below(f.get(i), str(n))):
        at = f.get(i)
        first = code.emit(f"and i64 {at}, {-RUN}")
        taken = [code.emit(f"load {kind}, ptr {f.at(kind, a, at)}") for kind, a, _ in lines]
        x = code.emit(f"trunc i8 {taken[0]} to i1") if dtype == BOOL else taken[0]
        f.put(j, at)
        with f.during(
            lambda: f.below(first, f.get(j)),
            lambda: less(code, dtype, x, key(lines[0][1], f.add(f.get(j), -1))),
        ):
            to = f.get(j)
            back = f.add(to, -1)
            for kind, a, _ in lines:
                moved = code.emit(f"load {kind}, ptr {f.at(kind, a, back)}")
                code.line(f"store {kind} {moved}, ptr {f.at(kind, a, to)}")
            f.put(j, back)
        for (kind, a, _), value in zip(lines, taken, strict=True):
            code.line(f"store {kind} {value}, ptr {f.at(kind, a, f.get(j))}")
        f.put(i, f.add(at, 1))
