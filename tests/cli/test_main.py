"""The command line as a process: ``python -m wengert``, its exit codes and its pipes."""

from __future__ import annotations

import subprocess
import sys

import pytest

FILE = """
import numpy as np


def f(x):
    return np.sum(np.sin(x) * x)
"""


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "f.py"
    path.write_text(FILE, encoding="utf-8")
    return f"{path}:f"


def run(*arguments, **options):
    command = [sys.executable, "-m", "wengert", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_it_runs_as_a_module(place):
    done = run("cost", place, "--at", "np.ones(3)")
    assert done.returncode == 0
    assert "operations" in done.stdout
    wrong = run("costs")
    assert wrong.returncode == 2
    assert "wengert: argument COMMAND: invalid choice: 'costs'" in wrong.stderr


def test_a_reader_may_stop_early(place):
    """``wengert cost ... --json | head`` ends in silence."""
    command = [sys.executable, "-m", "wengert", "cost", place, "--at", "np.ones(3)", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
