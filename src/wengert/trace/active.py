"""The recordings at work in this thread."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["ACTIVE"]


class _Active(threading.local):
    def __init__(self) -> None:
        self.tapes: list[Any] = []
        self.recorders: list[Any] = []
        self.folds: list[Any] = []


ACTIVE = _Active()
"""Tapes, recorders of graphs and folds (`wengert.trace.folding`), outermost first."""
