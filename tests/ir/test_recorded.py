"""Graphs recorded from NumPy code are well formed, print and parse, and keep their results."""

import numpy as np
import pytest
import scipy.special as sp

from wengert.ir.build import evaluate, strip
from wengert.ir.simplify import simplify
from wengert.ir.text import parse, show
from wengert.ir.verify import verify
from wengert.ops.base import TABLE
from wengert.trace.recorder import GraphRecorder

W = np.arange(12.0).reshape(4, 3) / 7
HELD = np.array([2, 0, 1])


def branch(x, s):
    return np.sin(x) if s > 0 and x[0] < x[1] else np.cos(x)


def update(x, s):
    y = np.zeros(4, like=x)
    y[1:] = x * s
    y[0] += y[int(s)]
    y[HELD] = x
    return y


def loop(x, s):
    total = 0.0
    for i in range(3):
        total = total + x[i] ** i * 1.0
    return total


def soft(x, s):
    z = W @ x + 0.0
    return z - np.logaddexp.reduce(z), np.log(np.sum(np.exp(z)))


FUNCTIONS = [
    branch,
    update,
    loop,
    soft,
    lambda x, s: (x, s, W, 3.0),
    lambda x, s: np.where(x > s, x, np.negative(-x)),
    lambda x, s: np.concatenate([x, [s, 1.0]])[::-1],
    lambda x, s: np.stack([x, x]).T.reshape(-1),
    lambda x, s: np.einsum("i,j->ij", x, x) @ W.T,
    lambda x, s: np.tensordot(W, x, 1).mean() + np.var(x),
    lambda x, s: np.prod(x.reshape(1, 3), axis=1, keepdims=True),
    lambda x, s: x[x > 1.0],
    lambda x, s: np.take(x, np.argsort(-x)),
    lambda x, s: np.cumsum(x)[None, :, None] + np.cumprod(x),
    lambda x, s: np.partition(x, 1) + np.sort(x),
    lambda x, s: x.astype(np.float32).astype(np.float64) * np.float32(2),
    lambda x, s: (x + 1j * s).conj().real + np.abs(x * 1j) + np.angle(x + 0j),
    lambda x, s: np.clip(x, 0.5, s) + np.maximum(x, 1.0) + np.heaviside(x, 0.5),
    lambda x, s: np.pad(x, 1) * np.tile(s, 5) + np.repeat(x, 2)[:5],
    lambda x, s: np.diff(x) + np.trapezoid(x) + np.linspace(0.0, s, 2),
    lambda x, s: np.tril(np.outer(x, x)) + np.diag(x),
    lambda x, s: np.roll(x, 1) // 2 % 3 + np.floor(x) + np.sign(x),
    lambda x, s: (x > 1).sum() + np.argmax(x) + np.any(x > 2) + np.searchsorted(x, s),
    lambda x, s: sp.erf(x) + sp.xlogy(x, s) + sp.expit(x) + sp.gammaln(x),
    lambda x, s: np.interp(s, np.array([0.0, 1.0, 5.0]), x),
    lambda x, s: np.meshgrid(x, x)[1].std(axis=(0, 1)),
]


def record(f, inputs):
    recorder = GraphRecorder()
    traced = [recorder.input(x) for x in inputs]
    found = f(*traced)
    return recorder.finish(traced, list(found) if isinstance(found, tuple) else [found])


@pytest.mark.parametrize("f", FUNCTIONS, ids=range(len(FUNCTIONS)))
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_a_recorded_graph(f, dtype, same_bits):
    inputs = [np.array([0.5, 1.25, 2.75], dtype), dtype(1.5)]
    graph = verify(record(f, inputs))
    outputs = [getattr(y, "data", y) for y in graph.outputs]
    same_bits(evaluate(graph, inputs), outputs)
    simple = verify(simplify(strip(graph)))
    for found, y in zip(evaluate(simple, inputs), outputs, strict=True):
        assert np.asarray(found).dtype == np.asarray(y).dtype
        np.testing.assert_allclose(found, y, rtol=4 * np.finfo(dtype).eps)
    assert show(parse(show(simple), TABLE, simple.consts())) == show(simple)
    lines = {node.line for node in graph.nodes}
    assert all(line is None or line[0] == __file__ for line in lines)
