"""The settings of a run, checked, comparable and kept as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from wengert.errors import SettingsError
from wengert.train.columns import MISSING
from wengert.train.data import TASKS
from wengert.train.model import ACTIVATIONS
from wengert.train.optim import OPTIMIZERS, SCHEDULES

__all__ = ["Config"]


@dataclass(frozen=True)
class Config:
    """Everything that a run depends on besides the data themselves.

    Two runs with equal settings and data have equal weights, bit for bit, on the same machine.

    Parameters
    ----------
    data, target, task, drop, ordinal, missing, encoding, decimal
        As in `wengert.train.load`.
    hidden : tuple of int
        Widths of the hidden layers; empty for a linear model.
    activation : str
        A key of `ACTIVATIONS`.
    epochs : int
        Passes over the training part, at most (see `patience`).
    batch : int
        Examples a step.
    lr : float
        Learning rate, at the start of the schedule.
    schedule : str
        A key of `SCHEDULES`.
    optimizer : str
        A key of `OPTIMIZERS`.
    weight_decay : float
        Factor of half the sum of the squared weights in the objective.
    validation : float
        Share of the rows outside the test part that is kept for validation; 0 for none.
    patience : int
        Stop after this many epochs without a lower validation loss; 0 for never.
    seed : int
        Determines the split, the initial weights and the order of the examples.
    """

    data: str = "digits"
    target: str | None = None
    task: str = "auto"
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    epochs: int = 60
    batch: int = 64
    lr: float = 1e-3
    schedule: str = "constant"
    optimizer: str = "adam"
    weight_decay: float = 0.0
    validation: float = 0.1
    patience: int = 0
    seed: int = 0
    drop: tuple[str, ...] = ()
    ordinal: tuple[str, ...] = ()
    missing: str = "error"
    encoding: str = "utf-8"
    decimal: str = "."

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise SettingsError(f"unknown {name} {value!r}; there are {', '.join(choices)}")
        for name, (holds, needed) in _RANGES.items():
            value = getattr(self, name)
            if not holds(value):
                raise SettingsError(f"{name.replace('_', '-')} is {value}; it must be {needed}")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a dictionary that `json` can write."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _LISTS}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Config:
        """Return the settings that `to_json` wrote.

        Raises
        ------
        SettingsError
            A setting is unknown or out of range.
        """
        unknown = sorted(set(stored) - {field.name for field in fields(cls)})
        if unknown:
            raise SettingsError(
                f"unknown setting {unknown[0]!r}; was this written by another version of wengert?"
            )
        lists = {name: tuple(stored.get(name, getattr(cls, name))) for name in _LISTS}
        return cls(**{**stored, **lists})

    def differences(self, other: Config) -> list[tuple[str, str, str]]:
        """Return ``(setting, own value, other's value)`` for each setting that differs."""
        return [
            (field.name, str(mine), str(theirs))
            for field in fields(self)
            if (mine := getattr(self, field.name)) != (theirs := getattr(other, field.name))
        ]


_LISTS = ("hidden", "drop", "ordinal")
_CHOICES = {
    "missing": MISSING,
    "decimal": (".", ","),
    "task": TASKS,
    "activation": tuple(ACTIVATIONS),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": tuple(SCHEDULES),
}
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "hidden": (lambda v: all(n >= 1 for n in v), "widths of 1 or more, such as 64,64"),
    "epochs": (lambda v: v >= 1, "1 or more"),
    "batch": (lambda v: v >= 1, "1 or more"),
    "lr": (lambda v: 0 < v < float("inf"), "above 0"),
    "weight_decay": (lambda v: 0 <= v < float("inf"), "0 or more"),
    "validation": (lambda v: 0 <= v < 1, "0 or more and below 1"),
    "patience": (lambda v: v >= 0, "0 (never stop early) or more"),
    "seed": (lambda v: v >= 0, "0 or more"),
}
