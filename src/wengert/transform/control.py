"""Loops and branches for users: `scan`, `fori_loop`, `while_loop`, `cond`, `switch`, `map`.

Under `jit`, each is one operation, whose body is run once to be recorded: the program does not grow
with the number of trips. Elsewhere they are Python loops and branches, which every transformation
follows; a `while_loop` or `cond` on what differs along a batch of `vmap` is the operation too.
Names, arguments and results are those of ``jax.lax``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from wengert import trees
from wengert.errors import InputError, ShapeError, user_line
from wengert.follow.functions import call as call_followed
from wengert.follow.functions import following
from wengert.ir.graph import aval_of
from wengert.ops import loops
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.trace.numbers import number_type
from wengert.trace.recorder import active_recorder
from wengert.trace.region import Region, example, record_region
from wengert.trace.tracer import Tracer
from wengert.transform.batch import BatchTrace
from wengert.transform.carry import AgainError, Carry, kind_of
from wengert.transform.vmap import vmap

__all__ = ["cond", "fori_loop", "map", "scan", "switch", "while_loop"]

_PYTHON = (bool, int, float, complex)


def _is_compiled() -> bool:
    """Whether a recorder of programs is at work."""
    return active_recorder() is not None


def _differs(x: Any) -> bool:
    """Whether a value differs along a batch, so that it has no single outcome."""
    while isinstance(x, Tracer):
        x._refresh()
        if isinstance(x._trace, BatchTrace) and x._var.batched:
            return True
        x = x._var.data
    return False


def _new(x: Any) -> Any:
    """Return a result as an operation of a graph makes it: a new array in C order, or a scalar."""
    if not isinstance(x, (np.ndarray, Traced)):
        return x
    if isinstance(x, Traced) and number_type(x) is not None:
        return x
    return np.copy(x, order="C") if shape_of(x) else x[()]  # type: ignore[call-overload, index]


# --- scan -----------------------------------------------------------------------------------------
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Loop over the rows of arrays, carrying values from trip to trip.

    Parameters
    ----------
    f : callable
        ``f(carry, x) -> (carry, y)``. What it carries on has the form, shapes and dtypes of
        `init`. Under `jit` it is run once; it is to be free of side effects.
    init : pytree of arrays and numbers
    xs : pytree of arrays, optional
        A trip gets a row of each, along axis 0.
    length : int, optional
        The number of trips, where `xs` does not say.
    reverse : bool
        Whether to begin with the last row.
    unroll : int or bool
        Taken as JAX takes it, and without effect.

    Returns
    -------
    carry : pytree
        As `f` returned it last.
    ys : pytree of arrays
        What `f` returned in each trip, stacked along axis 0, in the order of the rows.

    Raises
    ------
    ShapeError
        When `f` returns a carry of another form, shape or dtype, showing both leaf by leaf; when
        the rows of `xs` differ in number.

    Examples
    --------
    >>> import numpy as np, wengert as wg
    >>> wg.scan(lambda total, x: (total + x, total), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 1., 3.]))
    """
    f = following(f)
    rows, pack_row = trees.flatten(xs)
    rows = [x if isinstance(x, (np.ndarray, Traced)) else np.asarray(x) for x in rows]
    n = _trips(rows, length)
    carry = Carry("scan", init)
    if n and not _is_compiled():
        return _python_scan(f, carry, rows, pack_row, n, reverse)
    return _rolled_scan(f, carry, rows, pack_row, n, reverse)


def _trips(rows: Sequence[Any], length: Any) -> int:
    if any(shape_of(x) == () for x in rows):
        raise ShapeError("scan: xs has a leaf without axes, which has no rows" + user_line())
    found = {shape_of(x)[0] for x in rows} | (set() if length is None else {int(length)})
    if len(found) > 1:
        shown = ", ".join(str(kind_of(x)) for x in rows)
        said = "" if length is None else f", and length={length}"
        raise ShapeError(
            f"scan: the arrays of xs have other numbers of rows: {shown}{said}" + user_line()
        )
    if not found:
        raise InputError(
            "scan: give length=, the number of trips, where xs has no arrays" + user_line()
        )
    return found.pop()


def _pair(out: Any) -> tuple[Any, Any]:
    if not isinstance(out, tuple) or len(out) != 2:
        raise InputError(
            f"scan: the body returns a pair (carry, y), and this one a {type(out).__name__}"
            + user_line()
        )
    return out


def _row(x: Any, t: int) -> Any:
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x = x.view()
        x.flags.writeable = False
    return x[t]


def _python_scan(
    f: Any, carry: Carry, rows: list[Any], pack_row: Any, n: int, reverse: bool
) -> tuple[Any, Any]:
    """Run the trips one after the other."""
    made: list[list[Any]] = []
    pack_y = None
    leaves = carry.first
    for k in range(n):
        t = n - 1 - k if reverse else k
        row = pack_row([_row(x, t) for x in rows])
        new, y = _pair(f(carry.pack(leaves), row))
        if not k and any(carry.weak) and carry.settled(new):
            new, y = _pair(f(carry.pack(carry.leaves), row))
        leaves = carry.next(new)
        ys, pack_y = trees.flatten(y)
        made.append(ys)
    if reverse:
        made.reverse()
    assert pack_y is not None
    if len({len(ys) for ys in made}) > 1:
        raise ShapeError(
            "scan: the body returns values of another form in some trips" + user_line()
        )
    ys = [np.stack(column) for column in zip(*made, strict=True)]
    ys = [_new(y) if len(shape_of(y)) > 2 else y for y in ys]  # rows may lie in another order
    return carry.pack([_new(x) for x in leaves]), pack_y(ys)


def _rolled_scan(
    f: Any, carry: Carry, rows: list[Any], pack_row: Any, n: int, reverse: bool
) -> tuple[Any, Any]:
    """Make one operation of the loop."""
    c = len(carry.leaves)
    forms: list[Any] = []

    def body(*xs: Any) -> list[Any]:
        new, y = _pair(f(carry.pack(xs[:c]), pack_row(xs[c:])))
        carry.again(new)
        ys, pack_y = trees.flatten(y)
        forms[:] = [pack_y]
        return [*carry.next(new), *ys]

    examples = [_first(x) for x in rows]
    region = _recorded("scan", body, carry, examples)
    if region.custom and n:
        return _python_scan(f, carry, rows, pack_row, n, reverse)
    ys = _list(
        loops.scan(
            *region.captured, *carry.leaves, *rows,
            body=region.graph, length=n, consts=len(region.captured), carries=c,
            reverse=bool(reverse),
        )
    )  # fmt: skip
    return carry.pack(ys[:c]), forms[0](ys[c:])


def _recorded(name: str, body: Any, carry: Carry, rows: Sequence[Any] = ()) -> Region:
    while True:
        try:
            return record_region(f"wg.{name}", body, [*carry.first, *rows])
        except AgainError:
            continue


def _first(x: Any) -> Any:
    """Return an example of a row."""
    whole = example(x)
    return whole[0] if len(whole) else np.ones(whole.shape[1:], whole.dtype)[()]


def _list(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple) else [y]


def map(f: Callable[[Any], Any], xs: Any, batch_size: int | None = None) -> Any:
    """Apply a function to each row of arrays, one after the other, and stack the results.

    Parameters
    ----------
    f : callable
    xs : pytree of arrays
    batch_size : int, optional
        How many rows are taken at once, by `vmap`: enough that an operation is worth its call, and
        so few that what is computed on the way stays in the caches.

    Returns
    -------
    pytree of arrays
        As ``np.stack([f(x) for x in xs])``.

    Raises
    ------
    InputError
        For a size that is no positive integer.
    """
    f = following(f)
    if batch_size is None:
        return scan(lambda carry, x: (carry, f(x)), (), xs)[1]
    if type(batch_size) is not int or batch_size < 1:
        raise InputError(
            f"map: batch_size must be a positive int, not {batch_size!r}" + user_line()
        )
    many = vmap(f)
    leaves, spec = optree.tree_flatten(xs)
    count = _trips(leaves, None)
    blocks = count // batch_size
    start = blocks * batch_size
    parts = []
    if blocks:
        rows = [
            np.reshape(x[:start], (blocks, batch_size, *shape_of(x)[1:])) for x in _arrays(leaves)
        ]
        ys = scan(lambda carry, x: (carry, many(x)), (), optree.tree_unflatten(spec, rows))[1]
        parts.append(trees.map_leaves(lambda y: np.reshape(y, (start, *shape_of(y)[2:])), ys))
    if start < count or not blocks:
        parts.append(many(optree.tree_unflatten(spec, [x[start:] for x in _arrays(leaves)])))
    if len(parts) == 1:
        return parts[0]
    return optree.tree_map(lambda *ys: np.concatenate(ys), *parts)


def _arrays(leaves: Sequence[Any]) -> list[Any]:
    return [x if isinstance(x, (Traced, np.ndarray)) else np.asarray(x) for x in leaves]


# --- while ----------------------------------------------------------------------------------------
def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """Loop while a condition on what is carried holds.

    Parameters
    ----------
    cond_fun : callable
        ``cond_fun(carry)``, a boolean.
    body_fun : callable
        ``body_fun(carry) -> carry``, of the same form, shapes and dtypes.
    init_val : pytree of arrays and numbers

    Returns
    -------
    pytree
        The first carry for which the condition does not hold.

    Notes
    -----
    Reverse mode keeps what each trip's derivative reads, so its memory grows with the trips. Under
    `jit`, values and forward mode hold for any number of trips; reverse mode is recorded once for
    each number of trips it meets.

    Raises
    ------
    ShapeError
        When `body_fun` returns a carry of another form, shape or dtype, showing both.
    """
    cond_fun, body_fun = following(cond_fun), following(body_fun)
    carry = Carry("while_loop", init_val)
    leaves = carry.leaves
    if not _is_compiled():
        first = any(carry.weak)
        leaves = carry.first
        while True:
            p = cond_fun(carry.pack(leaves))
            if _differs(p):
                break
            if not p:
                return carry.pack([_new(x) for x in (carry.leaves if first else leaves)])
            new = body_fun(carry.pack(leaves))
            if first and carry.settled(new):
                new = body_fun(carry.pack(carry.leaves))
            leaves, first = carry.next(new), False
        carry.leaves = carry.leaves if first else leaves
    return _rolled_while(cond_fun, body_fun, carry)


def _rolled_while(cond_fun: Any, body_fun: Any, carry: Carry) -> Any:
    """Make one operation of the loop."""

    def body(*xs: Any) -> list[Any]:
        new = body_fun(carry.pack(xs))
        carry.again(new)
        return carry.next(new)

    def test(*xs: Any) -> list[Any]:
        p = cond_fun(carry.pack(xs))
        if shape_of(p) != () or dtype_of(p if isinstance(p, Traced) else np.asarray(p)).kind != "b":
            raise ShapeError(
                f"while_loop: the condition is {kind_of(p)}, and has to be a boolean without axes"
                + user_line()
            )
        return [p]

    run = _recorded("while_loop", body, carry)
    ask = _recorded("while_loop", test, carry)
    if run.custom or ask.custom:
        leaves = carry.leaves
        while cond_fun(carry.pack(leaves)):
            leaves = carry.next(body_fun(carry.pack(leaves)))
        return carry.pack(leaves)
    a, b = len(ask.captured), len(run.captured)
    ys = loops.while_loop(
        *ask.captured, *run.captured, *carry.leaves,
        test=loops.with_unread(ask.graph, a, run.captured),
        body=loops.with_unread(run.graph, 0, ask.captured),
        consts=a + b,
    )  # fmt: skip
    return carry.pack(ys[:-1])


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: Any = None,
) -> Any:
    """Loop over the integers from `lower` to `upper`, which is not included.

    Parameters
    ----------
    lower, upper : int
        Traced ones make a `while_loop`.
    body_fun : callable
        ``body_fun(i, carry) -> carry``.
    init_val : pytree of arrays and numbers
    unroll : int, optional
        Taken as JAX takes it, and without effect.

    Returns
    -------
    pytree
        The carry after the last trip.

    Raises
    ------
    InputError
        A bound is no integer.
    """
    for name, bound in (("lower", lower), ("upper", upper)):
        if dtype_of(bound).kind not in "iu" or shape_of(bound) != ():
            raise InputError(
                f"fori_loop: {name} has to be an integer, not {bound!r}; write int({name}), or "
                f"{name}.astype(int) for a traced one" + user_line()
            )
    body_fun = following(body_fun)
    if isinstance(lower, Traced) or isinstance(upper, Traced):
        start = lower if isinstance(lower, Traced) else np.int64(lower)
        return while_loop(
            lambda c: c[0] < upper, lambda c: (c[0] + 1, body_fun(c[0], c[1])), (start, init_val)
        )[1]
    indices = np.arange(int(lower), max(int(lower), int(upper)))
    if not len(indices):
        return Carry("fori_loop", init_val).pack(Carry("fori_loop", init_val).leaves)
    return scan(lambda c, i: (body_fun(i, c), ()), init_val, indices)[0]


# --- branches -------------------------------------------------------------------------------------
def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """Apply one of two functions.

    Parameters
    ----------
    pred : bool
    true_fun, false_fun : callable
        Results of the same form, shapes and dtypes.
    *operands : pytrees of arrays and numbers

    Returns
    -------
    pytree
        ``true_fun(*operands)`` if `pred` holds, else ``false_fun(*operands)``. Where `pred` differs
        along a batch of `vmap`, both are computed, and chosen from for each example.

    Raises
    ------
    ShapeError
        Where both are recorded, and results differ in form, shape or dtype.
    """
    if shape_of(pred) != ():
        raise ShapeError(
            f"cond: the condition has to be without axes, not {kind_of(pred)}" + user_line()
        )
    if not isinstance(pred, Traced) or not (_is_compiled() or _differs(pred)):
        return trees.map_leaves(_new, (true_fun if pred else false_fun)(*operands))
    index = pred if dtype_of(pred).kind == "b" else np.not_equal(pred, 0)  # type: ignore[call-overload]
    return _branch("cond", index, (false_fun, true_fun), operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Apply one of several functions.

    Parameters
    ----------
    index : int
        Which; the first one for less than 0, the last one for more than there are.
    branches : sequence of callables
        Results of the same form, shapes and dtypes.
    *operands : pytrees of arrays and numbers

    Returns
    -------
    pytree
    """
    if not branches:
        raise InputError("switch takes at least one branch" + user_line())
    if shape_of(index) != () or aval_of(index).dtype.kind not in "iub":
        raise InputError(f"switch: the index is an integer, not {kind_of(index)}" + user_line())
    last = len(branches) - 1
    if not isinstance(index, Traced) or not (_is_compiled() or _differs(index)):
        chosen = branches[min(max(int(index), 0), last)]
        return trees.map_leaves(_new, call_followed(chosen, operands, {}))
    return _branch("switch", index, tuple(branches), operands)


def _branch(name: str, index: Any, branches: Sequence[Any], operands: tuple[Any, ...]) -> Any:
    """Make one operation of the branches."""
    given = Carry(name, operands)
    forms: list[Any] = []
    names = [getattr(b, "__name__", "branch") for b in branches]

    def recorded(k: int) -> Region:
        def run(*xs: Any) -> list[Any]:
            ys, spec = trees.flattened(call_followed(branches[k], given.pack(xs), {}))
            forms.append((spec, [kind_of(y) for y in ys]))
            return [y if isinstance(y, Traced) else np.asarray(y)[()] for y in ys]

        return record_region(f"wg.{name}", run, given.leaves)

    regions = [recorded(k) for k in range(len(branches))]
    for k, form in enumerate(forms):
        if form != forms[0]:
            raise ShapeError(
                f"{name}: the branches return other forms, shapes or dtypes:\n"
                f"  branch 0 ({names[0]}): {forms[0][0]} of {', '.join(forms[0][1])}\n"
                f"  branch {k} ({names[k]}): {form[0]} of {', '.join(form[1])}" + user_line()
            )
    if any(r.custom for r in regions):
        which = min(max(int(index), 0), len(branches) - 1)
        return branches[which](*operands)
    captured = [x for r in regions for x in r.captured]
    graphs = loops.joined([r.graph for r in regions], [r.captured for r in regions])
    ys = loops.cond(index, *captured, *given.leaves, branches=graphs)
    return forms[0][0].unflatten(_list(ys))
