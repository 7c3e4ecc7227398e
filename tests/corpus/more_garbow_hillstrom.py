"""Sums of squares of More, Garbow and Hillstrom, "Testing unconstrained optimization software".

ACM Transactions on Mathematical Software 7 (1981). Each function returns the residuals.
"""

import math

import numpy as np
from corpus.registry import at


@at([-1.2, 1.0])
def rosenbrock(x):
    f = np.zeros(2)
    f[0] = 10 * (x[1] - x[0] ** 2)
    f[1] = 1 - x[0]
    return f


@at([0.5, -2.0])
def freudenstein_roth(x):
    return np.array(
        [
            -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
            -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
        ]
    )


@at([0.1, 1.0])
def powell_badly_scaled(x):
    f1 = 1e4 * x[0] * x[1] - 1
    f2 = math.exp(-x[0]) + math.exp(-x[1]) - 1.0001
    return np.array([f1, f2])


@at([1.0, 1.0])
def brown_badly_scaled(x):
    fvec = [0.0] * 3
    fvec[0] = x[0] - 1e6
    fvec[1] = x[1] - 2e-6
    fvec[2] = x[0] * x[1] - 2
    return np.array(fvec)


@at([1.0, 1.0], [2.0, 0.4])
def beale(x):
    y = [1.5, 2.25, 2.625]
    return np.array([y[i] - x[0] * (1 - x[1] ** (i + 1)) for i in range(3)])


@at([0.3, 0.4])
def jennrich_sampson(x):
    m = 10
    f = np.empty(m)
    for i in range(1, m + 1):
        f[i - 1] = 2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))
    return f


@at([-1.0, 0.1, 0.2], [0.8, 0.3, 0.1])
def helical_valley(x):
    def theta(x1, x2):
        t = math.atan(x2 / x1) / (2 * math.pi)
        if x1 < 0:
            t += 0.5
        return t

    return np.array([10 * (x[2] - 10 * theta(x[0], x[1])), 10 * (math.hypot(x[0], x[1]) - 1), x[2]])


BARD_Y = np.array(
    [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
)


@at([1.0, 1.0, 1.0])
def bard(x):
    f = np.zeros_like(BARD_Y)
    for i in range(15):
        u = i + 1
        v = 16 - u
        w = min(u, v)
        f[i] = BARD_Y[i] - (x[0] + u / (v * x[1] + w * x[2]))
    return f


@at([0.4, 1.0, 0.0])
def gaussian(x):
    y = np.array([9, 44, 175, 540, 1295, 2420, 3521, 3989], dtype=float) / 1e4
    y = np.concatenate((y, y[-2::-1]))
    t = (8 - np.arange(1, 16)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - y


MEYER_Y = "34780 28610 23650 19630 16370 13720 11540 9744 8261 7030 6005 5147 4427 3820 3307 2872"


@at([0.02, 4000.0, 250.0])
def meyer(x):
    y = np.array([float(v) for v in MEYER_Y.split()])
    t = 45 + 5 * np.arange(1, len(y) + 1)
    return x[0] * np.exp(x[1] / (t + x[2])) - y


@at([5.0, 2.5, 0.15])
def gulf(x):
    m = 10
    f = np.zeros((m,))
    for i in range(m):
        t = (i + 1) / 100
        y = 25 + (-50 * math.log(t)) ** (2 / 3)
        f[i] = math.exp(-(abs(y - x[1]) ** x[2]) / x[0]) - t
    return f


@at([0.0, 10.0, 20.0])
def box3d(x):
    res = []
    for i in range(1, 11):
        t = 0.1 * i
        res.append(
            math.exp(-t * x[0]) - math.exp(-t * x[1]) - x[2] * (math.exp(-t) - math.exp(-10 * t))
        )
    return np.asarray(res)


@at([3.0, -1.0, 0.1, 1.0])
def powell_singular(x):
    return np.array(
        [
            x[0] + 10 * x[1],
            np.sqrt(5) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            np.sqrt(10) * (x[0] - x[3]) ** 2,
        ]
    )


@at([-3.0, -1.0, -3.0, -1.0])
def wood(x):
    fvec = np.empty(6, dtype=np.float64)
    s10, s90 = 10**0.5, 90**0.5
    fvec[0] = 10 * (x[1] - x[0] ** 2)
    fvec[1] = 1 - x[0]
    fvec[2] = s90 * (x[3] - x[2] ** 2)
    fvec[3] = 1 - x[2]
    fvec[4] = s10 * (x[1] + x[3] - 2)
    fvec[5] = (x[1] - x[3]) / s10
    return fvec


KOWALIK = np.array(
    [
        [0.1957, 4.0], [0.1947, 2.0], [0.1735, 1.0], [0.1600, 0.5], [0.0844, 0.25], [0.0627, 0.167],
        [0.0456, 0.125], [0.0342, 0.1], [0.0323, 0.0833], [0.0235, 0.0714], [0.0246, 0.0625],
    ]
)  # fmt: skip


@at([0.25, 0.39, 0.415, 0.39])
def kowalik_osborne(x):
    r = np.zeros(len(KOWALIK))
    for k, (y, u) in enumerate(KOWALIK):
        num = x[0] * (u**2 + u * x[1])
        den = u**2 + u * x[2] + x[3]
        r[k] = y - num / den
    return r


@at([2.5, 1.0, -0.5, -0.1])
def brown_dennis(x):
    m = 20
    f = np.zeros(m)
    for i in range(m):
        t = (i + 1) / 5
        f[i] = (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2
    return f


@at([0.5, 1.5, -1.0, 0.01, 0.02])
def osborne1(x):
    t = 10 * np.arange(33)
    model = x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4])
    return 0.8 - model


@at([1.0, 2.0, 1.0, 1.0, 1.0, 1.0])
def biggs_exp6(x):
    m = 13
    t = [0.1 * i for i in range(1, m + 1)]
    y = [math.exp(-s) - 5 * math.exp(-10 * s) + 3 * math.exp(-4 * s) for s in t]
    f = [0] * m
    for i, s in enumerate(t):
        f[i] = (
            x[2] * math.exp(-s * x[0]) - x[3] * math.exp(-s * x[1]) + x[5] * math.exp(-s * x[4])
        ) - y[i]
    return np.array(f)


@at([1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5])
def osborne2(x):
    t = np.linspace(0, 6.4, 65)
    out = x[0] * np.exp(-t * x[4])
    for k in range(1, 4):
        out = out + x[k] * np.exp(-((t - x[k + 7]) ** 2) * x[k + 4])
    return out


@at([0.1, 0.2, -0.1, 0.3])
def watson(x):
    n = len(x)
    f = np.zeros(31)
    for i in range(29):
        t = (i + 1) / 29
        s1 = 0.0
        dx = 1.0
        for j in range(1, n):
            s1 += j * dx * x[j]
            dx *= t
        s2 = 0.0
        dx = 1.0
        for j in range(n):
            s2 += dx * x[j]
            dx *= t
        f[i] = s1 - s2**2 - 1
    f[29] = x[0]
    f[30] = x[1] - x[0] ** 2 - 1
    return f


@at([-1.2, 1.0, -1.2, 1.0])
def extended_rosenbrock(x):
    f = np.zeros(x.shape)
    f[::2] = 10 * (x[1::2] - x[::2] ** 2)
    f[1::2] = 1 - x[::2]
    return f


@at([1.0, 2.0, 3.0])
def penalty1(x):
    n = len(x)
    f = np.ones(n + 1)
    f[:n] = np.sqrt(1e-5) * (x - 1)
    f[n] = (x * x).sum() - 0.25
    return f


@at([0.5, 0.5, 0.5])
def penalty2(x):
    n = x.shape[0]
    a = math.sqrt(1e-5)
    f = np.full(2 * n, np.nan)
    f[0] = x[0] - 0.2
    for i in range(1, n):
        y = math.exp((i + 1) / 10) + math.exp(i / 10)
        f[i] = a * (math.exp(x[i] / 10) + math.exp(x[i - 1] / 10) - y)
    for i in range(n, 2 * n - 1):
        f[i] = a * (math.exp(x[i - n + 1] / 10) - math.exp(-1 / 10))
    f[2 * n - 1] = sum((n - j) * x[j] ** 2 for j in range(n)) - 1
    return f


@at([0.7, 0.3, 0.1])
def variably_dimensioned(x):
    n = len(x)
    s = sum((j + 1) * (x[j] - 1) for j in range(n))
    return np.append(x - 1, [s, s**2])


@at([0.3, 0.2, 0.4])
def trigonometric(x):
    n = len(x)
    c = n - np.sum(np.cos(x))
    i = np.arange(n) + 1
    return c + i * (1 - np.cos(x)) - np.sin(x)


@at([0.5, 0.5, 0.6])
def brown_almost_linear(x):
    n = len(x)
    total = x.sum()
    f = np.zeros(n)
    f[:-1] = x[:-1] + total - (n + 1)
    f[-1] = np.prod(x) - 1
    return f


@at([-0.1, -0.15, -0.12, -0.05])
def discrete_boundary_value(x):
    n = len(x)
    h = 1.0 / (n + 1)
    xx = np.zeros(n + 2)
    xx[1:-1] = x
    t = h * np.arange(1, n + 1)
    return 2 * xx[1:-1] - xx[:-2] - xx[2:] + h**2 * (xx[1:-1] + t + 1) ** 3 / 2


@at([-0.1, -0.15, -0.12, -0.05])
def discrete_integral_equation(x):
    n = len(x)
    h = 1 / (n + 1)
    t = [(i + 1) * h for i in range(n)]
    f = np.zeros(n)
    for i in range(n):
        left = 0.0
        for j in range(i + 1):
            left += t[j] * (x[j] + t[j] + 1) ** 3
        right = 0.0
        for j in range(i + 1, n):
            right += (1 - t[j]) * (x[j] + t[j] + 1) ** 3
        f[i] = x[i] + h * ((1 - t[i]) * left + t[i] * right) / 2
    return f


@at([-1.0, -1.0, -1.0, -0.9])
def broyden_tridiagonal(x):
    f = (3 - 2 * x) * x + 1
    f[1:] -= x[:-1]
    f[:-1] -= 2 * x[1:]
    return f


@at([-1.0, -1.1, -1.0, -0.9, -0.8, -1.0, -1.0])
def broyden_banded(x):
    n = len(x)
    ml, mu = 5, 1
    f = np.zeros(n)
    for i in range(n):
        s = 0.0
        for j in range(max(0, i - ml), min(n, i + mu + 1)):
            if j != i:
                s += x[j] * (1 + x[j])
        f[i] = x[i] * (2 + 5 * x[i] ** 2) + 1 - s
    return f


@at([1.0, 1.0, 1.0])
def linear_full_rank(x, m=5):
    n = len(x)
    s = 2 * np.sum(x) / m
    f = -s * np.ones(m) - 1
    f[:n] += x
    return f


@at([0.25, 0.5, 0.8])
def chebyquad(x):
    n = len(x)
    fvec = np.zeros(n)
    for j in range(n):
        t1 = 1.0
        t2 = 2 * x[j] - 1
        t = 2 * t2
        for i in range(n):
            fvec[i] += t2
            th = t * t2 - t1
            t1 = t2
            t2 = th
    iev = -1
    for i in range(n):
        fvec[i] /= n
        if iev > 0:
            fvec[i] += 1.0 / ((i + 1) ** 2 - 1)
        iev = -iev
    return fvec
