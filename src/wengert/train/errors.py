"""What can go wrong in training, as exceptions that say what to do."""

from __future__ import annotations

from wengert.errors import DataError, WengertError

__all__ = ["CheckpointError", "DataError", "DivergedError", "RunFolderError", "SettingsError"]


class SettingsError(WengertError, ValueError):
    """A setting of a run is out of range, or differs from the run that is resumed."""


class CheckpointError(WengertError, ValueError):
    """A checkpoint cannot be read, or belongs to another run."""


class RunFolderError(WengertError, OSError):
    """A run folder cannot be created, written or resumed."""


class DivergedError(WengertError, ArithmeticError):
    """The loss became infinite or not a number."""
