"""Models of physics and chemistry, in the forms of textbooks."""

import dataclasses
import functools
import math
from dataclasses import dataclass, field

import numpy as np
from corpus.registry import at

R = 8.314462618
KB = 1.380649e-23
PLANCK = 6.62607015e-34
C = 299792458.0


@at((31.0, 0.72, 0.021), (20.0, 1.1, 0.05))
def range_with_drag(v0, angle, drag):
    """Steps of a projectile until it is back on the ground."""
    x, y = 0.0, 0.0
    vx, vy = v0 * math.cos(angle), v0 * math.sin(angle)
    dt = 0.05
    while True:
        speed = math.sqrt(vx * vx + vy * vy)
        vx -= drag * speed * vx * dt
        vy -= (9.81 + drag * speed * vy) * dt
        x_new, y_new = x + vx * dt, y + vy * dt
        if y_new < 0:
            break
        x, y = x_new, y_new
    fraction = y / (y - y_new)
    return x + fraction * (x_new - x)


@at([0.5, -0.3, 0.2, 0.9])
def double_pendulum(state, m1=1.0, m2=0.5, l1=1.0, l2=0.8, g=9.81):
    """The derivatives of angles and velocities."""
    th1, w1, th2, w2 = state
    dydt = np.zeros_like(state)
    delta = th2 - th1
    dydt[0] = w1
    den1 = (m1 + m2) * l1 - m2 * l1 * np.cos(delta) * np.cos(delta)
    dydt[1] = (
        m2 * l1 * w1 * w1 * np.sin(delta) * np.cos(delta)
        + m2 * g * np.sin(th2) * np.cos(delta)
        + m2 * l2 * w2 * w2 * np.sin(delta)
        - (m1 + m2) * g * np.sin(th1)
    ) / den1
    dydt[2] = w2
    den2 = (l2 / l1) * den1
    dydt[3] = (
        -m2 * l2 * w2 * w2 * np.sin(delta) * np.cos(delta)
        + (m1 + m2) * g * np.sin(th1) * np.cos(delta)
        - (m1 + m2) * l1 * w1 * w1 * np.sin(delta)
        - (m1 + m2) * g * np.sin(th2)
    ) / den2
    return dydt


@at([[0.0, 0.0, 0.0], [1.1, 0.1, 0.0], [0.2, 1.2, -0.3], [1.0, 1.1, 0.9]])
def lennard_jones(positions, epsilon=1.0, sigma=1.0):
    energy = 0.0
    n = positions.shape[0]
    for i in range(n):
        for j in range(i + 1, n):
            rij = positions[i] - positions[j]
            r2 = np.dot(rij, rij)
            if r2 > 6.25 * sigma**2:
                continue
            sr6 = (sigma**2 / r2) ** 3
            energy += 4 * epsilon * (sr6**2 - sr6)
    return energy


@at((1.4, {"D": 4.7, "a": 1.9, "r0": 0.74}))
def morse(r, p):
    return p["D"] * (1 - math.exp(-p["a"] * (r - p["r0"]))) ** 2


@at(([0.0, 1.0, -1.0], [[0.0, 0.1], [1.0, 0.0], [0.3, 1.0]]))
def coulomb_energy(charges, positions):
    d = positions[:, None, :] - positions[None, :, :]
    r = np.sqrt((d**2).sum(-1) + np.eye(len(charges)))
    upper = np.triu_indices(len(charges), k=1)
    return (np.outer(charges, charges) / r)[upper].sum()


@at((300.0, 0.03), (250.0, 0.05))
def van_der_waals(T, V, n=1.0):
    a, b = 0.3640, 4.267e-5
    return n * R * T / (V - n * b) - a * n**2 / V**2


@at(5e2, 1.2e3)
def planck_peak_ratio(T):
    lam = np.array([1e-6, 2e-6, 5e-6])
    x = PLANCK * C / (lam * KB * T)
    spectral = np.empty(lam.size)
    for i, xi in enumerate(x):
        spectral[i] = 1.0 / (lam[i] * 1e6) ** 5 / math.expm1(xi)
    return spectral[1] / spectral.sum()


@dataclass
class FourVector:
    """Energy and momentum."""

    e: float
    p: tuple

    def __add__(self, other):
        return FourVector(self.e + other.e, tuple(a + b for a, b in zip(self.p, other.p)))

    def __radd__(self, other):
        if other == 0:
            return self
        return self + other

    @property
    def mass(self):
        m2 = self.e**2 - sum(q**2 for q in self.p)
        return math.sqrt(m2) if m2 > 0 else 0.0

    @classmethod
    def from_mass(cls, m, *p):
        return cls(math.sqrt(m**2 + sum(map(lambda q: q * q, p))), p)


@at((0.14, [0.3, -0.2, 0.9], [-0.1, 0.5, 1.4]))
def invariant_mass(m, p1, p2):
    return sum([FourVector.from_mass(m, *p1), FourVector.from_mass(m, *p2)]).mass


@at((10.0, 0.05, 2e-3, 300.0))
def rlc_impedance(r, l, c, omega):
    z = r + 1j * omega * l + 1 / (1j * omega * c)
    return abs(z), math.atan2(z.imag, z.real)


@at((1.0, 1.5, 0.4), (1.33, 1.0, 0.3))
def fresnel_reflectance(n1, n2, theta_i):
    sin_t = n1 / n2 * np.sin(theta_i)
    if sin_t >= 1:
        return 1.0
    cos_i = np.cos(theta_i)
    cos_t = np.sqrt(1 - sin_t**2)
    rs = ((n1 * cos_i - n2 * cos_t) / (n1 * cos_i + n2 * cos_t)) ** 2
    rp = ((n1 * cos_t - n2 * cos_i) / (n1 * cos_t + n2 * cos_i)) ** 2
    return 0.5 * (rs + rp)


@at((0.8, 0.3), (2.5, 0.6))
def kepler_anomaly(M, e):
    E = M if e < 0.8 else math.pi
    for _ in range(50):
        delta = (E - e * math.sin(E) - M) / (1 - e * math.cos(E))
        E -= delta
        if abs(delta) < 1e-13:
            break
    else:
        raise RuntimeError("no convergence")
    return 2 * math.atan2(math.sqrt(1 + e) * math.sin(E / 2), math.sqrt(1 - e) * math.cos(E / 2))


@at(([0.0, 1.0, 3.0, 1.0, 0.0], 0.2))
def heat_steps(u0, alpha):
    u = u0.copy()
    for _ in range(6):
        un = u.copy()
        u[1:-1] = un[1:-1] + alpha * (un[2:] - 2 * un[1:-1] + un[:-2])
        u[0] = u[1]
        u[-1] = 0
    return u


@at(([0.0, 0.4, 0.9, 0.4, 0.1, 0.0], 0.7))
def wave_energy(u0, c):
    n = len(u0)
    u = np.zeros((5, n))
    u[0, :] = u0
    u[1, 1:-1] = u0[1:-1] + 0.5 * c**2 * (u0[2:] - 2 * u0[1:-1] + u0[:-2])
    for k in range(1, 4):
        for i in range(1, n - 1):
            u[k + 1, i] = (
                2 * u[k, i] - u[k - 1, i] + c**2 * (u[k, i + 1] - 2 * u[k, i] + u[k, i - 1])
            )
    return 0.5 * np.sum(np.diff(u[-1]) ** 2) + 0.5 * np.sum((u[-1] - u[-2]) ** 2)


@at((2.0, 0.1), (1.5, 0.3))
def mean_field_magnetisation(beta, h):
    m = 0.5
    while True:
        new = math.tanh(beta * (m + h))
        if abs(new - m) < 1e-14:
            return new
        m = new


@at(120.0, 300.0)
def debye_heat_capacity(T, theta=428.0):
    def integrand(x):
        return x**4 * np.exp(x) / (np.exp(x) - 1) ** 2

    x = np.linspace(1e-3, theta / T, 41)
    y = integrand(x)
    h = x[1] - x[0]
    simpson = h / 3 * (y[0] + y[-1] + 4 * np.sum(y[1:-1:2]) + 2 * np.sum(y[2:-1:2]))
    return 9 * R * (T / theta) ** 3 * simpson


@at((2.0, 0.5, 1.5))
def michaelis_menten(vmax, km, s, inhibitor=None):
    rate = vmax * s / (km + s)
    if inhibitor is not None:
        rate /= 1 + inhibitor / km
    return rate


@at((1.2e3, 5.2e4, 350.0, "arrhenius"), (1.2e3, 5.2e4, 350.0, "eyring"))
def rate_constant(A, Ea, T, law):
    laws = {
        "arrhenius": lambda: A * math.exp(-Ea / (R * T)),
        "eyring": lambda: T * math.exp(-Ea / (R * T)),
    }
    try:
        return laws[law]()
    except KeyError:
        raise ValueError(f"unknown law {law!r}") from None


@at((0.1, 4.75), (0.01, 4.2))
def ph_of_weak_acid(c, pka):
    ka = 10**-pka
    h = math.sqrt(ka * c)
    for _ in range(30):
        f = h**3 + ka * h**2 - (ka * c + 1e-14) * h - ka * 1e-14
        df = 3 * h**2 + 2 * ka * h - (ka * c + 1e-14)
        step = f / df
        h -= step
        if abs(step) < 1e-16:
            break
    return -math.log10(h)


IONS = {"K": (5.0, 140.0, 1.0), "Na": (145.0, 12.0, 1.0), "Cl": (110.0, 10.0, -1.0)}


@at({"K": 1.0, "Na": 0.04, "Cl": 0.45})
def goldman_potential(permeability):
    top = bottom = 0.0
    for ion, p in permeability.items():
        outside, inside, z = IONS[ion]
        if z < 0:
            outside, inside = inside, outside
        top += p * outside
        bottom += p * inside
    return 26.7 * math.log(top / bottom)


class HodgkinHuxley:
    """A membrane patch."""

    g_na, g_k, g_l = 120.0, 36.0, 0.3
    e_na, e_k, e_l = 50.0, -77.0, -54.387

    def __init__(self, current):
        self.current = current
        self.state = np.array([-65.0, 0.05, 0.6, 0.32])

    @staticmethod
    def _vtrap(x, y):
        if abs(x / y) < 1e-6:
            return y * (1 - x / y / 2)
        return x / (np.exp(x / y) - 1)

    def rates(self, v):
        am = 0.1 * self._vtrap(-(v + 40), 10)
        bm = 4 * np.exp(-(v + 65) / 18)
        ah = 0.07 * np.exp(-(v + 65) / 20)
        bh = 1 / (1 + np.exp(-(v + 35) / 10))
        an = 0.01 * self._vtrap(-(v + 55), 10)
        bn = 0.125 * np.exp(-(v + 65) / 80)
        return (am, bm), (ah, bh), (an, bn)

    def step(self, dt):
        v, m, h, n = self.state
        gates = []
        for x, (alpha, beta) in zip((m, h, n), self.rates(v)):
            gates.append(x + dt * (alpha * (1 - x) - beta * x))
        ionic = (
            self.g_na * m**3 * h * (v - self.e_na)
            + self.g_k * n**4 * (v - self.e_k)
            + self.g_l * (v - self.e_l)
        )
        self.state = np.array([v + dt * (self.current - ionic), *gates])


@at(10.0, 6.5)
def voltage_after(current):
    cell = HodgkinHuxley(current)
    for _ in range(20):
        cell.step(0.02)
    return cell.state[0]


@dataclass
class Populations:
    prey: float
    predators: float
    history: list = field(default_factory=list)

    def __iter__(self):
        yield self.prey
        yield self.predators


@at((1.1, 0.4, 0.1, 0.4))
def lotka_volterra(alpha, beta, delta, gamma):
    def f(p):
        x, y = p
        return alpha * x - beta * x * y, delta * x * y - gamma * y

    p = Populations(10.0, 5.0)
    h = 0.05
    for _ in range(10):
        k1 = f(p)
        mid = dataclasses.replace(
            p, prey=p.prey + h / 2 * k1[0], predators=p.predators + h / 2 * k1[1]
        )
        k2 = f(mid)
        p = dataclasses.replace(p, prey=p.prey + h * k2[0], predators=p.predators + h * k2[1])
        p.history.append(p.prey)
    return max(p.history) + p.predators


@at((0.5, 0.1), (0.9, 0.25))
def sir_peak(beta, gamma):
    n_days = 40
    S, I, Rec = np.zeros(n_days), np.zeros(n_days), np.zeros(n_days)
    S[0], I[0] = 0.99, 0.01
    for t in range(n_days - 1):
        new = beta * S[t] * I[t]
        S[t + 1] = S[t] - new
        I[t + 1] = I[t] + new - gamma * I[t]
        Rec[t + 1] = Rec[t] + gamma * I[t]
    return I.max() + 0.1 * Rec[-1]


@at((1e5, 1e-4), (3e3, 1e-3), (500.0, 1e-3))
def darcy_friction(reynolds, roughness):
    if reynolds < 2300:
        return 64 / reynolds
    f = 0.02
    for _ in range(100):
        rhs = -2 * math.log10(roughness / 3.7 + 2.51 / (reynolds * math.sqrt(f)))
        new = 1 / rhs**2
        if math.isclose(new, f, rel_tol=1e-14):
            break
        f = new
    return f


@at((100.0, 7.0), (65.0, 20.0))
def redlich_kwong_volume(T, P):
    """The largest root of a cubic, by Newton's method in reduced units."""
    A = 0.42748 * P / 100 / (T / 100) ** 2.5
    B = 0.08664 * P / 100 / (T / 100)
    z = 1.0
    for _ in range(60):
        p = ((z - 1) * z + A - B - B * B) * z - A * B
        dp = (3 * z - 2) * z + A - B - B * B
        z_old, z = z, z - p / dp
        if abs(z - z_old) <= 1e-15:
            break
    return z


NODES = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.9], [1.5, 0.9]])
BARS = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]


@at(([1.0, 1.2, 0.8, 1.0, 1.1], 0.5))
def truss_compliance(areas, load):
    K = np.zeros((8, 8))
    for a, (i, j) in zip(areas, BARS):
        d = NODES[j] - NODES[i]
        length = np.linalg.norm(d)
        c, s = d / length
        k = a / length * np.outer([c, s, -c, -s], [c, s, -c, -s])
        dofs = [2 * i, 2 * i + 1, 2 * j, 2 * j + 1]
        K[np.ix_(dofs, dofs)] += k
    F = np.zeros(8)
    F[7] = -load
    fixed = {0, 1, 3}
    free = [d for d in range(8) if d not in fixed]
    u = np.zeros(8)
    u[free] = np.linalg.solve(K[np.ix_(free, free)], F[free])
    return F @ u


class Body:
    def __init__(self, mass, position, velocity):
        self.mass = mass
        self.position = np.array(position, dtype=float)
        self.velocity = np.array(velocity, dtype=float)

    def attraction(self, other):
        r = other.position - self.position
        return self.mass * other.mass * r / np.linalg.norm(r) ** 3

    def kinetic(self):
        return 0.5 * self.mass * self.velocity.dot(self.velocity)


@at((1.0, [0.0, 0.9]), (1.3, [0.1, 0.7]))
def two_bodies(mass, velocity):
    bodies = [Body(mass, [0, 0], [0, 0]), Body(0.1, [1, 0], velocity)]
    dt = 0.02
    for _ in range(10):
        forces = {id(b): np.zeros(2) for b in bodies}
        for i, a in enumerate(bodies):
            for b in bodies[i + 1 :]:
                f = a.attraction(b)
                forces[id(a)] += f
                forces[id(b)] -= f
        for b in bodies:
            b.velocity += forces[id(b)] / b.mass * dt
            b.position += b.velocity * dt
    return sum(b.kinetic() for b in bodies) + bodies[1].position[0]


@at((2.0, 0.3, [0.1, 0.05]))
def ray_through_lenses(f, distance, ray):
    lens = np.array([[1, 0], [-1 / f, 1]])
    gap = np.array([[1, distance], [0, 1]])
    return functools.reduce(np.matmul, [lens, gap, lens, gap]) @ ray


@at((3.0, 1.0), (0.5, 2.0))
def partition_function(beta, spacing):
    levels = (n + 0.5 for n in range(20))
    z = 0.0
    mean = 0.0
    for level in levels:
        w = math.exp(-beta * spacing * level)
        z += w
        mean += spacing * level * w
    return mean / z - math.log(z)


@at((0.9, 1.4, 2.2))
def clebsch_series(j, m, theta, terms=4):
    @functools.lru_cache(maxsize=None)
    def legendre(n):
        if n == 0:
            return 1.0
        if n == 1:
            return math.cos(theta)
        return ((2 * n - 1) * math.cos(theta) * legendre(n - 1) - (n - 1) * legendre(n - 2)) / n

    return sum(j**n * m * legendre(n) for n in range(terms))


@at([0.2, 0.5, 0.9], [1.1, -0.4, 0.3])
def ising_chain(couplings):
    """The free energy, by the product of transfer matrices."""
    T = np.eye(2)
    for J in couplings:
        T = T @ np.array([[np.exp(J), np.exp(-J)], [np.exp(-J), np.exp(J)]])
    return -np.log(np.trace(T))


@at((1.0, 0.3), (0.7, 0.5))
def quantum_well(depth, x):
    n = 8
    H = np.zeros((n, n))
    for i in range(n):
        H[i, i] = 2.0 + depth * (i - x) ** 2 / n
        if i + 1 < n:
            H[i, i + 1] = H[i + 1, i] = -1
    return np.linalg.eigvalsh(H)[:2].sum()


@at((25.0, 60.0), (-2.0, 30.0), (35.0, 80.0))
def heat_index(t_c, rh):
    """The rule of the United States weather service, in its branches."""
    t = t_c * 9 / 5 + 32
    simple = 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + rh * 0.094)
    if (simple + t) / 2 < 80:
        return (simple - 32) * 5 / 9
    hi = (
        -42.379 + 2.04901523 * t + 10.14333127 * rh - 0.22475541 * t * rh - 6.83783e-3 * t * t
        - 5.481717e-2 * rh * rh + 1.22874e-3 * t * t * rh + 8.5282e-4 * t * rh * rh
        - 1.99e-6 * t * t * rh * rh
    )  # fmt: skip
    if rh < 13 and 80 <= t <= 112:
        hi -= ((13 - rh) / 4) * math.sqrt((17 - abs(t - 95.0)) / 17)
    return (hi - 32) * 5 / 9
