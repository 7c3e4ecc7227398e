"""A picture of the losses over the epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from wengert.train import Metrics
from wengert.train.folder import write_text

__all__ = ["draw_losses"]

_WIDTH, _HEIGHT, _MARGIN = 640, 400, 56
_COLOURS = ("#1f77b4", "#d62728")


def draw_losses(folder: Path, history: Sequence[Metrics]) -> Path:
    """Write ``loss.png``, or ``loss.svg`` without matplotlib, into a folder; return its path."""
    curves = _curves(history)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        path = folder / "loss.svg"
        write_text(path, svg(curves))
        return path
    path = folder / "loss.png"
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="loss", yscale="log")
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=name)
    axes.legend()
    figure.savefig(path, dpi=120)
    return path


def _curves(history: Sequence[Metrics]) -> dict[str, list[tuple[float, float]]]:
    """Return the points of each curve that can be drawn on a logarithmic axis."""
    curves = {
        "training": [(float(m.epoch), m.train_loss) for m in history],
        "validation": [(float(m.epoch), m.validation_loss) for m in history],
    }
    drawable = {name: [p for p in points if p[1] > 0] for name, points in curves.items()}
    return {name: points for name, points in drawable.items() if points}


def svg(curves: dict[str, list[tuple[float, float]]]) -> str:
    """Return a small SVG with a logarithmic vertical axis.

    Parameters
    ----------
    curves : dict
        Points ``(epoch, loss)`` with losses above 0, by the curve's name.
    """
    points = [point for curve in curves.values() for point in curve] or [(0.0, 1.0)]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low = math.floor(min(math.log10(y) for _, y in points))
    high = max(math.ceil(max(math.log10(y) for _, y in points)), low + 1)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - first) / ((last - first) or 1.0)
        up = (math.log10(y) - low) / (high - low)
        return (
            _MARGIN + across * (_WIDTH - 2 * _MARGIN),
            _HEIGHT - _MARGIN - up * (_HEIGHT - 2 * _MARGIN),
        )

    parts = [_text(_WIDTH / 2, _HEIGHT - 14, "epoch", "middle")]
    for x in (first, last):
        parts.append(_text(place(x, 10.0**low)[0], _HEIGHT - _MARGIN + 18, f"{x:g}", "middle"))
    for power in range(low, high + 1):
        _, y = place(first, 10.0**power)
        parts.append(f'<path d="M{_MARGIN} {y:.1f}H{_WIDTH - _MARGIN}" stroke="#ddd"/>')
        parts.append(_text(_MARGIN - 6, y + 4, f"1e{power}", "end"))
    for i, (name, curve) in enumerate(curves.items()):
        line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{_COLOURS[i]}"/>')
        label = _text(_WIDTH - _MARGIN, 20 + 16 * i, f"{name} loss", "end", _COLOURS[i])
        parts.append(label)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'
