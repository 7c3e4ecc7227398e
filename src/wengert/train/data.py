"""Data sets: CSV and NPZ files, bundled ones; their split and standardisation.

The scaling is that of the training part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wengert.errors import DataError
from wengert.files import ArchiveError, read_arrays
from wengert.train.columns import MISSING, Column, columns_of, encoded
from wengert.train.model import Array
from wengert.train.table import Table, read_csv

__all__ = [
    "BUNDLED",
    "TASKS",
    "Dataset",
    "Part",
    "Scaling",
    "Split",
    "load",
    "split",
]

BUNDLED = {
    "digits": "classification",
    "wine": "classification",
    "breast_cancer": "classification",
    "diabetes": "regression",
}
"""Data sets that scikit-learn carries along, with their task."""

TASKS = ("auto", "classification", "regression")
MAX_CLASSES = 20
"""Task ``auto`` takes whole numbers for classes where they lie within so many of each other."""


@dataclass(frozen=True)
class Dataset:
    """Examples and targets, as read: not yet split or standardised.

    Parameters
    ----------
    name : str
    x : array (n, features), float64
    y : array (n,)
        Class numbers (int64) or real targets (float64).
    classes : tuple of str
        Names of the classes; empty for regression.
    columns : tuple of Column
        How the columns of a table became `x`, which has NaN where a cell is missing.
    missing : str
        What these are filled with: the ``mean`` or the ``median`` of the training part.
    """

    name: str
    x: Array
    y: Array
    classes: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    missing: str = "error"

    @property
    def task(self) -> str:
        """Either ``"classification"`` or ``"regression"``."""
        return "classification" if self.classes else "regression"

    @property
    def outputs(self) -> int:
        """Width of the output layer that fits."""
        return len(self.classes) or 1

    def fingerprint(self) -> str:
        """Return a hash of all numbers, by which a resumed run knows its data again."""
        digest = hashlib.sha256()
        for array in (self.x, self.y):
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def load(
    source: str,
    target: str | None = None,
    task: str = "auto",
    *,
    drop: Sequence[str] = (),
    ordinal: Sequence[str] = (),
    missing: str = "error",
    encoding: str = "utf-8",
    decimal: str = ".",
) -> Dataset:
    """Load a data set by name or from a file.

    Parameters
    ----------
    source : str
        A key of `BUNDLED` (needs scikit-learn), a ``.csv`` file with a header line, or a
        ``.npz`` file with ``X`` (n, features) and ``y`` (n,).
    target : str, optional
        The column of a CSV file that is to be predicted. All other columns are features.
    task : str
        ``"auto"`` takes text, booleans, and whole numbers that lie within 20 of each other for
        classes; prices and counts are real numbers.
    drop : sequence of str
        Columns of a CSV file that are left out.
    ordinal : sequence of str
        Text columns whose values are numbered, as ``size`` or ``size=S<M<L``. Other text columns
        become a column for each of their values, and dates the days since 1970.
    missing : {"error", "drop", "mean", "median"}
        What to do about missing cells: name the first, leave their rows out, or fill them with the
        mean or the median of the training part. Rows without a target are left out.
    encoding, decimal : str
        Of a CSV file.

    Raises
    ------
    DataError
        The data cannot be used as they are; the message says what to change.
    """
    if task not in TASKS:
        raise DataError(f"unknown task {task!r}; there are {', '.join(TASKS)}")
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        if missing not in MISSING:
            raise DataError(f"unknown missing {missing!r}; there are {', '.join(MISSING)}")
        return _from_csv(path, target, task, drop, ordinal, missing, encoding, decimal)
    for option, value in (("--drop", drop), ("--ordinal", ordinal)):
        if value:
            raise DataError(f"{option} names columns of a CSV file, which {source} is not")
    if target is not None:
        raise DataError(
            f"--target names a column of a CSV file, which {source} is not; leave it out"
        )
    if suffix == ".npz":
        return _from_npz(path, task)
    if source in BUNDLED:
        return _bundled(source, task)
    raise DataError(
        f"unknown data {source!r}; give {', '.join(BUNDLED)}, or a file ending in .csv or .npz"
    )


def _bundled(name: str, task: str) -> Dataset:
    try:
        from sklearn import datasets
    except ImportError:
        raise DataError(
            f"{name!r} comes with scikit-learn, which is not installed; "
            'install it: python -m pip install "wengert[train]"'
        ) from None
    if task not in ("auto", BUNDLED[name]):
        raise DataError(f"{name!r} is a {BUNDLED[name]} task; leave out --task {task}")
    bunch: Any = getattr(datasets, f"load_{name}")()
    x = np.asarray(bunch.data, dtype=np.float64)
    if BUNDLED[name] == "regression":
        return Dataset(name, x, np.asarray(bunch.target, dtype=np.float64), ())
    classes = tuple(str(label) for label in bunch.target_names)
    return Dataset(name, x, np.asarray(bunch.target, dtype=np.int64), classes)


def _from_csv(
    path: Path,
    target: str | None,
    task: str,
    drop: Sequence[str],
    ordinal: Sequence[str],
    missing: str,
    encoding: str,
    decimal: str,
) -> Dataset:
    table = read_csv(path, encoding, decimal)
    names = ", ".join(table.columns)
    if target is None:
        raise DataError(f"{path}: say which column to predict: --target COLUMN, one of {names}")
    for what, given in (("", (target,)), ("--drop: ", drop)):
        for name in given:
            if name not in table.columns:
                raise DataError(f"{what}{path}: has no column {name!r}; its columns are {names}")
    features = [name for name in table.columns if name != target and name not in drop]
    if not features:
        raise DataError(f"{path}: has no column besides the target {target!r} to learn from")
    if missing != "error":
        gone = {i for i, cell in enumerate(table.cells(target)) if table.is_missing(cell)}
        for name in features if missing == "drop" else ():
            gone |= {i for i, cell in enumerate(table.cells(name)) if table.is_missing(cell)}
        table = table.without(sorted(gone))
        if not table.rows:
            raise DataError(f"{path}: no row is left without missing cells; try --missing median")
    numeric = table.is_numeric(target) or task == "regression"
    labels = table.numbers(target) if numeric else np.array(table.texts(target))
    if missing == "error":
        for name in features:
            if any(table.is_missing(cell) for cell in table.cells(name)):
                _name_missing(table, name)
    columns = columns_of(table, features, ordinal, missing)
    made = _dataset(path, encoded(table, columns), labels, task)
    return replace(made, columns=tuple(columns), missing=missing)


def _name_missing(table: Table, name: str) -> None:
    """Raise for the first missing cell of a column."""
    known = [cell for cell in table.cells(name) if not table.is_missing(cell)]
    if all(map(table.is_number, known)):
        table.numbers(name)
    table.texts(name)


def _from_npz(path: Path, task: str) -> Dataset:
    try:
        arrays = read_arrays(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path given to --data") from None
    except (OSError, ArchiveError) as error:
        raise DataError(
            f"{path}: is not an NPZ file of plain arrays ({error}); "
            "write it with np.savez(path, X=X, y=y)"
        ) from error
    if not {"X", "y"} <= set(arrays):
        raise DataError(
            f"{path}: holds {', '.join(arrays) or 'nothing'}, but X and y are needed; "
            "write it with np.savez(path, X=X, y=y)"
        )
    x, y = arrays["X"], arrays["y"]
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise DataError(
            f"{path}: X has shape {x.shape} and y {y.shape}; needed are (n, features) and (n,)"
        )
    _check_numbers(path, "X", x)
    if y.dtype.kind in "fc":
        _check_numbers(path, "y", y)
    return _dataset(path, x.astype(np.float64), y, task)


def _check_numbers(path: Path, name: str, array: Array) -> None:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: {name} has dtype {array.dtype}; real numbers are needed")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = ", ".join(str(i) for i in bad[0])
        raise DataError(
            f"{path}: {name}[{place}] is {array[tuple(bad[0])]}; "
            "remove that row or replace the value by a finite number"
        )


def _dataset(path: Path, x: Array, labels: Array, task: str) -> Dataset:
    """Give the labels their meaning: class numbers or real targets."""
    if 0 in x.shape:
        raise DataError(f"{path}: X has shape {x.shape}; rows and columns are needed")
    if task == "auto":
        task = "classification" if _looks_like_classes(labels) else "regression"
    if task == "regression":
        if labels.dtype.kind not in "biuf":
            raise DataError(f"{path}: the target holds text; regression needs numbers")
        return Dataset(path.name, x, labels.astype(np.float64), ())
    values, numbers = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise DataError(
            f"{path}: the target holds only {values[0]!s}; two different classes are needed"
        )
    names = tuple(f"{v:g}" if labels.dtype.kind == "f" else str(v) for v in values)
    return Dataset(path.name, x, numbers.astype(np.int64), names)


def _looks_like_classes(labels: Array) -> bool:
    if labels.dtype.kind not in "iuf":
        return True
    return bool(np.ptp(labels) < MAX_CLASSES and np.all(labels == np.round(labels)))


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
    """Means and standard deviations of the training part; constant columns have deviation 1.

    `x_fill` is what missing cells are filled with; None where there were none.
    """

    x_mean: Array
    x_scale: Array
    y_mean: Array
    y_scale: Array
    x_fill: Array | None = None


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
    fill = None
    if np.isnan(dataset.x).any():
        fill = _fill(dataset, train)
        dataset = replace(dataset, x=np.where(np.isnan(dataset.x), fill, dataset.x))
    scaling = replace(_scaling(dataset, train), x_fill=fill)
    return Split(
        train=_part(dataset, scaling, train),
        validation=_part(dataset, scaling, held),
        test=_part(dataset, scaling, test),
        scaling=scaling,
    )


def _fill(dataset: Dataset, train: Array) -> Array:
    """Return what missing cells of each column are filled with, from the training part."""
    known = dataset.x[train]
    empty = np.flatnonzero(np.isnan(known).all(axis=0))
    if len(empty):
        raise DataError(
            f"{dataset.name}: feature {empty[0] + 1} has no value in the training part; leave its "
            "column out: --drop COLUMN"
        )
    found: Array = (np.nanmedian if dataset.missing == "median" else np.nanmean)(known, axis=0)
    return found


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
