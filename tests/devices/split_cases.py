"""Networks and devices on which plans for several devices are tested."""

from __future__ import annotations

import itertools

import numpy as np

from wengert.devices.partition import Device

rng = np.random.default_rng(0)
BATCH = 64
SIZES = (784, 256, 256, 10)
WEIGHTS = sum(m * n for m, n in itertools.pairwise(SIZES))
PARAMETERS = WEIGHTS + sum(SIZES[1:])


def cluster(n, memory="16GiB", speed=1e12, bandwidth=1e11, link=1e10, latency=1e-6):
    return [Device(f"gpu{i}", memory, speed, bandwidth, link, latency) for i in range(n)]


def mlp(params, x, y):
    for w, b in params[:-1]:
        x = np.maximum(x @ w + b, 0)
    w, b = params[-1]
    z = x @ w + b
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.sum(z * y, axis=1))


def network(sizes=SIZES, batch=BATCH, dtype=np.float32):
    params = [
        (rng.normal(size=(m, n)).astype(dtype) / m, np.zeros(n, dtype))
        for m, n in itertools.pairwise(sizes)
    ]
    labels = np.eye(sizes[-1], dtype=dtype)[np.arange(batch) % sizes[-1]]
    return params, rng.normal(size=(batch, sizes[0])).astype(dtype), labels
