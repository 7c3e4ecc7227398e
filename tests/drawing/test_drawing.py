"""Drawings: their nodes, edges, numbers and equations, their texts, and what they refuse."""

from __future__ import annotations

import builtins
import os
import re
import sys

import examples
import numpy as np
import pytest
from examples import ARGUMENTS

import wengert as wg
from wengert.errors import InputError, MissingExtraError, UnsupportedError


@pytest.fixture(scope="module")
def drawn():
    return {name: wg.draw(f, *args, argnums=nums) for name, (f, args, nums) in ARGUMENTS.items()}


def node(drawing, label):
    (found,) = [n for n in drawing.nodes if n.label == label]
    return found


# --- the model ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_drawing_is_a_graph(drawn, name):
    """Edges end at nodes, variables have one maker, and nothing reads what is made later."""
    d = drawn[name]
    ids = [n.id for n in d.nodes]
    assert len(set(ids)) == len(ids)
    made = {}
    for e in d.edges:
        a, b = d.by_id[e.source], d.by_id[e.target]
        assert a.step <= b.step or a.step < 0
        assert "operator" in (a.kind, b.kind) or b.role in ("gradient", "result")
        if b.kind == "variable":
            assert made.setdefault(b.id, a.id) == a.id or "." in b.id
    groups = {g.id for g in d.groups}
    assert {n.group for n in d.nodes} - {""} <= groups
    assert {g.parent for g in d.groups} - {""} <= groups


@pytest.mark.parametrize("name", ARGUMENTS)
def test_values_and_cotangents_are_those_of_the_derivative(drawn, name):
    f, args, nums = ARGUMENTS[name]
    value, grads = wg.value_and_grad(f, nums)(*args)
    d = drawn[name]
    (result,) = [n for n in d.nodes if n.role == "result"]
    assert result.value.mean == pytest.approx(float(value), rel=1e-12)
    import optree

    want = optree.tree_leaves(grads)
    found = [n for n in d.nodes if n.role == "gradient"]
    assert len(found) == len(want)
    for x in want:
        fits = [
            n for n in found
            if n.shape == np.shape(x)
            and np.allclose([n.value.low, n.value.mean, n.value.high],
                            [x.min(), x.mean(), x.max()], rtol=1e-12)
        ]  # fmt: skip
        assert fits


def test_a_cotangent_is_the_slope_of_the_result():
    """By differences: each named variable between the inputs and the result."""
    f, args, nums = ARGUMENTS["with_bias"]
    W1, b, W2, x, y = args
    d = wg.draw(f, *args, argnums=nums)

    def from_z(z):
        h = np.tanh(z)
        return 0.5 * np.sum((W2 @ h - y) ** 2)

    slope = wg.grad(from_z)(W1 @ x + b)
    shot = node(d, "z").cotangent
    assert [shot.low, shot.mean, shot.high] == pytest.approx(
        [slope.min(), slope.mean(), slope.max()]
    )
    assert shot.heat == (tuple(float(f"{s:.3g}") for s in slope),)


def test_counts_are_those_of_cost():
    f, args, nums = ARGUMENTS["weight_decay"]
    d = wg.draw(f, *args, argnums=nums)
    cost = wg.cost(f, *args, argnums=nums)
    flops = [n for n in d.nodes if n.kind == "operator"]
    assert sum(n.flops for n in flops) == cost.flops
    assert sum(n.flops for n in flops if n.stage == "forward") == cost.flops_forward
    assert all(n.seconds > 0 for n in flops)


def test_variables_have_the_names_of_the_source(drawn):
    names = {n.label for n in drawn["weight_decay"].nodes if n.kind == "variable"}
    assert names >= {"W1", "W2", "x", "y", "z", "h", "o", "L", "s", "J", "∂J/∂W1", "∂J/∂h"}
    source = node(drawn["weight_decay"], "h")
    assert source.source == "h = np.tanh(z)"
    assert source.file == examples.__file__
    assert source.function == "weight_decay"


def test_captured_arrays_are_constants_by_their_names():
    scale = np.array([1.0, 2.0])
    d = wg.draw(lambda x: np.sum(np.sin(scale * x)), np.ones(2))
    assert node(d, "scale").role == "constant"


def test_every_value_is_a_square():
    d = wg.draw(examples.sin_of_product, 0.7, 1.3, argnums=(), every=True)
    assert [n.label for n in d.nodes if n.kind == "variable"] == ["x", "y", "v1", "sin_of_product"]


def test_kept_values_have_bytes(drawn):
    kept = {(e.source, e.nbytes) for e in drawn["weight_decay"].edges if e.kind == "kept"}
    names = {drawn["weight_decay"].by_id[s].label: n for s, n in kept}
    assert names == {"z": 32, "h": 32, "−": 16}


def test_loops_and_calls_are_groups(drawn):
    d = drawn["mlp"]
    loop = next(g for g in d.groups if g.kind == "loop")
    assert (loop.times, loop.label) == (8, "for W, b in params  × 8")
    chain = next(g for g in d.groups if g.kind == "chain")
    assert (chain.times, chain.closed) == (5, True)
    assert sum("layer()" in g.label for g in d.groups) == 8
    names = {g.label for g in drawn["lstm"].groups}
    assert {"cell()", "sigmoid()"} <= names


def test_equal_chains_of_straight_code_are_folded():
    """Nine layers, one line each, are the first, the last, and a box of seven."""

    def net(Ws, x):
        h = np.tanh(Ws[0] @ x)
        h = np.tanh(Ws[1] @ h)
        h = np.tanh(Ws[2] @ h)
        h = np.tanh(Ws[3] @ h)
        h = np.tanh(Ws[4] @ h)
        return np.sum(h**2)

    d = wg.draw(net, list(np.ones((5, 3, 3))), np.ones(3))
    kinds = [(g.kind, g.label) for g in d.groups if g.kind != "trip"]
    assert kinds == [("repeat", "the same × 5"), ("chain", "× 3 alike")]
    groups = {g.id: g for g in d.groups}
    links = [g for g in d.groups if g.kind == "trip"]
    assert [groups[g.parent].kind for g in links] == [
        "repeat", "chain", "chain", "chain", "repeat",
    ]  # fmt: skip
    for k, link in enumerate(sorted(links, key=lambda g: g.label)):
        inside = [n for n in d.nodes if n.group == link.id]
        assert {n.op for n in inside} >= {"contract", "tanh", "sech_squared"}
        assert f"Ws[{k}]" in {n.label for n in inside}
        assert f"∂net/∂Ws[{k}]" in {n.label for n in inside}


def test_sums_and_few_equal_links_are_not_folded():
    d = wg.draw(lambda x: np.sum(x[0] + x[1] + x[2] + x[3] + x[4] + x[5]), np.ones(6))
    assert not d.groups
    d = wg.draw(lambda x: np.sin(2 * np.sin(2 * np.sin(2 * x))), 0.3)
    assert not d.groups


def test_a_plan_that_does_not_know_its_loops_is_folded():
    f, args, _ = ARGUMENTS["mlp"]
    d = wg.draw(wg.jit(wg.grad(f)).plan(*args))
    assert any(g.label == "the same × 8" for g in d.groups)


def test_a_scan_is_a_box_with_its_body():
    def f(x):
        return wg.scan(lambda c, _: (np.sin(c) * x, None), x, None, length=50)[0]

    d = wg.draw(f, 0.5)
    bodies = [g for g in d.groups if g.kind == "body"]
    assert bodies
    assert all(g.times == 50 for g in bodies)
    assert any(n.op == "sin" and n.group == bodies[0].id for n in d.nodes)


def test_a_body_has_the_values_of_the_first_trip_and_counts_once():
    d = examples.drawn("scan")
    (body, *_) = [g.id for g in d.groups if g.kind == "body"]
    (product,) = [n for n in d.nodes if n.group == body and n.op == "multiply"]
    assert product.value.mean == pytest.approx(0.5 * 0.5)
    cost = wg.cost(examples.looped, 0.5)
    counts = dict(d.summary())
    assert counts["operations forward"] == f"{cost.flops_forward:,}"
    assert counts["backward"] == f"{cost.flops_backward:,}"


def test_second_derivatives_have_an_order():
    d = wg.draw(wg.grad(wg.grad(lambda x: np.sin(x) ** 3)), 0.4)
    assert max(n.order for n in d.nodes) == 2


def test_plans_are_drawn_as_they_are():
    x = np.linspace(0.1, 1.0, 6)
    plan = wg.jit(wg.grad(lambda x: np.sum(np.sin(x) ** 2))).plan(x)
    d = wg.draw(plan)
    assert sum(n.kind == "operator" for n in d.nodes) == len(plan.graph.nodes)
    assert all(n.value is None for n in d.nodes)
    matrix = wg.jacobian(lambda x: x[1:] * x[:-1], sparsity="auto")
    assert wg.draw(matrix, x).nodes


def test_what_a_budget_computes_again_is_shaded():
    W, x = np.eye(64), np.ones((64, 64))

    def deep(x):
        for _ in range(8):
            x = np.tanh(W @ x)
        return np.sum(x)

    f = wg.value_and_grad(deep)
    whole = wg.jit(f).plan(x)
    less = wg.jit(f, memory_budget=whole.memory.peak // 2)
    assert not [n for n in wg.draw(whole).nodes if n.stage == "again"]
    d = wg.draw(less, x)
    again = [n for n in d.nodes if n.stage == "again"]
    more = len(less.plan(x).nodes) - len(whole.nodes)
    assert again
    assert abs(len(again) - more) <= 2  # barriers
    assert {n.group for n in again} == {g.id for g in d.groups if g.kind == "again"}
    assert "computed again" in d.svg()


def test_equal_calls_are_folded():
    def step(x):
        y = np.sin(x)
        return y * 2

    def f(x):
        x = step(step(x))
        x = step(x)
        x = step(x)
        x = step(x)
        x = step(x)
        x = step(x)
        x = step(x)
        return np.sum(x)

    chain = [g for g in wg.draw(f, np.ones(3)).groups if g.kind == "chain"]
    assert len(chain) == 1
    assert chain[0].times >= 3


# --- equations ------------------------------------------------------------------------------------
def test_the_equations_of_a_network_with_bias(drawn):
    """Forward, and backward as one derives them by hand."""
    assert drawn["with_bias"].equations().splitlines() == [
        "forward",
        "  z = W1 x + b",
        "  h = tanh(z)",
        "  o = W2 h",
        "  L = 0.5 ‖o − y‖²",
        "  s = 0.05 (‖W1‖² + ‖W2‖²)",
        "  J = L + s",
        "",
        "backward",
        "  ∂J/∂L = 1",
        "  ∂J/∂s = 1",
        "  ∂J/∂o = o − y",
        "  ∂J/∂W2 = 0.1 W2 + ∂J/∂o hᵀ",
        "  ∂J/∂h = W2ᵀ ∂J/∂o",
        "  ∂J/∂z = ∂J/∂h ⊙ tanh′(z)",
        "  ∂J/∂W1 = 0.1 W1 + ∂J/∂z xᵀ",
        "  ∂J/∂b = ∂J/∂z",
    ]


def test_the_equations_are_latex_too(drawn):
    text = drawn["weight_decay"].latex()
    assert r"z &= W_{1}\,x" in text
    assert (
        r"\frac{\partial J}{\partial W_{1}} &= 0.1\,W_{1} + "
        r"\frac{\partial J}{\partial z}\,{x}^{\top}" in text
    )
    for opened, closed in ("{}", "[]"):
        assert text.count(opened) == text.count(closed)
    assert text.count(r"\left") == text.count(r"\right")


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: np.sin(x), "∂y/∂x = cos(x)"),
        (lambda x: np.exp(x), "∂y/∂x = y"),
        (lambda x: x**3, "∂y/∂x = 3 x²"),
        (lambda x: np.sqrt(x), "∂y/∂x = 0.5 / y"),
        (lambda x: x * x, "∂y/∂a = b,  ∂y/∂b = a"),
    ],
)
def test_the_local_derivative_is_the_rule_of_the_operation(f, text):
    d = wg.draw(f, 0.5, argnums=())
    (operator,) = [n for n in d.nodes if n.kind == "operator"]
    assert operator.derivative == text


# --- texts ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ARGUMENTS)
def test_all_texts_have_the_same_nodes_and_edges(drawn, name):
    d = drawn[name]
    nodes = {n.id for n in d.nodes}
    edges = {(e.source, e.target) for e in d.edges}
    dot = d.dot()
    assert set(re.findall(r'^ *"([^"]+)" \[', dot, re.M)) == nodes
    assert set(re.findall(r'^ *"([^"]+)" -> "([^"]+)"', dot, re.M)) == edges
    flow = d.mermaid()
    plain = {i.replace(".", "_") for i in nodes}
    assert set(re.findall(r"^ *([\w.]+)(?:\[|\(\()", flow, re.M)) == plain
    arrows = re.findall(r"^ *(\w+) (?:-->|==>|-\.->)(?:\|[^|]*\|)? (\w+)$", flow, re.M)
    assert set(arrows) == {(a.replace(".", "_"), b.replace(".", "_")) for a, b in edges}
    assert flow.count("subgraph ") == len([g for g in d.groups if _is_used(d, g)])
    text = d.text()
    assert set(re.findall(r"^ *[\[(] [\])] (\S+)", text, re.M)) == nodes
    reads = set()
    for line in text.splitlines():
        found = re.match(r" *[\[(] [\])] (\S+).*?  <- (.*)$", line)
        if found:
            sources = re.sub(r" \((kept|read)\)", "", found[2]).split(", ")
            reads |= {(s, found[1]) for s in sources}
    assert reads == edges
    assert str(d) == text


def _is_used(d, g):
    parents = {h.id: h.parent for h in d.groups}
    for n in d.nodes:
        here = n.group
        while here:
            if here == g.id:
                return True
            here = parents[here]
    return False


def test_texts_quote_what_needs_it():
    def f(x):
        return x[0] > 0.5

    d = wg.draw(f, np.array([1.0, 2.0]))
    assert "&gt;" in d.mermaid()
    assert d.dot().count("{") == d.dot().count("}")


# --- what is refused ------------------------------------------------------------------------------
def test_an_unknown_ending_lists_those_known(drawn, tmp_path):
    for name in ("graph.gif", "graph"):
        with pytest.raises(
            InputError, match=r"\.svg, \.png, \.pdf, \.html, \.dot, \.mmd, \.txt, \.gv"
        ):
            drawn["sin_of_product"].save(tmp_path / name)


def test_a_path_that_cannot_be_written(drawn, tmp_path):
    with pytest.raises(OSError, match=r"there is no folder '.*nowhere'; make it first") as caught:
        drawn["sin_of_product"].save(tmp_path / "nowhere" / "graph.svg")
    assert isinstance(caught.value, FileNotFoundError)


def test_a_graph_too_large_for_a_picture_says_what_to_do(monkeypatch):
    monkeypatch.setattr("wengert.drawing.scene.MOST", 50)
    monkeypatch.setattr("wengert.drawing.grouping.PART", 20)
    monkeypatch.setattr("wengert.drawing.grouping.BLOCK", 10)
    long = wg.draw(examples.straight(140), np.ones(3), argnums=()).opened()
    with pytest.raises(UnsupportedError, match=r'save\("graph.html"\)') as caught:
        long.svg()
    assert "drawing.closed()" in str(caught.value)
    assert long.closed().svg()
    assert long._repr_svg_() is None
    assert "<svg" in long._repr_html_()


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_missing_matplotlib_names_the_extra(drawn, form, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    for name in [n for n in sys.modules if n.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"wengert\[plot\]"):
        drawn["sin_of_product"].save(tmp_path / f"graph.{form}")


def test_what_cannot_be_drawn():
    with pytest.raises(InputError, match="takes a function and its arguments"):
        wg.draw(3.0)
    with pytest.raises(InputError, match="is a grad already"):
        wg.draw(wg.grad(np.sin), 1.0, argnums=0)
    with pytest.raises(InputError, match="does not name a positional argument"):
        wg.draw(np.sin, 1.0, argnums=3)


def test_a_function_that_fails_raises_its_own_error():
    def f(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        wg.draw(f, 1.0)
    with pytest.raises(ValueError, match="shape"):
        wg.draw(lambda x: x @ np.ones(7), np.ones(3))


def test_options_that_do_not_exist(drawn):
    d = drawn["sin_of_product"]
    with pytest.raises(InputError, match="'light', 'dark', 'auto'"):
        d.svg(theme="pink")
    with pytest.raises(InputError, match="'operations', 'time', 'bytes', 'none'"):
        d.svg(heat="warm")
    with pytest.raises(InputError, match="has no group 'nothing'"):
        d.opened("nothing")


def test_notebooks_show_the_picture(drawn):
    d = drawn["sin_of_product"]
    assert d._repr_svg_().startswith("<svg")
    assert "<svg" in d._repr_html_()


def test_a_page_holds_what_looks_like_html():
    def f(x):
        return np.sin(x)  # </script><b> & "quotes"

    page = wg.draw(f, 0.5).html(title="<b>")
    assert page.count("</script>") == 2
    assert "<title>&lt;b&gt;</title>" in page
    assert "test_drawing.py" in page
    assert os.path.dirname(__file__) not in page  # a page may be shown to others
