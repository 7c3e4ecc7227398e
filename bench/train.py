"""Training against scikit-learn's MLPClassifier: same data, network, method and epochs.

Digits, 64-64 hidden units (relu), 60 epochs of minibatches of 200, Adam, learning rate 1e-3, the
same weight decay, no validation part. Runs alternate in one process with the same threads; the
first of each is a warm-up.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from wengert.train import Config, Problem, held_out_metrics, prepare, train

SKLEARN_ALPHA = 1e-4  # scikit-learn's default, which it divides by the number of examples

CONFIG = Config(
    data="digits",
    hidden=(64, 64),
    activation="relu",
    epochs=60,
    batch=200,
    lr=1e-3,
    optimizer="adam",
    weight_decay=SKLEARN_ALPHA / 200,
    validation=0.0,
)


def with_wengert(problem: Problem) -> float:
    """Train and return the accuracy on the test part."""
    return held_out_metrics(problem, train(problem))["accuracy"]


def with_sklearn(problem: Problem) -> float:
    """Train and return the accuracy on the test part."""
    config, parts = problem.config, problem.split
    model = MLPClassifier(
        config.hidden,
        activation=config.activation,
        solver=config.optimizer,
        alpha=SKLEARN_ALPHA,
        batch_size=config.batch,
        learning_rate_init=config.lr,
        max_iter=config.epochs,
        tol=0.0,
        n_iter_no_change=config.epochs,
        random_state=config.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs run, as asked for
        model.fit(parts.train.x, parts.train.y.argmax(axis=1))
    return float(model.score(parts.test.x, parts.test.y.argmax(axis=1)))


def timed(run: Callable[[Problem], float], problem: Problem) -> tuple[float, float]:
    """Return seconds and accuracy."""
    began = time.perf_counter()
    accuracy = run(problem)
    return time.perf_counter() - began, accuracy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="timed runs, each with its own seed")
    runs = parser.parse_args().runs

    contenders = {"wengert": with_wengert, "scikit-learn": with_sklearn}
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for seed in range(-1, runs):
        problem = prepare(replace(CONFIG, seed=max(seed, 0)))
        for name, run in contenders.items():
            result = timed(run, problem)
            if seed >= 0:
                results[name].append(result)

    table = Table("", "seconds (median)", "fastest", "test accuracy (mean)", "time, ratio")
    reference = statistics.median(seconds for seconds, _ in results["scikit-learn"])
    for name, measured in results.items():
        seconds, accuracies = zip(*measured, strict=True)
        middle = statistics.median(seconds)
        table.add_row(
            name,
            f"{middle:.3f}",
            f"{min(seconds):.3f}",
            f"{statistics.mean(accuracies):.2%}",
            f"{middle / reference:.2f}",
        )
    table.title = f"digits, 64-64, 60 epochs, batch 200, Adam ({runs} runs)"
    Console().print(table)


if __name__ == "__main__":
    main()
