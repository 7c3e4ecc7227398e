"""Settings of every test: hypothesis draws the same examples, and all code is compiled afresh."""

from __future__ import annotations

import os

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
