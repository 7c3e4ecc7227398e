"""Features of the language, each in a function that needs it."""

import collections
import contextlib
import dataclasses
import functools
import itertools
import math
import operator
import typing
import warnings

import numpy as np
from corpus.registry import at


@at([0.4, 0.9, 1.3])
def class_inside_a_function(x):
    @dataclasses.dataclass(order=True)
    class P:
        a: float
        b: float = 2.0

        def n(self):
            return math.hypot(self.a, self.b)

    ps = [P(x[0]), P(x[1], x[2])]
    return max(ps).n() + min(ps).n()


@at([0.4, 0.9, 1.3])
def metaclass(x):
    class M(type):
        def __call__(cls, *a):
            o = super().__call__(*a)
            o.z = math.sqrt(a[0])
            return o

    class A(metaclass=M):
        def __init__(self, v):
            self.v = v

    return A(x[0]).z


@at([0.4, 0.9, 1.3])
def singleton(x):
    class S:
        _i = None

        def __new__(cls, *a):
            if cls._i is None:
                cls._i = super().__new__(cls)
            return cls._i

        def __init__(self, v):
            self.v = math.exp(v)

    S(x[0])
    return S(x[1]).v


class Node:
    def __init__(s, v, l=None, r=None):
        s.v, s.l, s.r = v, l, r

    def __add__(s, o):
        return Node(math.sin(s.v) + (o.v if isinstance(o, Node) else o))

    def __radd__(s, o):
        return Node(s.v + o)

    @property
    def total(s):
        return math.exp(s.v * 0.1) + (s.l.total if s.l else 0) + (s.r.total if s.r else 0)


@at([0.4, 0.9, 1.3])
def deep_property(x):
    n = None
    for k in range(60):
        n = Node(x[k % 3], n)
    return n.total


@at([0.4, 0.9, 1.3])
def deep_operators(x):
    def rec(k):
        return Node(x[0]) if k == 0 else rec(k - 1) + x[k % 3]

    return rec(60).v


@at([0.4, 0.9, 1.3])
def generic_class(x):
    Tv = typing.TypeVar("Tv")

    class Box(typing.Generic[Tv]):
        def __init__(self, v: Tv):
            self.v = v

        def get(self) -> Tv:
            return math.cos(self.v)

    return Box[float](x[0]).get() + Box(x[1]).get()


@at([0.4, 0.9, 1.3])
def protocol(x):
    @typing.runtime_checkable
    class Shape(typing.Protocol):
        def area(self) -> float: ...

    class Sq:
        def __init__(s, a):
            s.a = a

        def area(s):
            return math.pow(s.a, 2)

    s = Sq(x[0])
    assert isinstance(s, Shape)
    return s.area()


@at([0.4, 0.9, 1.3])
def named_tuple(x):
    class P(typing.NamedTuple):
        a: float
        b: float = 1.5

        @property
        def n(self):
            return math.hypot(self.a, self.b)

    p = P(x[0])._replace(b=x[1])
    return p.n + sum(p)


@at([0.4, 0.9, 1.3])
def dict_of_its_own(x):
    class D(dict):
        def __missing__(self, k):
            v = self[k] = math.sqrt(k + x[0])
            return v

        def __getitem__(self, k):
            return super().__getitem__(k) * 2

    d = D()
    return d[1] + d[1]


@at([0.4, 0.9, 1.3])
def list_of_its_own(x):
    class L(list):
        def __iadd__(self, o):
            self.append(math.exp(o))
            return self

    l = L([x[0]])
    l += x[1]
    return sum(l)


@at([0.4, 0.9, 1.3])
def chain_map(x):
    c = collections.ChainMap({"a": x[0]}, {"a": 1.0, "b": x[1]})
    return math.sin(c["a"]) * c["b"]


@at([0.4, 0.9, 1.3])
def counter(x):
    c = collections.Counter()
    for k, v in zip("aba", x):
        c[k] += math.exp(v)
    return c["a"] * c["b"]


@at([0.4, 0.9, 1.3])
def exit_stack(x):
    out = []
    with contextlib.ExitStack() as s:
        for v in x:
            s.callback(lambda v=v: out.append(math.sqrt(v)))
    return sum(out)


@at([0.4, 0.9, 1.3])
def try_else_finally(x):
    r = 0.0
    for v in x:
        try:
            if v > 1:
                raise ValueError(math.exp(v))
            r += math.sin(v)
        except ValueError as e:
            r += e.args[0]
        else:
            r *= 2
        finally:
            r += v
    return r


@at([0.4, 0.9, 1.3])
def exception_group(x):
    try:
        raise ExceptionGroup("g", [ValueError(x[0])])
    except* ValueError as g:
        r = math.exp(g.exceptions[0].args[0])
    return r


@at([0.4, 0.9, 1.3])
def generator_pipeline(x):
    def a():
        for v in x:
            yield math.sin(v)

    def b(g):
        yield from (math.exp(v) for v in g)

    return functools.reduce(lambda p, q: p * q, b(a()))


@at([0.4, 0.9, 1.3])
def iteration_tools(x):
    return (
        sum(math.sqrt(a * b) for a, b in itertools.combinations(x, 2))
        + sum(itertools.accumulate(x, operator.mul))
        + sum(a for a in itertools.chain.from_iterable([x, x]))
    )


@at([0.4, 0.9, 1.3])
def lambdas_in_a_list(x):
    fs = [lambda v, k=k: math.pow(v, k) for k in range(3)]
    return sum(f(v) for f, v in zip(fs, x))


@at([0.4, 0.9, 1.3])
def kinds_of_arguments(x):
    def f(a, /, b, *, c=1.0, **k):
        return math.sin(a) * b + c + sum(map(math.exp, k.values()))

    return f(x[0], b=x[1], d=x[2])


@at([0.4, 0.9, 1.3])
def partial_method(x):
    class A:
        def p(self, v, k):
            return math.pow(v, k)

        sq = functools.partialmethod(p, k=2)

    return A().sq(x[0])


@at([0.4, 0.9, 1.3])
def class_and_static_methods(x):
    class A:
        s = 2.0

        @classmethod
        def m(cls, v):
            return math.exp(v) * cls.s

        @staticmethod
        def st(v):
            return math.sin(v)

    return A.m(x[0]) + A().st(x[1]) + A().m(x[2])


@at([0.4, 0.9, 1.3])
def descriptor(x):
    class Pos:
        def __set_name__(s, o, n):
            s.n = "_" + n

        def __get__(s, o, t=None):
            return s if o is None else math.sqrt(getattr(o, s.n))

        def __set__(s, o, v):
            setattr(o, s.n, math.exp(v))

    class A:
        q = Pos()

    a = A()
    a.q = x[0]
    return a.q


@at([0.4, 0.9, 1.3])
def class_with_slots(x):
    class A:
        __slots__ = ("v", "w")

        def __init__(s, v):
            s.v = math.exp(v)
            s.w = np.zeros(2)

    a = A(x[0])
    a.w[0] = x[1]
    a.w[1] += a.v
    return a.w.sum()


@at([0.4, 0.9, 1.3])
def array_priority(x):
    class V:
        __array_priority__ = 1000
        __array_ufunc__ = None

        def __init__(s, a):
            s.a = a

        def __rmul__(s, o):
            return V(s.a * np.sum(o) * math.sqrt(s.a))

        def __mul__(s, o):
            return s.__rmul__(o)

    return (x * V(x[0])).a + (np.ones(3) * V(x[1])).a + (V(x[2]) * x).a


@at([0.4, 0.9, 1.3])
def match_patterns(x):
    def g(c):
        match c:
            case {"k": "sin", "v": v}:
                return math.sin(v)
            case [a, b, *r]:
                return a * b + sum(r)
            case Node(v=v) if v > 0:
                return math.exp(v)
            case _:
                return 0.0

    return g({"k": "sin", "v": x[0]}) + g([x[0], x[1], x[2]]) + g(Node(x[1]))


@at([0.4, 0.9, 1.3])
def mapping_class(x):
    class A:
        def __init__(s):
            s.d = {}

        def __setitem__(s, k, v):
            s.d[k] = math.exp(v)

        def __getitem__(s, k):
            return s.d[k]

        def __delitem__(s, k):
            del s.d[k]

        def __len__(s):
            return len(s.d)

        def __iter__(s):
            return iter(s.d)

        def __contains__(s, k):
            return k in s.d

    a = A()
    a["p"] = x[0]
    a["q"] = x[1]
    a["q"] *= 2
    del a["p"]
    return sum(a[k] for k in a) + len(a) + ("q" in a)


@at([0.4, 0.9, 1.3])
def bubble_sort(x):
    a = list(x)
    for i in range(len(a)):
        for j in range(len(a) - 1 - i):
            if a[j] < a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
    return a[0] * 2 + a[2] * 3


@at([0.4, 0.9, 1.3])
def grid_of_lists(x):
    g = [[0.0] * 3 for _ in range(3)]
    for i in range(3):
        g[i][i] = math.exp(x[i])
    return np.array(g).trace() + np.sum(g)


@at([0.4, 0.9, 1.3])
def silenced_warnings(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.log(x).sum()


@at([0.4, 0.9, 1.3])
def assertion(x):
    assert (x > 0).all(), f"bad {x}"
    return np.prod(x)


@at([0.4, 0.9, 1.3])
def truth_of_objects(x):
    class A:
        def __init__(s, v):
            s.v = v

        def __bool__(s):
            return math.exp(s.v) > 1

        def __invert__(s):
            return A(-s.v)

    a = A(x[0])
    return (1.0 if a and not ~a else 2.0) * x[1] + (a or A(1)).v


@at([0.4, 0.9, 1.3])
def heap_and_bisection(x):
    import bisect
    import heapq

    h = []
    for v in x:
        heapq.heappush(h, -v)
    l = []
    for v in x:
        bisect.insort(l, v)
    return -heapq.heappop(h) + l[0] * 2


@at([0.4, 0.9, 1.3])
def running_sums(x):
    s = x.copy()
    for i in range(1, 3):
        s[i] += s[i - 1]
    s[::-1].sort()
    return s @ np.arange(3.0)


@at([0.4, 0.9, 1.3])
def growth_until(x):
    v = x[0]
    n = 0
    while v < 10:
        v = v * 1.7 + x[1]
        n += 1
    return v * n
