"""Lists of names and numbers that options parse from text."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.settings.choices import SPLITS, Modality, Split

MAX_CORES = 4096
"""Largest number of cores of ``--cores``; larger numbers are typing errors."""

Choice = TypeVar("Choice", bound=StrEnum)


def parse_names(values: Sequence[str], kind: type[Choice], option: str) -> tuple[Choice, ...]:
    """Return the members of a comma-separated list of names; none for ``none``.

    Raises
    ------
    MedrovError
        ``USAGE`` for an unknown name.
    """
    names = [name.strip().lower() for value in values for name in value.split(",")]
    unknown = [name for name in names if name not in (*kind, "none")]
    if unknown:
        raise usage_error(
            f"{option}: unknown name {unknown[0]!r}",
            f"Use none, or some of {', '.join(kind)}, with commas.",
        )
    return tuple(member for member in kind if member in names)


def parse_modality(text: str) -> Modality:
    """Return the modality of ``--modality``.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    try:
        return Modality.parse(text)
    except ValueError as error:
        raise usage_error(f"--modality: {error}", "Choose one of these.") from None


def parse_modalities(texts: Sequence[str]) -> tuple[Modality, ...]:
    """Return the modalities of ``--modality``, which may be repeated or have commas.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    try:
        return tuple(Modality.parse(part) for text in texts for part in text.split(","))
    except ValueError as error:
        raise usage_error(f"--modality: {error}.", "Leave it out for all nine.") from error


def parse_scales(text: str) -> tuple[float, ...]:
    """Return the scales of ``--scales``.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise usage_error(f"--scales {text!r} is not a list of numbers", "Write 0.8,1.0,1.25.") from error


def parse_cores(text: str) -> tuple[int, ...]:
    """Return the numbers of ``--cores``, each once.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= MAX_CORES for part in parts):
        raise usage_error(
            f"--cores {text!r} is not a list of numbers from 1 to {MAX_CORES}", "Write 2, or 2,4,8."
        )
    return tuple(dict.fromkeys(int(part) for part in parts))


def parse_splits(text: str) -> tuple[Split, ...]:
    """Return the splits of ``--splits``, each once, in the usual order.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    given = {part.strip() for part in text.split(",")}
    if unknown := sorted(given - set(SPLITS)):
        raise usage_error(
            f"--splits: {unknown[0]!r} is not a split",
            "Give train, val or test; several separated by commas.",
        )
    return tuple(split for split in SPLITS if split in given)
