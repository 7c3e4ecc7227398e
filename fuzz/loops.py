"""Loops as people write them: recurrences, lags, stores, lists, early exits, loops in loops.

A loop has a head, two states ``@c`` and ``@d``, a Python number ``@h``, a list ``@ys``, a buffer
``@b`` and a dictionary ``@s``; its body is a few steps, some of them within decisions on the trip
``@t`` or on the data.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

Scope = Any

TRIPS = (1, 2, 3, 3, 4, 5, 6, 8, 9, 12, 17, 26, 40)
"""Numbers of trips of an outermost loop; one inside another loop makes the first few only."""


def split(table: str) -> tuple[str, ...]:
    return tuple(
        part.strip().replace("//", "\n") for part in re.split(r" \| |\n", table.strip()) if part
    )


HEADS = split(
    """
for @t in range(@n): | for @t in range(@n): | for @t in range(@n - 1, -1, -1):
for @t in reversed(range(@n)): | for @t, row in enumerate({x}):
for @t in itertools.count()://    if @t == @n://        break
for @t, (p, q) in enumerate(zip({v}, {v}[::-1])): | @t = -1//while @t < @n - 1://    @t += 1
for @t in range(1, @n): | for @t in range(0, 2 * @n, 2):
for @t, p in enumerate(np.linspace(0, 1, @n)):
for @t, p in zip(range(@n), itertools.cycle([0.5, -0.25])):
"""
)
STARTS = split(
    """
{r} * 1.0 | {a} + 0 | {x} * 0.5 | np.sum({r}) | {v}[0] | np.sin({x}) | {num} | 0.0 | {a}
{x}.copy()
"""
)
STEPS = split(
    """
@c = np.sin(@c) * 0.9 + 0.1 | @c = 0.5 * @c + 0.1 * @c ** 2 | @c = @c * (1 - 0.2 * @c)
@c = np.tanh(@c + 0.1 * @t) | @c = @c / (1 + abs(@c)) | @c = np.where(@c > 0, 0.9 * @c, @c - 0.1)
@c = @c + 0.1 * np.mean({r}) | @c = @c - 0.1 * np.sum(@c) * @c | @c = 0.9 * @c + 0.05 * np.cos(@t)
@c = @c + {v}[@t % len({v})] * 0.1 | @c = @c + {v}[@t] * 0.1 | @c = @c - 0.05 * {x}[-1 - @t]
@c = 0.5 * @c + row * 0.1 | @c = @c + 0.1 * np.sum(row) | @c = @c * p | @c = @c + 0.1 * (q - p)
@c += 0.1 * @c | @c *= 0.9 | @c[...] = np.sin(@c) | @c[0] = 0.5 * @c[-1] + 0.1
@c[1:] += 0.2 * @c[:-1] | @c[@t % len(@c)] *= 0.5 | @c[::2] -= 0.1 | @c = np.roll(@c, 1) * 0.95
@c = np.concatenate([@c[1:], @c[:1] * 0.5]) | @c = np.cumsum(@c) / (1 + np.sum(@c ** 2))
@c = {m} @ @c * 0.2 | @c = @c @ @c.T * 0.3 | @c = {s} @ @c / 20 | @c = @c.T * 0.9
@c = @c[::-1] + 0.1
@c, @d = @d, 0.5 * @c + 0.3 * np.cos(@d) | @c, @d = @c + 0.1 * @d, @d - 0.1 * @c | @c, @d = @d, @c
@d = @d * 0.5 + np.sum(@c) | @d = @c * 1.0 | @c = @c + 0.1 * np.sin(@d) | @d = @c
@h = @h * 0.9 | @h += 0.05 | @c = @c + @h * np.cos(@c) | @c = @c * (1 + @t * @h) / (1 + abs(@c))
@c = @f(@c, @t) | @c, @d = @f(@d, @t), @f(@c, 1) | @c = @c + 0.5 ** @t | @c = -@c
@c = np.linalg.solve({s}, @c) | @c = np.maximum(@c, 0.1 * @t) | @c = np.exp(-@c ** 2)
@c = [@c * 0.5, @c + 0.1][@t % 2] | @c = {b} * 0.5 + @c * 0.3 | @c = np.sort(@c) * 0.9
@c = @c.astype('f4') | @c = @c * np.exp(0.3j * @t) | @c = np.float64(0.5) * @c
@c = 0.5 * (@c + (2 + @c ** 2) / (abs(@c) + 1))
"""
)
COLLECTS = split(
    """
@ys.append(np.sum(@c)) | @ys.append(@c * 0.5) | @ys.append(@c) | @ys = [*@ys, np.mean(@c)]
@ys.append(@t * np.sum(@d)) | @ys.insert(0, np.sum(@c)) | @ys.append((@c + @d) * 0.5)
@b[@t] = np.sum(@c) | @b[@t] = 0.5 * @b[@t - 1] + np.sum(@c) | @b[@t] += 0.1 * np.mean(@c)
@b[-1 - @t] = np.sum(@c) * 0.3 | @b[@t] = @b[@t - 1] - 0.5 * @b[@t - 2] + 0.1
@b[1:] = @b[:-1] * 0.9
@b[@t:] += 0.1 * np.sum(@c) | @b[@t] = np.sin(@b[@t - 1] + 0.1 * @t) | @b[@t], @b[0] = @b[0], @b[@t]
@s['last'] = @c | @s[@t] = np.sum(@c) | @s['sum'] = @s.get('sum', 0.0) + np.sum(@c ** 2)
@b = @b + 0.1 * np.sum(@c) | @b[@t] = @b[:@t].sum() + 0.1 | @b[@t] = @b[@t - 1] * @b[@t - 3] * 0.5
@b[@t % 3] = np.sum(@c) - @b[@t % 2]
"""
)
BLOCKS = split(
    """
if @t % 2://    @1//else://    @2 | if @t % 3 == 0://    @1 | if @t == 0://    @1
if @t == @n - 1://    @1
if @t == 2://    continue | if np.sum(@c) > 0.3://    @1//else://    @2 | if @t >= 5://    break
if np.max(abs(@c)) < 0.2://    break | if np.sum(@d) > 2://    break | for s in range(2)://    @1
for s in range(@t % 3)://    @1 | for s in range(min(@t, 4))://    @1
if @t > 1 and np.sum(@c) > 0://    @1
k = 0//while k < 3 and np.sum(@c) < 1://    @1//    k += 1 | if not @t://    continue
if @h > 0.3://    @1
try://    @1//except IndexError://    @2 | if @t in (1, 4, 5)://    @1//elif @t == 3://    @2
if @t // 4 % 2://    @1//else://    @2 | if @t > 4://    @1//else://    @2
for s in (0.5, -0.2)://    @c = @c + s
""".replace("@t // 4", "@t >> 2")
)
ENDS = split(
    """
np.stack(@ys) | sum(@ys) | @ys[-1] | np.array(@ys, like=@ys[0])
np.concatenate([np.ravel(u) for u in @ys])
sum(u * k for k, u in enumerate(@ys)) | @b | @b * 1.0 | np.sum(@b) | @b[-1] | @s['last'] * 2
@s['sum']
sum(@s.values()) | @c | @c | @d | @c * @d | @c + np.sum(@b) | @h * @c | np.stack(@ys[::-1])
np.max(@b)
"""
)


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ")


class _Names:
    """The names that stand for the markers of one loop."""

    def __init__(self, scope: Scope, trips: int) -> None:
        self.table = {f"@{k}": scope.fresh(k) for k in ("ys", "c", "d", "t", "h", "b", "s", "f")}
        self.table["@n"] = str(trips)

    def is_in(self, marker: str, text: str) -> bool:
        return re.search(rf"\b{self.table[marker]}\b", text) is not None

    def put(self, text: str) -> str:
        return re.sub(r"@(ys|[a-z])\b", lambda m: self.table[m.group(0)], text)


def _filled(scope: Scope, names: _Names, text: str) -> str:
    """Fill the markers and the holes; braces of Python stand alone in these templates."""
    made: str = scope.slots.fill(text)
    return names.put(made)


def python_loop(scope: Scope, counts: tuple[int, ...] = TRIPS) -> str:
    """A loop of several steps, with what it collects."""
    rng = scope.rng
    trips = rng.choice(counts if scope.depth == 0 else TRIPS[:4])
    names = _Names(scope, trips)
    start = scope.slots.fill(rng.choice(STARTS))
    other = start if rng.random() < 0.5 else scope.slots.fill(rng.choice(STARTS))
    head = rng.choice(HEADS)
    fit = [step for step in STEPS if _is_given(step, head)]
    steps = [_step(scope, names, fit) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    steps += [_filled(scope, names, rng.choice(COLLECTS)) for _ in range(rng.choice((0, 1, 1, 2)))]
    if rng.random() < 0.3:
        rng.shuffle(steps)
    if rng.random() < 0.25:
        inner = scope.child({names.put("@c"): start, names.put("@t"): "1"})
        inner.grow(1)
        steps[rng.randrange(len(steps) + 1) :] = inner.lines
    body = "\n".join([_filled(scope, names, head), *map(_indent, steps)])
    made = {
        "@h": "0.1",
        "@ys": "[]",
        "@s": "{}",
        "@b": f"np.{rng.choice(('zeros', 'ones'))}({trips}{_like(scope)})",
    }
    made = {k: value for k, value in made.items() if names.is_in(k, body)}
    before = [f"{names.put('@c, @d')} = {start}, {other}"]
    before += [f"{names.table[k]} = {value}" for k, value in made.items()]
    if names.is_in("@f", body):
        before.insert(0, _function(scope, names))
    fit = [end for end in ENDS if set(re.findall(r"@(?:ys|[hsb])\b", end)) <= set(made)]
    ends = [f"{scope.fresh()} = {_filled(scope, names, rng.choice(fit))}" for _ in range(2)]
    return "\n".join([*before, body, *ends])


def _like(scope: Scope) -> str:
    return f", like={scope.slots.fill('{y}')}" if scope.rng.random() < 0.5 else ""


def _is_given(step: str, head: str) -> bool:
    """Whether a head binds the names that a step reads."""
    return all(re.search(rf"\b{n}\b", head) for n in re.findall(r"\b(?:row|p|q)\b", step))


def _function(scope: Scope, names: _Names) -> str:
    value = scope.rng.choice(("np.sin(u) * 0.8 + k * 0.01", "0.5 * u - 0.1 * u ** 3", "u * {b}"))
    return f"def {names.table['@f']}(u, k):\n    return {scope.slots.fill(value)}"


def _step(scope: Scope, names: _Names, fit: list[str]) -> str:
    if scope.rng.random() < 0.35:
        text = scope.rng.choice(BLOCKS)
        for k in ("@1", "@2"):
            text = text.replace(k, scope.rng.choice(fit if scope.rng.random() < 0.7 else COLLECTS))
    else:
        text = scope.rng.choice(fit)
    return _filled(scope, names, text)
