"""Orders of elimination step by step: the steps add up, and are drawn."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import wengert as wg
from wengert.errors import InputError, MissingExtraError, OrderError


def numbers(x, y):
    a = np.sin(x * y)
    b = np.exp(a) * a
    return np.stack([np.cos(b) * (b + x), (b + x) * y, np.tanh(b)])


WEIGHTS = [np.full((30, 20), 0.1), np.full((20, 4), 0.2), np.full((4, 16), 0.3)]


def arrays(x):
    for w in WEIGHTS:
        x = np.tanh(x @ w)
    return x


GRAPHS = {
    "numbers": lambda: wg.linear_graph(numbers, (0, 1))(1.2, 0.7),
    "arrays": lambda: wg.linear_graph(arrays)(np.full(30, 0.1)),
    "line": lambda: wg.linear_graph(lambda x: x * 3.0)(2.0),
}
ORDERS = ["default", "forward", "reverse", "markowitz"]


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", GRAPHS)
def test_steps_take_what_the_order_takes(name, order):
    graph = GRAPHS[name]()
    chosen = graph.order(order)
    steps = graph.steps(chosen)
    assert [s.vertex for s in steps] == list(chosen)
    shown = graph.elimination(chosen)
    assert sum(s.multiplications for s in steps) + shown.last == chosen.cost.multiplications
    assert shown.last >= 0
    edges = set(shown.edges)
    for s in steps:
        into = {u for u, v in edges if v == s.vertex}
        out = {v for u, v in edges if u == s.vertex}
        rest = {e for e in edges if s.vertex not in e}
        wanted = rest | {(u, v) for u in into for v in out}
        assert set(s.edges) == wanted
        assert set(s.made) == wanted - edges
        edges = wanted
    roles = shown.roles
    assert all((roles[u], roles[v]) == ("argument", "result") for u, v in edges)


@pytest.mark.parametrize("name", GRAPHS)
def test_pictures(pyplot, name):
    graph = GRAPHS[name]()
    _, ax = pyplot.subplots()
    assert graph.plot(ax) is ax
    assert ax.get_title().endswith("multiplications")
    for k in range(len(graph.steps()) + 1):
        fresh = graph.plot(step=k, order="reverse")
        assert fresh is not ax
        fresh.figure.canvas.draw()
        pyplot.close(fresh.figure)


def test_what_cannot_be_drawn(pyplot):
    graph = GRAPHS["numbers"]()
    number = len(graph.steps())
    for step in (-1, number + 1, "first"):
        with pytest.raises(InputError, match=f"step={step!r}: there are {number} steps"):
            graph.plot(step=step)
    with pytest.raises(OrderError):
        graph.plot(order=[0, 1])
    with pytest.raises(InputError, match="'lucky'"):
        graph.plot(order="lucky")
    wide = wg.linear_graph(lambda x: np.sin(x) * np.cos(x))(np.ones(40))
    with pytest.raises(InputError, match="vertices, and up to 80 are drawn"):
        wide.plot(step=0, level="entries")


def test_without_matplotlib(monkeypatch):
    graph = GRAPHS["line"]()
    for module in ("matplotlib", "matplotlib.axes"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"graph.plot\(\) needs matplotlib"):
        graph.plot()
