from __future__ import annotations

import json
from dataclasses import replace

import pytest

from wengert.train import Config, SettingsError


def test_json_round_trip():
    config = Config(hidden=(7, 5), target="y", lr=0.1 + 0.2)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"activation": "swish"}, "unknown activation 'swish'; there are tanh, relu"),
        ({"optimizer": "lbfgs"}, "unknown optimizer 'lbfgs'; there are sgd, momentum, adam"),
        ({"schedule": "step"}, "unknown schedule 'step'; there are constant, cosine"),
        ({"hidden": (8, 0)}, "hidden is .8, 0.; it must be widths of 1 or more, such as 64,64"),
        ({"epochs": 0}, "epochs is 0; it must be 1 or more"),
        ({"batch": -1}, "batch is -1; it must be 1 or more"),
        ({"lr": 0.0}, "lr is 0.0; it must be above 0"),
        ({"lr": float("nan")}, "lr is nan; it must be above 0"),
        ({"weight_decay": -1.0}, "weight-decay is -1.0; it must be 0 or more"),
        ({"validation": 1.0}, "validation is 1.0; it must be 0 or more and below 1"),
        ({"patience": -1}, "patience is -1; it must be 0"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
    ],
)
def test_settings_out_of_range(setting, message):
    with pytest.raises(SettingsError, match=message):
        Config(**setting)


def test_unknown_setting():
    with pytest.raises(SettingsError, match="unknown setting 'dropout'; was this written by"):
        Config.from_json({"dropout": 0.5})


def test_differences():
    one = Config()
    other = replace(one, lr=0.5, hidden=(3,))
    assert one.differences(one) == []
    assert one.differences(other) == [("hidden", "(64, 64)", "(3,)"), ("lr", "0.001", "0.5")]
