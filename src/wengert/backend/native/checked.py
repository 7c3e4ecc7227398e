"""Native programs whose memory is full of signalling NaNs before each run.

What was never written is then seen: in results as NaN, in positions as a number out of range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.backend.native.program import NativeProgram

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

    def run(self, inputs: Sequence[Any], outs: list[Any] | None = None) -> Sequence[Any]:
        """Poison the arena and the outputs, and run."""
        if outs is None:
            outs = [np.empty(shape, dtype) for shape, dtype in self._shapes]
        for y in outs:
            poison(y)
        try:
            memory = self._arenas.pop()
        except IndexError:
            memory = self._new_arena()
        poison(memory[0][: memory[0].size // 8 * 8].view(np.uint64))
        self._arenas.append(memory)
        return super().run(inputs, outs)
