"""Findings of all volumes as one JSON document, which is written with every format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.findings_json import FINDINGS_SCHEMA
from medrov_cli.core.runs.journal import JsonRecord

FINDINGS_FILE = "findings.json"
FINDINGS_CSV_FILE = "findings.csv"
"""Names of the files that a folder has only if the run has volumes."""


def write_findings(path: Path, volumes: Iterable[JsonRecord]) -> None:
    """Write ``{"schema", "volumes"}``, one record in memory at a time.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="ascii") as stream:
        stream.writelines(_pieces(volumes))


def _pieces(volumes: Iterable[JsonRecord]) -> Iterator[str]:
    yield f'{{"schema": {json.dumps(FINDINGS_SCHEMA)},\n"volumes": [\n'
    for number, record in enumerate(volumes):
        yield (",\n" if number else "") + json.dumps(record, allow_nan=False)
    yield "\n]}\n"
