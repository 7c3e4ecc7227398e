"""Test functions of global optimisation.

The formulas are those of Jamil and Yang, "A literature survey of benchmark functions for global
optimisation problems" (2013), and of the papers that it cites.
"""

import math
from math import cos, exp, pi, sin, sqrt

import numpy as np
from corpus.registry import at


@at([0.4, -0.9], [1.3, 0.2, -0.7])
def ackley(x, a=20, b=0.2, c=2 * np.pi):
    n = len(x)
    sum1 = 0
    sum2 = 0
    for i in range(n):
        sum1 += x[i] ** 2
        sum2 += math.cos(c * x[i])
    return -a * math.exp(-b * math.sqrt(sum1 / n)) - math.exp(sum2 / n) + a + math.e


@at([0.4, -0.9], [1.3, 0.2, -0.7])
def rastrigin(x):
    x = np.asarray_chkfinite(x)
    n = len(x)
    return 10 * n + sum(x**2 - 10 * np.cos(2 * np.pi * x))


@at([-1.2, 1.0], [0.8, 0.6, 0.5, 0.1])
def rosenbrock(x):
    x = np.asarray(x)
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0, axis=0)


@at([0.4, -0.9], [1.3, 0.2, -0.7])
def griewank(xs):
    total = 0.0
    prod = 1.0
    for i, x in enumerate(xs, start=1):
        total += x * x
        prod *= cos(x / sqrt(i))
    return 1.0 + total / 4000.0 - prod


@at([0.4, -0.9], [1.3, 0.2, -0.7])
def levy(x):
    x = np.asarray(x)
    n = len(x)
    w = np.zeros(n)
    for i in range(n):
        w[i] = 1 + (x[i] - 1) / 4
    term1 = (np.sin(np.pi * w[0])) ** 2
    term3 = (w[n - 1] - 1) ** 2 * (1 + (np.sin(2 * np.pi * w[n - 1])) ** 2)
    total = 0
    for i in range(n - 1):
        total = total + (w[i] - 1) ** 2 * (1 + 10 * (np.sin(np.pi * w[i] + 1)) ** 2)
    return term1 + total + term3


@at([0.7, 1.9], [2.2, 1.5, 1.3])
def michalewicz(x, m=10):
    return -sum([sin(v) * sin((i + 1) * v**2 / pi) ** (2 * m) for i, v in enumerate(x)])


@at([400.1, -120.0], [10.0, 20.0, -30.0])
def schwefel(x):
    d = len(x)
    return 418.9829 * d - np.dot(x, np.sin(np.sqrt(np.abs(x))))


@at([-2.0, 0.3], [1.0, 2.0, -3.0])
def styblinski_tang(x):
    s = 0
    for xi in x:
        s += xi**4 - 16 * xi**2 + 5 * xi
    return s / 2


@at([1.0, 0.4], [2.5, 0.7])
def beale(p):
    x, y = p
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


@at((1.0, 2.5), (0.1, -0.4))
def booth(x, y):
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


@at([1.0, 2.5])
def matyas(X):
    x = X[0]
    y = X[1]
    return 0.26 * (x**2 + y**2) - 0.48 * x * y


@at((1.0, 2.5), (-2.0, 3.0))
def himmelblau(x, y):
    return pow(x**2 + y - 11, 2) + pow(x + y**2 - 7, 2)


@at([3.0, 2.5], [2.0, 3.3])
def easom(x):
    return -cos(x[0]) * cos(x[1]) * exp(-((x[0] - pi) ** 2) - (x[1] - pi) ** 2)


@at([1.3, 1.1], [0.5, -0.4])
def cross_in_tray(x):
    fact1 = np.sin(x[0]) * np.sin(x[1])
    fact2 = np.exp(abs(100 - np.sqrt(x[0] ** 2 + x[1] ** 2) / np.pi))
    return -0.0001 * (abs(fact1 * fact2) + 1) ** 0.1


@at([0.4, 0.9], [-0.1, 0.3])
def drop_wave(x):
    norm2 = np.linalg.norm(x) ** 2
    return -(1 + np.cos(12 * np.sqrt(norm2))) / (0.5 * norm2 + 2)


@at([512.0, 404.2], [10.0, 20.0])
def eggholder(x):
    a, b = x[0], x[1] + 47
    return -b * math.sin(math.sqrt(abs(b + a / 2))) - a * math.sin(math.sqrt(abs(a - b)))


@at([8.0, 9.6], [1.0, 0.5])
def holder_table(x):
    r = np.hypot(*x)
    return -np.abs(np.sin(x[0]) * np.cos(x[1]) * np.exp(np.abs(1 - r / np.pi)))


@at([0.4, 0.9])
def three_hump_camel(x):
    x1, x2 = x[0], x[1]
    return 2 * x1**2 - 1.05 * x1**4 + x1**6 / 6 + x1 * x2 + x2**2


@at([0.4, 0.9], [-0.1, 0.7])
def six_hump_camel(x):
    x1 = x.item(0)
    x2 = x.item(1)
    return (4 - 2.1 * x1**2 + x1**4 / 3) * x1**2 + x1 * x2 + (-4 + 4 * x2**2) * x2**2


@at([0.1, -0.9], [1.0, 0.5])
def goldstein_price(x):
    a = 1 + (x[0] + x[1] + 1) ** 2 * (
        19 - 14 * x[0] + 3 * x[0] ** 2 - 14 * x[1] + 6 * x[0] * x[1] + 3 * x[1] ** 2
    )
    b = 30 + (2 * x[0] - 3 * x[1]) ** 2 * (
        18 - 32 * x[0] + 12 * x[0] ** 2 + 48 * x[1] - 36 * x[0] * x[1] + 27 * x[1] ** 2
    )
    return a * b


@at([-0.5, -1.5], [0.3, 0.2])
def mccormick(x):
    return np.sin(np.sum(x)) + (x[0] - x[1]) ** 2 - 1.5 * x[0] + 2.5 * x[1] + 1


class Branin:
    """Branin's function, with the usual constants."""

    a = 1.0
    b = 5.1 / (4 * math.pi**2)
    c = 5 / math.pi
    r = 6.0
    s = 10.0
    t = 1 / (8 * math.pi)

    def __call__(self, x):
        x1, x2 = x
        quadratic = self.a * (x2 - self.b * x1**2 + self.c * x1 - self.r) ** 2
        return quadratic + self.s * (1 - self.t) * math.cos(x1) + self.s

    def at_corner(self, x):
        return self(np.maximum(x, 0.0))


at([2.0, 3.0], [-3.0, 11.0], name="branin")(Branin().at_corner)

HARTMANN_ALPHA = [1.0, 1.2, 3.0, 3.2]
HARTMANN_A = [[3.0, 10, 30], [0.1, 10, 35], [3.0, 10, 30], [0.1, 10, 35]]
HARTMANN_P = [
    [0.3689, 0.1170, 0.2673],
    [0.4699, 0.4387, 0.7470],
    [0.1091, 0.8732, 0.5547],
    [0.0381, 0.5743, 0.8828],
]


@at([0.1, 0.5, 0.8], [0.3, 0.3, 0.3])
def hartmann3(x):
    outer = 0
    for i in range(4):
        inner = 0
        for j in range(3):
            inner += HARTMANN_A[i][j] * (x[j] - HARTMANN_P[i][j]) ** 2
        outer += HARTMANN_ALPHA[i] * np.exp(-inner)
    return -outer


@at([0.1, 0.5, 0.8], [0.3, 0.3, 0.3])
def hartmann3_vectorised(x):
    A = np.array(HARTMANN_A)
    P = np.array(HARTMANN_P)
    return -np.array(HARTMANN_ALPHA) @ np.exp(-(A * (np.asarray(x)[None, :] - P) ** 2).sum(1))


@at([4.1, 3.9, 4.0, 4.2], [1.0, 2.0, 3.0, 4.0])
def shekel(x):
    m = 5
    C = np.array([[4, 1, 8, 6, 3], [4, 1, 8, 6, 7], [4, 1, 8, 6, 3], [4, 1, 8, 6, 7]])
    beta = 1.0 / 10 * np.array([1, 2, 2, 4, 4]).T
    outer = 0
    for i in range(m):
        bi = beta[i]
        inner = 0
        for j in range(4):
            inner = inner + (x[j] - C[j, i]) ** 2
        outer = outer + 1 / (inner + bi)
    return -outer


@at([0.4, 0.9, -0.3, 0.2])
def colville(x):
    x1, x2, x3, x4 = x
    terms = []
    terms.append(100 * (x1**2 - x2) ** 2)
    terms.append((x1 - 1) ** 2)
    terms.append((x3 - 1) ** 2)
    terms.append(90 * (x3**2 - x4) ** 2)
    terms.append(10.1 * ((x2 - 1) ** 2 + (x4 - 1) ** 2))
    terms.append(19.8 * (x2 - 1) * (x4 - 1))
    return sum(terms)


@at([0.4, 0.9, -0.3, 0.2], [1.0, -2.0, 0.5, 3.0])
def powell(x):
    d = len(x)
    total = 0
    for i in range(1, d // 4 + 1):
        total += (x[4 * i - 4] + 10 * x[4 * i - 3]) ** 2
        total += 5 * (x[4 * i - 2] - x[4 * i - 1]) ** 2
        total += (x[4 * i - 3] - 2 * x[4 * i - 2]) ** 4
        total += 10 * (x[4 * i - 4] - x[4 * i - 1]) ** 4
    return total


@at([0.4, 0.9, -0.3])
def dixon_price(x):
    n = x.shape[0]
    j = np.arange(2, n + 1)
    x2 = 2 * x**2
    return sum(j * (x2[1:] - x[:-1]) ** 2) + (x[0] - 1) ** 2


@at([0.4, 0.9, -0.3])
def zakharov(x):
    i = np.arange(1, x.size + 1)
    s = np.inner(0.5 * i, x)
    return np.sum(x**2) + s**2 + s**4


@at([0.4, 0.9, -0.3])
def trid(x):
    first = sum(map(lambda v: (v - 1) ** 2, x))
    second = sum(a * b for a, b in zip(x[1:], x[:-1]))
    return first - second


@at([0.4, 0.9, -0.3])
def perm(x, beta=0.5):
    d = len(x)
    outer = 0.0
    for i in range(1, d + 1):
        inner = 0.0
        for j in range(1, d + 1):
            inner += (j**i + beta) * ((x[j - 1] / j) ** i - 1)
        outer += inner**2
    return outer


@at([0.4, 0.9, -0.3])
def rotated_hyper_ellipsoid(x):
    outer = 0
    for i in range(len(x)):
        inner = 0
        for j in range(i + 1):
            inner += x[j] ** 2
        outer += inner
    return outer


@at((0.4, 0.9), (-0.2, 0.1))
def bohachevsky(x, y):
    return x**2 + 2 * y**2 - 0.3 * np.cos(3 * np.pi * x) - 0.4 * np.cos(4 * np.pi * y) + 0.7


@at([0.4, 0.9], [1.5, -0.5])
def schaffer2(x):
    num = np.sin(x[0] ** 2 - x[1] ** 2) ** 2 - 0.5
    den = (1 + 0.001 * (x[0] ** 2 + x[1] ** 2)) ** 2
    return 0.5 + num / den


@at([0.4, 0.9], [1.5, -0.5])
def schaffer4(x):
    x, y = float(x[0]), float(x[1])
    num = math.pow(math.cos(math.sin(abs(x**2 - y**2))), 2) - 0.5
    return 0.5 + num / math.pow(1 + 0.001 * (x**2 + y**2), 2)


@at([-9.0, 1.3], [-6.0, 0.4])
def bukin6(x):
    term1 = 100 * np.sqrt(np.abs(x[1] - 0.01 * x[0] ** 2))
    return term1 + 0.01 * np.abs(x[0] + 10)


@at([2.0, 3.0], [7.5, 1.2])
def langermann(x):
    c = np.array([1, 2, 5, 2, 3])
    A = np.array([[3, 5], [5, 2], [2, 1], [1, 4], [7, 9]])
    res = 0.0
    for i in range(len(c)):
        r = np.sum((x - A[i]) ** 2)
        res += c[i] * np.exp(-r / np.pi) * np.cos(np.pi * r)
    return res


@at([0.4, 0.9], [-1.4, -0.8])
def shubert(x):
    sums = np.empty(2)
    for d in range(2):
        sums[d] = sum(j * cos((j + 1) * x[d] + j) for j in range(1, 6))
    return np.prod(sums)


@at([0.4, 0.9, -0.3])
def alpine1(x):
    return np.abs(x * np.sin(x) + 0.1 * x).sum()


@at([4.0, 7.0], [7.9, 7.9])
def alpine2(x):
    p = 1.0
    for xi in x:
        p *= sqrt(xi) * sin(xi)
    return p


@at([0.4, 0.9, -0.3])
def salomon(x):
    r = np.sqrt(sum(np.square(x)))
    return 1 - np.cos(2 * np.pi * r) + 0.1 * r


@at([0.4, 0.9, -0.3])
def xin_she_yang(x):
    return np.linalg.norm(x, 1) * np.exp(-np.sum(np.sin(np.power(x, 2))))


@at([4.0, 3.0], [-1.0, -3.0])
def bird(x):
    s = np.sin(x[0]) * np.exp((1 - np.cos(x[1])) ** 2)
    s += np.cos(x[1]) * np.exp((1 - np.sin(x[0])) ** 2)
    s += (x[0] - x[1]) ** 2
    return s


@at([0.4, 0.9])
def adjiman(x):
    return math.cos(x[0]) * math.sin(x[1]) - x[0] / (x[1] ** 2 + 1)


@at([0.4, 0.9, -0.3])
def whitley(x):
    xi = np.atleast_2d(x)
    xj = xi.T
    temp = 100.0 * (xi**2.0 - xj) + (1.0 - xj) ** 2.0
    return np.sum(temp**2.0 / 4000.0 - np.cos(temp) + 1.0)


@at([1.4, 0.9, 2.3])
def keane_bump(x):
    a = sum([cos(v) ** 4 for v in x])
    b = 2 * np.prod([cos(v) ** 2 for v in x])
    c = sum([(i + 1) * v**2 for i, v in enumerate(x)])
    return -abs((a - b) / sqrt(c))


@at(0.3, 0.75)
def forrester(x):
    return (6 * x - 2) ** 2 * math.sin(12 * x - 4)


@at([0.4, 0.9, -0.3, 2.0])
def weierstrass(x):
    a, b, k_max = 0.5, 3, 4
    k = np.array([i for i in range(k_max + 1)])
    res = 0
    for i in range(len(x)):
        res += np.sum(a**k * np.cos(2 * np.pi * b**k * (x[i] + 0.5)))
    return res - len(x) * np.sum(a**k * np.cos(np.pi * b**k))


@at([0.43, 0.91, -0.33, 2.02])
def katsuura(x):
    value = 1.0
    for i in range(x.shape[0]):
        value *= 1 + (i + 1) * sum(
            abs(2**k * x[i] - round(2**k * x[i])) * 2.0**-k for k in range(1, 5)
        )
    return value


@at([0.4, 0.9, -0.3])
def happy_cat(x, alpha=0.125):
    n = x.size
    s = np.dot(x, x)
    return ((s - n) ** 2) ** alpha + (0.5 * s + x.sum()) / n + 0.5


BOUNDS = {"low": -1.0, "high": 1.0}


@at([0.4, 0.9, -1.3])
def penalised_sphere(x):
    penalty = 0.0
    for v in x:
        if v < BOUNDS["low"]:
            penalty += (BOUNDS["low"] - v) ** 2
        elif v > BOUNDS["high"]:
            penalty += (v - BOUNDS["high"]) ** 2
    return np.sum(x**2) + 1e3 * penalty
