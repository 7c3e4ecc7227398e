"""A run folder: settings, metrics, weights and checkpoint of one run.

======================  =====================================================================
``config.json``         the settings (`Config`)
``metrics.csv``         one row an epoch (`Metrics`)
``checkpoint.npz``      the state after the last finished epoch, from which the run resumes
``weights.npz``         the best epoch's weights ``w0, b0, w1, ...``, and the scaling of the data
``columns.json``        how the columns of a table became numbers
``summary.json``        results on the test part
======================  =====================================================================
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from wengert.errors import CheckpointError, RunFolderError, SettingsError
from wengert.files import ArchiveError, digest_of, read_arrays, write_atomic
from wengert.train import optim
from wengert.train.columns import Column
from wengert.train.config import Config
from wengert.train.data import Scaling
from wengert.train.loop import Metrics, State
from wengert.train.model import Array, Params
from wengert.train.optim import OPTIMIZERS, OptimizerState

__all__ = [
    "TEMPORARY",
    "Checkpoint",
    "RunFolder",
    "load_checkpoint",
    "new_folder_name",
    "save_checkpoint",
    "write_file",
    "write_text",
]

TEMPORARY = ".tmp"
"""Ending of the names of files that are not complete yet."""


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    RunFolderError
        The file cannot be written. ``path`` is as it was.
    """
    try:
        write_atomic(path, write, temporary=path.name + TEMPORARY)
    except OSError as error:
        raise RunFolderError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "make room or allow writing there, or choose another folder: --out DIR"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 as `write_file` does."""
    write_file(path, lambda file: file.write(text.encode()))


FORMAT = "wengert checkpoint 2"


@dataclass(frozen=True)
class Checkpoint:
    """A state with the settings and the fingerprint of the data that it belongs to."""

    state: State
    config: Config
    fingerprint: str


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; a reader sees the old or the new one, whenever the writer is stopped."""
    state = checkpoint.state
    about = {
        "format": FORMAT,
        "config": checkpoint.config.to_json(),
        "fingerprint": checkpoint.fingerprint,
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "steps": state.optimizer.t,
        "slots": len(state.optimizer.slots),
        "rng": state.rng,
    }
    arrays: dict[str, Any] = {
        "about": np.array(json.dumps(about)),
        "params": state.params,
        "best_params": state.best_params,
        "history": np.array(state.history, dtype=np.float64).reshape(-1, len(Metrics._fields)),
        **{f"slot{i}": slot for i, slot in enumerate(state.optimizer.slots)},
    }
    arrays["digest"] = digest_of(arrays)
    write_file(path, lambda file: np.savez(file, **arrays))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or not a checkpoint of this version.
    """
    arrays = _read(path)
    try:
        about = json.loads(str(arrays["about"]))
        if about["format"] != FORMAT:
            raise CheckpointError(
                f"{path}: is a {about['format']!r}, this version of wengert reads {FORMAT!r}; "
                "resume it with the version that wrote it, or start a new run"
            )
        if not np.array_equal(arrays["digest"], digest_of(arrays)):
            raise CheckpointError(
                f"{path}: is damaged or was changed: its content does not agree with its check "
                "sum; remove it to begin this run again from its start, or restore the file"
            )
        config = Config.from_json(about["config"])
        return Checkpoint(_state_of(about, arrays, config), config, str(about["fingerprint"]))
    except (KeyError, TypeError, ValueError, AttributeError, SettingsError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path}: is not a checkpoint of wengert ({error}); pass the folder of a run that "
            "`wengert train` started, or start a new run with another --out"
        ) from error


def _read(path: Path) -> dict[str, Array]:
    try:
        return read_arrays(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint; check the path") from None
    except (OSError, ArchiveError) as error:
        raise CheckpointError(
            f"{path}: is damaged or not a checkpoint ({error}); remove it to begin this run again "
            "from its start, or restore the file from a copy"
        ) from error


def _state_of(about: dict[str, Any], arrays: dict[str, Array], config: Config) -> State:
    """Return the state, if its parts fit together.

    Raises
    ------
    ValueError
        It says which do not.
    """
    numbers = {name: about[name] for name in ("epoch", "best_epoch", "steps", "slots")}
    for name, number in numbers.items():
        if type(number) is not int or number < 0:
            raise ValueError(f"its {name} is {number!r}")
    params, history, epoch = arrays["params"], arrays["history"], numbers["epoch"]
    expected = len(optim.init(OPTIMIZERS[config.optimizer](), np.zeros(1)).slots)
    if numbers["slots"] != expected:
        raise ValueError(f"{config.optimizer} keeps {expected} arrays, not {numbers['slots']}")
    slots = tuple(arrays[f"slot{i}"] for i in range(expected))
    for name, x in (("params", params), ("best_params", arrays["best_params"]), *zip(
        [f"slot{i}" for i in range(len(slots))], slots, strict=True
    )):  # fmt: skip
        if x.dtype != np.float64 or x.ndim != 1 or x.shape != params.shape:
            raise ValueError(f"its {name} are {x.dtype} of shape {x.shape}")
    if history.dtype != np.float64 or history.shape != (epoch, len(Metrics._fields)):
        raise ValueError(f"it has a history of shape {history.shape} of {epoch} epochs")
    if not numbers["best_epoch"] <= epoch or (epoch and not numbers["best_epoch"]):
        raise ValueError(f"its best epoch is {numbers['best_epoch']} of {epoch}")
    np.random.default_rng().bit_generator.state = about["rng"]  # raises if it is none
    return State(
        epoch=epoch,
        params=params,
        optimizer=OptimizerState(numbers["steps"], slots),
        rng=about["rng"],
        history=tuple(Metrics(int(row[0]), *map(float, row[1:])) for row in history),
        best_epoch=numbers["best_epoch"],
        best_params=arrays["best_params"],
    )


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
        if not folder.holds_run:
            raise RunFolderError(
                f"{path}: holds no run to resume (no config.json); check --out, "
                "or leave out --resume to start a run there"
            )
        return folder

    @classmethod
    def of_run(cls, path: Path) -> RunFolder:
        """Open the folder of a run, to read what it holds.

        Raises
        ------
        RunFolderError
            There is no such folder, or no run in it.
        """
        if not path.exists():
            raise RunFolderError(
                f"{path}: there is no such folder; name that of a run, as runs/DATA-001"
            )
        folder = cls(path)
        if not folder.holds_run:
            raise RunFolderError(
                f"{path}: holds no run (no config.json); name the folder that `wengert train` "
                "printed, as runs/DATA-001"
            )
        return folder

    @property
    def _config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def holds_run(self) -> bool:
        """Whether a run was started there."""
        return self._config_path.is_file()

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
        return load_checkpoint(self.checkpoint_path)

    def write_checkpoint(self, state: Checkpoint) -> None:
        """Write ``checkpoint.npz``."""
        save_checkpoint(self.checkpoint_path, state)

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
        given = {name: array for name, array in vars(scaling).items() if array is not None}
        arrays |= given | {"classes": np.array(classes, dtype=np.str_)}
        write_file(self.path / "weights.npz", lambda file: np.savez(file, **arrays))

    def write_columns(self, columns: Sequence[Column]) -> None:
        """Write ``columns.json``: how the columns of a table become numbers."""
        shown = [column.to_json() for column in columns]
        write_text(self.path / "columns.json", json.dumps(shown, indent=2) + "\n")

    def read_columns(self) -> list[Column]:
        """Read ``columns.json``; empty where the data were no table.

        Raises
        ------
        RunFolderError
            The file cannot be read.
        """
        path = self.path / "columns.json"
        try:
            return [Column.from_json(c) for c in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(
                f"{path}: cannot be read ({error}); write it anew: wengert train --out "
                f"{self.path} --resume"
            ) from error

    def read_scaling(self) -> Scaling:
        """Read the scaling of the data, which stands beside the weights."""
        arrays = read_arrays(self.path / "weights.npz")
        names = ("x_mean", "x_scale", "y_mean", "y_scale")
        return Scaling(**{name: arrays[name] for name in names}, x_fill=arrays.get("x_fill"))

    def read_weights(self) -> tuple[Params, tuple[str, ...]]:
        """Read the best weights, and the names of the classes, of which regression has none.

        Raises
        ------
        RunFolderError
            They are missing, since the run was killed, or cannot be read.
        """
        path = self.path / "weights.npz"
        try:
            arrays = read_arrays(path)
            number = sum(name[0] == "w" and name[1:].isdigit() for name in arrays)
            layers = [{"w": arrays[f"w{i}"], "b": arrays[f"b{i}"]} for i in range(number)]
            fits = layers and all(
                layer["w"].ndim == 2 and layer["b"].shape == layer["w"].shape[1:]
                for layer in layers
            )
            if not fits:
                raise ValueError("the arrays are no layers")
            return layers, tuple(map(str, arrays["classes"]))
        except FileNotFoundError:
            raise RunFolderError(
                f"{path}: is missing, since the run was killed while it trained; go on with it: "
                f"wengert train --out {self.path} --resume"
            ) from None
        except (OSError, ArchiveError, KeyError, ValueError) as error:
            raise RunFolderError(
                f"{path}: cannot be read as weights ({error}); write it anew: wengert train --out "
                f"{self.path} --resume"
            ) from error

    def read_summary(self) -> dict[str, Any]:
        """Read ``summary.json``; empty for a run that was not finished.

        Raises
        ------
        RunFolderError
            The file cannot be read.
        """
        path = self.path / "summary.json"
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it holds no object")
            return found
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{path}: cannot be read as the results of a run ({error}); remove it, or write it "
                f"anew: wengert train --out {self.path} --resume"
            ) from error

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write ``summary.json``."""
        write_text(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")


def new_folder_name(parent: Path, data: str) -> Path:
    """Return ``parent/DATA-001``, or the next number that is free."""
    stem, number = Path(data).stem, 1
    while (path := parent / f"{stem}-{number:03d}").exists():
        number += 1
    return path
