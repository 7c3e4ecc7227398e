"""Loops over time: Runge-Kutta steps and an LSTM, as GradBench defines them."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.peers import jax, jnp, torch
from problems.record import Problem, seeded

__all__ = ["PROBLEMS"]

STEPS = 100
H = 2.0 / STEPS


# --- Runge-Kutta ----------------------------------------------------------------------------------
def runge_kutta(f: Any, y: Any) -> Any:
    """Take one classical step."""
    k1 = f(y)
    k2 = f(y + H / 2 * k1)
    k3 = f(y + H / 2 * k2)
    k4 = f(y + H * k3)
    return y + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def ode(x: Any) -> Any:
    """Mean of y at time 2, where y_i' = x_i y_(i-1), y_0' = x_0 and y = 1 at time 0."""
    y = np.ones(x.shape)
    for _ in range(STEPS):
        y = runge_kutta(lambda y: np.concatenate([x[:1], x[1:] * y[:-1]]), y)
    return np.mean(y)


def ode_jax(x: Any) -> Any:
    def step(y: Any, _: Any) -> Any:
        return runge_kutta(lambda y: jnp.concatenate([x[:1], x[1:] * y[:-1]]), y), None

    return jnp.mean(jax.lax.scan(step, jnp.ones(x.shape), None, length=STEPS)[0])


def ode_torch(x: Any) -> Any:
    y = torch.ones_like(x)
    for _ in range(STEPS):
        y = runge_kutta(lambda y: torch.cat([x[:1], x[1:] * y[:-1]]), y)
    return torch.mean(y)


def logistic(x: Any) -> Any:
    """Mean of y at time 2, where y' = x y (1 - y) and y = 1/2 at time 0."""
    y = np.full(x.shape, 0.5)
    for _ in range(STEPS):
        y = runge_kutta(lambda y: x * y * (1 - y), y)
    return np.mean(y)


def logistic_jax(x: Any) -> Any:
    def step(y: Any, _: Any) -> Any:
        return runge_kutta(lambda y: x * y * (1 - y), y), None

    return jnp.mean(jax.lax.scan(step, jnp.full(x.shape, 0.5), None, length=STEPS)[0])


def logistic_torch(x: Any) -> Any:
    y = torch.full_like(x, 0.5)
    for _ in range(STEPS):
        y = runge_kutta(lambda y: x * y * (1 - y), y)
    return torch.mean(y)


# --- LSTM -----------------------------------------------------------------------------------------
def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def lstm(params: Any, xs: Any) -> Any:
    """Cross-entropy of the next element of a sequence; gates act on each of 14 places alone."""
    weight, bias, extra = params
    hidden = cell = np.zeros(xs.shape[1])
    total = 0.0
    for t in range(len(xs) - 1):
        x = xs[t] * extra[0]
        forget = sigmoid(x * weight[0] + bias[0])
        ingate = sigmoid(hidden * weight[1] + bias[1])
        outgate = sigmoid(x * weight[2] + bias[2])
        change = np.tanh(hidden * weight[3] + bias[3])
        cell = cell * forget + ingate * change
        hidden = outgate * np.tanh(cell)
        y = hidden * extra[1] + extra[2]
        total = total + np.sum(xs[t + 1] * (y - np.log(np.sum(np.exp(y)) + 2)))
    return -total / xs[1:].size


def lstm_jax(params: Any, xs: Any) -> Any:
    weight, bias, extra = params
    sigmoid = jax.nn.sigmoid

    def step(state: Any, pair: Any) -> Any:
        hidden, cell = state
        x = pair[0] * extra[0]
        forget, outgate = sigmoid(x * weight[0::2] + bias[0::2])
        ingate = sigmoid(hidden * weight[1] + bias[1])
        change = jnp.tanh(hidden * weight[3] + bias[3])
        cell = cell * forget + ingate * change
        hidden = outgate * jnp.tanh(cell)
        y = hidden * extra[1] + extra[2]
        term = jnp.sum(pair[1] * (y - jnp.log(jnp.sum(jnp.exp(y)) + 2)))
        return (hidden, cell), term

    zero = jnp.zeros(xs.shape[1])
    _, terms = jax.lax.scan(step, (zero, zero), (xs[:-1], xs[1:]))
    return -jnp.sum(terms) / xs[1:].size


def lstm_torch(params: Any, xs: Any) -> Any:
    weight, bias, extra = params
    x = xs[:-1] * extra[0]  # what does not depend on the state, for all steps at once
    forgets = torch.sigmoid(x * weight[0] + bias[0]).unbind()
    outgates = torch.sigmoid(x * weight[2] + bias[2]).unbind()
    hidden = cell = torch.zeros(xs.shape[1], dtype=xs.dtype)
    states = []
    for forget, outgate in zip(forgets, outgates, strict=True):
        ingate = torch.sigmoid(torch.addcmul(bias[1], hidden, weight[1]))
        change = torch.tanh(torch.addcmul(bias[3], hidden, weight[3]))
        cell = torch.addcmul(cell * forget, ingate, change)
        hidden = outgate * torch.tanh(cell)
        states.append(hidden)
    y = torch.stack(states) * extra[1] + extra[2]
    logsum = torch.log(torch.sum(torch.exp(y), 1, keepdim=True) + 2)
    return -torch.sum(xs[1:] * (y - logsum)) / xs[1:].numel()


def sequence(length: int, width: int) -> Problem:
    rng = seeded(length)
    params = tuple(0.5 * rng.standard_normal((n, width)) for n in (4, 4, 3))
    return Problem(
        f"lstm 1 layer, {length} steps, {width} wide",
        lstm,
        (params, rng.standard_normal((length, width))),
        jax=lstm_jax,
        torch=lstm_torch,
        note="GradBench has 6 layers, 8192 steps",
    )


PROBLEMS = [
    Problem(
        "ode n 1e5, 100 steps",
        ode,
        (seeded(5).uniform(0.1, 1, 100_000),),
        jax=ode_jax,
        torch=ode_torch,
        note="GradBench's system, from 1 instead of 0, and the mean: its last state would be 0",
    ),
    Problem(
        "logistic ode n 1e5, 100 steps",
        logistic,
        (seeded(6).uniform(0.1, 1, 100_000),),
        jax=logistic_jax,
        torch=logistic_torch,
        note="elementwise, not in GradBench",
    ),
    sequence(200, 14),
]
