"""Reading NPZ files that may be damaged or something else altogether."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

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
        # np.load leaves a file open that it opened itself and then cannot read.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise NotNpzError("it is a single array")
            with loaded:
                return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError) as error:
        raise NotNpzError(str(error) or type(error).__name__) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise NotNpzError(str(error)) from error
