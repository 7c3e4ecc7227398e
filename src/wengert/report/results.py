"""The results of a training run: as rows for the terminal and as data for the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import wengert as wg
from wengert.analysis.cost import count_function
from wengert.train import GradientCheck, Problem, State
from wengert.train.gradcheck import RECURSION_TOLERANCE

__all__ = ["Operations", "Results", "count_operations"]


@dataclass(frozen=True)
class Operations:
    """Counted operations of the objective on one minibatch; a multiply-add is two."""

    value: int
    value_and_gradient: int


def count_operations(problem: Problem, state: State) -> Operations:
    """Count the operations of one training step's value, and of its value and gradient."""
    batch, part = problem.config.batch, problem.split.train
    arguments = problem.layers(state), part.x[:batch], part.y[:batch]
    return Operations(
        int(count_function(problem.objective, *arguments).flops),
        int(count_function(wg.value_and_grad(problem.objective), *arguments).flops),
    )


@dataclass(frozen=True)
class Results:
    """What there is to say when a run is over.

    Parameters
    ----------
    problem : Problem
    state : State
        After the last epoch.
    metrics : dict
        On the test part, from `wengert.train.held_out_metrics`.
    operations : Operations
    check : GradientCheck or None
    seconds : float
        Time spent training.
    epochs : int
        Epochs trained in that time; a resumed run had others before.
    """

    problem: Problem
    state: State
    metrics: dict[str, float]
    operations: Operations
    check: GradientCheck | None
    seconds: float
    epochs: int = 0

    def summary(self) -> dict[str, Any]:
        """Return the results as a dictionary that `json` can write."""
        split, done = self.problem.split, self.epochs
        summary: dict[str, Any] = {
            "task": self.problem.dataset.task,
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            "test": self.metrics,
            "parameters": self.state.params.size,
            "operations_per_step": vars(self.operations),
            "seconds": self.seconds,
            "rows": {
                "training": len(split.train),
                "validation": len(split.validation),
                "test": len(split.test),
            },
        }
        if done and self.seconds > 0:
            summary["examples_per_second"] = done * len(split.train) / self.seconds
        return summary | ({"gradient_check": vars(self.check)} if self.check else {})

    @property
    def title(self) -> str:
        """What was trained."""
        return f"{self.problem.dataset.name}: {self.problem.dataset.task}"

    def table(self) -> list[tuple[str, str]]:
        """Return the results as rows: a name and a text."""
        rows = [*self._model(), *self._gradient(), *self._operations()]
        return [*rows, ("training time", f"{self.seconds:.2f} s")]

    def _model(self) -> list[tuple[str, str]]:
        split, metrics = self.problem.split, self.metrics
        sizes = " - ".join(map(str, self.problem.objective.model.sizes))
        rows = [
            (
                "rows",
                f"{len(split.train):,} training, {len(split.validation):,} validation, "
                f"{len(split.test):,} test",
            ),
            ("layers", f"{sizes} ({self.state.params.size:,} parameters)"),
            ("best epoch", f"{self.state.best_epoch} of {self.state.epoch}"),
            ("test loss", f"{metrics['loss']:.4f}"),
        ]
        if "accuracy" in metrics:
            return [*rows, ("test accuracy", f"{metrics['accuracy']:.2%}")]
        rmse = ("test root mean squared error", f"{metrics['rmse']:.4g}")
        return [*rows, rmse, ("test R²", f"{metrics['r2']:.4f}")]

    def _gradient(self) -> list[tuple[str, str]]:
        check = self.check
        if check is None:
            return []
        return [
            (
                "gradient against delta recursion",
                f"{check.recursion:.1e} at most (limit {RECURSION_TOLERANCE:g})",
            ),
            (
                "gradient against complex step",
                f"{check.complex_step:.1e} relative at most "
                f"({check.entries:,} of {check.total:,} entries)",
            ),
            ("gradient check", "passed" if check.passed else "FAILED"),
        ]

    def _operations(self) -> list[tuple[str, str]]:
        value, both = self.operations.value, self.operations.value_and_gradient
        return [
            ("operations a step, forward", f"{value:,}"),
            ("operations a step, backward", f"{both - value:,}"),
            ("value and gradient over value", f"{both:,} / {value:,} = {both / value:.2f}"),
        ]
