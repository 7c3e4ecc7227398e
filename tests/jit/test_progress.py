"""A long compilation says so on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest

from wengert.jit import progress
from wengert.jit.progress import Patience


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, seconds, term="xterm"):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "PATIENCE", 0.05)
    monkeypatch.setenv("TERM", term)
    with Patience("recording f ...") as patience:
        patience.say("compiling f, 3 operations ...")
        time.sleep(seconds)
    assert not [t for t in threading.enumerate() if t.name == "wengert"]
    return stream.getvalue()


def test_a_long_one(monkeypatch):
    assert "compiling f, 3 operations ..." in shown(monkeypatch, Terminal(), 0.5)


def test_a_terminal_that_takes_nothing_back(monkeypatch):
    shown_there = shown(monkeypatch, Terminal(), 0.5, "dumb")
    assert shown_there == "compiling f, 3 operations ...\n"


def test_a_short_one(monkeypatch):
    assert shown(monkeypatch, Terminal(), 0.0) == ""


def test_without_a_terminal(monkeypatch):
    assert shown(monkeypatch, io.StringIO(), 0.3) == ""


@pytest.mark.parametrize("stream", [None, "closed"])
def test_without_a_stream(monkeypatch, stream):
    if stream:
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with Patience("recording f ..."):
        pass


def test_an_error_ends_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "PATIENCE", 0.01)

    def interrupted():
        with Patience("recording f ..."):
            time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not [t for t in threading.enumerate() if t.name == "wengert"]
