"""A random program, written one statement at a time and run in plain NumPy as it is written."""

from __future__ import annotations

import itertools
import random
import re
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from fuzz.loops import TRIPS, python_loop
from fuzz.program import NAMES
from fuzz.slots import RejectedError, Slots, is_number_like
from fuzz.statements import STATEMENTS
from fuzz.tables import FAMILIES, SHARES
from fuzz.values import LAYOUTS

LARGEST = 400
"""Entries of an array that a statement leaves; larger ones within an expression are welcome."""
RANGE = 50.0
"""Largest absolute value that a program may compute: differences lose their digits beyond."""
DEEPEST = 5
"""Blocks within each other; those inside have expressions only."""
NAME = re.compile(r"[A-Za-z_]\w*")
ERRORS = (Exception,)


class Scope:
    """A block of statements under construction.

    Parameters
    ----------
    rng : random.Random
    head : list of str
        Statements that run before the block: the arguments, and what surrounds it.
    traced : set of str
        Names of what depends on the arguments.
    style : dict
        The families of expressions and the statements that this program is about.
    counter : list of int
        The number of the last name that was made, shared by all blocks.
    depth : int
        How many blocks surround it.
    """

    def __init__(
        self,
        rng: random.Random,
        head: list[str],
        traced: set[str],
        style: dict[str, list[Any]],
        counter: list[int],
        depth: int = 0,
    ) -> None:
        self.rng = rng
        self.head = head
        self.lines: list[str] = []
        self.style = style
        self.counter = counter
        self.depth = depth
        self.slots = Slots(rng, {}, set(traced))
        self._run_again()

    def _run_again(self) -> None:
        env = dict(NAMES)
        run_lines([*self.head, *self.lines], env)
        self.slots.env = env

    def fresh(self, prefix: str = "t") -> str:
        self.counter[0] += 1
        return f"{prefix}{self.counter[0]}"

    def child(self, binding: dict[str, str]) -> Scope:
        """Return a block inside this one, with more names bound."""
        bound = [f"{name} = {text}" for name, text in binding.items()]
        traced = self.slots.inputs | set(binding)
        head = [*self.head, *self.lines, *bound]
        try:
            return Scope(self.rng, head, traced, self.style, self.counter, self.depth + 1)
        except ERRORS as error:
            raise RejectedError from error  # what is bound has no value here

    def grow(self, count: int) -> None:
        """Add statements; one that does not run in plain NumPy is left out."""
        for _ in range(count):
            for _ in range(8):
                try:
                    text = self._statement()
                except RejectedError:
                    continue
                if self._add(text):
                    break

    def loop(self) -> bool:
        """Add a loop of several trips that depends on the arguments, if what is drawn runs."""
        try:
            text = python_loop(self, (3, *TRIPS[4:]))
        except RejectedError:
            return False
        return bool(self.slots.inputs & set(NAME.findall(text))) and self._add(text)

    def _statement(self) -> str:
        statements = self.style["statements"]
        if statements and self.depth < DEEPEST and self.rng.random() < 0.45:
            weights = [STATEMENTS[name][1] for name in statements]
            (name,) = self.rng.choices(statements, weights)
            return STATEMENTS[name][0](self)
        template = self.rng.choice(self.style[self.rng.choice(self.style["families"])])
        return f"{self.fresh()} = {self.slots.fill(template)}"

    def _add(self, text: str) -> bool:
        before = set(self.slots.env)
        try:
            run_lines([text], self.slots.env)
            fits = self._fits(before)
        except ERRORS:
            fits = False
        if not fits:
            self._run_again()
            return False
        self.lines.append(text)
        words = set(NAME.findall(text))
        if words & self.slots.inputs:
            self.slots.inputs |= {n for n in set(self.slots.env) - before if n in words}
        return True

    def _fits(self, before: set[str]) -> bool:
        for name, x in self.slots.env.items():
            if not isinstance(x, (np.ndarray, np.generic)):
                continue
            array = np.asarray(x)
            if (name not in before and array.size > LARGEST) or array.ndim > 4:
                return False
            if array.dtype.kind not in "fciub":
                return False
            if array.dtype.kind in "fc" and not np.all(np.abs(array) < RANGE):
                return False
        return True


def run_lines(lines: Iterable[str], env: dict[str, Any]) -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        exec("\n".join(lines), env)


SHAPES = (
    *((), (1,), (2,), (3,), (4,), (6,), (0,), (1, 1), (2, 3), (3, 3), (3, 2), (4, 1), (1, 4)),
    *(
        (2, 2),
        (3, 4),
        (2, 0),
        (2, 3, 2),
        (1, 2, 3),
        (2, 2, 2),
        (3, 1, 2),
        (2, 1, 2, 3),
        (17,),
        (5, 9),
    ),
)
PLAIN = ("C",) * 5 + tuple(LAYOUTS)


def argument(rng: random.Random, k: int) -> list[str]:
    """Return the texts of one argument in four calls: also other values, layouts and signs."""
    seeds = [rng.randrange(50) for _ in range(3)]
    form = rng.random()
    if k and form < 0.12:
        return [str(round(rng.uniform(-1.5, 1.5), 2)) for _ in range(4)]
    if k and form < 0.18:
        return [str(rng.randrange(3)) for _ in range(4)]
    shape = rng.choice(SHAPES)
    dtype = rng.choices(
        ("f8", "f4", "c16", "c8", "i8", "?"), (75, 9, 8, 1, 5, 2) if k else (80, 10, 9, 1, 0, 0)
    )[0]
    name = "" if dtype == "f8" else f", {dtype!r}"
    first = rng.choice(PLAIN)
    made = []
    for call in range(4):
        layout = first if call != 2 else rng.choice(PLAIN)
        text = f"wave({shape}, {seeds[(0, 1, 0, 2)[call]]}{name})"
        if call == 3 and dtype in ("f8", "f4", "c16", "c8"):
            text = f"{rng.choice((-2, -1, 0.1, 3))} * {text}"
        made.append(text if layout == "C" else f"laid({layout!r}, {text})")
    if k and form > 0.9:
        second = f"wave({rng.choice(SHAPES)}, {seeds[1]})"
        wrapped = rng.choice(("[{}, {}]", "({}, {})", "{{'p': {}, 'q': {}}}"))
        return [wrapped.format(text, second) for text in made]
    return made


def style(rng: random.Random) -> dict[str, list[Any]]:
    """Choose what a program is about."""
    families = [name for name, share in SHARES.items() if rng.randrange(100) < share]
    statements = [name for name, row in STATEMENTS.items() if rng.randrange(100) < row[2]]
    chosen: dict[str, list[Any]] = {
        "families": families or ["elementwise"],
        "statements": statements,
    }
    for name, templates in FAMILIES.items():
        chosen[name] = rng.sample(templates, max(3, len(templates) * rng.choice((1, 2, 3)) // 3))
    return chosen


def unpacked(names: list[str], texts: list[str]) -> tuple[list[str], list[str]]:
    """Return statements that take containers apart, and the names of what is in them."""
    lines, found = [], []
    for name, text in zip(names, texts, strict=True):
        if text.startswith("{"):
            lines.append(f"{name}p, {name}q = {name}['p'], {name}['q']")
        elif text.startswith(("[", "(")):
            lines.append(f"{name}p, {name}q = {name}")
        else:
            found.append(name)
            continue
        found += [f"{name}p", f"{name}q"]
    return lines, found


def program(seed: str) -> str:
    """Return the text of the program that belongs to a seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _program(seed)


def loop_program(seed: str) -> str:
    """Return the text of a program that ends in a loop of Python's, and is about little else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = (_program(f"loops {seed} {k}", loops=True) for k in itertools.count())
        return next(text for text in made if text)


def _program(seed: str, loops: bool = False) -> str:
    rng = random.Random(seed)
    names = ["x", "y", "z"][: rng.choice((1, 1, 2, 2, 3))]
    arguments = [argument(rng, k) for k in range(len(names))]
    texts = [a[0] for a in arguments]
    opening, inputs = unpacked(names, texts)
    outside = held(rng, texts[0]) if rng.random() < 0.3 else []
    head = [*outside, *(f"{n} = {t}" for n, t in zip(names, texts, strict=True))]
    guard = [
        f"{n} = {n} if isinstance({n}, (int, float)) else laid('read-only', {n})" for n in inputs
    ]
    scope = Scope(rng, [*head, *opening, *guard], set(inputs), style(rng), [0])
    if rng.random() < 0.5:
        scope.grow(0)
        scope._add(f"w = {rng.choice(inputs)} * 1.0")
    if loops:
        scope.grow(rng.choice((0, 0, 0, 1, 2)))
        if not any(scope.loop() for _ in range(20)):
            return ""
    else:
        scope.grow(rng.choice((1, 2, 3, 4, 6, 8, 10)))
    lines = [*opening, *scope.lines, f"return {results(rng, scope, inputs)}"]
    body = "\n".join(f"    {line}" for text in lines for line in text.split("\n"))
    calls = [", ".join(a[i] for a in arguments) + "," for i in range(4)]
    called = "".join(f"    lambda: ({c}),\n" for c in calls)
    used = [line for line in outside if re.search(rf"\b{line[:2]}\b", body)]
    above = "\n".join(used) + "\n\n\n" if used else ""
    return f"{above}def program({', '.join(names)}):\n{body}\n\n\ncalls = [\n{called}]\n"


def held(rng: random.Random, text: str) -> list[str]:
    """Return plain arrays outside the program: a factor, a mask and places, for an argument."""
    shape = np.shape(eval(text, dict(NAMES)))
    return [
        f"h0 = wave({shape[rng.randrange(len(shape) + 1) :]}, {rng.randrange(9)})",
        f"h1 = wave({shape}, {rng.randrange(9)}, '?')",
        f"h2 = np.array({rng.choice(('[0, -1, 0]', '[0]', '[1, 0]', '[-1, 0, 0, 1]'))})",
    ]


def results(rng: random.Random, scope: Scope, inputs: list[str]) -> str:
    """Choose what the program returns: a result, several, or a container."""
    made = [
        n
        for n in scope.slots.names(lambda x: True)
        if n not in inputs and is_number_like(scope.slots.env[n])
    ]
    if not made:
        return f"np.sin({inputs[0]})"
    chosen = made[-1:] + rng.sample(made[:-1], min(len(made) - 1, rng.choice((0, 0, 1, 2, 3))))
    if len(chosen) == 1:
        return chosen[0]
    if rng.random() < 0.2:
        return "{" + ", ".join(f"'{n}': {n}" for n in chosen) + "}"
    return ", ".join(chosen)
