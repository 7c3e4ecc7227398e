"""``wengert check FILE.py:FUNCTION --at EXPR``."""

from __future__ import annotations

import sys

import pytest

SOURCE = """
import numpy as np
import wengert as wg
from helper import scale

LIMIT = 3

def good(x, c):
    return np.sum(np.tanh(scale * x) ** 2) * c

@wg.custom_jvp
def cube(x):
    return x ** 3

@cube.defjvp
def cube_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return cube(x), 2.0 * x ** 2 * t

def wrong(x):
    return np.sum(cube(x))

def breaks(x):
    raise RuntimeError("no such place")
"""


@pytest.fixture
def check(wengert, tmp_path):
    (tmp_path / "model.py").write_text(SOURCE)
    (tmp_path / "helper.py").write_text("scale = 0.5\n")
    yield lambda *arguments: wengert("check", *arguments)
    sys.modules.pop("helper", None)


def refused(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("wengert check: ")
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err


@pytest.mark.parametrize("order", [1, 2])
def test_right_derivatives(check, order):
    code, out, err = check(
        "model.py:good", "--at", "np.linspace(0, 1, 5)", "--at", "2.0", "--order", order
    )
    assert (code, err) == (0, "")
    assert out.strip()


def test_arguments_by_name(check):
    at = ("--at", "c=2.0", "--at", "x=np.linspace(0, 1, 5)")
    assert check("model.py:good", *at)[0] == 0
    refused(check("model.py:good", *at, "--at", "k=1"), "there is no argument 'k'")


def test_wrong_derivative(check):
    code, out, _ = check("model.py:wrong", "--at", "np.array([1.0, 2.0])")
    assert code == 1
    assert out.strip()


def test_nothing_to_check(check):
    refused(check("model.py"), "name the file and the function, as in model.py:loss")
    refused(check("nowhere.py:f", "--at", "1.0"), "nowhere.py: there is no such file")
    refused(check("model.py:good"), "one --at for each argument")
    refused(
        check("model.py:godo", "--at", "1.0"),
        "model.py: has no function 'godo'; it defines good, cube, ",
    )
    refused(check("model.py:LIMIT", "--at", "1.0"), "has no function 'LIMIT'")


def test_not_a_python_file(check, tmp_path):
    (tmp_path / "model.txt").touch()
    refused(check("model.txt:f", "--at", "1.0"), "model.txt: is not a Python file")


def test_file_that_cannot_be_run(check, tmp_path):
    (tmp_path / "broken.py").write_text("import nowhere_at_all\n")
    refused(
        check("broken.py:f", "--at", "1.0"),
        "broken.py: cannot be run: ModuleNotFoundError: No module named 'nowhere_at_all'",
    )


def test_expression_that_fails(check):
    refused(
        check("model.py:good", "--at", "np.lineseries(3)"),
        "--at 'np.lineseries(3)': AttributeError",
        'such as --at "np.linspace(0, 1, 5)"',
    )


def test_function_that_fails(check):
    refused(
        check("model.py:breaks", "--at", "1.0"),
        "model.py:breaks raised RuntimeError: no such place, at ",
        'model.py:24: raise RuntimeError("no such place")',
    )
    refused(check("model.py:good", "--at", "1.0"), "raised TypeError")
