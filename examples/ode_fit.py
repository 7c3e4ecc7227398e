"""Estimate the rates of a predator-prey model from noisy counts, through a Runge-Kutta loop.

The integrator is a plain Python loop that updates its state in place and stores the path in an
array. Its gradient is exact for the discrete scheme.
"""

import numpy as np
from scipy.optimize import minimize

import wengert as wg

STEPS, H = 120, 0.1
truth = np.array([1.1, 0.4, 0.4, 0.1])
start = np.array([10.0, 5.0])  # prey, predators


def rate(y, p):
    prey, predators = y
    return np.stack(
        [p[0] * prey - p[1] * prey * predators, p[3] * prey * predators - p[2] * predators]
    )


def integrate(p):
    path = np.zeros((STEPS + 1, 2), like=p)  # like=p: an array that can hold traced values
    path[0] = start
    y = path[0].copy()
    for k in range(STEPS):
        k1 = rate(y, p)
        k2 = rate(y + 0.5 * H * k1, p)
        k3 = rate(y + 0.5 * H * k2, p)
        k4 = rate(y + H * k3, p)
        y += H / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        path[k + 1] = y
    return path


rng = np.random.default_rng(1)
data = integrate(truth) * np.exp(0.05 * rng.standard_normal((STEPS + 1, 2)))


def loss(log_p):
    return 0.5 * np.sum((np.log(integrate(np.exp(log_p))) - np.log(data)) ** 2)


def main():
    value_and_grad = wg.jit(wg.value_and_grad(loss))
    guess = np.log(truth * np.array([1.3, 0.8, 1.2, 0.8]))

    gradient = wg.grad(loss)(guess)
    direction = np.array([0.3, -0.5, 0.2, 0.1])
    h = 1e-6
    difference = (loss(guess + h * direction) - loss(guess - h * direction)) / (2 * h)
    print(f"along a direction: gradient {gradient @ direction:.6f}, differences {difference:.6f}")

    fit = minimize(value_and_grad, guess, jac=True, method="BFGS")
    print(f"BFGS: {fit.nit} steps, loss {loss(guess):.3f} -> {fit.fun:.3f}")
    for name, true, found in zip(
        ("prey birth", "predation", "predator death", "predator birth"),
        truth,
        np.exp(fit.x),
        strict=True,
    ):
        print(f"{name:<16} truth {true:.3f}  fit {found:.3f}")
    return {"fit": np.exp(fit.x), "truth": truth, "slopes": (gradient @ direction, difference)}


if __name__ == "__main__":
    main()
