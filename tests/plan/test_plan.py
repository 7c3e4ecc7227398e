"""A plan prints itself, runs, says what it costs, and refuses what it was not made for."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pytest

import wengert as wg
from wengert.errors import PlanMismatchError

X = np.array([1.0, 2.0, 3.0])


def f(params, x, power=2, *, mode="a"):
    y = np.tanh(params["w"] * x) ** power + params["b"]
    return np.sum(y) if x[0] > 0 else np.sum(-y)


PARAMS = {"w": X, "b": 1.0}


def made(*args, **kwargs):
    return wg.jit(f).plan(*(args or (PARAMS, X)), **kwargs)


def test_it_runs():
    plan = made()
    for x in (X, X + 1):
        assert plan(PARAMS, x) == f(PARAMS, x)
    gradient = wg.jit(wg.grad(f, 1)).plan(PARAMS, X)
    np.testing.assert_allclose(gradient(PARAMS, X + 1), wg.grad(f, 1)(PARAMS, X + 1))


def test_it_prints_itself():
    text = str(made())
    expected = """
    plan of f(~f64[], f64[3], f64[3]) -> f64[]
      native backend, 8 operations on arrays
      holds where bool() of a b8[] is True
      18 operations (add 6, compare 1, multiply 3, transcendental 6), 376 bytes
      memory: 56 bytes in, 8 out, 0 of captured arrays, ... in between at most

    graph(%0: ~f64[], %1: f64[3], %2: f64[3])
    %3: f64[3] = multiply(%1, %2)
    """
    got = text.splitlines()
    want = dedent(expected).strip().splitlines()
    assert got[0] == want[0]
    assert [line.split()[0] for line in got[1:3]] == [line.split()[0] for line in want[1:3]]
    assert "holds where bool() of a b8[] is True" in text
    assert got[4].startswith(want[4].split("...")[0])
    assert want[-2] in got
    assert want[-1] in got
    assert repr(made()).startswith("<Plan of f: ")
    by_numpy = str(wg.jit(f, backend="numpy").plan(PARAMS, X))
    assert "  numpy backend, " in by_numpy
    assert "between" not in by_numpy


def test_it_says_what_numpy_evaluates():
    def g(a, x):
        return np.sort(np.linalg.solve(a, np.sort(x))) + x

    plan = wg.jit(g).plan(np.eye(3), X)
    assert plan.host_calls == {"sort": 2, "solve": 1}
    assert "  evaluated by NumPy: solve x1, sort x2\n" in str(plan)
    assert "evaluated by NumPy" not in str(made())
    assert wg.jit(g, backend="numpy").plan(np.eye(3), X).host_calls["solve"] == 1


def test_cost():
    plan = made()
    assert plan.flops == plan.cost.flops == 3 + 3 + 3 + 3 + 2 + 1
    assert plan.bytes == plan.cost.bytes > 0


def test_source_is_readable():
    def g(x, w):
        return np.sum(np.tanh(x @ w)[1:] * 2.0)

    source = wg.jit(g).plan(np.ones((3, 2)), np.ones((2, 3))).source()
    lines = [line.split("#")[0].rstrip() for line in source.splitlines()]
    assert lines[0] == "def run(v0, v1):"
    assert "    v1 = contract(v0, v1, spec='ab,bc->ac')" in lines
    assert "    v1 = tanh(v1, out=v1)" in lines
    assert "    v0 = v1[1:]" in lines
    assert lines[-1].startswith("    return [")
    assert "test_plan.py:" in source
    assert "f64[3,3]" in source


MISMATCHES = [
    (
        ((PARAMS, np.ones(4)), {}),
        """
            argument 0['b']: ~f64[]
            argument 0['w']: f64[3]
          ! argument 1: expected f64[3], got f64[4]
        """,
    ),
    (
        (({"w": X.astype(np.float32), "b": 1}, X), {}),
        """
          ! argument 0['b']: expected ~f64[], got ~i64[]
          ! argument 0['w']: expected f64[3], got f32[3]
            argument 1: f64[3]
        """,
    ),
    (
        (({"w": X, "b": np.float64(1)}, X), {}),
        """
          ! argument 0['b']: expected ~f64[], got f64[]
            argument 0['w']: f64[3]
            argument 1: f64[3]
        """,
    ),
    (
        (({"w": [X, X], "b": 1.0}, X, 3), {}),
        """
            argument 0['b']: ~f64[]
          ! argument 0['w']: expected f64[3], got nothing
            argument 1: f64[3]
          ! argument 0['w'][0]: expected nothing, got f64[3]
          ! argument 0['w'][1]: expected nothing, got f64[3]
          ! argument 2: expected nothing, got ~i64[]
        """,
    ),
    (
        ((PARAMS, X), {"mode": "b"}),
        """
            argument 0['b']: ~f64[]
            argument 0['w']: f64[3]
            argument 1: f64[3]
          ! argument mode=: expected nothing, got 'b'
        """,
    ),
]


@pytest.mark.parametrize(("call", "lines"), MISMATCHES)
def test_other_arguments_are_shown_line_by_line(call, lines):
    args, kwargs = call
    with pytest.raises(PlanMismatchError) as caught:
        made()(*args, **kwargs)
    message = str(caught.value)
    assert message.startswith("this plan of f was made for other arguments:\n")
    shown = [line for line in message.splitlines() if "argument" in line][1:]
    assert [" ".join(line.split()) for line in shown] == [
        " ".join(line.split()) for line in dedent(lines).strip().splitlines()
    ]
    assert "test_plan.py" in message


def test_other_static_arguments():
    plan = wg.jit(f, static_argnums=2).plan(PARAMS, X, 3)
    with pytest.raises(PlanMismatchError, match="! argument 2: expected 3, got 4"):
        plan(PARAMS, X, 4)


def test_other_containers():
    plan = wg.jit(lambda xs: xs[0] + xs[1]).plan([X, X])
    with pytest.raises(PlanMismatchError, match=r"! expected PyTreeSpec\(.*\[\*, \*\].*\n +got "):
        plan((X, X))


def test_another_outcome():
    with pytest.raises(
        PlanMismatchError, match=r"holds where bool\(\) of a b8\[\] is True; here it is False"
    ):
        made()(PARAMS, -X)
