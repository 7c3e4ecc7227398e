"""``python -m tools.walks [--hops]``: how far a few calls walk through the package."""

from __future__ import annotations

import sys
from itertools import groupby

import numpy as np
from tools.walks.walk import walk

import wengert as wg


def rosenbrock(x):
    """Return Rosenbrock's function of any number of variables."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def residuals(x):
    """Return a function whose Jacobian has three diagonals."""
    return x[1:-1] ** 2 - 2.0 * x[:-2] + np.sin(x[2:])


def main() -> None:
    """Print a line for each call."""
    x = np.linspace(0.5, 1.5, 6)
    compiled = wg.jit(wg.grad(rosenbrock))
    sparse = wg.jacobian(residuals, sparsity="auto", format="csr")
    calls = [
        ("grad(f)(x)", wg.grad(rosenbrock)),
        ("jit(grad(f))(x), first call", compiled),
        ("jit(grad(f))(x), second call", compiled),
        ('jacobian(f, sparsity="auto")(x), first call', sparse),
        ('jacobian(f, sparsity="auto")(x), second call', sparse),
    ]
    for name, f in calls:
        found = walk(f, x)
        print(f"{name:46} {found}")
        if sys.argv[1:] == ["--hops"]:
            for hop, same in groupby(found.hops):
                print(f"    {hop}  x{len(list(same))}")


if __name__ == "__main__":
    main()
