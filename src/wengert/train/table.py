"""Tables of text: CSV files as they are, whose cells are numbers, texts, or missing.

A bad cell is named, never guessed.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wengert.errors import DataError
from wengert.train.model import Array

__all__ = ["Table", "read_csv"]

_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
_DELIMITERS = ",;\t"
_CURRENCY = re.compile(
    r"(?P<sign>[+-]?)(?P<before>[$€£¥]?|EUR|USD|GBP|CHF)\s*(?P<number>[+-]?[\d.,' ]*\d[\d.,']*)"
    r"\s*(?P<after>[$€£¥]?|EUR|USD|GBP|CHF)"
)
_GROUPS = {
    mark: re.compile(rf"[+-]?\d{{1,3}}(?:[{mark}' \u00a0\u202f]\d{{3}})+") for mark in (",", ".")
}
"""Numbers with a sign between their thousands, which is not the decimal sign."""


@dataclass(frozen=True)
class Table:
    """A CSV file's cells as text, with the line of the file that each row ends on."""

    path: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    decimal: str = "."

    def cells(self, name: str) -> list[str]:
        """Return the texts of a column."""
        index = self.columns.index(name)
        return [row[index].strip() for row in self.rows]

    def is_missing(self, cell: str) -> bool:
        """Whether a cell says that there is no value."""
        return cell.lower() in _NOTHING

    def is_number(self, cell: str) -> bool:
        """Whether a cell reads as a number, with this table's decimal sign."""
        return _is_number(self._plain(cell))

    def without(self, rows: Sequence[int]) -> Table:
        """Return the table without some of its rows."""
        gone = set(rows)
        kept = [i for i in range(len(self.rows)) if i not in gone]
        return replace(self, rows=[self.rows[i] for i in kept], lines=[self.lines[i] for i in kept])

    def numbers(self, name: str, missing: bool = False) -> Array:
        """Return a column as float64; with `missing`, NaN where there is no value.

        Raises
        ------
        DataError
            A cell is empty, text, infinite or not a number; the message names line and column.
        """
        values = np.full(len(self.rows), math.nan)
        for i, cell in enumerate(self.cells(name)):
            if not (missing and self.is_missing(cell)):
                values[i] = self._number(cell, name, self.lines[i])
        return values

    def _plain(self, cell: str) -> str:
        """Return a cell as Python writes a number: no currency, no signs between thousands."""
        found = _CURRENCY.fullmatch(cell)
        if found and found["number"] and (found["before"] or found["after"]):
            cell = f"{found['sign']}{found['number']}"
        between = "," if self.decimal == "." else "."
        whole, point, part = cell.partition(self.decimal)
        if _GROUPS[between].fullmatch(whole) and (part.isdigit() or not part):
            whole = re.sub(r"[^\d+-]", "", whole)
        elif self.decimal == "," and not point:
            return cell  # 1.5 can be nothing else
        return f"{whole}.{part}" if point else whole

    def texts(self, name: str) -> list[str]:
        """Return a column as text. An empty cell raises `DataError`."""
        index = self.columns.index(name)
        cells = [row[index].strip() for row in self.rows]
        if "" in cells:
            raise self._empty(name, self.lines[cells.index("")])
        return cells

    def is_numeric(self, name: str) -> bool:
        """Whether every cell of a column reads as a number (NaN and inf do too)."""
        return all(map(self.is_number, self.cells(name)))

    def _number(self, cell: str, name: str, line: int) -> float:
        if self.is_missing(cell) and not self.is_number(cell):
            raise self._empty(name, line, cell)
        if not self.is_number(cell):
            raise DataError(
                f"{self.path}, line {line}: column {name!r} holds {cell!r}, which is not a number; "
                f"write a number there, or leave the column out: --drop {name}"
            )
        value = float(self._plain(cell))
        if not math.isfinite(value):
            raise DataError(
                f"{self.path}, line {line}: column {name!r} holds {cell!r}; "
                "remove that row or replace the value by a finite number"
            )
        return value

    def _empty(self, name: str, line: int, cell: str = "") -> DataError:
        state = f"holds {cell!r}, which says that there is no value" if cell else "is empty"
        return DataError(
            f"{self.path}, line {line}: the cell of column {name!r} {state}; "
            "fill it, remove that row, or say what to do: --missing drop, mean or median"
        )


def read_csv(path: Path, encoding: str = "utf-8", decimal: str = ".") -> Table:
    """Read a CSV file whose first line names the columns.

    Cells are separated by commas, semicolons or tabs, whichever the first line has most of.
    Blank lines are skipped.

    Parameters
    ----------
    path : Path
    encoding : str
        Of the text: ``utf-8``, ``latin-1`` and so on.
    decimal : {".", ","}
        The decimal sign; with a comma, points between digits separate thousands.

    Raises
    ------
    DataError
        No such file, no text of this encoding, no rows, no header, or rows of different lengths.
    """
    try:
        name = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
        with path.open(newline="", encoding=name) as file:
            first = file.readline()
            signs = _DELIMITERS if decimal == "." else _DELIMITERS.replace(",", "")
            file.seek(0)
            reader = csv.reader(file, delimiter=max(signs, key=first.count), strict=True)
            numbered = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path given to --data") from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is not {encoding.upper()} text; save it as CSV in UTF-8, or name its "
            "encoding: --encoding latin-1"
        ) from error
    except LookupError as error:
        raise DataError(f"--encoding {encoding}: Python knows no such encoding") from error

    if not numbered:
        raise DataError(f"{path}: is empty; the first line must name the columns, rows follow")
    columns = [name.strip() for name in numbered[0][1]]
    _check_header(path, columns)
    if len(numbered) == 1:
        raise DataError(f"{path}: has a header but no rows")
    for line, row in numbered[1:]:
        if len(row) != len(columns):
            raise DataError(
                f"{path}, line {line}: has {len(row)} cells where the header names "
                f"{len(columns)} columns; make every row as long as the header"
            )
    lines, rows = zip(*numbered[1:], strict=True)
    return Table(path, columns, list(rows), list(lines), decimal)


def _check_header(path: Path, columns: list[str]) -> None:
    if all(_is_number(name) for name in columns):
        raise DataError(
            f"{path}: the first line holds only numbers; put a line with the names of the "
            f"{len(columns)} columns above it"
        )
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header names {twice[0]!r} more than once; rename one of them")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000 as a number, tables do not
