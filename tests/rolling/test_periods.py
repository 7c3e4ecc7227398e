"""Stretches that repeat are found, and each is one."""

from __future__ import annotations

import numpy as np
import pytest

from wengert.rolling.periods import Stretch, stretches


def planted(seed):
    """Draw a sequence with a stretch that repeats; return it, and the stretch."""
    rng = np.random.default_rng(seed)
    period, trips = int(rng.integers(1, 40)), int(rng.integers(6, 20))
    body = rng.integers(0, 1 + seed % 7, period)
    if period > 1:
        body[0] = 99  # the period is no shorter
    before, after = (rng.integers(100, 100 + 1000, int(rng.integers(0, 50))) for _ in range(2))
    marks = np.concatenate([before, np.tile(body, trips), after])
    return marks, Stretch(len(before), len(before) + period * trips, period)


@pytest.mark.parametrize("seed", range(60))
def test_a_planted_loop_is_found(seed):
    marks, wanted = planted(seed)
    found = stretches(marks, 3, 2)
    assert wanted in found
    for s in found:
        assert np.array_equal(
            marks[s.start : s.stop - s.period], marks[s.start + s.period : s.stop]
        )


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_cannot_be_made_longer(seed):
    marks, _ = planted(seed)
    for s in stretches(marks, 3, 2):
        before, after = s.start - 1, s.stop
        assert before < 0 or marks[before] != marks[before + s.period]
        assert after >= len(marks) or marks[after] != marks[after - s.period]


def test_a_loop_in_a_loop_is_found_beside_it():
    body = np.array([1, *[2, 3] * 12, 4])
    found = stretches(np.tile(body, 9), 3, 4)
    assert Stretch(0, 9 * len(body), len(body)) in found
    assert Stretch(1, 25, 2) in found


def test_nothing_is_found_where_nothing_repeats():
    assert stretches(np.arange(500), 3, 4) == []
    assert stretches(np.zeros(0, np.int64), 3, 4) == []
    assert stretches(np.zeros(1, np.int64), 3, 1) == []


def test_a_stretch_knows_its_trips():
    s = Stretch(10, 35, 4)
    assert (s.trips, s.saved) == (6, 20)
