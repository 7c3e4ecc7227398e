"""mypy sees what comes out: each line of users.py says its type, or the error, behind it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

USERS = Path(__file__).with_name("users.py")


@pytest.mark.slow  # mypy reads NumPy's stubs: a minute without its cache
def test_the_types_of_a_users_code(tmp_path):
    api = pytest.importorskip("mypy.api")
    source = Path(__file__).resolve().parents[2]
    config = source / "pyproject.toml"
    options = ["--strict", f"--cache-dir={tmp_path}", f"--config-file={config}"]
    out, _, _ = api.run([*options, str(USERS)])
    said: dict[int, str] = {}
    for line in out.splitlines():
        found = re.match(r".*users\.py:(\d+): (error|note): (.*)", line)
        if found and "Possible overload" not in line and " def " not in line:
            said.setdefault(int(found[1]), found[3])
    for number, line in enumerate(USERS.read_text(encoding="utf-8").splitlines(), 1):
        code, _, wanted = line.partition("  # ")
        if code.startswith("reveal_type"):
            shown = re.sub(r"[\w.]+\.(\w+)", r"\1", said[number].removeprefix("Revealed type is "))
            assert shown.strip('"').startswith(wanted), f"{line}\n{said[number]}"
        elif wanted.startswith("error: "):
            assert wanted.removeprefix("error: ") in said.get(number, ""), line
        else:
            assert number not in said, said[number]
