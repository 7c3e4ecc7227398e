"""The flags of a traced array: those that follow from how its elements lie."""

from __future__ import annotations

from typing import Any

from wengert.errors import UnsupportedError, user_line
from wengert.trace import layout, memory

__all__ = ["Flags"]

_LETTERS = {
    "C": "c_contiguous", "CONTIGUOUS": "c_contiguous", "C_CONTIGUOUS": "c_contiguous",
    "F": "f_contiguous", "FORTRAN": "f_contiguous", "F_CONTIGUOUS": "f_contiguous",
    "FNC": "fnc", "FORC": "forc", "A": "aligned", "ALIGNED": "aligned",
    "W": "writeable", "WRITEABLE": "writeable", "O": "owndata", "OWNDATA": "owndata",
}  # fmt: skip


class Flags:
    """What `numpy.ndarray.flags` says of a traced array.

    Parameters
    ----------
    x : Tracer
    """

    __slots__ = ("_layout", "_shape", "_size")

    def __init__(self, x: Any) -> None:
        memory.decided()
        self._shape, self._layout, self._size = x.shape, memory.strides(x), x.dtype.itemsize

    @property
    def c_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return layout.is_c(self._shape, self._layout, self._size)

    @property
    def f_contiguous(self) -> bool:
        """Whether the elements lie in Fortran order without gaps."""
        return layout.is_f(self._shape, self._layout, self._size)

    contiguous = c_contiguous

    @property
    def fnc(self) -> bool:
        """Whether they lie in Fortran order, and not in C order."""
        return self.f_contiguous and not self.c_contiguous

    @property
    def forc(self) -> bool:
        """Whether they lie in one of the two orders."""
        return self.f_contiguous or self.c_contiguous

    @property
    def aligned(self) -> bool:
        """Whether elements lie where the processor reads them at once."""
        return True

    def __getitem__(self, name: str) -> bool:
        """Return a flag by its name."""
        if name not in _LETTERS:
            raise KeyError("Unknown flag")
        found: bool = getattr(self, _LETTERS[name])
        return found

    def __getattr__(self, name: str) -> Any:
        """Refuse what is not known of a traced array."""
        if name.startswith("__") or name not in ("writeable", "owndata", "writebackifcopy", "num",
                                                 "behaved", "carray", "farray"):  # fmt: skip
            raise AttributeError(name)
        raise UnsupportedError(
            f"whether a traced array is {name} is not known: the array that it stands for may be "
            "another one. Ask the argument before the function is differentiated, or write into a "
            "copy." + user_line()
        )
