"""Formulas mean what is computed: each is read back as Python, and gives the value of its node."""

from __future__ import annotations

import re

import numpy as np
import pytest
from examples import ARGUMENTS, drawn

import wengert as wg
from wengert.ops.base import TABLE


class Sum:
    """``Σ x`` is a product with this, which binds as ``Σ`` does."""

    __array_ufunc__ = None

    def __init__(self, factor=1.0):
        self.factor = factor

    def __matmul__(self, x):
        return self.factor * np.sum(x)

    def __rmul__(self, factor):
        return Sum(factor * self.factor)


KNOWN = {
    "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "log1p": np.log1p, "sech2": lambda x: 1 / np.cosh(x) ** 2, "SUM": Sum(),
    "norm2": lambda x: np.sum(x * x), "np": np, "ones": 1.0, "where": np.where, "max": np.maximum,
    "reciprocal": np.reciprocal, "sigma": TABLE["expit"].evaluate,
}  # fmt: skip


def read(text, names):
    """Evaluate a formula; the names in it stand for numbers, or for matrices and columns."""
    text = text.replace("ᵀ", ".T").replace("tanh′", "sech2")
    text = re.sub(r"‖(.*?)‖²", r"norm2(\1)", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: "**" + m[0].translate(RAISED), text)
    for k, name in enumerate(sorted(names, key=len, reverse=True)):
        text = re.sub(rf"(?<![\w/∂]){re.escape(name)}(?![\w/])", f"N{k}_", text)
    table = {f"N{k}_": names[n] for k, n in enumerate(sorted(names, key=len, reverse=True))}
    text = text.replace("√", "sqrt").replace("σ(", "sigma(")
    text = text.replace("−", "-").replace("^", "**")
    text = re.sub(r"Σ ?", "SUM @ ", text)
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text)
    text = re.sub(r"(?<![\w.])(\d[\d.]*(?:e-?\d+)?) (?=[\w(])", r"\1*", text)
    text = re.sub(r" ?[·⊙] ?", "*", text)
    text = re.sub(r"(?<=[\w)\]]) (?=[\w(])", " @ ", text)
    return eval(text, {**KNOWN, **table})


RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def grow(rng, depth):
    """Make a random expression of numbers."""
    if depth == 0:
        return str(rng.choice(["a", "b", "c", "2.0", "0.5", "3.0"]))
    kind = rng.integers(10)
    x = grow(rng, depth - 1)
    if kind < 6:
        y = grow(rng, depth - 1)
        return f"({x} {['+', '-', '*', '/', '*', '-'][kind]} {y})"
    if kind == 6:
        return f"(-{x})"
    if kind == 7:
        return f"{x} ** {rng.integers(2, 4)}" if x[0] == "(" or len(x) < 4 else f"({x}) ** 2"
    return f"np.{rng.choice(['sin', 'tanh', 'exp'])}({x})"


@pytest.mark.parametrize("seed", range(40))
def test_random_expressions(seed):
    rng = np.random.default_rng(seed)
    code = grow(rng, int(rng.integers(2, 5)))
    f = eval(f"lambda a, b, c: {code}", {"np": np})
    point = dict(zip("abc", (0.83, 1.31, -0.47), strict=True))
    if not np.isfinite(f(*point.values())):
        return
    d = wg.draw(f, *point.values(), argnums=(0, 1, 2))
    names = dict(point)
    checked = 0
    for line in d.lines:
        name, text = line.text.split(" = ", 1)
        n = d.by_id.get(line.node)
        if n is None or n.value is None or "…" in text:
            continue
        found = read(text, names)
        assert found == pytest.approx(n.value.mean, rel=1e-3, abs=1e-4), (code, line.text)
        names[name] = n.value.mean
        checked += 1
    for n in d.nodes:  # also of operators between named values
        if n.kind == "operator" and "…" not in n.formula:
            assert read(n.formula, names) == pytest.approx(n.value.mean, rel=1e-3, abs=1e-4), n


@pytest.mark.parametrize("name", ["weight_decay", "with_bias"])
def test_equations_of_matrices(name):
    """In the order in which they stand, from the arguments to the gradients."""
    f, args, nums = ARGUMENTS[name]
    d = wg.draw(f, *args, argnums=nums)
    labels = [n.label for n in d.nodes if n.role == "input"]
    names = {
        k: np.reshape(x, (-1, 1)) if np.ndim(x) == 1 else x
        for k, x in zip(labels, args, strict=True)
    }
    for line in d.lines:
        name, text = line.text.split(" = ", 1)
        found = names[name] = read(text, names)
        n = next((n for n in d.nodes if n.label == name), None)
        if n is not None:
            got = [np.min(found), np.mean(found), np.max(found)]
            assert got == pytest.approx([n.value.low, n.value.mean, n.value.high], rel=1e-6)
    _, grads = wg.value_and_grad(f, nums)(*args)
    for k, g in zip(nums, grads, strict=True):
        got = names[f"∂J/∂{labels[k]}"]
        np.testing.assert_allclose(np.ravel(got), np.ravel(g), rtol=1e-6)


W = np.arange(1.0, 7.0).reshape(2, 3)
V = np.linspace(-1.0, 2.0, 12).reshape(3, 4)


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda x: W @ x, "W x"),
        (lambda x: x.T @ W.T, "xᵀ c"),
        (lambda x: np.einsum("ij,kj->ki", W, x.T), "xᵀ Wᵀ"),
        (lambda x: np.einsum("ij,jk->ki", W, x), "xᵀ Wᵀ"),
        (lambda x: np.einsum("ij,jk->ijk", W, x), "einsum('ij,jk->ijk', W, x)"),
        (lambda x: np.sum(x * x.sum()), "Σ (x · Σ x)"),
        (lambda x: np.sum(x, axis=0), "Σ[0] x"),
        (lambda x: np.sum(x) * x, "Σ x · x"),
        (lambda x: x[1:, 0], "x[1:, 0]"),
        (lambda x: np.ones((2, 3)) @ x, "ones x"),
        (lambda x: np.cumsum(x, axis=1), "cumsum(x, axis=1)"),
    ],
)
def test_what_operations_are_written_as(f, want):
    d = wg.draw(f, V[:, :3], argnums=())
    assert d.lines[0].text.split(" = ", 1)[1] == want


def test_several_results_are_told_apart():
    d = wg.draw(lambda A: np.linalg.qr(A)[1], np.eye(3) + 0.1, argnums=())
    assert d.lines[0].text.endswith("qr(A)[1]")


def test_squares_of_complex_numbers_are_no_norm():
    d = wg.draw(lambda z: np.sum(z**2), np.array([1j, 2.0]), argnums=())
    assert "‖" not in d.lines[0].text


def test_long_parts_have_names_and_equations_of_their_own():
    def f(x):
        a, b, c = x[0], x[1], x[2]
        u = np.sin(a) * np.exp(b) + np.cos(c) / np.tanh(a)
        v = np.sqrt(1 + np.sin(b) ** 2 * np.exp(-c)) * np.log(1 + a**2)
        return (u + v) ** 3 * np.arctan(u * v - c) + (u - v) ** 2 * np.tanh(a * b * c - u)

    d = wg.draw(f, np.array([0.3, 0.5, 0.7]), every=False)
    lines = [e.text for e in d.lines]
    parts = [line.partition(" = ")[0] for line in lines if re.match("t[₀-₉]+ = ", line)]
    assert len(parts) > 2
    assert not any("…" in line for line in lines)
    for k, line in enumerate(lines):
        known = {text.partition(" = ")[0] for text in lines[:k]}
        assert set(re.findall("t[₀-₉]+", line.partition(" = ")[2])) <= known
    shown = {n.formula.partition(" = ")[0]: n for n in d.nodes if n.formula.startswith("t")}
    assert set(parts) <= set(shown)
    assert r"t_{1} &= " in d.latex()


def test_transposed_twice_is_not_transposed():
    d = wg.draw(lambda A, x: np.sum((A.T @ x) ** 2), np.ones((2, 3)), np.ones(2), argnums=(0, 1))
    assert "ᵀᵀ" not in d.equations()


def test_a_plan_without_the_last_operation_of_a_statement_leaves_its_name_out():
    """Second derivatives read `o - y`, which is not what L is."""
    d = drawn("hessian")
    names = {n.label for n in d.nodes if n.kind == "variable"}
    assert names >= {"z", "h", "o"}
    assert "L" not in names
