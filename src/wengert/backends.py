"""Backends by name."""

from __future__ import annotations

from collections.abc import Callable

from wengert.backend.base import Backend
from wengert.backend.native import NativeBackend
from wengert.backend.numpy import NumpyBackend
from wengert.errors import InputError, user_line

__all__ = ["BACKENDS", "make_backend"]

BACKENDS: dict[str, Callable[..., Backend]] = {"numpy": NumpyBackend, "native": NativeBackend}
"""Backends by name; each entry makes one. ``native`` is the default."""


def make_backend(name: str | None, fastmath: bool) -> Backend:
    """Make the backend of this name, the default one for None.

    Raises
    ------
    InputError
        For a name that there is not, or `fastmath` where it means nothing.
    """
    if name is None:
        name = "native"
    if not isinstance(name, str) or name not in BACKENDS:
        raise InputError(
            f"backend={name!r} is not one of {', '.join(sorted(BACKENDS))}" + user_line()
        )
    if not fastmath:
        return BACKENDS[name]()
    if name != "native":
        raise InputError(
            f'fastmath=True is for native code: wg.jit(f, backend="native", fastmath=True), not '
            f"backend={name!r}" + user_line()
        )
    return BACKENDS[name](fastmath=True)
