"""Operators, attributes and protocols of the user's classes do what Python's do."""

# ruff: noqa: B018, C416  (these forms are what is tried)

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import operator

import numpy as np
import pytest

import wengert as wg
from wengert.follow import objects
from wengert.follow.functions import TABLES, followed

SYMBOLS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b, "//": lambda a, b: a // b, "%": lambda a, b: a % b,
    "**": lambda a, b: a**b, "@": lambda a, b: a @ b, "&": lambda a, b: a & b,
    "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}  # fmt: skip


def class_with(*names, base=object, answer=None):
    """Make a class whose methods say what they were called with."""

    def method(name):
        def f(self, other):
            return (
                answer if answer is not None else f"{type(self).__name__}.{name}({kind_of(other)})"
            )

        return f

    return type("T" + "".join(names), (base,), {n: method(n) for n in names})


def kind_of(x):
    return type(x).__name__


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_operators_dispatch_as_in_python(symbol):
    forward, backward = objects.OPERATORS[symbol]
    left, right = class_with(forward), class_with(backward)
    both = class_with(*{forward, backward})
    derived = class_with(*{forward, backward}, base=both)
    inherits = type("Inherits", (both,), {})
    declines = class_with(*{forward, backward}, answer=NotImplemented)
    kinds = [left, right, both, derived, inherits, declines, object]
    operands = [k() for k in kinds] + [1.5, 2, "text", [1], None, np.ones(2)]
    f = SYMBOLS[symbol]
    g = followed(f)
    assert g is not f

    def outcome(f, a, b):
        try:
            made = f(a, b)
        except Exception as error:
            return kind_of(error), str(error)
        return kind_of(made), str(made)

    for a in operands:
        for b in operands:
            if type(a).__module__ == type(b).__module__ == "builtins" and type(a) is not object:
                continue
            assert outcome(g, a, b) == outcome(f, a, b), (kind_of(a), kind_of(b))


class Counter:
    """Counts in place, or not."""

    def __init__(self, n=0):
        self.n = n

    def __iadd__(self, other):
        self.n += other
        return self

    def __sub__(self, other):
        return Counter(self.n - other)


def test_updates_in_place():
    @followed
    def f(c):
        d = c
        d += 3
        e = d
        e -= 1
        return c.n, d is c, e.n, e is c

    assert f(Counter()) == (3, True, 2, False)


class Lazy:
    """Attributes of all kinds."""

    shared = 1.5
    calls = 0

    def __init__(self):
        self.own = 2.0

    @property
    def computed(self):
        return math.sqrt(self.own)

    @computed.setter
    def computed(self, value):
        self.own = math.pow(value, 2)

    @functools.cached_property
    def once(self):
        type(self).calls += 1
        return math.exp(self.own)

    @property
    def missing(self):
        raise AttributeError("not here")

    def __getattr__(self, name):
        if name.startswith("made_"):
            return math.log(float(name[5:])) * self.own
        raise AttributeError(f"no {name}")


def test_attributes():
    @followed
    def f():
        x = Lazy()
        x.computed = 3.0
        first = x.once, x.once
        names = hasattr(x, "own"), hasattr(x, "made_2"), hasattr(x, "nothing")
        try:
            x.missing
        except AttributeError as error:
            caught = str(error)
        return x.own, x.computed, first[0] == first[1], x.shared, x.made_3, names, caught

    before = Lazy.calls
    found = f()
    assert Lazy.calls == before + 1
    wanted = (9.0, 3.0, True, 1.5, math.log(3) * 9, (True, True, False))
    assert found[:-1] == wanted
    assert "missing" in found[-1] or "not here" in found[-1]


def test_a_method_that_is_replaced_later_is_the_one_that_runs():
    class V:
        def __add__(self, other):
            return 1

        @property
        def p(self):
            return 1

    @followed
    def f(v):
        return v + v, v.p

    assert f(V()) == (1, 1)
    V.__add__ = lambda self, other: 2
    V.p = property(lambda self: 2)
    assert f(V()) == (2, 2)
    V.p = 3
    assert f(V()) == (2, 3)


class Bag:
    def __init__(self, *items):
        self.items = list(items)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]

    def __contains__(self, x):
        return any(math.isclose(x, y) for y in self.items)


class Old:
    """Iterates by its items alone."""

    def __getitem__(self, i):
        if i > 2:
            raise IndexError(i)
        return math.sqrt(i)


def test_protocols():
    def f():
        bag, empty = Bag(1.0, 4.0), Bag()
        first, *rest = bag
        taken = [v for v in Old()]
        return (
            len(bag), bool(empty), not empty, 4.0 in bag, 5.0 not in bag, first, rest,
            taken == list(Old()), [*bag], max(bag), sum(bag), 1 if empty else 2,
            list(zip(bag, Old(), strict=False)), dict(enumerate(bag)), any(bag), bag[-1],
            tuple(map(math.sqrt, bag)), sorted(bag, reverse=True), empty or 3, bag and 4,
        )  # fmt: skip

    assert followed(f)()[:-2] == f()[:-2]
    assert followed(f)()[-2:] == (3, 4)


class Trace:
    def __init__(self, swallows):
        self.swallows, self.seen = swallows, []

    def __enter__(self):
        self.seen.append("in")
        return self

    def __exit__(self, kind, value, traceback):
        self.seen.append(getattr(kind, "__name__", None))
        return self.swallows


@contextlib.contextmanager
def doubled(state):
    state.append("in")
    try:
        yield 2 * math.sqrt(4.0)
    finally:
        state.append("out")


def test_context_managers():
    @followed
    def f(swallows):
        t, state = Trace(swallows), []
        with t as u, doubled(state) as four:
            assert u is t
            if four == 4.0:
                raise KeyError("a")
        return t.seen, state

    assert f(True) == (["in", "KeyError"], ["in", "out"])
    with pytest.raises(KeyError):
        f(False)


@functools.total_ordering
class Ranked:
    def __init__(self, v):
        self.v = v

    def __eq__(self, other):
        return self.v == other.v

    def __lt__(self, other):
        return math.exp(self.v) < math.exp(other.v)

    def __add__(self, other):
        return Ranked(self.v + (other.v if isinstance(other, Ranked) else other))

    __radd__ = __add__

    def __neg__(self):
        return Ranked(-math.sin(self.v))

    def __abs__(self):
        return math.fabs(self.v)

    def __float__(self):
        return math.sqrt(self.v)

    def __call__(self, x):
        return math.pow(x, self.v)


class Pair(list):
    def __init__(self, a, b):
        super().__init__([a, math.sqrt(b)])


class Single:
    kept = None

    def __new__(cls, x):
        made = super().__new__(cls)
        made.x = math.cos(x)
        return made


@dataclasses.dataclass
class Point:
    x: float
    y: float = dataclasses.field(default_factory=lambda: math.sqrt(4.0))

    def __post_init__(self):
        self.r = math.hypot(self.x, self.y)


PROGRAMS = {
    "sum": lambda x: sum([Ranked(x), Ranked(2 * x), 1.0]).v,
    "max": lambda x: max(Ranked(x), Ranked(2 * x), key=None).v + min([Ranked(x), Ranked(3.0)]).v,
    "sorted": lambda x: sorted([Ranked(3.0), Ranked(x), Ranked(x * 2)])[1].v * x,
    "total ordering": lambda x: x * 2 if Ranked(x) >= Ranked(0.1) else x,
    "operator": lambda x: operator.add(Ranked(x), 2.0).v + operator.neg(Ranked(x)).v,
    "abs and float": lambda x: abs(-Ranked(x)) + float(Ranked(x)),
    "call": lambda x: Ranked(3.0)(x) + functools.reduce(operator.add, [Ranked(x)] * 3).v,
    "list": lambda x: Pair(x, x)[1] + sum(Pair(x, x)),
    "new": lambda x: Single(x).x,
    "dataclass": lambda x: Point(x).r + dataclasses.replace(Point(1.0), y=x).r,
    "attrgetter": lambda x: sum(map(operator.attrgetter("r"), [Point(x), Point(2 * x)])),
    "methodcaller": lambda x: operator.methodcaller("__abs__")(Ranked(x)) * x,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_differentiated(name):
    f, x, h = PROGRAMS[name], 0.7, 1e-6
    expected = (f(x + h) - f(x - h)) / (2 * h)
    assert wg.grad(f)(x) == pytest.approx(expected, rel=1e-8)
    assert wg.jit(wg.grad(f))(x) == pytest.approx(expected, rel=1e-8)
    assert wg.value_and_grad(f)(x)[0] == pytest.approx(f(x), rel=1e-15)


class Positive:
    def __init__(self, v):
        self.v = v

    def __bool__(self):
        return math.exp(self.v) > 1


def test_truth_of_objects():
    def f(x):
        a = Positive(x)
        kept = (a and 2.0) * (not a or 3.0) if a else 5.0
        return x * kept * (1.0 if (a or None) is a else 7.0)

    for x in (0.7, -0.7):
        expected = f(x) / x
        assert wg.grad(f)(x) == pytest.approx(expected)
        assert wg.jit(wg.grad(f))(x) == pytest.approx(expected)


class Plain:
    attribute = 1.0


def test_other_classes_cost_one_question():
    f = followed(lambda p: p.attribute)
    f(Plain())
    assert TABLES.of("attribute", "attribute").kinds[Plain] is None
