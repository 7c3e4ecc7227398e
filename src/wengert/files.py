"""Files: written whole or not at all, and NPZ archives read without trusting them.

An archive may be damaged, tampered with, or something else altogether. Nothing is unpickled, and
nothing is allocated for what the file itself does not hold: sizes in headers are compared with what
is there first.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import signal
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["ArchiveError", "digest_of", "read_arrays", "write_atomic"]

Array = np.ndarray[Any, np.dtype[Any]]

PACKED = 1100
"""Most bytes that one byte of a compressed file can stand for (deflate: 1032)."""


def write_atomic(
    path: str | os.PathLike[str],
    write: Callable[[BinaryIO], object],
    *,
    temporary: str | None = None,
    durable: bool = True,
) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in the place of `path`.

    At any moment there is either the old file or the whole new one. An interrupt from the keyboard
    is taken when the file is complete, so that no temporary file is left.

    Parameters
    ----------
    path : path
    write : callable
        Called with the open temporary file.
    temporary : str, optional
        Name of the temporary file, for a folder with a single writer that clears up after a run
        that was killed. By default a new name that starts with a dot.
    durable : bool, optional
        Whether the content is on the disk before it takes the place of the old file.

    Raises
    ------
    OSError
        The file cannot be written. `path` is as it was.
    """
    target = Path(path)
    with _interrupts_wait():
        if temporary is None:
            number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            file = os.fdopen(number, "wb")
        else:
            name = os.fspath(target.with_name(temporary))
            file = open(name, "wb")  # noqa: SIM115  (closed before it is renamed)
        try:
            with file:
                write(file)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(name, target)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hand an interrupt to its handler at the end.

    Python calls handlers in its main thread alone, between any two instructions: also between the
    one that makes a file and the one that enters the ``try`` which removes it.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[Any, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[-1])


class ArchiveError(ValueError):
    """A file is damaged or no NPZ file of plain arrays; the message says how it shows."""


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return all arrays of an NPZ file, by name.

    Raises
    ------
    OSError
        For a file that cannot be opened.
    ArchiveError
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                names = [m.filename for m in members]
                if len(set(names)) < len(names):
                    raise ArchiveError("it holds a name twice")
                return {
                    m.filename.removesuffix(".npy"): _member(archive, m)
                    for m in members
                    if m.filename.endswith(".npy")
                }
        except ArchiveError:
            raise
        except Exception as error:  # whatever zipfile, zlib and NumPy make of a damaged file
            raise ArchiveError(str(error) or type(error).__name__) from error


def _member(archive: zipfile.ZipFile, about: zipfile.ZipInfo) -> Array:
    """Read one array."""
    name = about.filename
    if about.file_size > PACKED * (about.compress_size + 1):
        raise ArchiveError(f"{name} cannot hold the {about.file_size:,} bytes that it claims")
    with archive.open(about) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            header = np.lib.format.read_array_header_2_0(file)
        else:
            raise ArchiveError(f"{name} is of version {version} of NumPy's format")
        shape, in_columns, dtype = header
        if dtype.hasobject:
            raise ArchiveError(f"{name} holds Python objects, which are not read")
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ArchiveError(f"{name} claims the shape {shape}")
        claimed, left = math.prod(shape) * dtype.itemsize, about.file_size - file.tell()
        if claimed != left:
            raise ArchiveError(
                f"{name} claims shape {shape} and dtype {dtype}, {claimed:,} bytes, but holds "
                f"{left:,}"
            )
        data = bytearray(file.read())  # a wrong check sum raises here
        if len(data) != claimed:
            raise ArchiveError(f"{name} ends after {len(data):,} of {claimed:,} bytes")
    flat = np.frombuffer(data, dtype) if claimed else np.zeros(math.prod(shape), dtype)
    return flat.reshape(shape, order="F" if in_columns else "C")


def digest_of(arrays: dict[str, Any]) -> Array:
    """Return a hash of arrays and their names but ``digest``: 32 bytes, as an array."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        if name != "digest":
            x = np.asarray(arrays[name])
            total.update(f"{name} {x.dtype.str} {x.shape} ".encode())
            total.update(x.tobytes())
    return np.frombuffer(total.digest(), np.uint8)
