"""The table of image kinds: the kind of the images of each source, and the classes that a kind can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.csv_files import read_table
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError
from medrov_cli.core.datasets.presence import IMPOSSIBLE, PresenceTable
from medrov_cli.core.records.image_kinds import UNKNOWN_KIND, KindEntry
from medrov_cli.core.settings.choices import Modality

_COLUMNS = ("source", "kind")


def read_source_kinds(path: Path, sources: Sequence[str]) -> tuple[str, ...]:
    """Read the kind of each source: a CSV with the columns ``source`` and ``kind``.

    Other columns, and rows of other sources, are ignored. A source without a row has the kind ``""``.

    Parameters
    ----------
    path
        The file.
    sources
        Names of the dataset's sources.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: it is no table, a column is missing, or a source is listed twice.
    """
    try:
        table = read_table(path)
    except OSError as error:
        raise _invalid(path, error.strerror or str(error)) from error
    except DocumentError as error:
        raise _invalid(path, f"it {error}") from error
    for column in _COLUMNS:
        if column not in table.columns:
            raise _invalid(path, f"it has no column {column!r}")
    kind_of: dict[str, str] = {}
    for _, row in table.records():
        source, kind = (row[column].strip() for column in _COLUMNS)
        if source in kind_of:
            raise _invalid(path, f"source {source!r} is listed twice")
        kind_of[source] = kind
    return tuple(kind_of.get(name, "") for name in sources)


def kinds_of_dataset(
    path: Path, document: Mapping[str, Any], sources: Sequence[tuple[str, Modality]]
) -> tuple[str, ...]:
    """Return the kinds of a dataset, by its key ``kinds`` or those of its sources; empty: none are stated.

    Parameters
    ----------
    path
        The dataset yaml.
    document
        Its content.
    sources
        Name and modality of each source.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``.
    """
    if "kinds" in document:
        return stated_kinds(path.parent / str(document["kinds"]), sources)
    kinds = [str(entry.get("kind", "")) if isinstance(entry, dict) else "" for entry in document["sources"]]
    if not any(kinds):
        return ()
    check_source_kinds(path, [name for name, _ in sources], kinds, [modality for _, modality in sources])
    return tuple(kinds)


def check_source_kinds(
    path: Path, sources: Sequence[str], kinds: Sequence[str], modalities: Sequence[Modality]
) -> None:
    """Check that each source has a kind, and each kind one modality.

    Parameters
    ----------
    path
        The file that states the kinds, for messages.
    sources, kinds, modalities
        Of each source.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``.
    """
    modality_of: dict[str, Modality] = {}
    for name, kind, modality in zip(sources, kinds, modalities, strict=True):
        if not kind or kind == UNKNOWN_KIND:
            raise _invalid(path, f"it has no kind for the source {name!r}")
        if modality_of.setdefault(kind, modality) != modality:
            raise _invalid(path, f"kind {kind!r} has sources of {modality_of[kind]} and {modality}")


def stated_kinds(path: Path | None, sources: Sequence[tuple[str, Modality]]) -> tuple[str, ...]:
    """Return the kind of each source (name, modality) from a table; empty texts without a table.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``, also for a source without a kind.
    """
    if path is None:
        return ("",) * len(sources)
    names = [name for name, _ in sources]
    kinds = read_source_kinds(path, names)
    check_source_kinds(path, names, kinds, [modality for _, modality in sources])
    return kinds


def kind_entries(
    source_kinds: Sequence[str],
    modalities: Sequence[Modality],
    classes: Sequence[str],
    presence: PresenceTable,
) -> tuple[KindEntry, ...]:
    """Return the kinds in the order of their names, with the classes that they can show.

    A kind can show a class if one of its sources annotates it or can show it.

    Parameters
    ----------
    source_kinds, modalities
        Of each source.
    classes
        Names of the columns of the presence table.
    presence
        int8, (sources, classes).
    """
    entries = []
    for kind in sorted(set(source_kinds)):
        rows = [row for row, own in enumerate(source_kinds) if own == kind]
        can_show = np.flatnonzero((presence[rows] > IMPOSSIBLE).any(0)).tolist()
        names = tuple(classes[column] for column in can_show)
        entries.append(KindEntry(kind, modalities[rows[0]], names))
    return tuple(entries)


def _invalid(path: Path, what: str) -> MedrovError:
    return MedrovError(
        ErrorCode.DATASET_INVALID, f"{path}: {what}", "Give each source a kind of its modality."
    )
