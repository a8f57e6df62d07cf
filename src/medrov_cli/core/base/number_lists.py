"""Checks of long lists of numbers."""

from __future__ import annotations

import math


def are_shares(value: object) -> bool:
    """Return whether a value is a list of numbers from 0 to 1; calibrations have thousands."""
    if not isinstance(value, list) or not {*map(type, value)} <= {int, float}:
        return False
    return not value or (min(value) >= 0 and max(value) <= 1 and not math.isnan(sum(value)))
