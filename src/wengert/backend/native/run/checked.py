"""Native programs whose memory is full of signalling NaNs before each run.

What was never written is then seen: in results as NaN, in positions as a number out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.backend.native.run.program import NativeProgram

__all__ = ["POISON", "CheckedProgram", "poison"]

POISON = 0x7FF4DEAD7FA0DEAD
"""A signalling NaN in double precision, two NaNs in single precision, and large whole numbers."""


def poison(x: np.ndarray[Any, Any]) -> None:
    """Fill a contiguous array, of any dtype of native code."""
    size = x.dtype.itemsize
    if size in (4, 8):
        x.view(f"u{size}")[...] = POISON % (1 << 8 * size)
    else:
        whole = x.reshape(-1).view(np.uint8)
        whole[...] = np.resize(np.frombuffer(POISON.to_bytes(8, "little"), np.uint8), whole.shape)


class CheckedProgram(NativeProgram):
    """A native program as tests run it."""

    @staticmethod
    def _empty(shape: Any, dtype: Any) -> Any:
        y = np.empty(shape, dtype)
        poison(y)
        return y

    def _new_arena(self) -> tuple[Any, int]:
        return _poisoned(super()._new_arena())

    def _take(self) -> tuple[Any, int]:
        return _poisoned(super()._take())

    def run(self, inputs: Sequence[Any], outs: list[Any] | None = None) -> Sequence[Any]:
        """Run with poisoned outputs."""
        for y in outs or ():
            poison(y)
        return super().run(inputs, outs)


def _poisoned(memory: tuple[Any, int]) -> tuple[Any, int]:
    poison(memory[0][: memory[0].size // 8 * 8].view(np.uint64))
    return memory
