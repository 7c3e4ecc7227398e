"""Progress of a training run on the terminal."""

from __future__ import annotations

import math
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from wengert.train import Config, State

__all__ = ["TrainingProgress"]

_REFRESH = 0.1  # seconds
_LINES = 10  # printed where there is no terminal to draw a bar on


class TrainingProgress:
    """A progress bar with loss and score, or some lines where the output is not a terminal.

    Use as a context manager; pass `step` and `epoch` to `wengert.train.train`.

    Parameters
    ----------
    console : Console
    config : Config
    score : str
        What the validation score is called.
    steps : int
        Steps an epoch.
    done : int
        Epochs that were done before.
    """

    def __init__(
        self, console: Console, config: Config, score: str, steps: int, done: int = 0
    ) -> None:
        self.console, self.config, self.score, self.steps = console, config, score, steps
        # The bar is drawn from the callbacks: a thread of its own would take time from training.
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(config.epochs)),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task(
            "", total=config.epochs * steps, completed=done * steps, epoch=done, figures=""
        )
        self.drawn = 0.0

    def __enter__(self) -> TrainingProgress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.refresh()
        self.bar.stop()

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Show the step, if the last drawing was long enough ago."""
        if time.monotonic() - self.drawn >= _REFRESH:
            self.bar.update(self.task, completed=(epoch - 1) * self.steps + step, epoch=epoch)
            self._draw()

    def epoch(self, state: State) -> None:
        """Show the metrics after an epoch."""
        metrics = state.history[-1]
        figures = f"loss {metrics.train_loss:.4f}"
        if not math.isnan(metrics.validation_loss):
            figures += f"  validation loss {metrics.validation_loss:.4f}"
            figures += f"  {self.score} {metrics.validation_score:.4f}"
        last = state.is_finished(self.config)
        if not self.console.is_terminal:
            every = max(1, self.config.epochs // _LINES)
            if state.epoch % every == 0 or last:
                self.console.print(f"epoch {state.epoch}/{self.config.epochs}  {figures}")
            return
        self.bar.update(
            self.task, completed=state.epoch * self.steps, epoch=state.epoch, figures=figures
        )
        if last or time.monotonic() - self.drawn >= _REFRESH:
            self._draw()

    def _draw(self) -> None:
        self.bar.refresh()
        self.drawn = time.monotonic()
