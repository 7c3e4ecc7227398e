"""Functions of Python that take no traced value: they are answered by name, with what to write.

Python's own errors would speak of a type that the user has never seen, and a text that was made of
a number has no derivative.
"""

from __future__ import annotations

import decimal
import fractions
import json
import struct
from typing import Any

import numpy as np

from wengert.trace.python.table import among, stands_for
from wengert.trace.refused import refused_by
from wengert.trace.tracer import RENDERED

__all__ = ["check_text"]


def _answer(f: Any, name: str) -> None:
    @stands_for(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        t = among(args, kwargs)
        if t is not None and t._trace.level:
            raise refused_by(name)
        return f(*args, **kwargs)


for _f, _name in (
    (json.dumps, "json.dumps"),
    (json.dump, "json.dump"),
    (decimal.Decimal, "decimal.Decimal"),
    (fractions.Fraction, "fractions.Fraction"),
    (struct.pack, "struct.pack"),
    (np.nditer, "numpy.nditer"),
    (memoryview, "memoryview"),
    (bytes, "bytes"),
):
    _answer(_f, _name)


def check_text(x: Any) -> None:
    """Raise where a text is that of a traced value, and is about to become a number again.

    Raises
    ------
    ConversionError
    """
    if type(x) is str and (x.startswith("Traced(") or any(x is text for text in RENDERED)):
        raise refused_by("float", f"was given {x!r}, the text of a traced value")
