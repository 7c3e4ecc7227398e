"""Loops, branches and batches written with ``wg.scan``, ``wg.cond``, ``wg.vmap`` and their kin."""

from __future__ import annotations

import textwrap
from typing import Any

from fuzz.loops import STARTS, TRIPS, split

Scope = Any

CARRIES = split(
    """
0.5 * c + 0.1 | np.sin(c) + np.mean(r) | np.tanh(c * np.sum(r)) | c + 0.1 * r
np.where(c > 0, c, 0.1 * c)
c * np.max(r) | c - 0.1 * c ** 3 | {m} @ c * 0.2 | c * 0.9 + 0.1 * {b}
c / (1 + abs(c)) + np.sum(r) * 0.1
np.exp(-c ** 2) | c | c + 0.1 * {a} | np.roll(c, 1) * 0.9 | c - np.mean(c)
np.where(np.sum(r) > 0, c * 0.5, -c) | np.concatenate([c[1:], c[:1]]) | np.cumsum(c) * 0.3
wg.cond(np.sum(c) > 0.2, lambda u: u * 0.5, lambda u: u + 0.3, c)
wg.fori_loop(0, 3, lambda k, u: u * 0.8 + k * 0.1, c)
"""
)
YIELDS = split(
    """
np.sum(c) | c * 2 | r | np.sum(r) * c | c ** 2 | np.max(r) | c + 0 | c[..., None]
np.sin(r) * np.mean(c)
"""
)
TESTS = split(
    """
np.sum(c ** 2) > 0.3 | np.max(abs(c)) > 0.2 | np.sum(abs(c)) > 0.5 | np.mean(c) > 0.1
"""
)
FUNCTIONAL = (
    "scan",
    "scan",
    "scan",
    "pair",
    "map",
    "fori",
    "while",
    "counted",
    "cond",
    "switch",
    "prefix",
    "vmap",
    "vmap",
    "checkpoint",
)


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ")


def functional(scope: Scope) -> str:
    """A loop or a branch written with the functions that stand for one."""
    form = scope.rng.choice(FUNCTIONAL)
    return _WRITERS[form](scope, scope.fresh(), scope.fresh("f"))


def _body(scope: Scope, binding: dict[str, str], choices: tuple[str, ...]) -> tuple[list[str], str]:
    """Return the lines of a body without effects outside, and an expression that ends it."""
    style = scope.style
    inner = scope.child(binding)
    inner.style = {**style, "statements": [s for s in style["statements"] if s == "closure"]}
    inner.grow(scope.rng.choice((0, 0, 1, 2)))
    return inner.lines, inner.slots.fill(scope.rng.choice(choices))


def _rows(scope: Scope) -> tuple[str, str, str]:
    """Return what a scan goes over, an example of a row, and further arguments."""
    x = scope.slots.fill("{x}")
    n = scope.rng.choice(TRIPS if scope.depth == 0 else TRIPS[:4])
    rows, row = scope.rng.choice(
        (
            (x, f"{x}[0]"), (x, f"{x}[0]"), (f"np.arange({n})", "1"),
            (f"np.linspace(0, 1, {n})", "0.5"), (f"np.resize({x}, ({n},))", f"np.ravel({x})[0]"),
        )
    )  # fmt: skip
    return rows, row, ", reverse=True" if scope.rng.random() < 0.25 else ""


def _scan(scope: Scope, name: str, f: str) -> str:
    init = scope.slots.fill(scope.rng.choice(STARTS))
    rows, row, more = _rows(scope)
    lines, carry = _body(scope, {"c": init, "r": row}, CARRIES)
    result = scope.rng.choice(YIELDS)
    body = _indent("\n".join([*lines, f"return {carry}, {result}"]))
    return f"def {f}(c, r):\n{body}\n{name}, {scope.fresh()} = wg.scan({f}, {init}, {rows}{more})"


def _pair(scope: Scope, name: str, f: str) -> str:
    """Two carried values, two arrays of rows, two results."""
    init, other = (scope.slots.fill(scope.rng.choice(STARTS)) for _ in range(2))
    x = scope.slots.fill("{x}")
    lines, carry = _body(scope, {"c": init, "d": other, "r": f"{x}[0]", "q": f"{x}[0]"}, CARRIES)
    swap = scope.rng.choice(("d * 0.5 + np.sum(c)", "d", "d - 0.1 * np.mean(q)", "np.sin(d) * 0.5"))
    first, second = (scope.rng.choice(YIELDS) for _ in range(2))
    text = "\n".join(
        ["c, d = s", "r, q = rows", *lines, f"return ({carry}, {swap}), ({first}, {second})"]
    )
    made = f"({name}, {scope.fresh()}), ({scope.fresh()}, {scope.fresh()})"
    called = f"wg.scan({f}, ({init}, {other}), ({x}, {x}[::-1]))"
    return f"def {f}(s, rows):\n{_indent(text)}\n{made} = {called}"


def _map(scope: Scope, name: str, f: str) -> str:
    x = scope.slots.fill("{x}")
    lines, value = _body(
        scope, {"r": f"{x}[0]"}, ("np.sum({a}) * r", "np.sin(r)", "{a}", "r * {b}")
    )
    body = _indent("\n".join([*lines, f"return {value}"]))
    return f"def {f}(r):\n{body}\n{name} = wg.map({f}, {x})"


def _fori(scope: Scope, name: str, f: str) -> str:
    init = scope.slots.fill(scope.rng.choice(STARTS))
    v = scope.slots.fill("{v}")
    n = scope.rng.choice(TRIPS if scope.depth == 0 else TRIPS[:4])
    more = (
        f"c + 0.1 * {v}[r % len({v})]",
        "c * (1 + r) / (2 + r)",
        "np.sin(c + r)",
        "c + 0.5 ** r",
    )
    lines, carry = _body(scope, {"c": init, "r": "1"}, (*CARRIES, *more))
    start = scope.rng.choice(("0", "0", "1"))
    body = _indent("\n".join([*lines, f"return {carry}"]))
    return f"def {f}(r, c):\n{body}\n{name} = wg.fori_loop({start}, {n}, {f}, {init})"


def _while(scope: Scope, name: str, f: str) -> str:
    init = scope.slots.fill("{r} * 1.0")
    test = scope.rng.choice(TESTS)
    step = scope.rng.choice(("c * 0.7", "c - 0.3 * c", "np.sin(c) * 0.8", "c * 0.6 + 0.01"))
    return f"{name} = wg.while_loop(lambda c: {test}, lambda c: {step}, {init})"


def _counted(scope: Scope, name: str, f: str) -> str:
    init = scope.slots.fill(scope.rng.choice(STARTS))
    lines, carry = _body(scope, {"c": init, "r": "1"}, CARRIES)
    n = scope.rng.choice(TRIPS[:8])
    test = scope.rng.choice((f"s[0] < {n}", f"(s[0] < {n}) & (np.sum(s[1]) < 3)"))
    body = _indent("\n".join(["r, c = s", *lines, f"return r + 1, {carry}"]))
    return f"def {f}(s):\n{body}\n{name} = wg.while_loop(lambda s: {test}, {f}, (0, {init}))[1]"


BRANCHES = split(
    """
u * 2 | np.sin(u) | u - np.mean(u) | -u | u * np.max({r}) | u + 0.5 | u * u | u
np.cos(u) * np.sum({r}) | u / (1 + abs(u)) | u + {b} * 0.1
"""
)


def _cond(scope: Scope, name: str, f: str) -> str:
    a = scope.slots.fill("{a}")
    test = scope.slots.fill(
        scope.rng.choice(("np.sum({r}) > 0.1", "np.max(abs({r})) < 0.8", "np.any({r} > 0.5)"))
    )
    one, two = (scope.slots.fill(scope.rng.choice(BRANCHES)) for _ in range(2))
    return f"{name} = wg.cond({test}, lambda u: {one}, lambda u: {two}, {a})"


def _switch(scope: Scope, name: str, f: str) -> str:
    a = scope.slots.fill("{a}")
    index = scope.slots.fill(
        scope.rng.choice(("np.count_nonzero({r} > 0.1)", "np.argmax({y})", "np.argmin({y}) - 1"))
    )
    made = [scope.slots.fill(scope.rng.choice(BRANCHES)) for _ in range(3)]
    branches = ", ".join(f"lambda u: {b}" for b in made)
    return f"{name} = wg.switch({index}, [{branches}], {a})"


def _prefix(scope: Scope, name: str, f: str) -> str:
    if scope.rng.random() < 0.3:
        v = scope.slots.fill("{v}")
        both = "lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1])"
        called = f"wg.associative_scan({both}, ({v} * 0.5, np.sin({v})))"
        return f"{name}, {scope.fresh()} = {called}"
    x = scope.slots.fill("{x}")
    g = scope.rng.choice(("np.add", "np.multiply", "np.maximum", "lambda a, b: a + b + 0.1"))
    return f"{name} = wg.associative_scan({g}, {x})"


def _vmap(scope: Scope, name: str, f: str) -> str:
    """A function of a row, or of two rows, for all rows at once."""
    x = scope.slots.fill("{x}")
    form = scope.rng.choice(("one", "one", "two", "shared", "last"))
    rows = {"one": "{}", "two": "{}, {}[::-1]", "shared": "{}, 0.5", "last": "{}.T"}
    binding = {"r": f"{x}[0]"}
    if form in ("two", "shared"):
        binding["q"] = f"{x}[0]" if form == "two" else "0.5"
    lines, value = _body(
        scope, binding, ("np.sum({a}) * r", "np.sin(r)", "r * {b}", "np.sum(r)", "r - np.mean(r)")
    )
    more = {"shared": ", (0, None)", "last": ", -1"}.get(form, "")
    body = _indent("\n".join([*lines, f"return {value}" + (" * q" if len(binding) > 1 else "")]))
    called = f"wg.vmap({f}{more})({rows[form].format(*[x] * 2)})"
    return f"def {f}({', '.join(binding)}):\n{body}\n{name} = {called}"


def _checkpoint(scope: Scope, name: str, f: str) -> str:
    a = scope.slots.fill("{a}")
    lines, value = _body(scope, {"u": a}, ("{a}", "{a} + u", "np.sum({a}) * u", "u * {b}", "u * 2"))
    body = _indent("\n".join([*lines, f"return {value}"]))
    return f"def {f}(u):\n{body}\n{name} = wg.checkpoint({f})({a})"


_WRITERS = {
    "scan": _scan, "pair": _pair, "map": _map, "fori": _fori, "while": _while,
    "counted": _counted, "cond": _cond, "switch": _switch, "prefix": _prefix,
    "vmap": _vmap, "checkpoint": _checkpoint,
}  # fmt: skip
