"""The folder that a detection run writes: whole files, resumable, with their origin beside them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.detect_json import record_to_detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.journal import Journal, JsonRecord, read_records
from medrov_cli.core.settings.choices import OutputFormat
from medrov_cli.core.writers.coco_files import write_coco_dataset, write_coco_results
from medrov_cli.core.writers.csv_table import write_csv
from medrov_cli.core.writers.json_document import write_document
from medrov_cli.core.writers.naming import output_path
from medrov_cli.core.writers.overlay import write_overlay
from medrov_cli.core.writers.yolo_labels import write_yolo

RUN_FILE = "run.json"
JSONL_FILE = "detections.jsonl"

_OVERLAYS = "overlays"
_YOLO = "yolo"
_OTHER_FILES = ("detections.json", "detections.csv", "detections.coco.json", "detections.coco-results.json")
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


class OutputFolder:
    """Write a run's records as they come, and every other format from them at the end.

    ``detections.jsonl`` is always written: the other formats are views of it.

    Parameters
    ----------
    path
        The folder. Made if need be.
    formats
        What to write.
    classes
        All classes of the run, in the order of their indices.
    """

    def __init__(self, path: Path, formats: Sequence[OutputFormat], classes: Sequence[str]) -> None:
        self.path = path
        self.formats = frozenset(formats)
        self.classes = classes
        self._journal = Journal(path / JSONL_FILE)

    @property
    def is_complete(self) -> bool:
        """Tell whether an earlier run has written everything."""
        return self._journal.path.exists()

    @classmethod
    def require_free(cls, path: Path) -> None:
        """Refuse a folder that holds a run.

        Raises
        ------
        MedrovError
            ``USAGE``.
        """
        if (path / RUN_FILE).exists():
            raise usage_error(
                f"--output {path} already holds a run",
                "Add --resume to go on with it, --overwrite to replace it, or give another --output.",
            )

    @classmethod
    def is_overlay(cls, path: Path, file: str) -> bool:
        """Tell whether a file is an overlay that a run wrote into the folder ``path``."""
        return Path(file).absolute().is_relative_to((path / _OVERLAYS).absolute())

    def claim(self, description: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Write what this run is, or check that an earlier run here was the same.

        Parameters
        ----------
        description
            The document ``run.json``. The same run gives the same document.
        resume
            Go on with what an earlier run left.
        overwrite
            Remove what an earlier run left.

        Raises
        ------
        MedrovError
            ``USAGE`` if the folder holds a run and neither is asked for, or a different run is
            to be resumed; ``OUTPUT_FAILED``.
        """
        run_file = self.path / RUN_FILE
        if overwrite and run_file.exists():
            self._journal.lock()
            self._remove_former_run()
        if run_file.exists():
            self._check_former_run(description, resume=resume)
            if not self.is_complete:
                self._journal.lock()
                self._remove_temporary_files()
            return
        if self.is_complete:
            raise usage_error(
                f"--output {self.path}: {JSONL_FILE} is there, but not the {RUN_FILE} that says what made it",
                "Give another --output, or move the file away.",
            )
        with whole_file(run_file) as temporary:
            temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="ascii")

    def open(self, keep: Callable[[Iterator[dict[str, Any]]], int]) -> None:
        """Open the journal of records; see :meth:`Journal.open`."""
        self._journal.open(keep)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all records that are written."""
        return read_records(self._journal.path) if self.is_complete else self._journal.records()

    def write(self, record: JsonRecord, pixels_rgb: UInt8Array | None) -> None:
        """Write one record, after the files that belong to it.

        Parameters
        ----------
        record
            The next record, of schema ``medrov.detect/1``.
        pixels_rgb
            uint8, (height, width, 3): the image, where an overlay is asked for.
        """
        if pixels_rgb is not None and OutputFormat.PNG in self.formats:
            folder = self.path / _OVERLAYS
            target = output_path(folder, record["path"], record["frame"], record["frame_count"], ".png")
            write_overlay(target, pixels_rgb, record_to_detections(record, self.classes))
        self._journal.append(record)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write every other format, and give the file of records its name last."""
        records = self._journal.records
        if OutputFormat.JSON in self.formats:
            write_document(self.path / "detections.json", records(), summary)
        if OutputFormat.CSV in self.formats:
            write_csv(self.path / "detections.csv", records())
        if OutputFormat.COCO in self.formats:
            write_coco_dataset(self.path / "detections.coco.json", records, self.classes)
            write_coco_results(self.path / "detections.coco-results.json", records, self.classes)
        if OutputFormat.YOLO in self.formats:
            write_yolo(self.path / _YOLO, records, self.classes)
        self._journal.publish()

    def close(self) -> None:
        """Let go of the folder; what is written stays, for ``--resume``."""
        self._journal.close()

    def _check_former_run(self, description: Mapping[str, Any], *, resume: bool) -> None:
        if not resume:
            self.require_free(self.path)
        try:
            before = json.loads((self.path / RUN_FILE).read_bytes())
        except (OSError, ValueError):
            before = None
        changed = _first_difference(before, json.loads(json.dumps(description)))
        if changed is not None:
            name, old, new = changed
            raise usage_error(
                f"--resume: the run in {self.path} had another {name}: {old}, now {new}",
                f"Repeat what its {RUN_FILE} says, or give another --output (or --overwrite).",
            )

    def _remove_former_run(self) -> None:
        """Remove what a run writes, and nothing else."""
        (self.path / RUN_FILE).unlink()
        for name in (*_OTHER_FILES, JSONL_FILE):
            (self.path / name).unlink(missing_ok=True)
        for name in (_OVERLAYS, _YOLO):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def _remove_temporary_files(self) -> None:
        """Remove the files that a kill left half written."""
        found = [*self.path.glob(".*.tmp")]
        for name in (_OVERLAYS, _YOLO):
            found += (self.path / name).rglob(".*.tmp")
        for path in found:
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _first_difference(before: Any, now: Any, name: str = "") -> tuple[str, str, str] | None:
    """Return the name of the first field that differs, and its two values; null if none does."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in before if key not in now)]:
            found = _first_difference(before.get(key), now.get(key), f"{name}.{key}" if name else key)
            if found is not None:
                return found
        return None
    if before == now:
        return None
    return name or RUN_FILE, _short(before), _short(now)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
