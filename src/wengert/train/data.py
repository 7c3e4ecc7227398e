"""Data sets: scikit-learn's bundled ones, CSV files and NPZ files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wengert.train.errors import DataError
from wengert.train.npz import NotNpzError, read_npz
from wengert.train.params import Array
from wengert.train.table import read_csv

__all__ = ["BUNDLED", "TASKS", "Dataset", "load"]

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
        arrays = read_npz(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path given to --data") from None
    except NotNpzError as error:
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
