"""Checkpoints: the whole state of a run as one NPZ file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wengert.archive import digest_of
from wengert.train import optim
from wengert.train.atomic import write_atomic
from wengert.train.config import Config
from wengert.train.errors import CheckpointError, SettingsError
from wengert.train.npz import NotNpzError, read_npz
from wengert.train.optim import OPTIMIZERS, OptimizerState
from wengert.train.params import Array
from wengert.train.state import Metrics, State

__all__ = ["Checkpoint", "load", "save"]

FORMAT = "wengert checkpoint 2"


@dataclass(frozen=True)
class Checkpoint:
    """A state with the settings and the fingerprint of the data that it belongs to."""

    state: State
    config: Config
    fingerprint: str


def save(path: Path, checkpoint: Checkpoint) -> None:
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
    write_atomic(path, lambda file: np.savez(file, **arrays))


def load(path: Path) -> Checkpoint:
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
        return Checkpoint(_state(about, arrays, config), config, str(about["fingerprint"]))
    except (KeyError, TypeError, ValueError, AttributeError, SettingsError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path}: is not a checkpoint of wengert ({error}); pass the folder of a run that "
            "`wengert train` started, or start a new run with another --out"
        ) from error


def _read(path: Path) -> dict[str, Array]:
    try:
        return read_npz(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such checkpoint; check the path") from None
    except NotNpzError as error:
        raise CheckpointError(
            f"{path}: is damaged or not a checkpoint ({error}); remove it to begin this run again "
            "from its start, or restore the file from a copy"
        ) from error


def _state(about: dict[str, Any], arrays: dict[str, Array], config: Config) -> State:
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
