"""Idioms of Python and NumPy as newcomers write them: containers, classes, generators, tables."""

import abc
import contextlib
import copy
import dataclasses
import itertools
import math
import operator
import statistics
import typing
from collections import defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from functools import lru_cache, reduce, singledispatch, wraps

import numpy as np
from corpus.registry import at
from numpy.polynomial import Polynomial

P = [0.9, 1.3, 0.55, 1.7]
doubled = np.vectorize(lambda v, w: v * w if v > w else v + w)


@at(P)
def vectorized_before(x):
    return np.sum(doubled(x, 1.0) * doubled(w=x, v=0.5))


@at(P)
def vectorized_by_decorator(x):
    @np.vectorize
    def g(a, b):
        return a * b if a > b else a + b * b

    return g(x[:2], x[2:]).sum()


@at(P)
def vectorized_with_signature(x):
    g = np.vectorize(lambda v: np.sum(v**2), signature="(n)->()")
    return g(x.reshape(2, 2)).prod()


@at(P)
def apply_along_idiom(x):
    return np.apply_along_axis(
        lambda r: np.array([r.max() - r.min(), r.mean()]), 1, np.outer(x, x[:3])
    ).sum()


@at(P)
def poly_class_idiom(x):
    p = Polynomial(x)
    q = p.deriv() * Polynomial([1, 2]) - p
    return q(0.3) + p.integ()(1.0)


@at(P)
def derivative_of_poly1d(x):
    return np.polyval(x[::-1], 1.3) + np.polyder(np.poly1d(x))(0.5)


@at(P)
def deque_idiom(x):
    d = deque(maxlen=3)
    for v in x:
        d.append(v * len(d))
    d.rotate(1)
    d.appendleft(x[0])
    return sum(d) + d[0] * d[-1]


@at(P)
def defaultdict_list_idiom(x):
    d = defaultdict(list)
    for i, v in enumerate(x):
        d["odd" if i % 2 else "even"].append(v)
    return np.prod(d["odd"]) + np.mean(d["even"])


@at(P)
def namedtuple_idiom(x):
    Pt = namedtuple("Pt", "x y")
    p = Pt(x[0], x[1])
    q = p._replace(x=x[2])
    return math.hypot(p.x - q.x, p.y) + sum(q)


@at(P)
def sorted_key_idiom(x):
    pts = [(x[i], x[(i + 1) % 4]) for i in range(4)]
    pts.sort(key=lambda p: p[0] * p[1], reverse=True)
    return pts[0][0] ** 2 + pts[-1][1]


@at(P)
def callobj_idiom(x):
    class Net:
        def __init__(s, w):
            s.w = w

        def __call__(s, a):
            return np.tanh(s.w * a).sum()

    return Net(x)(np.arange(4.0))


@at(P)
def ctx_idiom(x):
    @contextlib.contextmanager
    def scaled(v):
        yield v * 2

    with scaled(x[0]) as a, scaled(x[1]) as b:
        return a * b


@at(P)
def tryelse_idiom(x):
    tot = 0.0
    for v in x:
        try:
            if v > 1:
                raise KeyError("big")
        except KeyError:
            tot += v**2
        else:
            tot += v
    return tot


@at(P)
def match_cls_idiom(x):
    @dataclass
    class Pt:
        x: float
        y: float

    match Pt(x[0], x[1]):
        case Pt(x=a, y=b) if a > b:
            return a * b
        case Pt(a, b):
            return a + b * b


@at(P)
def lru_idiom(x):
    @lru_cache(None)
    def fib(n):
        return x[0] if n < 2 else fib(n - 1) + fib(n - 2) * x[1]

    return fib(10)


@at(P)
def gen_send_idiom(x):
    def avg():
        tot = 0.0
        n = 0
        a = None
        while True:
            v = yield a
            tot += v
            n += 1
            a = tot / n

    c = avg()
    next(c)
    r = 0.0
    for v in x:
        r = c.send(v) ** 2
    return r


@at(P)
def yieldfrom_idiom(x):
    def inner(v):
        yield from (e * 2 for e in v)

    def outer(v):
        yield from inner(v[:2])
        yield from inner(v[2:])

    return math.prod(outer(x))


@at(P)
def itert_idiom(x):
    return (
        sum(a * b for a, b in itertools.combinations(x, 2))
        + sum(itertools.accumulate(x, lambda a, b: a * b))
        + sum(v for k, g in itertools.groupby(x, key=lambda v: v > 1) for v in g)
        + sum(map(operator.mul, itertools.cycle([1, 2]), x))
    )


@at(P)
def deco_idiom(x):
    def twice(f):
        @wraps(f)
        def w(*a, **k):
            return f(f(*a, **k))

        return w

    @twice
    def sq(v):
        return v * v + 1

    return sq(x[0])


@at(P)
def disp_idiom(x):
    @singledispatch
    def f(v):
        return v * 1

    @f.register
    def _(v: float):
        return v * 2

    @f.register
    def _(v: np.ndarray):
        return v.sum() * 3

    @f.register(list)
    def _(v):
        return sum(v) * 4

    return f(x) + f(float(x[0])) + f([x[1], x[2]]) + f(x[3])


@at(P)
def rec_idiom(x):
    def q(v):
        if len(v) <= 1:
            return v
        p = v[0]
        return q([e for e in v[1:] if e < p]) + [p] + q([e for e in v[1:] if e >= p])

    s = q(list(x))
    return s[0] * 1 + s[1] * 2 + s[2] * 3 + s[3] * 4


@at(P)
def dcls_frozen_idiom(x):
    @dataclass(frozen=True, slots=True)
    class V:
        a: float
        b: float

        def __add__(s, o):
            return V(s.a + o.a, s.b + o.b)

        def __mul__(s, k):
            return V(s.a * k, s.b * k)

        __rmul__ = __mul__

        def norm(s):
            return math.sqrt(s.a**2 + s.b**2)

    v = V(x[0], x[1]) + 2 * V(x[2], x[3])
    return v.norm()


@at(P)
def dcls_post_idiom(x):
    @dataclass
    class S:
        r: float
        area: float = field(init=False)

        def __post_init__(s):
            s.area = math.pi * s.r**2

    return S(x[0]).area + sum(dataclasses.astuple(S(x[1]))) + dataclasses.asdict(S(x[2]))["area"]


@at(P)
def inherit_idiom(x):
    class A(abc.ABC):
        def __init__(s, k):
            s.k = k

        @abc.abstractmethod
        def f(s, v): ...
        def total(s, vs):
            return sum(s.f(v) for v in vs)

    class B(A):
        def __init__(s, k, j):
            super().__init__(k)
            s.j = j

        def f(s, v):
            return s.k * v**2 + s.j

    return B(x[0], x[1]).total(x)


@at(P)
def descriptor_idiom(x):
    class Pos:
        def __set_name__(s, o, n):
            s.n = "_" + n

        def __get__(s, o, t=None):
            return getattr(o, s.n) * 2

        def __set__(s, o, v):
            setattr(o, s.n, abs(v))

    class A:
        v = Pos()

    a = A()
    a.v = -x[0]
    return a.v**2


@at(P)
def copy_idiom(x):
    d = {"a": [x[0], x[1]], "b": np.array(x)}
    e = copy.deepcopy(d)
    e["a"][0] = x[2]
    e["b"][0] = x[3]
    return d["a"][0] + e["a"][0] ** 2 + d["b"][0] * e["b"].sum()


@at(P)
def out_idiom(x):
    y = np.empty(4)
    np.multiply(x, x, out=y)
    np.add(y, 1, out=y)
    np.cumsum(y, out=y)
    return y[-1] * y[0]


@at(P)
def stats_idiom(x):
    return (
        statistics.mean(x)
        + statistics.fmean(x)
        + statistics.stdev(x)
        + statistics.pvariance(x)
        + statistics.median(x)
        + statistics.geometric_mean(x)
        + statistics.harmonic_mean(x)
        + statistics.median_low(x)
    )


@at(P)
def regression_of_statistics(x):
    s = statistics.linear_regression([0, 1, 2, 3], list(x))
    return (
        s.slope
        + s.intercept * 2
        + statistics.correlation([0, 1, 2, 3.0], list(x))
        + statistics.quantiles(x)[1]
        + statistics.covariance([0, 1, 2, 3.0], list(x))
    )


@at(P)
def r_c_idiom(x):
    return (
        np.r_[x[0], x[1:3], 1:3, 0.0].sum()
        + (np.c_[x, x**2] @ [1.0, 2.0]).sum()
        + np.hstack([x, [1, x[0]]]).sum()
        + np.block(
            [[np.outer(x[:2], x[:2]), np.zeros((2, 1))], [np.ones((1, 2)), np.array([[x[0]]])]]
        ).sum()
    )


@at(P)
def lists_idiom(x):
    l = [x[0]] * 3
    l[1] += x[1]
    l.append(x[2])
    l.extend(x)
    l.insert(0, 1)
    l.pop()
    l.reverse()
    del l[0]
    return sum(l) * l[l.index(x[1])] if x[1] in l else sum(l)


@at(P)
def ramps_and_full(x):
    return (
        np.linspace(x[0], x[1], 5).sum()
        + np.arange(3) @ x[:3]
        + np.logspace(x[0], x[1], 3).sum()
        + np.geomspace(x[0], x[1], 3).sum()
        + np.full(3, x[2]).prod()
        + np.full((2, 2), [x[0], x[1]]).sum()
        + np.tile(x, 2).sum()
        + np.repeat(x, 2).max()
        + np.eye(2)[0] @ x[:2]
    )


@at(P)
def views_idiom(x):
    A = np.zeros((2, 2))
    A.flat[:] = x
    r = A[0]
    r *= 2
    A.T[1] += 1
    A.ravel()[0] = 7
    return A.sum() + np.diagonal(A).sum() + A.flat[3]


@at(P)
def augattr_idiom(x):
    class M:
        pass

    m = M()
    m.w = np.zeros(4)
    m.w += x
    m.w[0] *= 2
    m.h = []
    m.h += [m.w.sum()]
    return m.h[0] ** 2


@at(P)
def matrixcls_idiom(x):
    class Mat:
        def __init__(s, r):
            s.r = r

        def __matmul__(s, o):
            return Mat([[sum(a * b for a, b in zip(r, c)) for c in zip(*o.r)] for r in s.r])

        def __getitem__(s, ij):
            return s.r[ij[0]][ij[1]]

    m = Mat([[x[0], x[1]], [x[2], x[3]]])
    return (m @ m)[0, 1]


@at(P)
def opovl_idiom(x):
    class D:
        def __init__(s, v, d=0.0):
            s.v, s.d = v, d

        def __add__(s, o):
            o = o if isinstance(o, D) else D(o)
            return D(s.v + o.v, s.d + o.d)

        __radd__ = __add__

        def __mul__(s, o):
            o = o if isinstance(o, D) else D(o)
            return D(s.v * o.v, s.v * o.d + s.d * o.v)

        __rmul__ = __mul__

        def __pow__(s, n):
            return reduce(operator.mul, [s] * n)

        def __neg__(s):
            return s * -1

        def __lt__(s, o):
            return s.v < o.v

        def __float__(s):
            return float(s.v)

    y = D(x[0], 1.0) ** 3 + 2 * D(x[1]) + D(x[2]) * D(x[3], 2.0)
    return y.d * y.v


@at(P)
def itercls_idiom(x):
    class R:
        def __init__(s, v):
            s.v = v
            s.i = 0

        def __iter__(s):
            s.i = 0
            return s

        def __next__(s):
            if s.i >= 4:
                raise StopIteration
            s.i += 1
            return s.v[s.i - 1] * s.i

    return sum(R(x)) + max(R(x)) + sum(a * b for a, b in zip(R(x), x)) + list(R(x))[2]


@at(P)
def typing_nt_idiom(x):
    class S(typing.NamedTuple):
        p: float
        q: float = 2.0

        def e(self):
            return self.p * self.q

    return S(x[0]).e() + S(x[1], x[2]).e()


@at(P)
def array_of_arrays_idiom(x):
    return (
        np.array([[x[0], 1], [2, x[1]]]).sum()
        + np.array([np.array([x[0], x[1]]), x[2:]]).prod()
        + np.stack([x, x * 2], axis=1)[2, 1]
        + np.vstack((x, x))[1].sum()
    )
