"""Sparse Jacobians and Hessians as users call them: modes, formats, pytrees, decisions, plans."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sps
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator
from twice import twice

import wengert as wg
from wengert.errors import DenseTooLargeError, InputError, PlanMismatchError
from wengert.jit.planned_function import TooManySpecialisations
from wengert.matrices import MatrixFunction, MatrixPlan
from wengert.matrices import planner as matrix
from wengert.memory import dense
from wengert.sparse.pattern import SparsityPattern

MODES = ("auto", "accumulate", "forward", "reverse", "both")
FORMATS = {"csr": sps.csr_array, "csc": sps.csc_array, "coo": sps.coo_array}
RNG = np.random.default_rng(5)


def stencil(u):
    """Diffusion on a periodic grid with a reaction."""
    around = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
    return around - 4 * u + np.exp(-u) * u


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def arrow(x):
    return np.concatenate([np.sum(x**2).reshape(1), x[0] * x[1:] + np.sin(x[1:])])


def mixed(x):
    """A dense block, a gather, a cumulative sum: not all of it suits accumulation."""
    y = np.cumsum(x[:4]) * x[1]
    return np.concatenate([y, x[[3, 5, 5]] ** 2, np.tanh(x[::2])])


JACOBIANS = {
    "stencil": (stencil, (5, 6)),
    "arrow": (arrow, (9,)),
    "mixed": (mixed, (8,)),
    "pointwise": (lambda x: np.sin(x) * x, (7,)),
    "linear": (lambda x: 3 * x[1:] - x[:-1], (6,)),
    "constant": (lambda x: np.ones(3) + 0 * x[:3], (5,)),
    "none": (lambda x: np.floor(x), (4,)),
    "matvec": (lambda x: np.arange(12.0).reshape(4, 3) @ x, (3,)),
    "cancelled": (lambda x: x[::-1] + np.sin(x) - x[::-1], (5,)),
    "scalar": (lambda x: x[0] * x[2], (4,)),
    "empty": (lambda x: x[:0], (3,)),
    "float32": (lambda x: np.cos(x).astype(np.float32) * x, (4,)),
}


def dense_of(f, x):
    y = f(x)
    return wg.jacobian(f)(x).reshape(np.size(y), np.size(x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians(name, mode):
    """The first call, which records, the second, which compiles, and another point."""
    f, shape = JACOBIANS[name]
    J = wg.jacobian(f, sparsity="auto", format="csr", mode=mode)
    if mode == "accumulate" and name == "mixed":
        with pytest.raises(NotImplementedError, match="cumsum mixes entries"):
            J(RNG.random(shape))
        return
    for _ in range(3):
        x = 0.5 + RNG.random(shape)
        near = 1e-6 if name == "float32" else 1e-12  # the two terms may cancel
        np.testing.assert_allclose(J(x).toarray(), dense_of(f, x), rtol=1e-6, atol=near)
    wanted = {"auto"} if mode == "auto" else {mode}
    assert J.plan(x).mode in wanted or mode == "auto"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format", FORMATS)
def test_formats(format, mode):
    J = wg.jacobian(stencil, sparsity="auto", format=format, mode=mode)
    for _ in range(2):
        x = RNG.random((4, 5))
        A = J(x)
        assert type(A) is FORMATS[format]
        np.testing.assert_allclose(A.toarray(), dense_of(stencil, x), rtol=1e-12)
        np.testing.assert_allclose((A @ np.ones(20)), dense_of(stencil, x).sum(1), rtol=1e-9)


def test_index_arrays_are_shared_and_read_only():
    for format in ("csr", "csc"):
        J = wg.jacobian(stencil, format=format)
        A, B, C = (J(RNG.random((4, 5))) for _ in range(3))
        assert A.indices is B.indices is C.indices
        assert A.indptr is B.indptr is C.indptr
        assert not np.shares_memory(B.data, C.data)
        with pytest.raises(ValueError, match="read-only"):
            A.indices[0] = 1
    J = wg.jacobian(stencil, format="coo")
    A, B = J(RNG.random((4, 5))), J(RNG.random((4, 5)))
    assert A.row is B.row
    assert A.col is B.col


def test_results_work_in_scipy():
    A = wg.hessian(rosenbrock, format="csr")(RNG.random(8))
    np.testing.assert_allclose((A.T @ A - A).tocsc().toarray(), A.toarray().T @ A.toarray() - A)
    np.testing.assert_allclose(
        sps.linalg.spsolve(A, np.ones(8)), np.linalg.solve(A.toarray(), np.ones(8))
    )
    B = A.copy()
    B.indices[0] = 1  # a copy is the caller's
    assert abs(A - A.T).max() < 1e-9


@pytest.mark.parametrize("mode", MODES)
def test_hessians(mode):
    for f in (rosenbrock, lambda x: np.sum(x[0] * x[1:] ** 2) + np.sum(np.exp(x))):
        H = wg.hessian(f, sparsity="auto", format="csr", mode=mode)
        for _ in range(3):
            x = RNG.random(9)
            np.testing.assert_allclose(H(x).toarray(), wg.hessian(f)(x), rtol=1e-9, atol=1e-9)


def test_symmetry_saves_colours():
    plan = wg.hessian(rosenbrock, format="csr", mode="forward").plan(RNG.random(20))
    assert plan.colouring.problem.structure == "symmetric"
    assert plan.colouring.number == 3


@pytest.mark.parametrize("mode", MODES)
def test_dense_results_from_sparse_evaluation(mode):
    x = RNG.random((4, 5))
    got = wg.jacobian(stencil, sparsity="auto", mode=mode)(x)
    np.testing.assert_allclose(got, wg.jacobian(stencil)(x), rtol=1e-12)


def test_pytrees_and_several_arguments():
    def f(p, k, y):
        return {"a": np.sin(p["u"]) * k * y, "b": p["v"][1:] * y[0]}

    args = ({"u": RNG.random(3), "v": RNG.random(4)}, 2.0, RNG.random(3))
    want = wg.jacobian(f, (0, 2))(*args)
    got = wg.jacobian(f, (0, 2), sparsity="auto")(*args)
    for key in ("a", "b"):
        for part in ("u", "v"):
            np.testing.assert_allclose(got[key][0][part], want[key][0][part], rtol=1e-12)
        np.testing.assert_allclose(got[key][1], want[key][1], rtol=1e-12)
    A = wg.jacobian(f, (0, 2), format="csr")(*args)
    assert A.shape == (6, 10)
    rows = [
        np.concatenate([np.asarray(b).reshape(len(want[k][1]), -1) for b in
                        (want[k][0]["u"], want[k][0]["v"], want[k][1])], axis=1)
        for k in ("a", "b")
    ]  # fmt: skip
    np.testing.assert_allclose(A.toarray(), np.concatenate(rows), rtol=1e-12)


def test_keywords_and_numbers_are_data():
    J = wg.jacobian(lambda x, *, k: k * x**2, format="csr")
    for k in (2.0, 3.0):
        np.testing.assert_allclose(J(np.arange(1.0, 4), k=k).diagonal(), 2 * k * np.arange(1.0, 4))


@pytest.mark.parametrize("mode", ["auto", "forward"])
def test_decisions_are_planned_anew(mode):
    """A Python branch changes the pattern; each outcome keeps its plan."""
    calls = []

    def f(x):
        calls.append(1)
        if x[0] > 0:
            return np.sin(x)
        return x * x[::-1]

    J = wg.jacobian(f, format="csr", mode=mode)
    for sign in (1, 1, -1, -1, 1, -1):
        x = sign * (0.5 + RNG.random(6))
        got = J(x)
        assert got.nnz == (6 if sign == 1 else 12)
        np.testing.assert_allclose(got.toarray(), dense_of(f, x), rtol=1e-12)
    plan = J.plan(np.ones(6))
    assert "holds where bool() of a b8[] is True" in str(plan)
    with pytest.raises(PlanMismatchError, match="here it is False"):
        plan(-np.ones(6))


def test_paths_without_end_are_not_kept():
    J = wg.jacobian(lambda x: x if int(wg.stop_gradient(x[0])) % 2 else -x, format="csr")
    for i in range(64):
        J(np.full(2, float(i)))
    with pytest.warns(TooManySpecialisations, match="64 different paths"):
        J(np.full(2, 64.0))
    np.testing.assert_array_equal(J(np.full(2, 65.0)).diagonal(), [1.0, 1.0])


def test_a_variable_that_changes_often_is_planned_once_for_each_value():
    calls, t = [], 0.0

    def f(x):
        calls.append(1)
        return t * x

    J = wg.jacobian(f, format="csr", mode="accumulate", probe=False)
    for t in map(float, range(1, 70)):
        for _ in range(2 if t > 67 else 1):
            assert J(np.ones(2)).diagonal()[0] == t
    assert len(calls) == 69


def test_methods():
    class Spring:
        stiffness = 2.0
        force = wg.jacobian(lambda self, x: self.stiffness * x**2, 1, format="csr")

    np.testing.assert_allclose(Spring().force(np.arange(3.0)).diagonal(), [0.0, 4.0, 8.0])
    assert Spring().force.plan(np.arange(3.0)).pattern.nnz == 3


def test_derivatives_of_transformed_functions():
    f = wg.checkpoint(lambda x: np.sin(x) * x[::-1])
    g = lambda x: np.sum(f(x) ** 2)  # noqa: E731
    rows = lambda x: wg.vmap(lambda r: r * np.sum(r))(x.reshape(2, 3)).ravel()  # noqa: E731
    x = RNG.random(6)
    for mode in ("auto", "forward", "reverse"):
        H = wg.jacobian(wg.jit(wg.grad(g)), format="csr", mode=mode)
        np.testing.assert_allclose(H(x).toarray(), wg.hessian(g)(x), atol=1e-12)
        V = wg.jacobian(rows, format="csr", mode=mode)
        np.testing.assert_allclose(V(x).toarray(), wg.jacobian(rows)(x), atol=1e-12)


def test_shapes_are_planned_anew():
    J = wg.jacobian(np.sin, format="csr")
    for n in (3, 4, 3):
        assert J(np.ones(n)).shape == (n, n)
    with pytest.raises(PlanMismatchError, match=r"f64\[3\].*f64\[4\]"):
        J.plan(np.ones(3))(np.ones(4))


@pytest.mark.parametrize("mode", ["auto", "forward"])
def test_constants_that_the_pattern_relies_on(mode):
    """A change in place of an index array, or of zeros, is noticed."""
    index = np.array([0, 2, 1])
    J = wg.jacobian(lambda x: x[index] ** 2, format="csr", mode=mode)
    x = np.array([1.0, 2.0, 3.0])
    for _ in range(2):
        np.testing.assert_allclose(J(x).toarray(), np.diag([2, 6, 4.0])[:, [0, 2, 1]])
    index[:] = [1, 1, 0]
    np.testing.assert_allclose(J(x).toarray(), dense_of(lambda x: x[index] ** 2, x))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_constant_factors_are_read_at_each_call(mode):
    w = np.array([0.0, 1.0, 2.0])
    J = wg.jacobian(lambda x: w * x, format="csr", mode=mode)
    for _ in range(2):
        np.testing.assert_allclose(J(np.ones(3)).toarray(), np.diag([0.0, 1, 2]))
    w[:] = [3.0, 0.0, 4.0]
    np.testing.assert_allclose(J(np.ones(3)).toarray(), np.diag([3.0, 0, 4]))


@pytest.mark.parametrize("mode", ["forward", "reverse", "both"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_chunks(mode, chunk):
    x = RNG.random((4, 5))
    J = wg.jacobian(stencil, format="csc", mode=mode, chunk_size=chunk)
    for _ in range(2):
        np.testing.assert_allclose(J(x).toarray(), dense_of(stencil, x), rtol=1e-12)
    np.testing.assert_allclose(
        wg.jacobian(stencil, mode="forward", chunk_size=chunk)(x), wg.jacobian(stencil)(x)
    )


def test_memory_bounds_the_batches(monkeypatch):
    monkeypatch.setattr(matrix, "BATCH_BYTES", 6 * 20 * 8 * 2)
    plan = wg.jacobian(stencil, format="csr", mode="forward").plan(RNG.random((4, 5)))
    assert plan.program.chunk == 2
    assert "batches of 2" in str(plan)


def test_value_and_jacobian():
    def f(x):
        return {"y": np.sin(x), "name": "sine"}

    x = RNG.random(4)
    for options in ({}, {"format": "csr"}, {"format": "csr", "mode": "forward"}):
        F = wg.value_and_jacobian(lambda x: (np.sin(x), x[0] * x[1]), **options)
        for _ in range(2):
            (a, b), J = F(x)
            np.testing.assert_array_max_ulp(a, np.sin(x), 8)  # native and NumPy's, within 4 each
            assert b == x[0] * x[1]
            if options:
                assert J.shape == (5, 4)
    y, J = wg.value_and_jacobian(f, format="csr")(x)
    assert y["name"] == "sine"
    np.testing.assert_allclose(J.diagonal(), np.cos(x))


def test_operator():
    x, v = RNG.random(20), RNG.random(20)
    A = wg.jacobian(arrow, format="operator")(x)
    assert isinstance(A, LinearOperator)
    D = dense_of(arrow, x)
    np.testing.assert_allclose(A @ v, D @ v, rtol=1e-12)
    np.testing.assert_allclose(A.rmatvec(v), v @ D, rtol=1e-12)
    H = wg.hessian(rosenbrock, format="operator")(x)
    np.testing.assert_allclose(H @ v, wg.hessian(rosenbrock)(x) @ v, rtol=1e-9)
    y, B = wg.value_and_jacobian(arrow, format="operator")(x)
    np.testing.assert_array_equal(y, arrow(x))
    np.testing.assert_allclose(B @ v, D @ v)


def test_jit_leaves_it_alone():
    """It compiles itself, into one native program."""
    J = wg.jacobian(stencil, format="csr")
    assert wg.jit(J) is J
    with pytest.raises(InputError, match=r"cannot be traced"):
        wg.jit(lambda x: J(x))(np.ones((3, 3)))


def test_custom_rules():
    @wg.custom_vjp
    def straight(x):
        return np.round(x)

    straight.defvjp(lambda x: (np.round(x), None), lambda _, ct: (ct,))

    @wg.custom_jvp
    def double(x):
        return np.round(x)

    double.defjvp(lambda primals, tangents: (np.round(primals[0]), 2 * tangents[0]))
    for f, factor in ((straight, 1.0), (double, 2.0)):
        J = wg.jacobian(lambda x, f=f: f(x) * x[0], format="csr")
        for _ in range(2):
            x = 1.3 + np.arange(3.0)
            want = factor * x[0] * np.eye(3)
            want[:, 0] += np.round(x)
            np.testing.assert_allclose(J(x).toarray(), want)


# --- given patterns -------------------------------------------------------------------------------
def test_given_patterns():
    x = RNG.random(6)
    f = lambda x: 3 * x[1:] ** 2 - x[:-1]  # noqa: E731
    exact = SparsityPattern.from_dense(dense_of(f, x))
    larger = exact | SparsityPattern.from_coo([0], [5], exact.shape)
    for pattern in (exact, larger, exact.tocsr(), exact.tocoo(), exact.todense()):
        for mode in ("auto", "forward", "reverse"):
            J = wg.jacobian(f, sparsity=pattern, format="csr", mode=mode)
            np.testing.assert_allclose(J(x).toarray(), dense_of(f, x))
            assert J(x).nnz == (larger.nnz if pattern is larger else exact.nnz)


# --- plans ----------------------------------------------------------------------------------------
def test_plans_print_themselves():
    x = RNG.random((4, 5))
    J = wg.jacobian(stencil, format="csr")
    assert isinstance(J, MatrixFunction)
    plan = J.plan(x)
    assert isinstance(plan, MatrixPlan)
    text = str(plan)
    for part in (
        "plan of jacobian(stencil)(f64[4,5]), csr", "20 x 20, 100 nonzeros", "way: accumulate",
        "forward: ", "reverse: ", "operations", "bytes", "record", "compile", "probe", "colour",
    ):  # fmt: skip
        assert part in text
    np.testing.assert_array_equal(plan(x).toarray(), J(x).toarray())
    assert plan.flops > 0
    assert plan.bytes > 0
    text = str(wg.jacobian(stencil, format="csr", mode="reverse").plan(x))
    assert "row colours (at least 5)" in text


def solved(x):
    return np.linalg.solve(np.eye(len(x)) + np.outer(x, x), x)


@pytest.mark.parametrize("options", [{}, {"mode": "forward", "chunk_size": 2}])
def test_plans_show_what_those_of_compiled_functions_do(options):
    x = 1.0 + np.arange(4.0)
    plan = wg.jacobian(solved, format="csr", **options).plan(x)
    batches = max(*plan.program.chunks, 1)
    assert (plan.flops, plan.bytes) == (batches * plan.cost.flops, batches * plan.cost.bytes)
    assert plan.host_calls["solve"] >= 1
    assert plan.memory.inputs >= x.nbytes
    assert 0 < max(plan.memory.timeline) <= plan.memory.peak
    assert "solve(" in plan.source()
    assert [node.op for node in plan.nodes] == [node.op.name for node in plan.graph.nodes]
    for text in (f"memory: {plan.memory}", "evaluated by NumPy: "):
        assert text in str(plan)
    native = wg.jacobian(stencil, format="csr", **options).plan(np.ones((3, 3)))
    assert native.host_calls == {}
    assert "define" in native.llvm()
    assert native.assembly()


def test_a_mismatch_is_shown_argument_by_argument():
    plan = wg.jacobian(lambda a, b: a * b["x"], format="csr").plan(np.ones(3), {"x": np.ones(3)})
    with pytest.raises(PlanMismatchError) as caught:
        plan(np.ones(3), {"x": np.ones(3, np.float32)})
    lines = str(caught.value).splitlines()
    assert lines[1:3] == [
        "    argument 0: f64[3]",
        "  ! argument 1['x']: expected f64[3], got f32[3]",
    ]


def test_caches_are_those_of_compiled_functions():
    J = wg.jacobian(lambda x: x**2 if x[0] > 0 else x, format="csr")
    for x in (np.ones(3), -np.ones(3), np.ones(4), np.ones(3)):
        J(x)
    assert J.cache_info() == (3, 2, 3, 0)
    J.clear_cache()
    assert J.cache_info() == (3, 0, 0, 0)


def test_the_cheaper_way_is_chosen():
    """A reverse sweep costs more than a forward one, and arrows take both."""
    x = RNG.random(400)
    f = lambda x: arrow(np.cumsum(x[:, None], axis=1)[:, 0])  # noqa: E731
    plan = wg.jacobian(f, format="csr").plan(x)
    assert plan.mode != "accumulate"
    assert {c.mode for c in plan.candidates} == {"forward", "reverse", "both"}
    assert plan.mode == min(plan.candidates, key=lambda c: c.seconds).mode == "both"
    assert plan.colouring.number <= 5


def test_a_dense_matrix_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(dense, "_free_memory", lambda: 1 << 29)
    x = np.zeros(20_000)
    for options in ({}, {"sparsity": "auto"}):
        with pytest.raises(DenseTooLargeError, match=r"3,200,000,000 bytes.*format='csr'") as e:
            wg.jacobian(np.sin, **options)(x)
        assert isinstance(e.value, MemoryError)
    with pytest.raises(DenseTooLargeError, match="3,200,000,000"):
        wg.hessian(lambda x: np.sum(np.sin(x)))(x)
    assert wg.jacobian(np.sin, format="csr")(x).nnz == 20_000


def test_free_memory_is_known():
    assert dense._free_memory() > 1 << 20


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"format": "bsr"}, "format must be one of"),
        ({"mode": "sideways", "format": "csr"}, "mode must be one of"),
        ({"mode": "both"}, "is for sparse matrices"),
        ({"chunk_size": 0}, "positive int"),
        ({"sparsity": "always"}, "sparsity must be"),
        ({"has_aux": True, "format": "csr"}, "has_aux"),
    ],
)
def test_wrong_options(options, match):
    with pytest.raises(InputError, match=match):
        wg.jacobian(np.sin, **options)


def test_complex_functions_are_refused():
    with pytest.raises(InputError, match="complex"):
        wg.jacobian(np.sin, format="csr")(np.ones(3) + 0j)
    for mode in ("auto", "forward"):
        with pytest.raises(InputError, match="the result is complex"):
            wg.jacobian(lambda x: x * 1j, format="csr", mode=mode)(np.ones(3))


def test_a_million_numbers():
    """Text 001: the Jacobian of a pointwise function is never formed dense."""
    x = np.linspace(0.0, 1.0, 10**6)
    J = wg.jacobian(np.sin, format="csr", probe=False)
    for _ in range(2):
        assert J(x).nnz == 10**6
    np.testing.assert_allclose(J(x).data, np.cos(x), rtol=1e-14)


# --- random programs ------------------------------------------------------------------------------
STEPS = {
    "slice": lambda x: np.concatenate([x[1:], x[:1]]) * x,
    "product": lambda x: x * np.tanh(x[::-1]),
    "sum": lambda x: x + np.sum(x[:2]),
    "outer": lambda x: np.sum(np.sin(x)[:, None] * x[None, :2], axis=1),
    "gather": lambda x: x[np.arange(len(x)) // 2] + x**2,
    "set": lambda x: _set(x),
    "matmul": lambda x: x.reshape(2, -1).T.ravel() * 2 - x,
    "where": lambda x: np.where(x > 0.5, x**2, np.exp(x)),
    "max": lambda x: np.maximum(x, 0.3) + np.max(x),
    "cumsum": lambda x: np.cumsum(x) / len(x),
    "same": lambda x: x - x[::-1] + x[::-1],
}


def _set(x):
    y = np.zeros_like(x)
    y[::2] = np.sin(x[::2])
    y[1::2] += x[0] * x[1::2]
    return y


def check_program(names, mode):
    def f(x):
        for name in names:
            x = STEPS[name](x)
        return x

    x = np.random.default_rng(len(names)).random(6)
    got = wg.jacobian(f, format="csr", mode=mode)(x).toarray()
    np.testing.assert_allclose(got, dense_of(f, x), rtol=1e-9, atol=1e-12)


test_random_programs, test_many_random_programs = twice(
    check_program,
    *(20, 200),
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4),
    st.sampled_from(MODES[:1] + MODES[2:]),
)


@pytest.mark.parametrize("mode", ["auto", "forward"])
def test_errstate_around_a_call_is_heeded(mode):
    """The function's own operations raise, its handlers see that, and no plan is kept of it."""

    def plain(x):
        return np.sqrt(x[1:]) * x[:-1]

    def handled(x):
        try:
            return plain(x)
        except FloatingPointError:
            return 2.0 * x[1:] * x[:-1]

    good, bad = np.array([0.5, 0.6, 0.7]), np.array([0.5, -0.6, 0.7])
    want = [[np.nan, np.nan, 0.0], [0.0, np.sqrt(0.7), -0.3 / np.sqrt(0.7)]]
    raises, returns = (wg.jacobian(f, format="csr", mode=mode) for f in (plain, handled))
    for _ in range(3):
        with np.errstate(invalid="raise"):
            with pytest.raises(FloatingPointError, match="sqrt"):
                raises(bad)
            np.testing.assert_array_equal(
                returns(bad).toarray(), [[-1.2, 1.0, 0.0], [0.0, 1.4, -1.2]]
            )
            np.testing.assert_allclose(raises(good).toarray(), wg.jacfwd(plain)(good))
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(raises(bad).toarray(), want)
            np.testing.assert_allclose(returns(bad).toarray(), want)
