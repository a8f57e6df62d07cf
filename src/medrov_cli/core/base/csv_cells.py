"""Texts in CSV files that spreadsheets would compute as formulas."""

from __future__ import annotations

from collections.abc import Iterable

_MARK = "'"
_WIDE = ("\uff1d", "\uff0b", "\uff0d", "\uff20")  # =, +, - and @ of full width, as East Asian keyboards write
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", _MARK, *_WIDE)
"""First characters of formulas, and of cells whose first character spreadsheets remove."""


def plain_cells(values: Iterable[object]) -> list[object]:
    """Return a row whose texts are no formulas; numbers stay as they are."""
    return [plain_cell(value) if isinstance(value, str) else value for value in values]


def plain_cell(text: str) -> str:
    """Return a text with an apostrophe before the start of a formula, or before an apostrophe."""
    return _MARK + text if text.startswith(_STARTS) else text


def cell_text(cell: str) -> str:
    """Return the text of a cell that `plain_cell` has made; other cells stay as they are."""
    is_marked = cell.startswith(_MARK) and cell[1:].startswith(_STARTS)
    return cell[1:] if is_marked else cell
