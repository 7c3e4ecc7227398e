"""``wengert train`` from end to end."""

from __future__ import annotations

import contextlib
import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wengert.cli import train as command
from wengert.errors import RunFolderError
from wengert.train import Metrics, RunFolder, gradcheck

QUICK = ["--hidden", "8", "--epochs", "6", "--batch", "20", "--lr", "0.02", "--no-report"]


@pytest.fixture
def start(wengert, csv_file):
    """Return a function that trains quickly on the CSV file, with more arguments."""

    def start(*more, report=False):
        rest = [*QUICK[: -1 if report else None], *more]
        return wengert("train", "--data", csv_file, "--target", "label", *rest)

    return start


def one_line(text, *parts):
    """Check that a message is one line, without a traceback, that holds some words."""
    assert text.count("\n") == 1, text
    assert text.startswith("wengert train: ")
    for part in parts:
        assert part in text


def test_classification_leaves_a_whole_run_folder(start):
    code, out, err = start("--out", "run", "--check", report=True)
    assert (code, err) == (0, "")
    for words in ("test accuracy", "gradient against delta recursion", "passed", "run folder: run"):
        assert words in out
    assert "report: run/report.html (open it in a browser)\n" in out
    assert "6 of 6 epochs" in Path("run/report.html").read_text(encoding="utf-8")
    folder = Path("run")
    names = {"config.json", "metrics.csv", "weights.npz", "checkpoint.npz", "summary.json"}
    assert names <= {path.name for path in folder.iterdir()}
    assert (folder / "loss.png").exists() or (folder / "loss.svg").exists()

    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(Metrics._fields)
    assert [row["epoch"] for row in rows] == [str(i) for i in range(1, 7)]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test"]["accuracy"] > 0.8
    assert summary["gradient_check"]["recursion"] <= 1e-12
    assert summary["operations_per_step"]["value_and_gradient"] > 0


def test_saved_weights_predict(start, csv_file):
    """The files alone are enough to use the model."""
    start("--out", "run", "--activation", "tanh")
    with np.load("run/weights.npz") as file:
        w = dict(file)
    table = np.loadtxt(csv_file, delimiter=",", skiprows=1, usecols=(0, 1, 3))
    z = (table - w["x_mean"]) / w["x_scale"]
    a = np.tanh(z @ w["w0"] + w["b0"]) @ w["w1"] + w["b1"]
    labels = np.loadtxt(csv_file, delimiter=",", skiprows=1, usecols=2, dtype=str)
    assert np.mean(w["classes"][a.argmax(axis=1)] == labels) > 0.8


def test_regression(wengert, csv_file):
    rows = [line.rsplit(",", 2) for line in csv_file.read_text().splitlines()]
    csv_file.write_text("\n".join(f"{x},{height}" for x, _, height in rows))
    code, out, _ = wengert("train", "--data", csv_file, "--target", "height", *QUICK, "--out", "r")
    assert code == 0
    assert "regression" in out
    assert "test root mean squared error" in out
    assert "R²" in out


def test_text_column_among_the_features(wengert, csv_file):
    code, out, _ = wengert("train", "--data", csv_file, "--target", "height", *QUICK)
    assert code == 0
    assert "regression" in out
    columns = json.loads(Path("runs/points-001/columns.json").read_text())
    assert [c["kind"] for c in columns] == ["number", "number", "onehot"]
    assert columns[2]["values"] == ["down", "up"]


def test_a_slip_in_a_column_of_numbers(wengert, csv_file):
    lines = csv_file.read_text().splitlines()
    lines[1] = "two" + lines[1][lines[1].index(",") :]
    csv_file.write_text("\n".join(lines))
    code, _, err = wengert("train", "--data", csv_file, "--target", "height", *QUICK)
    assert code == 2
    one_line(err, "line 2: column 'a' holds 'two'", "leave the column out: --drop a")
    assert not Path("runs").exists()  # nothing is left behind


def test_default_folders_are_numbered(start):
    assert start()[0] == start()[0] == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["points-001", "points-002"]


def test_no_hidden_layer_and_no_validation(start):
    code, out, _ = start("--hidden", "none", "--validation", "0", "--out", "run")
    assert code == 0
    assert "4 - 2" not in out
    assert "3 - 2" in out
    assert "0 validation" in out


def test_interrupted_and_resumed(start, wengert, monkeypatch):
    assert start("--out", "whole")[0] == 0
    append = RunFolder.append_metrics

    def interrupt(folder, metrics):
        append(folder, metrics)
        if metrics.epoch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", interrupt)
        code, out, err = start("--out", "cut run")
    assert (code, err) == (130, "")
    assert "kept up to epoch 3. Go on: wengert train --out 'cut run' --resume\n" in out
    assert Path("cut run/weights.npz").exists()

    code, out, err = wengert("train", "--out", "cut run", "--resume", "--no-report")
    assert (code, err) == (0, "")
    assert "resuming after epoch 3" in out
    for name in ("weights.npz", "checkpoint.npz"):
        with np.load(f"cut run/{name}") as one, np.load(f"whole/{name}") as other:
            np.testing.assert_equal(dict(one), dict(other))
    assert Path("cut run/metrics.csv").read_text() == Path("whole/metrics.csv").read_text()


def test_interrupted_before_training(start, wengert, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "check_gradient", interrupt)
    code, out, _ = start("--out", "run", "--check")
    assert code == 130
    assert "kept up to epoch 0" in out
    assert wengert("train", "--out", "run", "--resume", "--no-report")[0] == 0


def test_resume_with_other_settings(start, wengert):
    start("--out", "run")
    code, _, err = wengert("train", "--out", "run", "--resume", "--lr", "0.5", "--epochs", "9")
    assert code == 2
    assert [line.split() for line in err.splitlines()[1:-1]] == [
        ["setting", "run", "given"],
        ["lr", "0.02", "0.5"],
    ]
    assert "leave these options out to resume" in err
    assert wengert("train", "--out", "run", "--resume", "--epochs", "9", "--no-report")[0] == 0
    assert json.loads(Path("run/config.json").read_text())["epochs"] == 9


def test_folders_that_cannot_be_used(start, wengert):
    start("--out", "run")
    code, _, err = start("--out", "run")
    assert code == 2
    one_line(err, "run: already holds a run; add --resume to go on with it, or start another")
    Path("file").touch()
    code, _, err = start("--out", "file/run")
    assert code == 2
    one_line(err, "cannot be made a run folder", "name a folder that can be written: --out DIR")
    code, _, err = wengert("train", "--resume")
    assert code == 2
    one_line(err, "--resume needs the folder of the run: --out DIR")
    code, _, err = wengert("train", "--resume", "--out", "nowhere")
    assert code == 2
    one_line(err, "holds no run to resume")


def test_corrupt_checkpoint(start, wengert):
    start("--out", "run")
    Path("run/checkpoint.npz").write_bytes(b"PK not really")
    code, _, err = wengert("train", "--resume", "--out", "run")
    assert code == 2
    one_line(err, "run/checkpoint.npz: is damaged", "remove it to begin this run again")
    Path("run/checkpoint.npz").unlink()  # what the message says to do
    assert wengert("train", "--resume", "--out", "run", "--no-report")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.csv", "--target", "y"], "nowhere.csv: there is no such file"),
        (["--data", "mnist"], "unknown data 'mnist'; give digits, wine"),
        (["--lr", "-1"], "lr is -1.0; it must be above 0"),
        (["--lr", "fast"], "argument --lr: invalid float value: 'fast'; see wengert train --help"),
        (["--hidden", "64x64"], "'64x64' is not a list of widths such as 64,64, or none"),
        (["--activation", "swish"], "invalid choice: 'swish'"),
        (["--dropout", "1"], "unrecognized arguments: --dropout 1"),
    ],
)
def test_wrong_arguments_are_one_line(wengert, arguments, message):
    code, out, err = wengert("train", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_missing_target_lists_the_columns(wengert, csv_file):
    code, _, err = wengert("train", "--data", csv_file, "--target", "price")
    assert code == 2
    one_line(err, "has no column 'price'; its columns are a, b, label, height")


def test_divergence(start):
    code, _, err = start("--lr", "1e300", "--optimizer", "sgd", "--out", "run")
    assert code == 2
    one_line(err, "lower the learning rate (now 1e+300)")


def test_failed_gradient_check_is_exit_code_1(start, monkeypatch):
    right = gradcheck.delta_recursion

    def wrong(*args):
        return [{name: 1.01 * array for name, array in layer.items()} for layer in right(*args)]

    monkeypatch.setattr(gradcheck, "delta_recursion", wrong)
    code, out, _ = start("--check", "--out", "run")
    assert code == 1
    assert "FAILED" in out


def test_a_run_is_complete_without_its_report(start, monkeypatch):
    def failing(run):
        raise RunFolderError("run/report.html: cannot be written (the disk is full)")

    monkeypatch.setattr(command, "write_report", failing)
    code, out, err = start("--out", "run", report=True)
    assert (code, err) == (0, "")
    assert "there is no report: run/report.html: cannot be written" in out
    assert "Try again: wengert report run" in out
    assert Path("run/summary.json").exists()


def test_without_matplotlib_the_picture_is_an_svg(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert start("--out", "run")[0] == 0
    assert Path("run/loss.svg").exists()


def test_help(wengert):
    code, out, _ = wengert("train", "--help")
    assert code == 0
    assert "default: 64,64" in out
    assert wengert("--help")[0] == 0
    code, _, err = wengert("trian")
    assert code == 2
    assert "invalid choice: 'trian'" in err


def test_the_demo_reaches_its_accuracy(wengert):
    """The command of ``make demo``: 97.5 % or more on the held-out quarter."""
    pytest.importorskip("sklearn")
    makefile = Path(__file__).parents[2] / "Makefile"
    text = makefile.read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if "/wengert train" in line]
    code, out, _ = wengert(*line.split()[1:], "--out", "run")
    summary = json.loads(Path("run/summary.json").read_text())
    assert code == 0
    assert summary["test"]["accuracy"] >= 0.975
    assert summary["gradient_check"]["recursion"] <= 1e-12
    assert "test accuracy" in out
    assert out.splitlines()[-1] == "report: run/report.html (open it in a browser)"
    assert Path("run/report.html").stat().st_size < 1_000_000


def _hear_interrupts():
    """Undo what a shell does for jobs in the background: they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_interrupted_by_the_keyboard_again_and_again(start, csv_file, tmp_path):
    """A process of its own, stopped after ever longer times until it gets to the end."""
    more = ["--epochs", "400", "--patience", "0"]
    assert start("--out", "whole", *more)[0] == 0
    first = ["--data", str(csv_file), "--target", "label", *QUICK, *more]
    resume, codes, wait = [], [], 0.4
    while not codes or codes[-1] != 0:
        command_line = [sys.executable, "-m", "wengert.cli.main", "train", "--out", "cut"]
        process = subprocess.Popen(
            [*command_line, *(resume or first)],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            preexec_fn=_hear_interrupts,
        )
        try:
            codes.append(process.wait(timeout=wait))
        except subprocess.TimeoutExpired:
            while process.poll() is None:  # a module being imported may swallow the first one
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=5)
            codes.append(process.returncode)
        # Python dies by the signal itself while it is still importing modules.
        assert codes[-1] in {0, 130, -signal.SIGINT}
        wait *= 1.3
        if Path("cut/config.json").exists():
            resume = ["--resume"]
    assert len(codes) > 1
    for name in ("weights.npz", "checkpoint.npz"):
        with np.load(f"cut/{name}") as one, np.load(f"whole/{name}") as other:
            np.testing.assert_equal(dict(one), dict(other))
    assert Path("cut/metrics.csv").read_text() == Path("whole/metrics.csv").read_text()
