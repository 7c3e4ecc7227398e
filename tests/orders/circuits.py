"""The four circuits with published counts, and what is known of each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent / "elimination"


class Known(NamedTuple):
    """Multiplications: of rules, published, and by long annealing; then with free edges of +-1."""

    forward: int
    reverse: int
    markowitz: int
    published: int
    annealed: int
    free_forward: int
    free_reverse: int
    free_markowitz: int
    free_annealed: int
    bound: int


KNOWN = {
    "RoeFlux_1d": Known(620, 364, 407, 320, 295, 362, 234, 280, 184, 223),
    "RobotArm_6DOF": Known(397, 301, 288, 231, 221, 227, 221, 179, 151, 221),
    "HumanHeartDipole": Known(240, 172, 194, 148, 148, 48, 60, 48, 48, 148),
    "PropaneCombustion": Known(151, 90, 111, 88, 88, 26, 26, 24, 24, 88),
}


def human_heart_dipole(x):
    """Return the residuals of the human heart dipole problem, all constants 1."""
    x1, x2, x3, x4, x5, x6, x7, x8 = x
    f1 = x1 + x2 - 1
    f2 = x3 + x4 - 1
    f3 = x5 * x1 + x6 * x2 - x7 * x3 - x8 * x4 - 1
    f4 = x7 * x1 + x8 * x2 + x5 * x3 + x6 * x4 - 1
    u = x5**2 - x7**2
    v = x6**2 - x8**2
    f5 = x1 * u - 2 * x3 * x5 * x7 + x2 * v - 2 * x4 * x6 * x8 - 1
    f6 = x3 * u - 2 * x1 * x5 * x7 + x4 * v - 2 * x2 * x6 * x8 - 1
    a = x5 * (x5**2 - 3 * x7**2)
    b = x7 * (x7**2 - 3 * x5**2)
    c = x6 * (x6**2 - 3 * x8**2)
    d = x8 * (x8**2 - 3 * x6**2)
    f7 = x1 * a + x3 * b + x2 * c + x4 * d - 1
    f8 = x3 * a - x1 * b + x4 * c - x2 * d - 1
    return np.array([f1, f2, f3, f4, f5, f6, f7, f8])


def propane_combustion(x):
    """Return the residuals of the full formulation of the combustion of propane."""
    x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11 = x
    p, r = 40, 10
    s = np.sqrt(p / x11)
    f1 = x1 + x4 - 3
    f2 = 2 * x1 + x2 + x4 + x7 + x8 + x9 + 2 * x10 - r
    f3 = 2 * x2 + 2 * x5 + x6 + x7 - 8
    f4 = 2 * x3 + x9 - 4 * r
    f5 = x2 * x4 - x1 * x5
    f6 = np.sqrt(x2 * x4) - np.sqrt(x1) * s * x6
    f7 = np.sqrt(x1 * x2) - np.sqrt(x4) * x7 * s
    f8 = x1 - x4 * x8 * p / x11
    f9 = x1 * np.sqrt(x3) - x4 * x9 * s
    f10 = x1**2 - x4**2 * x10 * p / x11
    f11 = x11 - x1 - x2 - x3 - x4 - x5 - x6 - x7 - x8 - x9 - x10
    return np.array([f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11])


FUNCTIONS = {
    "HumanHeartDipole": (human_heart_dipole, np.linspace(0.3, 1.1, 8)),
    "PropaneCombustion": (propane_combustion, np.linspace(0.3, 1.1, 11)),
}
"""Those that are written in NumPy, and a point."""
