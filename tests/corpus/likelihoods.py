"""Log-likelihoods and estimators."""

import math
from collections import namedtuple

import numpy as np
from corpus.registry import at
from numpy import exp, log, pi, sqrt
from numpy.linalg import cholesky, inv, slogdet, solve

DATA = np.array([1.2, 0.7, 3.1, 2.2, 1.9, 0.4, 2.8, 1.1])
COUNTS = np.array([2, 0, 3, 1, 4, 2])
LABELS = np.array([0, 1, 2, 1, 0, 2])
COVARIATES = np.array([[1.0, 0.2], [1.0, -0.5], [1.0, 1.3], [1.0, 0.8], [1.0, -1.1], [1.0, 0.1]])


@at((1.5, 0.9), (1.0, 2.0))
def normal(mu, sigma):
    n = len(DATA)
    return -n / 2 * np.log(2 * np.pi * sigma**2) - np.sum((DATA - mu) ** 2) / (2 * sigma**2)


@at([1.5, 0.9, 4.0])
def student_t(theta):
    mu, s, nu = theta
    z = (DATA - mu) / s
    const = (
        math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi) - math.log(s)
    )
    return len(DATA) * const - (nu + 1) / 2 * np.log1p(z**2 / nu).sum()


@at((2.0, 3.0))
def beta_likelihood(a, b):
    x = np.clip(DATA / 4, 1e-9, 1 - 1e-9)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return np.sum((a - 1) * np.log(x) + (b - 1) * np.log(1 - x) - log_beta)


@at((2.0, 1.3))
def gamma_likelihood(shape, rate):
    ll = 0.0
    for x in DATA:
        ll += shape * math.log(rate) - math.lgamma(shape) + (shape - 1) * math.log(x) - rate * x
    return ll


@at([0.3, 0.5])
def poisson_regression(beta):
    eta = COVARIATES @ beta
    log_factorial = np.array([math.lgamma(k + 1) for k in COUNTS])
    return (COUNTS * eta - np.exp(eta) - log_factorial).sum()


@at([0.3, 0.5], [4.0, -9.0])
def logistic_regression(w):
    y = np.where(LABELS > 0, 1.0, -1.0)
    margins = y * COVARIATES.dot(w)
    loss = np.zeros_like(margins)
    pos = margins > 0
    loss[pos] = np.log(1 + np.exp(-margins[pos]))
    loss[~pos] = -margins[~pos] + np.log(1 + np.exp(margins[~pos]))
    return loss.mean() + 0.1 * w @ w


@at([0.3, 0.5])
def probit(beta):
    def cdf(z):
        return 0.5 * (1 + math.erf(z / math.sqrt(2)))

    total = 0
    for row, label in zip(COVARIATES, LABELS):
        p = cdf(row @ beta)
        total += math.log(p) if label else math.log(1 - p)
    return total


@at(([0.4, -0.6], [-0.5, 0.8]))
def ordered_logit(beta, cuts):
    eta = COVARIATES @ beta
    k = len(cuts)
    total = 0.0
    for e, label in zip(eta, LABELS):
        upper = 1.0 if label == k else 1 / (1 + np.exp(e - cuts[label]))
        lower = 0.0 if label == 0 else 1 / (1 + np.exp(e - cuts[label - 1]))
        total += np.log(upper - lower)
    return total


@at((1.4, 2.0))
def censored_weibull(k, lam):
    observed = np.array([True, True, False, True, True, True, False, True])
    t = DATA / lam
    ll = np.empty(len(DATA))
    ll[observed] = np.log(k / lam) + (k - 1) * np.log(t[observed]) - t[observed] ** k
    ll[~observed] = -(t[~observed] ** k)
    return ll.sum()


def logsumexp(a, axis=None):
    m = np.max(a, axis=axis, keepdims=True)
    out = np.log(np.sum(np.exp(a - m), axis=axis, keepdims=True)) + m
    return np.squeeze(out, axis=axis) if axis is not None else out.item()


@at(
    {
        "weights": np.array([0.2, 0.4]),
        "means": np.array([0.8, 2.5]),
        "log_sd": np.array([-0.5, 0.1]),
    }
)
def gaussian_mixture(params):
    log_w = params["weights"] - logsumexp(params["weights"])
    parts = []
    for lw, mu, ls in zip(log_w, params["means"], params["log_sd"]):
        parts.append(lw - ls - 0.5 * log(2 * pi) - 0.5 * ((DATA - mu) / exp(ls)) ** 2)
    return logsumexp(np.array(parts), axis=0).sum()


@at(([[0.8, 0.2], [0.3, 0.7]], [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]))
def hidden_markov_forward(A, B, pi0=(0.6, 0.4)):
    T, N = len(LABELS), A.shape[0]
    alpha = np.zeros((T, N))
    c = np.zeros(T)
    alpha[0] = pi0 * B[:, LABELS[0]]
    c[0] = alpha[0].sum()
    alpha[0] /= c[0]
    for t in range(1, T):
        for j in range(N):
            alpha[t, j] = alpha[t - 1].dot(A[:, j]) * B[j, LABELS[t]]
        c[t] = np.sum(alpha[t])
        alpha[t] /= c[t]
    return np.sum(np.log(c))


@at(([[0.8, 0.2], [0.3, 0.7]], [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]))
def viterbi_score(A, B):
    delta = np.log(B[:, LABELS[0]]) + np.log(0.5)
    for obs in LABELS[1:]:
        scores = delta[:, np.newaxis] + np.log(A)
        delta = scores.max(axis=0) + np.log(B[:, obs])
    return max(delta)


@at((0.6, 0.8, 0.3))
def ar1(phi, sigma, mu):
    e = np.zeros(len(DATA))
    e[0] = (DATA[0] - mu) * np.sqrt(1 - phi**2)
    e[1:] = DATA[1:] - mu - phi * (DATA[:-1] - mu)
    return -len(DATA) * np.log(sigma) - 0.5 * np.sum(e**2) / sigma**2 + 0.5 * np.log(1 - phi**2)


@at([0.1, 0.2, 0.7])
def garch11(params):
    omega, alpha, beta = params
    r = DATA - np.mean(DATA)
    sigma2 = np.zeros(len(r))
    sigma2[0] = np.var(r)
    for t in range(1, len(r)):
        sigma2[t] = omega + alpha * r[t - 1] ** 2 + beta * sigma2[t - 1]
    return 0.5 * np.sum(np.log(2 * np.pi) + np.log(sigma2) + r**2 / sigma2)


class KalmanFilter:
    """A linear filter in the usual notation."""

    def __init__(self, F, H, Q, R, x0=None):
        self.F, self.H, self.Q, self.R = F, H, Q, R
        self.n = F.shape[1]
        self.x = np.zeros((self.n, 1)) if x0 is None else x0
        self.P = np.eye(self.n)

    def predict(self):
        self.x = np.dot(self.F, self.x)
        self.P = np.dot(np.dot(self.F, self.P), self.F.T) + self.Q
        return self.x

    def update(self, z):
        y = z - np.dot(self.H, self.x)
        S = self.R + np.dot(self.H, np.dot(self.P, self.H.T))
        K = np.dot(np.dot(self.P, self.H.T), np.linalg.inv(S))
        self.x = self.x + np.dot(K, y)
        I = np.eye(self.n)
        self.P = np.dot(I - np.dot(K, self.H), self.P)
        return -0.5 * (np.log(2 * np.pi * S) + y**2 / S)


@at((0.05, 0.4))
def kalman_likelihood(q, r):
    dt = 0.5
    kf = KalmanFilter(
        F=np.array([[1, dt], [0, 1]]),
        H=np.array([[1, 0]]),
        Q=q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]),
        R=np.array([[r]]).reshape(1, 1),
    )
    ll = 0.0
    for z in DATA:
        kf.predict()
        ll += kf.update(z)
    return float(ll[0, 0])


@at((0.7, 0.5, 0.3))
def random_intercepts(tau, sigma, mu):
    groups = np.array([0, 0, 1, 1, 2, 2, 0, 1])
    Z = np.zeros((8, 3))
    Z[np.arange(8), groups] = 1
    V = sigma**2 * np.eye(8) + tau**2 * Z @ Z.T
    r = DATA - mu
    sign, logdet = slogdet(V)
    assert sign > 0
    return -0.5 * (logdet + r @ solve(V, r))


def rbf(a, b, length, amplitude):
    return amplitude**2 * exp(-0.5 * (a - b) ** 2 / length**2)


def matern(a, b, length, amplitude):
    d = sqrt(3) * abs(a - b) / length
    return amplitude**2 * (1 + d) * exp(-d)


KERNELS = {"rbf": rbf, "matern": matern}


@at(("rbf", 0.8, 1.2, 0.3), ("matern", 0.8, 1.2, 0.3))
def gaussian_process(kernel, length, amplitude, noise):
    x = np.linspace(0, 2, len(DATA))
    n = len(x)
    K = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            K[i, j] = KERNELS[kernel](x[i], x[j], length=length, amplitude=amplitude)
            if i == j:
                K[i, j] += noise**2
    L = cholesky(K)
    a = solve(L, DATA)
    return -0.5 * a @ a - np.log(np.diag(L)).sum() - n / 2 * log(2 * pi)


@at([1.3, 0.7, 2.0])
def dirichlet(alpha):
    p = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
    norm = math.lgamma(alpha.sum()) - sum(map(math.lgamma, alpha))
    return len(p) * norm + ((alpha - 1) * np.log(p)).sum()


@at((0.5, 1.4))
def von_mises(mu, kappa):
    return np.sum(kappa * np.cos(DATA - mu)) - DATA.size * np.log(2 * np.pi * np.i0(kappa))


@at((1.0, 0.8))
def gumbel(loc, scale):
    z = [(x - loc) / scale for x in DATA]
    return -len(z) * math.log(scale) - math.fsum(v + math.exp(-v) for v in z)


@at((1.3, 0.35))
def pareto(alpha, xm):
    with np.errstate(divide="ignore"):
        logpdf = np.where(
            DATA >= xm, np.log(alpha) + alpha * np.log(xm) - (alpha + 1) * np.log(DATA), -np.inf
        )
    return logpdf[np.isfinite(logpdf)].sum()


@at((2.5, 0.4))
def negative_binomial(r, p):
    def one(k):
        return (
            math.lgamma(k + r)
            - math.lgamma(r)
            - math.lgamma(k + 1)
            + r * math.log(p)
            + k * math.log1p(-p)
        )

    return np.vectorize(one)(COUNTS).sum()


@at([0.3, -0.6])
def cox_partial_likelihood(beta):
    times = np.array([5, 3, 9, 2, 7, 4])
    events = np.array([1, 1, 0, 1, 1, 0])
    risk = COVARIATES @ beta
    total = 0
    for i in np.argsort(times):
        if not events[i]:
            continue
        at_risk = times >= times[i]
        total += risk[i] - np.log(np.exp(risk[at_risk]).sum())
    return total


@at(0.5, 2.0)
def ridge_loss(lam):
    X, y = COVARIATES, COUNTS
    w = inv(X.T @ X + lam * np.identity(X.shape[1])) @ X.T @ y
    residual = y - X @ w
    return residual.T @ residual + lam * sum(w**2)


@at(([0.3, 0.5], 1.0))
def huber(beta, delta):
    r = COUNTS - COVARIATES @ beta
    small = np.abs(r) <= delta
    return np.sum(small * 0.5 * r**2 + (~small) * delta * (np.abs(r) - 0.5 * delta))


@at(([0.3, 0.5], 0.7))
def quantile_loss(beta, tau):
    loss = 0
    for x, y in zip(COVARIATES, COUNTS):
        r = y - x.dot(beta)
        loss += tau * r if r >= 0 else (tau - 1) * r
    return loss / len(COUNTS)


@at(([0.2, 0.5, 0.3], [0.3, 0.3, 0.4]))
def kl_divergence(p, q):
    p = np.asarray(p, dtype=np.float64)
    q = np.asarray(q, dtype=np.float64)
    return np.sum(np.where(p != 0, p * np.log(p / q), 0))


@at([0.2, 0.5, 0.3, 0.0 + 1e-3])
def entropy(p):
    h = 0
    for v in p:
        if v > 0:
            h -= v * math.log2(v)
    return h


@at([[0.2, 0.5, 0.3], [0.1, -0.4, 0.8]])
def softmax_cross_entropy(W):
    logits = COVARIATES @ W
    logits -= logits.max(axis=1, keepdims=True)
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    one_hot = np.eye(3)[LABELS]
    return -np.mean(np.sum(one_hot * np.log(probs), axis=1))


@at((24.0, 400.0))
def elo_ratings(k, scale):
    ratings = {"ann": 1500.0, "bob": 1500.0, "cyn": 1500.0}
    games = [("ann", "bob"), ("bob", "cyn"), ("ann", "cyn"), ("cyn", "ann")]
    for winner, loser in games:
        expected = 1 / (1 + 10 ** ((ratings[loser] - ratings[winner]) / scale))
        ratings[winner] += k * (1 - expected)
        ratings[loser] -= k * (1 - expected)
    return ratings["ann"] - min(ratings.values())


@at(0.85, 0.5)
def page_rank(d):
    links = {0: [1, 2], 1: [2], 2: [0], 3: [2]}
    n = len(links)
    M = np.zeros((n, n))
    for src, targets in links.items():
        for dst in targets:
            M[dst, src] = 1 / len(targets)
    v = np.ones(n) / n
    for _ in range(25):
        v = d * M @ v + (1 - d) / n
    return v


Summary = namedtuple("Summary", ["mean", "sd", "skewness"])


def summarise(x):
    m = sum(x) / len(x)
    s2 = sum((v - m) ** 2 for v in x) / (len(x) - 1)
    g = sum((v - m) ** 3 for v in x) / len(x) / s2**1.5
    return Summary(mean=m, sd=s2**0.5, skewness=g)


@at([1.2, 0.7, 3.1, 2.2])
def summary(x):
    s = summarise(x)
    return s.mean + s.sd * s.skewness


@at([0.5, 1.5, 1.0, 0.7])
def bradley_terry(skill):
    wins = {(0, 1): 3, (1, 0): 1, (2, 3): 2, (3, 0): 1, (1, 2): 4}
    p = skill / np.sum(skill)
    return sum(n * np.log(p[i] / (p[i] + p[j])) for (i, j), n in wins.items())


@at([0.4, 0.1, -0.2, 0.9, 1.4])
def kernel_density(points):
    def kernel(u):
        return np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)

    h = 1.06 * np.std(points, ddof=1) * len(points) ** (-1 / 5)
    grid = np.arange(-1, 2, 0.5)
    density = np.array([np.mean(kernel((g - points) / h)) / h for g in grid])
    return np.trapezoid(density, grid)


@at(([0.2, 1.1, 0.4, 2.0], [1.0, 0.2, 0.9, 1.7]))
def correlation(a, b):
    a_mean, b_mean = a.mean(), b.mean()
    num = ((a - a_mean) * (b - b_mean)).sum()
    den = np.sqrt(((a - a_mean) ** 2).sum() * ((b - b_mean) ** 2).sum())
    if den == 0:
        return float("nan")
    return num / den + np.corrcoef(a, b)[0, 1] + np.cov(a, b)[0][1]
