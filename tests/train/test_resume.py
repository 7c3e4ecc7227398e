"""A run that was stopped, at any moment, ends as one that was not, bit for bit."""

from __future__ import annotations

import itertools
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from wengert.files import digest_of
from wengert.train import (
    CheckpointError,
    RunFolder,
    RunFolderError,
    SettingsError,
    prepare,
    train,
)
from wengert.train.folder import load_checkpoint, write_text
from wengert.train.run import resume_config


def files(folder):
    """Return all that a run leaves, except times: metrics as text, arrays by file and name."""
    found = {"metrics": (folder.path / "metrics.csv").read_text()}
    for name in ("weights.npz", "checkpoint.npz"):
        with np.load(folder.path / name) as file:
            found |= {f"{name}/{key}": file[key] for key in file.files}
    return found


def run(path, config, *, resume=False, on_step=None, on_epoch=None):
    folder = RunFolder.resume(path) if resume else RunFolder.create(path, config)
    state = train(prepare(config), folder, on_step=on_step, on_epoch=on_epoch)
    return folder, state


@pytest.fixture
def whole(tmp_path, small_config):
    return files(run(tmp_path / "whole", small_config)[0])


@pytest.mark.share(6)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("moment", [(1, 1), (1, 3), (4, 2), (6, 5)])
def test_interrupted_in_the_middle_of_an_epoch(tmp_path, small_config, moment, optimizer):
    config = replace(small_config, optimizer=optimizer)
    expected = files(run(tmp_path / "whole", config)[0])

    def interrupt(epoch, step, loss):
        if (epoch, step) == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", config, on_step=interrupt)
    kept = RunFolder.resume(tmp_path / "cut").read_checkpoint()
    assert kept.state.epoch == moment[0] - 1  # at most one epoch is lost
    folder, _ = run(tmp_path / "cut", config, resume=True)
    np.testing.assert_equal(files(folder), expected)


def test_interrupted_again_and_again(tmp_path, small_config, whole):
    def interrupt(state):
        raise KeyboardInterrupt

    path = tmp_path / "cut"
    for epoch in range(small_config.epochs):
        with pytest.raises(KeyboardInterrupt):
            run(path, small_config, resume=epoch > 0, on_epoch=interrupt)
    folder, state = run(path, small_config, resume=True)
    assert state.epoch == small_config.epochs
    np.testing.assert_equal(files(folder), whole)


def test_interrupted_while_writing_the_checkpoint(tmp_path, small_config, whole, monkeypatch):
    flush, calls = os.fsync, itertools.count()

    def interrupted_flush(file):
        if next(calls) == 5:
            raise KeyboardInterrupt
        flush(file)

    monkeypatch.setattr(os, "fsync", interrupted_flush)
    check_goes_on(tmp_path / "cut", small_config, whole, monkeypatch)


def test_interrupted_between_checkpoint_and_metrics(tmp_path, small_config, whole, monkeypatch):
    def interrupted_append(folder, metrics):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "append_metrics", interrupted_append)
    check_goes_on(tmp_path / "cut", small_config, whole, monkeypatch)


def check_goes_on(path, config, whole, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run(path, config)
    monkeypatch.undo()
    assert list(path.glob("*.tmp")) == []
    folder, _ = run(path, config, resume=True)
    np.testing.assert_equal(files(folder), whole)


def test_stopped_before_the_first_checkpoint(tmp_path, small_config, whole):
    RunFolder.create(tmp_path / "cut", small_config)
    folder, _ = run(tmp_path / "cut", small_config, resume=True)
    np.testing.assert_equal(files(folder), whole)


def test_resuming_a_finished_run_changes_nothing(tmp_path, small_config, whole):
    folder, state = run(tmp_path / "whole", small_config, resume=True)
    assert state.epoch == small_config.epochs
    np.testing.assert_equal(files(folder), whole)


def test_more_epochs_with_a_constant_schedule(tmp_path, small_config):
    short = replace(small_config, schedule="constant", epochs=3)
    long = replace(short, epochs=6)
    expected = files(run(tmp_path / "whole", long)[0])
    run(tmp_path / "short", short)
    config = resume_config(RunFolder.resume(tmp_path / "short"), long, {"epochs"})
    assert config == long
    folder, _ = run(tmp_path / "short", config, resume=True)
    np.testing.assert_equal(files(folder), expected)


def test_other_settings_are_listed(tmp_path, small_config):
    folder = RunFolder.create(tmp_path / "run", small_config)
    given = replace(small_config, lr=0.5, hidden=(9,), epochs=12)
    with pytest.raises(SettingsError) as caught:
        resume_config(folder, given, {"lr", "hidden", "epochs", "batch"})
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("the run has other settings than those given:")
    assert [line.split() for line in lines[2:5]] == [
        ["hidden", "(5,)", "(9,)"],
        ["epochs", "6", "12"],  # the cosine schedule depends on it
        ["lr", "0.02", "0.5"],
    ]
    assert lines[5].startswith("leave these options out to resume")
    assert resume_config(folder, given, set()) == small_config


def test_other_data_are_noticed(tmp_path, small_config, table_file):
    run(tmp_path / "run", small_config)
    text = table_file.read_text().splitlines()
    table_file.write_text("\n".join([*text[:-1], "0.5,0.5,no"]) + "\n")
    with pytest.raises(CheckpointError, match=r"belongs to other data .* restore the data, or"):
        run(tmp_path / "run", small_config, resume=True)


def corrupt(path, how):
    content = path.read_bytes()
    half = len(content) // 2
    half = content.index(b"descr", half) if how == "flipped" else half  # within an array's header
    if how == "truncated":
        path.write_bytes(content[:half])
    elif how == "flipped":
        path.write_bytes(content[:half] + bytes([content[half] ^ 255]) + content[half + 1 :])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a checkpoint")
    elif how == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty", "text", "array"])
def test_corrupt_checkpoint(tmp_path, small_config, how):
    folder, _ = run(tmp_path / "run", small_config)
    corrupt(folder.checkpoint_path, how)
    with pytest.raises(CheckpointError) as caught:
        run(tmp_path / "run", small_config, resume=True)
    message = str(caught.value)
    assert message.startswith(f"{folder.checkpoint_path}: is damaged or not a checkpoint")
    assert "remove it to begin this run again from its start" in message


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path, small_config):
    """No damage may pass as another state."""
    folder, state = run(tmp_path / "run", small_config)
    content = folder.checkpoint_path.read_bytes()
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        folder.checkpoint_path.write_bytes(damaged)
        try:
            read = load_checkpoint(folder.checkpoint_path).state
        except CheckpointError:
            continue
        np.testing.assert_equal(vars(read.optimizer), vars(state.optimizer))
        np.testing.assert_array_equal(read.params, state.params)
        np.testing.assert_array_equal(read.best_params, state.best_params)
        assert (read.epoch, read.rng, read.history) == (state.epoch, state.rng, state.history)


TAMPERED = {
    "params of another length": lambda about, arrays: arrays.update(params=np.zeros(3)),
    "params of float32": lambda about, arrays: arrays.update(params=arrays["params"].astype("f")),
    "best params missing": lambda about, arrays: arrays.pop("best_params"),
    "a slot missing": lambda about, arrays: arrays.pop("slot1"),
    "a slot too few": lambda about, arrays: about.update(slots=1),
    "slots without end": lambda about, arrays: about.update(slots=10**18),
    "a negative epoch": lambda about, arrays: about.update(epoch=-1),
    "another epoch": lambda about, arrays: about.update(epoch=about["epoch"] + 1),
    "an epoch that is text": lambda about, arrays: about.update(epoch="3"),
    "a best epoch to come": lambda about, arrays: about.update(best_epoch=99),
    "no generator": lambda about, arrays: about.update(rng={"bit_generator": "none"}),
    "a generator of numbers": lambda about, arrays: about.update(rng=3),
    "settings out of range": lambda about, arrays: about["config"].update(batch=0),
    "settings of another kind": lambda about, arrays: about.update(config=[1]),
    "settings that are text": lambda about, arrays: about["config"].update(lr="fast"),
    "history cut": lambda about, arrays: arrays.update(history=arrays["history"][:-1]),
    "history of text": lambda about, arrays: arrays.update(history=np.array([["a"] * 5])),
    "no text": lambda about, arrays: about.clear(),
}


@pytest.mark.share(6)
@pytest.mark.parametrize("digest", ["kept", "made anew"])
@pytest.mark.parametrize("how", TAMPERED)
def test_tampered_checkpoints(tmp_path, small_config, how, digest):
    """What does not fit together is refused by name, whether the check sum is right or not."""
    folder, _ = run(tmp_path / "run", small_config)
    with np.load(folder.checkpoint_path) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"]))
    TAMPERED[how](about, arrays)
    arrays["about"] = np.array(json.dumps(about))
    if digest == "made anew":
        arrays["digest"] = digest_of(arrays)
    np.savez(folder.checkpoint_path, **arrays)
    with pytest.raises(CheckpointError, match=r"checkpoint\.npz: "):
        run(tmp_path / "run", small_config, resume=True)


EDITED = {
    "lr": 0.5, "batch": 7, "optimizer": "sgd", "seed": 5, "hidden": [3], "activation": "tanh",
    "weight_decay": 0.1, "validation": 0.3, "patience": 9, "schedule": "cosine", "task": "auto",
}  # fmt: skip


@pytest.mark.parametrize("name", EDITED)
def test_edited_settings_are_refused_by_name(tmp_path, small_config, name):
    """config.json says how the run goes on, and the checkpoint how it has gone."""
    folder, _ = run(tmp_path / "run", small_config)
    path = tmp_path / "run" / "config.json"
    settings = json.loads(path.read_text())
    if settings[name] == EDITED[name]:
        pytest.skip("it is so already")
    settings[name] = EDITED[name]
    path.write_text(json.dumps(settings))
    before = folder.checkpoint_path.read_bytes()
    with pytest.raises(SettingsError, match=rf"config.json was changed(.|\n)*\n  {name} "):
        train(prepare(folder.read_config()), RunFolder.resume(tmp_path / "run"))
    assert folder.checkpoint_path.read_bytes() == before


def test_killed_before_the_settings_are_complete(tmp_path, small_config):
    """What is left does not count as something else in the folder."""
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json.tmp").write_text('{"data": "dig')
    with pytest.raises(RunFolderError, match="holds no run to resume"):
        RunFolder.resume(path)
    folder = RunFolder.create(path, small_config)
    assert folder.read_config() == small_config
    assert [p.name for p in path.iterdir()] == ["config.json"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.tmp").write_text("mine")
    with pytest.raises(RunFolderError, match="is not empty"):
        RunFolder.create(other, small_config)


def test_foreign_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(CheckpointError, match="is not a checkpoint of wengert"):
        load_checkpoint(path)
    np.savez(path, about=np.array('{"format": "wengert checkpoint 99"}'))
    with pytest.raises(CheckpointError, match="this version of wengert reads 'wengert checkpoint"):
        load_checkpoint(path)
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        load_checkpoint(path)


def test_run_folder_that_is_taken(tmp_path, small_config):
    RunFolder.create(tmp_path / "run", small_config)
    with pytest.raises(RunFolderError, match="already holds a run; add --resume to go on with it"):
        RunFolder.create(tmp_path / "run", small_config)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(RunFolderError, match="is not empty and holds no run; name a new folder"):
        RunFolder.create(tmp_path / "other", small_config)


def test_run_folder_that_cannot_be_written(tmp_path, small_config):
    """A file in the place of a folder stops the superuser too."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunFolderError, match=r"cannot be made a run folder .* --out DIR"):
            RunFolder.create(path, small_config)


def test_file_that_cannot_be_written(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(RunFolderError, match=re.escape("config.json: cannot be written (")):
        write_text(tmp_path / "config.json", "{}")
    assert list(tmp_path.iterdir()) == [tmp_path / "config.json"]


def test_no_run_to_resume(tmp_path, small_config):
    with pytest.raises(RunFolderError, match=r"holds no run to resume \(no config.json\)"):
        RunFolder.resume(tmp_path)
    folder = RunFolder.create(tmp_path / "run", small_config)
    (folder.path / "config.json").write_text("[1, 2]")
    with pytest.raises(RunFolderError, match="cannot be read as settings"):
        folder.read_config()
