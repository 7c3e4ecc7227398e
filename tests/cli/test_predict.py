"""``wengert predict RUN FILE``, and tables with texts, dates and gaps in ``wengert train``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import wengert as package

QUICK = ["--hidden", "16", "--epochs", "60", "--batch", "30", "--lr", "0.02", "--no-report"]


@pytest.fixture
def houses(tmp_path):
    """Write a table whose price is linear in a date, a size and a city."""
    rng = np.random.default_rng(0)
    lines = ["city,size,sold,area,note,price"]
    for i in range(240):
        city, size = ["Bern", "Chur", "Genf"][rng.integers(3)], ["S", "M", "L"][rng.integers(3)]
        day, area = int(rng.integers(1, 28)), rng.uniform(40, 200)
        price = 1000 * area + 50_000 * "SML".index(size) + (city == "Genf") * 80_000 + 500 * day
        shown = "" if i % 11 == 0 else f"{area:.1f}"
        lines.append(f"{city},{size},2024-03-{day:02},{shown},text {i},{price:.0f}")
    path = tmp_path / "houses.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def trained(wengert, houses):
    code, _, err = wengert(
        "train", "--data", houses, "--target", "price", "--ordinal", "size=S<M<L", "--drop", "note",
        "--missing", "median", *QUICK, "--out", "run",
    )  # fmt: skip
    assert (code, err) == (0, "")
    return wengert


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def refused(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("wengert predict: ")
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err


def test_prices(trained, houses):
    assert json.loads(Path("run/summary.json").read_text())["task"] == "regression"
    code, out, err = trained("predict", "run", houses)
    assert (code, err) == (0, "")
    rows = read(out)
    assert len(rows) == 240
    known = [row for row in rows if row["area"]]
    price, found = (np.array([float(r[k]) for r in known]) for k in ("price", "prediction"))
    assert 1 - np.sum((price - found) ** 2) / np.sum((price - price.mean()) ** 2) > 0.9
    assert all(np.isfinite(float(r["prediction"])) for r in rows)


def test_a_table_without_the_target_in_another_order(trained, tmp_path):
    Path("new.csv").write_text("area,sold,city,size\n100,2024-03-05,Genf,M\n,2024-03-05,Bern,S\n")
    code, out, err = trained("predict", "run", "new.csv", "-o", "out.csv")
    assert (code, out, err) == (0, "predictions: out.csv (2 rows)\n", "")
    first, second = read(Path("out.csv").read_text())
    assert first["city"] == "Genf"
    assert float(first["prediction"]) > float(second["prediction"])


def test_what_cannot_be_predicted(trained):
    new = Path("new.csv")
    new.write_text("area,sold,city,size\n100,2024-03-05,Rome,M\n")
    refused(trained("predict", "run", "new.csv"), "line 2: column 'city' holds 'Rome'")
    new.write_text("area,sold,city\n100,2024-03-05,Bern\n")
    refused(trained("predict", "run", "new.csv"), "has no column 'size', which the model needs")
    refused(trained("predict", "run", "no.csv"), "no.csv: there is no such file")
    refused(trained("predict", "nowhere", "new.csv"), "nowhere: there is no such folder")
    refused(trained("predict", ".", "new.csv"), "holds no run")
    refused(trained("predict", "run", "new.txt"), "ends in .csv or .npz")
    new.write_text("area,sold,city,size\n100,2024-03-05,Bern,M\n")
    refused(trained("predict", "run", "new.csv", "-o", "a/b.csv"), "a/b.csv: cannot be written")


def test_classes_and_gaps(wengert, csv_file):
    arguments = ["--data", csv_file, "--target", "label", *QUICK, "--out", "run"]
    assert wengert("train", *arguments)[0] == 0
    rows = read(wengert("predict", "run", csv_file)[1])
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert right > 0.9
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)
    Path("gap.csv").write_text("a,b,height\n1,,2\n")
    refused(wengert("predict", "run", "gap.csv"), "line 2: the cell of column 'b' is empty",
            "--missing mean")  # fmt: skip


def test_arrays(wengert, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    np.savez("data.npz", X=x, y=x @ [1.0, 2.0, 3.0])
    assert wengert("train", "--data", "data.npz", *QUICK, "--out", "run")[0] == 0
    code, out, _ = wengert("predict", "run", "data.npz")
    found = np.array([float(row["prediction"]) for row in read(out)])
    assert code == 0
    assert np.corrcoef(found, x @ [1.0, 2.0, 3.0])[0, 1] > 0.97
    np.savez("other.npz", X=x[:, :2])
    refused(wengert("predict", "run", "other.npz"), "needed is X of shape (rows, 3)", "(120, 2)")
    Path("table.csv").write_text("a\n1\n")
    refused(wengert("predict", "run", "table.csv"), "no table with names of columns", ".npz")


def test_version_and_help(wengert):
    assert wengert("--version") == (0, f"wengert {package.__version__}\n", "")
    code, out, err = wengert()
    assert (code, err) == (0, "")
    for name in ("train", "predict", "report", "explain", "draw", "cost", "check"):
        assert name in out
