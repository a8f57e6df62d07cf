"""Parser of CSV files from outside, with limits."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medrov_cli.core.base.text_files import DocumentError, first_repeated, read_text, shown_key


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file.

    Attributes
    ----------
    columns
        Names of the columns; no name stands twice, but several may be empty.
    rows
        Line number and fields of each row that is not empty; rows may be shorter or longer.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]

    def records(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield line number and fields by column of each row; missing fields are empty."""
        for number, row in self.rows:
            filled = [*row, *[""] * (len(self.columns) - len(row))]
            yield number, dict(zip(self.columns, filled, strict=False))


def read_table(path: Path, name_of: Callable[[str], str] = str.strip) -> CsvFile:
    """Return a CSV file with a row of column names.

    Parameters
    ----------
    path
        The file.
    name_of
        From a field of the first row to the name of a column.

    Raises
    ------
    OSError, DocumentError
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DocumentError(f"is not a table: {error} in line {reader.line_num}") from None
    if not rows:
        raise DocumentError("is an empty table")
    columns = tuple(map(name_of, rows[0][1]))
    twice = first_repeated(filter(None, columns))
    if twice is not None:
        raise DocumentError(f"has the column {shown_key(twice)} twice")
    return CsvFile(columns, tuple(rows[1:]))
