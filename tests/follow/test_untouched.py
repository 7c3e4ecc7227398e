"""The user's functions, modules and tools are as they were."""

from __future__ import annotations

import inspect
import math
import pickle
import sys
import threading

import numpy as np
import pytest

import wengert as wg
from wengert.follow.functions import is_followed_file

X = np.array([0.7, 1.3])


def model(x):
    y = np.zeros(3)
    y[1] = math.exp(x[0])  # <- exp
    return y.sum() * helper(x[1])


def helper(v):
    return float(v) * 2


def test_the_function_and_its_source_stay():
    code, source, namespace = model.__code__, inspect.getsource(model), dict(globals())
    numpy = dict(vars(np))
    wg.grad(model)(X)
    wg.jit(model)(X)
    assert model.__code__ is code
    assert inspect.getsource(model) == source
    assert {k: v for k, v in globals().items() if k != "__annotations__"} == namespace
    assert {k: vars(np)[k] for k in numpy} == numpy
    assert pickle.loads(pickle.dumps(np.zeros(2))).tolist() == [0.0, 0.0]
    assert type(model(X)) is np.float64


def test_other_threads_run_the_original():
    found = []
    inside = threading.Event()
    done = threading.Event()

    def f(x):
        inside.set()
        assert done.wait(60)
        return np.sum(np.array([x[0], x[1]]))

    def plainly():
        assert inside.wait(60)
        found.append(
            (type(model(X)), type(np.zeros(2)), sys._getframe().f_code is plainly.__code__)
        )
        done.set()

    other = threading.Thread(target=plainly)
    other.start()
    np.testing.assert_array_equal(wg.grad(f)(X), [1.0, 1.0])
    other.join()
    assert found == [(np.float64, np.ndarray, True)]


def test_debuggers_and_coverage_see_the_lines():
    seen = set()

    def trace(frame, event, arg):
        if frame.f_code.co_filename == __file__:
            seen.add((frame.f_code.co_name, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        wg.grad(model)(X)
    finally:
        sys.settrace(before)
    lines, first = inspect.getsourcelines(model)
    assert {("model", first + k) for k in range(1, len(lines))} <= seen


def test_breakpoints_show_the_users_variables(monkeypatch):
    found = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: found.append(sys._getframe(1).f_locals))

    def f(x):
        scale = 2.0
        breakpoint()  # noqa: T100
        return np.sum(np.array([x[0] * scale]))

    wg.grad(f)(X)
    assert found[0]["scale"] == 2.0
    assert np.shape(found[0]["x"]) == (2,)


def test_globals_are_read_and_written_live():
    module = type(sys)("written")
    exec(
        "import numpy as np\ncount = 0\ndef f(x):\n    global count\n    count += 1\n"
        "    return np.sum(np.array([x[0] * count, x[1]]))\n",
        module.__dict__,
    )
    np.testing.assert_array_equal(wg.grad(module.f)(X), [1.0, 1.0])
    np.testing.assert_array_equal(wg.grad(module.f)(X), [2.0, 1.0])
    assert module.count == 2


def test_closures_share_their_cells():
    total = 0.0

    def f(x):
        nonlocal total
        total += 1.0
        return math.sin(x) * total

    assert wg.grad(f)(0.0) == 1.0
    assert wg.grad(f)(0.0) == 2.0
    assert total == 2.0


def test_marked_functions_run_as_they_stand():
    @wg.unfollowed
    def f(x):
        return math.exp(x)

    with pytest.raises(wg.errors.ConversionError):
        wg.grad(f)(1.0)
    with pytest.raises(wg.errors.ConversionError):
        wg.grad(lambda x: f(x) + 1)(1.0)
    assert f(0.0) == 1.0


def test_libraries_are_called_as_they_are():
    assert not is_followed_file(np.__file__)
    assert not is_followed_file(inspect.__file__)
    assert not is_followed_file(wg.__file__)
    assert is_followed_file(__file__)


def test_errors_name_the_users_line_and_hide_the_tables():
    def f(x):
        y = [1.0, 2.0]
        return x * y[5]  # <- index

    with pytest.raises(IndexError) as info:
        wg.grad(f)(1.0)
    files = [entry.path.name for entry in info.traceback]
    assert "tables.py" not in files
    assert str(info.traceback[-1].statement).strip().startswith("return x * y[5]")
