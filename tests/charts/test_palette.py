"""Colours of charts: contrast with both grounds, in grey, and for the colour-blind."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from wengert.charts import palette

GROUNDS = ("#ffffff", "#16181d")
# Viénot, Brettel and Mollon, *Digital video colourmaps for checking the legibility of displays by
# dichromats*, 1999: what a protanope and a deuteranope see, of linear RGB.
BLIND = {
    "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


def linear(colour):
    x = np.array(palette.rgb(colour))
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear sRGB."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("colour", palette.SERIES)
def test_each_colour_stands_out_from_the_page(colour, ground):
    assert palette.contrast(colour, ground) >= 3


@pytest.mark.parametrize("colour", [*palette.SERIES, *palette.colours_of(20)])
def test_numbers_on_a_colour_are_legible(colour):
    assert palette.contrast(palette.ink_on(colour), colour) >= 4.5


def test_the_passes_differ_in_grey():
    assert palette.contrast(palette.FORWARD, palette.BACKWARD) > 1.35


@pytest.mark.parametrize("kind", [None, *BLIND])
def test_the_first_colours_are_told_apart(kind):
    seen = [
        lab(linear(c) if kind is None else np.array(BLIND[kind]) @ linear(c))
        for c in palette.SERIES[:4]
    ]
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(a - b) > 14


@pytest.mark.parametrize("number", [1, 3, 7, 8, 30])
def test_there_are_as_many_colours_as_asked_for(number):
    made = palette.colours_of(number)
    assert len(set(made)) == number
    assert all(len(c) == 7 and palette.rgb(c) for c in made)


def test_contrast_of_known_pairs():
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
