"""A line on the terminal while a compilation takes long."""

from __future__ import annotations

import contextlib
import sys
import threading
from types import TracebackType

__all__ = ["Patience"]

PATIENCE = 1.0
"""Seconds after which a compilation says that it goes on."""


class Patience:
    """Shows what is done on standard error if it takes over a second; nothing without a terminal.

    Use as a context manager. The line goes away when it is done.

    Parameters
    ----------
    text : str
        What is done; `say` replaces it.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def say(self, text: str) -> None:
        """Show another text from now on."""
        self.text = text

    def __enter__(self) -> Patience:
        if _is_terminal():
            self._thread = threading.Thread(target=self._wait, name="wengert", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _wait(self) -> None:
        if self._done.wait(PATIENCE):
            return
        with contextlib.suppress(Exception):  # a terminal that cannot show it is no reason to fail
            from rich.console import Console

            console = Console(stderr=True)
            if console.is_dumb_terminal:  # nothing can be taken back there: each text is a line
                shown = None
                while shown is None or not self._done.wait(0.2):
                    if self.text != shown:
                        shown = self.text
                        console.print(shown, markup=False, highlight=False)
                return
            with console.status(self.text) as status:
                while not self._done.wait(0.2):
                    status.update(self.text)


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False
