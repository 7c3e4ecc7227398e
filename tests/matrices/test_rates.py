"""Rates of a machine: built in, or measured and kept in the user's cache."""

import json
import math

import numpy as np
import pytest

import wengert as wg
from wengert.matrices import rates as module
from wengert.matrices.work import QUANTITIES, work_of


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Keep what is measured out of the way of other tests."""
    monkeypatch.setenv("WENGERT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(module, "_FOUND", [])


def work(f, *args):
    return work_of(wg.jit(f).plan(*args).graph)


def test_the_rates_that_are_built_in_serve_without_calibration():
    found = module.rates()
    assert found.source == "built in"
    assert set(found.nanoseconds) == set(QUANTITIES)
    assert all(what in str(found) for what in QUANTITIES.values())


def test_what_is_measured_is_kept_and_found_by_later_processes(monkeypatch):
    made = wg.calibrate()
    assert all(math.isfinite(x) and x > 0 for x in made.nanoseconds.values())
    assert module.rates() is made
    monkeypatch.setattr(module, "_FOUND", [])  # as in another process
    assert module.rates().nanoseconds == made.nanoseconds
    assert module.rates().source == made.source


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"step": 1.0}', None], ids=["empty", "cut", "list", "other", "wrong"]
)
def test_a_file_that_is_none_is_left_alone(text):
    if text is None:
        text = json.dumps(dict.fromkeys(QUANTITIES, -1.0))
    path = module._path()
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    assert module.rates().source == "built in"


def test_without_a_cache_the_rates_hold_in_this_process(monkeypatch):
    monkeypatch.setenv("WENGERT_CACHE_DIR", "")
    made = wg.calibrate()
    assert made.source == "measured now"
    assert module.rates() is made


def test_work_is_what_the_loops_do():
    x = np.ones(1000)
    one = work(lambda x: np.exp(x) + x, x)
    assert one["call"] == 1000
    assert one["simple"] == 1000
    assert one["byte"] == 16000
    assert one["step"] == 1
    turned = work(lambda a: a.T + 0.5 * a, np.ones((40, 40)))
    assert turned["apart"] == 1600
    taken = work(lambda x: x[np.array([3, 1, 2] * 5)] * 2, x)
    assert taken["lookup"] == 15
    product = work(lambda a: a @ a, np.ones((64, 64)))
    assert product["product"] == 2 * 64**3
    solved = work(lambda a: np.linalg.inv(a) + 1, np.eye(5))
    assert solved["host"] >= 1
    number = work(lambda t: np.sin(t) * t, np.array(0.5))
    assert number["number_call"] == 1
    assert "byte" not in number


def test_loops_count_all_their_trips():
    def f(x):
        return wg.scan(lambda c, _: (np.sin(c), c), x, None, length=500)[0]

    found = work(f, np.array(0.5))
    assert found["number_call"] >= 500


def test_complex_graphs_are_counted_as_numpy_runs_them():
    found = work(lambda z: np.exp(z) * z, np.ones(4) + 1j)
    assert found["host"] >= 2
    assert module.rates().seconds(found) > 0
