"""What an error says: its type, its text, and the line of the user's code."""

from __future__ import annotations

import re
import sys

import pytest

from wengert.errors import WengertError


def raised(f):
    """Call `f`; return what it raises."""
    with pytest.raises(WengertError) as info:
        f()
    return info.value


def assert_says(error, kind, *parts, line):
    """Check type and text, and that the line shown is the user's: the one marked ``# <- line``."""
    assert type(error) is kind, repr(error)
    text = str(error)
    for part in parts:
        assert part in text, text
    place = sys._getframe(1).f_code.co_filename
    with open(place, encoding="utf-8") as file:
        marked = [i for i, source in enumerate(file, 1) if source.rstrip().endswith(f"# <- {line}")]
    (number,) = marked
    assert re.search(rf"\n  at {re.escape(place)}:{number}: \S", text), text
