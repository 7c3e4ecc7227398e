"""What a hole of a template may be filled with: ``{a}``, ``{axis:a}``, ``{slice:a}``.

A program grows by statements that are run in plain NumPy as soon as they are written, so a hole is
filled by looking at the arrays that there are. Whatever does not fit raises, and is thrown away.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

HOLE = re.compile(r"\{(\w+)(?::(\w+))?\}")


class RejectedError(Exception):
    """What was drawn does not fit; draw again."""


class Term(NamedTuple):
    """A piece of text and the value that it has in plain NumPy."""

    text: str
    value: Any


def is_number_like(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, float)) and np.asarray(x).dtype.kind in "fc"


VIEWS = (
    "{x}.T",
    "{x}[::-1]",
    "{x}[..., ::-1]",
    "{x}[..., None]",
    "{x}[None]",
    "{x}[0]",
    "{x}[-1:]",
    "{x}[1:]",
    "{x}[..., ::2]",
    "{x}.reshape(-1)",
    "{x}[...]",
    "-{x}",
    "np.sin({x})",
    "{x} * 2",
    "abs({x})",
    "np.swapaxes({x}, 0, -1)",
    "{x}.copy()",
)


class Slots:
    """Fills holes, for one namespace of values.

    Parameters
    ----------
    rng : random.Random
        Every choice is drawn from it.
    env : dict
        Names and the values that they have in plain NumPy at this place of the program.
    inputs : set of str
        Names of what depends on the arguments.
    """

    def __init__(self, rng: random.Random, env: dict[str, Any], inputs: set[str]) -> None:
        self.rng = rng
        self.env = env
        self.inputs = inputs
        self.bound: dict[str, Term] = {}

    def fill(self, template: str) -> str:
        """Return the template with its holes filled, from left to right."""
        self.bound = {}
        return HOLE.sub(lambda m: self._hole(m.group(1), m.group(2)), template)

    def _hole(self, kind: str, ref: str | None) -> str:
        if ref is None and kind in self.bound:
            return self.bound[kind].text
        if ref is not None and ref not in self.bound:
            self._hole(ref, None)
        fill = FILLERS[kind.rstrip("0123456789")]
        made = fill(self, self.bound[ref].value if ref is not None else None)
        term = made if isinstance(made, Term) else Term(made, None)
        if ref is None:
            self.bound[kind] = term
        return term.text

    def term(self, text: str) -> Term:
        try:
            return Term(text, eval(text, self.env))
        except Exception as error:
            raise RejectedError(text) from error

    def names(self, fits: Callable[[Any], bool]) -> list[str]:
        """Return the variables whose values fit, oldest first."""
        return [
            n for n, x in self.env.items() if n in self.inputs and is_number_like(x) and fits(x)
        ]

    def variable(self, fits: Callable[[Any], bool]) -> Term | None:
        found = self.names(fits)
        if not found:
            return None
        back = min(int(self.rng.expovariate(0.35)), len(found) - 1)
        name = found[-1 - back]
        return Term(name, self.env[name])

    def array(self, fits: Callable[[Any], bool] = lambda x: True) -> Term:
        """Return a variable, or now and then a view of one."""
        if self.rng.random() < 0.25:
            base = self.variable(lambda x: isinstance(x, np.ndarray))
            if base is not None:
                for _ in range(3):
                    try:
                        made = self.term(self.rng.choice(VIEWS).replace("{x}", base.text))
                    except RejectedError:
                        continue
                    if isinstance(made.value, (np.ndarray, np.generic)) and fits(made.value):
                        return made
        found = self.variable(fits)
        if found is None:
            raise RejectedError
        return found

    def held(self, kind: str, fits: Callable[[Any], bool]) -> str | None:
        """Return the name of a plain array from outside the program, if there is one that fits."""
        for name in ("h0", "h1", "h2"):
            x = self.env.get(name)
            if isinstance(x, np.ndarray) and x.dtype.kind == kind and fits(x):
                return name
        return None

    def number(self) -> str:
        return self.rng.choice(("0.5", "2", "3", "-1.5", "0.25", "1", "0.1", "1e-3", "-1", "2.0"))


def kind(x: Any) -> str:
    return np.asarray(x).dtype.kind


def ndim(x: Any) -> int:
    return int(np.ndim(x))


FILLERS: dict[str, Callable[[Slots, Any], Term | str]] = {}


def filler(name: str) -> Callable[[Any], Any]:
    def register(f: Any) -> Any:
        FILLERS[name] = f
        return f

    return register


@filler("a")
def any_array(s: Slots, _: Any) -> Term:
    return s.array()


@filler("r")
def real_array(s: Slots, _: Any) -> Term:
    return s.array(lambda x: kind(x) == "f")


@filler("x")
def with_axes(s: Slots, _: Any) -> Term:
    """An array with at least one axis."""
    try:
        return s.array(lambda x: ndim(x) >= 1)
    except RejectedError:
        return s.term(f"np.atleast_1d({s.array().text})")


@filler("y")
def real_with_axes(s: Slots, _: Any) -> Term:
    return s.array(lambda x: ndim(x) >= 1 and kind(x) == "f")


@filler("b")
def beside(s: Slots, _: Any) -> Term | str:
    """What broadcasts against the array bound first."""
    first = next((t.value for t in s.bound.values() if t.value is not None), 0.0)
    if s.rng.random() < 0.15:
        return s.number()

    def fits(x: Any) -> bool:
        try:
            np.broadcast_shapes(np.shape(x), np.shape(first))
        except ValueError:
            return False
        return True

    try:
        return s.array(fits)
    except RejectedError:
        return s.number()


@filler("like")
def same_shape(s: Slots, x: Any) -> Term | str:
    try:
        return s.array(lambda z: np.shape(z) == np.shape(x))
    except RejectedError:
        return f"wave({np.shape(x)}, {s.rng.randrange(9)})"


@filler("row")
def plain_beside(s: Slots, x: Any) -> str:
    """A plain array that broadcasts against the named one."""
    if s.rng.random() < 0.5:
        try:
            held = s.held("f", lambda h: np.broadcast_shapes(h.shape, np.shape(x)) == np.shape(x))
        except ValueError:
            held = None
        if held:
            return held
    shape = list(np.shape(x))[s.rng.randrange(ndim(x) + 1) :]
    shape = [1 if s.rng.random() < 0.2 else n for n in shape]
    return f"wave({tuple(shape)}, {s.rng.randrange(9)})"


@filler("v")
def vector(s: Slots, _: Any) -> Term:
    if s.rng.random() < 0.7:
        try:
            return s.array(lambda x: ndim(x) == 1)
        except RejectedError:
            pass
    return s.term(s.rng.choice(("np.ravel({})", "{}.reshape(-1)")).format(s.array().text))


@filler("m")
def matrix(s: Slots, _: Any) -> Term:
    if s.rng.random() < 0.7:
        try:
            return s.array(lambda x: ndim(x) == 2)
        except RejectedError:
            pass
    base = s.array().text
    shape = (s.rng.choice((1, 2, 3)), s.rng.choice((1, 2, 4)))
    return s.term(s.rng.choice((f"np.resize({base}, {shape})", f"np.atleast_2d({base})")))


@filler("s")
def square(s: Slots, _: Any) -> Term:
    """A well-conditioned square matrix, or a stack of two."""
    n = s.rng.choice((1, 2, 3, 3, 4))
    base = s.array(lambda x: np.size(x) > 0 and kind(x) in "fc").text
    stack = s.rng.random() < 0.15
    shape = (2, n, n) if stack else (n, n)
    return s.term(f"(np.resize({base}, {shape}) + {n + 1} * np.eye({n}))")


@filler("h")
def positive_definite(s: Slots, _: Any) -> Term:
    n = s.rng.choice((1, 2, 3, 4))
    base = s.array(lambda x: np.size(x) > 0 and kind(x) == "f").text
    made = s.term(f"np.resize({base}, ({n}, {n}))").text
    shift = f"np.diag(np.arange(1.0, {n + 1}))"
    if s.rng.random() < 0.5:
        return s.term(f"({made} @ {made}.T + {shift})")
    return s.term(f"(({made} + {made}.T) / 2 + {n} * np.eye({n}) + {shift})")


@filler("pos")
def positive(s: Slots, _: Any) -> Term:
    form = s.rng.choice(
        ("(1.5 + np.sin({0}))", "np.exp({0})", "({0} ** 2 + 0.5)", "(abs({0}) + 0.1)")
    )
    return s.term(form.format(s.array(lambda x: kind(x) == "f").text))


@filler("unit")
def within_one(s: Slots, _: Any) -> Term:
    form = s.rng.choice(("np.tanh({0})", "(0.9 * np.sin({0}))", "({0} / (1 + abs({0})))"))
    return s.term(form.format(s.array(lambda x: kind(x) == "f").text))


@filler("z")
def complex_array(s: Slots, _: Any) -> Term:
    try:
        if s.rng.random() < 0.6:
            return s.array(lambda x: kind(x) == "c")
    except RejectedError:
        pass
    base = s.array().text
    return s.term(
        s.rng.choice(("({0} + 1j * np.cos({0}))", "np.exp(1j * {0})", "({0} * 1j)")).format(base)
    )


@filler("axis")
def an_axis(s: Slots, x: Any) -> str:
    if not ndim(x):
        raise RejectedError
    return str(s.rng.randrange(-ndim(x), ndim(x)))


@filler("axes")
def some_axes(s: Slots, x: Any) -> str:
    """None, an axis, or several."""
    if not ndim(x) or s.rng.random() < 0.3:
        return "None"
    if ndim(x) == 1 or s.rng.random() < 0.6:
        return an_axis(s, x)
    return str(tuple(s.rng.sample(range(ndim(x)), s.rng.randint(1, ndim(x)))))


@filler("order")
def axes_in_order(s: Slots, x: Any) -> str:
    return str(tuple(s.rng.sample(range(ndim(x)), ndim(x))))


@filler("bool")
def a_bool(s: Slots, _: Any) -> str:
    return s.rng.choice(("True", "False"))


@filler("num")
def a_number(s: Slots, _: Any) -> str:
    return s.number()


@filler("n")
def a_count(s: Slots, _: Any) -> str:
    return str(s.rng.choice((1, 2, 2, 3)))


@filler("k")
def a_small_integer(s: Slots, _: Any) -> str:
    return str(s.rng.choice((-2, -1, 0, 1, 2)))


@filler("i")
def a_place(s: Slots, x: Any) -> str:
    """An integer index along the first axis, now and then a traced one."""
    n = len(x) if ndim(x) else 0
    if not n:
        raise RejectedError
    if s.rng.random() < 0.15:
        v = s.array(lambda z: np.size(z) > 0 and kind(z) == "f").text
        return f"np.argmax({v}) % {n}"
    return str(s.rng.randrange(-n, n))


def one_slice(s: Slots, n: int) -> str:
    if s.rng.random() < 0.5:
        return s.rng.choice((":", "::-1", "1:", ":-1", "::2", "1::2", "::-2", "-1:", ":0"))
    start, stop = s.rng.randint(-n, n), s.rng.randint(-n - 1, n + 1)
    return f"{start}:{stop}:{s.rng.choice((1, 1, 2, -1))}"


@filler("slice")
def an_index(s: Slots, x: Any) -> str:
    """A basic index: integers, slices, an ellipsis and new axes."""
    if not ndim(x):
        return s.rng.choice(("...", "None", "()"))
    items = []
    for n in np.shape(x)[: s.rng.randint(1, ndim(x))]:
        if n and s.rng.random() < 0.3:
            items.append(str(s.rng.randrange(-n, n)))
        else:
            items.append(one_slice(s, n))
    if s.rng.random() < 0.2:
        items.insert(s.rng.choice((0, len(items))), "...")
    if s.rng.random() < 0.15:
        items.insert(s.rng.randrange(len(items) + 1), "None")
    return ", ".join(items)


def integers(s: Slots, n: int, count: int) -> str:
    if not n:
        raise RejectedError
    if s.rng.random() < 0.3 and (held := s.held("i", lambda h: np.max(abs(h)) < n)):
        return held
    return f"[{', '.join(str(s.rng.randrange(-n, n)) for _ in range(count))}]"


@filler("fancy")
def a_fancy_index(s: Slots, x: Any) -> str:
    """Integer arrays with duplicates, alone or beside slices, or a mask."""
    shape = np.shape(x)
    if not shape:
        raise RejectedError
    form = s.rng.randrange(6)
    count = s.rng.choice((1, 2, 3, 4))
    if form == 0 or (len(shape) == 1 and form < 3):
        return integers(s, shape[0], count)
    if form == 1:
        return f"..., {integers(s, shape[-1], count)}"
    if form == 2:
        return f"{integers(s, shape[0], count)}, {integers(s, shape[1], count)}"
    if form == 3 and len(shape) > 1:
        return f"{one_slice(s, shape[0])}, {integers(s, shape[1], count)}"
    if form == 4:
        return f"np.array([{integers(s, shape[0], 2)}, {integers(s, shape[0], 2)}])"
    return a_mask(s, x)


@filler("places")
def some_places(s: Slots, x: Any) -> str:
    return integers(s, len(x) if ndim(x) else 0, s.rng.choice((1, 2, 3)))


@filler("mask")
def a_mask(s: Slots, x: Any) -> str:
    """A mask of the shape of x: a plain one, or computed from traced values."""
    if s.rng.random() < 0.4:
        held = s.held("b", lambda h: h.shape == np.shape(x)) if s.rng.random() < 0.5 else None
        return held or f"wave({np.shape(x)}, {s.rng.randrange(9)}, '?')"
    try:
        z = s.array(lambda z: np.shape(z) == np.shape(x) and kind(z) == "f").text
    except RejectedError:
        return f"wave({np.shape(x)}, {s.rng.randrange(9)}, '?')"
    return s.rng.choice(
        ("({0} > 0.05)", "({0} < -0.07)", "(abs({0}) > 0.31)", "(np.sin(5 * {0}) > 0.2)")
    ).format(z)


@filler("shape")
def another_shape(s: Slots, x: Any) -> str:
    """A shape with as many entries."""
    size = int(np.size(x))
    shapes: list[Any] = [-1, (size,), (1, -1) if size else (1, 0), (size, 1)]
    shapes += [(d, size // d) for d in (2, 3, 4) if size and size % d == 0]
    if size and size % 4 == 0:
        shapes += [(2, -1, 2), (2, 2, size // 4)]
    if size == 1:
        shapes += [(), (1, 1, 1)]
    return str(s.rng.choice(shapes))


@filler("wider")
def a_wider_shape(s: Slots, x: Any) -> str:
    shape = tuple(
        s.rng.choice((2, 3)) if n == 1 and s.rng.random() < 0.5 else n for n in np.shape(x)
    )
    return str(((s.rng.choice((1, 2, 3)),) if ndim(x) < 3 and s.rng.random() < 0.6 else ()) + shape)


@filler("layout")
def a_layout(s: Slots, _: Any) -> str:
    return s.rng.choice(("'C'", "'F'", "'A'", "'K'"))


@filler("layout_ca")
def a_reading_order(s: Slots, _: Any) -> str:
    return s.rng.choice(("'C'", "'F'", "'A'"))


@filler("pads")
def pad_widths(s: Slots, x: Any) -> str:
    return str(tuple((s.rng.randrange(3), s.rng.randrange(3)) for _ in np.shape(x)))
