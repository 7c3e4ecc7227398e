"""Where tangents and cotangents are zero by structure, so that 0 * inf does not come of it.

``np.where(m, x, 0)`` does not depend on x where m is false. Its tangent is 0 there, and stays 0
whatever it is multiplied by, because there is nothing to multiply: the cube root of it has the
derivative 0 and not 0 * inf. The same holds for a cotangent where a branch is not taken, for
entries that are not read or not written, for what a maximum does not choose, and where a seed is
given as 0. A slope that happens to be 0 is another matter: the derivative of ``cbrt(x**3)`` at 0,
which the chain rule writes as 0 * inf, is not 0, and stays NaN.

A `Reach` says where a tangent or cotangent can differ from zero. It follows from masks, indices and
patterns of the operations on the way, never from values of derivatives. A product with a slope
leaves NaN where there was nothing, in the same entry; so zeros are put back once, before entries
are added up or the sweep ends: `Reach.settle`. Reaches that nobody asks for are never computed.

Forward and reverse mode leave out the same paths, so they agree on what is finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from wengert.ir.graph import Node, Value
from wengert.ops import patterns
from wengert.ops.base import Jvp, Op, Scale, Traced, dtype_of, shape_of
from wengert.ops.control import cut, is_settled
from wengert.ops.convert import convert, select
from wengert.ops.elementwise import multiply
from wengert.ops.index import SLOT, getitem, index_add
from wengert.ops.order import take_along
from wengert.ops.reduce import expand
from wengert.ops.shape import broadcast_to
from wengert.trace.active import ACTIVE
from wengert.trace.tracer import Tracer

__all__ = [
    "Reach",
    "Tangents",
    "carried",
    "collected",
    "given",
    "has_given",
    "has_nan",
    "has_parts",
    "is_elementwise",
    "is_followed",
    "is_zero",
    "joined",
    "returned",
    "settled",
    "slope_reach",
]

Marks: TypeAlias = Any
"""An array, plain or traced, that is not zero where there can be something: of booleans, or of the
numbers of a seed."""


class Reach:
    """Where a tangent or cotangent can differ from zero. None stands for everywhere.

    Parameters
    ----------
    make : callable
        Returns the marks, which broadcast to the shape of the tangent.
    parents : sequence of Reach
        Those that `make` asks.
    faint : bool
        Whether it is heeded only by operations whose slope may be infinite at finite arguments. It
        is where it comes from the zeros of a seed, from a maximum, or through a sum: that is not
        worth a look at every multiplication.
    half : tuple or None
        Of what one of two choices leaves: what was there before, the row and its condition, and
        which half it is.
    """

    __slots__ = ("_clean", "_found", "_make", "_parents", "faint", "half")

    def __init__(
        self,
        make: Callable[[], Marks],
        parents: Sequence[Reach | None] = (),
        faint: bool = False,
        half: Any = None,
    ) -> None:
        self._make: Callable[[], Marks] | None = make
        self._parents = tuple(p for p in parents if p is not None)
        self._found: Marks = None
        self._clean: Reach | None = None
        self.faint = faint
        self.half = half

    @property
    def is_spoilt(self) -> bool:
        """Whether a slope was multiplied since zeros were last put back."""
        return self._clean is not None

    def live(self) -> Marks:
        """Return the marks, without recursion: loops make long chains."""
        stack = [self]
        while stack:
            top = stack[-1]
            waiting = [p for p in top._parents if p._make is not None]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if top._make is not None:
                top._found = top._make()
                top._make, top._parents = None, ()
        return self._found

    def spoilt(self) -> Reach:
        """Return the same reach of what was multiplied by a slope."""
        if self._clean is not None:
            return self
        found = Reach(self.live, (self,), self.faint, self.half)
        found._clean = self
        return found

    def clean(self) -> Reach:
        """Return the same reach of what has its zeros."""
        return self if self._clean is None else self._clean

    def at(self, places: Any, shape: tuple[int, ...]) -> Reach:
        """Return the reach of some entries of a flat value that is spoilt."""
        clean = self.clean()

        def make() -> Marks:
            flat = np.reshape(_whole(clean, shape), (math.prod(shape),))
            return getitem(flat, places, spec=(SLOT,))

        return Reach(make, (clean,), self.faint).spoilt()

    def settle(self, t: Any) -> Any:
        """Put back zeros where there was nothing."""
        if self._clean is None or not (isinstance(t, Traced) or _has_nan(t)):
            return t
        live = self.live()
        return t if _is_everywhere(live) else cut(t, live)


def settled(r: Reach | None, t: Any) -> Any:
    """Return a tangent or cotangent with its zeros put back."""
    return t if r is None or t is None else r.settle(t)


def _is_everywhere(live: Marks) -> bool:
    """Whether marks are known to be there at all places."""
    while isinstance(live, Tracer) and hasattr(live._var, "batched"):
        live = live._var.data
    return not isinstance(live, Traced) and bool(np.all(live))


def is_zero(t: Any) -> bool:
    """Whether a seed is known to be zero everywhere."""
    return t is None or (not isinstance(t, Traced) and not np.any(t))


SCALARS = (float, complex, np.inexact)


def given(t: Any) -> Reach | None:
    """Return the reach of a seed: where it is not zero."""
    if t is None or (t != 0 if isinstance(t, SCALARS) else _is_everywhere(t)):
        return None
    return Reach(lambda: t, faint=True)


def joined(a: Reach | None, b: Reach | None) -> Reach | None:
    """Return the reach of a sum of what has its zeros."""
    if a is None or b is None:
        return None
    a, b = a.clean(), b.clean()
    if a is b:
        return a
    if (
        a.half is not None
        and b.half is not None
        and a.half[:3] == b.half[:3]
        and a.half[3] != b.half[3]
    ):
        return a.half[0]  # type: ignore[no-any-return]
    return Reach(lambda: _either(a.live(), b.live()), (a, b), a.faint or b.faint)


# --- marks ----------------------------------------------------------------------------------------
def _is_mask(live: Marks) -> bool:
    return bool(dtype_of(live) == np.bool_)


def _either(a: Marks, b: Marks) -> Marks:
    if _is_mask(a) and _is_mask(b):
        return np.logical_or(a, b)
    return np.add(_sizes(a), _sizes(b))


def _sizes(live: Marks) -> Marks:
    return convert(live, dtype=np.dtype(np.float32)) if _is_mask(live) else np.abs(live)


def _both(r: Reach | None, also: Marks) -> Marks:
    if r is None:
        return also
    live = r.live()
    return np.logical_and(live, also) if _is_mask(live) else np.where(also, live, 0)


def _any(live: Marks, axis: tuple[int, ...], keepdims: bool = False) -> Marks:
    if _is_mask(live):
        return np.any(live, axis=axis, keepdims=keepdims)
    return np.sum(np.abs(live), axis=axis, keepdims=keepdims)


def _whole(r: Reach | None, shape: tuple[int, ...]) -> Marks:
    """Return the marks of a value of some shape, with that shape."""
    if r is None:
        return np.broadcast_to(np.True_, shape)
    live = r.live()
    return live if shape_of(live) == shape else broadcast_to(live, shape=shape)


def _collected(live: Marks, shape: tuple[int, ...]) -> Marks:
    """Return where any place is live to which an entry of an array of `shape` was broadcast."""
    have = shape_of(live)
    lead = max(len(have) - len(shape), 0)
    axes = tuple(range(lead)) + tuple(
        i for i in range(lead, len(have)) if shape[i - len(have)] == 1 and have[i] != 1
    )
    if not axes:
        return live
    live = _any(live, axes, keepdims=True)
    return np.reshape(live, tuple(1 if i in axes else n for i, n in enumerate(have))[lead:])


def _as(live: Marks, before: Marks) -> Marks:
    """Return numbers that were made of a mask as a mask again."""
    return np.not_equal(live, 0) if _is_mask(before) and not _is_mask(live) else live


def collected(r: Reach, shape: tuple[int, ...]) -> Reach:
    """Return the reach of what was added up to the shape of an argument that was broadcast."""
    before = r.clean()
    return Reach(lambda: _collected(before.live(), shape), (before,), True)


# --- elementwise operations -----------------------------------------------------------------------
def is_elementwise(op: Op, y: Any) -> bool:
    """Whether each entry of a result comes from one entry of each argument."""
    return (
        type(y) is not tuple
        and type(op.pattern)
        in (
            patterns.Elementwise,
            patterns.ByArgument,
        )
        and all(type(p) is patterns.Elementwise for p in getattr(op.pattern, "which", {}).values())
    )


def _choice(op: Op, k: int) -> Any:
    pattern: Any = op.pattern
    if type(pattern) is patterns.ByArgument:
        pattern = pattern.which.get(k, patterns.elementwise)
    return pattern.choices.get(k)


def slope_reach(
    op: Op, k: int, r: Reach | None, xs: Sequence[Any], moves: bool = False
) -> Reach | None:
    """Return the reach of what argument `k` of an elementwise operation contributes.

    It has the shape of the result in either mode. `r` is the reach of the tangent of the argument,
    or of the cotangent of the result; `moves` says whether the seed of a `cut` is differentiated.
    """
    choice = _choice(op, k)
    if op is cut:
        choice = _OF_SEED if is_settled(xs[1]) and not moves else None
    if choice is None:
        return r if r is None or not _spoils(op, k, r, xs) else r.spoilt()
    reads, skipped = choice
    read = tuple(xs[i] for i in reads)
    before = None if r is None else r.clean()
    compares = op is not select and op is not cut  # NaN is always chosen
    found = Reach(
        lambda: _both(before, np.logical_not(skipped(*read))),
        (before,),
        faint=compares and (before is None or before.faint),
        half=(before, op.name, tuple(map(id, read)), k, read),
    )
    return found if r is None or not r.is_spoilt else found.spoilt()


_OF_SEED = ((1,), lambda seed: np.equal(seed, 0))


def _spoils(op: Op, k: int, r: Reach, xs: Sequence[Any]) -> bool:
    """Whether the slope of an operation may be no number."""
    derivative = op.derivative
    if not isinstance(derivative, Scale | Jvp) or derivative.rules[k] in (1, -1):
        return False
    if r.faint:
        return op.steep if isinstance(op.steep, bool) else bool(op.steep(*xs))
    return not (op is multiply and type(xs[1 - k]) in (int, float))


# --- other families -------------------------------------------------------------------------------
# Each function takes the reach `r` of argument k, or of the result, and makes the marks of the
# other. `y` and `xs` are the operation's result and arguments.
def _grouped(pattern: Any, forward: bool, k: int, r: Any, y: Any, xs: Any, attrs: Any) -> Marks:
    (x,), axis = xs, attrs["axis"]
    won = _winners(pattern, y, x, axis)
    if not forward:
        live = None if r is None else expand(_whole(r, shape_of(y)), x, axis)
        return won if live is None else _among(live, won)
    live = _among(_whole(r, shape_of(x)), won)
    return _any(live, axis, keepdims=attrs["keepdims"])


def _among(live: Marks, won: Marks | None) -> Marks:
    """Return marks with only those of the entries that a maximum chooses."""
    if won is None:
        return live
    return np.logical_and(live, won) if _is_mask(live) else np.where(won, live, 0)


def _winners(pattern: Any, y: Any, x: Any, axis: tuple[int, ...]) -> Marks:
    return None if pattern.skips is None else np.logical_not(pattern.skips(x, expand(y, x, axis)))


def _contracted(pattern: Any, forward: bool, k: int, r: Any, y: Any, xs: Any, attrs: Any) -> Marks:
    operands, result = attrs["spec"].split("->")
    argument = operands.split(",")[k]
    source, target = (argument, result) if forward else (result, argument)
    live = _whole(r, shape_of(xs[k] if forward else y))
    lost = tuple(i for i, s in enumerate(source) if s not in target)
    live = _any(live, lost) if lost else live
    left = "".join(s for s in source if s in target)
    live = np.transpose(live, [left.index(s) for s in target if s in left])
    sizes = iter(shape_of(live))
    return np.reshape(live, tuple(next(sizes) if s in left else 1 for s in target))


def _mixed(pattern: Any, forward: bool, k: int, r: Any, y: Any, xs: Any, attrs: Any) -> Marks:
    before = shape_of(xs[k])
    axes = pattern.axes(len(before), attrs) if type(pattern) is patterns.Mixing else None
    if axes is None:  # the axes of a matrix
        axes = (len(before) - 2, len(before) - 1)
    same = [i for i in range(len(before)) if i not in axes]
    source, target = (before, shape_of(y)) if forward else (shape_of(y), before)
    live = _whole(r, source)
    lost = tuple(i for i in range(len(source)) if i not in same)
    live = _any(live, lost) if lost else live
    return np.reshape(live, tuple(n if i in same else 1 for i, n in enumerate(target)))


def _permuted(pattern: Any, forward: bool, k: int, r: Any, y: Any, xs: Any, attrs: Any) -> Marks:
    axis = attrs["axis"]
    order = pattern.order(*xs, **attrs)
    if forward:
        return take_along(_whole(r, shape_of(xs[k])), order, axis)
    shape = shape_of(order)
    index = [np.arange(n).reshape((n,) + (1,) * (len(shape) - 1 - i)) for i, n in enumerate(shape)]
    index[axis] = order
    return _added(shape_of(xs[k]), _whole(r, shape), index, (SLOT,) * len(shape))


def _prefixed(pattern: Any, forward: bool, k: int, r: Any, y: Any, xs: Any, attrs: Any) -> Marks:
    axis = attrs["axis"]
    live = _whole(r, shape_of(y))
    turn = (slice(None),) * axis + (slice(None, None, -1 if not forward else 1),)
    return _as(np.cumsum(_sizes(live)[turn], axis=axis)[turn], live)


def _added(shape: tuple[int, ...], live: Marks, index: Any, spec: Any) -> Marks:
    """Return the marks of an array to some places of which marks are added."""
    sizes = live if _is_mask(live) and not isinstance(live, Traced) else _sizes(live)
    return _as(index_add(np.zeros(shape, dtype_of(sizes)), sizes, *index, spec=spec), live)


def _moved(op: Op, r: Reach | None, k: int, y: Any, xs: Any, attrs: Any) -> Marks:
    """Pull the marks of a result back through an operation that moves elements."""
    live = _whole(r, shape_of(y))
    if op is getitem:
        return _added(shape_of(xs[0]), live, xs[1:], attrs["spec"])
    if op is broadcast_to:
        return _collected(live, shape_of(xs[0]))
    sizes = _sizes(live) if _is_mask(live) and isinstance(live, Traced) else live
    rules = op.derivative.rules  # type: ignore[union-attr]
    part = rules(sizes, *xs, **attrs)[k] if callable(rules) else rules[k](sizes, *xs, **attrs)
    return _as(part, live)


def _moving(op: Op, rs: Sequence[Any], ts: Sequence[Any], xs: Any, attrs: Any) -> Marks:
    """Move the marks of an operation's arguments as it moves their elements."""
    data = _data(op, xs)
    lives = [
        np.broadcast_to(np.False_, shape_of(x)) if t is None else _whole(r, shape_of(x))
        for x, r, t in zip(xs[:data], rs, ts, strict=False)
    ]
    masks = all(map(_is_mask, lives))
    if not masks or any(isinstance(x, Traced) for x in (*lives, *xs[data:])):
        lives = [_sizes(live) for live in lives]
    moved = op(*lives, *xs[data:], **attrs)
    return np.not_equal(moved, 0) if masks and not _is_mask(moved) else moved


def _data(op: Op, xs: Sequence[Any]) -> int:
    """Return how many arguments are moved; the others are indices."""
    if isinstance(op.pattern, patterns.Writing):
        return 2
    found = getattr(op.pattern, "data", None)
    return len(xs) if found is None else found


_FAMILIES: dict[type, Callable[..., Marks]] = {
    patterns.Grouped: _grouped,
    patterns.Contraction: _contracted,
    patterns.Mixing: _mixed,
    patterns.TriangularSolve: _mixed,
    patterns.Permuting: _permuted,
    patterns.Prefix: _prefixed,
}
_MOVES = (patterns.Moving, patterns.Writing)


def _made(
    op: Op, forward: bool, k: int, r: Reach | None, y: Any, xs: Any, attrs: Any
) -> Reach | None:
    pattern: Any = op.pattern
    if type(pattern) is patterns.ByArgument:
        pattern = pattern.which.get(k, patterns.nothing)
    family = _FAMILIES.get(type(pattern))
    chooses = family is _grouped and pattern.skips is not None and not forward
    if family is None or (r is None and not chooses):
        return None
    spreads = family is _permuted or (family is _grouped and not forward)  # adds up nothing
    faint = not chooses and (not spreads or (r is not None and r.faint))
    return Reach(lambda: family(pattern, forward, k, r, y, xs, attrs), (r,), faint)


# --- both directions ------------------------------------------------------------------------------
def carried(
    op: Op, y: Any, xs: Sequence[Any], ts: Sequence[Any], rs: Sequence[Any], attrs: dict[str, Any]
) -> Reach | None:
    """Return the reach of the tangent of ``y = op(*xs, **attrs)`` that is not elementwise.

    Parameters
    ----------
    ts : sequence of arrays or None
        Tangents of the arguments, with their zeros; None is zero.
    rs : sequence of Reach or None
        Their reaches.
    """
    if type(y) is tuple:
        return None
    active = [k for k, t in enumerate(ts) if t is not None]
    if isinstance(op.pattern, _MOVES):
        some = [rs[k] for k in active if rs[k] is not None]
        if not some and len(active) == _data(op, xs):
            return None
        faint = bool(some) and all(r.faint for r in some)
        return Reach(lambda: _moving(op, rs, ts, xs, attrs), some, faint)
    found: Reach | None = None
    for n, k in enumerate(active):
        part = _made(op, True, k, rs[k], y, xs, attrs)
        if part is None:
            return None
        found = joined(found, part) if n else part
    return found


def returned(
    op: Op, k: int, r: Reach | None, y: Any, xs: Sequence[Any], attrs: dict[str, Any]
) -> Reach | None:
    """Return the reach of the cotangent of argument `k`, where `r` is that of the result."""
    if type(y) is tuple:
        return None
    if isinstance(op.pattern, _MOVES):
        if r is None and not _reads_part(op, k, y, xs):
            return None
        return Reach(lambda: _moved(op, r, k, y, xs, attrs), (r,), r is not None and r.faint)
    return _made(op, False, k, r, y, xs, attrs)


def _reads_part(op: Op, k: int, y: Any, xs: Sequence[Any]) -> bool:
    """Whether an operation may leave entries of argument `k` unread."""
    if op is getitem:
        if len(xs) > 1:
            return True
        return math.prod(shape_of(y)) != math.prod(shape_of(xs[0]))  # it reads nothing twice
    return isinstance(op.pattern, patterns.Writing) and k < 2


# --- sweeps over a tape ---------------------------------------------------------------------------
# All that reaches do is to put 0 in the place of NaN. So a sweep at plain numbers is made without
# them, and once more with them where a NaN comes of it. A sweep that is recorded, or differentiated
# in reverse, follows them at once.
def is_followed(nodes: Sequence[Any], seeds: Sequence[tuple[Value, Any]]) -> bool:
    """Whether a sweep over a tape is to follow reaches from the start.

    Parameters
    ----------
    nodes : sequence of Node or Segment
    seeds : sequence of (Value, array)
        The tangents or cotangents that it begins with.
    """
    if ACTIVE.recorders or ACTIVE.tapes:
        return has_parts(nodes) or has_given(seeds)
    return False


def has_parts(nodes: Sequence[Any]) -> bool:
    """Whether anything on a tape can be zero by structure."""
    return any(type(node) is not Node or node.op.partial for node in nodes)


def has_given(seeds: Sequence[tuple[Value, Any]]) -> bool:
    """Whether a seed has zeros, as far as it is known."""
    for _, t in seeds:  # noqa: SIM110 a generator takes longer than one comparison
        if not (isinstance(t, SCALARS) and t != 0) and given(t) is not None:
            return True
    return False


def has_nan(found: Sequence[Any]) -> bool:
    """Whether there is a NaN, in what a batch or forward mode carries too.

    Something large may be taken for one.
    """
    return any(map(_has_nan, found))


def _has_nan(x: Any) -> bool:
    kind = type(x)
    if kind is np.ndarray:
        if x.size <= FEW and x.ndim == 1 and x.dtype.kind == "f":
            return not math.isfinite(sum(x.tolist()))
        return not np.isfinite(np.vdot(x, x))  # faster than a sum
    if kind is not Tracer:
        return x is not None and not np.isfinite(x)
    x._refresh()
    var = x._var
    return _has_nan(var.data) or has_nan(getattr(var, "slopes", ()))


FEW = 16
"""Numbers up to which a sum in Python is faster than NumPy's."""


class Tangents(dict[Value, Any]):
    """Tangents by value, and the reaches of those that do not reach everywhere.

    `reaches` is None where nobody follows them.
    """

    __slots__ = ("reaches",)

    def __init__(self, follow: bool = False) -> None:
        super().__init__()
        self.reaches: dict[Value, Reach] | None = {} if follow else None

    def start(self, v: Value, t: Any) -> None:
        """Begin with a seed; None is zero."""
        if t is not None:
            self[v] = t
            r = None if self.reaches is None else given(t)
            if r is not None:
                self.reaches[v] = r  # type: ignore[index]

    def read(self, v: Value | None) -> Any:
        """Return a tangent with its zeros; None is zero."""
        t = None if v is None else self.get(v)
        return settled(self.reaches.get(v), t) if self.reaches and v is not None else t
