from __future__ import annotations

import io
import math

import numpy as np
import pytest
from rich.console import Console

from wengert.report.losscurve import draw_losses, svg
from wengert.report.progress import TrainingProgress
from wengert.train import Config, Metrics, State
from wengert.train.optim import OptimizerState


def state(epoch, validation=0.5):
    history = tuple(Metrics(i + 1, 0.1, 2.0 / (i + 1), validation, 0.9) for i in range(epoch))
    empty = np.zeros(0)
    return State(epoch, empty, OptimizerState(0, ()), {}, history, epoch, empty)


def show(terminal, epochs=20, validation=0.5):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, color_system=None)
    with TrainingProgress(console, Config(epochs=epochs), "accuracy", steps=3) as progress:
        for epoch in range(1, epochs + 1):
            for step in range(1, 4):
                progress.step(epoch, step, 1.0)
            progress.epoch(state(epoch, validation))
    return text.getvalue()


def test_bar_shows_loss_and_accuracy():
    text = show(terminal=True)
    assert "epoch 20/20" in text
    assert "loss 0.1000  validation loss 0.5000  accuracy 0.9000" in text
    assert "100%" in text


def test_lines_where_there_is_no_terminal():
    lines = show(terminal=False).splitlines()
    assert len(lines) == 10
    assert lines[-1] == "epoch 20/20  loss 0.1000  validation loss 0.5000  accuracy 0.9000"


def test_no_validation_part():
    assert show(terminal=False, validation=math.nan).splitlines()[-1] == "epoch 20/20  loss 0.1000"


def test_svg_by_hand():
    text = svg({"training": [(1.0, 1.0), (2.0, 0.1)], "validation": [(1.0, 2.0), (2.0, 0.5)]})
    assert text.count("<polyline") == 2
    assert "training loss" in text
    assert "1e-1" in text
    assert len(text) < 4000


def test_svg_of_nothing_or_one_epoch():
    assert "<svg" in svg({})
    assert "<polyline" in svg({"training": [(1.0, 0.5)]})


@pytest.mark.parametrize("validation", [0.5, math.nan, 0.0])
def test_picture(tmp_path, validation):
    pytest.importorskip("matplotlib")
    path = draw_losses(tmp_path, state(3, validation).history)
    assert path.read_bytes().startswith(b"\x89PNG")
