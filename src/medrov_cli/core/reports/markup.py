"""HTML by construction: text is escaped where it enters, so nothing in a report can become an element."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.reports.values import ABSENT, ends_of, finite, interval, number, printable

_SORTABLE_FROM = 3  # fewer rows are seen at a glance
_VOID = frozenset({"img", "meta", "link", "br"})


class Markup(str):
    """Text that is HTML already. Made only in this package, from escaped parts."""

    __slots__ = ()


Content = str | Markup | None


def element(tag: str, *children: Content | Iterable[Content], **attributes: str | int | None) -> Markup:
    """Return an element; children that are not markup are escaped.

    Parameters
    ----------
    attributes
        ``class_`` and the like lose their last underscore, other underscores become hyphens.
        None leaves the attribute out.
    """
    opening = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{opening}>")
    return Markup(f"<{tag}{opening}>{join(*children)}</{tag}>")


def join(*children: Content | Iterable[Content], between: str = "") -> Markup:
    """Return children one after the other; those that are not markup are escaped."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            parts.append(child if isinstance(child, Markup) else escape(child))
        else:
            parts.append(join(*child))
    return Markup(between.join(parts))


def escape(text: str) -> Markup:
    """Return text as it may stand in HTML, also between quotation marks."""
    return Markup(html.escape(printable(text), quote=True))


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


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Markup:
    """Return a table whose first column names the rows, or a note that there is nothing.

    Cells are text, markup (also a whole ``td``), numbers, pairs of numbers (intervals) or None.
    The page's script makes longer tables sortable, and lets still longer ones be filtered.
    """
    if not rows:
        return element("p", f"{caption}: nothing to show.", class_="empty")
    head = element("tr", [_header(column, i, rows) for i, column in enumerate(columns)])
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            [cell(value, column.digits) for value, column in zip(row[1:], columns[1:], strict=True)],
        )
        for row in rows
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", body),
        class_="sortable" if len(rows) >= _SORTABLE_FROM else None,
    )
    return scrollable(whole, caption)


def _header(column: Column, index: int, rows: Sequence[Sequence[Any]]) -> Markup:
    """Return a column's header, on the right side where the column holds numbers."""
    texts = any(isinstance(row[index], str) and not _is_cell(row[index]) for row in rows)
    return element("th", column.title, scope="col", title=column.hint, class_=None if texts else "number")


def scrollable(content: Markup, label: str) -> Markup:
    """Return a part that scrolls sideways by itself, also with the keyboard, where it is too wide."""
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def cell(value: Any, digits: int = 3) -> Markup:
    """Return one cell of a table, with the number that it sorts by."""
    if _is_cell(value):
        return Markup(value)
    if isinstance(value, str):
        return element("td", value)
    if value is None:
        return element("td", ABSENT, class_="number")
    if isinstance(value, bool):
        return element("td", "yes" if value else "no")
    ends = ends_of(value)
    text = number(value, digits) if ends is None else interval(value, digits)
    key = finite(value) if ends is None else ends[0]
    return element("td", text, class_="number", data_value=None if key is None else repr(key))


def _is_cell(value: Any) -> bool:
    return isinstance(value, Markup) and value.startswith("<td")


def section(anchor: str, title: str, *content: Content | Iterable[Content]) -> Markup:
    """Return a section with its heading, which the table of contents points to."""
    heading = element("h2", title, id=f"{anchor}-title")
    return element("section", heading, *content, id=anchor, aria_labelledby=f"{anchor}-title")


def definitions(pairs: Iterable[tuple[str, Content]]) -> Markup:
    """Return a definition list."""
    return element("dl", [element("div", element("dt", key), element("dd", value)) for key, value in pairs])


def details(summary: str, *content: Content | Iterable[Content]) -> Markup:
    """Return a part that is folded at first. The page's script unfolds it for printing."""
    return element("details", element("summary", summary), *content)
