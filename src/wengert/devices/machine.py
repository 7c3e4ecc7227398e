"""What bounds a computer: operations a second, and bytes a second.

A computation that does F operations on B bytes takes at least ``max(F / flops, B / bandwidth)``
seconds (Williams, Waterman and Patterson, *Roofline*, Communications of the ACM 52, 2009).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Machine", "measured"]

ORDER = 768
"""Order of the matrices whose product is timed."""
ELEMENTS = 4_000_000
"""Length of the arrays whose sum is timed: 32 MB each, more than caches hold."""
ROUNDS = 5

_LOCK = threading.Lock()
_MEASURED: list[Machine] = []


@dataclass(frozen=True)
class Machine:
    """Peaks of a computer.

    Attributes
    ----------
    flops : float
        Operations a second; a multiply-add is two.
    bandwidth : float
        Bytes read and written a second.
    name : str
    """

    flops: float
    bandwidth: float
    name: str = "given"

    def seconds(self, flops: float, nbytes: float) -> float:
        """Return the least time for so many operations on so many bytes."""
        return max(flops / self.flops, nbytes / self.bandwidth)

    @property
    def ridge(self) -> float:
        """Operations a byte from which on arithmetic bounds, not memory."""
        return self.flops / self.bandwidth

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.name}: {self.flops / 1e9:.3g} billion operations a second, "
            f"{self.bandwidth / 1e9:.3g} GB a second"
        )


def measured() -> Machine:
    """Return the peaks of this computer in float64, measured once a process (about 0.2 s).

    The best of several products of matrices, and of sums of long arrays, in NumPy as it is set up:
    its BLAS may use several threads, the sum uses one.
    """
    with _LOCK:
        if not _MEASURED:
            a, b = np.ones((2, ORDER, ORDER))
            x, y, z = np.ones((3, ELEMENTS))
            flops = 2.0 * ORDER**3 / _best(lambda: a @ b)
            bandwidth = 3.0 * x.nbytes / _best(lambda: np.add(x, y, out=z))
            _MEASURED.append(Machine(flops, bandwidth, "measured here"))
        return _MEASURED[0]


def _best(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
