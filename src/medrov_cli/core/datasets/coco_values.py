"""Checks of JSON values in annotation files."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_flag_set(value: object) -> bool:
    """Tell whether a flag of an annotation file is set: true, a number other than 0, or a text of these."""
    if not isinstance(value, str):
        return bool(value)
    text = value.strip().casefold()
    try:
        return float(text) != 0
    except ValueError:
        return text in ("true", "yes")


def is_number(value: object) -> bool:
    """Tell whether a JSON value is a finite number in the range of float64."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def is_box(value: object) -> TypeGuard[list[float]]:
    """Tell whether a JSON value is a list of four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))
