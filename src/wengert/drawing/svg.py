"""SVG of a drawing, light, dark, or as the reader's system prefers."""

from __future__ import annotations

from html import escape

from wengert.drawing.model import Diagram
from wengert.drawing.palette import DARK, LIGHT, Palette
from wengert.drawing.paper import sheets
from wengert.drawing.scene import scene
from wengert.drawing.shapes import Line, Scene, Shape, Text
from wengert.errors import InputError, user_line

__all__ = ["THEMES", "svg"]

THEMES = ("light", "dark", "auto")
FONT = "DejaVu Sans, Verdana, Segoe UI, Helvetica, Arial, sans-serif"


def svg(
    drawing: Diagram,
    theme: str = "light",
    heat: str = "operations",
    equations: bool = False,
    paper: str | None = None,
) -> str:
    """Return a drawing as SVG; see `Drawing.svg`."""
    check_theme(theme)
    if paper is None:
        return _written(scene(drawing, heat, equations), theme)
    pages = sheets(drawing, paper, heat, equations)
    first = pages[0].scene
    made = Scene(first.w, first.h * len(pages), [], [], [], [], first.title, first.placing)
    for k, page in enumerate(pages):  # below each other
        y = k * first.h
        made.boxes.extend(s._replace(y=s.y + y) for s in page.scene.boxes)
        made.add(page.scene.lines, page.scene.shapes, page.scene.texts, 0.0, y)
    size = f"{pages[0].w:g}mm", f"{pages[0].h * len(pages):g}mm"
    return _written(made, theme, size)


def check_theme(theme: str) -> None:
    """Raise for a theme that does not exist."""
    if theme not in THEMES:
        raise InputError(
            f"theme={theme!r} is not known; write one of: {', '.join(map(repr, THEMES))}"
            + user_line()
        )


def _written(s: Scene, theme: str, size: tuple[str, str] | None = None) -> str:
    palette = DARK if theme == "dark" else LIGHT
    w, h = f"{s.w:g}", f"{s.h:g}"
    wide, high = size or (w, h)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{wide}" '
        f'height="{high}" font-family="{FONT}" role="img" class="wengert-{theme}">',
        f"<title>{escape(s.title)}</title>",
        _style(palette, theme),
        f'<rect class="f-paper" width="{w}" height="{h}"/>',
        *map(_shape, s.boxes),
        *map(_line, s.lines),
        *map(_shape, s.shapes),
        *map(_text, s.texts),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _rules(palette: Palette, theme: str) -> str:
    here = f".wengert-{theme}"
    return "".join(
        f"{here} .f-{n}{{fill:{c}}}{here} .s-{n}{{stroke:{c}}}"
        for n, c in (*palette._asdict().items(), ("none", "none"))
    )


def _style(palette: Palette, theme: str) -> str:
    rules = _rules(palette, theme)
    if theme == "auto":
        rules += f"@media (prefers-color-scheme:dark){{{_rules(DARK, theme)}}}"
    return f"<style>{rules}</style>"


def _n(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _titled(body: str, name: str, title: str) -> str:
    return f"<{body}><title>{escape(title)}</title></{name}>" if title else f"<{body}/>"


def _shape(s: Shape) -> str:
    r = min(s.r, s.h / 2, s.w / 2)
    dash = f' stroke-dasharray="{s.dash}"' if s.dash else ""
    key = f' data-key="{escape(s.key)}"' if s.key else ""
    opacity = f' fill-opacity="{s.opacity:.2f}"' if s.opacity < 1 else ""
    return _titled(
        f'rect x="{_n(s.x - s.w / 2)}" y="{_n(s.y - s.h / 2)}" width="{_n(s.w)}" '
        f'height="{_n(s.h)}" rx="{_n(r)}" class="f-{s.fill} s-{s.stroke}"{opacity} '
        f'stroke-width="{s.width:g}"{dash}{key}',
        "rect", s.title,
    )  # fmt: skip


def _line(s: Line) -> str:
    (x, y), rest = s.points[0], s.points[1:]
    pieces = [
        "C" + " ".join(f"{_n(a)},{_n(b)}" for a, b in rest[k : k + 3])
        for k in range(0, len(rest), 3)
    ]
    dash = f' stroke-dasharray="{s.dash}"' if s.dash else ""
    made = _titled(
        f'path d="M{_n(x)},{_n(y)}{"".join(pieces)}" class="f-none s-{s.stroke}" '
        f'stroke-width="{s.width:g}"{dash}',
        "path", s.title,
    )  # fmt: skip
    if s.head:
        corners = " ".join(f"{_n(a)},{_n(b)}" for a, b in s.head)
        made += f'<polygon points="{corners}" class="f-{s.stroke}"/>'
    return made


def _text(s: Text) -> str:
    bold = ' font-weight="bold"' if s.bold else ""
    anchor = "" if s.anchor == "start" else f' text-anchor="{s.anchor}"'
    of = f' data-of="{escape(s.of)}"' if s.of else ""
    return (
        f'<text x="{_n(s.x)}" y="{_n(s.y + 0.35 * s.size)}" font-size="{s.size:g}" '
        f'class="f-{s.fill}"{bold}{anchor}{of}>{escape(s.text)}</text>'
    )
