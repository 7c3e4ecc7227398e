"""Training a multilayer perceptron with wengert's gradients, from a table to a run folder.

A run can be interrupted at any moment and resumed bit for bit.
May import: errors, tables, files, wengert.

The parameters are a list of layers, the loss is a NumPy function, and an optimiser is a few lines:

>>> from wengert.train import Config, prepare, held_out_metrics, train
>>> problem = prepare(Config(data="digits", hidden=(64,), epochs=20))
>>> accuracy = held_out_metrics(problem, train(problem))["accuracy"]
"""

from wengert.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    RunFolderError,
    SettingsError,
)
from wengert.train.config import Config
from wengert.train.data import BUNDLED, Dataset, Part, Scaling, Split, load, split
from wengert.train.folder import Checkpoint, RunFolder
from wengert.train.gradcheck import GradientCheck, check_gradient
from wengert.train.loop import Metrics, State, evaluate, fit
from wengert.train.model import (
    ACTIVATIONS,
    LOSSES,
    MLP,
    Activation,
    Loss,
    Objective,
    softmax_cross_entropy,
    squared_error,
)
from wengert.train.optim import OPTIMIZERS, SCHEDULES, SGD, Adam, Momentum
from wengert.train.predict import Model, read_model
from wengert.train.run import Problem, held_out_metrics, prepare, train

__all__ = [
    "ACTIVATIONS",
    "BUNDLED",
    "LOSSES",
    "MLP",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Activation",
    "Adam",
    "Checkpoint",
    "CheckpointError",
    "Config",
    "DataError",
    "Dataset",
    "DivergedError",
    "GradientCheck",
    "Loss",
    "Metrics",
    "Model",
    "Momentum",
    "Objective",
    "Part",
    "Problem",
    "RunFolder",
    "RunFolderError",
    "Scaling",
    "SettingsError",
    "Split",
    "State",
    "check_gradient",
    "evaluate",
    "fit",
    "held_out_metrics",
    "load",
    "prepare",
    "read_model",
    "softmax_cross_entropy",
    "split",
    "squared_error",
    "train",
]
