"""Splitting into training, validation and test part, and standardising by the training part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wengert.train.data import Dataset
from wengert.train.errors import DataError
from wengert.train.params import Array

__all__ = ["Part", "Scaling", "Split", "split"]

TEST_SHARE = 0.25


@dataclass(frozen=True)
class Part:
    """Standardised examples ``x`` (n, features) and encoded targets ``y`` (n, outputs).

    Classes are encoded as one-hot rows, real targets are standardised.
    """

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations of the training part; constant columns have deviation 1."""

    x_mean: Array
    x_scale: Array
    y_mean: Array
    y_scale: Array


@dataclass(frozen=True)
class Split:
    """The three parts of a data set. ``validation`` may have no rows."""

    train: Part
    validation: Part
    test: Part
    scaling: Scaling


def split(dataset: Dataset, rng: np.random.Generator, validation: float = 0.1) -> Split:
    """Split a data set at random, but with equal shares of every class in the parts.

    Rows are ordered by target, in random order within a class, and every fourth goes to the test
    part; of the rest, the share ``validation`` goes to the validation part in the same way. For
    real targets, this gives all parts the same range of targets.

    Raises
    ------
    DataError
        A part would have no rows.
    """
    rows = rng.permutation(len(dataset.y))
    rest, test = _draw(rows[np.argsort(dataset.y[rows], kind="stable")], TEST_SHARE, rng)
    train, held = _draw(rest, validation, rng)
    if not len(train) or not len(test) or (validation and not len(held)):
        raise DataError(
            f"{dataset.name} has {len(dataset.y)} rows: too few for a training, a validation "
            "and a test part; get more rows, or leave out the validation part (--validation 0)"
        )
    scaling = _scaling(dataset, train)
    return Split(
        train=_part(dataset, scaling, train),
        validation=_part(dataset, scaling, held),
        test=_part(dataset, scaling, test),
        scaling=scaling,
    )


def _draw(ordered: Array, share: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Divide ordered rows: systematically one in ``1 / share`` from a random start, and the rest.

    (Cochran, Sampling Techniques, 3rd edition, chapter 8.)
    """
    marks = np.floor(np.arange(len(ordered) + 1) * share + rng.random())
    drawn = np.diff(marks) > 0
    return ordered[~drawn], ordered[drawn]


def _scaling(dataset: Dataset, train: Array) -> Scaling:
    mean, scale = _moments(dataset.x[train], dataset.name, "feature")
    if dataset.task == "classification":
        return Scaling(mean, scale, np.zeros(1), np.ones(1))
    return Scaling(mean, scale, *_moments(dataset.y[train, None], dataset.name, "target"))


def _moments(columns: Array, name: str, what: str) -> tuple[Array, Array]:
    """Return means and standard deviations, of numbers of any size.

    Raises
    ------
    DataError
        For a column of which they are not finite.
    """
    largest = np.abs(columns).max(axis=0)
    unit = np.where(largest == 0, 1.0, 2.0 ** np.floor(np.log2(np.where(largest, largest, 1.0))))
    scaled = columns / unit  # exactly, and squares neither overflow nor vanish
    with np.errstate(over="ignore"):
        mean, scale = scaled.mean(axis=0) * unit, scaled.std(axis=0) * unit
    constant = np.ptp(scaled, axis=0) == 0  # rounding gives these a deviation of about 1e-17
    scale = np.where(constant, 1.0, scale)
    with np.errstate(all="ignore"):
        standard = (columns - mean) / scale
    bad = np.flatnonzero(~np.isfinite(standard).all(axis=0) | (scale == 0))
    if len(bad):
        raise DataError(
            f"{name}: {what} {bad[0] + 1} has a mean of {mean[bad[0]]:.3g} and a standard "
            f"deviation of {scale[bad[0]]:.3g}, by which it cannot be standardised; give it in "
            "another unit"
        )
    return mean, scale


def _part(dataset: Dataset, scaling: Scaling, rows: Array) -> Part:
    rows = np.sort(rows)
    x = _standard(dataset.x[rows], scaling.x_mean, scaling.x_scale, dataset.name)
    if dataset.task == "classification":
        return Part(x, np.eye(dataset.outputs)[dataset.y[rows]])
    return Part(x, _standard(dataset.y[rows, None], scaling.y_mean, scaling.y_scale, dataset.name))


def _standard(columns: Array, mean: Array, scale: Array, name: str) -> Array:
    """Standardise; `DataError` where that overflows."""
    with np.errstate(over="ignore"):
        found: Array = (columns - mean) / scale
    if not np.isfinite(found).all():
        raise DataError(
            f"{name}: a number of {np.abs(columns).max():.3g} is too far from the others to be "
            "standardised; remove that row, or give the column in another unit"
        )
    return found
