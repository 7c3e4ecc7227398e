"""Writing a file so that at any moment there is either the old one or the new one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from wengert.train.errors import RunFolderError

__all__ = ["TEMPORARY", "write_atomic", "write_text"]

TEMPORARY = ".tmp"
"""Ending of the names of files that are not complete yet."""


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file, flush it to disk, and put it in the place of ``path``.

    Raises
    ------
    RunFolderError
        The file cannot be written. ``path`` is as it was.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise RunFolderError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "make room or allow writing there, or choose another folder: --out DIR"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 as `write_atomic` does."""
    write_atomic(path, lambda file: file.write(text.encode()))
