"""The presence table: what each source annotates, may show without annotating, or cannot show.

P[source, class] is 1 (annotated), 0 (possible but not annotated) or -1 (impossible), as in MedROV
(arXiv 2511.20650). A class with 0 is never a negative there: what is not annotated is not absent
(federated negatives, as in LVIS, arXiv 1908.03195).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.csv_cells import cell_text, plain_cells
from medrov_cli.core.base.csv_files import read_table
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.text_files import DocumentError

ANNOTATED = 1
POSSIBLE = 0
IMPOSSIBLE = -1

NOBODY = -1
"""Class of a column that only fills up a batch, and source of a region that there is not."""

PresenceTable = npt.NDArray[np.int8]
"""(sources, classes), of the three values above."""


def presence_from_annotations(class_ids: Sequence[Sequence[int]], class_count: int) -> PresenceTable:
    """Return the table of a dataset that has none: what a source does not annotate, it cannot show.

    Parameters
    ----------
    class_ids
        For each source the rows of the classes that it annotates.
    class_count
        Number of classes of the dataset.
    """
    table = np.full((len(class_ids), class_count), IMPOSSIBLE, dtype=np.int8)
    for row, annotated in enumerate(class_ids):
        table[row, list(annotated)] = ANNOTATED
    return table


def presence_csv(sources: Sequence[str], classes: Sequence[str], table: Sequence[Sequence[int]]) -> str:
    """Return a presence table in the form that :func:`read_presence` reads."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(plain_cells(("dataset", *classes)))
    rows.writerows(plain_cells((source, *values)) for source, values in zip(sources, table, strict=True))
    return text.getvalue()


def read_presence(
    path: Path, sources: Sequence[str], classes: Sequence[str], annotated: PresenceTable
) -> PresenceTable:
    """Read a presence table: a CSV with a row a source and a column a class.

    Parameters
    ----------
    path
        Its first column is ``dataset``. Classes without a column are taken from ``annotated``.
    sources, classes
        The dataset's own. All sources must have a row.
    annotated
        What the annotations say: see :func:`presence_from_annotations`.

    Raises
    ------
    MedrovError
        ``DATASET_INVALID``: an unknown source or class, a missing source, another value than
        1, 0 or -1, or a 0 or -1 for a class that the source annotates.
    """
    try:
        found = read_table(path, str)
    except OSError as error:
        raise _invalid(path, error.strerror or str(error)) from error
    except DocumentError as error:
        raise _invalid(path, f"it {error}") from error
    header = found.columns
    if header[0] != "dataset":
        raise _invalid(path, f"its first column is {header[0]!r}, not 'dataset'")
    table = annotated.copy()
    columns = [_index(path, name, classes, "class") for name in header[1:]]
    seen = set()
    for number, row in found.rows:
        source = _index(path, row[0], sources, "source")
        if source in seen:
            raise _invalid(path, f"it has a second row for the source {row[0]!r} in line {number}")
        if len(row) != len(header):
            raise _invalid(path, f"the row of {row[0]!r} has {len(row)} fields, the header {len(header)}")
        seen.add(source)
        for column, value in zip(columns, row[1:], strict=True):
            table[source, column] = _value(path, row[0], classes[column], value, annotated[source, column])
    missing = [name for index, name in enumerate(sources) if index not in seen]
    if missing:
        raise _invalid(path, f"it has no row for the source {missing[0]!r}")
    return table


def contradiction(source: str, name: str, value: int, annotated: int) -> str | None:
    """Return how a value of a table contradicts the annotations, for a message; None if it does not.

    Parameters
    ----------
    source, name
        The source and the class.
    value
        Of the table.
    annotated
        What the annotations say: see :func:`presence_from_annotations`.
    """
    if annotated == ANNOTATED and value != ANNOTATED:
        return f"{value} at {source!r}, {name!r}, although the source annotates that class"
    if value == ANNOTATED and annotated != ANNOTATED:
        return f"1 at {source!r}, {name!r}, although the source does not annotate that class"
    return None


def _value(path: Path, source: str, name: str, text: str, annotated: int) -> int:
    if text not in ("1", "0", "-1"):
        raise _invalid(path, f"{text!r} at {source!r}, {name!r} is not 1, 0 or -1")
    what = contradiction(source, name, int(text), annotated)
    if what is not None:
        raise _invalid(path, what)
    return int(text)


def _index(path: Path, name: str, known: Sequence[str], what: str) -> int:
    for own in (cell_text(name), name):
        if own in known:
            return known.index(own)
    raise _invalid(path, f"the dataset has no {what} {name!r}")


def _invalid(path: Path, what: str) -> MedrovError:
    return MedrovError(
        ErrorCode.DATASET_INVALID,
        f"{path}: {what}",
        "Write one row per source and one column per class: 1 annotated, 0 possible, -1 impossible.",
    )
