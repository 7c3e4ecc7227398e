"""Fit a decaying oscillation to noisy data: Gauss-Newton by hand, and SciPy's least_squares.

Both use the exact Jacobian of the residuals. The standard errors come from it too.
"""

import numpy as np
from scipy.optimize import least_squares

import wengert as wg

rng = np.random.default_rng(0)
t = np.linspace(0.0, 10.0, 200)
truth = np.array([2.0, 0.3, 3.0, 0.5])  # amplitude, decay rate, angular frequency, phase
noise = 0.05


def model(p):
    amplitude, rate, omega, phase = p
    return amplitude * np.exp(-rate * t) * np.cos(omega * t + phase)


data = model(truth) + noise * rng.standard_normal(t.size)


def residuals(p):
    return (model(p) - data) / noise


jacobian = wg.jit(wg.jacobian(residuals))


def gauss_newton(p, steps=20, tolerance=1e-10):
    for k in range(steps):
        r, jac = residuals(p), jacobian(p)
        step, *_ = np.linalg.lstsq(jac, -r, rcond=None)
        p = p + step
        print(f"  step {k}: chi^2 = {r @ r:12.4f}, |step| = {np.linalg.norm(step):.1e}")
        if np.linalg.norm(step) < tolerance * np.linalg.norm(p):
            break
    return p


def main():
    start = np.array([1.5, 0.2, 2.9, 0.8])
    print("Gauss-Newton")
    ours = gauss_newton(start)
    jac = jacobian(ours)
    errors = np.sqrt(np.diag(np.linalg.inv(jac.T @ jac)))

    fit = least_squares(residuals, start, jac=jacobian)
    print(f"least_squares: {fit.nfev} evaluations of the residuals, {fit.njev} Jacobians")
    print("parameter      truth        fit   error   least_squares")
    for name, *row in zip(
        ("amplitude", "rate", "omega", "phase"), truth, ours, errors, fit.x, strict=True
    ):
        print(f"{name:<10} {row[0]:9.4f} {row[1]:10.4f} {row[2]:7.4f} {row[3]:15.4f}")
    return {"ours": ours, "scipy": fit.x, "errors": errors, "truth": truth}


if __name__ == "__main__":
    main()
