"""A frame with two axes as SVG, in which marks are placed by their numbers.

Text takes the colour of what is around the drawing, so that it is legible on a light and on a
dark page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from wengert.charts.scales import Scale
from wengert.charts.styles import style

__all__ = ["Frame", "Mark", "alone", "drawing", "key", "wide"]

_WIDE = frozenset("mwMW@%—…0123456789")

Mark = str


def wide(words: str) -> float:
    """Return about how many pixels a text of 12 pixels takes."""
    return sum(7.7 if c in _WIDE or c.isupper() else 6.3 for c in words)


def text(
    x: float, y: float, words: str, anchor: str = "start", kind: str = "", colour: str = ""
) -> Mark:
    """Return a text that begins, has its middle, or ends at a place."""
    extra = f' class="{kind}"' * bool(kind) + f' fill="{colour}"' * bool(colour)
    at = f' text-anchor="{anchor}"' * (anchor != "start")
    return f'<text x="{x:.1f}" y="{y:.1f}"{at}{extra}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, colour: str, title: str = "") -> Mark:
    """Return a filled rectangle; its title is shown under the pointer."""
    shape = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
        f'fill="{colour}" class="edge"'
    )
    return f"{shape}><title>{escape(title)}</title></rect>" if title else f"{shape}/>"


def key(entries: Sequence[tuple[str, str]], x: float, y: float) -> tuple[list[Mark], float]:
    """Return a legend in a line, coloured squares and their names, and where it ends."""
    marks = []
    for name, colour in entries:
        marks.append(
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10" rx="2" fill="{colour}"/>'
        )
        marks.append(text(x + 15, y, name))
        x += 15 + wide(name) + 16
    return marks, x


def drawing(
    width: float, height: float, marks: Iterable[Mark], title: str, description: str = ""
) -> str:
    """Return the element ``svg``; title and description are what is read aloud."""
    about = f"<title>{escape(title)}</title>"
    about += f"<desc>{escape(description)}</desc>" if description else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wg-chart" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        f"{about}\n" + "\n".join(marks) + "\n</svg>"
    )


def alone(element: str) -> str:
    """Return an ``svg`` as the text of a file, with its style sheet."""
    head, rest = element.split(">", 1)
    return f"{head}><style>{style('chart')}{style('alone')}</style>{rest}\n"


class Frame:
    """A rectangle between two axes, with ticks, a grid, labels and a legend.

    Parameters
    ----------
    x, y : Scale
    width, height : float
        Of the whole drawing, in pixels.
    legend : sequence of (str, str)
        Names and their colours.
    left : float
        Room for the numbers at the left.
    """

    def __init__(
        self,
        x: Scale,
        y: Scale,
        width: float = 720,
        height: float = 300,
        legend: Sequence[tuple[str, str]] = (),
        left: float = 64,
    ) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height
        top = 38 if legend or y.label else 12
        self.left, self.right = left, width - 16
        self.top, self.bottom = top, height - (40 if x.label else 24)
        self.marks: list[Mark] = []
        self._axes()
        if y.label:
            self.marks.append(text(4, 14, y.label))
        if legend:
            needed = sum(31 + wide(name) for name, _ in legend)
            start = max(self.right - needed, 4 + wide(y.label) + 24)
            self.marks += key(legend, start, 14)[0]

    def across(self, x: float) -> float:
        """Return the pixel of a number along the horizontal axis."""
        return self.left + self.x.part(x) * (self.right - self.left)

    def up(self, y: float) -> float:
        """Return the pixel of a number along the vertical axis."""
        return self.bottom - self.y.part(y) * (self.bottom - self.top)

    def _axes(self) -> None:
        for y in self.y.ticks(4):
            place = self.up(y)
            self.marks.append(f'<path class="grid" d="M{self.left} {place:.1f}H{self.right}"/>')
            self.marks.append(text(self.left - 6, place + 4, self.y.show(y), "end", "small"))
        for x in self.x.ticks(8):
            place = self.across(x)
            self.marks.append(f'<path class="axis" d="M{place:.1f} {self.bottom}v4"/>')
            self.marks.append(text(place, self.bottom + 16, self.x.show(x), "middle", "small"))
        self.marks.append(f'<path class="axis" d="M{self.left} {self.bottom}H{self.right}"/>')
        if self.x.label:
            middle = (self.left + self.right) / 2
            self.marks.append(text(middle, self.height - 6, self.x.label, "middle"))

    def line(
        self, points: Iterable[tuple[float, float]], colour: str, dashed: bool = False
    ) -> None:
        """Add a line through points."""
        places = " ".join(f"{self.across(x):.1f},{self.up(y):.1f}" for x, y in points)
        extra = ' stroke-dasharray="5 4"' * dashed
        self.marks.append(f'<polyline class="line" points="{places}" stroke="{colour}"{extra}/>')

    def dot(self, x: float, y: float, colour: str, title: str = "", radius: float = 4) -> None:
        """Add a point."""
        about = f"<title>{escape(title)}</title>" if title else ""
        self.marks.append(
            f'<circle class="edge" cx="{self.across(x):.1f}" cy="{self.up(y):.1f}" r="{radius}" '
            f'fill="{colour}">{about}</circle>'
        )

    def steps(
        self,
        edges: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        colour: str,
        title: str = "",
    ) -> None:
        """Fill between two lines of steps, of which each lies between two neighbouring edges."""
        there, back = [], []
        for left, right, a, b in zip(edges[:-1], edges[1:], low, high, strict=True):
            there.append(f"{self.across(left):.1f},{self.up(b):.1f}")
            there.append(f"{self.across(right):.1f},{self.up(b):.1f}")
            back.append(f"{self.across(left):.1f},{self.up(a):.1f}")
            back.append(f"{self.across(right):.1f},{self.up(a):.1f}")
        points = " ".join(there + back[::-1])
        about = f"<title>{escape(title)}</title>" if title else ""
        self.marks.append(f'<polygon points="{points}" fill="{colour}">{about}</polygon>')

    def note(self, x: float, y: float, words: str, colour: str = "", above: bool = True) -> None:
        """Write beside a point, on the side where there is more room."""
        place, height = self.across(x), self.up(y) + (-6 if above else 14)
        right = place < (self.left + self.right) / 2
        anchor, shift = ("start", 6) if right else ("end", -6)
        self.marks.append(text(place + shift, height, words, anchor, "small", colour))

    def rule(self, y: float, words: str) -> None:
        """Draw a dashed line across at a height, and name it."""
        place = self.up(y)
        self.marks.append(
            f'<path class="axis" stroke-dasharray="4 4" d="M{self.left} {place:.1f}H{self.right}"/>'
        )
        self.marks.append(text(self.right, place - 5, words, "end", "small"))

    def fence(self, x: float, words: str) -> None:
        """Draw a dashed line upwards at a place, and name it."""
        place = self.across(x)
        self.marks.append(
            f'<path class="axis" stroke-dasharray="2 3" d="M{place:.1f} {self.top}V{self.bottom}"/>'
        )
        half = wide(words) / 2
        middle = min(max(place, self.left + half), self.right - half)
        self.marks.append(text(middle, self.top - 4, words, "middle", "small"))

    def svg(self, title: str, description: str = "") -> str:
        """Return the drawing."""
        return drawing(self.width, self.height, self.marks, title, description)
