"""Loops over arrays of integers, written in Python and compiled through LLVM.

A function under `compiled` is restricted Python: parameters are 1-D arrays (`Ints`, `Longs`,
`Flags`, `Floats`) and numbers (``int``, ``bool``, ``float``), and its body has assignments,
subscripts, arithmetic, comparisons, ``if``, ``while``, ``for ... in range(...)`` and calls of other
such functions. What lies outside raises a `TypeError` that names the line. All functions of a
Python module are compiled together, at the first call of one of them::

    @compiled
    def longest(indptr: Ints, n: int) -> int:
        best = 0
        for i in range(n):
            best = max(best, indptr[i + 1] - indptr[i])
        return best

Integers are of 64 bits in registers, whatever the array that they came from, and wrap around.
Compiled code checks no bounds. Under `plainly` the same functions run as the Python that they are,
with every index checked, as they do where LLVM cannot be used.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import inspect
import textwrap
import threading
from collections.abc import Callable, Iterator, MutableSequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from wengert.llvm.engine import compile_module
from wengert.loopc.signature import ARRAYS, Signature
from wengert.loopc.translate import PRELUDE, translate

__all__ = ["Flags", "Floats", "Ints", "Longs", "Loop", "compiled", "plainly"]

# To a type checker the elements are plain numbers, as they are in the code.
Ints: TypeAlias = MutableSequence[int]
"""A 1-D array of int32."""
Longs: TypeAlias = MutableSequence[int]
"""A 1-D array of int64."""
Flags: TypeAlias = MutableSequence[bool]
"""A 1-D array of bool."""
Floats: TypeAlias = MutableSequence[float]
"""A 1-D array of float64."""

_SCALARS = {"int": ctypes.c_int64, "bool": ctypes.c_int64, "float": ctypes.c_double}
_PLAIN: ContextVar[bool] = ContextVar("plain", default=False)
_MODULES: dict[str, dict[str, Loop]] = {}
_LOCK = threading.RLock()


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Run compiled functions as plain Python, every index checked, inside this context."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


class _Checked:
    """An array whose elements are Python numbers, and where a negative index is an error."""

    __slots__ = ("_view",)

    def __init__(self, array: Any) -> None:
        self._view = memoryview(array)

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: int) -> Any:
        if index < 0:
            raise IndexError(f"index {index} is negative")
        return self._view[index]

    def __setitem__(self, index: int, value: Any) -> None:
        if index < 0:
            raise IndexError(f"index {index} is negative")
        self._view[index] = value


@dataclass(frozen=True)
class _Native:
    """A function in memory, and what its arguments must be."""

    call: Any
    signature: Signature
    owner: object  # keeps the code alive

    def __call__(self, args: tuple[Any, ...]) -> Any:
        native: list[Any] = []
        for (_, kind), value in zip(self.signature.parameters, args, strict=True):
            if kind in ARRAYS:
                native += (value.ctypes.data, len(value))
            else:
                native.append(value)
        result = self.call(*native)
        return bool(result) if self.signature.result == "bool" else result


class Loop:
    """A function over arrays that runs natively where it can.

    Attributes
    ----------
    plain : callable
        The Python function that it was made from.
    """

    def __init__(self, plain: Callable[..., Any]) -> None:
        self.plain = plain
        self.name = plain.__name__
        self.module = plain.__module__
        self.__doc__ = plain.__doc__
        self._signature: Signature | None = None
        self._native: _Native | None = None
        self._failed = False

    @property
    def symbol(self) -> str:
        """The name of the native function."""
        return f"{self.module}.{self.name}"

    @property
    def signature(self) -> Signature:
        """Names and types of the parameters, and the type of the result."""
        if self._signature is None:
            self._signature = Signature.of(self.plain)
        return self._signature

    def tree(self) -> tuple[ast.FunctionDef, int, str]:
        """Return the function's syntax, the lines before it in its file, and the file."""
        lines, start = inspect.getsourcelines(self.plain)
        definition = ast.parse(textwrap.dedent("".join(lines))).body[0]
        assert isinstance(definition, ast.FunctionDef)
        return definition, start - 1, inspect.getsourcefile(self.plain) or "?"

    def __call__(self, *args: Any) -> Any:
        """Run the function.

        Raises
        ------
        TypeError
            If an argument is not what its annotation says: another dtype, not contiguous, or
            read-only where the function writes.
        """
        if any(type(value) is _Checked for value in args):  # called by a plain function
            return self.plain(*args)
        arrays = self._checked(args)
        if not _PLAIN.get():
            if self._native is None and not self._failed:
                self._compile()
            if self._native is not None:
                return self._native(args)
        return self.plain(
            *(_Checked(v) if is_array else v for v, is_array in zip(args, arrays, strict=True))
        )

    def _checked(self, args: tuple[Any, ...]) -> list[bool]:
        """Check arguments and return which are arrays."""
        parameters = self.signature.parameters
        if len(args) != len(parameters):
            raise TypeError(f"{self.name} takes {len(parameters)} arguments, {len(args)} given")
        arrays = []
        for (name, kind), value in zip(parameters, args, strict=True):
            arrays.append(kind in ARRAYS)
            if not arrays[-1]:
                continue
            dtype = ARRAYS[kind].dtype
            if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != 1:
                raise TypeError(f"{self.name}: {name} must be a 1-D array of {dtype}")
            flags = value.flags
            if not flags.c_contiguous or not (
                flags.writeable or name not in self.signature.written
            ):
                raise TypeError(f"{self.name}: {name} must be contiguous and writeable")
        return arrays

    def _compile(self) -> None:
        """Compile the functions of this one's module, with all that they call."""
        with _LOCK:
            if self._native is not None or self._failed:
                return
            members = list(_MODULES[self.module].values())
            try:
                texts: dict[str, str] = {}
                pending = list(members)
                while pending:
                    loop = pending.pop()
                    if loop.symbol not in texts:
                        texts[loop.symbol], called = translate(loop)
                        pending += called
                # One order, whatever the calls: the text is the key of the cache of code.
                text = "\n".join([PRELUDE, *(texts[symbol] for symbol in sorted(texts))])
                owner = compile_module(text, [loop.symbol for loop in members])
            except (ImportError, OSError, RuntimeError):
                # No LLVM for this machine, or no source: the functions run as they are.
                for loop in members:
                    loop._failed = True
                return
            for loop in members:
                loop._native = _Native(
                    _prototype(loop.signature)(owner.addresses[loop.symbol]), loop.signature, owner
                )


def _prototype(signature: Signature) -> Any:
    arguments: list[Any] = []
    for _, kind in signature.parameters:
        arguments += (ctypes.c_void_p, ctypes.c_int64) if kind in ARRAYS else (_SCALARS[kind],)
    result: Any = _SCALARS.get(signature.result)
    return ctypes.CFUNCTYPE(result, *arguments)


def compiled(function: Callable[..., Any]) -> Loop:
    """Make a module-level function of restricted Python a native one (see the module)."""
    loop = Loop(function)
    _MODULES.setdefault(loop.module, {})[loop.name] = loop
    return loop
