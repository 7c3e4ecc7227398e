"""Solve Kepler's equation E - e sin(E) = M with a while loop, and differentiate the answer.

The number of Newton steps depends on the data. `jit` records and compiles the function once for
each number of steps that it meets; on later calls, guards on the outcomes of the `while` select the
recording.
"""

import numpy as np

import wengert as wg


def eccentric_anomaly(e, m):
    x = m + e * np.sin(m)
    while True:
        step = (x - e * np.sin(x) - m) / (1.0 - e * np.cos(x))
        x = x - step
        if abs(step) < 1e-13:
            return x


solve = wg.jit(wg.value_and_grad(eccentric_anomaly, argnums=(0, 1)))


def exact(e, m):
    """Derivatives of E by implicit differentiation: dE/de and dE/dM."""
    x = eccentric_anomaly(e, m)
    return np.sin(x) / (1.0 - e * np.cos(x)), 1.0 / (1.0 - e * np.cos(x))


def orbit(e, m):
    """Position on an orbit of semi-major axis 1."""
    x = eccentric_anomaly(e, m)
    return np.stack([np.cos(x) - e, np.sqrt(1.0 - e**2) * np.sin(x)])


def main():
    worst = 0.0
    print("   e     M           E       dE/de       dE/dM")
    for e in (0.1, 0.5, 0.9):
        for m in (0.2, 1.0, 2.5):
            value, (by_e, by_m) = solve(e, m)
            print(f"{e:4.1f} {m:5.1f} {value:11.7f} {by_e:11.7f} {by_m:11.7f}")
            error = np.abs(np.array([by_e, by_m]) - exact(e, m))
            worst = max(worst, *error)
    calls = 9
    info = solve.cache_info()
    print(f"largest error of a derivative: {worst:.1e}")
    print(f"{calls} calls, {info.traces} recordings, one for each number of Newton steps")

    velocity = wg.jacobian(orbit, argnums=1)(0.5, 1.0)
    radius = np.linalg.norm(orbit(0.5, 1.0))
    print(f"speed {np.linalg.norm(velocity):.7f}, from the energy {np.sqrt(2 / radius - 1):.7f}")
    return {"worst": worst, "info": info, "calls": calls}


if __name__ == "__main__":
    main()
