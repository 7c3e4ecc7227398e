"""The short ways are taken for the usual forms, and agree with the long ones."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import optree
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wengert.jit.fastpath import LEAVES, OUTPUT, builder, matcher, never
from wengert.jit.form import signature, split

Point = namedtuple("Point", "x y")
X = np.ones(3)


class Key:
    """Equal to all of its kind, and changed by `value`."""

    def __init__(self, value):
        self.value = value

    def __hash__(self):
        return hash(self.value)

    def __eq__(self, other):
        return self.value == other.value


def short(args, kwargs=None, static=()):
    kwargs = kwargs or {}
    leaves, form = split(args, kwargs, static, ())
    return matcher(form, leaves, args, kwargs)


LEAF = st.one_of(
    st.floats(),
    st.integers(-5, 5),
    st.booleans(),
    st.sampled_from(["a", "b", None, len, (), np.float32(1), np.float64(2), np.int64(3)]),
    st.builds(np.zeros, st.sampled_from([(), (2,), (0, 2)]), st.sampled_from(["f8", "f4", "?"])),
)
TREE = st.recursive(
    LEAF,
    lambda t: st.one_of(
        st.lists(t, max_size=3),
        st.lists(t, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b", "c", 1, 2]), t, max_size=3).filter(
            lambda d: len({type(k) for k in d}) < 2
        ),
    ),
    max_leaves=6,
)
CALL = st.tuples(
    st.lists(TREE, max_size=3).map(tuple), st.dictionaries(st.sampled_from("pq"), TREE, max_size=2)
)


def key(call):
    leaves, form = split(*call)
    return form, tuple(signature(x) for x in leaves)


@given(CALL, CALL)
def test_a_match_is_a_call_of_the_same_form(made, other):
    match = short(*made)
    assert match is not never
    for call in (made, other):
        got = match(*call)
        want = split(*call)[0] if key(call) == key(made) else None
        assert (got is None) == (want is None)
        if got is not None:
            assert len(got) == len(want)
            assert all(a is b for a, b in zip(got, want, strict=True))


DIFFERENT = [
    ((X,), (X.astype("f4"),)),
    ((X,), (np.ones(4),)),
    ((X,), (np.ones((3, 1)),)),
    ((X,), (X.astype(">f8"),)),
    ((np.array(1.0),), (np.float64(1.0),)),
    ((1.0,), (1,)),
    ((1.0,), (np.float64(1),)),
    ((True,), (1,)),
    ((X,), ()),
    ((X,), (X, X)),
    (([X],), ((X,),)),
    (([X],), ([X, X],)),
    (({"a": X},), ({"b": X},)),
    (({"a": X},), ({"a": X, "b": X},)),
    (({"a": X},), (OrderedDict(a=X),)),
    ((X, "a"), (X, "b")),
    ((X, None), (X, X)),
    ((X, np.sin), (X, np.cos)),
]


@pytest.mark.parametrize(("made", "other"), DIFFERENT)
def test_another_signature_does_not_match(made, other):
    assert short(made)(made, {}) is not None
    assert short(made)(other, {}) is None
    assert short(made)(made, {"more": X}) is None


@pytest.mark.parametrize(
    "args",
    [
        (Point(X, X),),
        (OrderedDict(a=X),),
        ({(1, 2): X},),
        (X, Key(1)),
        ([X] * (LEAVES + 1),),
    ],
    ids=lambda args: type(args[-1]).__name__,
)
def test_forms_that_take_the_long_way(args):
    assert short(args) is never


def test_static_values():
    match = short((X, (1, "a")), static=(1,))
    same = (1, "a")
    assert short((X, same), static=(1,))((X, same), {}) is not None
    assert match((X, (1.0, "a")), {}) is None
    assert match((X, (2, "a")), {}) is None
    assert short((X, 3), static=(1,))((X, 3), {}) is not None
    assert short((X, 3), static=(1,))((X, True), {}) is None
    assert short((X, 1), static=(1,))((X, 1.0), {}) is None
    assert short((X, Key(1)), static=(1,)) is never


RESULTS = [
    X,
    (1.0, [X, {"b": X, "a": "text"}], None),
    {"z": X, "a": (), "m": {}},
    [],
    None,
    (X,),
]


@pytest.mark.parametrize("tree", RESULTS, ids=range(len(RESULTS)))
def test_results(tree):
    leaves, spec = optree.tree_flatten(tree)
    data = [not isinstance(y, str) for y in leaves]
    make = builder(spec, [OUTPUT if d else y for y, d in zip(leaves, data, strict=True)])
    got = make([y for y, d in zip(leaves, data, strict=True) if d])
    assert repr(got) == repr(tree)
    again, form = optree.tree_flatten(got)
    assert form == spec
    assert all(a is b for a, b in zip(again, leaves, strict=True))


@pytest.mark.parametrize("tree", [Point(X, X), OrderedDict(a=X)], ids=lambda t: type(t).__name__)
def test_results_that_take_the_long_way(tree):
    leaves, spec = optree.tree_flatten(tree)
    assert builder(spec, [OUTPUT] * len(leaves)) is None
