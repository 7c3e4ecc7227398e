"""Whether a dense matrix fits in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import DenseTooLargeError, user_line
from wengert.sparse.detection.rows import total_memory

__all__ = ["check_dense"]


def check_dense(shape: tuple[int, int], dtype: Any, name: str) -> None:
    """Refuse a dense matrix that would not fit in memory.

    Raises
    ------
    DenseTooLargeError
        With the bytes that it would take.
    """
    needed = shape[0] * shape[1] * np.dtype(dtype).itemsize
    if needed < 1 << 28:
        return
    free = _free_memory()
    if free is not None and needed > free:
        raise DenseTooLargeError(
            f"{name}: a dense matrix of shape {shape} would take {needed:,} bytes, and "
            f"{free:,} are free. Use sparsity='auto', format='csr' (or format='operator' for "
            f"products only)." + user_line()
        )


def _free_memory() -> int | None:
    """Return the bytes of memory that are free, None where that is not known."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return total_memory()
