"""The ways to compute a dense Jacobian: all agree, and the choice among them explains itself."""

import numpy as np
import pytest

import wengert as wg
from wengert.errors import UnsupportedError
from wengert.matrices.choice import Choice
from wengert.matrices.ways import WAYS

RNG = np.random.default_rng(7)
TALL = RNG.standard_normal((9, 4))
SQUARE = RNG.standard_normal((6, 6)) / 3
PICKED = np.array([0, 2, 2, 5, 1])
ROW, COLUMN = RNG.standard_normal((1, 6)), RNG.standard_normal((6, 1))
PAIRS = RNG.standard_normal((20, 2, 2)) + 3 * np.eye(2)
LINES = RNG.integers(0, 20, 30)
X6, X4 = RNG.uniform(0.3, 1.5, 6), RNG.uniform(0.3, 1.5, 4)


def scattered(x):
    y = np.zeros(7, like=x)
    np.add.at(y, PICKED, np.sin(x[:5]) * x[1:])
    return y


def branched(x):
    return np.where(x > 0.8, np.sqrt(np.where(x > 0.8, x, 0.0)), x**2)


def rotated(x):
    c, s = np.cos(x[0]), np.sin(x[0])
    return np.array([c * x[1] - s * x[2], s * x[1] + c * x[2], x[3] / x[4]])


FUNCTIONS = {
    "elementwise": (np.tanh, X6),
    "over its norm": (lambda x: x / np.sqrt(np.sum(x * x)), X6),
    "over its sum": (lambda x: x / np.sum(x), X6),
    "rank one": (lambda x: x * np.exp(np.sum(x)), X6),
    "a gate": (lambda x: x / (1 + np.exp(-np.mean(x))), X6),
    "tall": (lambda x: np.tanh(TALL @ x), X4),
    "wide": (lambda x: np.tanh(TALL.T @ x), RNG.uniform(0.3, 1.5, 9)),
    "square layers": (lambda x: np.tanh(SQUARE @ np.tanh(SQUARE @ x)), X6),
    "a waist": (lambda x: np.tanh(COLUMN @ np.tanh(ROW @ x)), X6),
    "scattered": (scattered, X6),
    "a stencil": (lambda x: x[2:] - 2 * x[1:-1] * x[:-2] + x[1:-1], X6),
    "branched": (branched, X6),
    "circuit": (rotated, X6),
    "matrix argument": (lambda x: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True),
                        RNG.standard_normal((3, 4))),
    "a solve": (lambda x: np.linalg.solve(SQUARE + np.diag(3 + x), x), X6),
    "a scalar": (lambda x: np.sum(np.log(x) * x), X6),
    "of a scalar": (lambda t: np.sin(t * X6), np.array(0.4)),
    "constant part": (lambda x: np.concatenate([x * 2, np.ones(2), x[:1]]), X4),
    "no dependence": (lambda x: np.ones(3) + 0 * np.sign(x[:3]), X4),
    "cumulative": (lambda x: np.cumsum(x * x), X6),
    "sorted lines": (lambda x: np.sort(x.reshape(20, 2), axis=1).ravel() ** 2, RNG.random(40)),
    "small solves": (lambda x: np.linalg.solve(PAIRS, np.sin(x.reshape(20, 2, 1))).ravel(),
                     RNG.random(40)),
    "looked up in a table": (lambda x: np.cumsum(np.sin(x.reshape(20, 2)), axis=1)[LINES],
                             RNG.random(40)),
}  # fmt: skip


def by(f, mode, x, compiled=True):
    jacobian = wg.jacobian(f, mode=mode)
    return (wg.jit(jacobian) if compiled else jacobian)(x)


def unfit(f, mode, x, compiled):
    """Return why a mode does not suit a function."""
    try:
        by(f, mode, x, compiled)
    except UnsupportedError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_ways_agree(name):
    f, x = FUNCTIONS[name]
    expected = by(f, "forward", x, compiled=False)
    assert expected.shape == np.shape(f(x)) + np.shape(x)
    for mode in ("auto", *WAYS):
        for compiled in (True, False):
            why = unfit(f, mode, x, compiled)
            if why:
                assert mode not in ("auto", "forward", "reverse")
                assert "does not suit this function" in why
                continue
            found = by(f, mode, x, compiled)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12, err_msg=mode)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_choice_is_a_table_with_its_reason(name):
    f, x = FUNCTIONS[name]
    (choice,) = wg.jit(wg.jacobian(f)).plan(x).notes
    assert isinstance(choice, Choice)
    assert choice.shape == (np.size(f(x)), np.size(x))
    assert {c.mode for c in choice.candidates} == set(WAYS)
    predicted = [c.seconds for c in choice.candidates if c.seconds is not None]
    assert predicted == sorted(predicted)
    assert choice.mode == choice.candidates[0].mode
    assert all(c.note for c in choice.candidates if c.seconds is None)
    text = str(wg.jacobian(f).plan(x))
    assert f"-> {choice.mode}" in " ".join(text.split())
    assert choice.why in text


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("elementwise", "accumulate"),
        ("a stencil", "accumulate"),
        ("tall", "forward"),
        ("wide", "reverse"),
        ("of a scalar", "forward"),
        ("small solves", "coloured"),
    ],
)
def test_what_is_plainly_cheapest_is_chosen(name, mode):
    f, _ = FUNCTIONS[name]
    wide = RNG.standard_normal((300, 4)) / 9
    f, x = {
        "elementwise": (f, np.linspace(0.0, 1.0, 400)),
        "a stencil": (f, np.linspace(0.0, 1.0, 400)),
        "tall": (lambda x: np.tanh(wide @ np.tanh(x)), X4),
        "wide": (lambda x: np.tanh(wide.T @ np.tanh(x)), np.linspace(0.0, 1.0, 300)),
        "of a scalar": (lambda t: np.sin(t * np.arange(400.0)), np.array(0.4)),
        "small solves": (f, np.linspace(0.0, 1.0, 40)),
    }[name]
    (choice,) = wg.jit(wg.jacobian(f)).plan(x).notes
    assert choice.mode == mode or choice.candidates[0].seconds > 0.8 * next(
        c.seconds for c in choice.candidates if c.mode == mode
    )


@pytest.mark.parametrize("name", ["over its norm", "scattered", "a waist", "circuit", "branched"])
def test_a_choice_within_other_transformations(name):
    f, x = FUNCTIONS[name]
    xs = np.stack([x, x + 0.1, x * 1.3])
    each = np.stack([by(f, "forward", v, compiled=False) for v in xs])
    np.testing.assert_allclose(wg.jit(wg.vmap(wg.jacobian(f)))(xs), each, rtol=1e-10, atol=1e-12)

    def total(mode):
        return wg.jit(wg.grad(lambda x: np.sum(np.sin(wg.jacobian(f, mode=mode)(x)))))(x)

    np.testing.assert_allclose(total("auto"), total("forward"), rtol=1e-9, atol=1e-12)
    inner = wg.jit(lambda x: wg.jvp(wg.jacobian(f), (x,), (x,))[1])(x)
    other = wg.jvp(wg.jacobian(f, mode="forward"), (x,), (x,))[1]
    np.testing.assert_allclose(inner, other, rtol=1e-9, atol=1e-12)


def test_hessians_take_the_cheapest_way_too():
    x = np.linspace(0.2, 1.2, 200)
    f = lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2)  # noqa: E731
    plan = wg.jit(wg.hessian(f)).plan(x)
    assert plan.notes[0].mode == "accumulate"
    np.testing.assert_allclose(plan(x), wg.hessian(f, mode="forward")(x), rtol=1e-10, atol=1e-12)


def test_pytrees_and_several_arguments():
    def f(p, y):
        return {"a": p["u"] * np.sum(y), "b": np.outer(y, p["v"])}

    p, y = {"u": X4, "v": X6[:2]}, X6[:3]
    expected = wg.jacobian(f, (0, 1), mode="forward")(p, y)
    for mode in ("auto", "accumulate", "reverse"):
        found = wg.jit(wg.jacobian(f, (0, 1), mode=mode))(p, y)
        for key in ("a", "b"):
            for part in ("u", "v"):
                np.testing.assert_allclose(found[key][0][part], expected[key][0][part], atol=1e-12)
            np.testing.assert_allclose(found[key][1], expected[key][1], atol=1e-12)


def test_the_value_comes_with_it():
    value, found = wg.jit(wg.value_and_jacobian(np.tanh))(X6)
    np.testing.assert_allclose(value, np.tanh(X6))
    np.testing.assert_allclose(found, np.diag(1 - np.tanh(X6) ** 2))


def test_an_index_array_that_is_changed_later_counts():
    index = np.array([0, 1, 2])
    jacobian = wg.jit(wg.jacobian(lambda x: x[index] ** 2, mode="accumulate"))
    x = np.arange(1.0, 5.0)
    np.testing.assert_array_equal(jacobian(x), 2 * np.eye(3, 4) * x)
    index[:] = [3, 3, 0]
    again = jacobian(x)
    np.testing.assert_array_equal(again, wg.jacobian(lambda x: x[index] ** 2, mode="forward")(x))


def test_decisions_of_ways_that_were_not_taken_do_not_matter():
    index = np.array([0, 1, 2])
    f = lambda x: np.tanh(TALL @ x)[index]  # noqa: E731
    plan = wg.jit(wg.jacobian(f, mode="forward")).plan(X4)
    auto = wg.jit(wg.jacobian(f)).plan(X4)
    if auto.notes[0].mode != "accumulate":
        assert len(auto.graph.guards) == len(plan.graph.guards)


def test_a_rule_of_one_direction_only():
    @wg.custom_vjp
    def f(x):
        return np.sin(x)

    f.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (ct * np.cos(x),))
    expected = np.diag(np.cos(X6))
    np.testing.assert_allclose(wg.jacobian(f)(X6), expected)
    np.testing.assert_allclose(wg.jit(wg.jacobian(f))(X6), expected)
    with pytest.raises(UnsupportedError, match="accumulate"):
        wg.jacobian(f, mode="accumulate")(X6)


def test_mixed_dtypes_are_left_to_sweeps():
    f = lambda x: (x * np.float32(2)).astype(np.float32)  # noqa: E731
    expected = wg.jacobian(f, mode="forward")(X6)
    found = wg.jit(wg.jacobian(f))(X6)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(UnsupportedError, match="several dtypes"):
        wg.jacobian(f, mode="accumulate")(X6)


# --- plans ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["over its norm", "a waist", "a solve"])
def test_a_plan_compares_predictions_with_what_it_measures(name):
    f, x = FUNCTIONS[name]
    plan = wg.jacobian(f).plan(x)
    found = plan.compare()
    suited = {c.mode for c in plan.candidates if not c.note.startswith("does not suit")}
    assert {w.mode for w in found.ways} - {"coloured"} == suited - {"coloured"}
    assert [w.measured for w in found.ways] == sorted(w.measured for w in found.ways)
    assert all(w.difference < 1e-10 for w in found.ways)
    assert f"-> {plan.mode}" in " ".join(str(found).split())
    assert "predicted" in str(found)


def test_an_order_is_data_that_can_be_given_back():
    f, x = FUNCTIONS["a waist"]
    plan = wg.jacobian(f, mode="auto").plan(np.linspace(0.1, 1.0, 6))
    order = wg.linear_graph(f)(x).order()
    expected = wg.jacobian(f, mode="forward")(x)
    np.testing.assert_allclose(wg.jacobian(f, mode=order)(x), expected, atol=1e-13)
    turned = order.with_sequence(order.sequence[::-1])
    np.testing.assert_allclose(wg.jit(wg.jacobian(f, mode=turned))(x), expected, atol=1e-13)
    with pytest.raises(wg.errors.OrderError, match="another graph"):
        wg.jacobian(np.tanh, mode=order)(x)
    assert plan.order is None or plan.order.sequence
    with pytest.raises(wg.errors.InputError, match="leave sparsity= and format= out"):
        wg.jacobian(f, mode=order, format="csr")
    with pytest.raises(wg.errors.InputError, match="mode must be one of"):
        wg.jacobian(f, mode=[0, 1])


def test_chunks_are_for_sweeps():
    (choice,) = wg.jit(wg.jacobian(np.tanh, chunk_size=2)).plan(X6).notes
    assert choice.mode in ("forward", "reverse")
    assert "chunk_size=" in choice.candidates[-1].note


def test_a_plan_of_a_given_mode_has_no_choice():
    plan = wg.jacobian(np.tanh, mode="reverse").plan(X6)
    assert plan.choice is None
    assert plan.candidates == ()
    assert plan.mode is plan.order is None
    assert {w.mode for w in plan.compare().ways} >= {"given", "forward", "reverse"}


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "dense"])
@pytest.mark.parametrize("made", [wg.jacobian, wg.value_and_jacobian])
def test_a_sparse_plan_compares_its_ways_too(made, format):
    f = FUNCTIONS["a stencil"][0]
    plan = made(f, sparsity="auto", format=format).plan(np.linspace(0.1, 1.0, 40))
    found = plan.compare()
    assert {w.mode for w in found.ways} == {"accumulate", "forward", "reverse", "both"}
    assert all(w.difference < 1e-12 for w in found.ways)
    assert all(c.seconds > 0 for c in plan.candidates)
    assert f"-> {plan.mode}" in " ".join(str(found).split())
    hessian = wg.hessian(lambda x: np.sum(f(x) ** 2), format="csr").plan(np.linspace(0.1, 1.0, 9))
    assert len(hessian.compare().ways) >= 3


def test_of_a_long_function_one_sweep_is_recorded(monkeypatch):
    monkeypatch.setattr("wengert.matrices.choice.LONG", 3)
    f = FUNCTIONS["square layers"][0]
    (choice,) = wg.jit(wg.jacobian(f)).plan(X6).notes
    assert [c.seconds is not None for c in choice.candidates] == [True, *[False] * 4]
    assert all("long" in c.note for c in choice.candidates[1:])


def test_colours_hold_for_the_places_that_they_were_found_for():
    """Which line is read is an array of the user's, and may be changed between calls."""
    lines = LINES.copy()

    def f(x):
        return np.sort(np.sin(x.reshape(20, 2)), axis=1)[lines]

    x = RNG.random(40)
    compiled = wg.jit(wg.jacobian(f, mode="coloured"))
    for _ in range(2):
        np.testing.assert_allclose(compiled(x), wg.jacobian(f, mode="forward")(x), rtol=1e-12)
        lines[:] = lines[::-1] - 1


def test_few_colours_are_needed():
    with pytest.raises(UnsupportedError, match="colours of"):
        wg.jacobian(lambda x: np.sort(x.reshape(2, 3), axis=1), mode="coloured")(X6)
    with pytest.raises(UnsupportedError, match="depends on too much"):
        wg.jacobian(lambda x: np.sort(TALL @ x), mode="coloured")(X4)


@pytest.mark.parametrize("name", ["elementwise", "small solves", "stencil", "dense"])
def test_a_call_without_jit_finds_few_nonzeros_where_sweeps_are_long(name, monkeypatch):
    x = np.linspace(0.1, 1.0, 600)
    pairs = np.random.default_rng(0).standard_normal((300, 2, 2)) + 3 * np.eye(2)
    f, taken = {
        "elementwise": (np.tanh, "accumulate"),
        "small solves": (
            lambda x: np.linalg.solve(pairs, x.reshape(300, 2, 1)).ravel(),
            "coloured",
        ),
        "stencil": (lambda x: x[2:] - 2 * x[1:-1] * x[:-2], "accumulate"),
        "dense": (lambda x: np.tanh(np.ones((600, 600)) @ np.sin(x)), "forward"),
    }[name]
    used = []
    for mode, way in list(WAYS.items()):
        monkeypatch.setitem(
            WAYS, mode, lambda p, mode=mode, way=way: (way(p), used.append(mode))[0]
        )
    found = wg.jacobian(f)(x)
    assert used in ([taken], ["reverse"] if taken == "forward" else [taken])
    np.testing.assert_allclose(found, wg.jacobian(f, mode="forward")(x), rtol=1e-10, atol=1e-12)
