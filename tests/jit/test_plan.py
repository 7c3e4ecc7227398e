"""A plan prints itself, runs, says what it costs, and refuses what it was not made for."""

from __future__ import annotations

import copy
import functools
import tracemalloc
from textwrap import dedent

import numpy as np
import optree
import pytest

import wengert as wg
from wengert.errors import PlanMismatchError, UnsupportedError

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
        np.testing.assert_allclose(plan(PARAMS, x), f(PARAMS, x), rtol=1e-14)
    gradient = wg.jit(wg.grad(f, 1)).plan(PARAMS, X)
    np.testing.assert_allclose(gradient(PARAMS, X + 1), wg.grad(f, 1)(PARAMS, X + 1), atol=1e-13)


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
        return np.partition(np.linalg.solve(a, np.partition(x, 1)), 1) + x

    plan = wg.jit(g).plan(np.eye(3), X)
    assert plan.host_calls == {"partition": 2, "solve": 1}
    assert "  evaluated by NumPy: partition x2, solve x1\n" in str(plan)
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


# --- memory ---------------------------------------------------------------------------------------
W = np.ones((50, 3))


def chain(x):
    y = np.tanh(x @ W)
    return np.cumsum(y, axis=0) * 2 + np.sort(y, axis=1), np.sum(y)


def test_memory():
    x = np.zeros((40, 50))
    memory = wg.jit(chain).plan(x).memory
    assert memory.inputs == x.nbytes
    assert memory.outputs == 40 * 3 * 8 + 8
    assert memory.constants == W.nbytes
    assert memory.peak >= 2 * 40 * 3 * 8
    by_numpy = wg.jit(chain, backend="numpy").plan(x).memory
    assert (by_numpy.inputs, by_numpy.outputs) == (memory.inputs, memory.outputs)
    assert by_numpy.peak is None
    assert str(memory).endswith(f", {memory.peak:,} in between at most")


def test_the_peak_is_what_a_run_allocates():
    """Between compiling and the end of the first run; what NumPy evaluates is apart."""

    def f(x):
        for _ in range(4):
            x = np.tanh(x[::-1] + np.sum(x, axis=0)) @ x.T @ x
        return np.sum(x)

    x = np.ones((300, 200))
    plan = wg.jit(f).plan(x)
    plan._program._arenas.clear()  # it has run once to be made
    tracemalloc.start()
    plan(x)
    assert 0 <= tracemalloc.get_traced_memory()[1] - plan.memory.peak < 4096
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    plan(x)
    assert tracemalloc.get_traced_memory()[1] - before < 4096
    tracemalloc.stop()
    assert plan.memory.peak > 2 * x.nbytes


# --- machine code ---------------------------------------------------------------------------------
def test_machine_code_is_shown():
    plan = made()
    assert "i64 @run0(" in plan.llvm()
    assert "\nrun0:\n" in plan.assembly()
    assert "ret" in plan.assembly()


@pytest.mark.parametrize("what", ["llvm", "assembly"])
def test_without_machine_code(what):
    with pytest.raises(UnsupportedError, match=rf'no {what}: it runs on the numpy .*backend="nat'):
        getattr(wg.jit(f, backend="numpy").plan(PARAMS, X), what)()
    plan = wg.jit(lambda z: z * 2).plan(X + 1j)
    assert plan.backend == "numpy"
    with pytest.raises(UnsupportedError, match="numpy backend because of complex128"):
        getattr(plan, what)()


# --- of transformed functions ---------------------------------------------------------------------
def square(x):
    return np.sum(x**2)


TRANSFORMED = {
    "grad": (wg.grad(square), 2 * X),
    "value_and_grad": (wg.value_and_grad(square), (14.0, 2 * X)),
    "jacobian": (wg.jacobian(np.sin), np.diag(np.cos(X))),
    "jacfwd": (wg.jacfwd(np.sin), np.diag(np.cos(X))),
    "jacrev": (wg.jacrev(np.sin), np.diag(np.cos(X))),
    "hessian": (wg.hessian(square), 2 * np.eye(3)),
    "vmap": (wg.vmap(lambda t: t * t), X * X),
    "grad of grad": (wg.grad(lambda x: np.sum(wg.grad(square)(x))), np.full(3, 2.0)),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformed_functions_have_plans(name):
    function, want = TRANSFORMED[name]
    plan = function.plan(X)
    assert function.plan(X) is plan
    assert str(plan) == str(wg.jit(function).plan(X))
    for got in (plan(X), function(X)):
        for a, b in zip(optree.tree_leaves(got), optree.tree_leaves(want), strict=True):
            np.testing.assert_allclose(a, b)


def test_a_function_around_a_transformed_one_has_no_plan():
    """It would be the wrong one."""
    inner = wg.grad(square)

    @functools.wraps(inner)
    def clipped(x):
        return np.clip(inner(x), -1, 1)

    assert not hasattr(clipped, "plan")
    np.testing.assert_array_equal(wg.jit(clipped)(X), [1, 1, 1])
    np.testing.assert_array_equal(wg.jit(clipped).plan(X)(X), [1, 1, 1])


class Model:
    scale = 3.0

    def loss(self, x):
        return np.sum(x**2) * self.scale

    slope = wg.grad(loss, 1)


def test_a_transformed_method():
    model = Model()
    np.testing.assert_array_equal(model.slope(X), 6 * X)
    np.testing.assert_array_equal(model.slope.plan(X)(model, X), 6 * X)


def test_transformed_functions_are_functions():
    g = wg.grad(square)
    assert (g.__name__, g.__wrapped__, repr(g)) == ("square", square, "<grad of square>")
    assert repr(wg.vmap(square)) == "<vmap of square>"
    assert copy.deepcopy(g) is copy.copy(g) is g
