"""Simulators and programs with objects, branches, generators and decorators."""

import abc
import collections
import enum
import functools
import itertools
import math
import operator
from dataclasses import asdict, astuple, dataclass, field

import numpy as np
from corpus.registry import at


class Tank:
    """A tank with an outflow, and a controller."""

    def __init__(self, area=2.0, outlet=0.05):
        self.area = area
        self.outlet = outlet
        self._level = 1.0
        self.log = []

    @property
    def level(self):
        return self._level

    @level.setter
    def level(self, value):
        self._level = max(0.0, value)
        self.log.append(self._level)

    @property
    def outflow(self):
        return self.outlet * math.sqrt(2 * 9.81 * self.level)

    def advance(self, inflow, dt):
        self.level += (inflow - self.outflow) / self.area * dt


@at((0.6, 0.05), (0.2, 0.3))
def pi_controlled_tank(kp, ki):
    tank, integral = Tank(), 0.0
    for _ in range(15):
        error = 1.5 - tank.level
        integral += error * 0.5
        tank.advance(min(max(kp * error + ki * integral, 0.0), 1.0), 0.5)
    return tank.level + sum(tank.log) / len(tank.log)


class Mode(enum.Enum):
    HEATING = "heating"
    COOLING = "cooling"
    OFF = "off"


@at((20.0, 0.3), (16.0, 0.5))
def thermostat(start, rate):
    temperature, mode, energy = start, Mode.OFF, 0.0
    for hour in range(24):
        outside = 10 + 8 * math.sin(hour / 24 * 2 * math.pi)
        match mode:
            case Mode.HEATING:
                temperature += 1.5
                energy += 2.0 * rate
            case Mode.COOLING:
                temperature -= 1.0
                energy += rate
            case _:
                pass
        temperature += rate * 0.2 * (outside - temperature)
        if temperature < 18:
            mode = Mode.HEATING
        elif temperature > 24:
            mode = Mode.COOLING
        else:
            mode = Mode.OFF
    return temperature + energy


@at((2.0, 0.8), (1.0, 0.6))
def bouncing_ball(height, restitution):
    """The total distance until the ball lies still."""
    distance, bounces = height, 0
    while height > 0.05 and bounces < 30:
        height *= restitution**2
        distance += 2 * height
        bounces += 1
    return distance


@at((25.0, 1.2), (15.0, 2.0))
def intelligent_driver(v0, T, a=1.0, b=1.5, s0=2.0):
    """Cars behind each other."""
    n = 4
    x = np.array([30.0 * (n - i) for i in range(n)])
    v = np.full(n, 10.0)
    for _ in range(5):
        acc = np.zeros(n)
        for i in range(n):
            free = 1 - (v[i] / v0) ** 4
            if i == 0:
                acc[i] = a * free
                continue
            gap = x[i - 1] - x[i] - 5
            dv = v[i] - v[i - 1]
            desired = s0 + max(0, v[i] * T + v[i] * dv / (2 * math.sqrt(a * b)))
            acc[i] = a * (free - (desired / gap) ** 2)
        v = np.maximum(v + acc * 0.5, 0)
        x = x + v * 0.5
    return x[-1] + v.mean()


@dataclass
class Compartment:
    S: float = 0.97
    E: float = 0.0
    I: float = 0.03
    R: float = 0.0
    flows: dict = field(default_factory=dict)

    def __add__(self, other):
        mine, theirs = astuple(self)[:4], astuple(other)[:4]
        return Compartment(*(a + b for a, b in zip(mine, theirs)))

    def __mul__(self, k):
        return Compartment(self.S * k, self.E * k, self.I * k, self.R * k)

    __rmul__ = __mul__


@at((0.6, 0.25, 0.15), (1.2, 0.4, 0.3))
def seir(beta, sigma, gamma):
    def rate(c):
        infections = beta * c.S * c.I
        return Compartment(
            -infections, infections - sigma * c.E, sigma * c.E - gamma * c.I, gamma * c.I
        )

    state, dt = Compartment(), 0.5
    for _ in range(6):
        k1 = rate(state)
        k2 = rate(state + 0.5 * dt * k1)
        k3 = rate(state + 0.5 * dt * k2)
        k4 = rate(state + dt * k3)
        state = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    shares = asdict(state)
    del shares["flows"]
    return shares["R"] + max(shares.values())


class Layer(abc.ABC):
    @abc.abstractmethod
    def forward(self, x): ...

    def __call__(self, x):
        return self.forward(x)


class Dense(Layer):
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        return self.W @ x + self.b


class Activation(Layer):
    functions = {
        "relu": lambda z: np.maximum(0, z),
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "softplus": np.logaddexp,
    }

    def __init__(self, name):
        self.name = name
        self.f = self.functions[name]

    def forward(self, x):
        return self.f(x, 0) if self.name == "softplus" else self.f(x)


class Network:
    def __init__(self, *layers):
        self.layers = list(layers)

    def __iter__(self):
        return iter(self.layers)

    def __getitem__(self, i):
        return self.layers[i]

    def __len__(self):
        return len(self.layers)

    def predict(self, x):
        for layer in self:
            x = layer(x)
        return x


@at(([[0.1, 0.4], [-0.3, 0.2], [0.5, 0.6]], [0.1, 0.0, -0.2], [[0.3, -0.5, 0.7]]))
def multilayer_perceptron(W1, b1, W2):
    net = Network(
        Dense(W1, b1), Activation("softplus"), Dense(W2, np.zeros(1)), Activation("sigmoid")
    )
    data = [([0.0, 1.0], 1), ([1.0, 0.5], 0), ([0.3, 0.2], 1)]
    loss = 0.0
    for x, y in data:
        p = net.predict(np.array(x))[0]
        loss -= y * np.log(p) + (1 - y) * np.log(1 - p)
    return loss / len(data) + 0.01 * len(net) * np.sum(net[0].W ** 2)


def sigmoid(x):
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    z = math.exp(x)
    return z / (1 + z)


@at(([0.3, -0.2, 0.5, 0.1], [0.1, 0.2, -0.3, 0.4]))
def lstm_by_hand(w, u):
    h = c = 0.0
    for x in [0.5, -1.0, 0.25]:
        i, f, o = (sigmoid(w[k] * x + u[k] * h) for k in range(3))
        g = math.tanh(w[3] * x + u[3] * h)
        c = f * c + i * g
        h = o * math.tanh(c)
    return h


@at([0.1, 0.9, 2.1, 2.0, 0.3])
def k_means_inertia(points):
    centres = [0.0, 2.0]
    for _ in range(3):
        groups = collections.defaultdict(list)
        for p in points:
            nearest = min(range(2), key=lambda k: abs(p - centres[k]))
            groups[nearest].append(p)
        centres = [sum(groups[k]) / len(groups[k]) if groups[k] else centres[k] for k in range(2)]
    return sum(min((p - c) ** 2 for c in centres) for p in points)


@at(0.1, 0.05)
def unrolled_gradient_descent(rate):
    x, v = np.array([1.0, -1.0]), np.zeros(2)
    A = np.array([[3.0, 0.5], [0.5, 1.0]])
    for _ in range(6):
        v = 0.9 * v - rate * (A @ x)
        x += v
    return 0.5 * x @ A @ x


class ConvergenceError(Exception):
    pass


@at((2.0, 3.0), (9.0, 2.0), (0.5, 5.0))
def nth_root(a, n):
    def newton(f, df, x, tol=1e-14, max_iter=100):
        for _ in range(max_iter):
            dx = f(x) / df(x)
            x = x - dx
            if abs(dx) < tol * max(1.0, abs(x)):
                return x
        raise ConvergenceError

    try:
        return newton(lambda x: x**n - a, lambda x: n * x ** (n - 1), a)
    except (ConvergenceError, ZeroDivisionError, OverflowError):
        return a ** (1 / n)


def rk4(f, y0, t):
    y = np.zeros((len(t), len(y0)))
    y[0] = y0
    for i in range(len(t) - 1):
        h = t[i + 1] - t[i]
        k1 = f(y[i], t[i])
        k2 = f(y[i] + h / 2 * k1, t[i] + h / 2)
        k3 = f(y[i] + h / 2 * k2, t[i] + h / 2)
        k4 = f(y[i] + h * k3, t[i] + h)
        y[i + 1] = y[i] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


@at((1.5, [1.0, 0.0]), (0.3, [0.5, 0.2]))
def van_der_pol(mu, start):
    def rhs(state, t):
        x, v = state
        return np.array([v, mu * (1 - x**2) * v - x])

    return rk4(rhs, start, np.linspace(0, 1, 9))[-1]


@at((1.0, 0.7), (2.0, 0.3))
def adaptive_heun(k, y0):
    t, y, h, steps = 0.0, y0, 0.1, 0
    while t < 1.0 and steps < 100:
        h = min(h, 1.0 - t)
        f0 = -k * y + math.sin(t)
        euler = y + h * f0
        heun = y + h / 2 * (f0 - k * euler + math.sin(t + h))
        steps += 1
        if abs(heun - euler) > 2e-3:
            h /= 2
            continue
        t += h
        y = heun
        if abs(heun - euler) < 5e-4:
            h *= 1.5
    return y


@at(([0.5, 0.1], [0.2, -0.3], 0.8))
def leapfrog(q, p, k):
    q, p = list(q), list(p)
    for _ in range(5):
        for i in range(2):
            p[i] -= 0.05 * k * q[i] ** 3
        for i in range(2):
            q[i] += 0.1 * p[i]
        for i in range(2):
            p[i] -= 0.05 * k * q[i] ** 3
    return 0.5 * sum(x * x for x in p) + 0.25 * k * sum(x**4 for x in q)


@at((0.3, 0.9), (0.8, -1.7))
def particle_in_box(x, v):
    for _ in range(12):
        x += 0.2 * v
        if x < 0:
            x, v = -x, -0.9 * v
        elif x > 1:
            x, v = 2 - x, -0.9 * v
    return x * v


@at([0.7, 0.2, 0.4])
def markov_chain(p):
    P = np.zeros((3, 3))
    for i in range(3):
        P[i, i] = 1 - p[i]
        P[i, (i + 1) % 3] = p[i]
    pi = np.ones(3) / 3
    for _ in range(4):
        pi = pi @ P
    return pi


def tokens(text):
    yield from text.replace("(", " ( ").replace(")", " ) ").split()


OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


@at((0.5, 2.0), (1.5, -1.0))
def reverse_polish(x, y, program="x y * 3 + x sin / y 2 ** -"):
    stack = []
    for token in tokens(program):
        if token in OPERATIONS:
            b, a = stack.pop(), stack.pop()
            stack.append(OPERATIONS[token](a, b))
        elif token == "**":
            b, a = stack.pop(), stack.pop()
            stack.append(a**b)
        elif token == "sin":
            stack.append(math.sin(stack.pop()))
        else:
            stack.append({"x": x, "y": y}.get(token) if token in "xy" else float(token))
    (result,) = stack
    return result


class Expr:
    """A tree of operations that is evaluated."""

    def __add__(self, other):
        return Binary(operator.add, self, wrap(other))

    def __radd__(self, other):
        return wrap(other) + self

    def __mul__(self, other):
        return Binary(operator.mul, self, wrap(other))

    def __rmul__(self, other):
        return wrap(other) * self

    def __pow__(self, n):
        return functools.reduce(operator.mul, [self] * n)


@dataclass
class Var(Expr):
    name: str

    def eval(self, **env):
        return env[self.name]


@dataclass
class Const(Expr):
    value: float

    def eval(self, **env):
        return self.value


@dataclass
class Binary(Expr):
    op: object
    left: Expr
    right: Expr

    def eval(self, **env):
        return self.op(self.left.eval(**env), self.right.eval(**env))


@dataclass
class Call(Expr):
    function: object
    of: Expr

    def eval(self, **env):
        return self.function(self.of.eval(**env))


def wrap(x):
    return x if isinstance(x, Expr) else Const(x)


@at((0.5, 2.0))
def expression_tree(a, b):
    x, y = Var("x"), Var("y")
    return (3 * x**2 + Call(math.exp, x * y) + a).eval(x=a, y=b)


class Polynomial:
    def __init__(self, *coefficients):
        self.c = list(coefficients)

    @classmethod
    def fit(cls, xs, ys):
        return cls(*np.linalg.solve(np.vander(xs, increasing=True), ys))

    def __call__(self, x):
        result = 0
        for c in reversed(self.c):
            result = result * x + c
        return result

    def __mul__(self, other):
        out = [0] * (len(self.c) + len(other.c) - 1)
        for (i, a), (j, b) in itertools.product(enumerate(self.c), enumerate(other.c)):
            out[i + j] += a * b
        return Polynomial(*out)

    def derivative(self):
        return Polynomial(*(k * c for k, c in enumerate(self.c) if k))

    def __getitem__(self, k):
        return self.c[k] if k < len(self.c) else 0.0

    def __setitem__(self, k, value):
        while len(self.c) <= k:
            self.c.append(0.0)
        self.c[k] = value

    def __contains__(self, k):
        return k < len(self.c) and self.c[k] != 0

    def __bool__(self):
        return any(abs(c) > 1e-300 for c in self.c)


@at([1.0, -0.5, 2.0])
def polynomial_class(ys):
    p = Polynomial.fit(np.array([0.0, 1.0, 2.0]), ys)
    q = p * p.derivative()
    q[5] = p[1] ** 2
    if not q or 9 in q:
        return 0.0
    return q(0.5) + q.derivative()(math.sqrt(2))


class Matrix:
    """Rows of numbers, without NumPy."""

    def __init__(self, rows):
        self.rows = [list(r) for r in rows]

    @property
    def T(self):
        return Matrix(zip(*self.rows))

    def __matmul__(self, other):
        columns = other.T.rows
        return Matrix([[sum(a * b for a, b in zip(r, c)) for c in columns] for r in self.rows])

    def __sub__(self, other):
        return Matrix([[a - b for a, b in zip(r, s)] for r, s in zip(self.rows, other.rows)])

    def __neg__(self):
        return Matrix([[-v for v in r] for r in self.rows])

    def minor(self, i, j):
        return Matrix([r[:j] + r[j + 1 :] for k, r in enumerate(self.rows) if k != i])

    @functools.cached_property
    def determinant(self):
        if len(self.rows) == 1:
            return self.rows[0][0]
        return sum((-1) ** j * v * self.minor(0, j).determinant for j, v in enumerate(self.rows[0]))

    def __abs__(self):
        return math.sqrt(sum(v**2 for r in self.rows for v in r))


@at([0.5, 1.5, -0.3])
def matrix_class(v):
    A = Matrix([[v[0], 1, 2], [v[1], v[2], 0.5], [1, 0, v[0] * v[1]]])
    return (A @ A.T).determinant + abs(-(A - A.T))
