"""Settings of every test: repeatable examples, code compiled afresh, and everything checked."""

from __future__ import annotations

import os

import pytest
from hypothesis import Phase, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
settings.load_profile("repeatable")

# Before wengert is imported, and for processes that tests start: the user's cache is left alone.
os.environ["WENGERT_CACHE_DIR"] = ""

# All graphs and programs are checked as they are made, and native memory begins full of NaN.
os.environ.setdefault("WENGERT_VERIFY", "1")

from wengert.follow import functions  # noqa: E402


@pytest.fixture
def unfollowed(monkeypatch):
    """Run functions as they stand, which is what code that wengert cannot reach does."""
    monkeypatch.setattr(functions.STATE, "on", False)
