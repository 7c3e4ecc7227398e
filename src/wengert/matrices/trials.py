"""Where and how closely the soundness probe compares: points of its own, and rounding noise.

An entry of a matrix may happen to be zero at the example that a plan is made at, and nothing can be
compared where the example is not finite. So the probe goes to other points too: near the example,
and anywhere. What cancels to rounding noise agrees with nothing but noise. How large that is
follows from the operations, not from the result: the graph is run with every result changed by some
units in the last place (Vignes, *A stochastic arithmetic for reliable scientific computation*,
1993).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wengert.ir.build import evaluate, results
from wengert.ir.graph import Graph, Node
from wengert.ir.keys import key
from wengert.ir.questions import QUESTIONS
from wengert.ir.simplify import remove_dead
from wengert.jit.form import laid_like

__all__ = ["holds_at", "noise", "points"]

Array = np.ndarray[Any, Any]

STEPS = (0.1, 1e-3)
"""Steps from the example to points near it, relative to its entries; the first that stays on the
same path through the code is taken."""

UNITS = 256
"""Units in the last place by which results are changed to see how errors spread."""

RUNS = 4


def _shaken(y: Any, rng: np.random.Generator) -> Any:
    """Change real numbers by some units in the last place."""
    about = np.finfo(getattr(y, "dtype", float))
    shift = UNITS * rng.uniform(-1, 1, np.shape(y))
    # below the smallest normal number, the numbers are as far apart as just above it
    tiny = np.where(y, np.abs(y) < about.tiny, False) * float(about.smallest_subnormal)
    return y * (1 + about.eps * shift) + tiny * shift


def points(leaves: Sequence[Any]) -> Iterator[list[list[Any]]]:
    """Iterate over points to compare at, each with others to take where it is on another path."""
    rng = np.random.default_rng(0)
    yield [[_near(x, step, rng) for x in leaves] for step in STEPS]
    yield [[_drawn(x, lambda n: rng.uniform(0.3, 1.7, n)) for x in leaves]]
    yield [[_drawn(x, rng.standard_normal) for x in leaves]]


def _near(x: Any, step: float, rng: np.random.Generator) -> Any:
    data = np.asarray(x)
    if data.dtype.kind != "f" or not data.size:
        return x
    finite = np.isfinite(data)
    held = np.where(finite, data, 1)
    size = np.abs(held)
    size = np.where(size == 0, np.max(size) or 1, size)
    with np.errstate(all="ignore"):
        return _like(held + step * size * rng.uniform(0.5, 1.5, data.shape), x)


def _drawn(x: Any, draw: Callable[[Any], Any]) -> Any:
    data = np.asarray(x)
    return _like(draw(data.shape), x) if data.dtype.kind == "f" and data.size else x


def _like(y: Any, x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)):
        made = np.asarray(y, x.dtype)
        return laid_like(made, x) if isinstance(x, np.ndarray) else made[()]
    return type(x)(y)


def holds_at(graph: Graph, leaves: Sequence[Any]) -> bool:
    """Whether the decisions that a graph was recorded with are taken at a point too."""
    if not graph.guards:
        return True
    small = remove_dead(Graph(graph.inputs, graph.nodes, [g.value for g in graph.guards]))
    seeds = [np.zeros(v.shape, v.dtype) for v in graph.inputs[len(leaves) :]]
    try:
        found = evaluate(small, [*leaves, *seeds])
        return all(
            key(QUESTIONS[guard.kind].ask(y)) == key(guard.outcome)
            for guard, y in zip(graph.guards, found, strict=True)
        )
    except Exception:  # an operation that fails there, a decision that cannot be taken
        return False


def noisy(each: Callable[[Any], Any]) -> Callable[[Node, list[Any]], tuple[Any, ...]]:
    """Return how a node is evaluated where something is done to every result."""
    return lambda node, xs: tuple([each(y) for y in results(node, xs)])


def noise(run: Callable[[Callable[[Any], Any]], Array]) -> Array:
    """Return the size of rounding errors in a result: several units in the last place of all.

    Parameters
    ----------
    run : callable
        Computes the result, and applies its argument to everything on the way.
    """
    before = run(lambda y: y)
    size = np.zeros(np.shape(before))
    for k in range(RUNS):
        rng = np.random.default_rng(k)

        def shaken(y: Any, rng: np.random.Generator = rng) -> Any:
            dtype = np.dtype(type(y)) if type(y) in (float, complex) else getattr(y, "dtype", None)
            if dtype is None or dtype.kind not in "fc":
                return y
            if dtype.kind == "c":
                parts = np.real(y), np.imag(y)
                return _like(_shaken(parts[0], rng) + 1j * _shaken(parts[1], rng), y)
            return _like(_shaken(y, rng), y)

        change = np.abs(run(shaken) - before)
        size = np.maximum(size, np.where(np.isfinite(change), change, 0))
    return 0.25 * size
