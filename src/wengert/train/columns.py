"""Columns of a table as numbers: numbers, dates, texts; and the same for tables that come later.

A text column becomes one column for each of its values (one-hot), or the number of its value
(ordinal); a date the days since 1970. What a column holds is decided on the training table, and
kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from wengert.errors import DataError
from wengert.train.model import Array
from wengert.train.table import Table

__all__ = ["MISSING", "Column", "columns_of", "encoded"]

MISSING = ("error", "drop", "mean", "median")
"""What to do about cells that are empty, or hold NA, NaN, null or a question mark."""
MOST = 50
"""Values of a text column that may have a column each."""
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})([ T].+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Column:
    """How a column of a table becomes numbers.

    Attributes
    ----------
    name : str
    kind : {"number", "date", "onehot", "ordinal"}
    values : tuple of str
        Of a text column, in the order of the columns made, or of the numbers given.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns of numbers it becomes."""
        return len(self.values) if self.kind == "onehot" else 1

    def to_json(self) -> dict[str, Any]:
        """Return it as a dictionary that `json` can write."""
        return asdict(self) | {"values": list(self.values)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Column:
        """Return the column that `to_json` wrote."""
        return cls(stored["name"], stored["kind"], tuple(stored["values"]))


def columns_of(
    table: Table, names: Sequence[str], ordinal: Sequence[str] = (), missing: str = "error"
) -> list[Column]:
    """Say how columns of a table become numbers.

    Parameters
    ----------
    table : Table
    names : sequence of str
        The columns that are features.
    ordinal : sequence of str
        Text columns whose values are numbered: ``size``, in the order of the alphabet, or
        ``size=S<M<L``.
    missing : str
        Of `MISSING`; with ``error`` an empty cell of a text column is an error.

    Raises
    ------
    DataError
        For an ordinal column that is none of `names`, and a text column of too many values.
    """
    orders: dict[str, tuple[str, ...]] = {}
    for given in ordinal:
        name, equals, order = given.partition("=")
        if name not in names:
            raise DataError(
                f"--ordinal {given}: {table.path} has no feature {name!r}; its features are "
                f"{', '.join(names)}"
            )
        orders[name] = tuple(part.strip() for part in order.split("<")) if equals else ()
    return [_column(table, name, orders.get(name), missing) for name in names]


def _column(table: Table, name: str, order: tuple[str, ...] | None, missing: str) -> Column:
    known = [cell for cell in table.cells(name) if not table.is_missing(cell)]
    if not known:
        raise DataError(
            f"{table.path}: column {name!r} holds no value; leave it out with --drop {name}"
        )
    if order is not None:
        values = order or tuple(sorted(set(known)))
        strange = sorted(set(known) - set(values))
        if strange:
            raise DataError(
                f"--ordinal {name}={'<'.join(values)}: the column holds {strange[0]!r} as well; "
                "name all its values"
            )
        return Column(name, "ordinal", values)
    if all(table.is_number(cell) for cell in known):
        return Column(name, "number")
    if all(_date(cell) is not None for cell in known):
        return Column(name, "date")
    numbers = sum(table.is_number(cell) for cell in known)
    if 2 * numbers >= len(known):  # a column of numbers with a slip, which is named
        table.numbers(name)
    values = tuple(sorted(set(known)))
    if len(values) > MOST:
        raise DataError(
            f"{table.path}: column {name!r} holds text of {len(values):,} different values, more "
            f"than {MOST}; leave it out with --drop {name}, or number its values with "
            f"--ordinal {name}. Dates are read as 2026-11-28 or 28.11.2026"
        )
    if missing == "error" and len(known) < len(table.rows):
        table.texts(name)  # names the line
    return Column(name, "onehot", values)


def encoded(table: Table, columns: Sequence[Column]) -> Array:
    """Return the features of a table, NaN where a cell is missing.

    Raises
    ------
    DataError
        A column is not there, or a cell is not what its column holds.
    """
    lacking = [column.name for column in columns if column.name not in table.columns]
    if lacking:
        raise DataError(
            f"{table.path}: has no column {lacking[0]!r}, which the model needs; its columns are "
            f"{', '.join(table.columns)}"
        )
    parts = [_encoded(table, column) for column in columns]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(table.rows), 0))


def _encoded(table: Table, column: Column) -> Array:
    if column.kind == "number":
        return table.numbers(column.name, missing=True)[:, None]
    places = {value: i for i, value in enumerate(column.values)}
    found = np.full((len(table.rows), column.width), math.nan)
    for i, cell in enumerate(table.cells(column.name)):
        if table.is_missing(cell):
            continue
        if column.kind == "date":
            day = _date(cell)
            if day is None:
                raise DataError(
                    f"{table.path}, line {table.lines[i]}: column {column.name!r} holds {cell!r}, "
                    "which is no date such as 2026-11-28 or 28.11.2026"
                )
            found[i] = day
        elif cell not in places:
            raise DataError(
                f"{table.path}, line {table.lines[i]}: column {column.name!r} holds {cell!r}, "
                f"which the model has not learnt; it knows {', '.join(column.values)}"
            )
        elif column.kind == "ordinal":
            found[i] = places[cell]
        else:
            found[i] = 0.0
            found[i, places[cell]] = 1.0
    return found


def _date(cell: str) -> float | None:
    """Return the days since 1970 of a date, with or without a time; None for anything else.

    Dates are those of ISO 8601, and ``28.11.2026``, in which the day comes first everywhere.
    """
    dotted = _DOTTED.fullmatch(cell)
    if dotted:
        day, month, year, time = dotted.groups()
        cell = f"{year}-{month:0>2}-{day:0>2}{time or ''}"
    if len(cell) < 8 or not cell[:4].isdigit():
        return None
    try:
        when = datetime.fromisoformat(cell)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - _EPOCH).total_seconds() / 86400
