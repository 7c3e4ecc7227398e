"""Gradients of long chains of steps: few states are held in memory, and some on disk.

A chain of `n` steps is never recorded at once. It is run forward, and each step is recorded when it
is reversed, from the state before it. The binomial schedule is that of `memory.binomial`;
with a disk there are two levels, after Aupy, Herrmann, Hovland and Robert (2016), *Optimal
multistage algorithm for adjoint computation*, SIAM Journal on Scientific Computing 38(3). The upper
level here is simpler than theirs: states at even distances go to disk while the chain runs forward
for the first time, and each part between two of them is reversed with the slots in memory.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from wengert import trees
from wengert.derivatives import value_and_grad, vjp
from wengert.errors import InputError, MemoryBudgetError, ShapeError, user_line
from wengert.follow.functions import following
from wengert.jit.decorator import jit
from wengert.jit.jitted import Jitted
from wengert.memory.binomial import Action, actions, runs
from wengert.memory.profile import size_of, size_text
from wengert.ops.base import Traced, dtype_of, shape_of

__all__ = ["ChainCounts", "ChainGradient", "chain_gradient", "disk_positions", "forward_steps"]

CLOSE, FAR = 2 / 3, 1 / 4
"""Powers of the machine's precision: how far a step that is run again may be off, relative to its
state, without a further look, and at all."""
PATHS = 8
"""Compiled paths of a step's reversal; a step that takes more is reversed without compilation."""


class ChainCounts(NamedTuple):
    """What a chain's gradient took."""

    forward_steps: int
    """How often a step ran forward, the runs that belong to reversing one included."""
    slots: int
    """States that could be held in memory at a time."""
    disk_slots: int
    """States that were held on disk."""
    disk_bytes_written: int
    disk_bytes_read: int


class ChainGradient(NamedTuple):
    """The result of `chain_gradient`."""

    value: Any
    """The loss, a number."""
    gradient: tuple[Any, Any]
    """With respect to the first state and to the parameters, each of the form of its argument."""
    counts: ChainCounts


def chain_gradient(
    step: Callable[[Any, Any, int], Any],
    loss: Callable[[Any], Any],
    state: Any,
    n: int,
    *,
    params: Any = (),
    slots: int | None = None,
    memory: int | str | None = None,
    disk: str | os.PathLike[str] | None = None,
    disk_slots: int | None = None,
    compiled: bool = True,
) -> ChainGradient:
    """Return a loss after `n` steps and its gradient, while few of the states are held.

    The loss is ``loss(step(... step(step(state, params, 0), params, 1) ..., params, n - 1))``.

    Parameters
    ----------
    step : callable
        ``step(state, params, k)`` returns the next state, of the same form, shapes and dtypes. It
        depends on its arguments only, since it runs several times; it may be a `wg.jit`.
    loss : callable
        ``loss(state)`` returns a real number.
    state, params : pytrees of arrays
        Floating-point. Neither is changed.
    n : int
        The number of steps.
    slots : int, optional
        States to hold in memory at a time, at least 1. Besides them there are a few more for the
        present one, its neighbours and cotangents, and what reversing one step takes.
    memory : int or str, optional
        Instead of `slots`, bytes for the states held, such as ``"200MiB"``.
    disk : path, optional
        A folder for one temporary file of states (`numpy.memmap`). Its room is taken before the
        first step runs. The system removes it when it is closed, however the run ends, and where
        the system can (Linux) it never has a name.
    disk_slots : int, optional
        The most states on disk. Without it as many as leave no part of the chain longer than the
        slots in memory reverse with each step run at most twice more. None are used where the
        binomial schedule alone runs no more steps.
    compiled : bool
        Whether the reversal of a step is compiled. `k` is traced in it. It is compiled once a
        call of this function; once for all calls where `step` is a `wg.jit`.

    Returns
    -------
    ChainGradient
        ``(value, (state gradient, params gradient), counts)``. ``counts.forward_steps`` is
        `forward_steps` of the chain: ``memory.binomial.runs(n, slots)`` without a disk.

    Raises
    ------
    InputError
        For options that do not fit, leaves that are not floating-point, traced values; for a step
        that returns something else when it is run again.
    ShapeError
        For a step whose result differs from its state in form, shape or dtype.
    MemoryBudgetError
        When `memory` has no room for one state.
    OSError
        When the folder has no room for the states, or no file can be made there, before any step
        runs.
    """
    n = _count(n, "n", 0)
    _floating(state, "state")
    _floating(params, "params")
    form = _Form(state)
    held = _slots(slots, memory, form.nbytes)
    if disk is None and disk_slots is not None:
        raise InputError("disk_slots needs disk=, the folder that states go to" + user_line())
    starts = [0]
    if disk is not None:
        most = None if disk_slots is None else _count(disk_slots, "disk_slots", 0)
        starts = disk_positions(n, held, most)
    run = _Run(step, loss, form, n, _read_only(params), compiled)
    with _store(disk, len(starts) - 1, form) as store:
        value, gradient = run.gradient(state, starts, held, store)
    moved = (len(starts) - 1) * form.nbytes
    return ChainGradient(value, gradient, ChainCounts(run.ran, held, len(starts) - 1, moved, moved))


def disk_positions(n: int, slots: int, disk_slots: int | None = None) -> list[int]:
    """Return the steps before which the parts of a chain begin: 0, and those that go to disk.

    Parameters
    ----------
    n, slots : int
        Steps, and states in memory.
    disk_slots : int, optional
        The most states on disk; see `chain_gradient`.
    """
    wanted = -(-n // (slots + 1)) - 1 if disk_slots is None else disk_slots
    parts = max(min(wanted, n - 1), 0) + 1
    starts = [i * n // parts for i in range(parts)]
    return starts if forward_steps(n, slots, starts) < runs(n, slots) else [0]


def forward_steps(n: int, slots: int, starts: Sequence[int] = (0,)) -> int:
    """Return how often steps run forward to reverse a chain whose parts begin at `starts`."""
    stops = [*starts[1:], n]
    lengths = [stop - start for start, stop in zip(starts, stops, strict=True)]
    again = {length: runs(length, slots) for length in set(lengths)}
    return starts[-1] + sum(again[length] for length in lengths)


# --- running --------------------------------------------------------------------------------------
class _Run:
    """One forward and backward run of a chain."""

    def __init__(
        self,
        step: Callable[[Any, Any, int], Any],
        loss: Callable[[Any], Any],
        form: _Form,
        n: int,
        params: Any,
        compiled: bool,
    ) -> None:
        self._step = following(step)
        self._loss = loss
        self._form = form
        self._n = n
        self._params = params
        self._reverse: Jitted[..., Any] | None = None
        if compiled:
            self._reverse = _kept(step) if isinstance(step, Jitted) else jit(_pullback(step))
        self.ran = 0

    def gradient(
        self, state: Any, starts: list[int], slots: int, store: _Store | None
    ) -> tuple[Any, tuple[Any, Any]]:
        """Run and reverse the chain, the states before `starts` but the first on disk."""
        form = self._form
        value: Any
        ct: Any
        first = form.leaves(state)
        present = form.copied(first)
        if not self._n:
            value, ct = self._end(present)
            return value, (ct, trees.map_leaves(np.zeros_like, self._params))
        for i, (start, stop) in enumerate(itertools.pairwise(starts)):
            present = self._advance(present, start, stop)
            assert store is not None
            store.write(i, present)
        value = ct = None
        after: list[Any] | None = None  # the state after the step to reverse, as it was found first
        total: list[Any] | None = None
        stops = [*starts[1:], self._n]
        for i in reversed(range(len(starts))):
            if store is not None and i < len(starts) - 1:
                present = store.read(i - 1) if i else form.copied(first)
            held: dict[int, list[Any]] = {}
            for action in _shifted(starts[i], stops[i], slots):
                if action.kind == "store":
                    held[action.slot] = form.copied(present)
                elif action.kind == "restore":
                    present = form.copied(held[action.slot])
                elif action.kind == "free":
                    del held[action.slot]
                elif action.kind == "advance":
                    present = self._advance(present, action.start, action.stop)
                elif after is None:
                    after = form.copied(present)
                    value, (ct, found) = self._last(present)
                    total = trees.flatten(found)[0]
                else:
                    before = form.copied(present)
                    ct, found = self._back(present, action.start, ct, after)
                    after = before
                    total = [_sum(a, b) for a, b in zip(total or [], found, strict=True)]
        return value, (ct, trees.flatten(self._params)[1](total or []))

    def _advance(self, present: list[Any], start: int, stop: int, count: bool = True) -> list[Any]:
        for k in range(start, stop):
            with _place(k, self._n):
                out = self._step(self._form.rebuild(present), self._params, k)
            self.ran += count
            present = self._form.checked(out, k)
        return present

    def _last(self, present: list[Any]) -> tuple[Any, tuple[Any, Any]]:
        """Return the loss, and the cotangents of the last step's arguments."""
        k = self._n - 1
        with _place(k, self._n):
            y, pull = vjp(
                lambda s, p: self._step(s, p, k), self._form.rebuild(present), self._params
            )
        self.ran += 1
        value, ct = self._end(self._form.copied(self._form.checked(y, k)))
        return value, pull(ct)

    def _end(self, present: list[Any]) -> tuple[Any, Any]:
        """Return the loss and its gradient with respect to the last state."""
        value, ct = value_and_grad(self._loss)(self._form.rebuild(present))
        if isinstance(value, Traced):
            raise InputError(
                "chain_gradient cannot be differentiated or compiled: the loss is a traced value"
                + user_line()
            )
        return value, ct

    def _back(self, present: list[Any], k: int, ct: Any, after: list[Any]) -> tuple[Any, list[Any]]:
        """Reverse step `k`; the state after it must be the one that the chain ran on from."""
        state = self._form.rebuild(present)
        with _place(k, self._n):
            if self._reverse is not None and _has_room(self._reverse):
                y, (ct, found) = self._reverse(state, self._params, k, ct)
            else:
                y, (ct, found) = _pullback(self._step)(state, self._params, k, ct)
        self.ran += 1
        if not self._same(self._form.checked(y, k), present, k, after):
            raise InputError(
                f"step {k} of {self._n} returned another state when it was run again: a step must "
                f"depend on its arguments only, since chain_gradient runs it several times. Draw "
                f"random numbers from a generator made from k: np.random.default_rng((seed, k))"
                + user_line()
            )
        return ct, trees.flatten(found)[0]

    def _same(self, y: list[Any], present: list[Any], k: int, after: list[Any]) -> bool:
        """Whether a step that was reversed gave the state that the chain ran on from.

        Compiled code need not give the same bits. Where it differs by more than roundings do as a
        rule, the step is run twice as it is: noise differs, rounding does not.
        """
        if _alike(y, after, CLOSE):
            return True
        if not _alike(y, after, FAR):
            return False
        pair = [self._advance(self._form.copied(present), k, k + 1, count=False) for _ in range(2)]
        return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*pair, strict=True))


def _pullback(step: Callable[[Any, Any, int], Any]) -> Callable[..., Any]:
    step = following(step)

    def reverse_step(state: Any, params: Any, k: Any, ct: Any) -> Any:
        y, pull = vjp(lambda s, p: step(s, p, k), state, params)
        return y, pull(ct)

    return reverse_step


@functools.lru_cache(maxsize=16)
def _kept(step: Jitted[..., Any]) -> Jitted[..., Any]:
    """Return the compiled reversal of a compiled step, the same one for each chain."""
    made: Jitted[..., Any] = jit(_pullback(step))
    return made


def _has_room(reverse: Jitted[..., Any]) -> bool:
    info = reverse.cache_info()
    return info.specialisations < info.signatures + PATHS


def _shifted(start: int, stop: int, slots: int) -> Iterator[Action]:
    for a in actions(stop - start, slots):
        yield Action(a.kind, a.start + start, a.stop + start, a.slot)


@contextlib.contextmanager
def _place(k: int, n: int) -> Iterator[None]:
    """Say with an error of the step's own which step it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in step {k} of a chain of {n}")
        raise


def _alike(got: list[Any], want: list[Any], power: float) -> bool:
    """Whether two states agree up to a power of the machine's precision.

    The scale is the largest number of the whole state, since single arrays may be all rounding.
    """
    with np.errstate(all="ignore"):
        scale = max((float(np.max(np.abs(x), initial=0)) for x in want), default=0.0)
        if not np.isfinite(scale):
            return all(
                np.array_equal(np.isfinite(a), np.isfinite(b))
                for a, b in zip(got, want, strict=True)
            )
        return all(
            bool(np.all(np.abs(a - b) <= float(np.finfo(b.dtype).eps) ** power * scale))
            for a, b in zip(got, want, strict=True)
        )


def _sum(a: Any, b: Any) -> Any:
    return np.add(a, b, out=a) if isinstance(a, np.ndarray) else a + b


# --- states ---------------------------------------------------------------------------------------
class _Form:
    """The pytree form, shapes and dtypes of a state; states are lists of leaves in between."""

    def __init__(self, state: Any) -> None:
        self._state = trees.map_leaves(lambda x: np.empty_like(x, subok=False), state)
        leaves, self.rebuild = trees.flatten(state)
        self._arrays = [isinstance(x, np.ndarray) for x in leaves]
        self.dtypes = [dtype_of(x) for x in leaves]
        self.shapes = [shape_of(x) for x in leaves]
        self.sizes = [
            int(np.prod(s, dtype=int)) * d.itemsize
            for s, d in zip(self.shapes, self.dtypes, strict=True)
        ]
        self.nbytes = sum(self.sizes)

    def leaves(self, state: Any) -> list[Any]:
        return [np.asarray(x) for x in trees.flatten(state)[0]]

    def copied(self, leaves: list[Any]) -> list[Any]:
        """Return a state's leaves as new arrays, as a step may change its state in place."""
        return [
            np.array(x) if is_array else np.asarray(x)[()]
            for x, is_array in zip(leaves, self._arrays, strict=True)
        ]

    def checked(self, out: Any, k: int) -> list[Any]:
        """Return the leaves of a step's result, which must have the form of its state."""
        for x in trees.flatten(out)[0]:
            if isinstance(x, Traced):
                raise InputError(
                    f"step {k} returned a traced value: chain_gradient cannot be differentiated or "
                    f"compiled, and a step cannot use traced values but its arguments" + user_line()
                )
        leaves, _, _ = trees.same_form(out, self._state, f"the result of step {k}")
        given = trees.flatten(out)[0]
        for i, (x, dtype) in enumerate(zip(given, self.dtypes, strict=True)):
            if dtype_of(x) != dtype:
                raise ShapeError(
                    f"the result of step {k} has dtype {dtype_of(x)} in array {i}, but its state "
                    f"has {dtype}: convert one of them with .astype" + user_line()
                )
        return [x if is_array else x[()] for x, is_array in zip(leaves, self._arrays, strict=True)]


def _floating(tree: Any, what: str) -> None:
    for x in trees.flatten(tree)[0]:
        if isinstance(x, Traced):
            raise InputError(
                f"chain_gradient cannot be differentiated or compiled, but {what} has a traced "
                f"value; to compile it, compile the step: wg.jit(step)" + user_line()
            )
        if isinstance(x, np.ma.MaskedArray):
            raise InputError(
                f"{what} has a masked array, and its mask would be lost. Give plain arrays: "
                f"x.filled(0), and multiply by ~x.mask in the step" + user_line()
            )
        if np.asarray(x).dtype.kind not in "fc":
            raise InputError(
                f"chain_gradient takes floating-point arrays, but {what} has one of dtype "
                f"{np.asarray(x).dtype}. Convert it with .astype(float), or let the step capture "
                f"what is not differentiated" + user_line()
            )


def _read_only(params: Any) -> Any:
    """Return views that a step cannot change: a change would be seen by the steps after it."""

    def view(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return np.asarray(x)[()]
        x = x.view()
        x.flags.writeable = False
        return x

    return trees.map_leaves(view, params)


# --- options and the disk -------------------------------------------------------------------------
def _count(x: Any, name: str, least: int) -> int:
    if isinstance(x, (bool, np.bool_)) or not isinstance(x, (int, np.integer)) or x < least:
        raise InputError(f"{name} is a whole number, at least {least}, not {x!r}" + user_line())
    return int(x)


def _slots(slots: int | None, memory: int | str | None, nbytes: int) -> int:
    if (slots is None) == (memory is None):
        raise InputError(
            'chain_gradient takes either slots=, the states to hold, or memory=, such as "200MiB"'
            + user_line()
        )
    if slots is not None:
        return _count(slots, "slots", 1)
    given: Any = memory
    if isinstance(given, (float, np.floating)) and float(given).is_integer():
        given = int(given)  # 1e9
    try:
        budget = size_of(given)
    except (ValueError, OverflowError):
        raise InputError(
            f'memory={memory!r} is not a size: a number of bytes, or "200MiB"' + user_line()
        ) from None
    if budget < max(nbytes, 1):
        raise MemoryBudgetError(
            f"a state takes {size_text(nbytes)} ({nbytes:,} bytes), and memory={memory!r} has no "
            f"room for one" + user_line(),
            nbytes,
        )
    return budget // max(nbytes, 1)


class _Store:
    """States in one file; each takes as many bytes as its arrays."""

    def __init__(self, data: np.memmap[Any, np.dtype[np.uint8]], form: _Form) -> None:
        self._data: np.memmap[Any, np.dtype[np.uint8]] | None = data
        self._form = form

    def write(self, slot: int, leaves: list[Any]) -> None:
        at = slot * self._form.nbytes
        for x, size in zip(leaves, self._form.sizes, strict=True):
            assert self._data is not None
            flat = np.ascontiguousarray(x).reshape(-1).view(np.uint8)
            self._data[at : at + size] = flat
            at += size

    def read(self, slot: int) -> list[Any]:
        """Return a state's leaves as new arrays in memory."""
        form = self._form
        at = slot * form.nbytes
        leaves = []
        for shape, dtype, size in zip(form.shapes, form.dtypes, form.sizes, strict=True):
            assert self._data is not None
            part = np.array(self._data[at : at + size], subok=False)
            leaves.append(part.view(dtype).reshape(shape))
            at += size
        return form.copied(leaves)

    def close(self) -> None:
        """Let go of the file, even where a traceback holds this object."""
        self._data = None


@contextlib.contextmanager
def _store(
    disk: str | os.PathLike[str] | None, states: int, form: _Form
) -> Iterator[_Store | None]:
    """Open a file with room for the states, which is gone when the block ends in any way."""
    if disk is not None and not isinstance(disk, (str, os.PathLike)):
        raise InputError(f"disk={disk!r} is not the path of a folder" + user_line())
    if disk is not None and not os.path.isdir(disk):
        raise InputError(f"disk={os.fspath(disk)!r} is not a folder" + user_line())
    if disk is None or not states:
        yield None
        return
    nbytes = max(states * form.nbytes, 1)  # a mapping has at least one byte
    with _opened(disk) as file:
        try:
            _take(file, nbytes)
        except OSError as error:
            raise OSError(
                error.errno,
                f"no room for {states:,} states of {size_text(form.nbytes)}, {size_text(nbytes)} "
                f"in all ({error.strerror}); use fewer with disk_slots=",
                os.fspath(disk),
            ) from error
        store = _Store(np.memmap(file, np.uint8, "r+", shape=(nbytes,)), form)
        try:
            yield store
        finally:
            store.close()


def _opened(disk: str | os.PathLike[str]) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=disk)
    except OSError as error:
        raise OSError(
            error.errno,
            f"no file can be made in the folder disk= ({error.strerror}); name another",
            os.fspath(disk),
        ) from error


def _take(file: Any, nbytes: int) -> None:
    """Take room on the disk now: a full disk found through a mapping would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, nbytes)
        return
    block = bytes(1 << 20)
    for start in range(0, nbytes, len(block)):
        file.write(block[: nbytes - start])
    file.flush()
