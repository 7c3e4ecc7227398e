"""A whole run: settings to data to trained weights, kept in a folder and resumable."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace

from wengert.errors import CheckpointError, SettingsError
from wengert.tables import align
from wengert.train.config import Config
from wengert.train.data import Dataset, Split, load, split
from wengert.train.folder import Checkpoint, RunFolder
from wengert.train.loop import OnEpoch, OnStep, State, evaluate, fit, generators, start
from wengert.train.model import MLP, Objective, Params, views

__all__ = ["Problem", "held_out_metrics", "prepare", "resume_config", "train"]


@dataclass(frozen=True)
class Problem:
    """What the settings determine before any training."""

    config: Config
    dataset: Dataset
    split: Split
    objective: Objective

    def layers(self, state: State) -> Params:
        """Return the best weights of a run."""
        return views(state.best_params, self.objective.model.sizes)


def prepare(config: Config) -> Problem:
    """Load and split the data and build the objective. Raises `DataError`."""
    dataset = load(
        config.data,
        config.target,
        config.task,
        drop=config.drop,
        ordinal=config.ordinal,
        missing=config.missing,
        encoding=config.encoding,
        decimal=config.decimal,
    )
    parts = split(dataset, generators(config.seed)[0], config.validation)
    model = MLP((dataset.x.shape[1], *config.hidden, dataset.outputs), config.activation)
    return Problem(config, dataset, parts, Objective(model, dataset.task, config.weight_decay))


def resume_config(folder: RunFolder, given: Config, explicit: set[str]) -> Config:
    """Return the settings to resume a run with.

    Parameters
    ----------
    folder : RunFolder
    given : Config
        Settings as if for a new run.
    explicit : set of str
        The settings that were given by the user; the others are those of the run. With the
        schedule ``constant``, more epochs may be given, as the ones before do not depend on it.

    Raises
    ------
    SettingsError
        A given setting differs from the run's; the message lists them line by line.
    """
    stored = folder.read_config()
    wanted = replace(stored, **{name: getattr(given, name) for name in explicit})
    rows = [row for row in stored.differences(wanted) if row[0] not in _free(stored)]
    if rows:
        raise SettingsError(
            f"{folder.path}: the run has other settings than those given:\n{_table(rows, 'run')}\n"
            "leave these options out to resume, or start a new run with another --out"
        )
    return wanted


def train(
    problem: Problem,
    folder: RunFolder | None = None,
    *,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> State:
    """Train, from the folder's last state if it has one.

    Each epoch ends with the state on disk, so that an interrupt loses at most one epoch.

    Parameters
    ----------
    problem : Problem
    folder : RunFolder, optional
        Where states and metrics are kept; nowhere by default.
    on_step, on_epoch : callable, optional
        As in `wengert.train.fit`; ``on_epoch`` is called when the state is on disk.

    Raises
    ------
    CheckpointError
        The folder's state cannot be read, or belongs to other data.
    SettingsError
        The folder's state was made with other settings.
    DivergedError
        The loss is infinite or not a number.
    """
    config, fingerprint = problem.config, problem.dataset.fingerprint()
    state = start(problem.objective.model, config)
    if folder:
        stored = folder.read_checkpoint()
        if stored:
            _check_same(folder, stored, config, fingerprint)
            if stored.state.params.shape != state.params.shape:
                raise CheckpointError(
                    f"{folder.checkpoint_path}: holds {len(stored.state.params)} weights, and the "
                    f"model of its settings has {len(state.params)}; restore the file, or start a "
                    "new run with another --out"
                )
            state = stored.state
        folder.write_config(config)
        folder.write_checkpoint(Checkpoint(state, config, fingerprint))
        folder.write_metrics(state.history)

    last = state

    def keep(state: State) -> None:
        nonlocal last
        last = state
        if folder:
            folder.write_checkpoint(Checkpoint(state, config, fingerprint))
            folder.append_metrics(state.history[-1])
        if on_epoch:
            on_epoch(state)

    parts = problem.split
    validation = parts.validation if len(parts.validation) else None
    try:
        fit(
            problem.objective,
            parts.train,
            validation,
            config,
            state=state,
            on_step=on_step,
            on_epoch=keep,
        )
    finally:  # an interrupted run leaves its best weights too
        if folder:
            folder.write_weights(problem.layers(last), parts.scaling, problem.dataset.classes)
            folder.write_columns(problem.dataset.columns)
    return last


def _check_same(folder: RunFolder, stored: Checkpoint, config: Config, fingerprint: str) -> None:
    """Refuse to go on with a state that was made with other settings or other data.

    Raises
    ------
    SettingsError, CheckpointError
    """
    rows = [row for row in stored.config.differences(config) if row[0] not in _free(config)]
    if rows:
        raise SettingsError(
            f"{folder.path}: the settings are not those that the state was made with; config.json "
            f"was changed, or belongs to another run:\n{_table(rows, 'state')}\n"
            "restore config.json to resume, or start a new run with another --out"
        )
    if stored.fingerprint != fingerprint:
        raise CheckpointError(
            f"{folder.checkpoint_path}: belongs to other data (fingerprint {stored.fingerprint}, "
            f"the data now have {fingerprint}); restore the data, or start a new run with "
            "another --out"
        )


def _free(config: Config) -> set[str]:
    """Return the settings that may change from one resumption to the next."""
    return {"epochs"} if config.schedule == "constant" else set()


def _table(rows: list[tuple[str, str, str]], had: str) -> str:
    return textwrap.indent(align([("setting", had, "given"), *rows], left=range(3)), "  ")


def held_out_metrics(problem: Problem, state: State) -> dict[str, float]:
    """Return loss and score of the best weights on the test part.

    Classification: ``loss`` (cross-entropy, nats) and ``accuracy``. Regression: ``loss`` (half
    the mean squared error of the standardised target), ``r2`` and ``rmse`` in the target's unit.
    """
    loss, score = evaluate(problem.objective, problem.layers(state), problem.split.test)
    if problem.dataset.task == "classification":
        return {"loss": loss, "accuracy": score}
    rmse = (2.0 * loss) ** 0.5 * float(problem.split.scaling.y_scale[0])
    return {"loss": loss, "r2": score, "rmse": rmse}
