"""What wengert says of wrong and unsupported usages: a table of them, each with its whole message.

`messages.txt` has the usages, an expression of ``x`` that is differentiated at `X`, or a call; and
what is raised. ``docs/make_messages.py`` makes a page of it. After a change of words,
``python tests/test_messages.py`` writes the table again: read the difference.
"""

from __future__ import annotations

import linecache
import re
import runpy
import warnings
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).with_name("messages.txt")
CALLS = "Calls of wengert"

PRELUDE = """
import array, decimal, json, math, os, pickle, struct
import numpy as np
import scipy.fft, scipy.integrate, scipy.interpolate, scipy.linalg, scipy.ndimage, scipy.optimize
import scipy.signal, scipy.spatial, scipy.stats
import scipy.sparse as sps
import scipy.sparse.linalg
import scipy.special as sp
import wengert as wg

X = np.array([0.5, 1.5, 2.0])
KEPT = []


def loss(x):
    return np.sum(x**2)


def keeps(x):
    KEPT.append(x * 2)
    return np.sum(x)


def into_integers(x):
    n = np.zeros(3, dtype=int, like=x)
    n[0] = x[0]
    return np.sum(n)


def too_large(x):
    y = x * 1.0
    y += np.ones((2, 3))
    return np.sum(y)


def into_a_view(x):
    y = np.broadcast_to(x, (2, 3))
    y[0] = 1.0
    return np.sum(y)


@wg.unfollowed
def stores(x):
    y = np.zeros(3)
    y[0] = x[0]
    return np.sum(y)


@wg.unfollowed
def adds(x):
    y = np.zeros(3)
    y += x
    return np.sum(y)
"""
FILES = ("<usage>", "<prelude>")


def raised(code: str, differentiated: bool) -> tuple[str, str]:
    """Run a usage; return the type and the text of what it raises, without the place."""
    scope: dict[str, Any] = {}
    exec(compile(PRELUDE, FILES[1], "exec"), scope)
    source = f"wg.grad(lambda x: {code})(X)\n" if differentiated else f"{code}\n"
    linecache.cache[FILES[0]] = (len(source), None, [source], FILES[0])
    linecache.cache[FILES[1]] = (len(PRELUDE), None, PRELUDE.splitlines(True), FILES[1])
    code_of = compile(source, FILES[0], "exec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as info:  # noqa: PT011
            exec(code_of, scope)
    text, found, place = str(info.value).partition("\n  at ")
    assert found, f"no line is named: {text}"
    assert place.startswith(FILES), place
    return type(info.value).__name__, " ".join(text.split())


def usages() -> list[tuple[str, str, str, str]]:
    """Return the group, the code, the type and the message of each usage."""
    found = []
    for group in re.split(r"^## ", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, rest = group.partition("\n")
        for code, kind, text in re.findall(r"^\$ (.+)\n(\w+): (.+)$", rest, re.MULTILINE):
            found.append((title, code, kind, text))
    return found


def same(got: str, want: str) -> bool:
    """Compare messages; shapes and dtypes of integers differ between systems."""
    return got.replace("int32", "int64") == want


@pytest.mark.parametrize(("title", "code", "kind", "text"), usages(), ids=lambda x: x[:40])
def test_a_usage_is_told(title, code, kind, text):
    got_kind, got = raised(code, title != CALLS)
    assert got_kind == kind
    assert same(got, text)


def test_there_are_many():
    found = usages()
    assert len(found) >= 60
    assert len({code for _, code, _, _ in found}) == len(found)


def test_messages_differ_and_are_sentences():
    """Few usages share a message, and each ends as a sentence does or with a form of a pytree."""
    texts = [text for _, _, _, text in usages()]
    assert len(set(texts)) > 0.9 * len(texts)
    assert all(len(text) > 30 for text in texts)


def test_the_page_is_up_to_date():
    docs = Path(__file__).resolve().parents[1] / "docs"
    made = runpy.run_path(str(docs / "make_messages.py"))["page"]()
    page = (docs / "messages.md").read_text(encoding="utf-8")
    assert page == made, "run python docs/make_messages.py"


def main() -> None:
    """Write the messages of the table again."""
    groups: dict[str, list[str]] = {}
    for title, code, _, _ in usages():
        kind, text = raised(code, title != CALLS)
        groups.setdefault(title, []).append(f"$ {code}\n{kind}: {text}\n")
    parts = [f"## {title}\n\n" + "\n".join(rows) for title, rows in groups.items()]
    TABLE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
