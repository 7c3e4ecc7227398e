"""Predictions of a trained model for new examples, given as a table or as an array."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wengert.errors import CheckpointError, DataError
from wengert.files import ArchiveError, read_arrays
from wengert.train.columns import Column, encoded
from wengert.train.config import Config
from wengert.train.data import Scaling
from wengert.train.folder import RunFolder
from wengert.train.model import MLP, Array, Params
from wengert.train.table import Table, read_csv

__all__ = ["Model", "read_model"]


@dataclass(frozen=True)
class Model:
    """The best weights of a run, and how a table becomes what they are applied to.

    Attributes
    ----------
    config : Config
    layers : list of dict of arrays
    scaling : Scaling
    classes : tuple of str
        Empty for regression.
    columns : list of Column
        Empty where the run's data were no table.
    """

    config: Config
    layers: Params
    scaling: Scaling
    classes: tuple[str, ...]
    columns: list[Column]

    def __call__(self, x: Array) -> Array:
        """Return probabilities of the classes (n, classes), or the target in its unit (n,).

        Parameters
        ----------
        x : array (n, features)
            As read; NaN where a value is missing.
        """
        s = self.scaling
        if s.x_fill is not None:
            x = np.where(np.isnan(x), s.x_fill, x)
        sizes = (len(self.layers[0]["w"]), *(len(layer["b"]) for layer in self.layers))
        a = MLP(sizes, self.config.activation)(self.layers, (x - s.x_mean) / s.x_scale)
        if not self.classes:
            y: Array = a[:, 0] * s.y_scale[0] + s.y_mean[0]
            return y
        e = np.exp(a - np.max(a, axis=1, keepdims=True))
        probabilities: Array = e / np.sum(e, axis=1, keepdims=True)
        return probabilities

    def table(self, path: Path) -> tuple[Table, Array]:
        """Read a CSV file, and return it with its features as numbers.

        Raises
        ------
        DataError
            It lacks a column, or a cell is not what its column holds; the message names it.
        """
        if not self.columns:
            raise DataError(
                f"{path}: the run was trained on {self.config.data}, which is no table with names "
                "of columns; give its features as X in an .npz file"
            )
        table = read_csv(path, self.config.encoding, self.config.decimal)
        x = encoded(table, self.columns)
        if self.scaling.x_fill is None and np.isnan(x).any():
            names = [c.name for c in self.columns for _ in range(c.width)]
            row, place = (int(i) for i in np.argwhere(np.isnan(x))[0])
            raise DataError(
                f"{path}, line {table.lines[row]}: the cell of column {names[place]!r} is empty, "
                "and the run was trained without missing cells; fill it, or train with "
                "--missing mean or --missing median"
            )
        return table, x

    def array(self, path: Path) -> Array:
        """Read ``X`` of an NPZ file.

        Raises
        ------
        DataError
            There is no such array, or it has another number of columns.
        """
        try:
            arrays = read_arrays(path)
        except FileNotFoundError:
            raise DataError(f"{path}: there is no such file; check the path") from None
        except (OSError, ArchiveError) as error:
            raise DataError(f"{path}: is not an NPZ file of plain arrays ({error})") from error
        n = len(self.layers[0]["w"])
        x = arrays.get("X")
        if x is None or x.ndim != 2 or x.shape[1] != n or x.dtype.kind not in "biuf":
            had = "none" if x is None else f"{x.dtype} of shape {x.shape}"
            raise DataError(f"{path}: needed is X of shape (rows, {n}), real numbers; it has {had}")
        return x.astype(np.float64)


def read_model(path: Path) -> Model:
    """Read the model of a run.

    Raises
    ------
    RunFolderError
        There is no run in the folder, or its weights cannot be read.
    """
    folder = RunFolder.of_run(path)
    layers, classes = folder.read_weights()
    try:
        scaling = folder.read_scaling()
    except (KeyError, ArchiveError) as error:
        raise CheckpointError(f"{path}: weights.npz lacks {error} of the scaling") from error
    return Model(folder.read_config(), layers, scaling, classes, folder.read_columns())
