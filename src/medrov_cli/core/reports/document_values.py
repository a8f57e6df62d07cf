"""Values of a report, any of which may be null, and their text on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

ABSENT = "–"
"""Shown for a value that is not defined."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def at(document: Any, *keys: str) -> Any:
    """Return the value at a path of keys, or None where any part of the path is absent or null."""
    for key in keys:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def table_at(document: Any, *keys: str) -> Mapping[str, Any]:
    """Return the object at a path of keys, empty where it is absent or null."""
    value = at(document, *keys)
    return value if isinstance(value, Mapping) else {}


def list_at(document: Any, *keys: str) -> Sequence[Any]:
    """Return the list at a path of keys, empty where it is absent or null."""
    value = at(document, *keys)
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def rows_at(document: Any, *keys: str, width: int) -> list[Sequence[Any]]:
    """Return the rows of a matrix at a path of keys; one that is null has ``width`` nulls."""
    return [list_at({"row": row}, "row") or [None] * width for row in list_at(document, *keys)]


def finite(value: Any) -> float | None:
    """Return a finite number as float, and None for other values."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        return None
    return float(value)


def printable(text: str) -> str:
    """Return untrusted text without control characters and halves of surrogate pairs.

    HTML and SVG allow neither; file names can contain both. Line breaks become spaces.
    """
    if text.isprintable():
        return text
    spaced = " ".join(text.splitlines())
    return "".join(
        _REPLACEMENT if "\ud800" <= c <= "\udfff" or (not c.isprintable() and not c.isspace()) else c
        for c in spaced
    )


def shorten(text: str, length: int) -> str:
    """Return printable text of at most ``length`` characters."""
    text = printable(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def number(value: Any, digits: int = 3, *, signed: bool = False) -> str:
    """Return the text of a number: ``digits`` decimals, or an integer with separators; null is a dash."""
    known = finite(value)
    if known is None:
        return ABSENT
    if isinstance(value, Integral):
        return f"{int(value):{'+' if signed else ''},}"
    text = f"{known:{'+' if signed else ''},.{digits}f}"
    return text.replace("-", "−")


def interval(value: Any, digits: int = 3) -> str:
    """Return ``[low, high]`` as text, a dash where it or one of its ends is null."""
    ends = ends_of(value)
    return ABSENT if ends is None else f"[{number(ends[0], digits)}, {number(ends[1], digits)}]"


def ends_of(value: Any) -> tuple[float, float] | None:
    """Return the two ends of an interval, or None where it or one of its ends is null."""
    if not isinstance(value, Sequence) or len(value) != 2:
        return None
    low, high = finite(value[0]), finite(value[1])
    return None if low is None or high is None else (low, high)


def excludes_zero(value: Any) -> bool:
    """Return whether zero is outside an interval."""
    ends = ends_of(value)
    return ends is not None and (ends[0] > 0 or ends[1] < 0)
