"""Train a multilayer perceptron.

wengert train --data digits --hidden 64,64 --check
wengert train --data measurements.csv --target price --epochs 200 --patience 20
wengert train --out runs/digits-001 --resume
"""

from __future__ import annotations

import argparse
import shlex
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from wengert.errors import RunFolderError, WengertError
from wengert.report.losscurve import draw_losses
from wengert.report.progress import TrainingProgress
from wengert.report.results import Results, count_operations
from wengert.report.terminal import show_lines, show_table
from wengert.report.training import read_run, write_report
from wengert.train import (
    ACTIVATIONS,
    BUNDLED,
    OPTIMIZERS,
    SCHEDULES,
    Config,
    GradientCheck,
    Problem,
    RunFolder,
    State,
    check_gradient,
    held_out_metrics,
    prepare,
    train,
)
from wengert.train.columns import MISSING
from wengert.train.data import TASKS
from wengert.train.folder import new_folder_name
from wengert.train.loop import start
from wengert.train.run import resume_config

__all__ = ["HELP", "NAME", "add_arguments", "run"]

NAME = "train"
HELP = "train a multilayer perceptron on bundled data, a CSV or an NPZ file"

_CHECK_ROWS = 16  # the complex step evaluates the loss once for each entry of the gradient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; settings that are not given are left out of the result."""
    add = _settings(parser)
    add("--data", metavar="DATA", help=f"{', '.join(BUNDLED)}, FILE.csv or FILE.npz")
    add("--target", metavar="COLUMN", help="the column of a CSV file to predict")
    add("--task", choices=TASKS, help="auto: few whole numbers or text are classes")
    add("--drop", type=_names, metavar="COLUMN,...", help="columns that are left out")
    add(
        "--ordinal",
        type=_names,
        metavar="COLUMN,...",
        help="text columns whose values are numbered, as size or size=S<M<L",
    )
    add("--missing", choices=MISSING, help="what to do about missing cells")
    add("--encoding", metavar="NAME", help="of a CSV file, such as latin-1")
    add("--decimal", choices=(".", ","), help="decimal sign of a CSV file")
    add("--hidden", type=_widths, metavar="N,N", help="widths of the hidden layers, or none")
    add("--activation", choices=tuple(ACTIVATIONS), help="of the hidden layers")
    add("--epochs", type=int, metavar="N", help="passes over the training part")
    add("--batch", type=int, metavar="N", help="examples a step")
    add("--lr", type=float, metavar="RATE", help="learning rate")
    add("--schedule", choices=tuple(SCHEDULES), help="of the learning rate")
    add("--optimizer", choices=tuple(OPTIMIZERS), help="the method")
    add("--weight-decay", type=float, metavar="L", help="factor of half the squared weights")
    add("--validation", type=float, metavar="SHARE", help="of the rows outside the test part")
    add("--patience", type=int, metavar="N", help="stop after N epochs without progress; 0: never")
    add("--seed", type=int, metavar="N", help="of the split, the weights and the order")
    parser.add_argument("--out", type=Path, metavar="DIR", help="run folder; default runs/DATA-NNN")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare the gradient with the closed-form recursion and the complex step",
    )
    parser.add_argument(
        "--no-report",
        dest="report",
        action="store_false",
        help="leave out report.html, the page about the run",
    )


def _settings(parser: argparse.ArgumentParser) -> Any:
    """Return an ``add_argument`` for settings: no default stored, but named in the help."""

    def add(flag: str, *, help: str, **options: Any) -> None:
        default = getattr(Config, flag.lstrip("-").replace("-", "_"))
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        if default not in (None, ""):
            help = f"{help} (default: {default})"
        parser.add_argument(flag, default=argparse.SUPPRESS, help=help, **options)

    return add


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _widths(text: str) -> tuple[int, ...]:
    try:
        return () if text == "none" else tuple(int(n) for n in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of widths such as 64,64, or none"
        ) from None


def run(args: argparse.Namespace) -> int:
    """Train, print a table of results, and return 0, 1 (a check failed) or 130 (interrupted)."""
    console = Console(highlight=False, markup=False)
    folder, config = _open(args)
    problem = prepare(config)
    if not args.resume:
        folder = RunFolder.create(folder.path, config)
    try:
        return _train_and_report(console, problem, folder, args.check, args.report)
    except KeyboardInterrupt:
        return _interrupted(console, folder)


def _train_and_report(
    console: Console, problem: Problem, folder: RunFolder, check: bool, report: bool
) -> int:
    checked = _check(problem) if check else None
    stored = folder.read_checkpoint()
    done = stored.state.epoch if stored else 0
    began = time.perf_counter()
    state = _train(console, problem, folder)
    seconds = time.perf_counter() - began
    results = Results(
        problem=problem,
        state=state,
        metrics=held_out_metrics(problem, state),
        operations=count_operations(problem, state),
        check=checked,
        seconds=seconds,
        epochs=state.epoch - done,
    )
    folder.write_summary(results.summary())
    picture = draw_losses(folder.path, state.history)
    show_table(console, results.title, (), results.table(), left=(0, 1))
    show_lines(console, [f"run folder: {folder.path} (loss curve: {picture.name})"])
    if report:
        show_lines(console, [_report(folder)])
    return 1 if checked and not checked.passed else 0


def _report(folder: RunFolder) -> str:
    """Write the page about the run, and say where it is; the run itself is complete without it."""
    try:
        return f"report: {write_report(read_run(folder.path))} (open it in a browser)"
    except WengertError as error:
        again = f"wengert report {shlex.quote(str(folder.path))}"
        return f"there is no report: {error}\nTry again: {again}"


def _open(args: argparse.Namespace) -> tuple[RunFolder, Config]:
    """Return the folder, not yet made for a new run, and the settings."""
    given = {f.name: getattr(args, f.name) for f in fields(Config) if hasattr(args, f.name)}
    config = Config(**given)
    if not args.resume:
        path = args.out or new_folder_name(Path("runs"), config.data)
        return RunFolder(path), config
    if args.out is None:
        raise RunFolderError("--resume needs the folder of the run: --out DIR")
    folder = RunFolder.resume(args.out)
    return folder, resume_config(folder, config, set(given))


def _train(console: Console, problem: Problem, folder: RunFolder) -> State:
    config, rows = problem.config, len(problem.split.train)
    stored = folder.read_checkpoint()
    done = stored.state.epoch if stored else 0
    if done:
        console.print(f"resuming after epoch {done}")
    steps = -(-rows // config.batch)
    score = "accuracy" if problem.dataset.task == "classification" else "R²"
    with TrainingProgress(console, config, score, steps, done) as progress:
        return train(problem, folder, on_step=progress.step, on_epoch=progress.epoch)


def _interrupted(console: Console, folder: RunFolder) -> int:
    stored = folder.read_checkpoint()
    epoch = stored.state.epoch if stored else 0
    command = f"wengert train --out {shlex.quote(str(folder.path))} --resume"
    console.print(f"interrupted; kept up to epoch {epoch}. Go on: {command}", soft_wrap=True)
    return 130


def _check(problem: Problem) -> GradientCheck:
    """Check the gradient where training starts, where it is greatest."""
    params = start(problem.objective.model, problem.config).params
    part = problem.split.train
    return check_gradient(problem.objective, params, part.x[:_CHECK_ROWS], part.y[:_CHECK_ROWS])
