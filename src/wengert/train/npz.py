"""Reading NPZ files that may be damaged or something else altogether."""

from __future__ import annotations

from pathlib import Path

from wengert.archive import ArchiveError, read_arrays
from wengert.train.params import Array

__all__ = ["NotNpzError", "read_npz"]


class NotNpzError(ValueError):
    """A file is damaged or not an NPZ file of plain arrays; the message says how it shows."""


def read_npz(path: Path) -> dict[str, Array]:
    """Return all arrays of an NPZ file, by name; nothing is unpickled.

    Raises
    ------
    FileNotFoundError
    NotNpzError
    """
    try:
        return read_arrays(path)
    except FileNotFoundError:
        raise
    except (OSError, ArchiveError) as error:
        raise NotNpzError(str(error)) from error
