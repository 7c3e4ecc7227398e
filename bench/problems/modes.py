"""Functions with Jacobians of all shapes and structures, for the choice among modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["PROBLEMS", "ModeProblem"]


class ModeProblem(NamedTuple):
    """A function written once, for NumPy and for `jax.numpy`.

    Attributes
    ----------
    name : str
    f : callable
        ``f(xp, *args)``, with `xp` NumPy or ``jax.numpy``.
    args : tuple of arrays
    kind : {"jacobian", "hessian", "batch"}
        ``batch``: a Jacobian for each element of a batch, by ``vmap``.
    argnums : int or tuple of int
    hand : callable or None
        The Jacobian as one would write it by hand in NumPy.
    quick : bool
        Whether ``--quick`` measures it.
    """

    name: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    kind: str = "jacobian"
    argnums: Any = 0
    hand: Callable[..., Any] | None = None
    quick: bool = True


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(seed: int, *shape: int) -> Any:
    return rng(seed).standard_normal(shape)


def add_at(xp: Any, n: int, index: Any, values: Any) -> Any:
    """Add values up at places of an array of zeros."""
    if xp is not np:
        return xp.zeros(n, values.dtype).at[index].add(values)
    y = np.zeros(n, like=values)
    np.add.at(y, index, values)
    return y


# --- elementwise, and elementwise with a reduction ------------------------------------------------
def tanh(xp: Any, x: Any) -> Any:
    return xp.tanh(x)


def tanh_hand(x: Any) -> Any:
    return np.diag(1 - np.tanh(x) ** 2)


def normalised(xp: Any, x: Any) -> Any:
    return x / xp.sqrt(xp.sum(x * x))


def normalised_hand(x: Any) -> Any:
    r = np.sqrt(np.sum(x * x))
    made = np.outer(x, x * (-1 / r**3))
    made.flat[:: len(x) + 1] += 1 / r
    return made


def shares(xp: Any, x: Any) -> Any:
    return x / xp.sum(x)


def softmax(xp: Any, x: Any) -> Any:
    e = xp.exp(x - xp.max(x))
    return e / xp.sum(e)


def gated(xp: Any, x: Any) -> Any:
    return x / (1 + xp.exp(-xp.mean(x))) + xp.sin(x)


def scaled(xp: Any, x: Any) -> Any:
    return x * xp.exp(xp.sum(x))


def standardised(xp: Any, x: Any) -> Any:
    d = x - xp.mean(x)
    return d / xp.sqrt(xp.mean(d * d) + 1e-3)


# --- layers, narrow and wide ----------------------------------------------------------------------
TALL, WIDE = normal(1, 1500, 20) / 5, normal(2, 20, 1500) / 40


def tall(xp: Any, x: Any) -> Any:
    return xp.tanh(TALL @ x)


def wide(xp: Any, x: Any) -> Any:
    return xp.tanh(WIDE @ x)


MLP = [normal(k, m, n) / np.sqrt(n) for k, (m, n) in enumerate([(100, 50), (100, 100), (10, 100)])]


def heads(xp: Any, x: Any) -> Any:
    h = x
    for w in MLP[:-1]:
        h = xp.tanh(w @ h)
    return xp.concatenate([MLP[-1] @ h, xp.sum(h[:50] ** 2)[None]])


SQUARE = [normal(10 + k, 120, 120) / 11 for k in range(4)]


def deep(xp: Any, x: Any) -> Any:
    for w in SQUARE:
        x = xp.tanh(w @ x)
    return x


CODER = [normal(20, 8, 300) / 17, normal(21, 8, 8) / 3, normal(22, 300, 8) / 3]


def coder(xp: Any, x: Any) -> Any:
    a, b, c = CODER
    return c @ xp.tanh(b @ xp.tanh(a @ x))


def coder_hand(x: Any) -> Any:
    a, b, c = CODER
    h = np.tanh(a @ x)
    g = np.tanh(b @ h)
    return c @ ((1 - g * g)[:, None] * (b @ ((1 - h * h)[:, None] * a)))


SEED = [normal(30, 100, 1000) / 30, normal(31, 10, 100) / 10, normal(32, 1, 10) / 3]


def seed_chain(xp: Any, x: Any) -> Any:
    for w in SEED:
        x = xp.tanh(w @ x)
    return x


W1 = [normal(40, 1, 1000) / 30, normal(41, 1000, 1), normal(42, 1, 1000) / 30, normal(43, 1000, 1)]


def waists(xp: Any, x: Any) -> Any:
    for w in W1:
        x = xp.tanh(w @ x)
    return x


def waists_hand(x: Any) -> Any:
    h, d = x, []
    for w in W1:
        h = np.tanh(w @ h)
        d.append(1 - h * h)
    row = d[0] * W1[0]
    k = (d[2] * (W1[2] @ (d[1] * W1[1][:, 0])))[0]
    return np.outer(d[3] * W1[3][:, 0] * k, row)


ENDED = [normal(50, 400, 600) / 24, normal(51, 1, 400) / 20, normal(52, 300, 1)]


def ended(xp: Any, x: Any) -> Any:
    a, b, c = ENDED
    return xp.sin(c @ xp.tanh(b @ xp.tanh(a @ x)))


def ended_hand(x: Any) -> Any:
    a, b, c = ENDED
    h = np.tanh(a @ x)
    g = np.tanh(b @ h)
    left = np.cos(c @ g) * c[:, 0]
    return np.outer(left, ((1 - g * g) * ((b[0] * (1 - h * h)) @ a)))


def energy_waist(xp: Any, x: Any) -> Any:
    s = xp.sum(xp.exp(x) * xp.cos(x))
    return xp.sin(s * POINTS) + s * POINTS**2


POINTS = np.linspace(0.0, 1.0, 500)


def energy_waist_hand(x: Any) -> Any:
    e = np.exp(x)
    s = np.sum(e * np.cos(x))
    return np.outer(POINTS * np.cos(s * POINTS) + POINTS**2, e * (np.cos(x) - np.sin(x)))


# --- scalar circuits ------------------------------------------------------------------------------
def heart(xp: Any, x: Any) -> Any:
    x1, x2, x3, x4, x5, x6, x7, x8 = x
    u, v = x5**2 - x7**2, x6**2 - x8**2
    a, b = x5 * (x5**2 - 3 * x7**2), x7 * (x7**2 - 3 * x5**2)
    c, d = x6 * (x6**2 - 3 * x8**2), x8 * (x8**2 - 3 * x6**2)
    return xp.stack([
        x1 + x2 - 1,
        x3 + x4 - 1,
        x5 * x1 + x6 * x2 - x7 * x3 - x8 * x4 - 1,
        x7 * x1 + x8 * x2 + x5 * x3 + x6 * x4 - 1,
        x1 * u - 2 * x3 * x5 * x7 + x2 * v - 2 * x4 * x6 * x8 - 1,
        x3 * u - 2 * x1 * x5 * x7 + x4 * v - 2 * x2 * x6 * x8 - 1,
        x1 * a + x3 * b + x2 * c + x4 * d - 1,
        x3 * a - x1 * b + x4 * c - x2 * d - 1,
    ])  # fmt: skip


def propane(xp: Any, x: Any) -> Any:
    x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 = x
    p, r = 40.0, 10.0
    s = xp.sqrt(p / x11)
    total = x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10
    return xp.stack([
        x1 + x4 - 3,
        2 * x1 + x2 + x4 + x7 + x8 + x9 + 2 * x10 - r,
        2 * x2 + 2 * x5 + x6 + x7 - 8,
        2 * x3 + x9 - 4 * r,
        x2 * x4 - x1 * x5,
        xp.sqrt(x2 * x4) - xp.sqrt(x1) * x6 * s,
        xp.sqrt(x1 * x2) - xp.sqrt(x4) * x7 * s,
        x1 - x4 * x8 * p / x11,
        x1 * xp.sqrt(x3) - x4 * x9 * s,
        x1**2 - x4**2 * x10 * p / x11,
        x11 - total,
    ])  # fmt: skip


def arm(xp: Any, q: Any) -> Any:
    """Position and direction of the hand of an arm with six joints."""
    px = py = pz = 0.0
    dx, dy, dz = 1.0, 0.0, 0.0
    for k in range(6):
        c, s = xp.cos(q[k]), xp.sin(q[k])
        if k % 2:
            dx, dz, px, pz = c * dx + s * dz, c * dz - s * dx, c * px + s * pz, c * pz - s * px
        else:
            dx, dy, px, py = c * dx - s * dy, s * dx + c * dy, c * px - s * py, s * px + c * py
        px, py, pz = px + 0.3 * dx, py + 0.3 * dy, pz + 0.2 + 0.3 * dz
    return xp.stack([px, py, pz, dx, dy, dz])


def observation(xp: Any, p: Any) -> Any:
    """Error of one observation of bundle adjustment."""
    rotation, centre, f, principal, k = p[:3], p[3:6], p[6], p[7:9], p[9:11]
    x = p[11:14] - centre
    angle = xp.sqrt(xp.sum(rotation**2))
    axis = rotation / angle
    c = xp.cos(angle)
    rotated = x * c + xp.cross(axis, x) * xp.sin(angle) + axis * (xp.dot(axis, x) * (1 - c))
    projected = rotated[:2] / rotated[2]
    r2 = xp.sum(projected**2)
    distorted = projected * (1 + k[0] * r2 + k[1] * r2**2)
    return p[14] * (distorted * f + principal - 0.5)


def observed(n: int) -> Any:
    p = normal(60, n, 15)
    p[:, 5] -= 10
    p[:, 6] += 500
    p[:, 9:11] *= 0.01
    return p


def hand_point(xp: Any, theta: Any) -> Any:
    """A vertex that follows three bones of a finger."""
    local = []
    for k in range(3):
        c, s = xp.cos(theta[6 + k]), xp.sin(theta[6 + k])
        z, o = xp.zeros_like(c), xp.ones_like(c)
        flat = xp.stack([c, -s, z, 0.5 * o, s, c, z, z, z, z, o, z, z, z, z, o])
        local.append(xp.reshape(flat, (4, 4)))
    total = [local[0], local[0] @ local[1], local[0] @ local[1] @ local[2]]
    v = np.array([0.3, 0.2, 0.1, 1.0])
    p = sum(w * (t @ v) for w, t in zip((0.2, 0.3, 0.5), total, strict=True))[:3]
    angle = xp.sqrt(xp.sum(theta[:3] ** 2))
    axis = theta[:3] / angle
    turned = p * xp.cos(angle) + xp.cross(axis, p) * xp.sin(angle)
    turned = turned + axis * (xp.dot(axis, p) * (1 - xp.cos(angle)))
    return turned + theta[3:6]


# --- meshes, lines and grids ----------------------------------------------------------------------
CELLS = 300
LEFT = rng(70).integers(0, CELLS, 700)
RIGHT = (LEFT + 1 + rng(71).integers(0, 5, 700)) % CELLS


def mesh(xp: Any, u: Any) -> Any:
    a, b = u[LEFT], u[RIGHT]
    flux = 0.5 * (a * a + b * b) / 2 - 0.5 * xp.sqrt(a * a + b * b) * (b - a)
    return add_at(xp, CELLS, RIGHT, flux) - add_at(xp, CELLS, LEFT, flux)


def heat(xp: Any, u: Any) -> Any:
    k = 1 + u[1:-1] ** 2
    inner = k * (u[2:] - 2 * u[1:-1] + u[:-2]) * 100.0
    return xp.concatenate([u[:1], inner, u[-1:]])


def cells(xp: Any, x: Any) -> Any:
    """A reaction of four species in each cell."""
    a, b, c, d = x[:, 0], x[:, 1], x[:, 2], x[:, 3]
    r, s = xp.exp(-a) * b * c, c * d / (1 + a * a)
    return xp.stack([-r, r - s, s - r * b, s], axis=1)


def grid(xp: Any, u: Any) -> Any:
    p = xp.pad(u, 1)
    total = p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2]
    return total - 4 * u + u - u**3


ELEMENTS = np.stack([np.arange(60), np.arange(60) + 1], axis=1)


def elements(xp: Any, u: Any) -> Any:
    """The residual of a bar of 60 elements whose stiffness depends on the strain."""
    ends = u[ELEMENTS]
    strain = (ends[:, 1] - ends[:, 0]) * 60
    stress = strain * (1 + 0.1 * strain**2)
    local = xp.stack([-stress, stress], axis=1)
    return add_at(xp, 61, ELEMENTS.ravel(), xp.reshape(local, (-1,)))


def rows(xp: Any, x: Any) -> Any:
    """A softmax of each row."""
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    return e / xp.sum(e, axis=1, keepdims=True)


# --- solvers and simulators -----------------------------------------------------------------------
STIFF = normal(80, 60, 60) / 60 + 3 * np.eye(60)


def solved(xp: Any, x: Any) -> Any:
    return xp.linalg.solve(STIFF + xp.diag(x * x), xp.sin(x))


def attention(xp: Any, x: Any) -> Any:
    scores = x @ x.T / 3
    e = xp.exp(scores - xp.max(scores, axis=1, keepdims=True))
    return (e / xp.sum(e, axis=1, keepdims=True)) @ x


def simulated(xp: Any, p: Any) -> Any:
    """An epidemic of 60 steps from four parameters."""
    s, i, out = 0.99, 0.01, []
    for _ in range(60):
        new, gone = p[0] * s * i / (1 + p[2] * i), p[1] * i
        s, i = s - 0.1 * new + p[3] * 0.01, i + 0.1 * (new - gone)
        out.append(i)
    return xp.stack(out)


def simulated_loss(xp: Any, p: Any) -> Any:
    y = simulated(xp, p)
    return xp.sum((y - 0.02) ** 2)[None]


TIMES = np.linspace(0.0, 3.0, 1000)


def fitted(xp: Any, p: Any) -> Any:
    return p[0] * xp.exp(-p[1] * TIMES) + p[2] * xp.cos(p[3] * TIMES + p[4])


def curve(xp: Any, t: Any) -> Any:
    return xp.sin(t * POINTS) / (1 + t * t)


# --- Hessians -------------------------------------------------------------------------------------
def rosenbrock(xp: Any, x: Any) -> Any:
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def separable(xp: Any, x: Any) -> Any:
    return xp.sum(xp.log(1 + xp.exp(x)) * x)


def logistic(xp: Any, w: Any) -> Any:
    return xp.sum(xp.log(1 + xp.exp(-(DATA @ w)))) + 0.5 * xp.sum(w * w)


DATA = normal(90, 400, 40)


def net_loss(xp: Any, x: Any) -> Any:
    return xp.sum(heads(xp, x) ** 2)


def dipole_energy(xp: Any, x: Any) -> Any:
    return xp.sum(heart(xp, x) ** 2)


BATCH = normal(61, 1000, 3)


def triple(xp: Any, x: Any) -> Any:
    return xp.stack([x[0] * xp.sin(x[1]), x[1] * x[2] + xp.exp(x[0]), x[2] ** 2 / (1 + x[0] ** 2)])


PROBLEMS = [
    ModeProblem("tanh, 600", tanh, (normal(0, 600),), hand=tanh_hand),
    ModeProblem("x / norm(x), 400", normalised, (normal(0, 400),), hand=normalised_hand),
    ModeProblem("x / sum(x), 300", shares, (np.linspace(1.0, 2.0, 300),)),
    ModeProblem("softmax, 200", softmax, (normal(0, 200),)),
    ModeProblem("gated mean, 300", gated, (normal(0, 300),)),
    ModeProblem("x exp(sum x), 400", scaled, (normal(0, 400) / 40,)),
    ModeProblem("standardised, 256", standardised, (normal(0, 256),)),
    ModeProblem("tall layer, 20 to 1500", tall, (normal(0, 20),)),
    ModeProblem("wide layer, 1500 to 20", wide, (normal(0, 1500),)),
    ModeProblem("net with two heads, 50 to 11", heads, (normal(0, 50),)),
    ModeProblem("four square layers, 120", deep, (normal(0, 120),)),
    ModeProblem("encoder-decoder, 300-8-300", coder, (normal(0, 300),), hand=coder_hand),
    ModeProblem("chain 1000-100-10-1", seed_chain, (normal(0, 1000),)),
    ModeProblem("waists 1000-1-1000-1-1000", waists, (normal(0, 1000),), hand=waists_hand),
    ModeProblem("waist near the end, 600 to 300", ended, (normal(0, 600),), hand=ended_hand),
    ModeProblem("waist of one sum, 400 to 500", energy_waist, (normal(0, 400) / 9,),
                hand=energy_waist_hand),
    ModeProblem("heart dipole, 8 to 8", heart, (np.linspace(0.5, 1.5, 8),)),
    ModeProblem("propane, 11 to 11", propane, (np.linspace(0.5, 1.5, 11),)),
    ModeProblem("robot arm, 6 to 6", arm, (np.linspace(0.1, 0.9, 6),)),
    ModeProblem("one observation, 15 to 2", observation, (observed(1)[0],)),
    ModeProblem("one hand point, 9 to 3", hand_point, (np.linspace(0.3, 0.9, 9),)),
    ModeProblem("2000 observations", observation, (observed(2000),), "batch"),
    ModeProblem("1000 times 3 to 3", triple, (BATCH,), "batch"),
    ModeProblem("flux on a mesh, 300", mesh, (np.linspace(1.0, 2.0, CELLS),)),
    ModeProblem("heat on a line, 300", heat, (np.linspace(0.0, 1.0, 300),)),
    ModeProblem("reactions, 80 cells of 4", cells, (normal(0, 80, 4),)),
    ModeProblem("grid 20 x 20", grid, (normal(0, 20, 20),)),
    ModeProblem("bar of 60 elements", elements, (normal(0, 61) / 60,)),
    ModeProblem("softmax of rows, 40 x 8", rows, (normal(0, 40, 8),)),
    ModeProblem("linear solve, 60", solved, (normal(0, 60),)),
    ModeProblem("attention, 12 x 8", attention, (normal(0, 12, 8),)),
    ModeProblem("simulator, 4 to 60", simulated, (np.array([2.0, 0.5, 0.1, 0.01]),), quick=False),
    ModeProblem("simulator and loss, 4 to 1", simulated_loss, (np.array([2.0, 0.5, 0.1, 0.01]),),
                quick=False),
    ModeProblem("curve fit, 5 to 1000", fitted, (np.linspace(0.5, 1.5, 5),)),
    ModeProblem("curve, 1 to 500", curve, (np.array(0.7),)),
    ModeProblem("Rosenbrock, 200", rosenbrock, (normal(0, 200),), "hessian"),
    ModeProblem("separable, 300", separable, (normal(0, 300),), "hessian"),
    ModeProblem("logistic regression, 40", logistic, (normal(0, 40) / 9,), "hessian"),
    ModeProblem("loss of a net, 50", net_loss, (normal(0, 50),), "hessian"),
    ModeProblem("energy of the dipole, 8", dipole_energy, (np.linspace(0.5, 1.5, 8),), "hessian"),
]  # fmt: skip
