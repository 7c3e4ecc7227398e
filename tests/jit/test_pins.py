"""What only the function can reach is not compared at each call; everything else is."""

import gc

import numpy as np
import pytest

import wengert as wg
from wengert.jit.state import State


def alone():
    items = [(0.5, 1.0), (0.25, 2.0)]

    def f(x):
        return x * sum(a * b for a, b in items) + len(items)

    return f, lambda: None


def nested():
    items = {2: 3.0, 4: 5.0}

    def f(x):
        def inner(y):
            return y * max(k for k in items)

        for k in items:
            x = x + k
        return inner(x)

    return f, lambda: None


def with_sibling():
    items = [1.0, 2.0]

    def f(x):
        return x * sum(a for a in items)

    return f, lambda: items.append(5.0)


LISTED = []


def with_another_name():
    items = [1.0, 2.0]
    LISTED.append(items)
    place = len(LISTED) - 1

    def f(x):
        return x * sum(a for a in items)

    return f, lambda: LISTED[place].append(5.0)


def changed_by_itself():
    items = [1.0]

    def f(x):
        for a in items:
            x = x * a
        items.append(3.0)
        return x

    return f, lambda: f(1.0)


def changed_through_an_alias():
    items = [1.0]

    def f(x):
        others = items
        for a in items:
            x = x * a
        others += [3.0]
        return x

    return f, lambda: f(1.0)


def handed_on():
    items = [1.0]

    def change(some):
        some.append(3.0)

    def f(x):
        for a in items:
            x = x * a
        change(items)
        return x

    return f, lambda: f(1.0)


def given_to_what_is_called_sum():
    items = [1.0]

    def sum(some):
        some.append(3.0)
        return some[0]

    def f(x):
        for a in items:
            x = x * a
        return x + 0.0 * sum(items)

    return f, lambda: f(1.0)


def holding_lists():
    items = [[1.0], [2.0]]
    inner = items[0]

    def f(x):
        for a in items:
            x = x * a[0]
        return x

    return f, lambda: inner.__setitem__(0, 7.0)


def bytes_or_an_array():
    items = [b"\x01\x02"]

    def f(x):
        return x * sum(items[0])

    return f, lambda: items.__setitem__(0, np.array([7], np.uint16))


PRIVATE = [alone, nested]
SEEN = [
    with_sibling, with_another_name, changed_by_itself, changed_through_an_alias, handed_on,
    given_to_what_is_called_sum, holding_lists, bytes_or_an_array,
]  # fmt: skip


def compares(f):
    """Whether the content of a container is compared."""
    return "packed(" in " ".join(State(f)._lines) or "frozen(" in " ".join(State(f)._lines)


@pytest.mark.parametrize("make", PRIVATE)
def test_what_nothing_else_refers_to_is_not_compared(make):
    f, other = make()
    del other
    gc.collect()
    first, second = wg.jit(f), wg.jit(wg.grad(f))
    want = f(3.0)
    assert first(3.0) == want
    assert not compares(f)  # though a state holds it already
    assert second(2.0) == pytest.approx(f(3.0) - f(2.0))
    assert not compares(f)


@pytest.mark.parametrize("make", SEEN)
def test_what_can_change_is_compared(make):
    f, change = make()
    assert compares(f)
    twin, change_twin = make()
    g = wg.jit(twin)
    for _ in range(3):
        assert g(2.0) == pytest.approx(f(2.0))
        change()
        change_twin()


def test_another_value_of_the_variable_is_seen():
    f, _ = alone()
    g = wg.jit(f)
    assert g(3.0) == f(3.0)
    f.__closure__[0].cell_contents = [(1.0, 7.0)]
    assert g(3.0) == 22.0
    assert wg.jit(f)(3.0) == 22.0


def test_a_frame_at_work_may_change_its_variable():
    results = []
    items = [1.0]
    g = wg.jit(lambda x: x * sum(a for a in items))
    for _ in range(3):
        results.append(g(2.0))
        items[0] += 1.0
    assert results == [2.0, 4.0, 6.0]


def test_numbers_of_another_type_are_another_content():
    items = [1, 2]
    g = wg.jit(lambda x: x * sum(a for a in items) if type(items[0]) is int else -x)
    assert g(1.0) == 3.0
    items[0] = True
    assert g(1.0) == -1.0
    items[0] = 1.0
    assert g(1.0) == -1.0
    assert g.cache_info().traces == 3
