"""Orders that were found, in memory and in the user's cache, under the hash of their graph."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import NamedTuple

from wengert.llvm.cache import Cache, default_folder

__all__ = ["Kept", "forget", "load", "save"]

VERSION = "1"
"""Changes when orders of an earlier version must not be used."""

LIMIT = 16 << 20
"""Bytes that the file of all orders may take."""

MOST = 512
"""Orders that are held in memory."""


class Kept(NamedTuple):
    """An order that was found.

    Attributes
    ----------
    order : tuple of int
    method : str
        What found it.
    effort : str
        What was spent on it.
    optimal : bool
    """

    order: tuple[int, ...]
    method: str
    effort: str
    optimal: bool = False


_MEMORY: OrderedDict[str, Kept] = OrderedDict()


def _cache() -> Cache:
    folder = default_folder()
    return Cache(folder and folder / "orders", LIMIT)


def load(key: str) -> Kept | None:
    """Return what was found for a graph; None where nothing was, or the file is damaged."""
    found = _MEMORY.get(key)
    if found is not None:
        return found
    data = _cache().get(Cache.key("order", VERSION, key))
    if data is None:
        return None
    try:
        order, method, effort, optimal = json.loads(data)
        found = Kept(tuple(map(int, order)), str(method), str(effort), bool(optimal))
    except (ValueError, TypeError):
        return None
    _remember(key, found)
    return found


def save(key: str, found: Kept) -> None:
    """Keep an order. No failure of the file system is an error."""
    _remember(key, found)
    _cache().put(Cache.key("order", VERSION, key), json.dumps(list(found)).encode())


def _remember(key: str, found: Kept) -> None:
    _MEMORY[key] = found
    _MEMORY.move_to_end(key)
    while len(_MEMORY) > MOST:
        _MEMORY.popitem(last=False)


def forget() -> None:
    """Forget what is in memory."""
    _MEMORY.clear()
