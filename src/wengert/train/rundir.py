"""A run folder: settings, metrics, weights and checkpoint of one run.

======================  =====================================================================
``config.json``         the settings (`Config`)
``metrics.csv``         one row an epoch (`Metrics`)
``checkpoint.npz``      the state after the last finished epoch, from which the run resumes
``weights.npz``         the best epoch's weights ``w0, b0, w1, ...``, and the scaling of the data
``summary.json``        results on the test part
======================  =====================================================================
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from wengert.train import checkpoint
from wengert.train.atomic import TEMPORARY, write_atomic, write_text
from wengert.train.checkpoint import Checkpoint
from wengert.train.config import Config
from wengert.train.errors import RunFolderError
from wengert.train.params import Params
from wengert.train.parts import Scaling
from wengert.train.state import Metrics

__all__ = ["RunFolder", "new_folder_name"]


class RunFolder:
    """The files of one run; make one by `create` or `resume`.

    Parameters
    ----------
    path : Path
        The folder, which holds a ``config.json``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: Config) -> RunFolder:
        """Make a folder for a new run and write its settings.

        Raises
        ------
        RunFolderError
            The folder holds something already, or cannot be made or written.
        """
        folder = cls(path)
        if folder._config_path.exists():
            raise RunFolderError(
                f"{path}: already holds a run; add --resume to go on with it, "
                "or start another with --out OTHER_DIR"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            # What a run leaves that was killed before its settings were complete.
            own = folder._config_path.with_name(folder._config_path.name + TEMPORARY)
            occupied = any(entry != own for entry in path.iterdir())
        except OSError as error:
            raise RunFolderError(
                f"{path}: cannot be made a run folder ({error.strerror or error}); "
                "name a folder that can be written: --out DIR"
            ) from error
        if occupied:
            raise RunFolderError(
                f"{path}: is not empty and holds no run; name a new folder: --out DIR"
            )
        folder.write_config(config)
        return folder

    @classmethod
    def resume(cls, path: Path) -> RunFolder:
        """Open the folder of a run that was started before.

        Raises
        ------
        RunFolderError
            There is no run in that folder.
        """
        folder = cls(path)
        if not folder._config_path.is_file():
            raise RunFolderError(
                f"{path}: holds no run to resume (no config.json); check --out, "
                "or leave out --resume to start a run there"
            )
        return folder

    @property
    def _config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def checkpoint_path(self) -> Path:
        """Where the state after the last finished epoch is kept."""
        return self.path / "checkpoint.npz"

    def write_config(self, config: Config) -> None:
        """Write ``config.json``."""
        write_text(self._config_path, json.dumps(config.to_json(), indent=2) + "\n")

    def read_config(self) -> Config:
        """Read ``config.json``; `RunFolderError` if it is not what `write_config` wrote."""
        try:
            return Config.from_json(json.loads(self._config_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise RunFolderError(
                f"{self._config_path}: cannot be read as settings ({error}); "
                "restore the file, or start a new run with another --out"
            ) from error

    def read_checkpoint(self) -> Checkpoint | None:
        """Read the last state; None if the run was stopped before its first epoch ended."""
        if not self.checkpoint_path.exists():
            return None
        return checkpoint.load(self.checkpoint_path)

    def write_checkpoint(self, state: Checkpoint) -> None:
        """Write ``checkpoint.npz``."""
        checkpoint.save(self.checkpoint_path, state)

    def write_metrics(self, history: Iterable[Metrics]) -> None:
        """Write ``metrics.csv`` anew."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Metrics._fields)
        writer.writerows(history)
        write_text(self.path / "metrics.csv", text.getvalue())

    def append_metrics(self, metrics: Metrics) -> None:
        """Add one row to ``metrics.csv``."""
        path = self.path / "metrics.csv"
        try:
            with path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerow(metrics)
        except OSError as error:
            raise RunFolderError(
                f"{path}: cannot be written ({error.strerror or error}); allow it, then --resume"
            ) from error

    def write_weights(self, params: Params, scaling: Scaling, classes: tuple[str, ...]) -> None:
        """Write ``weights.npz``: a model is ``(x - x_mean) / x_scale`` through the layers."""
        arrays: dict[str, Any] = {
            f"{name}{i}": array for i, layer in enumerate(params) for name, array in layer.items()
        }
        arrays |= vars(scaling) | {"classes": np.array(classes, dtype=np.str_)}
        write_atomic(self.path / "weights.npz", lambda file: np.savez(file, **arrays))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write ``summary.json``."""
        write_text(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")


def new_folder_name(parent: Path, data: str) -> Path:
    """Return ``parent/DATA-001``, or the next number that is free."""
    stem, number = Path(data).stem, 1
    while (path := parent / f"{stem}-{number:03d}").exists():
        number += 1
    return path
