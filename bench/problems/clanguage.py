"""C by hand: compiled with gcc into a temporary folder, called through ctypes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["FAST", "CFunction", "leaves"]

FAST = ("-ffast-math",)


def leaves(x: Any) -> list[Any]:
    """Return the arrays of nested tuples and lists, as NumPy's."""
    if isinstance(x, (tuple, list)):
        return [leaf for item in x for leaf in leaves(item)]
    return [np.asarray(x.detach() if hasattr(x, "detach") else x)]


class CFunction(NamedTuple):
    """A file with ``run``, which takes sizes, inputs, then where value and gradient go."""

    file: str
    sizes: tuple[int, ...]
    extra: tuple[Any, ...] = ()
    """Arrays that it takes after the problem's."""

    def load(self, args: tuple[Any, ...], *options: str) -> Callable[[], Any]:
        """Compile, and return a call that gives value and gradient for the first argument."""
        if shutil.which("gcc") is None:
            raise FileNotFoundError("gcc is not there")
        source = Path(__file__).parent / "c" / self.file
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "run.so"
            command = ["gcc", "-O3", "-march=native", *options, "-shared", "-fPIC"]
            subprocess.run([*command, str(source), "-o", str(library), "-lm"], check=True)
            run = ctypes.CDLL(str(library)).run  # stays loaded when the file is gone
        inputs = [*leaves(args), *self.extra]
        outputs = [np.zeros(()), *(np.zeros(x.shape) for x in leaves(args[0]))]
        sizes = [ctypes.c_long(n) for n in self.sizes]
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*inputs, *outputs)]

        def call() -> Any:
            run(*sizes, *pointers)
            return inputs and outputs  # keeps both alive

        return call
