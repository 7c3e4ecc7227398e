"""Columns of a table as numbers: texts, dates, missing cells, encodings and decimal commas."""

from __future__ import annotations

import numpy as np
import pytest

from wengert.errors import DataError
from wengert.train.columns import Column, columns_of, encoded
from wengert.train.data import load, split
from wengert.train.table import read_csv


@pytest.fixture
def csv(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "houses.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


HOUSES = """city,size,sold,rooms,price
Bern,S,2024-01-01,3,500000
Basel,L,2024-01-03,5,900000
Bern,M,2024-02-01,4,650000
Chur,S,2023-12-31,2,350000
"""


def test_each_kind_of_column(csv):
    table = read_csv(csv(HOUSES))
    columns = columns_of(table, ["city", "size", "sold", "rooms"], ["size=S<M<L"])
    assert columns == [
        Column("city", "onehot", ("Basel", "Bern", "Chur")),
        Column("size", "ordinal", ("S", "M", "L")),
        Column("sold", "date"),
        Column("rooms", "number"),
    ]
    x = encoded(table, columns)
    assert x[:, :3].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert x[:, 3].tolist() == [0, 2, 1, 0]
    assert (x[:, 4] - x[0, 4]).tolist() == [0, 2, 31, -1]
    assert x[0, 4] == 19723  # days from 1970 to 2024
    assert x[:, 5].tolist() == [3, 5, 4, 2]
    assert [Column.from_json(c.to_json()) for c in columns] == columns


def test_prices_are_regression_unless_told_otherwise(csv):
    path = csv(HOUSES)
    assert load(str(path), "price").task == "regression"
    assert load(str(path), "rooms").task == "classification"
    assert load(str(path), "rooms", "regression").task == "regression"
    assert load(str(path), "price", "classification").classes == (
        "350000", "500000", "650000", "900000",
    )  # fmt: skip


def test_dropped_columns(csv):
    path = csv(HOUSES)
    made = load(str(path), "price", drop=("city", "sold"))
    assert [c.name for c in made.columns] == ["size", "rooms"]
    for drop, words in ((("price",), "besides"), (("garden",), "no column 'garden'")):
        if drop == ("price",):
            drop = ("city", "size", "sold", "rooms")
        with pytest.raises(DataError, match=words):
            load(str(path), "price", drop=drop)


GAPS = """a,kind,y
1,red,0.5
NA,blue,1.5
3,,2.5
4,red,
10,blue,4.5
"""


def test_rows_with_missing_cells_are_dropped(csv):
    made = load(str(csv(GAPS)), "y", missing="drop")
    assert made.x[:, 0].tolist() == [1, 10]
    assert made.y.tolist() == [0.5, 4.5]


@pytest.mark.parametrize(("missing", "reduce"), [("mean", np.mean), ("median", np.median)])
def test_missing_cells_are_filled_from_the_training_part(csv, missing, reduce):
    rng = np.random.default_rng(0)
    cells = [f"{v:.3f}" if i % 5 else "" for i, v in enumerate(rng.gamma(2.0, size=80))]
    text = "\n".join(["a,y", *(f"{c},{i / 7}" for i, c in enumerate(cells))])
    made = load(str(csv(text)), "y", missing=missing)
    assert np.isnan(made.x).sum() == 16
    parts = split(made, np.random.default_rng(1))
    s = parts.scaling
    raw = parts.train.x * s.x_scale + s.x_mean
    filled = np.isclose(raw[:, 0], s.x_fill[0])
    assert 5 < filled.sum() < 16
    np.testing.assert_allclose(reduce(raw[~filled, 0]), s.x_fill[0], atol=2e-3)
    assert np.isfinite(parts.test.x).all()


def test_missing_cells_are_an_error_without_a_word(csv):
    with pytest.raises(DataError, match=r"line 3: the cell of column 'a' holds 'NA'"):
        load(str(csv(GAPS.replace("4,red,\n", ""))), "y")
    empty = "a,y\n1,0.5\n,1.5\n"
    with pytest.raises(DataError, match=r"line 3: .* is empty; .* --missing drop, mean or median"):
        load(str(csv(empty)), "y")


def test_latin_1_and_decimal_commas(csv):
    text = "straße;preis\nHauptstraße;1.234,5\nAllee;99,25\nHauptstraße;7\n"
    path = csv(text, "latin-1")
    with pytest.raises(DataError, match=r"is not UTF-8 text; .* --encoding latin-1"):
        load(str(path), "preis")
    made = load(str(path), "preis", encoding="latin-1", decimal=",")
    assert made.y.tolist() == [1234.5, 99.25, 7.0]
    assert made.columns[0].values == ("Allee", "Hauptstraße")
    with pytest.raises(DataError, match="knows no such encoding"):
        load(str(path), "preis", encoding="klingon")


MANY = "a,y\n" + "\n".join(f"t{i},{i / 3}" for i in range(60))


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a,y\n1,1\ntwo,2\n3,3\n", {}, r"line 3: column 'a' holds 'two'.*--drop a"),
        (MANY, {}, "60 different values.*--drop a"),
        (HOUSES, {"ordinal": ("size=S<L",)}, "holds 'M' as well"),
        (HOUSES, {"ordinal": ("floor",)}, "no feature 'floor'"),
        (HOUSES, {"missing": "zero"}, "unknown missing 'zero'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(csv, text, options, words):
    target = "price" if text is HOUSES else "y"
    with pytest.raises(DataError, match=words):
        load(str(csv(text)), target, **options)


def test_later_tables_are_read_alike(csv):
    columns = columns_of(read_csv(csv(HOUSES)), ["city", "sold"])
    with pytest.raises(
        DataError, match=r"line 2: column 'city' holds 'Rome'.*knows Basel, Bern, Chur"
    ):
        encoded(read_csv(csv("sold,city\n2024-05-01,Rome\n")), columns)
    with pytest.raises(DataError, match=r"line 2: column 'sold' holds 'May'.*no date"):
        encoded(read_csv(csv("sold,city\nMay,Bern\n")), columns)
    with pytest.raises(DataError, match="has no column 'city'"):
        encoded(read_csv(csv("sold\n2024-05-01\n")), columns)
    x = encoded(read_csv(csv("other,sold,city\n1,2024-05-01,Bern\n")), columns)
    assert x[0, :3].tolist() == [0, 1, 0]


CELLS = {
    ".": {
        "$1,200.50": 1200.5, "12,345,678.9": 12345678.9, "1'000": 1000, "5 EUR": 5, "-$3": -3,
        "1,20": None, "1,2,3": None, "2024-01-02": None, "$": None, "1.5": 1.5,
    },
    ",": {
        "180.000,50": 180000.5, "180.000": 180000, "-1.234.567,8": -1234567.8, "2,5 €": 2.5,
        "1.5": 1.5, "1,2,3": None, "1 000,5": 1000.5,
    },
}  # fmt: skip


@pytest.mark.parametrize("decimal", CELLS)
def test_thousands_and_currencies(csv, decimal):
    for cell, number in CELLS[decimal].items():
        table = read_csv(csv(f"a;b\n{cell};1\n"), decimal=decimal)
        assert table.is_number(cell) == (number is not None), cell
        if number is not None:
            assert table.numbers("a").tolist() == [number]


def test_prices_with_a_currency_are_regression(csv):
    rows = "".join(f'{i},"${i % 5},{i % 7}00.50"\n' for i in range(1, 30))
    assert load(str(csv("x,price\n" + rows)), "price").task == "regression"


def test_dates_with_points(csv):
    table = read_csv(csv("sold\n01.02.2024\n3.2.2024 12:00\n"))
    (column,) = columns_of(table, ["sold"])
    assert column.kind == "date"
    assert encoded(table, [column])[:, 0].tolist() == [19754, 19756.5]


def test_a_column_of_nothing_is_named(csv):
    with pytest.raises(DataError, match="column 'b' holds no value; leave it out with --drop b"):
        columns_of(read_csv(csv("a,b\n1,\n2,NA\n")), ["a", "b"], missing="mean")
