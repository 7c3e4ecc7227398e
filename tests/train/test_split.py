from __future__ import annotations

import numpy as np
import pytest

from wengert.train import DataError, Dataset, split


def classes(counts, rng):
    y = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    x = rng.normal(2.0, 3.0, size=(len(y), 4))
    return Dataset("made up", x, y, tuple("abcdef"[: len(counts)]))


def test_a_quarter_of_each_class_is_held_out(rng):
    data = classes([400, 40, 8], rng)
    parts = split(data, rng, validation=0.1)
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 448
    np.testing.assert_allclose(parts.test.y.sum(axis=0), [100, 10, 2], atol=1)
    np.testing.assert_allclose(parts.validation.y.sum(axis=0), [30, 3, 0.6], atol=1)


def test_parts_do_not_overlap(rng):
    data = Dataset("rows", np.arange(100.0)[:, None], rng.normal(size=100), ())
    parts = split(data, rng)
    rows = [
        np.round(part.x[:, 0] * parts.scaling.x_scale + parts.scaling.x_mean)
        for part in (parts.train, parts.validation, parts.test)
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(100))


def test_scaling_is_fitted_on_the_training_part_only(rng):
    parts = split(classes([50, 50], rng), rng)
    np.testing.assert_allclose(parts.train.x.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(parts.train.x.std(axis=0), 1)
    assert np.abs(parts.test.x.mean(axis=0)).max() > 1e-3


def test_real_targets_are_standardised(rng):
    data = Dataset("line", rng.normal(size=(80, 2)), rng.normal(100.0, 20.0, size=80), ())
    parts = split(data, rng, validation=0.0)
    assert parts.train.y.shape == (60, 1)
    assert parts.train.y.mean() == pytest.approx(0, abs=1e-14)
    assert parts.train.y.std() == pytest.approx(1)
    assert len(parts.validation) == 0


def test_constant_columns_do_not_divide_by_zero(rng):
    x = np.column_stack([np.full(40, 0.1), rng.normal(size=40)])
    parts = split(Dataset("c", x, rng.integers(2, size=40), ("a", "b")), rng)
    np.testing.assert_allclose(parts.test.x[:, 0], 0, atol=1e-15)


def test_the_seed_decides(rng):
    data = classes([30, 30], rng)
    one, again, other = (split(data, np.random.default_rng(s)) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.test.x, again.test.x)
    assert not np.array_equal(one.test.x, other.test.x)


def test_too_few_rows(rng):
    data = Dataset("few", rng.normal(size=(2, 1)), np.array([0, 1]), ("a", "b"))
    with pytest.raises(DataError, match="few has 2 rows: too few for a training, a validation"):
        split(data, rng)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-20, 1.0, 1e20, 1e160, 1e200, 1e300])
@pytest.mark.parametrize("shift", [0.0, 10.0])
def test_columns_of_any_size_are_standardised(rng, size, shift):
    """Squares of 1e200 overflow, and those of 1e-200 vanish."""
    x = rng.normal(shift, 1.0, (80, 2)) * np.array([size, 1.0])
    parts = split(Dataset("sizes", x, x[:, 0].copy(), ()), rng)
    for columns in (parts.train.x, parts.train.y):
        np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(columns.std(axis=0), 1, rtol=1e-12)
    assert np.isfinite(parts.scaling.x_scale).all()


@pytest.mark.parametrize("column", [0, 1])
def test_columns_that_cannot_be_standardised(rng, column):
    x = rng.normal(size=(80, 2))
    x[:, column], x[::5, column] = 1.7e308, -1.7e308
    with pytest.raises(DataError, match=f"feature {column + 1} has a mean of|too far from the"):
        split(Dataset("sizes", x, rng.normal(size=80), ()), rng)
    with pytest.raises(DataError, match=r"target 1 has a mean of|too far from the"):
        split(Dataset("sizes", rng.normal(size=(80, 2)), x[:, column], ()), rng)
