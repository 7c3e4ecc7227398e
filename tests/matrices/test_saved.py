"""Plans as files: they come back the same, and refuse another function."""

from __future__ import annotations

import json

import numpy as np
import pytest

import wengert as wg
from wengert.errors import DataError, InputError, PlanMismatchError
from wengert.matrices import saved

X = np.random.default_rng(2).random(12)


def f(x):
    return np.tanh(x[1:] * x[:-1]) + x[0]


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "both"])
@pytest.mark.parametrize("format", ["csr", "csc", "coo", "dense"])
def test_there_and_back(tmp_path, mode, format):
    J = wg.jacobian(f, sparsity="auto", format=format, mode=mode)
    plan = J.plan(X)
    plan.save(tmp_path / "plan.npz")
    again = wg.load_plan(tmp_path / "plan.npz", f)
    assert again.mode == plan.mode
    assert again.pattern == plan.pattern
    x = X + 1
    got, wanted = (p(x) if format == "dense" else p(x).toarray() for p in (again, plan))
    np.testing.assert_array_equal(got, wanted)
    if plan.colouring is not None:
        for name in ("column_colours", "row_colours", "gather", "lower_bound"):
            np.testing.assert_array_equal(
                getattr(again.colouring, name), getattr(plan.colouring, name)
            )
    assert "detect" not in again.program.times
    assert "colour" not in again.program.times
    assert [p.name for p in tmp_path.iterdir()] == ["plan.npz"]


def test_hessians_values_and_pytrees(tmp_path):
    def g(p, scale, *, power, name):
        assert name == "energy"
        return scale * np.sum(p["a"] ** power) + np.sum(p["b"][0] * p["a"][:2])

    args, kwargs = ({"a": X, "b": [X[:2]]}, 2.0), {"power": 3, "name": "energy"}
    for mode in ("auto", "forward"):
        plan = wg.hessian(g, format="csr", mode=mode).plan(*args, **kwargs)
        plan.save(tmp_path / "h.npz")
        again = wg.load_plan(tmp_path / "h.npz", g)
        np.testing.assert_array_equal(
            again(*args, **kwargs).toarray(), plan(*args, **kwargs).toarray()
        )
    plan = wg.value_and_jacobian(f, format="csr").plan(X)
    plan.save(tmp_path / "v.npz")
    y, J = wg.load_plan(tmp_path / "v.npz", f)(X)
    np.testing.assert_array_max_ulp(y, f(X), 8)  # native functions and NumPy's, within 4 each
    np.testing.assert_allclose(J.toarray(), wg.jacobian(f)(X))


CHANGED = {
    "another operation": lambda x: np.sin(x[1:] * x[:-1]) + x[0],
    "another index": lambda x: np.tanh(x[1:] * x[:-1]) + x[1],
    "more": lambda x: np.tanh(x[1:] * x[:-1]) + x[0] + x[2],
    "another shape": lambda x: np.tanh(x[2:] * x[:-2]) + x[0],
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_function_is_refused(tmp_path, name):
    wg.jacobian(f, format="csr").plan(X).save(tmp_path / "plan.npz")
    with pytest.raises(PlanMismatchError, match=r"another function(.|\n)*saved: (.|\n)*now: "):
        wg.load_plan(tmp_path / "plan.npz", CHANGED[name])


def test_changed_constants_are_refused(tmp_path):
    w = np.arange(12.0)
    g = lambda x: w * x  # noqa: E731
    wg.jacobian(g, format="csr").plan(X).save(tmp_path / "plan.npz")
    wg.load_plan(tmp_path / "plan.npz", g)
    w[3] = 7.0
    with pytest.raises(PlanMismatchError, match="other constants"):
        wg.load_plan(tmp_path / "plan.npz", g)


def test_other_arguments_are_refused(tmp_path):
    wg.jacobian(f, format="csr").plan(X).save(tmp_path / "plan.npz")
    plan = wg.load_plan(tmp_path / "plan.npz", f)
    with pytest.raises(PlanMismatchError, match=r"f64\[12\]"):
        plan(X[:5])


def test_files_that_are_no_plans(tmp_path):
    path = tmp_path / "no.npz"
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match="not a saved plan"):
        wg.load_plan(path, f)
    np.savez(path, a=np.ones(3))
    with pytest.raises(DataError, match="not a saved plan"):
        wg.load_plan(path, f)
    about = np.frombuffer(json.dumps({"wengert": 999}).encode(), np.uint8)
    np.savez(path, about=about)
    with pytest.raises(DataError, match="version 999"):
        wg.load_plan(path, f)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "plan.npz"
    plan = wg.jacobian(f, format="csr").plan(X)
    plan.save(path)
    before = path.read_bytes()

    def broken(*_, **__):
        raise OSError("full")

    monkeypatch.setattr(saved.np, "savez_compressed", broken)
    with pytest.raises(OSError, match="full"):
        plan.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["plan.npz"]


def test_examples_that_cannot_be_written(tmp_path):
    class Holder:
        scale = 2.0

    plan = wg.jacobian(lambda x, h: h.scale * x, format="csr").plan(X, Holder())
    with pytest.raises(InputError, match="Holder cannot be saved"):
        plan.save(tmp_path / "plan.npz")
