"""Compiled loops do what the same Python does."""

# ruff: noqa: RET503 (a function without its return is one of the cases)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wengert.loopc import loops
from wengert.loopc.loops import Flags, Floats, Ints, Longs, Loop, compiled, plainly
from wengert.loopc.translate import translate

LIMIT = 7


@compiled
def divide(a: int, b: int, out: Longs) -> int:
    """Division rounds down."""
    out[0] = a // b
    out[1] = a % b
    return -a


@compiled
def bits(a: int, b: int) -> int:
    c = (a & b) ^ (a | 12)
    c ^= ~b
    return (c << 3) >> (b & 7)


@compiled
def logic(x: Ints, i: int, flag: bool) -> bool:
    """The second operand is not evaluated where the first decides."""
    inside = i < len(x) and x[i] > 0
    outside = not (i < len(x)) or x[i] < 0
    return (inside or outside) and (flag or i != 3)


@compiled
def turns(x: Ints, n: int) -> int:
    total = 0
    for i in range(n):
        if x[i] == 5:
            continue
        if x[i] > LIMIT:
            break
        for k in range(i, -1, -2):
            total += x[k] if k % 3 > 0 else -1
        i = 100
        total += i
    while total > 50:
        total //= 2
        if total == 33:
            break
    return total


@compiled
def helper(flags: Flags, x: Ints, scale: float) -> float:
    total = 0.0
    for i in range(len(x)):
        flags[i] = x[i] > 1
        total += scale * float(x[i]) / 3.0 - float(flags[i])
    return total


@compiled
def calling(flags: Flags, x: Ints, y: Floats, z: Longs) -> None:
    y[0] = helper(flags, x, 0.5)
    y[1] -= y[0]
    z[0] = int(y[0]) + min(x[0], 4) + max(x[1], 4)
    if z[0] > 3:
        z[0] += 1
        return
    z[0] ^= 6


def both(function: Loop, *args):
    """Run a function natively and as it is; return both results and what became of the arrays."""
    results = []
    for plain in (False, True):
        own = [np.copy(a) if isinstance(a, np.ndarray) else a for a in args]
        if plain:
            with plainly():
                value = function(*own)
        else:
            value = function(*own)
            assert function._native is not None, "it did not compile"
        results.append((value, type(value), [a.tolist() for a in own if isinstance(a, np.ndarray)]))
    return results


small = st.integers(-40, 40)


@given(small, small.filter(bool))
def test_division_rounds_down(a, b):
    native, plain = both(divide, a, b, np.zeros(2, np.int64))
    assert native == plain


@given(small, small)
def test_bits(a, b):
    native, plain = both(bits, a, b)
    assert native == plain


@given(st.lists(small, min_size=1, max_size=6), st.integers(0, 9), st.booleans())
def test_logic(x, i, flag):
    native, plain = both(logic, np.array(x, np.int32), i, flag)
    assert native == plain


@given(st.lists(st.integers(0, 10), min_size=1, max_size=9))
def test_loops(x):
    native, plain = both(turns, np.array(x, np.int32), len(x))
    assert native == plain


@given(st.lists(small, min_size=2, max_size=6))
def test_calls_and_every_kind_of_array(x):
    flags, y, z = np.zeros(len(x), np.bool_), np.ones(2), np.zeros(1, np.int64)
    native, plain = both(calling, flags, np.array(x, np.int32), y, z)
    assert native == plain


def test_an_index_out_of_range_is_noticed_in_plain_python():
    x = np.zeros(2, np.int32)
    for n in (3, 1):  # past the end; and in the next, before the beginning
        function = turns if n == 3 else negative
        with plainly(), pytest.raises(IndexError):
            function(x, n)


@compiled
def negative(x: Ints, n: int) -> int:
    return x[-n]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((np.zeros(3, np.int64), 1), "1-D array of int32"),
        ((np.zeros((3, 1), np.int32), 1), "1-D array"),
        ((np.zeros(6, np.int32)[::2], 1), "contiguous"),
        (([1, 2], 1), "1-D array of int32"),
        ((np.zeros(3, np.int32),), "takes 2 arguments"),
    ],
    ids=["dtype", "rank", "strides", "list", "number"],
)
def test_arguments_are_checked(args, words):
    with pytest.raises(TypeError, match=words):
        turns(*args)


def test_what_is_only_read_may_be_read_only():
    x, y, flags = np.arange(3, dtype=np.int32), np.ones(2), np.zeros(3, np.bool_)
    x.flags.writeable = False
    calling(flags, x, y, np.zeros(1, np.int64))
    flags.flags.writeable = False
    with pytest.raises(TypeError, match="flags must be contiguous and writeable"):
        calling(flags, x, y, np.zeros(1, np.int64))


# Outside the subset. Each function is only read, never run.


def a_list(x: Ints) -> int:
    y = [1, 2]
    return y[0]


def a_slice(x: Ints) -> int:
    return x[0:2]


def a_change_of_kind(x: Ints) -> int:
    y = 0
    y = y > 1
    return int(y)


def a_mixture(x: Ints) -> float:
    return 1 + 2.0


def a_number_as_condition(x: Ints) -> int:
    if x[0]:
        return 1
    return 0


def no_return(x: Ints) -> int:
    if x[0] > 1:
        return 1


def a_wrong_return(x: Ints) -> int:
    return x[0] > 1


def an_unknown_name(x: Ints) -> int:
    return nothing  # noqa: F821


def an_unknown_call(x: Ints) -> int:
    return sum(x)


def a_chain(x: Ints) -> bool:
    return 0 < x[0] < 2


def a_list_loop(x: Ints) -> int:
    for y in x:
        x[0] = y
    return 1


def a_changing_step(x: Ints) -> int:
    for y in range(0, 3, x[0]):
        x[0] = y
    return 1


def a_true_division(x: Ints) -> int:
    return x[0] / 2


def a_flag_in_numbers(x: Ints) -> None:
    x[0] = x[1] > 2


def dead_code(x: Ints) -> int:
    return 1
    x[0] = 2


def two_targets(x: Ints) -> None:
    x[0] = x[1] = 2


def an_else(x: Ints) -> None:
    while x[0] > 0:
        x[0] -= 1
    else:
        x[1] = 2


OUTSIDE = [
    (a_list, "List is not supported"),
    (a_slice, "Slice"),
    (a_change_of_kind, "y is int and cannot become bool"),
    (a_mixture, "int with float"),
    (a_number_as_condition, "a condition is a comparison"),
    (no_return, "must end in a return"),
    (a_wrong_return, "returns bool, annotated int"),
    (an_unknown_name, "nothing is unknown"),
    (an_unknown_call, "not a compiled function"),
    (a_chain, "one comparison"),
    (a_list_loop, "only `for name in range"),
    (a_changing_step, "constant other than 0"),
    (a_true_division, "Div is not supported for int"),
    (a_flag_in_numbers, "holds int, not bool"),
    (dead_code, "never reached"),
    (two_targets, "one target"),
    (an_else, "while with else"),
]


@pytest.mark.parametrize(("function", "words"), OUTSIDE, ids=[f.__name__ for f, _ in OUTSIDE])
def test_what_is_outside_raises_with_its_line(function, words):
    with pytest.raises(TypeError, match=words) as error:
        translate(Loop(function))
    first = function.__code__.co_firstlineno
    line = int(str(error.value).split(f"{__file__}:")[1].split(":")[0])
    assert first <= line <= first + 6


def test_annotations_are_needed():
    def bare(x, n: int) -> int:
        return n

    with pytest.raises(TypeError, match="x needs one of"):
        Loop(bare)(np.zeros(1, np.int32), 1)


def test_without_llvm_the_functions_run_as_they_are(monkeypatch):
    def broken(*args):
        raise RuntimeError("no target for this machine")

    monkeypatch.setattr(loops, "compile_module", broken)
    loop = Loop(turns.plain)
    monkeypatch.setitem(loops._MODULES, loop.module, {loop.name: loop})
    assert loop(np.arange(5, dtype=np.int32), 5) == turns(np.arange(5, dtype=np.int32), 5)
    assert loop._native is None
