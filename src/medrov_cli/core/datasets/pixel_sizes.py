"""Sizes of pixels in dataset yamls and in records of images: micrometres per pixel."""

from __future__ import annotations

from typing import Any

from medrov_cli.core.base.errors import ErrorCode, MedrovError

LARGEST_MPP = 100_000.0
"""Limit of micrometres per pixel: a pixel of 10 cm."""


def mpp_of_entry(source: str, given: Any) -> float | None:
    """Return micrometres per pixel as an entry of a dataset yaml states them; null if it does not.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``.
    """
    if given is None:
        return None
    found = mpp_of_record(given)
    if found is None:
        raise MedrovError(
            ErrorCode.DATASET_INVALID,
            f"source {source!r}: 'mpp' is no size of pixels",
            "Write micrometres per pixel: mpp: 0.25.",
        )
    return found


def mpp_of_record(value: object) -> float | None:
    """Return micrometres per pixel as a record states them; null if it is no such number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < LARGEST_MPP:
        return float(value)
    return None
