"""A drawing as users have it: it writes itself in every format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wengert.drawing import text as texts
from wengert.drawing.files import save
from wengert.drawing.model import Diagram, Section
from wengert.drawing.page import cell, page
from wengert.drawing.svg import svg
from wengert.errors import UnsupportedError

__all__ = ["Drawing"]


class Drawing(Diagram):
    """A function as a graph that can be looked at; see `wengert.draw`.

    Attributes
    ----------
    name : str
    nodes : tuple of Node
    edges : tuple of Edge
    groups : tuple of Group
    lines : tuple of Equation
        The equations of both passes.
    """

    def summary(self) -> list[tuple[str, str]]:
        """Return what the drawing shows in numbers: a name and a text for each."""
        return texts.summary(self)

    # --- writers ----------------------------------------------------------------------------------
    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the drawing to a file, in the format of its ending.

        Parameters
        ----------
        path : str or Path
            ``.svg``, ``.png``, ``.pdf``, ``.html`` (a page that needs no network), ``.dot``,
            ``.mmd`` (Mermaid), ``.txt`` or ``.tex`` (the equations); in a folder that exists.
        **options
            Those of `svg`, for pictures; those of `html`, for pages.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            For an ending that is not known; the message lists those that are.
        UnsupportedError
            For a graph that is too large for a picture.
        MissingExtraError
            Where matplotlib is missing, which writes PNG and PDF.
        OSError
            Where the path cannot be written.
        """
        return save(self, path, **options)

    def svg(
        self,
        theme: str = "light",
        heat: str = "operations",
        equations: bool = False,
        paper: str | None = None,
    ) -> str:
        """Return the picture as SVG.

        Parameters
        ----------
        theme : str
            ``light``, ``dark``, or ``auto`` for what the reader's system prefers.
        heat : str
            What fills the operators: ``operations``, ``time``, ``bytes`` or ``none``.
        equations : bool
            Whether the equations of both passes stand below the graph.
        paper : str, optional
            ``A4``, ``A3`` or ``letter``: the picture as it is to be printed, on as many sheets as
            it needs to be legible, below each other (of a PDF, one page each). A wide graph is cut
            between its columns into strips that stand above each other; a number says where a line
            goes on.
        """
        return svg(self, theme, heat, equations, paper)

    def html(self, title: str | None = None, sections: Sequence[Section] = ()) -> str:
        """Return one page with everything in it, to be looked at in a browser without a network.

        Parameters
        ----------
        title : str, optional
        sections : sequence of Section
            More to be shown beside the graph.
        """
        return page(self, title, sections)

    def dot(self) -> str:
        """Return the graph in the language of Graphviz."""
        return texts.dot(self)

    def mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart."""
        return texts.mermaid(self)

    def text(self) -> str:
        """Return the graph as plain text: a line for each node, and what it reads."""
        return texts.text(self)

    def equations(self, latex: bool = False) -> str:
        """Return the equations of the forward and the backward pass, as text or as LaTeX."""
        return texts.equations(self, latex)

    def latex(self) -> str:
        """Return the equations as LaTeX."""
        return self.equations(latex=True)

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg("light")
        except UnsupportedError:  # notebooks show another form then
            return None

    def _repr_html_(self) -> str:
        return cell(self)

    def __str__(self) -> str:
        """Return the plain text."""
        return self.text()

    def __repr__(self) -> str:
        """Return a line."""
        return (
            f"<Drawing of {self.name}: {len(self.nodes)} nodes, {len(self.edges)} edges, "
            f"{len(self.groups)} groups>"
        )
