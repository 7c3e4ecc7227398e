"""The programs of ``loops.py``: Python loops in NumPy as people write them, and JAX's scans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["PROGRAMS", "Program"]


class Program(NamedTuple):
    """A loop.

    Attributes
    ----------
    make : callable
        ``make(n)`` returns a function with a number as its result, and its argument.
    sizes : tuple of int
        Trips.
    peer : callable, optional
        ``peer(n)`` returns the function for JAX.
    """

    make: Callable[[int], tuple[Callable[[Any], Any], Any]]
    sizes: tuple[int, ...]
    peer: Callable[[int], Callable[[Any], Any]] | None = None


def seeded() -> np.random.Generator:
    """Return the same random numbers each time."""
    return np.random.default_rng(7)


def lstm(n: int, layers: int = 2) -> tuple[Callable[[Any], Any], Any]:
    """Layers of an LSTM, 14 wide, as a program that predicts the next element."""
    rng = seeded()
    xs = rng.standard_normal((n, 14))
    gates = [(rng.standard_normal((28, 56)) * 0.3, np.zeros(56)) for _ in range(layers)]

    def loss(params: Any) -> Any:
        state = [(np.zeros(14), np.zeros(14)) for _ in params]
        total = 0.0
        for t in range(n - 1):
            x = xs[t]
            for i, (w, b) in enumerate(params):
                h, c = state[i]
                z = np.concatenate([x, h]) @ w + b
                f, u, o = (1 / (1 + np.exp(-z[14 * k : 14 * k + 14])) for k in range(3))
                c = c * f + u * np.tanh(z[42:])
                x = o * np.tanh(c)
                state[i] = x, c
            total = total + np.sum((x - xs[t + 1]) ** 2)
        return total / n

    return loss, gates


def lstm_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    xs = seeded().standard_normal((n, 14))

    def loss(params: Any) -> Any:
        def step(state: Any, pair: Any) -> Any:
            x, target = pair
            new = []
            for (w, b), (h, c) in zip(params, state, strict=True):
                z = jnp.concatenate([x, h]) @ w + b
                f, u, o = jnp.split(jax.nn.sigmoid(z[:42]), 3)
                c = c * f + u * jnp.tanh(z[42:])
                x = o * jnp.tanh(c)
                new.append((x, c))
            return new, jnp.sum((x - target) ** 2)

        zeros = [(jnp.zeros(14), jnp.zeros(14)) for _ in params]
        return jnp.sum(jax.lax.scan(step, zeros, (xs[:-1], xs[1:]))[1]) / n

    return loss


def runge_kutta(f: Callable[[Any], Any], y: Any, h: float) -> Any:
    """Take one classical step."""
    k1 = f(y)
    k2 = f(y + h / 2 * k1)
    k3 = f(y + h / 2 * k2)
    k4 = f(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def ode(n: int) -> tuple[Callable[[Any], Any], Any]:
    """A chain of 50 linear equations, y_i' = x_i y_(i-1)."""

    def loss(x: Any) -> Any:
        y = np.ones(x.shape)
        for _ in range(n):
            y = runge_kutta(lambda y: np.concatenate([x[:1], x[1:] * y[:-1]]), y, 2 / n)
        return np.mean(y)

    return loss, seeded().random(50)


def ode_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    def loss(x: Any) -> Any:
        def step(y: Any, _: Any) -> Any:
            f = lambda y: jnp.concatenate([x[:1], x[1:] * y[:-1]])  # noqa: E731
            return runge_kutta(f, y, 2 / n), None

        return jnp.mean(jax.lax.scan(step, jnp.ones(x.shape), None, length=n)[0])

    return loss


def sir(n: int) -> tuple[Callable[[Any], Any], Any]:
    """An epidemic in three numbers, fitted to what was observed."""
    seen = np.abs(np.sin(np.linspace(0, 3, n))) * 0.2

    def loss(p: Any) -> Any:
        def f(y: Any) -> Any:
            s, i, _ = y
            new, well = p[0] * s * i, p[1] * i
            return np.array([-new, new - well, well], like=p)

        y = np.array([0.99, 0.01, 0.0])
        total = 0.0
        for t in range(n):
            y = runge_kutta(f, y, 20 / n)
            total = total + (y[1] - seen[t]) ** 2
        return total

    return loss, np.array([1.5, 0.4])


def garch(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The likelihood of GARCH(1, 1)."""
    r = seeded().standard_normal(n) * 0.01

    def loss(p: Any) -> Any:
        omega, alpha, beta = p[0], p[1], p[2]
        variance = np.var(r)
        total = 0.0
        for t in range(n):
            total = total + np.log(variance) + r[t] ** 2 / variance
            variance = omega + alpha * r[t] ** 2 + beta * variance
        return 0.5 * total

    return loss, np.array([1e-6, 0.1, 0.85])


def garch_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    r = seeded().standard_normal(n) * 0.01

    def loss(p: Any) -> Any:
        def step(variance: Any, x: Any) -> Any:
            return p[0] + p[1] * x**2 + p[2] * variance, jnp.log(variance) + x**2 / variance

        return 0.5 * jnp.sum(jax.lax.scan(step, jnp.var(r), r)[1])

    return loss


def bodies(n: int) -> tuple[Callable[[Any], Any], Any]:
    """Five bodies under gravity, by leapfrog, each pair by itself."""
    rng = seeded()
    mass = rng.random(5) + 0.5

    def loss(start: Any) -> Any:
        x = [start[0, i] for i in range(5)]
        v = [start[1, i] for i in range(5)]
        for _ in range(n):
            force = [np.zeros(3) for _ in range(5)]
            for i in range(5):
                for j in range(i):
                    d = x[j] - x[i]
                    pull = d / (np.sum(d * d) + 0.01) ** 1.5
                    force[i] = force[i] + mass[j] * pull
                    force[j] = force[j] - mass[i] * pull
            v = [a + 0.01 * f for a, f in zip(v, force, strict=True)]
            x = [a + 0.01 * b for a, b in zip(x, v, strict=True)]
        return sum(np.sum(a * a) for a in x)

    return loss, rng.standard_normal((2, 5, 3))


def heat(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The explicit heat equation on 32 x 32 points."""

    def loss(u: Any) -> Any:
        for _ in range(n):
            inner = u[1:-1, 1:-1]
            around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
            u = u.copy()
            u[1:-1, 1:-1] = inner + 0.2 * (around - 4 * inner)
        return np.sum(u**2)

    return loss, seeded().random((32, 32))


def heat_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    def loss(u: Any) -> Any:
        def step(u: Any, _: Any) -> Any:
            inner = u[1:-1, 1:-1]
            around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
            return u.at[1:-1, 1:-1].set(inner + 0.2 * (around - 4 * inner)), None

        return jnp.sum(jax.lax.scan(step, u, None, length=n)[0] ** 2)

    return loss


def logistic(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The logistic map, a number."""

    def loss(r: Any) -> Any:
        x = 0.3
        for _ in range(n):
            x = r * x * (1 - x)
        return x

    return loss, 3.2


def stored(n: int) -> tuple[Callable[[Any], Any], Any]:
    """A recurrence whose values are stored in an array, one by one."""

    def loss(a: Any) -> Any:
        y = np.zeros(n, like=a)
        y[0] = a[0]
        for i in range(1, n):
            y[i] = np.sin(y[i - 1]) * a[1] + 1 / i
        return np.sum(y**2)

    return loss, np.array([0.5, 0.9])


def listed(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The same recurrence with a list."""

    def loss(a: Any) -> Any:
        y = [a[0]]
        for i in range(1, n):
            y.append(np.sin(y[i - 1]) * a[1] + 1 / i)
        return np.sum(np.stack(y) ** 2)

    return loss, np.array([0.5, 0.9])


def cholesky(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The Cholesky factor of a matrix, by hand, number by number; `n` is its order."""
    a = seeded().standard_normal((n, n))

    def loss(a: Any) -> Any:
        factor = np.zeros((n, n), like=a)
        for i in range(n):
            for j in range(i + 1):
                s = a[i, j] - np.dot(factor[i, :j], factor[j, :j])
                factor[i, j] = np.sqrt(s) if i == j else s / factor[j, j]
        return 2 * np.sum(np.log(np.diag(factor)))

    return loss, a @ a.T / n + np.eye(n)


def kalman(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The likelihood of a Kalman filter: four states, two of them observed."""
    rng = seeded()
    seen = rng.standard_normal((n, 2))
    model = np.eye(4) + 0.1 * np.eye(4, k=2)
    eye = np.eye(4)

    def loss(noise: Any) -> Any:
        x, cov = np.zeros(4), eye
        total = 0.0
        for t in range(n):
            x = model @ x
            cov = model @ cov @ model.T + noise[0] * eye
            gap = seen[t] - x[:2]
            s = cov[:2, :2] + noise[1] * np.eye(2)
            gain = np.linalg.solve(s, cov[:2]).T
            total = total + gap @ np.linalg.solve(s, gap) + np.log(np.linalg.det(s))
            x = x + gain @ gap
            cov = cov - gain @ cov[:2]
        return total

    return loss, np.array([0.1, 0.5])


def kalman_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    seen = seeded().standard_normal((n, 2))
    model = np.eye(4) + 0.1 * np.eye(4, k=2)

    def loss(noise: Any) -> Any:
        def step(state: Any, z: Any) -> Any:
            x, cov = state
            x = model @ x
            cov = model @ cov @ model.T + noise[0] * jnp.eye(4)
            gap = z - x[:2]
            s = cov[:2, :2] + noise[1] * jnp.eye(2)
            gain = jnp.linalg.solve(s, cov[:2]).T
            y = gap @ jnp.linalg.solve(s, gap) + jnp.log(jnp.linalg.det(s))
            return (x + gain @ gap, cov - gain @ cov[:2]), y

        return jnp.sum(jax.lax.scan(step, (jnp.zeros(4), jnp.eye(4)), seen)[1])

    return loss


def hmm(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The likelihood of a hidden Markov model of eight states, by the forward algorithm."""
    rng = seeded()
    seen = rng.integers(0, 5, n)
    emit = np.log(rng.dirichlet(np.ones(5), 8))

    def loss(w: Any) -> Any:
        move = w - np.log(np.sum(np.exp(w), axis=1, keepdims=True))
        a = np.zeros(8)
        for t in range(n):
            b = a[:, None] + move
            top = np.max(b, axis=0)
            a = np.log(np.sum(np.exp(b - top), axis=0)) + top + emit[:, seen[t]]
        return np.log(np.sum(np.exp(a - np.max(a)))) + np.max(a)

    return loss, rng.standard_normal((8, 8))


def hmm_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    rng = seeded()
    seen = rng.integers(0, 5, n)
    emit = np.log(rng.dirichlet(np.ones(5), 8))

    def loss(w: Any) -> Any:
        move = jax.nn.log_softmax(w, axis=1)

        def step(a: Any, row: Any) -> Any:
            return jax.nn.logsumexp(a[:, None] + move, axis=0) + row, None

        return jax.nn.logsumexp(jax.lax.scan(step, jnp.zeros(8), emit.T[seen])[0])

    return loss


def thomas(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The implicit heat equation on 50 points: a loop for each step's tridiagonal system."""
    m, r = 50, 0.7

    def loss(u: Any) -> Any:
        for _ in range(n):
            c, d = [-r / (1 + 2 * r)], [u[0] / (1 + 2 * r)]
            for i in range(1, m):
                pivot = 1 + 2 * r + r * c[-1]
                c.append(-r / pivot)
                d.append((u[i] + r * d[-1]) / pivot)
            x = [d[-1]]
            for i in range(m - 2, -1, -1):
                x.append(d[i] - c[i] * x[-1])
            u = np.stack(x[::-1])
        return np.sum(u**2)

    return loss, seeded().random(m)


def thomas_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the steps and, in each, over the points."""
    import jax
    import jax.numpy as jnp

    r = 0.7

    def loss(u: Any) -> Any:
        def step(u: Any, _: Any) -> Any:
            def down(state: Any, v: Any) -> Any:
                c, d = state
                pivot = 1 + 2 * r + r * c
                new = -r / pivot, (v + r * d) / pivot
                return new, new

            _, (c, d) = jax.lax.scan(down, (0.0, 0.0), u)

            def up(x: Any, pair: Any) -> Any:
                new = pair[1] - pair[0] * x
                return new, new

            return jax.lax.scan(up, 0.0, (c, d), reverse=True)[1], None

        return jnp.sum(jax.lax.scan(step, u, None, length=n)[0] ** 2)

    return loss


def sinkhorn(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The cost of a transport of 40 to 40 points, by Sinkhorn's iteration."""
    rng = seeded()
    x, y = rng.random((40, 2)), rng.random((40, 2))

    def loss(x: Any) -> Any:
        cost = np.sum((x[:, None] - y) ** 2, axis=2)
        k = np.exp(-cost / 0.1)
        u = np.ones(40)
        for _ in range(n):
            v = 1 / (k.T @ u)
            u = 1 / (k @ v)
        return np.sum(u[:, None] * k * v * cost)

    return loss, x


def sinkhorn_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the iterations."""
    import jax
    import jax.numpy as jnp

    rng = seeded()
    _, y = rng.random((40, 2)), rng.random((40, 2))

    def loss(x: Any) -> Any:
        cost = jnp.sum((x[:, None] - y) ** 2, axis=2)
        k = jnp.exp(-cost / 0.1)

        def step(state: Any, _: Any) -> Any:
            v = 1 / (k.T @ state[0])
            return (1 / (k @ v), v), None

        u, v = jax.lax.scan(step, (jnp.ones(40), jnp.ones(40)), None, length=n)[0]
        return jnp.sum(u[:, None] * k * v * cost)

    return loss


def branches(n: int) -> tuple[Callable[[Any], Any], Any]:
    """A process that does one of three things in each trip, as random numbers say."""
    drawn = seeded().random(n)

    def loss(p: Any) -> Any:
        x = 1.0
        for t in range(n):
            rate = p[0] / (1 + x)
            up = np.where(drawn[t] < rate, x * p[1], x + 0.01)
            x = np.where(drawn[t] > 0.9, 0.5 * x, up)
        return x**2

    return loss, np.array([0.8, 1.1])


def branches_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same trips."""
    import jax
    import jax.numpy as jnp

    drawn = seeded().random(n)

    def loss(p: Any) -> Any:
        def step(x: Any, d: Any) -> Any:
            up = jnp.where(d < p[0] / (1 + x), x * p[1], x + 0.01)
            return jnp.where(d > 0.9, 0.5 * x, up), None

        return jax.lax.scan(step, 1.0, drawn)[0] ** 2

    return loss


def sir_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    seen = np.abs(np.sin(np.linspace(0, 3, n))) * 0.2

    def loss(p: Any) -> Any:
        def f(y: Any) -> Any:
            new, well = p[0] * y[0] * y[1], p[1] * y[1]
            return jnp.array([-new, new - well, well])

        def step(y: Any, target: Any) -> Any:
            y = runge_kutta(f, y, 20 / n)
            return y, (y[1] - target) ** 2

        return jnp.sum(jax.lax.scan(step, jnp.array([0.99, 0.01, 0.0]), seen)[1])

    return loss


def logistic_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same trips."""
    import jax

    def loss(r: Any) -> Any:
        return jax.lax.scan(lambda x, _: (r * x * (1 - x), None), 0.3, None, length=n)[0]

    return loss


PROGRAMS = {
    "lstm": Program(lstm, (64, 256, 1024), lstm_jax),
    "ode": Program(ode, (100, 400), ode_jax),
    "sir": Program(sir, (100, 1000), sir_jax),
    "garch": Program(garch, (2000,), garch_jax),
    "bodies": Program(bodies, (60,)),
    "heat": Program(heat, (500,), heat_jax),
    "kalman": Program(kalman, (500,), kalman_jax),
    "hmm": Program(hmm, (2000,), hmm_jax),
    "thomas": Program(thomas, (20,), thomas_jax),
    "sinkhorn": Program(sinkhorn, (100,), sinkhorn_jax),
    "branches": Program(branches, (1000,), branches_jax),
    "logistic": Program(logistic, (1000, 10_000), logistic_jax),
    "stored": Program(stored, (2000,)),
    "listed": Program(listed, (2000,)),
    "cholesky": Program(cholesky, (20, 45)),
}
