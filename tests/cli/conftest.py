"""The command line, run in the process of the tests."""

from __future__ import annotations

import numpy as np
import pytest

from wengert.cli.main import main


@pytest.fixture
def wengert(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command in an empty folder: (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def csv_file(tmp_path):
    """Write a CSV of two features, a class and a number that depend on them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 2))
    label = np.where(x.sum(axis=1) > 0, "up", "down")
    lines = [f"{a},{b},{c},{a - 2 * b}" for (a, b), c in zip(x, label, strict=True)]
    path = tmp_path / "points.csv"
    path.write_text("\n".join(["a,b,label,height", *lines]) + "\n", encoding="utf-8")
    return path
