"""Machine code on disk, so that a second process starts at once.

An entry is a file named by the hash of everything that the code depends on: the LLVM assembly, the
version of LLVM, the platform, and the CPU with its features. The assembly holds all that this
library decides, so its version does not matter. An entry begins with the hash of its name and its
content, so a damaged or renamed one is noticed and ignored. Files are written beside their place
and moved there, which is safe under concurrent processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path

from wengert.files import write_atomic

__all__ = ["Cache", "default_folder"]

VARIABLE = "WENGERT_CACHE_DIR"
"""Environment variable with the folder of the cache; empty for none."""

LIMIT = 256 << 20
"""Bytes that all entries together may take."""


def default_folder() -> Path | None:
    """Return the folder that ``WENGERT_CACHE_DIR`` names, else one in the user's cache directory.

    Returns
    -------
    Path or None
        None, which turns the cache off, where the variable is empty or names the home of a user
        that there is not, and where there is no home directory. A relative ``HOME`` or
        ``XDG_CACHE_HOME`` counts as none.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        try:
            return Path(named).expanduser().absolute() if named.strip() else None
        except (RuntimeError, OSError):  # the home of a user that there is not; no working folder
            return None
    home = _absolute(os.path.expanduser("~") if os.environ.get("HOME") != "" else None)
    if sys.platform == "win32":
        base = _absolute(os.environ.get("LOCALAPPDATA")) or (home and home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home and home / "Library" / "Caches"
    else:
        base = _absolute(os.environ.get("XDG_CACHE_HOME")) or (home and home / ".cache")
    return base and base / "wengert" / "native"


def _absolute(name: str | None) -> Path | None:
    """Return a folder that does not depend on where the user stands, else None.

    The *XDG Base Directory Specification* has programs ignore a relative path.
    """
    return Path(name) if name and os.path.isabs(name) else None


def _digest(key: str, code: bytes) -> bytes:
    """Return the hash that an entry begins with: its key counts, so a renamed file is noticed."""
    return hashlib.sha256(key.encode() + code).digest()


class Cache:
    """Machine code by key. Every failure of the file system means that there is no entry."""

    def __init__(self, folder: Path | None, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit
        self._added: int | None = None  # bytes since the sizes were last added up

    @staticmethod
    def key(*parts: str) -> str:
        """Return the name of an entry."""
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def get(self, key: str) -> bytes | None:
        """Return an entry; None where there is none or it is damaged."""
        if self.folder is None:
            return None
        path = self.folder / key
        try:
            if path.stat().st_size > self.limit + 32:  # no entry is: it is not read
                return None
            data = path.read_bytes()
        except OSError:
            return None
        digest, code = data[:32], data[32:]
        if _digest(key, code) != digest:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # recently used entries are kept longest
        return code

    def put(self, key: str, code: bytes) -> None:
        """Add an entry, and remove the oldest ones beyond the limit."""
        if self.folder is None or len(code) > self.limit:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            entry = _digest(key, code) + code
            write_atomic(self.folder / key, lambda file: file.write(entry), durable=False)
            if self._added is None or self._added + len(code) > self.limit // 16:
                self._shrink()
                self._added = 0
            self._added += len(code)
        except OSError:
            return

    def _shrink(self) -> None:
        if self.folder is None:
            return
        entries = []
        with os.scandir(self.folder) as files:
            for file in files:
                with contextlib.suppress(OSError):
                    status = file.stat()
                    entries.append((status.st_mtime, status.st_size, file.path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.limit:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size

    def clear(self) -> None:
        """Remove all entries."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                path.unlink()
