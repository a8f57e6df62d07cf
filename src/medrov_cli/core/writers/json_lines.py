"""Records as JSON lines: the journal of the run, which is written with every format."""

from __future__ import annotations

from pathlib import Path

from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

JSONL_FILE = "detections.jsonl"


class JsonLinesWriter:
    """Format of the journal, without further files."""

    name = "jsonl"
    needs_folder = False
    files = (JSONL_FILE,)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write nothing; the sink publishes the journal after all other files."""


WRITER: Writer = JsonLinesWriter()
