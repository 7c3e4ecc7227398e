"""Functions that look something up outside of their arguments, and what changes it.

Each case is a function that returns ``(f, change)``; ``f(x)`` takes an array of three numbers. `f`
has module-level globals where it needs some: `set_global` changes them.
"""

from __future__ import annotations

import array
import collections
import dataclasses
import functools
import types

import numpy as np

NUMBER = 2.0
TABLE = {"a": 1.0, "b": 5.0}
ARRAY = np.ones(3)


class Config:
    rate = 2.0


@dataclasses.dataclass
class Options:
    scale: float = 2.0
    kind: str = "double"


class Model:
    bias = 1.0

    def __init__(self):
        self.w = np.ones(3)
        self.rate = 2.0
        self.layers = [types.SimpleNamespace(w=2.0), types.SimpleNamespace(w=3.0)]
        self.calls = 0

    def __call__(self, x):
        return self.rate * x

    def loss(self, x):
        self.calls += 1
        for layer in self.layers:
            x = layer.w * x
        return self.helper(x) * self.bias

    def helper(self, x):
        return self.w * x * self.half

    @property
    def half(self):
        return self.rate / 2


class Slots:
    __slots__ = ("w",)

    def __init__(self):
        self.w = 2.0


def scaled(x):
    return NUMBER * x


def decorated(f):
    @functools.wraps(f)
    def wrapper(x):
        return f(x)

    return wrapper


def set_global(name, value):
    def change():
        globals()[name] = value

    return change


def reset():
    """Set what is changed at the top level to what it was."""
    globals().update(NUMBER=2.0, ARRAY=np.ones(3))
    TABLE.clear()
    TABLE.update(a=1.0, b=5.0)
    Config.rate = 2.0


def closure(value, use, change=None, new=None):
    """`use` of a variable of an enclosing function, which is changed or bound anew."""

    def case():
        v = value() if callable(value) else value

        def f(x):
            return use(v, x)

        def rebind():
            nonlocal v
            v = new

        return f, rebind if change is None else (lambda: change(v))

    return case


def attribute(make, use, name, value):
    def case():
        o = make()
        return (lambda x: use(o, x)), (lambda: setattr(o, name, value))

    return case


def of(f, change):
    return lambda: (f, change)


def nested():
    lam = 2.0

    def f(x):
        def inner(y):
            return lam * y

        return inner(x)

    def change():
        nonlocal lam
        lam = 7.0

    return f, change


def bound(name, value, method=Model.loss):
    def case():
        m = Model()
        return method.__get__(m), lambda: setattr(m, name, value)

    return case


def layer():
    m = Model()
    return m.loss, lambda: setattr(m.layers[1], "w", 9.0)


def class_attribute():
    class Local(Model):
        bias = 1.0

    m = Local()
    return m.loss, lambda: setattr(Local, "bias", 4.0)


def instance_over_class():
    m = Model()
    return m.loss, lambda: setattr(m, "bias", 4.0)


def partial():
    o = types.SimpleNamespace(w=2.0)
    return functools.partial(lambda o, x: o.w * x, o), lambda: setattr(o, "w", 4.0)


def default():
    w = {"a": 1.0}

    def f(x, w=w):
        return w["a"] * x

    return f, lambda: w.update(a=4.0)


def kwdefault():
    w = [1.0]

    def f(x, *, w=w):
        return w[0] * x

    return f, lambda: w.append(w.pop() + 3)


def replaced_function():
    scale = lambda x: 2 * x  # noqa: E731

    def f(x):
        return scale(x)

    def change():
        nonlocal scale
        scale = lambda x: 5 * x  # noqa: E731

    return f, change


def module():
    m = types.ModuleType("settings")
    m.__file__ = __file__
    m.lam = 2.0
    return (lambda x: m.lam * x), lambda: setattr(m, "lam", 4.0)


def by_string():
    m = Model()
    return (lambda x: getattr(m, "rate") * x), lambda: setattr(m, "rate", 4.0)  # noqa: B009


def counter():
    """Counts, and computes with the count, so every call is another."""
    n = 0

    def f(x):
        nonlocal n
        n += 1
        return x * (n % 1) + scaled(x)

    return f, set_global("NUMBER", 6.0)


STATE = {
    "a global number": lambda: (scaled, set_global("NUMBER", 3.0)),
    "a global list by way of a call": lambda: (
        lambda x: sum(TABLE.values()) * x, lambda: TABLE.update(b=TABLE["b"] + 1)
    ),
    "order of a global dict": lambda: (
        lambda x: sum(i * v for i, v in enumerate(TABLE.values())) * x,
        lambda: TABLE.update(a=TABLE.pop("a")),
    ),
    "a global array bound anew": lambda: (
        lambda x: ARRAY * x, set_global("ARRAY", np.arange(3.0))
    ),
    "through a decorator": lambda: (decorated(scaled), set_global("NUMBER", 5.0)),
    "a class attribute": of(
        lambda x: Config.rate * x, lambda: setattr(Config, "rate", Config.rate + 1)
    ),
    "a number": closure(2.0, lambda v, x: v * x, new=3.0),
    "a number's type": closure(2, lambda v, x: x * (v / 4 if type(v) is int else 9), new=2.0),
    "-0.0": closure(0.0, lambda v, x: x * np.copysign(1.0, v), new=-0.0),
    "a NumPy number": closure(np.float32(2), lambda v, x: v * x, new=np.float64(2.5)),
    "None": closure(None, lambda v, x: x if v is None else v * x, new=3.0),
    "a string": closure("sin", lambda v, x: getattr(np, v)(x), new="cos"),
    "a list": closure(lambda: [1.0, 2.0], lambda v, x: v[0] * x, lambda v: v.reverse()),
    "a longer list": closure(lambda: [1.0], lambda v, x: len(v) * x, lambda v: v.append(1.0)),
    "a list of lists": closure(lambda: [[1.0]], lambda v, x: v[0][0] * x,
                               lambda v: v[0].__setitem__(0, 4.0)),
    "a list of arrays": closure(lambda: [np.ones(3)], lambda v, x: v[0] * x,
                                lambda v: v.__setitem__(0, np.zeros(3))),
    "a list of objects": closure(lambda: [Slots()], lambda v, x: v[0].w * x,
                                 lambda v: setattr(v[0], "w", 4.0)),
    "a set": closure(lambda: {1}, lambda v, x: len(v) * x, lambda v: v.add(2)),
    "a dict": closure(lambda: {"a": 1.0}, lambda v, x: v["a"] * x, lambda v: v.update(a=3.0)),
    "keys of a dict": closure(lambda: {1: 1.0}, lambda v, x: sum(v) * x,
                              lambda v: v.update({5: 1})),
    "a deque": closure(lambda: collections.deque([1.0]), lambda v, x: v[0] * x,
                       lambda v: v.appendleft(4.0)),
    "a defaultdict": closure(lambda: collections.defaultdict(float, a=1.0),
                             lambda v, x: v["a"] * x, lambda v: v.update(a=4.0)),
    "a bytearray": closure(lambda: bytearray(b"ab"), lambda v, x: v[0] * x,
                           lambda v: v.__setitem__(0, 3)),
    "an array of the array module": closure(lambda: array.array("d", [1.0]), lambda v, x: v[0] * x,
                                            lambda v: v.__setitem__(0, 3.0)),
    "a function bound anew": replaced_function,
    "a nested function's": nested,
    "an object": attribute(
        lambda: types.SimpleNamespace(w=2.0), lambda o, x: vars(o)["w"] * x, "w", 3.0
    ),
    "a dataclass": attribute(Options, lambda o, x: o.scale * x, "scale", 3.0),
    "a dataclass's string": attribute(Options, lambda o, x: x * len(o.kind), "kind", "one"),
    "slots": attribute(Slots, lambda o, x: o.w * x, "w", 3.0),
    "called objects": attribute(Model, lambda o, x: o(x), "rate", 3.0),
    "an object that is called": lambda: (lambda m: (m, lambda: setattr(m, "rate", 3.0)))(Model()),
    "a method": bound("w", np.arange(3.0)),
    "a property": bound("rate", 5.0),
    "an object in an object": layer,
    "a class attribute by self": class_attribute,
    "an attribute over one of the class": instance_over_class,
    "functools.partial": partial,
    "a default": default,
    "a keyword default": kwdefault,
    "a module": module,
    "getattr": by_string,
    "with a counter": counter,
}  # fmt: skip


CONTENT = {
    "2 * w * x": (lambda w, x: 2 * w * x, [1.0, 2, 3], [4.0, 5, 6]),
    "w[1] * x": (lambda w, x: w[1] * x, [1.0, 2, 3], [4.0, 5, 6]),
    "w.sum()": (lambda w, x: w.sum() * x, [1.0, 2, 3], [4.0, 5, 6]),
    "float(w[0])": (lambda w, x: float(w[0]) * x, [1.0, 2, 3], [4.0, 5, 6]),
    "if w[0] > 2": (lambda w, x: x if w[0] > 2 else -x, [1.0, 2, 3], [4.0, 5, 6]),
    "np.diff(w)": (lambda w, x: np.diff(w)[0] * x, [1.0, 2, 3], [4.0, 7, 6]),
    "for v in w": (lambda w, x: sum(v * x for v in w), [1.0, 2, 3], [4.0, 5, 6]),
    "both ways": (lambda w, x: w * x + np.max(w), [1.0, 2, 3], [4.0, 5, 6]),
    "two lines": (lambda w, x: (lambda s: w * x + s)(w @ w), [1.0, 2, 3], [4.0, 5, 6]),
    "x[w > 1]": (lambda w, x: x[w > 1], [1.0, 2, 3], [4.0, 5, 0]),
    "x[mask]": (lambda w, x: x[w], [True, False, True], [False, True, True]),
    "x[:w]": (lambda w, x: x[: w[0]], [1], [2]),
    "np.where(w)": (lambda w, x: x[np.where(w)[0]], [True, False, True], [False, True, True]),
    "np.roll(x, w)": (lambda w, x: np.roll(x, w), [1], [2]),
    "x.repeat(w)": (lambda w, x: x.repeat(w), [1, 0, 2], [2, 2, 0]),
    "np.tile": (lambda w, x: np.tile(x, w), [1], [2]),
    "x.take(w)": (lambda w, x: x.take(w), [0, 1], [2, 0]),
    "np.put": (lambda w, x: (lambda y: (np.put(y, w, 7.0), y)[1])(x * 1), [0], [2]),
    "np.split": (lambda w, x: np.split(x, w)[0], [1], [2]),
    "np.pad": (lambda w, x: np.pad(x, w), [1, 2], [0, 1]),
    "np.clip(x, *w)": (lambda w, x: np.clip(x, *w), [0.0, 0.5], [-1.0, 0.1]),
    "np.interp": (lambda w, x: np.interp(x, w, [0.0, 1, 2]), [-1.0, 0, 1], [-2.0, 0, 4]),
    "np.histogram": (lambda w, x: np.histogram(x, w, weights=x)[0], [-1.0, 0, 1], [-1.0, 0.5, 1]),
    "np.percentile": (lambda w, x: np.percentile(x, w), [10.0, 50], [20.0, 90]),
    "np.sum(where=)": (lambda w, x: np.sum(x, where=w), [True, False, True], [False, True, True]),
    "np.add.reduceat": (lambda w, x: np.add.reduceat(x, w), [0, 1], [0, 2]),
    "np.convolve": (lambda w, x: np.convolve(x, w), [1.0, 2], [3.0, -1]),
    "np.vander": (lambda w, x: np.vander(x, w[0]), [2], [3]),
    "reshape": (lambda w, x: np.resize(x, w), [2, 2], [1, 3]),
    "arange": (lambda w, x: x[0] * np.arange(w[0]), [2], [3]),
    "in a list": (lambda w, x: (lambda v: v[0][0] * x)([w]), [1.0, 2], [3.0, 4]),
    "by an alias": (lambda w, x: (lambda v: 2 * v * x)(w), [1.0, 2, 3], [3.0, 4, 5]),
}
"""Ways in which a recording reads the content of an array: ``(f, before, after)``."""


def predict(w, x):
    return np.tanh(w * x)


BY_REFERENCE = {
    "w * x": lambda w, x: w * x,
    "x + w": lambda w, x: x + w,
    "w @ x": lambda w, x: w @ x,
    "np.dot": lambda w, x: np.dot(w, x),
    "np.maximum": lambda w, x: np.maximum(x, w),
    "np.where": lambda w, x: np.where(w > x, w, x),
    "w.T * x": lambda w, x: w.T * x,
    "through a function": lambda w, x: predict(w, x),
    "through a local name": lambda w, x: (lambda v: v * x)(w),
    "twice": lambda w, x: w * x + w,
    "with its shape": lambda w, x: w * x / len(w) / w.shape[0],
    "np.concatenate": lambda w, x: np.concatenate([w, x]),
}
"""Ways in which an array is an operand, so that a compiled program sees a change."""
