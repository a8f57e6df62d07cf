"""The records as JSON lines: the journal that the run itself keeps, whatever other formats are asked for."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

JSONL_FILE = "detections.jsonl"


class JsonLinesWriter:
    """Write nothing of its own."""

    name = "jsonl"
    needs_folder = False
    files = (JSONL_FILE,)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Leave the journal to the sink, which gives it its name when all other files are written."""


WRITER: Writer = JsonLinesWriter()
