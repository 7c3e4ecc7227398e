"""Reading data: what is accepted, and the words in which the rest is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from wengert.errors import WengertError
from wengert.train import BUNDLED, DataError, load


@pytest.fixture
def write(tmp_path):
    def write(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def refused(message, *args):
    """Check that loading fails with a message that holds the text."""
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load(*args)
    assert isinstance(caught.value, WengertError)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled(name):
    pytest.importorskip("sklearn")
    shapes = {
        "digits": (1797, 64, 10),
        "wine": (178, 13, 3),
        "breast_cancer": (569, 30, 2),
        "diabetes": (442, 10, 1),
    }
    data = load(name)
    assert (*data.x.shape, data.outputs) == shapes[name]
    assert data.task == BUNDLED[name]


def test_bundled_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    refused('python -m pip install "wengert[train]"', "digits")


def test_csv_with_text_classes(write):
    data = load(write("a,b,kind\n1,2.5,x\n3,-4e-1,y\n\n5,6,x\n"), "kind")
    np.testing.assert_array_equal(data.x, [[1, 2.5], [3, -0.4], [5, 6]])
    np.testing.assert_array_equal(data.y, [0, 1, 0])
    assert (data.classes, data.task) == (("x", "y"), "classification")


def test_csv_target_may_be_any_column_and_other_separators(write):
    data = load(write('"kind";a;b\r\n1;2;3\r\n0;4;5\r\n'), "kind")
    np.testing.assert_array_equal(data.x, [[2, 3], [4, 5]])
    assert data.classes == ("0", "1")


def test_csv_with_byte_order_mark_and_tabs(write):
    assert load(write(b"\xef\xbb\xbfa\ty\n1\t0.5\n2\t0.25\n"), "y").task == "regression"


def test_auto_task(write):
    few = write("a,y\n" + "\n".join(f"{i},{i % 3}" for i in range(30)))
    many = write("a,y\n" + "\n".join(f"{i},{i}" for i in range(30)), "many.csv")
    assert load(few, "y").task == "classification"
    assert load(many, "y").task == "regression"
    assert load(few, "y", "regression").task == "regression"
    assert load(many, "y", "classification").outputs == 30


def test_missing_file():
    refused("nowhere.csv: there is no such file; check the path", "nowhere.csv", "y")
    refused("nowhere.npz: there is no such file", "nowhere.npz")


def test_unknown_data():
    refused("unknown data 'mnist'; give digits, wine, breast_cancer, diabetes, or a file", "mnist")
    refused("unknown task 'ranking'; there are auto, classification", "digits", None, "ranking")
    refused("--target names a column of a CSV file, which digits is not", "digits", "y")


def test_missing_column_lists_the_columns(write):
    path = write("a,b,c\n1,2,3\n")
    refused("has no column 'price'; its columns are a, b, c", path, "price")
    refused("say which column to predict: --target COLUMN, one of a, b, c", path)


def test_text_in_a_numeric_column(write):
    path = write("a,b,y\n1,2,0.5\n3,many,0.25\n")
    refused("line 3: column 'b' holds 'many', which is not a number", path, "y")
    target = write("a,y\n1,0.5\n2,much\n", "target.csv")
    refused("line 3: column 'y' holds 'much'", target, "y", "regression")


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "1e999"])
def test_number_that_is_not_finite(write, value):
    refused(
        f"line 2: column 'a' holds '{value}'; remove that row or replace the value",
        write(f"a,y\n{value},1\n2,0\n"),
        "y",
    )


def test_nan_target_is_refused_too(write):
    refused("line 3: column 'y' holds 'nan'", write("a,y\n1,1.5\n2,nan\n"), "y")


def test_empty_cells(write):
    refused("line 3: the cell of column 'a' is empty", write("a,y\n1,1\n,0\n"), "y")
    refused("line 2: the cell of column 'y' is empty", write("a,y\n1,\n2,x\n", "u.csv"), "y")


def test_ragged_rows(write):
    path = write("a,b,y\n1,2,0\n1,2\n")
    refused("line 3: has 2 cells where the header names 3 columns", path, "y")


def test_empty_file_and_header_alone(write):
    refused("is empty; the first line must name the columns", write(""), "y")
    refused("has a header but no rows", write("a,y\n", "h.csv"), "y")


def test_no_header(write):
    refused(
        "the first line holds only numbers; put a line with the names", write("1,2\n3,4\n"), "y"
    )


def test_column_named_twice(write):
    refused("the header names 'a' more than once", write("a,a,y\n1,2,3\n"), "y")


def test_only_a_target(write):
    refused("has no column besides the target 'y'", write("y\n1\n2\n"), "y")


def test_one_class(write):
    refused("the target holds only x; two different classes", write("a,y\n1,x\n2,x\n"), "y")


def test_not_text(write):
    refused("is not UTF-8 text; save it as CSV in UTF-8", write(b"a,\xff\xfe\n1,2"), "y")


def test_unclosed_quote(write):
    refused("cannot be read as CSV", write('a,y\n"1,2\n3,4\n'), "y")


def test_npz(tmp_path, rng):
    path = tmp_path / "d.npz"
    np.savez(path, X=rng.normal(size=(4, 2)).astype(np.float32), y=np.array([0, 1, 1, 0]))
    data = load(str(path))
    assert data.x.dtype == np.float64
    assert data.task == "classification"


def test_npz_errors(tmp_path, rng):
    path = tmp_path / "d.npz"
    x, y = rng.normal(size=(3, 2)), np.array([0.5, 1.5, 2.5])
    np.savez(path, X=x)
    refused("holds X, but X and y are needed; write it with np.savez(path, X=X, y=y)", str(path))
    np.savez(path, X=x, y=y[:2])
    refused("X has shape (3, 2) and y (2,); needed are (n, features) and (n,)", str(path))
    x[1, 0] = np.nan
    np.savez(path, X=x, y=y)
    refused("X[1, 0] is nan; remove that row", str(path))
    np.savez(path, X=x.astype(str), y=y)
    refused("X has dtype <U32; real numbers are needed", str(path))
    np.savez(path, X=np.zeros((3, 2)), y=np.array([1.0, np.inf, 2.0]))
    refused("y[1] is inf", str(path))
    np.savez(path, X=np.zeros((3, 2)), y=np.array([None, 1, 2]))
    refused("is not an NPZ file of plain arrays", str(path))
    path.write_text("a,b")
    refused("is not an NPZ file of plain arrays", str(path))


def test_fingerprint_follows_the_numbers(write):
    one, other = write("a,y\n1,2.5\n3,4\n"), write("a,y\n1,2.5\n3,4.5\n", "u.csv")
    assert load(one, "y").fingerprint() == load(one, "y").fingerprint()
    assert load(one, "y").fingerprint() != load(other, "y").fingerprint()
