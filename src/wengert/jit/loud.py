"""Calls under filters that make errors of warnings: compiled programs do not warn, NumPy does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wengert.backend.numpy import NumpyBackend
from wengert.jit.form import Form
from wengert.jit.record import record

__all__ = ["Loud"]

LARGEST = 20_000
"""Operations up to which they are written as a program; more are recorded again at each call."""


class Loud:
    """Says whether NumPy may warn in a call of a function.

    It runs all operations of the function, also those that no result needs, in NumPy. Where one of
    them would warn, the function itself has to be run. It may not warn then, because the operations
    of derivatives, which are silent, are among them.
    """

    def __init__(self, f: Callable[..., Any], form: Form) -> None:
        self._f = f
        self._form = form
        self._run: Callable[[Sequence[Any]], Any] | None = None

    def warns(self, leaves: Sequence[Any]) -> bool:
        """Whether it may warn for these data."""
        try:
            if self._run is None:
                recorded = record(self._f, leaves, self._form, whole=True)
                if recorded.why:
                    return True
                if len(recorded.graph.nodes) > LARGEST:
                    return False  # recording has computed them
                self._run = NumpyBackend().compile(recorded.graph).loud
            self._run(leaves)  # bodies of loops are recorded silently
        except Exception:  # the warning, or another path than the one recorded
            return True
        return False
