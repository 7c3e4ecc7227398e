"""Numbers as short words, for the labels of charts."""

from __future__ import annotations

__all__ = ["nbytes", "number", "seconds", "shortened"]


def number(x: float) -> str:
    """Return three digits and a unit: ``1.23 M``."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(x) >= 0.9995 * size:
            return f"{_three(x / size)} {unit}"
    return f"{x:.0f}" if float(x).is_integer() else f"{x:.3g}"


def nbytes(x: float) -> str:
    """Return bytes: ``1.5 MiB``."""
    for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if abs(x) >= size:
            return f"{_three(x / size)} {unit}"
    return f"{x:.0f} B"


def seconds(x: float) -> str:
    """Return seconds: ``1.2 ms``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(x) >= 0.9995 * size:
            return f"{_three(x / size)} {unit}"
    return f"{_three(x * 1e9)} ns" if x else "0"


def _three(x: float) -> str:
    """Return three digits without an exponent."""
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
