"""The report of a training run: one page, which needs no network and prints on A4.

Curves come from the run's folder. Costs, memory and throughput are those of the value and the
gradient on one minibatch, counted and timed when the report is made, on data of the run's shapes.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import wengert as wg
from wengert.analysis.breakdown import Cost
from wengert.analysis.memory_use import MemoryUse
from wengert.charts import words
from wengert.charts.curves import svg_curves
from wengert.charts.html import Part, cards, details, figure, frame, page, paragraphs, table
from wengert.charts.roof import Work, svg_roof
from wengert.charts.stack import svg_stack
from wengert.devices.machine import Machine, measured
from wengert.drawing.drawing import Drawing
from wengert.errors import RunFolderError, UnsupportedError, users_code
from wengert.train import MLP, Config, Metrics, Objective, RunFolder, model
from wengert.train.folder import write_text
from wengert.train.model import Params

__all__ = ["REPORT", "Run", "read_run", "write_report"]

REPORT = "report.html"
"""Name of the page in the run's folder."""
SECONDS = 0.3
"""Time that is spent on timing the gradient."""
CALLS = 200
WIDTH = 940
"""Of a chart, in pixels; a page is a little wider."""


@dataclass(frozen=True)
class Run:
    """What the folder of a run tells.

    Attributes
    ----------
    path : Path
    config : Config
    history : tuple of Metrics
    best_epoch : int
    layers : list of dict of arrays
        The best weights.
    classification : bool
    summary : dict
        Of ``summary.json``; empty for a run that was not finished.
    """

    path: Path
    config: Config
    history: tuple[Metrics, ...]
    best_epoch: int
    layers: Params
    classification: bool
    summary: dict[str, Any]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the layers, the input first."""
        return (len(self.layers[0]["w"]), *(len(layer["b"]) for layer in self.layers))

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(array.size for layer in self.layers for array in layer.values())

    @property
    def score(self) -> str:
        """What the validation score is called."""
        return "accuracy" if self.classification else "R²"

    @cached_property
    def step(self) -> tuple[Objective, tuple[Any, ...]]:
        """The objective and the arguments of one step: weights, and random data of their shapes."""
        task = "classification" if self.classification else "regression"
        net = MLP(self.sizes, self.config.activation)
        rng = np.random.default_rng(0)
        rows = min(self.config.batch, self.summary.get("rows", {}).get("training", math.inf))
        x = rng.normal(size=(rows, self.sizes[0]))
        y = rng.normal(size=(rows, self.sizes[-1]))
        if self.classification:
            y = np.eye(self.sizes[-1])[rng.integers(0, self.sizes[-1], rows)]
        return Objective(net, task, self.config.weight_decay), (self.layers, x, y)


def read_run(path: Path) -> Run:
    """Read the folder of a run.

    Raises
    ------
    RunFolderError
        There is no run, or none of its epochs was finished.
    CheckpointError
        Its checkpoint cannot be read.
    """
    folder = RunFolder.of_run(path)
    config, stored = folder.read_config(), folder.read_checkpoint()
    if stored is None or not stored.state.history:
        raise RunFolderError(
            f"{path}: no epoch of this run was finished, so there is nothing to report; go on with "
            f"it: wengert train --out {path} --resume"
        )
    layers, classes = folder.read_weights()
    return Run(
        path,
        config,
        stored.state.history,
        stored.state.best_epoch,
        layers,
        len(classes) > 0,
        folder.read_summary(),
    )


def write_report(run: Run, to: Path | None = None, machine: Machine | None = None) -> Path:
    """Write the page of a run; return its path.

    Parameters
    ----------
    run : Run
    to : Path, optional
        The file; ``report.html`` in the run's folder by default.
    machine : Machine, optional
        Whose limits to compare with; this computer, measured, by default.

    Raises
    ------
    RunFolderError
        The file cannot be written.
    """
    path = run.path / REPORT if to is None else to
    write_text(path, _page(run, machine or measured()))
    return path


# --- the page -------------------------------------------------------------------------------------
def _page(run: Run, machine: Machine) -> str:
    objective, arguments = run.step
    with users_code(model.__file__):  # the model is NumPy code as a user would write it
        cost = wg.cost(objective, *arguments, machine=machine)
        needs = wg.memory(objective, *arguments)
        drawing = wg.draw(objective, *arguments)
    seconds = _timed(objective, arguments)
    least = cost.roofline().seconds
    config, last = run.config, run.history[-1]
    layers = " - ".join(map(str, run.sizes))
    lead = (
        f"{layers} perceptron with {config.activation}, {run.parameters:,} parameters, "
        f"{len(run.history)} of {config.epochs} epochs of minibatches of {config.batch} "
        f"with {config.optimizer}"
    )
    rate = f"{words.number(len(arguments[1]) / seconds)}/s"
    shown = [
        *_scores(run),
        ("best epoch", f"{run.best_epoch} of {last.epoch}"),
        ("a step", words.seconds(seconds)),
        ("examples in steps", rate),
    ]
    if least <= seconds:
        shown.append(("of this machine's limit", f"{least / seconds:.0%}"))
    return page(
        f"Training run {run.path.resolve().name}",
        lead,
        [
            Part("curves", "Loss and accuracy" if run.classification else "Loss", _curves(run)),
            Part("results", "Results and settings", _results(run)),
            Part("graph", "Graph", _graph(drawing)),
            Part("costs", "Costs", _costs(cost)),
            Part("memory", "Memory", _memory(needs)),
            Part("throughput", "Throughput", _throughput(run, cost, seconds, machine)),
        ],
        top=cards(shown),
        foot=f"Written by wengert {wg.__version__}. The page holds all that it shows.",
    )


def _scores(run: Run) -> list[tuple[str, str]]:
    test = run.summary.get("test", {})
    found = []
    if "accuracy" in test:
        found.append(("test accuracy", f"{test['accuracy']:.2%}"))
    if "r2" in test:
        found.append(("test R²", f"{test['r2']:.4f}"))
    best = run.history[run.best_epoch - 1]
    if not found and not math.isnan(best.validation_score):
        found.append((f"validation {run.score}", f"{best.validation_score:.4f}"))
    if not found:
        found.append(("training loss", f"{best.train_loss:.4g}"))
    return found


def _curves(run: Run) -> str:
    history, score = run.history, f"validation {run.score}"
    best = (float(run.best_epoch), f"best epoch {run.best_epoch}")
    options: dict[str, Any] = {"x": "epoch", "width": WIDTH}
    losses = {
        "training": [(float(m.epoch), m.train_loss) for m in history],
        "validation": [(float(m.epoch), m.validation_loss) for m in history],
    }
    drawn = svg_curves(losses, title="loss", y="loss", log=True, best=best, **options)
    parts = [figure(drawn)]
    scores = {score: [(float(m.epoch), m.validation_score) for m in history]}
    if any(math.isfinite(value) for _, value in scores[score]):
        drawn = svg_curves(scores, title=run.score, y=run.score, best=best, height=240, **options)
        parts.append(figure(drawn))
    rates = {"learning rate": [(float(m.epoch), m.lr) for m in history]}
    if len({m.lr for m in history}) > 1:
        drawn = svg_curves(rates, title="learning rate", y="rate", height=200, **options)
        parts.append(details("Learning rate", figure(drawn)))
    head = ("epoch", "learning rate", "training loss", "validation loss", run.score)
    rows = [
        (f"{m.epoch}", *(f"{v:.5g}" if math.isfinite(v) else "" for v in m[1:]))
        for m in _thinned(history)
    ]
    parts.append(details("The figures of the curves", table(head, rows)))
    return "".join(parts)


def _thinned(history: Sequence[Metrics], most: int = 100) -> list[Metrics]:
    """Return epochs at even distances, with the last."""
    every = -(-len(history) // most)
    kept = list(history[::every])
    return kept if kept[-1] is history[-1] else [*kept, history[-1]]


def _results(run: Run) -> str:
    rows = [("layers", " - ".join(map(str, run.sizes))), ("parameters", f"{run.parameters:,}")]
    counted = run.summary.get("rows", {})
    if counted:
        rows.append(("rows", ", ".join(f"{n:,} {name}" for name, n in counted.items())))
    names = {"loss": "test loss", "accuracy": "test accuracy", "r2": "test R²",
             "rmse": "test root mean squared error"}  # fmt: skip
    for name, value in run.summary.get("test", {}).items():
        rows.append(
            (names.get(name, name), f"{value:.2%}" if name == "accuracy" else f"{value:.5g}")
        )
    if "seconds" in run.summary:
        rows.append(("training time", f"{run.summary['seconds']:.2f} s"))
    check = run.summary.get("gradient_check")
    if check:
        rows.append(("gradient against delta recursion", f"{check['recursion']:.1e} at most"))
        rows.append(("gradient against complex step", f"{check['complex_step']:.1e} at most"))
    notes = [] if run.summary else ["The run has not been finished, so nothing was tested."]
    settings = [(name, json.dumps(value)) for name, value in run.config.to_json().items()]
    return (
        table(("", ""), rows, left=(0, 1))
        + paragraphs(notes)
        + details("Settings", table(("setting", "value"), settings, left=(0, 1)))
    )


def _graph(drawing: Drawing) -> str:
    """Return the picture, and below it the page in which one can look through the graph."""
    said = (
        "What a step computes: squares are variables and circles operators, the way there in one "
        "colour, the way back in another, and what is kept for it with its bytes."
    )
    try:
        picture = figure(drawing.svg("auto"))
    except UnsupportedError as error:  # too many nodes for a picture, not for the page
        picture = paragraphs([str(error).partition("\n")[0]])
    counted = ", ".join(f"{text} {name}" for name, text in drawing.summary())
    title = "The graph, to look through"
    inner = details(title, frame(drawing.html(), title))
    return paragraphs([said]) + picture + paragraphs([counted]) + inner


def _costs(cost: Cost) -> str:
    return paragraphs(
        ["The objective and its gradient for the weights, on one minibatch. A multiply-add is two."]
    ) + "".join(cost.html_parts(WIDTH))


def _memory(needs: MemoryUse) -> str:
    return (
        paragraphs(["What one step holds in machine code, from its first operation to its last."])
        + figure(svg_stack(needs.stack(), WIDTH))
        + table(("", "prediction", "training"), needs.summary())
        + details("Arrays that are held when most is", needs.training.html_table())
    )


def _throughput(run: Run, cost: Cost, seconds: float, machine: Machine) -> str:
    roof = cost.roofline(machine)
    examples = len(run.step[1][1])
    work = Work(
        "value and gradient", cost.flops, roof.memory * machine.bandwidth, cost.flops / seconds
    )
    rows = [
        ("machine", str(machine)),
        ("least time of a step", words.seconds(roof.seconds)),
        ("  of arithmetic", words.seconds(roof.compute)),
        ("  of memory", words.seconds(roof.memory)),
        ("a step, measured", words.seconds(seconds)),
        ("share of the limit", f"{roof.seconds / seconds:.1%}"),
        ("operations a second", words.number(cost.flops / seconds)),
        ("examples a second, in steps", words.number(examples / seconds)),
    ]
    whole = run.summary.get("examples_per_second")
    if whole:
        rows.append(("examples a second, whole run", words.number(whole)))
    said = (
        "A step is the value and the gradient on one minibatch, the median of several calls when "
        "this page was written. The limit is the time in which the machine's arithmetic, or its "
        "memory, would have done the same, loop by loop."
    )
    notes = [said]
    if roof.seconds > seconds:
        notes.append(
            "The step was faster than the limit, so the machine was busy while its limit was "
            f"measured. On a quiet machine, write the page again: wengert report {run.path}"
        )
    return (
        paragraphs(notes)
        + figure(svg_roof(machine.flops, machine.bandwidth, [work], WIDTH))
        + table(("", ""), rows, left=(0, 1))
    )


def _timed(objective: Objective, arguments: tuple[Any, ...]) -> float:
    """Return the median seconds of a call of the compiled value and gradient."""
    run = wg.jit(wg.value_and_grad(objective))
    run(*arguments)
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 3 or (time.perf_counter() < end and len(times) < CALLS):
        start = time.perf_counter()
        run(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
