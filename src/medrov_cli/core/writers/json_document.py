"""All records as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.detect_json import DETECT_SCHEMA
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

JSON_FILE = "detections.json"


class JsonWriter:
    """Writer of one JSON document, which the command prints if there is no folder."""

    name = "json"
    needs_folder = False
    files = (JSON_FILE,)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the document."""
        write_document(folder / JSON_FILE, records(), run.summary, run.volumes())


def document_pieces(
    records: Iterable[JsonRecord], summary: Mapping[str, Any], volumes: Iterable[JsonRecord] = ()
) -> Iterator[str]:
    """Yield the text of ``{"schema", "summary", "records"}``, one record in memory at a time.

    With volumes, the document also has ``volumes``: their records of schema ``medrov.findings/1``.
    """
    yield f'{{"schema": {json.dumps(DETECT_SCHEMA)},\n'
    yield f'"summary": {json.dumps(dict(summary), allow_nan=False)},\n'
    yield '"records": [\n'
    for number, record in enumerate(records):
        yield (",\n" if number else "") + json.dumps(record, allow_nan=False)
    for number, record in enumerate(volumes):
        yield (",\n" if number else '\n],\n"volumes": [\n') + json.dumps(record, allow_nan=False)
    yield "\n]}\n"


def write_document(
    path: Path,
    records: Iterable[JsonRecord],
    summary: Mapping[str, Any],
    volumes: Iterable[JsonRecord] = (),
) -> None:
    """Write all records as one JSON document.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="ascii") as stream:
        stream.writelines(document_pieces(records, summary, volumes))


WRITER: Writer = JsonWriter()
