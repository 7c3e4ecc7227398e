"""Record the functions of wengert that a call enters, in order."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

__all__ = ["Walk", "walk"]


class Walk(NamedTuple):
    """What a call passed.

    Attributes
    ----------
    hops : list of str
        ``module.function`` of each call of a function in wengert's source, in order.
    """

    hops: list[str]

    @property
    def modules(self) -> int:
        """How many modules it visited."""
        return len({_module(hop) for hop in self.hops})

    @property
    def changes(self) -> int:
        """How often a call went to another folder than the call before it."""
        folders = [_module(hop).rpartition(".")[0] for hop in self.hops]
        return sum(a != b for a, b in itertools.pairwise(folders))

    def passes(self, hops: list[str]) -> str | None:
        """Return the first of some hops that does not come after those before it, or None."""
        rest = iter(self.hops)
        for hop in hops:
            if hop not in rest:
                return hop
        return None

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{len(self.hops):6} calls, {self.modules:3} modules, {self.changes:5} folder changes"
        )


def _module(hop: str) -> str:
    return hop.partition(":")[0]


def walk(f: Callable[..., Any], *args: Any) -> Walk:
    """Call ``f(*args)`` and record which functions of wengert it entered.

    Functions written at run time, such as the way into a compiled program, count as the module
    named ``<...>`` in their code.
    """
    import wengert

    root = Path(wengert.__file__).parent
    names: dict[str, str | None] = {}

    def module(file: str) -> str | None:
        if file not in names:
            if file.startswith(str(root)):
                inner = Path(file).relative_to(root).with_suffix("").parts
                names[file] = ".".join(inner[:-1] if inner[-1] == "__init__" else inner)
            else:
                names[file] = file if file.startswith("<wengert") else None
        return names[file]

    hops: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (where := module(frame.f_code.co_filename)) is not None:
            hops.append(f"{where}:{frame.f_code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        f(*args)
    finally:
        sys.setprofile(before)
    return Walk(hops)
