"""``wengert cost FILE.py:FUNCTION --at EXPR``."""

from __future__ import annotations

import json

import pytest

from wengert.ops.base import TABLE

SOURCE = """
import numpy as np
import wengert as wg

def loss(w, x, *, power=2):
    z = np.maximum(x @ w, 0)
    return np.sum(z * z) + np.sum(w ** power)

def breaks(x):
    y = x * 2.0
    return np.sum(y @ np.ones(7))

def raises(x):
    raise RuntimeError("no such place")

def special(x):
    return np.sum(np.tanh(x))

gradient = wg.jit(wg.grad(special))

def halved(x):
    while np.sum(x) > 1:
        x = x / 2
    return np.sum(x)
"""
AT = ("--at", "np.ones((3, 2))", "--at", "np.ones((5, 3))")
PEAK = ("--peak", "1e9,1e9")


@pytest.fixture
def cost(wengert, tmp_path):
    (tmp_path / "model.py").write_text(SOURCE)
    return lambda *arguments: wengert("cost", *arguments)


def test_tables(cost):
    code, out, err = cost("model.py:loss", *AT, *PEAK)
    assert (code, err) == (0, "")
    for part in (
        "cost of loss", "forward", "backward", "multiply-adds", "bytes read", "least time:",
        "contract", "maximum", "model.py:6", "z = np.maximum(x @ w, 0)",
        "value and gradient over value:",
    ):  # fmt: skip
        assert part in out, part


def test_json(cost):
    code, out, err = cost("model.py:loss", *AT, *PEAK, "--json", "--argnums", "0,1")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["forward"]["flops"] == 2 * 5 * 3 * 2 + 10 + 10 + 9 + 6 + 5 + 1
    assert data["total"]["flops"] == data["forward"]["flops"] + data["backward"]["flops"]
    assert data["cheap_gradient_ratio"] == data["total"]["flops"] / data["forward"]["flops"]
    assert data["total"]["complete"] is True
    by_op = {row["operation"]: row for row in data["by_operation"]}
    assert data["backward"]["by_op"]["contract"] == 2 * data["forward"]["by_op"]["contract"]
    assert by_op["maximum"]["backward"]["by_op"] == {"maximum_part": 20}
    assert sum(row["forward"]["flops"] for row in data["table"]) == data["forward"]["flops"]
    assert {row["source"] for row in data["by_line"] if row["line"] == 6} == {
        "z = np.maximum(x @ w, 0)"
    }
    assert data["roofline"]["flops_per_second"] == 1e9
    assert data["roofline"]["alone"] > data["roofline"]["seconds"] > 0
    assert data["roofline"]["seconds"] >= (1 - 1e-12) * data["roofline"]["memory"] > 0


def test_arguments_by_name_in_any_order(cost):
    wanted = cost("model.py:loss", *AT, *PEAK, "--json")
    found = cost("model.py:loss", *PEAK, "--json", "--at", "x=np.ones((5,3))", "--at",
                 "w = np.ones((3,2))")  # fmt: skip
    assert found == wanted
    _, out, _ = cost("model.py:loss", *AT, *PEAK, "--json", "--at", "power=3.0")
    assert json.loads(out)["forward"] != json.loads(wanted[1])["forward"]
    _, out, _ = cost("model.py:loss", *AT, *PEAK, "--json", "--argnums", "none")
    assert json.loads(out)["backward"]["flops"] == 0
    assert json.loads(out)["forward"] == json.loads(wanted[1])["forward"]


def test_a_derivative(cost):
    code, out, _ = cost("model.py:gradient", "--at", "np.ones(4)", *PEAK, "--json")
    data = json.loads(out)
    assert code == 0
    # the derivative of tanh reads its argument, so nothing needs the value
    assert (data["forward"]["flops"], data["backward"]["flops"]) == (0, 8)


def test_loops(cost):
    at = ("--at", "np.full(4, 100.0)")
    code, out, err = cost("model.py:halved", *at, *PEAK)
    assert (code, err) == (0, "")
    for part in ("by loop", "model.py:22", "4 + 8 k1 forward", "(9 here)", "10 decisions"):
        assert part in out, part
    data = json.loads(cost("model.py:halved", *at, *PEAK, "--json")[1])
    (loop,) = data["loops"]
    assert (loop["line"], loop["trips"], loop["by_values"]) == (22, 9, True)
    assert loop["source"] == "while np.sum(x) > 1:"
    assert "k1: trips of model.py:22" in data["formula"]
    fixed = data["forward"]["flops"] - 9 * loop["forward"]
    assert data["formula"].startswith(f"{fixed} + {loop['forward']} k1 forward")


def test_unknown_operations(cost, monkeypatch):
    monkeypatch.setattr(TABLE["tanh"], "flops", None)
    code, out, _ = cost("model.py:special", "--at", "np.ones(4)", *PEAK)
    assert code == 0
    assert "unknown, so totals are lower bounds: tanh x1" in out
    assert "+ unknown" in out
    _, out, _ = cost("model.py:special", "--at", "np.ones(4)", *PEAK, "--json")
    assert json.loads(out)["total"]["complete"] is False
    assert json.loads(out)["total"]["unknown"] == {"tanh": 1}


def refused(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("wengert cost: ")
    for part in parts:
        assert part in err


def test_what_cannot_be_counted(cost, tmp_path):
    one = ("--at", "np.ones(3)")
    refused(cost("model.py"), "name the file and the function")
    refused(cost("nowhere.py:f", *one), "nowhere.py: there is no such file")
    refused(cost("model.py:lost", *one), "has no function 'lost'; it defines")
    refused(cost("model.py:loss", "--at", "np.oness(3)"), "--at 'np.oness(3)': AttributeError")
    refused(cost("model.py:loss", *one), "raised TypeError")
    refused(cost("model.py:loss", *AT, "--argnums", "5"), "argnums=(5,) does not name")
    refused(
        cost("model.py:breaks", *one), "(3,)", "(7,)", "model.py:11: return np.sum(y @ np.ones(7))"
    )
    refused(
        cost("model.py:raises", *one),
        "model.py:raises raised RuntimeError: no such place",
        'model.py:14: raise RuntimeError("no such place")',
    )


@pytest.mark.parametrize(
    ("option", "value"), [("--peak", "fast"), ("--peak", "1,-2"), ("--argnums", "first")]
)
def test_options_that_do_not_fit(cost, option, value):
    code, out, err = cost("model.py:special", "--at", "np.ones(3)", option, value)
    assert (code, out) == (2, "")
    assert repr(value) in err


def test_names_of_arguments(cost):
    code, _, err = cost("model.py:loss", "--at", "w=np.ones((3, 2))", "--at", "w=np.ones((3, 2))")
    assert code == 2
    assert "w was given before" in err
    code, _, err = cost("model.py:loss", "--at", "np.ones((3, 2))", "--at", "q=2.0")
    assert code == 2
    assert "there is no argument 'q'; there are: w, x" in err
    assert cost("model.py:loss", *AT, "--peak", "inf,inf")[0] == 2


def test_a_file_of_a_package(wengert, tmp_path):
    folder = tmp_path / "wengert_test_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "parts.py").write_text("scale = 3.0\n")
    (folder / "model.py").write_text(
        "import numpy as np\nfrom .parts import scale\n\ndef f(x):\n    return np.sum(scale * x)\n"
    )
    code, out, err = wengert("cost", str(folder / "model.py:f"), "--at", "np.ones(3)")
    assert (code, err) == (0, "")
    assert "cost of f" in out
