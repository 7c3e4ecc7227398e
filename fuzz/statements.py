"""Statements beyond ``name = expression``: updates, decisions, loops, functions, containers.

Each function takes the generator's `Scope` and returns the text of one statement, or raises
`RejectedError` when there is nothing to write it about.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from fuzz.functional import functional
from fuzz.loops import python_loop
from fuzz.slots import FILLERS, RejectedError, Slots, Term, kind, ndim
from fuzz.tables import UPDATE_LINES
from fuzz.written import written

Scope = Any


def _writable(s: Slots, _: Any) -> Term:
    """A traced array that can be changed in place."""
    found = s.variable(lambda x: isinstance(x, np.ndarray) and x.flags.writeable and x.size > 0)
    if found is None:
        raise RejectedError
    return found


FILLERS["w"] = _writable


def _indent(lines: list[str]) -> str:
    return textwrap.indent("\n".join(lines), "    ")


def update(scope: Scope) -> str:
    """Change an array in place; the views of it, and what it is a view of, change with it."""
    return scope.slots.fill(scope.rng.choice(UPDATE_LINES))


def buffer(scope: Scope) -> str:
    """Fill an array made for the purpose, row by row."""
    name = scope.fresh()
    x = scope.slots.fill("{x}")
    base = scope.slots.env.get(x)
    if base is None or not ndim(base):
        raise RejectedError
    n = scope.rng.choice((2, 3))
    maker = scope.rng.choice(("zeros", "empty", "ones"))
    shape = (n, *np.shape(base))
    like = f", like={x}" if scope.rng.random() < 0.5 else ""
    head = f"{name} = np.{maker}({shape}, {x}.dtype{like})"
    step = scope.rng.choice(
        (
            f"{name}[i] = {x} * (i + 1)",
            f"{name}[i] = np.sin({name}[i - 1]) + {x} if i else {x}",
            f"{name}[i, ...] = {x} - i",
        )
    )
    return f"{head}\nfor i in range({n}):\n    {step}"


CONDITIONS = (
    "np.sum({r}) > 0.1",
    "np.max(abs({r})) < 0.8",
    "np.any({r} > 0.5)",
    "np.all(abs({r}) < 2)",
    "{r}.sum() <= {num}",
    "np.mean({r}) > 0 and np.max({r}) < 5",
    "not np.sum({r}) < 0",
    "0 < np.sum({r}) < 1",
    "np.argmax({y}) == 0",
    "bool(np.min({r}) < 0)",
    "int(np.sum({r} > 0)) % 2",
    "len({x}) > 1",
    "np.count_nonzero({r} > 0.1) > 1",
    "{r}.max() - {r}.min() > 0.5",
    "float(np.sum({r})) > 0.2",
    "np.allclose({r}, 0.5)",
    "np.sum({r}) == np.sum({r})",
)


def condition(scope: Scope) -> str:
    made: str = scope.slots.fill(scope.rng.choice(CONDITIONS))
    return made


def branch(scope: Scope) -> str:
    """An ``if``, whose two sides give one name a value of one shape."""
    name = scope.fresh()
    cond = condition(scope)
    base = scope.slots.fill("{a}")
    sides = []
    for _ in range(2):
        inner = scope.child({})
        inner.grow(scope.rng.choice((0, 0, 1)))
        term = inner.slots.fill(scope.rng.choice(SAME_SHAPE).replace("{q}", base))
        sides.append([*inner.lines, f"{name} = {term}"])
    if scope.rng.random() < 0.2 and len(sides[0]) == len(sides[1]) == 1:
        a, b = (side[0].split(" = ", 1)[1] for side in sides)
        return f"{name} = {a} if {cond} else {b}"
    return f"if {cond}:\n{_indent(sides[0])}\nelse:\n{_indent(sides[1])}"


SAME_SHAPE = (
    "{q} * 2",
    "np.sin({q})",
    "{q} - np.mean({r})",
    "-{q}",
    "{q} * np.max({r})",
    "{q} + 0.5",
    "{q} * {q}",
    "{q}",
    "{q}.copy()",
    "np.cos({q}) * np.sum({r})",
)


def update_if(scope: Scope) -> str:
    """An update made on one side of a decision only."""
    inner = scope.child({})
    line = update(inner)
    return f"if {condition(scope)}:\n{_indent([line])}"


def while_loop(scope: Scope) -> str:
    name = scope.fresh()
    start = scope.slots.fill("{r}")
    bound = scope.rng.choice(("0.5", "0.2", "0.05"))
    body = [f"{name} = {name} * 0.6"]
    if scope.rng.random() < 0.3:
        body.insert(0, f"if np.sum({name}) < {scope.slots.number()}:\n    break")
    if scope.rng.random() < 0.3:
        return (
            f"{name} = {start}\nfor k in range(6):\n    if np.max(abs({name})) < {bound}:\n"
            f"        break\n    {name} = {name} * 0.5 + 0.01"
        )
    return f"{name} = {start}\nwhile np.sum({name} ** 2) > {bound}:\n{_indent(body)}"


def for_loop(scope: Scope) -> str:
    name = scope.fresh()
    a = scope.slots.fill("{a}")
    step = scope.rng.choice(
        (
            f"np.sin({name} + k)",
            f"{name} * 0.5 + {a}",
            f"{name} - 0.1 * {name} ** 3",
            f"np.tanh({name}) * (k + 1)",
        )
    )
    lines = [f"{name} = {step}"]
    if scope.rng.random() < 0.3:
        lines.append(f"if k == 1:\n    continue\n{name} = {name} + k * 0.1")
    return f"{name} = {a}\nfor k in range({scope.rng.choice((1, 2, 3))}):\n{_indent(lines)}"


def for_rows(scope: Scope) -> str:
    """Iterate over an array, and gather or change its rows."""
    name = scope.fresh()
    x = scope.slots.fill("{x}")
    form = scope.rng.randrange(4)
    if form == 0:
        return f"{name} = 0.0\nfor row in {x}:\n    {name} = {name} + np.sum(row) * 0.5"
    if form == 1:
        step = f"{name}.append(row * k)"
        return f"{name} = []\nfor k, row in enumerate({x}):\n    {step}\n{name} = np.stack({name})"
    if form == 2:
        return f"{name} = np.stack([np.sum(row ** 2) for row in {x}])"
    w = scope.slots.fill("{w}")
    return f"for row in {w}[::-1]:\n    row *= 0.5\n{name} = {w} + 0"


TRIES = (
    (
        "np.linalg.cholesky({h} - {num} * np.eye(2))",
        "np.linalg.LinAlgError",
        "np.linalg.cholesky({h})",
    ),
    ("np.linalg.inv({m})", "np.linalg.LinAlgError", "{m} * 2"),
    ("np.linalg.solve({m}, {v})", "(np.linalg.LinAlgError, ValueError)", "{v} * 1.0"),
    ("{x}[np.argmax({y}) + 1]", "IndexError", "{x}[0]"),
    ("{x}[3] * 2", "IndexError", "{x}[-1]"),
    ("{a} + {a1}", "ValueError", "{a} * 2"),
    ("{m} @ {m1}", "ValueError", "{m}"),
    ("float({r}.sum()) / 0 * {a}", "ZeroDivisionError", "{a} - 1"),
    ("{r}.reshape(3, 2)", "ValueError", "{r}.reshape(-1)"),
    ("[0.5, 1.5][int(np.sum({r} > 0))] * {a}", "IndexError", "{a}"),
    ("{{'a': {a}}}['b']", "KeyError", "np.cos({a})"),
    ("{a}.nothing", "AttributeError", "{a} + 2"),
)
RAISING = (
    ("np.log({r})", "np.zeros_like({r})"),
    ("np.sqrt({r})", "abs({r})"),
    ("{a} / ({b} * 0)", "{a}"),
    ("np.exp(900 * {r})", "np.exp({r})"),
    ("1 / {r}", "{r}"),
)


def try_block(scope: Scope) -> str:
    """What fails on some data, and the user's way out."""
    name = scope.fresh()
    if scope.rng.random() < 0.4:
        risky, instead = scope.rng.choice(RAISING)
        text = scope.slots.fill(f"{risky} @@ {instead}")
        risky, instead = text.split(" @@ ")
        return (
            f"with np.errstate(all='raise'):\n    try:\n        {name} = {risky}\n"
            f"    except FloatingPointError:\n        {name} = {instead}"
        )
    risky, error, instead = scope.rng.choice(TRIES)
    text = scope.slots.fill(f"{risky} @@ {instead}")
    risky, instead = text.replace("{{", "{").replace("}}", "}").split(" @@ ")
    return f"try:\n    {name} = {risky}\nexcept {error}:\n    {name} = {instead}"


def raised_by_user(scope: Scope) -> str:
    name = scope.fresh()
    a = scope.slots.fill("{a}")
    return (
        f"try:\n    if {condition(scope)}:\n        raise ValueError('too large')\n"
        f"    {name} = {a} * 2\n"
        f"except ValueError:\n    {name} = {a} - 1\nfinally:\n    {name} = {name} * 0.5"
    )


def closure(scope: Scope) -> str:
    """A nested function that reads what surrounds it, called once or twice."""
    name, f = scope.fresh(), scope.fresh("f")
    a = scope.slots.fill("{a}")
    inner = scope.child({"u": a})
    inner.grow(scope.rng.choice((0, 1, 2)))
    result = inner.slots.fill(scope.rng.choice(("{a}", "{a} + u", "np.sum({a}) * u", "u * {b}")))
    default = f", scale={scope.slots.number()}" if scope.rng.random() < 0.3 else ""
    body = [*inner.lines, f"return {result}" + (" * scale" if default else "")]
    made = f"def {f}(u{default}):\n{_indent(body)}"
    form = scope.rng.randrange(4)
    if form == 0:
        return f"{made}\n{name} = {f}({a})"
    if form == 1:
        return f"{made}\n{name} = {f}({f}({a}))"
    if form == 2:
        return f"{made}\n{name} = sum(map({f}, [{a}, {a} * 2]))"
    return f"{made}\n{name} = functools.reduce(lambda p, q: p * 0.5 + q, [{f}({a}), {f}(-{a})])"


CONTAINERS = (
    "d = {{'p': {a}, 'q': [{b}, 2.0]}}\n{n0} = d['p'] * d['q'][0] + d['q'][1]",
    "{n0} = sum(v * k for k, v in enumerate([{a}, {b}]))",
    "d = {{k: {a} * k for k in range(3)}}\n{n0} = sum(d.values())",
    "p = Pair({a}, {b})\np.first = p.first * 2\n{n0} = p.first + p.second",
    "p = [{x}, {x} * 2]\np[0] += 1\n{n0} = p[0] * p[1]",
    "p = ({a}, {b})\n(u, v) = p\n{n0} = u - v",
    "{n0} = [{a} * k for k in (1, 2)][-1]",
    "{n0} = copy.copy({a}) * 2",
    "{n0} = copy.deepcopy({a}) * 2",
    "{n0} = copy.deepcopy(Pair({a}, 1.0)).first",
    "p, *q = {x}\n{n0} = p + len(q)",
    "{n0} = list(itertools.accumulate({x}))[-1]",
    "{n0} = max({v}, key=lambda t: float(t))",
    "{n0} = sorted({v}.tolist())[0] if False else {v}[0]",
    "{n0} = dict(zip('ab', [{a}, {b}]))['b']",
    "p = [{a}]\np.append(p[-1] * 0.5)\n{n0} = p[1]",
    "{n0} = (lambda u, v=2.0: u * v)({a})",
    "g = wave({s0}, 3)\n{n0} = {q} * g\ng *= 2.0\n{n0} = {n0} + g * {q}",
    "g = wave({s0}, 4)\n{n0} = {q} * g\ng[...] = 1.5",
    "g = {{'a': 1.0}}\ng['a'] += {a}\n{n0} = g['a']",
)


def container(scope: Scope) -> str:
    name = scope.fresh()
    text = scope.rng.choice(CONTAINERS)
    if "{q}" in text:
        q = scope.slots.variable(lambda x: kind(x) == "f")
        if q is None:
            raise RejectedError
        text = text.replace("{q}", q.text).replace("{s0}", str(np.shape(q.value)))
    text = text.replace("{{", "\x01").replace("}}", "\x02").replace("{n0}", name)
    filled: str = scope.slots.fill(text)
    return filled.replace("\x01", "{").replace("\x02", "}")


STATEMENTS: dict[str, tuple[Callable[[Scope], str], int, int]] = {
    # name: the writer, how often it is taken, and in how many of a hundred programs
    "update": (update, 10, 60),
    "buffer": (buffer, 2, 20),
    "branch": (branch, 4, 40),
    "update_if": (update_if, 2, 25),
    "while": (while_loop, 2, 15),
    "for": (for_loop, 2, 20),
    "rows": (for_rows, 2, 20),
    "try": (try_block, 4, 15),
    "raise": (raised_by_user, 2, 6),
    "closure": (closure, 3, 25),
    "container": (container, 4, 30),
    "loop": (python_loop, 8, 45),
    "functional": (functional, 5, 30),
    "written": (written, 8, 40),
}
