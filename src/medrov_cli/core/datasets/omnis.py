"""The presence table of Omnis (arXiv 2511.20650), which comes with the package.

A dataset yaml takes it with ``presence: omnis``. It has more datasets and classes than a yaml
that uses some of them; what the yaml has, the table must have.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from medrov_cli.core.base.csv_files import read_table
from medrov_cli.core.datasets.presence import PresenceTable, contradiction
from medrov_cli.core.datasets.sources import invalid

OMNIS = "omnis"
"""The value of ``presence`` in a dataset yaml that takes this table."""

TABLE = "omnis_presence.csv"
"""Name of the asset."""

_OWN = "write a presence.csv with one row per source and one column per class: 1, 0 or -1."


@cache
def omnis_presence() -> tuple[tuple[str, ...], tuple[str, ...], PresenceTable]:
    """Return the dataset ids (37), the classes (157) and the table, int8, (datasets, classes), read-only.

    A class ``a/b`` has the synonyms a and b.
    """
    with as_file(files("medrov_cli").joinpath("assets", TABLE)) as path:
        found = read_table(path)
    rows = [row for _, row in found.rows]
    table = np.array([row[1:] for row in rows]).astype(np.int8)
    table.setflags(write=False)  # all callers share it
    return tuple(row[0] for row in rows), found.columns[1:], table


def presence_from_omnis(
    yaml_path: Path, sources: Sequence[str], classes: Sequence[str], annotated: PresenceTable
) -> PresenceTable:
    """Return the part of the Omnis table that a dataset needs, int8, (sources, classes).

    Parameters
    ----------
    yaml_path
        The dataset yaml, for messages.
    sources, classes
        The dataset's own. A source's name is exactly an id of Omnis; a class is found as in
        :func:`find_column`.
    annotated
        What the annotations say: see :func:`medrov_cli.core.datasets.presence.presence_from_annotations`.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: a source or class that the table does not have, a class that fits
        two columns, or a value that contradicts the annotations.
    """
    datasets, columns, table = omnis_presence()
    for name in sources:
        if name not in datasets:
            raise invalid(
                f"{yaml_path}: the source {name!r} is not a dataset of the Omnis table",
                f"{_close(name, datasets)}Set the name of the source to that of Omnis ('name' in the "
                f"yaml), or {_OWN}",
            )
    rows = [datasets.index(name) for name in sources]
    found = table[np.ix_(rows, [find_column(yaml_path, name, columns) for name in classes])]
    for (row, column), value in np.ndenumerate(found):
        what = contradiction(sources[row], classes[column], int(value), int(annotated[row, column]))
        if what is not None:
            raise invalid(
                f"{yaml_path}: the Omnis table has {what}",
                f"Compare the categories of the source with the table, or {_OWN}",
            )
    return found


def find_column(yaml_path: Path, name: str, columns: Sequence[str]) -> int:
    """Return the index of the column that a class name means; case and extra spaces do not matter.

    Parameters
    ----------
    yaml_path
        The dataset yaml, for messages.
    name
        The class.
    columns
        ``a/b/c`` is found by its whole name and by each of a, b, c. Where a name fits several
        columns, the one wins whose whole name or first synonym it is.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: it fits no column, or several equally well.
    """
    wanted = _plain(name)
    fits = [index for index, column in enumerate(columns) if wanted in _names(column)]
    if len(fits) > 1:
        fits = [index for index in fits if wanted in _names(columns[index])[:2]] or fits
    if not fits:
        known = [part for column in columns for part in (column, *column.split("/"))]
        raise invalid(
            f"{yaml_path}: the class {name!r} is not in the Omnis table",
            f"{_close(name, known)}Rename the class in annotations.json, or {_OWN}",
        )
    if len(fits) > 1:
        both = " and ".join(repr(columns[index]) for index in fits)
        raise invalid(
            f"{yaml_path}: the class {name!r} matches {both} of the Omnis table",
            f"Give the class its full name, or {_OWN}",
        )
    return fits[0]


def _names(column: str) -> tuple[str, ...]:
    """Return the whole name of a column, then its synonyms."""
    return (_plain(column), *(_plain(part) for part in column.split("/")))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _close(name: str, known: Iterable[str]) -> str:
    """Return the first sentence of a hint: names like this one; empty if there are none."""
    by_plain = {_plain(text): text for text in known}
    close = difflib.get_close_matches(_plain(name), by_plain, n=3)
    return f"Close names: {', '.join(by_plain[text] for text in close)}. " if close else ""
