"""Axes and the words beside them."""

from __future__ import annotations

import pytest

from wengert.charts import words
from wengert.charts.scales import Scale, steps


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (5, 5, [5]),
        (0, 0.003, [0, 0.001, 0.002, 0.003]),
    ],
)
def test_steps(low, high, wanted):
    assert steps(low, high, 5) == pytest.approx(wanted)


def test_steps_of_bytes_are_powers_of_two():
    assert steps(0, 3 << 20, 4, binary=True) == [0, 1 << 20, 2 << 20, 3 << 20]


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0.1, 10, [0.1, 0.2, 0.5, 1, 2, 5, 10]), (1e-3, 1e3, [1e-3, 1e-1, 1e1, 1e3])],
)
def test_logarithmic_ticks(low, high, wanted):
    assert Scale(low, high, log=True).ticks(3) == pytest.approx(wanted)


def test_places():
    assert Scale(0, 4).part(1) == 0.25
    assert Scale(1, 100, log=True).part(10) == pytest.approx(0.5)
    assert Scale(2, 2).part(2) == 0


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (words.number, 0, "0"),
        (words.number, 999, "999"),
        (words.number, 999_999, "1 M"),
        (words.number, 1_234_567, "1.23 M"),
        (words.number, 0.25, "0.25"),
        (words.nbytes, 1536, "1.5 KiB"),
        (words.nbytes, 12, "12 B"),
        (words.nbytes, 660_000, "645 KiB"),
        (words.seconds, 0, "0"),
        (words.seconds, 1.5, "1.5 s"),
        (words.seconds, 0.00123, "1.23 ms"),
        (words.seconds, 4.2e-7, "420 ns"),
        (words.seconds, 4.2e-6, "4.2 µs"),
    ],
)
def test_words(write, value, text):
    assert write(value) == text


def test_shortened():
    assert words.shortened("abc", 3) == "abc"
    assert words.shortened("abcdefgh", 4) == "abc…"
