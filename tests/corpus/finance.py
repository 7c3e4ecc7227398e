"""Prices, rates and portfolios."""

import datetime
import itertools
import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
from corpus.registry import at


def norm_cdf(x):
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


class Option(Enum):
    CALL = 1
    PUT = -1


@at((100.0, 95.0, 0.5, 0.03, 0.25, "call"), (100.0, 105.0, 1.5, 0.01, 0.3, "put"))
def black_scholes(S, K, T, r, sigma, option="call"):
    d1 = (np.log(S / K) + (r + 0.5 * sigma**2) * T) / (sigma * np.sqrt(T))
    d2 = d1 - sigma * np.sqrt(T)
    if option == "call":
        return S * norm_cdf(d1) - K * np.exp(-r * T) * norm_cdf(d2)
    elif option == "put":
        return K * np.exp(-r * T) * norm_cdf(-d2) - S * norm_cdf(-d1)
    else:
        raise ValueError(option)


def vega(S, K, T, r, sigma):
    d1 = (math.log(S / K) + (r + 0.5 * sigma**2) * T) / (sigma * math.sqrt(T))
    return S * math.exp(-0.5 * d1**2) / math.sqrt(2 * math.pi) * math.sqrt(T)


@at((8.0, 100.0), (12.0, 101.0))
def implied_volatility(price, S, K=100.0, T=1.0, r=0.01):
    sigma = 0.2
    for i in range(100):
        diff = black_scholes(S, K, T, r, sigma) - price
        if abs(diff) < 1e-12:
            return sigma
        sigma = sigma - diff / vega(S, K, T, r, sigma)
    return sigma


@at((100.0, 0.25, 0.04, Option.PUT), (100.0, 0.2, 0.02, Option.CALL))
def american_binomial(S, sigma, r, kind, K=101.0, T=1.0, N=12):
    dt = T / N
    u = math.exp(sigma * math.sqrt(dt))
    d = 1 / u
    p = (math.exp(r * dt) - d) / (u - d)
    disc = math.exp(-r * dt)
    values = np.zeros(N + 1)
    for j in range(N + 1):
        values[j] = max(0, kind.value * (S * u**j * d ** (N - j) - K))
    for i in np.arange(N - 1, -1, -1):
        for j in range(0, i + 1):
            values[j] = disc * (p * values[j + 1] + (1 - p) * values[j])
            exercise = kind.value * (S * u**j * d ** (i - j) - K)
            values[j] = max(values[j], exercise)
    return values[0]


@at((0.05, [-100.0, 30.0, 40.0, 50.0]))
def net_present_value(rate, cashflows):
    return sum(cf / (1 + rate) ** t for t, cf in enumerate(cashflows))


@at([-100.0, 30.0, 40.0, 50.0])
def internal_rate_of_return(cashflows):
    rate = 0.1
    for _ in range(60):
        npv = net_present_value(rate, cashflows)
        slope = sum(-t * cf / (1 + rate) ** (t + 1) for t, cf in enumerate(cashflows))
        change = npv / slope
        rate -= change
        if abs(change) < 1e-15:
            break
    return rate


@dataclass
class Bond:
    face: float
    coupon: float
    years: int = 5
    frequency: int = 2

    @property
    def payments(self):
        n = self.years * self.frequency
        for k in range(1, n + 1):
            amount = self.face * self.coupon / self.frequency
            if k == n:
                amount += self.face
            yield k / self.frequency, amount

    def price(self, y):
        return sum(a * math.exp(-y * t) for t, a in self.payments)

    def duration(self, y):
        return sum(t * a * math.exp(-y * t) for t, a in self.payments) / self.price(y)


@at((100.0, 0.04, 0.035))
def bond_duration(face, coupon, y):
    return Bond(face, coupon).duration(y)


@at((0.03, 0.5, 0.05, 0.02))
def vasicek_bond(r, a, b, sigma, T=3.0):
    B = (1 - np.exp(-a * T)) / a
    A = np.exp((b - sigma**2 / (2 * a**2)) * (B - T) - sigma**2 / (4 * a) * B**2)
    return A * np.exp(-B * r)


@at([0.04, -0.02, 0.01, 1.8])
def nelson_siegel(params):
    b0, b1, b2, tau = params
    maturities = np.array([0.25, 0.5, 1, 2, 5, 10])
    yields = []
    for m in maturities:
        x = m / tau
        load = (1 - np.exp(-x)) / x
        yields.append(b0 + b1 * load + b2 * (load - np.exp(-x)))
    market = np.array([0.021, 0.023, 0.025, 0.028, 0.033, 0.036])
    return np.sqrt(np.mean((np.array(yields) - market) ** 2))


def amortise(principal, rate, payment):
    balance = principal
    while balance > 0:
        interest = balance * rate
        paid = min(payment, balance + interest)
        balance = balance + interest - paid
        yield interest, balance


@at((1000.0, 0.01, 120.0), (500.0, 0.02, 90.0))
def interest_paid(principal, rate, payment):
    total = 0
    for n, (interest, balance) in enumerate(amortise(principal, rate, payment)):
        total += interest
        if n > 60:
            break
    return total


RETURNS = np.array(
    [[0.01, 0.02, -0.01], [0.03, -0.01, 0.02], [-0.02, 0.01, 0.01], [0.02, 0.0, 0.03]]
)


@at([0.5, 0.3, 0.2])
def sharpe_ratio(weights, risk_free=0.002):
    weights = np.array(weights)
    weights /= np.sum(weights)
    mean = RETURNS.mean(axis=0)
    cov = np.cov(RETURNS, rowvar=False)
    port_return = np.dot(weights, mean)
    port_vol = np.sqrt(np.dot(weights.T, np.dot(cov, weights)))
    return (port_return - risk_free) / port_vol


@at([100.0, 104.0, 99.0, 101.0, 95.0, 103.0])
def max_drawdown(prices):
    running = np.maximum.accumulate(prices)
    return np.max((running - prices) / running)


@at([100.0, 104.0, 99.0, 101.0, 95.0, 103.0])
def max_drawdown_loop(prices):
    peak = -float("inf")
    worst = 0.0
    for p in prices:
        peak = max(peak, p)
        worst = max(worst, (peak - p) / peak)
    return worst


@at([0.5, 0.3, 0.2])
def historical_var(weights, level=0.3):
    pnl = np.sort(RETURNS @ weights)
    cut = int(level * len(pnl))
    return -pnl[: cut + 1].mean()


@at((1.5, 0.04, 0.3, -0.6, 0.05))
def heston_characteristic(kappa, theta, xi, rho, v0, u=0.7, T=1.0):
    i = 1j
    d = np.sqrt((rho * xi * i * u - kappa) ** 2 + xi**2 * (i * u + u**2))
    g = (kappa - rho * xi * i * u - d) / (kappa - rho * xi * i * u + d)
    C = (
        kappa
        * theta
        / xi**2
        * ((kappa - rho * xi * i * u - d) * T - 2 * np.log((1 - g * np.exp(-d * T)) / (1 - g)))
    )
    D = (kappa - rho * xi * i * u - d) / xi**2 * (1 - np.exp(-d * T)) / (1 - g * np.exp(-d * T))
    phi = np.exp(C + D * v0)
    return np.array([phi.real, phi.imag])


@at((100.0, 0.2), (90.0, 0.35))
def monte_carlo_asian(S0, sigma, r=0.02, K=98.0):
    rng = np.random.default_rng(7)
    n_paths, n_steps = 20, 8
    dt = 1 / n_steps
    payoff = np.zeros(n_paths)
    for p in range(n_paths):
        S = S0
        total = 0
        for _ in range(n_steps):
            z = rng.standard_normal()
            S *= np.exp((r - 0.5 * sigma**2) * dt + sigma * np.sqrt(dt) * z)
            total += S
        payoff[p] = max(total / n_steps - K, 0)
    return np.exp(-r) * payoff.mean()


@at((100.0, 0.2))
def monte_carlo_vectorised(S0, sigma):
    np.random.seed(3)
    z = np.random.normal(size=(50, 4))
    steps = (0.02 - 0.5 * sigma**2) * 0.25 + sigma * 0.5 * z
    paths = S0 * np.exp(np.cumsum(steps, axis=1))
    payoff = np.where(paths[:, -1] > 100, paths[:, -1] - 100, 0.0)
    return payoff.mean(), payoff.std()


@at((0.2, 0.5, -0.3, 0.4), (0.2, 1.0, 0.1, 0.3))
def sabr(alpha, beta, rho, nu, F=1.1, K=1.0, T=2.0):
    fk = (F * K) ** ((1 - beta) / 2)
    logfk = math.log(F / K)
    z = nu / alpha * fk * logfk
    x = math.log((math.sqrt(1 - 2 * rho * z + z * z) + z - rho) / (1 - rho))
    a = (1 - beta) ** 2 / 24 * alpha**2 / fk**2
    b = rho * beta * nu * alpha / 4 / fk
    c = (2 - 3 * rho**2) / 24 * nu**2
    d = fk * (1 + (1 - beta) ** 2 / 24 * logfk**2 + (1 - beta) ** 4 / 1920 * logfk**4)
    return alpha * (1 + (a + b + c) * T) / d * z / x


@at((2.5, 3.0), (0.5, 3.0))
def crra_utility(gamma, wealth):
    if gamma == 1:
        return math.log(wealth)
    return wealth ** (1 - gamma) / (1 - gamma)


@at([0.02, 0.025, 0.03, 0.032])
def bootstrap_discounts(swap_rates):
    discounts = {}
    for year, rate in enumerate(swap_rates, 1):
        annuity = sum(discounts.values())
        discounts[year] = (1 - rate * annuity) / (1 + rate)
    forwards = {
        (a, b): discounts[a] / discounts[b] - 1 for a, b in itertools.pairwise(sorted(discounts))
    }
    return max(forwards.values()) + discounts[len(swap_rates)]


CURVE = {
    datetime.date(2024, 1, 1): 0.02,
    datetime.date(2025, 1, 1): 0.025,
    datetime.date(2026, 1, 1): 0.03,
}


@at(0.001, 0.01)
def shifted_curve(shift, on=datetime.date(2025, 7, 1)):
    dates = sorted(CURVE)
    for d0, d1 in zip(dates, dates[1:]):
        if d0 <= on <= d1:
            w = (on - d0).days / (d1 - d0).days
            return math.exp(-((1 - w) * CURVE[d0] + w * CURVE[d1] + shift) * 2)
    raise LookupError(on)


@at((0.06, 1e3), (0.03, 1e4))
def progressive_tax(rate, income):
    brackets = [(500.0, 0.0), (2000.0, 0.1), (math.inf, 0.3)]
    tax, low = 0.0, 0.0
    for high, extra in brackets:
        if income <= low:
            break
        tax += (min(income, high) - low) * (rate + extra)
        low = high
    return tax


@at([0.4, 0.1, 0.5])
def kelly_growth(fractions):
    outcomes = list(itertools.product([0.5, -0.4], repeat=3))
    growth = 0
    for outcome in outcomes:
        wealth = 1 + sum(f * o for f, o in zip(fractions, outcome))
        growth += math.log(wealth) if wealth > 0 else -100
    return growth / len(outcomes)


@at((0.1, 0.6), (0.3, 0.2))
def exponential_moving_signal(fast, slow):
    prices = [10, 10.5, 10.2, 11, 11.4, 11.1]

    def ema(alpha):
        value = None
        for p in prices:
            value = p if value is None else alpha * p + (1 - alpha) * value
            yield value

    crossing = [f - s for f, s in zip(ema(fast), ema(slow))]
    return crossing[-1] * np.mean(crossing) + np.ptp(crossing)
