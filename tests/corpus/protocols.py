"""Programs with context managers, decorators, iterators, options and early returns."""

import collections
import contextlib
import copy
import functools
import math

import numpy as np
from corpus.registry import at


@contextlib.contextmanager
def scaled(state, factor):
    state["scale"] *= factor
    try:
        yield state
    finally:
        state["scale"] /= factor


class Recorder:
    def __init__(self):
        self.total = 0.0

    def __enter__(self):
        self.total = math.cos(self.total)
        return self

    def __exit__(self, kind, value, traceback):
        self.total = math.sqrt(self.total + 1)
        return kind is ValueError


@at((0.4, 1.2))
def context_managers(x, y):
    state = {"scale": x}
    recorder = Recorder()
    with scaled(state, y) as s, recorder:
        recorder.total += math.exp(s["scale"])
        raise ValueError
    return recorder.total * state["scale"]


def memoise(f):
    cache = {}

    @functools.wraps(f)
    def wrapper(n, *args):
        if n not in cache:
            cache[n] = f(n, *args)
        return cache[n]

    return wrapper


@at((0.4, 1.2))
def decorated_recursion(a, b):
    @memoise
    def fib(n):
        return (a, b)[n] if n < 2 else fib(n - 1) * 0.5 + math.sin(fib(n - 2))

    return fib(12)


def counted(limit):
    def decorate(f):
        calls = 0

        def wrapper(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls > limit:
                raise RecursionError("too many calls")
            return f(*args, **kwargs) * calls

        return wrapper

    return decorate


@at(0.7)
def closures_with_state(x):
    @counted(10)
    def f(v, *, power=2):
        return math.pow(v, power)

    return f(x) + f(x, power=3) + f(v=x + 1)


@functools.singledispatch
def size_of(shape):
    raise TypeError(type(shape))


@size_of.register
def _(shape: float):
    return math.pi * shape**2


@size_of.register(tuple)
def _(shape):
    a, b = shape
    return a * b


@at((0.7, 1.1))
def dispatched(r, w):
    return size_of(r) + size_of((w, 2.0))


@at((0.31, 0.57))
def inventory(reorder, quantity):
    stock, cost, backlog = 1.0, 0.0, collections.deque()
    for day, demand in enumerate([0.3, 0.5, 0.2, 0.6, 0.4, 0.3]):
        while backlog and backlog[0][0] <= day:
            stock += backlog.popleft()[1]
        sold = min(stock, demand)
        stock -= sold
        cost += 2.0 * (demand - sold) + 0.1 * stock
        if stock < reorder:
            backlog.append((day + 2, quantity))
            cost += 0.3 + quantity**2
    return cost


@at([0.9, 0.4, 1.3])
def tournament(strengths):
    """A knockout between copies of players."""

    class Player:
        def __init__(self, name, strength):
            self.name, self.strength = name, strength

        def __lt__(self, other):
            return math.exp(self.strength) < math.exp(other.strength)

    players = [Player(n, s) for n, s in zip("abc", strengths)]
    saved = copy.copy(players[0])
    saved.strength *= 2
    best, worst = max(players), min(players)
    ranked = sorted(players)
    return best.strength - worst.strength * saved.strength + ranked[1].strength


@at((0.5, 1.5), (2.5, 0.4))
def early_returns(x, y):
    if x > 2:
        return math.log(x) * y
    for k in range(1, 4):
        if k * y > 1.2:
            return math.sin(k * x) + y
    return x * y


@at((0.5, {"order": 3, "kind": "sin"}), (0.5, {"order": 2, "kind": "exp"}), argnums=(0,))
def options_in_a_dict(x, options):
    f = getattr(math, options["kind"])
    return sum(f(x * k) for k in range(1, options.get("order", 1) + 1)) / options.get("norm", 2)


def weighted(*values, weights=None, **extra):
    weights = weights or [1.0] * len(values)
    total = sum(w * v for w, v in zip(weights, values))
    return total + sum(math.sqrt(v) for v in extra.values())


@at([0.5, 1.5, 2.0])
def star_arguments(x):
    return weighted(*x) * weighted(*x[:2], weights=[0.3, 0.7], a=x[0], **{"b": x[2]})


class Stream:
    """An iterator of its own."""

    def __init__(self, start, ratio):
        self.value, self.ratio = start, ratio

    def __iter__(self):
        return self

    def __next__(self):
        if self.value < 0.05:
            raise StopIteration
        self.value = math.tanh(self.value) * self.ratio
        return self.value


@at((1.0, 0.6), (0.5, 0.8))
def iterator_class(start, ratio):
    first, *rest = Stream(start, ratio)
    return first + sum(v * v for v in rest) + list(Stream(start, 0.5))[-1]


class Units:
    """A number with a unit; attributes that are computed."""

    factors = {"cm": 0.01, "mm": 0.001}

    def __init__(self, metres):
        self.metres = metres

    def __getattr__(self, name):
        try:
            return self.metres / self.factors[name]
        except KeyError:
            raise AttributeError(name) from None

    def __format__(self, spec):
        return format(self.metres, spec) + " m"


@at(0.7)
def computed_attributes(x):
    u = Units(math.sqrt(x))
    assert f"{u:.1f}".endswith(" m")
    return u.cm * 0.01 + math.log(u.mm) + (1.0 if hasattr(u, "inch") else 0.5)


@at((0.7, 0.2))
def coroutine(x, gain):
    def filtered():
        state = 0.0
        while True:
            value = yield state
            state += gain * (value - state)

    f = filtered()
    next(f)
    out = [f.send(math.sin(k * x)) for k in range(6)]
    return out[-1] + max(out)


@at([0.3, 0.8, 0.5])
def walrus_and_while_else(x):
    k, total = 0, 0.0
    while (v := x[k]) < 0.9:
        total += v * (k + 1)
        k += 1
        if k == len(x):
            break
    else:
        total = -1.0
    return total if total > 0 else x.sum()


@at((1.2, 0.9), (0.2, 3.0))
def pipeline(x, y):
    steps = [math.sqrt, lambda v: v + y, functools.partial(pow, exp=2), np.tanh, abs]
    value = x
    for step in steps:
        value = step(value)
    return value
