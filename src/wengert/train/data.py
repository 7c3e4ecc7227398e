"""Data sets: tables, CSV and NPZ files, bundled ones; their split and standardisation.

A bad cell of a table is named, never guessed. The scaling is that of the training part.
"""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wengert.errors import DataError
from wengert.files import ArchiveError, read_arrays
from wengert.train.model import Array

__all__ = [
    "BUNDLED",
    "TASKS",
    "Dataset",
    "Part",
    "Scaling",
    "Split",
    "Table",
    "load",
    "read_csv",
    "split",
]

_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Table:
    """A CSV file's cells as text, with the line of the file that each row ends on."""

    path: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]

    def numbers(self, name: str) -> Array:
        """Return a column as float64.

        Raises
        ------
        DataError
            A cell is empty, text, infinite or not a number; the message names line and column.
        """
        index = self.columns.index(name)
        values = np.empty(len(self.rows))
        for i, row in enumerate(self.rows):
            values[i] = self._number(row[index].strip(), name, self.lines[i])
        return values

    def texts(self, name: str) -> list[str]:
        """Return a column as text. An empty cell raises `DataError`."""
        index = self.columns.index(name)
        cells = [row[index].strip() for row in self.rows]
        if "" in cells:
            raise self._empty(name, self.lines[cells.index("")])
        return cells

    def is_numeric(self, name: str) -> bool:
        """Whether every cell of a column reads as a number (NaN and inf do too)."""
        index = self.columns.index(name)
        return all(_is_number(row[index]) for row in self.rows)

    def _number(self, cell: str, name: str, line: int) -> float:
        if not cell:
            raise self._empty(name, line)
        if not _is_number(cell):
            raise DataError(
                f"{self.path}, line {line}: column {name!r} holds {cell!r}, which is not a number; "
                "write a number there, or remove the column from the file"
            )
        value = float(cell)
        if not math.isfinite(value):
            raise DataError(
                f"{self.path}, line {line}: column {name!r} holds {cell!r}; "
                "remove that row or replace the value by a finite number"
            )
        return value

    def _empty(self, name: str, line: int) -> DataError:
        return DataError(
            f"{self.path}, line {line}: the cell of column {name!r} is empty; "
            "fill it or remove that row"
        )


def read_csv(path: Path) -> Table:
    """Read a CSV file whose first line names the columns.

    Cells are separated by commas, semicolons or tabs, whichever the first line has most of.
    Blank lines are skipped.

    Raises
    ------
    DataError
        No such file, not UTF-8 text, no rows, no header, or rows of different lengths.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(_DELIMITERS, key=first.count), strict=True)
            numbered = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path given to --data") from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from error

    if not numbered:
        raise DataError(f"{path}: is empty; the first line must name the columns, rows follow")
    columns = [name.strip() for name in numbered[0][1]]
    _check_header(path, columns)
    if len(numbered) == 1:
        raise DataError(f"{path}: has a header but no rows")
    for line, row in numbered[1:]:
        if len(row) != len(columns):
            raise DataError(
                f"{path}, line {line}: has {len(row)} cells where the header names "
                f"{len(columns)} columns; make every row as long as the header"
            )
    lines, rows = zip(*numbered[1:], strict=True)
    return Table(path, columns, list(rows), list(lines))


def _check_header(path: Path, columns: list[str]) -> None:
    if all(_is_number(name) for name in columns):
        raise DataError(
            f"{path}: the first line holds only numbers; put a line with the names of the "
            f"{len(columns)} columns above it"
        )
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header names {twice[0]!r} more than once; rename one of them")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000 as a number, tables do not


BUNDLED = {
    "digits": "classification",
    "wine": "classification",
    "breast_cancer": "classification",
    "diabetes": "regression",
}
"""Data sets that scikit-learn carries along, with their task."""

TASKS = ("auto", "classification", "regression")
MAX_CLASSES = 20
"""Task ``auto`` takes whole numbers for classes up to this many different ones."""


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
    """

    name: str
    x: Array
    y: Array
    classes: tuple[str, ...]

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


def load(source: str, target: str | None = None, task: str = "auto") -> Dataset:
    """Load a data set by name or from a file.

    Parameters
    ----------
    source : str
        A key of `BUNDLED` (needs scikit-learn), a ``.csv`` file with a header line, or a
        ``.npz`` file with ``X`` (n, features) and ``y`` (n,).
    target : str, optional
        The column of a CSV file that is to be predicted. All other columns are features.
    task : str
        ``"auto"`` takes text, booleans, and whole numbers of at most 20 different values for
        classes.

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
        return _from_csv(path, target, task)
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


def _from_csv(path: Path, target: str | None, task: str) -> Dataset:
    table = read_csv(path)
    names = ", ".join(table.columns)
    if target is None:
        raise DataError(f"{path}: say which column to predict: --target COLUMN, one of {names}")
    if target not in table.columns:
        raise DataError(f"{path}: has no column {target!r}; its columns are {names}")
    features = [name for name in table.columns if name != target]
    if not features:
        raise DataError(f"{path}: has no column besides the target {target!r} to learn from")
    numeric = table.is_numeric(target) or task == "regression"
    labels = table.numbers(target) if numeric else np.array(table.texts(target))
    x = np.column_stack([table.numbers(name) for name in features])
    return _dataset(path, x, labels, task)


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
    return len(np.unique(labels)) <= MAX_CLASSES and bool(np.all(labels == np.round(labels)))


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
