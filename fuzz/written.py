"""Code as newcomers write it: classes, generators, comprehensions, Python's own mathematics.

A template is a few lines that make ``@n`` from arrays; ``@1``, ``@2`` are names of their own. Holes
are those of ``slots.py``.
"""

from __future__ import annotations

import re
from typing import Any

Scope = Any


def _split(table: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in re.split(r"\n---\n", table.strip()))


CLASSES = _split(
    """
class @1:
    def __init__(self, rate, start):
        self.rate, self.state = rate, start
    def step(self, u):
        self.state = self.state * 0.5 + self.rate * u
        return self.state
@2 = @1(0.3, {a})
@n = @2.step({b}) + @2.step(0.5)
---
class @1:
    scale = 0.5
    def __init__(self, values):
        self.values = values
    @property
    def total(self):
        return np.sum(self.values) * self.scale
    def __call__(self, u):
        return u * self.total
@n = @1({x})({a})
---
class @1:
    def __init__(self, u):
        self.u = u
    def __add__(self, other):
        return @1(self.u + 0.5 * other.u)
    def __mul__(self, k):
        return @1(self.u * k)
    __rmul__ = __mul__
@n = (2 * @1({a}) + @1({a}) * 0.3).u
---
class @1:
    def f(self, u):
        return np.sin(u)
class @2(@1):
    def f(self, u):
        return super().f(u) * 0.5 + u
@n = @2().f({a})
---
class @1:
    @staticmethod
    def half(u):
        return u * 0.5
    @classmethod
    def twice(cls, u):
        return cls.half(cls.half(u))
@n = @1.twice({a})
---
class @1:
    def __init__(self, u):
        self.u = u
    def __len__(self):
        return len(self.u)
    def __getitem__(self, i):
        return self.u[i] * 2
@n = sum(@1({x})[i] for i in range(len(@1({x}))))
---
class @1:
    def __init__(self):
        self.log = []
    def __enter__(self):
        return self
    def __exit__(self, *ignored):
        self.log.append(1)
with @1() as @2:
    @n = {a} * (1 + len(@2.log))
---
@1 = Pair({a}, [{b}, 0.5])
@1.second[0] = @1.second[0] * @1.second[1]
@n = @1.first - @1.second[0]
---
@1 = dataclasses.replace(Pair({a}, {b}), second=2.0)
@n = @1.first * @1.second
---
@1 = types.SimpleNamespace(u={a}, k=3)
@1.u = @1.u * @1.k
@n = @1.u + 1
---
@1 = Point({a}, 0.5)
@2 = @1._replace(y={b})
@n = @2.x * @1.y + sum(p * 0.1 for p in [@2.y])
"""
)
FUNCTIONS = _split(
    """
def @1(u, k):
    for i in range(k):
        yield u * (i + 1)
@n = sum(@1({a}, 3))
---
def @1(u):
    for row in u:
        if np.sum(row) > 0:
            yield row * 2
@n = sum(@1({x}), 0.5)
---
def @1(u):
    total = 0.0
    for row in u:
        total = total + np.mean(row)
        yield total
@n = np.array(list(@1({x})))
---
def @1(u, k):
    return u if k == 0 else np.sin(@1(u, k - 1)) + 0.1
@n = @1({a}, 4)
---
def @1(n, u):
    return n if n < 2 else @1(n - 1, u) * u + @1(n - 2, u)
@n = @1(5, np.mean({r}))
---
def @1(*parts, scale=1.0, **more):
    return sum(parts) * scale + more.get('shift', 0)
@n = @1({a}, {a}, scale=0.5, **{'shift': {num}})
---
def @1(f):
    @functools.wraps(f)
    def inner(*args):
        return f(*args) * 0.5
    return inner
@@1
def @2(u):
    return np.cos(u)
@n = @2({a})
---
@1 = functools.partial(np.multiply, {a})
@n = @1(0.5)
---
@1 = [lambda u, k=k: u * k + 0.1 for k in range(3)]
@n = @1[2](@1[1]({a}))
---
@1 = {'sin': np.sin, 'half': lambda u: u * 0.5}
@n = @1['half'](@1['sin']({a}))
---
def @1():
    total = {a}
    def add(u):
        nonlocal total
        total = total + u
    add({b})
    add(0.5)
    return total
@n = @1()
---
def @1(f, u, h=1e-2):
    return (f(u + h) - f(u - h)) / (2 * h)
@n = @1(lambda u: np.sin(u) * {num}, {a})
---
def @1(lo, hi):
    for _ in range(6):
        mid = 0.5 * (lo + hi)
        if mid ** 3 + mid - 0.3 > 0:
            hi = mid
        else:
            lo = mid
    return mid
@n = @1(np.min({r}) - 2, np.max({r}) + 2)
---
@1 = np.sum({r} ** 2) + 1
@2 = @1
while abs(@2 ** 2 - @1) > 1e-6:
    @2 = 0.5 * (@2 + @1 / @2)
@n = @2 * {a}
---
@1 = 0
@2 = {r}
while True:
    @2 = np.tanh(@2) * 0.9
    @1 += 1
    if np.max(abs(@2)) < 0.4 or @1 >= 8:
        break
@n = @2 * @1
---
for @1 in range(4):
    if np.sum({r}) > @1 * 0.2:
        continue
    break
else:
    @1 = 7
@n = {r} * @1
---
match np.ndim({a}):
    case 0:
        @n = {a} * 2
    case 1 | 2:
        @n = np.sum({a})
    case _:
        @n = {a} - 1
---
if (@1 := np.sum({r})) > 0.1:
    @n = @1 * {r}
else:
    @n = {r} - @1
"""
)
ARRAYS = _split(
    """
@1 = np.zeros({n})
for @2 in range(len(@1)):
    @1[@2] = np.sum({r}) * (@2 + 1)
@n = @1
---
@1 = np.zeros_like({x})
@1[0] = {x}[-1]
@1[-1] += 0.5
@n = @1 * {x}
---
@1 = np.ones((3, 2))
@1[1] = np.mean({r})
@1[:, 0] *= 2
@n = @1
---
@1 = np.empty((2, len({v})))
@1[0] = {v}
@1[1, :] = {v} ** 2
@n = @1.T @ @1
---
@n = np.array([np.sum({r}), 0.5, np.max({r})])
---
@n = np.array([[math.cos(np.sum({r})), -1.0], [1.0, np.mean({r})]]) @ np.array([1.0, 0.5])
---
@n = np.array([math.exp(-u ** 2) for u in {v}])
---
@n = np.array([u * k for k, u in enumerate({v})]) if len({v}) else {v}
---
@n = np.array([[u * w for u in {v}[:3]] for w in {v}[:2]])
---
@n = math.sqrt(1 + float(np.sum({r})) ** 2) * {a}
---
@n = math.hypot(np.mean({r}), 1.0) + math.atan2(np.sum({r}), 2) + math.log1p(np.sum({r} ** 2))
---
@n = float(np.sum({r})) ** 2 * {a} if math.isfinite(np.sum({r})) else {a}
---
@n = {r}.sum().item() * {a} + int(np.sum({r} > 0))
---
@n = np.where({r} > 0.5, {r} ** 2, np.where({r} > 0, {r}, np.where({r} > -0.5, -{r}, 0.1)))
---
@n = np.select([{r} > 0.3, {r} > 0, {r} > -1], [{r} * 2, {r} ** 2, 0.5], 1.0)
---
@n = np.where(np.isnan({r}), 0.0, np.sqrt(np.where({r} > 0, {r}, 1.0)))
---
@n = {a} ** 3 - 2 * {a} ** 2 + {a} ** 1 + {a} ** 0
---
@n = (1 + abs({r})) ** -2 + np.power({r}, 4) - (2 + {r}) ** np.arange(1, 2)
---
@n = sum(u ** k for k, u in enumerate({v}))
---
@n = np.sum({v}[:, None] ** np.arange(4), axis=1)
---
@n = np.float32(0.5) * {r} + np.ones(1, np.float32) * np.mean({r})
---
@n = ({r}.astype(np.float32) * 2).astype(np.float64) + {r}
---
@n = scipy.sparse.csr_matrix(wave((3, len({v})), 2)) @ {v}
---
@n = scipy.sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(len({v}), len({v}))).tocsr() @ {v}
---
@n = scipy.sparse.csr_matrix(np.eye(len({m})) * 0.5) @ {m} * 2
---
@1 = scipy.sparse.csc_matrix(3.0 * np.eye(len({v})) + wave((len({v}),) * 2, 3) * 0.2)
@n = scipy.sparse.linalg.spsolve(@1, {v}) if len({v}) > 1 else {v}
---
@n = np.vectorize(lambda u: u * 0.5 if u > 0 else u ** 2)({y}) if {y}.size else {y}
---
@n = np.r_[{v}, 0.5, {v}[:1]] * 2
---
@n = np.c_[{v}, {v} * 2]
---
@n = np.fromiter((u * 2 for u in {v}), float, len({v}))
---
@1 = 0.0
for @2 in np.ndindex({x}.shape):
    @1 += {x}[@2] * (sum(@2) + 1)
@n = @1
---
@1 = 0.0
for @2, u in np.ndenumerate({x}):
    @1 = @1 + u * @2[0]
@n = @1
---
@n = sum(p * q for p, q in itertools.pairwise({v})) + 0.5
---
@n = max({v}) - min({v}) + sum(sorted({v})[:2])
---
@1 = sorted(range(len({v})), key=lambda i: {v}[i])
@n = {v}[@1] * np.arange(len({v}))
---
@1 = [row for row in {x} if np.sum(row) > 0]
@n = np.stack(@1) * 0.5 if @1 else np.zeros(2)
---
@1 = {k: np.sum(row) for k, row in enumerate({x})}
@n = sum(k * u for k, u in @1.items())
---
@n = any(u > 0.5 for u in np.ravel({r})) * {r} + all(u < 5 for u in np.ravel({r}))
---
@1 = list(np.ravel({a}))
@1.append(0.5)
@1[0] = @1[-1] * 2
@n = np.array(@1)
---
@1 = [[0.0] * 2 for _ in range(2)]
@1[0][1] = np.sum({r})
@1[1][0] += np.mean({r})
@n = np.array(@1) @ np.array([1.0, -1.0])
---
@1 = len({v})
@n = np.zeros((@1, @1))
for @2 in range(@1):
    @n[@2, @2] = {v}[@2]
    if @2:
        @n[@2, @2 - 1] = -0.5 * {v}[@2 - 1]
---
@n = np.linalg.solve(np.eye(len({v})) * 3 + np.outer({v}, {v}), {v})
---
@1 = np.eye(2)
for @2 in range(3):
    @1 = np.linalg.inv(@1 * 0.5 + np.eye(2) * (1 + np.mean({r}) ** 2))
@n = @1
---
@1 = {v} * 1.0
for @2 in range(3):
    @1 = @1 / (np.linalg.norm(@1) + 0.5) - 0.1 * np.dot(@1, @1)
@n = @1
---
@n, @1 = wg.scan(lambda c, r: (c * 0.5 + r, np.sin(c)), np.mean({r}), \
np.arange(1.0 + np.count_nonzero({r} > 0)))
---
@n = wg.fori_loop(0, 1 + int(np.count_nonzero({r} > 0)), lambda i, c: c * 0.8 + i * 0.1, {a})
"""
)
TEMPLATES = {"class": CLASSES, "function": FUNCTIONS, "array": ARRAYS}


def written(scope: Scope) -> str:
    """Write a few lines of one template."""
    text = scope.rng.choice(TEMPLATES[scope.rng.choice(("class", "function", "array", "array"))])
    names = {f"@{k}": scope.fresh(p) for k, p in (("1", "c"), ("2", "d"), ("n", "t"))}
    filled: str = scope.slots.fill(text)
    return re.sub(r"@[12n]\b", lambda m: names[m.group(0)], filled)
