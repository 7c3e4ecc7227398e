"""The problems of bench/sparse.py: functions with sparse Jacobians and Hessians.

A function takes the array library first, NumPy or jax.numpy, then the vector. CasADi's has the
same formula on a column of symbols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["PROBLEMS", "SparseProblem"]


@dataclass(frozen=True)
class SparseProblem:
    """A function whose Jacobian or Hessian is wanted at a point.

    Attributes
    ----------
    key : str
        Of the command line.
    name : str
    kind : {"jacobian", "hessian"}
    f : callable
        ``f(library, x)`` of a vector.
    casadi : callable
        ``casadi(library, x)`` of a column of symbols.
    n : int
        Length of the vector.
    quick : bool
        Whether it is measured with --quick.
    """

    key: str
    name: str
    kind: str
    f: Callable[..., Any]
    casadi: Callable[..., Any]
    n: int
    quick: bool = True

    def point(self) -> np.ndarray[Any, Any]:
        """Return the point."""
        return 0.5 + np.random.default_rng(self.n).random(self.n)


# --- reaction and diffusion -----------------------------------------------------------------------
def brusselator(size: int) -> SparseProblem:
    alpha = 10.0 * (size - 1) ** 2

    def f(xp: Any, x: Any) -> Any:
        w = xp.reshape(x, (2, size, size))
        u, v = w[0], w[1]

        def laplacian(z: Any) -> Any:
            around = xp.roll(z, 1, 0) + xp.roll(z, -1, 0) + xp.roll(z, 1, 1) + xp.roll(z, -1, 1)
            return around - 4 * z

        du = 1.0 + u**2 * v - 4.4 * u + alpha * laplacian(u)
        dv = 3.4 * u - u**2 * v + alpha * laplacian(v)
        return xp.concatenate([xp.reshape(du, (-1,)), xp.reshape(dv, (-1,))])

    def casadi(ca: Any, x: Any) -> Any:
        u, v = ca.reshape(x[: size**2], size, size), ca.reshape(x[size**2 :], size, size)

        def laplacian(z: Any) -> Any:
            down, up = ca.vertcat(z[-1, :], z[:-1, :]), ca.vertcat(z[1:, :], z[0, :])
            right, left = ca.horzcat(z[:, -1], z[:, :-1]), ca.horzcat(z[:, 1:], z[:, 0])
            return down + up + right + left - 4 * z

        du = 1.0 + u**2 * v - 4.4 * u + alpha * laplacian(u)
        dv = 3.4 * u - u**2 * v + alpha * laplacian(v)
        return ca.vertcat(ca.vec(du), ca.vec(dv))

    return SparseProblem(
        f"brusselator{size}", f"Brusselator {size} x {size}", "jacobian", f, casadi, 2 * size**2
    )


# --- scalar functions -----------------------------------------------------------------------------
def rosenbrock(n: int) -> SparseProblem:
    def f(xp: Any, x: Any) -> Any:
        return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def casadi(ca: Any, x: Any) -> Any:
        return ca.sum1(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    name = f"Rosenbrock Hessian {n:,}"
    return SparseProblem(f"rosenbrock{n}", name, "hessian", f, casadi, n, n <= 10**5)


def arrow_hessian(n: int) -> SparseProblem:
    def f(xp: Any, x: Any) -> Any:
        return xp.sum(x[0] * x[1:] ** 2) + xp.sum(xp.exp(-x))

    def casadi(ca: Any, x: Any) -> Any:
        return ca.sum1(x[0] * x[1:] ** 2) + ca.sum1(ca.exp(-x))

    name = f"arrowhead Hessian {n:,}"
    return SparseProblem(f"arrowhessian{n}", name, "hessian", f, casadi, n, n <= 10**4)


def arrow_jacobian(n: int) -> SparseProblem:
    def f(xp: Any, x: Any) -> Any:
        first = xp.reshape(xp.sum(x**2), (1,))
        return xp.concatenate([first, x[0] * x[1:] + xp.sin(x[1:])])

    def casadi(ca: Any, x: Any) -> Any:
        return ca.vertcat(ca.sum1(x**2), x[0] * x[1:] + ca.sin(x[1:]))

    name = f"arrowhead Jacobian {n:,}"
    return SparseProblem(f"arrowjacobian{n}", name, "jacobian", f, casadi, n, n <= 10**4)


def minimal_surface(size: int) -> SparseProblem:
    def area(sqrt: Any, total: Any, u: Any) -> Any:
        a, b = u[1:, 1:] - u[:-1, :-1], u[1:, :-1] - u[:-1, 1:]
        return total(sqrt(1 + (a**2 + b**2) / 2))

    def f(xp: Any, x: Any) -> Any:
        return area(xp.sqrt, xp.sum, xp.reshape(x, (size, size)))

    def casadi(ca: Any, x: Any) -> Any:
        return area(ca.sqrt, lambda z: ca.sum1(ca.vec(z)), ca.reshape(x, size, size))

    name = f"minimal surface Hessian {size} x {size}"
    return SparseProblem(f"surface{size}", name, "hessian", f, casadi, size**2)


# --- fields and points ----------------------------------------------------------------------------
def seven_point(size: int) -> SparseProblem:
    def f(xp: Any, x: Any) -> Any:
        u = xp.reshape(x, (size, size, size))
        p = xp.pad(u, 1)
        inner = slice(1, -1)
        around = p[2:, inner, inner] + p[:-2, inner, inner] + p[inner, 2:, inner]
        around = around + p[inner, :-2, inner] + p[inner, inner, 2:] + p[inner, inner, :-2]
        return xp.reshape(around - 6 * u + xp.exp(-u), (-1,))

    def casadi(ca: Any, x: Any) -> Any:
        n = size**3
        numbers = np.pad(np.arange(n).reshape(size, size, size), 1, constant_values=n)
        padded = ca.vertcat(x, 0)
        inner = slice(1, -1)
        total = -6 * x + ca.exp(-x)
        for axis in range(3):
            for side in (slice(2, None), slice(None, -2)):
                at = tuple(side if i == axis else inner for i in range(3))
                total += padded[numbers[at].ravel().tolist()]
        return total

    return SparseProblem(
        f"stencil{size}", f"7-point stencil {size}^3", "jacobian", f, casadi, size**3
    )


def pointwise(n: int) -> SparseProblem:
    def f(xp: Any, x: Any) -> Any:
        return xp.sin(x) * xp.exp(-x)

    return SparseProblem(
        f"pointwise{n}", f"pointwise {n:,}", "jacobian", f, lambda ca, x: ca.sin(x) * ca.exp(-x),
        n, n <= 10**5,
    )  # fmt: skip


def adjustment(cameras: int, points: int, observations: int) -> SparseProblem:
    """GradBench's bundle adjustment: 11 numbers a camera, 3 a point, a weight an observation."""
    rng = np.random.default_rng(observations)
    camera = rng.integers(0, cameras, observations)
    point = rng.integers(0, points, observations)
    feature = rng.standard_normal((2, observations))
    places = [camera * 11 + i for i in range(11)]
    places += [11 * cameras + point * 3 + i for i in range(3)]
    places += [11 * cameras + 3 * points + np.arange(observations)]
    n = 11 * cameras + 3 * points + observations

    def errors(sin: Any, cos: Any, sqrt: Any, p: list[Any]) -> tuple[Any, Any, Any]:
        """The same formula on columns of numbers; a library's own functions are given."""
        angle = sqrt(p[0] ** 2 + p[1] ** 2 + p[2] ** 2)
        a = [p[i] / angle for i in range(3)]
        x = [p[11 + i] - p[3 + i] for i in range(3)]
        c, s = cos(angle), sin(angle)
        along = (a[0] * x[0] + a[1] * x[1] + a[2] * x[2]) * (1 - c)
        cross = [
            a[(i + 1) % 3] * x[(i + 2) % 3] - a[(i + 2) % 3] * x[(i + 1) % 3] for i in range(3)
        ]
        turned = [x[i] * c + cross[i] * s + a[i] * along for i in range(3)]
        u, v = turned[0] / turned[2], turned[1] / turned[2]
        r2 = u**2 + v**2
        bent = 1 + p[9] * r2 + p[10] * r2**2
        return (
            p[14] * (u * bent * p[6] + p[7] - feature[0]),
            p[14] * (v * bent * p[6] + p[8] - feature[1]),
            1 - p[14] ** 2,
        )

    def f(xp: Any, x: Any) -> Any:
        return xp.concatenate(errors(xp.sin, xp.cos, xp.sqrt, [x[at] for at in places]))

    def casadi(ca: Any, x: Any) -> Any:
        columns = [x[at.tolist()] for at in places]
        return ca.vertcat(*errors(ca.sin, ca.cos, ca.sqrt, columns))

    name = f"bundle adjustment {observations:,}"
    return SparseProblem(f"ba{observations}", name, "jacobian", f, casadi, n, observations < 10**4)


PROBLEMS = [
    *(brusselator(size) for size in (32, 64, 128)),
    *(rosenbrock(10**k) for k in (3, 4, 5, 6)),
    arrow_hessian(10**4),
    arrow_hessian(10**5),
    *(arrow_jacobian(10**k) for k in (4, 5, 6)),
    minimal_surface(100),
    seven_point(50),
    adjustment(21, 1000, 5000),
    adjustment(49, 7776, 31843),
    pointwise(10**5),
    pointwise(10**6),
]
