"""Writing a drawing to a file, by its ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wengert.drawing.model import Diagram
from wengert.drawing.page import page
from wengert.drawing.svg import svg
from wengert.drawing.text import dot, equations, mermaid, text
from wengert.errors import InputError, MissingExtraError, user_line

__all__ = ["ENDINGS", "save"]


def save(drawing: Diagram, path: str | Path, **options: Any) -> Path:
    """Write a drawing; see `Diagram.save`."""
    target = Path(path)
    write = ENDINGS.get(target.suffix.lower())
    if write is None:
        shown = ", ".join(ENDINGS)
        what = f"the ending {target.suffix!r}" if target.suffix else "a name without an ending"
        raise InputError(
            f"{what} of {str(path)!r} says no format that drawings have; write one of: {shown}"
            + user_line()
        )
    data = write(drawing, options)
    try:
        if isinstance(data, bytes):
            target.write_bytes(data)
        else:
            target.write_text(data, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, FileNotFoundError) and not target.parent.exists():
            reason = f"there is no folder {str(target.parent)!r}; make it first"
        raise type(error)(
            error.errno, f"the drawing cannot be written: {reason}", str(path)
        ) from None
    return target


def _text(write: Callable[[Diagram], str]) -> Callable[[Diagram, dict[str, Any]], str]:
    def written(drawing: Diagram, options: dict[str, Any]) -> str:
        if options:
            raise InputError(
                f"{', '.join(options)}: options of pictures, which this format is not" + user_line()
            )
        return write(drawing)

    return written


def _image(form: str) -> Callable[[Diagram, dict[str, Any]], bytes]:
    def written(drawing: Diagram, options: dict[str, Any]) -> bytes:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            what = f'drawing.save("graph.{form}")'
            raise MissingExtraError("matplotlib", "plot", what) from None
        from wengert.drawing.raster import image

        return image(drawing, form, **options)

    return written


def _html(drawing: Diagram, options: dict[str, Any]) -> str:
    return page(drawing, options.pop("title", None), options.pop("sections", ()), **options)


ENDINGS: dict[str, Callable[[Diagram, dict[str, Any]], str | bytes]] = {
    ".svg": lambda drawing, options: svg(drawing, **options),
    ".png": _image("png"),
    ".pdf": _image("pdf"),
    ".html": _html,
    ".dot": _text(dot),
    ".mmd": _text(mermaid),
    ".txt": _text(text),
    ".gv": _text(dot),
    ".mermaid": _text(mermaid),
    ".tex": _text(lambda drawing: equations(drawing, latex=True)),
}
