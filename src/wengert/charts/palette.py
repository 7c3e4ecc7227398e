"""The colours of charts, legible on white and on black, in grey, and for the colour-blind.

They follow Okabe and Ito, *Color universal design*, 2008, with orange darkened, so that each has a
contrast of at least 3 to 1 with white and with the black of a dark page (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

import colorsys

__all__ = [
    "BACKWARD",
    "FORWARD",
    "OTHER",
    "PASSES",
    "SERIES",
    "colours_of",
    "contrast",
    "ink_on",
    "rgb",
]

FORWARD = "#0072b2"
"""Blue: the forward pass, and the first of several series."""
BACKWARD = "#c77700"
"""Orange: the backward pass, and the second of several series."""
OTHER = "#767676"
"""Grey: what is left over."""
SERIES = (FORWARD, BACKWARD, "#009e73", "#cc79a7", "#7b6fd0", "#3a8fc7", "#d55e00", OTHER)

PASSES = {
    "residual": "#009e73",
    "forward": FORWARD,
    "backward": BACKWARD,
    "workspace": "#cc79a7",
}
"""What is kept for the derivative, what the passes make and use up, and the workspace of a step."""


def rgb(colour: str) -> tuple[float, float, float]:
    """Return red, green and blue from 0 to 1 of ``#rrggbb``."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG 2.2 defines it."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """Return black or white, whichever is more legible on a colour."""
    return max("#ffffff", "#000000", key=lambda ink: contrast(ink, colour))


def _luminance(colour: str) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def colours_of(number: int) -> list[str]:
    """Return so many colours: the series where they suffice, else steps through the hues.

    Beyond the series, neighbours differ in lightness too, since hues alone are not told apart by
    everybody.
    """
    if number < len(SERIES):
        return list(SERIES[:number])
    made = []
    for i in range(number):
        hue = (0.55 + i * 0.381966) % 1.0  # the golden section: no two of a few are near
        parts = colorsys.hls_to_rgb(hue, (0.34, 0.5, 0.42)[i % 3], 0.62)
        made.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return made
