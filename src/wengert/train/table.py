"""Reading a table of numbers from a CSV file, strictly: a bad cell is named, never guessed."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wengert.train.errors import DataError
from wengert.train.params import Array

__all__ = ["Table", "read_csv"]

_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Table:
    """A CSV file's cells as text, with the line of the file that each row ends on."""

    path: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]

    def numbers(self, name: str) -> Array:
        """Return a column as float64.

        Raises
        ------
        DataError
            A cell is empty, text, infinite or not a number; the message names line and column.
        """
        index = self.columns.index(name)
        values = np.empty(len(self.rows))
        for i, row in enumerate(self.rows):
            values[i] = self._number(row[index].strip(), name, self.lines[i])
        return values

    def texts(self, name: str) -> list[str]:
        """Return a column as text. An empty cell raises `DataError`."""
        index = self.columns.index(name)
        cells = [row[index].strip() for row in self.rows]
        if "" in cells:
            raise self._empty(name, self.lines[cells.index("")])
        return cells

    def is_numeric(self, name: str) -> bool:
        """Whether every cell of a column reads as a number (NaN and inf do too)."""
        index = self.columns.index(name)
        return all(_is_number(row[index]) for row in self.rows)

    def _number(self, cell: str, name: str, line: int) -> float:
        if not cell:
            raise self._empty(name, line)
        if not _is_number(cell):
            raise DataError(
                f"{self.path}, line {line}: column {name!r} holds {cell!r}, which is not a number; "
                "write a number there, or remove the column from the file"
            )
        value = float(cell)
        if not math.isfinite(value):
            raise DataError(
                f"{self.path}, line {line}: column {name!r} holds {cell!r}; "
                "remove that row or replace the value by a finite number"
            )
        return value

    def _empty(self, name: str, line: int) -> DataError:
        return DataError(
            f"{self.path}, line {line}: the cell of column {name!r} is empty; "
            "fill it or remove that row"
        )


def read_csv(path: Path) -> Table:
    """Read a CSV file whose first line names the columns.

    Cells are separated by commas, semicolons or tabs, whichever the first line has most of.
    Blank lines are skipped.

    Raises
    ------
    DataError
        No such file, not UTF-8 text, no rows, no header, or rows of different lengths.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(_DELIMITERS, key=first.count), strict=True)
            numbered = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path given to --data") from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from error

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
    return Table(path, columns, list(rows), list(lines))


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
