"""What is compared: values and derivatives, by every way that wengert has to get them."""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optree

import wengert as wg
from fuzz import numeric
from fuzz.compare import difference, is_sure
from fuzz.outcome import Outcome, is_refusal
from fuzz.point import At, dot, dot_traced, is_real, loss, smooth_places
from fuzz.program import Program, Raised, leaves, run
from fuzz.values import relaid
from wengert.ops.base import Traced
from wengert.rolling.limits import ALL, rolling

SMALL = 40
"""Largest number of inputs or results of a program whose whole Jacobian is compared."""


def eager(o: Outcome) -> None:
    """Values of wengert's loops on plain arrays, and inside a reverse and a forward trace."""
    for call, want in enumerate(o.program.truths):
        at = At(o.program, call)
        if o.program.plain is not o.program.function:
            got = run(o.program.function, *o.program.args(call))
            o.compare(call, got, want, o.program.plain)
        got = run(lambda: wg.vjp(at.out, at.smooth, allow_int=True)[0])  # noqa: B023
        o.compare(call, got, want, o.program.function)
        got = run(lambda: wg.jvp(at.out, (at.smooth,), (at.direction(3),), allow_int=True)[0])  # noqa: B023
        o.compare(call, got, want, o.program.function)


@wg.unfollowed
def _strides(out: Any) -> list[Any]:
    return [(x.shape, x.strides) if isinstance(x, Traced) else None for x in leaves(out)]


def layout(o: Outcome) -> None:
    """Strides of the traced results, by which a reshape is a view or a copy."""
    for call in (0, 2):
        want = o.program.truths[call]
        if isinstance(want, Raised) or "wg." in o.program.source:
            continue
        at = At(o.program, call)
        found: list[Any] = []

        def seen(smooth: Any) -> Any:
            out = at.out(smooth)  # noqa: B023
            found[:] = _strides(out)  # noqa: B023
            return out

        if isinstance(run(wg.vjp, seen, at.smooth), Raised) or len(found) != len(leaves(want)):
            continue
        for x, y in zip(found, leaves(want), strict=True):
            if x is None or not isinstance(y, np.ndarray) or not y.size:
                continue
            o.comparisons += 1
            own = [s for s, n in zip(x[1], x[0], strict=True) if n > 1]
            if own != [s for s, n in zip(y.strides, y.shape, strict=True) if n > 1]:
                o.fail(call, f"strides {x[1]} instead of {y.strides} of {y.shape}")
                return


def derivative(o: Outcome) -> None:
    """Forward against reverse mode, and both against a numerical derivative."""
    for call in (0, 1):
        if isinstance(o.program.truths[call], Raised):
            continue
        at = At(o.program, call)
        t = at.direction(3)
        g = o.get(call, wg.grad(at.loss), at.smooth)
        pair = o.get(call, wg.jvp, at.loss, (at.smooth,), (t,))
        if g is None or pair is None:
            continue
        o.compare(call, g, optree.tree_map(_like, g, at.smooth), o.program.function)
        forward, reverse = pair[1], dot(g, t)
        _modes(o, call, at, forward, reverse)
        if np.isfinite(forward) and np.isfinite(reverse):
            _against_numbers(o, call, at, at.loss, (forward, reverse))


def _like(g: Any, x: Any) -> Any:
    """Return the gradient in the type and shape that it must have."""
    return np.broadcast_to(np.resize(np.asarray(g, np.asarray(x).dtype), np.shape(x)), np.shape(x))


def _modes(o: Outcome, call: int, at: At, forward: Any, reverse: Any) -> None:
    def again(*args: Any) -> Any:
        return wg.grad(lambda *xs: loss(o.program.function(*xs)), at.places)(*args)

    if np.isfinite(forward) and np.isfinite(reverse):
        o.compare(call, forward, reverse, again, looser=100, dtypes=False)
    elif np.isfinite(forward) != np.isfinite(reverse):
        o.comparisons += 1
        smooth = numeric.slope(at.line(at.loss, at.direction(3)))
        if smooth is not None:
            o.fail(call, f"value forward {forward}, reverse {reverse}, numbers {smooth.value}")


def _against_numbers(
    o: Outcome,
    call: int,
    at: At,
    f: Callable[[Any], Any],
    found: tuple[Any, ...],
    rough: float = 1e-5,
) -> None:
    """Compare derivatives along `at.direction(3)` with a numerical one, where there is one."""
    t = at.direction(3)
    line = at.line(f, t)
    if o.program.coarse:
        return
    number = numeric.slope(line)
    if number is None:
        o.unstable += 1
        return
    o.comparisons += 1
    bound = rough * (1 + np.max(np.abs(number.value), initial=0.0)) + 20 * np.max(number.error)
    if all(np.max(np.abs(x - number.value), initial=0.0) <= bound for x in found):
        return
    u = at.direction(30)
    rest = optree.tree_map(lambda a, b: a - b, t, u)
    parts = [numeric.slope(at.line(f, part)) for part in (u, rest)]
    if any(p is None for p in parts) or abs(sum(p.value for p in parts) - number.value) > bound:
        o.unstable += 1  # a kink that shows from other sides
        return
    exact = numeric.complex_step(line)
    if exact is not None and all(np.allclose(x, exact, rtol=1e-6) for x in found):
        return
    o.fail(call, f"derivative {found}, by differences {number.value} +- {number.error}")


def second(o: Outcome) -> None:
    """Hessian times a vector: forward over reverse, reverse over reverse, and differences."""
    if isinstance(o.program.truths[0], Raised):
        return
    at = At(o.program, 0)
    t, u = at.direction(3), at.direction(8)
    gradient = wg.grad(at.loss)
    pair = o.get(0, wg.jvp, gradient, (at.smooth,), (t,))
    reverse = o.get(0, wg.grad(lambda x: dot_traced(gradient(x), t)), at.smooth)
    if pair is None or reverse is None:
        return
    a, b = dot(pair[1], u), dot(reverse, u)
    if not (np.isfinite(a) and np.isfinite(b)):
        return
    o.compare(0, b, a, lambda *args: _hvp(o, at, args), looser=1e3, dtypes=False)
    _against_numbers(o, 0, at, lambda x: dot(gradient(x), u), (a, b), 1e-4)


def _hvp(o: Outcome, at: At, args: tuple[Any, ...]) -> Any:
    smooth = [args[i] for i in at.places]
    return wg.jvp(wg.grad(at.loss), (smooth,), (at.direction(3),))[1]


ORDER = (0, 0, 1, 2, 0, 3, 1, 3, 0)
"""The calls of a compiled function: recorded, compiled, other values, layouts, branches, back."""


def in_order(
    o: Outcome, compiled: Callable[..., Any], reference: Callable[..., Any], looser: float = 1.0
) -> None:
    """Call a compiled function again and again; earlier results must not change meanwhile."""
    wants = {i: run(reference, *o.program.args(i)) for i in set(ORDER) if i < len(o.program.calls)}
    kept = []
    for call in ORDER:
        if call not in wants:
            continue
        want = wants[call]
        if isinstance(want, Raised) and is_refusal(want):
            continue
        args = o.program.args(call)
        got = run(compiled, *args)
        o.compare(call, got, want, reference, looser=looser)
        if said := difference(args, o.program.args(call), 0.0):
            o.fail(call, f"argument changed: {said}")
        if not isinstance(got, Raised):
            kept.append((call, got, optree.tree_map(np.copy, got)))
        if o.failed:
            return
    for call, got, then in kept:
        said = difference(got, then, 0.0, False)
        if said:
            o.fail(call, f"changed after it was returned: {said}")


def jit(backend: str) -> Callable[[Outcome], None]:
    def check(o: Outcome) -> None:
        in_order(o, wg.jit(o.program.function, backend=backend), o.program.function)

    return check


def total(o: Outcome) -> tuple[Callable[..., Any], tuple[int, ...]]:
    """Return the loss as a function of the program's own arguments, and the smooth ones' places."""
    places = smooth_places(o.program.args(0))
    return (lambda *args: loss(o.program.function(*args))), places


def jit_grad(backend: str) -> Callable[[Outcome], None]:
    def check(o: Outcome) -> None:
        f, places = total(o)
        made = wg.value_and_grad(f, places)
        in_order(o, wg.jit(made, backend=backend), made, 100)

    return check


def rolled(backend: str, second: bool = False) -> Callable[[Outcome], None]:
    """The compiled derivative of a program with loops, all of which become loops of its graph."""

    def check(o: Outcome) -> None:
        if "for " in o.program.source or "while " in o.program.source:
            with rolling(ALL):
                jit_second(o) if second else jit_grad(backend)(o)

    return check


def jit_second(o: Outcome) -> None:
    f, places = total(o)
    tangents = At(o.program, 0).direction(3)  # made here: jit records the arrays made in `made`

    def made(*args: Any) -> Any:
        def inner(*smooth: Any) -> Any:
            full = list(args)
            for i, x in zip(places, smooth, strict=True):
                full[i] = x
            return f(*full)

        smooth = tuple(args[i] for i in places)
        return wg.jvp(wg.grad(inner, tuple(range(len(places)))), smooth, tuple(tangents))

    in_order(o, wg.jit(made), made, 1e3)


def held(backend: str, rebind: bool) -> Callable[[Outcome], None]:
    """What a compiled function reads from outside: changed in place, or another array instead."""

    def check(o: Outcome) -> None:
        f, before = o.program.function, o.program.held
        copies = {name: x.copy() for name, x in before.items()}
        compiled = wg.jit(f, backend=backend)
        try:
            for step in range(4 if before else 0):
                for name in before if step > 1 else ():
                    x = f.__globals__[name]
                    if rebind:
                        f.__globals__[name] = _other(x)
                    else:
                        x[...] = _other(x)
                want = run(f, *o.program.args(0))
                o.compare(0, run(compiled, *o.program.args(0)), want, f)
        finally:
            for name, x in before.items():
                x[...] = copies[name]
                f.__globals__[name] = x

    return check


def _other(x: Any) -> Any:
    """Return other numbers, another mask or other places."""
    return ~x if x.dtype.kind == "b" else -0.7 * x if x.dtype.kind == "f" else -1 - x


def budget(o: Outcome) -> None:
    """The gradient within two thirds of the memory that it takes without a budget."""
    f, places = total(o)
    made = wg.grad(f, places)
    plan = o.get(0, wg.jit(made).plan, *o.program.args(0))
    if plan is not None and plan.memory.peak is not None:
        limit = max(64, plan.memory.peak * 2 // 3)
        in_order(o, wg.jit(made, memory_budget=limit), made, 100)


def checkpointed(o: Outcome) -> None:
    f, places = total(o)
    made = wg.grad(f, places)
    again = wg.grad(lambda *args: loss(wg.checkpoint(o.program.function)(*args)), places)
    args = o.program.args(0)
    want = o.get(0, made, *args)
    if want is not None:
        o.compare(0, run(again, *args), want, made, looser=100)
        if not o.failed:
            in_order(o, wg.jit(again, backend="numpy"), made, 100)


def vmapped(o: Outcome) -> None:
    """A batch of two calls against the two alone: the function, and its gradient."""
    if any(isinstance(t, Raised) for t in o.program.truths[:2]):
        return
    first, other = At(o.program, 0), At(o.program, 1)
    shapes = [[np.shape(x) for x in leaves(at.smooth)] for at in (first, other)]
    if shapes[0] != shapes[1] or not shapes[0]:
        return
    batch = optree.tree_map(lambda a, b: np.stack([a, b]), first.smooth, other.smooth)
    for f, loose in ((first.out, 1.0), (wg.grad(first.loss), 100.0)):
        # Of the batch itself, because np.stack may lay memory out in another order.
        rows = [run(f, optree.tree_map(lambda x: x[i], batch)) for i in (0, 1)]  # noqa: B023
        if any(isinstance(r, Raised) for r in rows):
            continue
        try:
            want = optree.tree_map(lambda a, b: np.stack([a, b]), *rows)
        except ValueError:
            continue  # the branches return different shapes

        def reference(*args: Any, f: Any = f) -> Any:
            return f([args[i] for i in first.places])

        for call, row in enumerate(rows):
            got = run(lambda: optree.tree_map(lambda x: x[call], wg.vmap(f)(batch)))  # noqa: B023
            want_row = optree.tree_map(lambda x: x[call], want)  # noqa: B023
            del row
            o.compare(call, got, want_row, reference, looser=loose)


def flat(o: Outcome) -> tuple[Any, Callable[[Any], Any], int] | None:
    """Return the first smooth argument, and all results as one vector of it; None if too large."""
    if isinstance(o.program.truths[0], Raised):
        return None
    at = At(o.program, 0)
    arrays = [k for k, x in enumerate(at.smooth) if isinstance(x, np.ndarray)]
    arrays = [k for k in arrays if is_real(at.smooth[k]) and 0 < at.smooth[k].size <= SMALL]
    size = sum(np.size(y) for y in leaves(o.program.truths[0]) if is_real(y))
    if not arrays or not 0 < size <= 2 * SMALL:
        return None
    k = arrays[0]

    def f(x: Any) -> Any:
        smooth = list(at.smooth)
        smooth[k] = x
        return np.concatenate([np.ravel(y) for y in leaves(at.out(smooth)) if is_real(y)])

    return at.smooth[k], f, at.places[k]


def sparse(o: Outcome) -> None:
    """Sparse Jacobian and Hessian against the dense ones, twice: planned, and compiled."""
    made = flat(o)
    if made is None:
        return
    x, f, place = made
    scalar = lambda x: loss(f(x))  # noqa: E731
    for function, dense in (
        (wg.jacobian(f, format="csr"), wg.jacfwd(f)),
        (wg.hessian(scalar, format="csr"), wg.hessian(scalar)),
    ):
        want = o.get(0, dense, x)
        if want is None or not is_sure(want):
            continue
        want = np.reshape(want, (-1, x.size))
        for point in (x, relaid(0.5 * x, x)):
            if point is not x:
                want = run(lambda: np.reshape(dense(point), (-1, x.size)))  # noqa: B023
                if isinstance(want, Raised) or not is_sure(want):
                    continue
            got = run(lambda: function(point).toarray())  # noqa: B023
            o.compare(
                0,
                got,
                want,
                lambda *args: dense(args[place]),  # noqa: B023
                looser=1e3,
                dtypes=False,
            )
    if not o.failed:
        rows = run(wg.jacrev(f), x)
        columns = run(wg.jacfwd(f), x)
        if not isinstance(columns, Raised) and is_sure(columns):
            o.compare(
                0, rows, columns, lambda *args: wg.jacfwd(f)(args[place]), looser=100, dtypes=False
            )


def ways(o: Outcome) -> None:
    """The whole Jacobian by each mode, called twice: planned and compiled."""
    made = flat(o)
    if made is None:
        return
    x, f, place = made
    want = o.get(0, wg.jacfwd(f), x)
    if want is None or not is_sure(want):
        return
    for mode in ("auto", "accumulate", "eliminate", "reverse"):
        for function in (wg.jacobian(f, mode=mode), wg.jit(wg.jacobian(f, mode=mode))):
            for _ in range(2):
                got = run(function, x)
                o.compare(
                    0, got, want, lambda *args: wg.jacfwd(f)(args[place]), looser=1e3, dtypes=False
                )


def taylor(o: Outcome) -> None:
    """Laplacian, diagonal and directional derivatives by Taylor mode, with those of a Hessian."""
    made = flat(o)
    if made is None:
        return
    x, f, place = made
    scalar = lambda x: loss(f(x))  # noqa: E731
    hessian = wg.hessian(scalar)
    whole = o.get(0, hessian, x)
    if whole is None or not is_sure(whole):
        return
    t = np.linspace(-1.0, 1.5, x.size).reshape(x.shape).astype(x.dtype)

    def parts(h: Any) -> tuple[Any, Any, Any]:
        square = np.reshape(h, (x.size, x.size))
        line = np.ravel(t)
        return np.diagonal(square).reshape(x.shape), np.trace(square), line @ square @ line

    zero = np.zeros_like(t)
    found = (
        wg.hessian_diagonal(scalar),
        wg.laplacian(scalar),
        lambda x: wg.jet(scalar, (x,), ((t, zero),))[1][1],
    )
    for k, function in enumerate(found):
        o.compare(
            0,
            run(function, x),
            parts(whole)[k],
            lambda *args: parts(hessian(args[place]))[k],  # noqa: B023
            looser=1e3,
            dtypes=False,
        )


def saved(o: Outcome) -> None:
    """A sparse Jacobian's plan, written to a file and read back."""
    made = flat(o)
    if made is None:
        return
    x, f, place = made
    want = o.get(0, wg.jacfwd(f), x)
    plan = o.get(0, wg.jacobian(f, format="csr").plan, x)
    if plan is None or want is None or not is_sure(want):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan"
        if run(plan.save, path) is None:
            loaded = o.get(0, wg.load_plan, path, f)
            if loaded is not None:
                got = run(lambda: loaded(x).toarray())
                want = np.reshape(want, (-1, x.size))
                o.compare(
                    0, got, want, lambda *args: wg.jacfwd(f)(args[place]), looser=1e3, dtypes=False
                )


class Check(NamedTuple):
    """A comparison, and how many of a hundred programs it is made for."""

    run: Callable[[Outcome], None]
    share: int


CHECKS = {
    "eager": Check(eager, 100),
    "layout": Check(layout, 100),
    "derivative": Check(derivative, 100),
    "second": Check(second, 40),
    "jit native": Check(jit("native"), 50),
    "jit numpy": Check(jit("numpy"), 40),
    "jit grad native": Check(jit_grad("native"), 35),
    "jit grad numpy": Check(jit_grad("numpy"), 30),
    "jit second": Check(jit_second, 8),
    "rolled native": Check(rolled("native"), 50),
    "rolled numpy": Check(rolled("numpy"), 50),
    "rolled second": Check(rolled("native", second=True), 12),
    "held native": Check(held("native", rebind=False), 60),
    "held numpy": Check(held("numpy", rebind=False), 40),
    "rebound": Check(held("numpy", rebind=True), 40),
    "vmap": Check(vmapped, 40),
    "sparse": Check(sparse, 20),
    "saved": Check(saved, 5),
    "ways": Check(ways, 10),
    "taylor": Check(taylor, 15),
    "budget": Check(budget, 5),
    "checkpoint": Check(checkpointed, 15),
}


def examine(program: Program, names: Iterable[str]) -> Outcome:
    """Make the checks of these names; where the value itself is wrong, the first one only."""
    outcome = Outcome(program)
    for name in names:
        outcome.check = name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            CHECKS[name].run(outcome)
        if name == "eager" and outcome.failed:
            break
    return outcome


def assert_agrees(program: Callable[..., Any], calls: Any, check: str) -> None:
    """Make one check of a function: the tests that the fuzzer writes call this."""
    made = Program(program, calls, inspect.getsource(program))
    failures = examine(made, [check]).failures
    assert not failures, failures[0].what
