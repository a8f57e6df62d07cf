"""Tables of a page as plain data: captions, columns, and cells with sort keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.reports.document_values import ABSENT, at, ends_of, finite, interval, number

_SORTABLE_FROM = 3  # tables with fewer rows are not sortable


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    title
        Header.
    digits
        Decimals of numbers that are not integers.
    hint
        Explanation of the header, shown on hovering.
    """

    title: str
    digits: int = 3
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text
        Text.
    is_number
        Whether the text is right-aligned.
    sort_key
        Number by which the column is sorted; null: none.
    is_clear
        Whether the text is emphasised.
    """

    text: str
    is_number: bool = False
    sort_key: str | None = None
    is_clear: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the rows.

    Attributes
    ----------
    caption, columns
        Caption, and columns with that of the names.
    rows
        Cells: text, numbers, pairs of numbers (intervals), cells, or None.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]

    @property
    def is_sortable(self) -> bool:
        """Return whether the script of the page makes the table sortable."""
        return len(self.rows) >= _SORTABLE_FROM

    def holds_text(self, index: int) -> bool:
        """Return whether a column contains text; its header is then left-aligned."""
        values = [row[index] for row in self.rows]
        return any(isinstance(v, str) or (isinstance(v, Cell) and not v.is_number) for v in values)

    def cells(self, row: Sequence[Any]) -> list[Cell]:
        """Return the cells of a row after its name."""
        pairs = zip(row[1:], self.columns[1:], strict=True)
        return [cell_of(value, column.digits) for value, column in pairs]


def table_of(
    caption: str, columns: Mapping[str, str], entries: Mapping[str, Any], first: str = "Class"
) -> Table:
    """Return a table with one row per entry of a section.

    Parameters
    ----------
    caption
        Caption of the table.
    columns
        Key of each column in the entries, by title; a dot separates the keys of nested objects.
    entries
        Objects of the report by name; any value may be null or absent.
    first
        Title of the column of names.
    """
    rows = [
        [name, *(at(value, *key.split(".")) for key in columns.values())] for name, value in entries.items()
    ]
    return Table(caption, [Column(title) for title in (first, *columns)], rows)


def cell_of(value: Any, digits: int = 3) -> Cell:
    """Return the cell of a value of a report."""
    if isinstance(value, Cell):
        return value
    if isinstance(value, str):
        return Cell(value)
    if value is None:
        return Cell(ABSENT, is_number=True)
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    ends = ends_of(value)
    text = number(value, digits) if ends is None else interval(value, digits)
    key = finite(value) if ends is None else ends[0]
    return Cell(text, is_number=True, sort_key=None if key is None else repr(key))
