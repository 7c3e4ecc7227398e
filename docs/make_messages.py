"""Write `messages.md`: what wengert says of wrong and unsupported usages.

Usage: ``python docs/make_messages.py``. A test fails when the page and the table differ.
"""

from __future__ import annotations

import re
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "tests" / "messages.txt"

HEAD = """\
# What wengert says

A table of wrong and unsupported usages, with the message that each gives. Each message is
followed by the place in your own code, `at FILE:LINE: source`. `x` is what is differentiated,
`X` a plain array of three numbers, `sp` is `scipy.special`, and `sps` `scipy.sparse`. `python
docs/make_messages.py` writes this page from the table of the tests (`tests/messages.txt`), which
run every line of it. [Errors](errors.md) explains the types.
"""


def page() -> str:
    """Return the text of the page."""
    parts = [HEAD]
    for group in re.split(r"^## ", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, rest = group.partition("\n")
        parts.append(f"## {title}\n\n| you write | wengert says |\n|---|---|")
        for code, kind, text in re.findall(r"^\$ (.+)\n(\w+): (.+)$", rest, re.MULTILINE):
            told = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
            parts.append(f"| `{code}` | `{kind}`: {told} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("messages.md").write_text(page(), encoding="utf-8")
