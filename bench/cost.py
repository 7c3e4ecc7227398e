"""What models cost: wengert's prediction, the analytic truth, other counters, and measured time.

Run with ``python bench/cost.py [--quick] [--json FILE]``. Two tables:

1. Operations of matrix products (a multiply-add is two) of the same models in wengert, PyTorch's
   FlopCounterMode, XLA's cost analysis, and, where they are installed, fvcore, calflops and
   torchinfo, which count the forward pass only and leave the backward pass to a rule of thumb.
2. Where "backward takes twice as long as forward" holds: with and without a gradient for the data,
   in counted operations and in measured time of compiled code.

A peer that is not installed has an empty column. XLA's and torchinfo's counts include elementwise
operations or count other things as well: the ratio to the truth says how far off they are.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from problems.peers import jax, jnp, torch
from rich.console import Console
from rich.table import Table

import wengert as wg

rng = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return (rng.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32)


class Model(NamedTuple):
    """A loss of parameters and data in NumPy and JAX, a PyTorch module, and the truth."""

    name: str
    function: Callable[..., Any]  # function(xp, params, x)
    params: list[Any]
    x: Any
    forward: int  # operations of matrix products, by hand
    backward: int  # without a gradient for x
    data: int  # what a gradient for x takes in addition
    module: Callable[[], Any] | None = None
    scan: Callable[..., Any] | None = None  # how JAX would write a loop
    op: str = "contract"


# --- models ---------------------------------------------------------------------------------------
def mlp(xp: Any, params: Any, x: Any) -> Any:
    for w, b in params[:-1]:
        x = xp.maximum(x @ w + b, 0)
    w, b = params[-1]
    return xp.sum((x @ w + b) ** 2)


def perceptron(sizes: tuple[int, ...], batch: int) -> Model:
    pairs = list(pairwise(sizes))
    forward = sum(2 * batch * m * n for m, n in pairs)
    data = 2 * batch * sizes[0] * sizes[1]

    def module() -> Any:
        layers = []
        for m, n in pairs:
            layers += [torch.nn.Linear(m, n), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    return Model(
        f"MLP {'-'.join(map(str, sizes))}, batch {batch}",
        mlp,
        [(normal(m, n), np.zeros(n, np.float32)) for m, n in pairs],
        normal(batch, sizes[0]),
        forward,
        2 * forward - data,
        data,
        module,
    )


HEADS = 4


def block(xp: Any, params: Any, x: Any) -> Any:
    """A transformer block with normalisation first."""
    wq, wk, wv, wo, w1, w2 = params

    def norm(x: Any) -> Any:
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        return centred / xp.sqrt(xp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)

    def split(x: Any) -> Any:
        batch, length, width = x.shape
        return xp.transpose(x.reshape(batch, length, HEADS, width // HEADS), (0, 2, 1, 3))

    h = norm(x)
    q, k, v = split(h @ wq), split(h @ wk), split(h @ wv)
    scores = q @ xp.transpose(k, (0, 1, 3, 2)) / q.shape[-1] ** 0.5
    scores = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    weights = scores / xp.sum(scores, axis=-1, keepdims=True)
    x = x + xp.transpose(weights @ v, (0, 2, 1, 3)).reshape(x.shape) @ wo
    return xp.sum((x + xp.maximum(norm(x) @ w1, 0) @ w2) ** 2)


def transformer(d: int, ffn: int, length: int, batch: int) -> Model:
    shapes = [(d, d)] * 4 + [(d, ffn), (ffn, d)]
    forward = 2 * batch * length * sum(m * n for m, n in shapes) + 4 * batch * length**2 * d
    data = 3 * 2 * batch * length * d * d  # through the queries, keys and values

    def module() -> Any:
        class Block(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = torch.nn.ModuleList(
                    [torch.nn.Linear(m, n, bias=False) for m, n in shapes]
                )
                self.norm = torch.nn.LayerNorm(d, elementwise_affine=False)

            def forward(self, x: Any) -> Any:
                q, k, v, o, up, down = self.linear
                h = self.norm(x)

                def split(z: Any) -> Any:
                    return z.reshape(*z.shape[:2], HEADS, d // HEADS).transpose(1, 2)

                a, b, c = split(q(h)), split(k(h)), split(v(h))
                w = torch.softmax(a @ b.transpose(2, 3) / (d // HEADS) ** 0.5, -1)
                x = x + o((w @ c).transpose(1, 2).reshape(x.shape))
                return x + down(torch.relu(up(self.norm(x))))

        return Block()

    return Model(
        f"transformer block d {d}, {HEADS} heads, FFN {ffn}, {length} long, batch {batch}",
        block,
        [normal(*s) for s in shapes],
        normal(batch, length, d),
        forward,
        2 * forward - data,
        data,
        module,
    )


def convolution(xp: Any, params: Any, x: Any) -> Any:
    """Two layers of 3 by 3 kernels without padding; channels last."""
    for w in params:
        height, width = x.shape[1] - 2, x.shape[2] - 2
        x = xp.maximum(
            sum(x[:, i : i + height, j : j + width] @ w[i, j] for i in range(3) for j in range(3)),
            0,
        )
    return xp.sum(x**2)


def images(channels: tuple[int, ...], size: int, batch: int) -> Model:
    layers = []
    for k, (m, n) in enumerate(pairwise(channels), 1):
        layers.append(2 * batch * (size - 2 * k) ** 2 * 9 * m * n)

    def module() -> Any:
        made = []
        for m, n in pairwise(channels):
            made += [torch.nn.Conv2d(m, n, 3, bias=False), torch.nn.ReLU()]
        return torch.nn.Sequential(*made)

    return Model(
        f"convolution {'-'.join(map(str, channels))}, 3x3, {size}x{size}, batch {batch}",
        convolution,
        [normal(3, 3, m, n) for m, n in pairwise(channels)],
        normal(batch, size, size, channels[0]),
        sum(layers),
        2 * sum(layers) - layers[0],
        layers[0],
        module,
    )


def recurrent(xp: Any, params: Any, x: Any) -> Any:
    """tanh recurrence over the first axis of x."""
    wx, wh = params
    h = xp.tanh(x[0] @ wx)
    for t in range(1, len(x)):
        h = xp.tanh(x[t] @ wx + h @ wh)
    return xp.sum(h**2)


def recurrent_scan(params: Any, x: Any) -> Any:
    wx, wh = params

    def step(h: Any, row: Any) -> Any:
        return jnp.tanh(row @ wx + h @ wh), None

    h, _ = jax.lax.scan(step, jnp.tanh(x[0] @ wx), x[1:])
    return jnp.sum(h**2)


def sequence(inputs: int, hidden: int, length: int, batch: int) -> Model:
    first, again = 2 * batch * inputs * hidden * length, 2 * batch * hidden**2 * (length - 1)

    def module() -> Any:
        class Recurrent(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.x = torch.nn.Linear(inputs, hidden, bias=False)
                self.h = torch.nn.Linear(hidden, hidden, bias=False)

            def forward(self, x: Any) -> Any:
                h = torch.tanh(self.x(x[0]))
                for row in x[1:]:
                    h = torch.tanh(self.x(row) + self.h(h))
                return h

        return Recurrent()

    return Model(
        f"recurrent {inputs}-{hidden}, {length} steps, batch {batch}",
        recurrent,
        [normal(inputs, hidden), normal(hidden, hidden)],
        normal(length, batch, inputs),
        first + again,
        first + 2 * again,
        first,
        module,
        recurrent_scan,
    )


def likelihood(xp: Any, params: Any, x: Any) -> Any:
    """Cholesky factor of a covariance matrix (LAPACK)."""
    return xp.sum(xp.linalg.cholesky(x) ** 2 * params[0])


def gaussian(n: int) -> Model:
    a = normal(n, n)

    def module() -> Any:
        class Factor(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = torch.nn.Parameter(torch.ones(n, n))

            def forward(self, x: Any) -> Any:
                return torch.linalg.cholesky(x) ** 2 * self.scale

        return Factor()

    covariance = a @ a.T + np.eye(n, dtype=np.float32)
    third = round(n**3 / 3)
    return Model(
        f"Cholesky factor, n {n}", likelihood, [normal(n, n)], covariance, third, 0, 0, module,
        op="cholesky",
    )  # fmt: skip


def models(quick: bool) -> list[Model]:
    return [
        perceptron((784, 256, 256, 10), 64),
        perceptron((64, 512, 512, 512, 10), 64),
        transformer(64, 256, 32, 2) if quick else transformer(256, 1024, 128, 8),
        images((3, 16, 32), 16, 2) if quick else images((3, 16, 32), 32, 8),
        sequence(32, 64, 8, 4) if quick else sequence(64, 128, 50, 16),
        gaussian(64 if quick else 256),
    ]


# --- counters -------------------------------------------------------------------------------------
def ours(model: Model, argnums: Any = 0) -> tuple[int, int]:
    """Return wengert's operations of matrix products (of the factorisation), both passes."""
    cost = wg.cost(lambda p, x: model.function(np, p, x), model.params, model.x, argnums=argnums)
    return cost.forward.by_op[model.op], cost.backward.by_op.get(model.op, 0)


def with_torch(model: Model) -> tuple[int, int]:
    from torch.utils.flop_counter import FlopCounterMode

    module, x = model.module(), _tensor(model)
    with FlopCounterMode(display=False) as counter:
        y = module(x)
        forward = counter.get_total_flops()
        torch.autograd.grad(y.sum(), list(module.parameters()))
        return forward, counter.get_total_flops() - forward


def _tensor(model: Model) -> Any:
    x = torch.tensor(model.x)
    return x.permute(0, 3, 1, 2) if model.function is convolution else x


def with_xla(model: Model) -> tuple[int, int]:
    f = model.scan or (lambda p, x: model.function(jnp, p, x))
    args = jax.tree.map(jnp.asarray, (model.params, model.x))

    def flops(g: Any) -> int:
        found = jax.jit(g).lower(*args).compile().cost_analysis()
        found = found[0] if isinstance(found, list) else found
        return int(found.get("flops", 0))

    forward = flops(f)
    return forward, flops(jax.value_and_grad(f)) - forward


def with_fvcore(model: Model) -> tuple[int, None]:
    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore").setLevel(logging.ERROR)
    found = FlopCountAnalysis(model.module(), _tensor(model))
    return int(
        2 * found.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()
    ), None


def with_calflops(model: Model) -> tuple[int, None]:
    from calflops import calculate_flops

    flops, _, _ = calculate_flops(
        model.module(), args=[_tensor(model)], print_results=False, output_as_string=False
    )
    return int(flops), None


def with_torchinfo(model: Model) -> tuple[int, None]:
    from torchinfo import summary

    return 2 * int(
        summary(model.module(), input_data=_tensor(model), verbose=0).total_mult_adds
    ), None


PEERS: dict[str, Callable[[Model], tuple[int, int | None]]] = {
    "FlopCounterMode": with_torch,
    "XLA": with_xla,
    "fvcore": with_fvcore,
    "calflops": with_calflops,
    "torchinfo": with_torchinfo,
}


def counted(peer: str, model: Model) -> tuple[int, int | None] | None:
    """Return a peer's operations; None, and why on stderr, where it is missing or fails."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return PEERS[peer](model)
    except Exception as error:
        print(f"{peer} on {model.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return None


def best(run: Callable[[], Any], seconds: float) -> float:
    """Return the least time of a call."""
    run()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


# --- tables ---------------------------------------------------------------------------------------
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller models, less time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    args = parser.parse_args()
    every = models(args.quick)
    console = Console(width=150)
    data: dict[str, Any] = {"products": compare(console, every)}
    data["twice"] = twice(console, every, 0.2 if args.quick else 1.0)
    if args.json:
        args.json.write_text(json.dumps(data, indent=2))


def compare(console: Console, every: list[Model]) -> list[dict[str, Any]]:
    table = Table(title="operations of matrix products or factorisation; peers over the truth")
    for name in ("model", "pass", "truth", "wengert", *PEERS):
        table.add_column(name, justify="left" if name in ("model", "pass") else "right")
    data = []
    for model in every:
        found: dict[str, Any] = {"truth": (model.forward, model.backward), "wengert": ours(model)}
        found |= {peer: counted(peer, model) for peer in PEERS}
        data.append({"model": model.name, **found})
        for k, which in enumerate(("forward", "backward")):
            truth = found["truth"][k]
            if not truth:
                continue
            cells = [f"{truth:,}", f"{found['wengert'][k]:,}"]
            for peer in PEERS:
                got = found[peer]
                if got is None:
                    cells.append("")
                elif got[k] is None:  # the rule of thumb: twice forward
                    cells.append(f"({2 * got[0] / truth:.3f})")
                else:
                    cells.append(f"{got[k] / truth:.3f}")
            table.add_row(model.name if not k else "", which, *cells)
    console.print(table)
    console.print("in brackets: no count of the backward pass, twice the forward pass assumed")
    return data


def twice(console: Console, every: list[Model], seconds: float) -> list[dict[str, Any]]:
    """Backward over forward, in products, in all operations, in time."""
    table = Table(title="backward over forward")
    for name in ("model", "gradient for", "products, truth", "products", "operations", "time"):
        table.add_column(name, justify="left" if name in ("model", "gradient for") else "right")
    data = []
    for model in every:
        if model.op != "contract":
            continue

        def f(p: Any, x: Any, model: Model = model) -> Any:
            return model.function(np, p, x)

        forward = wg.jit(f)
        alone = best(lambda g=forward, m=model: g(m.params, m.x), seconds)
        for argnums, what in ((0, "weights"), ((0, 1), "weights, data")):
            cost = wg.cost(f, model.params, model.x, argnums=argnums)
            both = wg.jit(wg.value_and_grad(f, argnums))
            together = best(lambda g=both, m=model: g(m.params, m.x), seconds)
            row = {
                "model": model.name,
                "for": what,
                "truth": (model.backward + model.data * (argnums != 0)) / model.forward,
                "products": cost.backward.by_op["contract"] / cost.forward.by_op["contract"],
                "operations": cost.flops_backward / cost.flops_forward,
                "time": together / alone - 1,
            }
            data.append(row)
            numbers = [f"{row[k]:.3f}" for k in ("truth", "products", "operations", "time")]
            table.add_row(model.name if argnums == 0 else "", what, *numbers)
    console.print(table)
    return data


if __name__ == "__main__":
    main()
