"""Tables of a page as plain data: captions, columns, and cells with the number that they sort by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.reports.document_values import ABSENT, ends_of, finite, interval, number

_SORTABLE_FROM = 3  # fewer rows are seen at a glance


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    title
        Its header.
    digits
        After the point, for numbers that are not whole.
    hint
        What the header means, shown on hovering.
    """

    title: str
    digits: int = 3
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as it is shown.

    Attributes
    ----------
    text
        Its text.
    is_number
        It stands on the right side.
    sort_key
        The number that it sorts by; null: by none.
    is_clear
        It is emphasised.
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
        Its caption, and its columns with that of the names.
    rows
        Cells: text, numbers, pairs of numbers (intervals), cells as they are shown, or None.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]

    @property
    def is_sortable(self) -> bool:
        """Tell whether the page's script makes it sortable."""
        return len(self.rows) >= _SORTABLE_FROM

    def holds_text(self, index: int) -> bool:
        """Tell whether a column holds any text; its header stands on the left side then."""
        values = [row[index] for row in self.rows]
        return any(isinstance(v, str) or (isinstance(v, Cell) and not v.is_number) for v in values)

    def cells(self, row: Sequence[Any]) -> list[Cell]:
        """Return the cells of a row behind its name."""
        pairs = zip(row[1:], self.columns[1:], strict=True)
        return [cell_of(value, column.digits) for value, column in pairs]


def cell_of(value: Any, digits: int = 3) -> Cell:
    """Return a value of a report as it is shown."""
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
