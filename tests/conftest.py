"""Settings of every test: repeatable examples, code compiled afresh, and everything checked."""

from __future__ import annotations

import collections
import gc
import os
import random

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

# What wengert imports on demand, so that no test that measures memory is the first to need it.
import llvmlite.binding  # noqa: E402, F401
import scipy.optimize  # noqa: E402, F401

import wengert.public  # noqa: E402, F401  (modules register what they add to tables)
from wengert.follow import functions  # noqa: E402
from wengert.trace import alarm  # noqa: E402

# Tests run under filters that make errors of warnings, which would run each compiled call twice.
alarm.FILTERS[0] = False


@pytest.fixture
def unfollowed(monkeypatch):
    """Run functions as they stand, which is what code that wengert cannot reach does."""
    monkeypatch.setattr(functions.STATE, "on", False)


def pytest_addoption(parser):
    parser.addoption("--one-in", type=int, default=1, help="run one case in N of each test")


def pytest_collection_finish():
    """Leave the tests themselves out of what the collector walks, in tests that call it."""
    gc.collect()
    gc.freeze()


def drawn(key, cases, one_in):
    """Draw one in so many cases, at least one, and always the same ones."""
    number = -(-len(cases) // one_in)
    return [cases[k] for k in sorted(random.Random(str(key)).sample(range(len(cases)), number))]


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    """Mark the cases slow that a test marked `share` leaves to the slow tests; take one in N.

    ``share(n)``: the quick tests take one case in n. With ``by=``, a function of the parameters,
    they take one in n of the cases of each kind, at least one of each.
    """
    groups = collections.defaultdict(list)
    for item in items:
        for mark in item.iter_markers("share"):
            by = mark.kwargs.get("by", lambda **_: "all")
            groups[named(item), str(by(**item.callspec.params)), mark.args[0]].append(item)
    for key, cases in groups.items():
        quick = set(map(id, drawn(key, cases, key[-1])))
        for item in cases:
            if id(item) not in quick:
                item.add_marker(pytest.mark.slow)
    yield  # to -m and -k
    one_in = config.getoption("--one-in")
    if one_in > 1:
        tests = collections.defaultdict(list)
        for item in items:
            tests[named(item)].append(item)
        items[:] = [item for name, cases in tests.items() for item in drawn(name, cases, one_in)]


def named(item):
    """Return the name of a test without its parameters."""
    return item.nodeid.partition("[")[0]


@pytest.fixture(scope="module")
def browser():
    """Return a headless browser, where there is one."""
    from browsers import started

    driver = started()
    yield driver
    driver.quit()
