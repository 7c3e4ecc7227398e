"""Colours: Okabe and Ito's, which people with any colour vision tell apart.

Masataka Okabe and Kei Ito, *Color universal design* (2008). In grey the passes differ by their
dashes, and what is kept by its dots.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DARK", "LIGHT", "OKABE_ITO", "REGIONS", "Palette", "mixed"]

REGIONS = 6
"""So many shades of devices."""

OKABE_ITO = {
    "black": "#000000", "orange": "#E69F00", "sky": "#56B4E9", "green": "#009E73",
    "yellow": "#F0E442", "blue": "#0072B2", "vermilion": "#D55E00", "purple": "#CC79A7",
}  # fmt: skip


class Palette(NamedTuple):
    """The colours of a theme, by what they are for."""

    paper: str
    ink: str
    faint: str
    line: str
    box: str
    forward: str
    backward: str
    kept: str
    read: str
    again: str
    second: str
    region1: str
    region2: str
    region3: str
    region4: str
    region5: str
    region6: str


LIGHT = Palette(
    "#ffffff", "#1b1f24", "#5d6670", "#c4cad1", "#f4f6f8",
    "#0072B2", "#C14E00", "#00785A", "#8a6d00", "#CC79A7", "#8a4e9e",
    "#F0E442", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#999999",
)  # fmt: skip
DARK = Palette(
    "#14181d", "#eef1f4", "#a2adb8", "#475059", "#1d232a",
    "#56B4E9", "#F0883E", "#35c79a", "#d8b84a", "#E39CC4", "#c59bd8",
    "#b8ac10", "#2f7fb5", "#0b8f6a", "#a8557f", "#b37a00", "#7d858d",
)  # fmt: skip


def mixed(a: str, b: str, part: float) -> str:
    """Return a colour between two: `part` of `b`."""
    pairs = [(int(a[k : k + 2], 16), int(b[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(x + (y - x) * part):02x}" for x, y in pairs)
