"""Summary of a run, counted from its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.errors import ExitCode
from medrov_cli.core.pixels.found_files import SkippedFile
from medrov_cli.core.records.findings_json import is_volume_record
from medrov_cli.core.writers.sink import LeftOut


@dataclass(frozen=True, slots=True)
class DetectionSummary:
    """Summary of a run.

    Attributes
    ----------
    inputs
        Number of inputs of the run; with a shard, of the shard.
    failed
        Number of inputs that failed completely or partly.
    images
        Number of processed images and frames.
    detections
        Number of detections by class name, most frequent first.
    stopped
        Whether a failed input ended the run early (``--strict``).
    skipped
        Files below folders and in archives that were not read, with the reason.
    left_out
        Images that an output format cannot contain, with the reason; the other formats contain them. Empty if
        the run was complete before, because no format is written again.
    volumes, findings
        Number of volumes, and of their findings.
    """

    inputs: int
    failed: int
    images: int
    detections: Mapping[str, int]
    stopped: bool = False
    skipped: tuple[SkippedFile, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    volumes: int = 0
    findings: int = 0

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of a command with this summary."""
        if not self.failed:
            return ExitCode.OK
        return ExitCode.PARTIAL if self.images else ExitCode.NO_INPUT

    def as_dict(self) -> dict[str, Any]:
        """Return the ``summary`` object of a JSON document."""
        return {
            "inputs": self.inputs,
            "failed": self.failed,
            "images": self.images,
            "detections": sum(self.detections.values()),
            "detections_by_class": dict(self.detections),
            **({"volumes": self.volumes, "findings": self.findings} if self.volumes else {}),
            "skipped": [{"path": file.path, "reason": file.reason} for file in self.skipped],
            **({"left_out": [item._asdict() for item in self.left_out]} if self.left_out else {}),
        }


class RunSummary:
    """Counter of the records of a run.

    Parameters
    ----------
    inputs
        Inputs of the run.
    skipped
        Files that were not read.

    Attributes
    ----------
    done, expected
        Numbers of images for a progress bar; an input counts as one until the number of its frames is
        determined.
    """

    def __init__(self, inputs: int, skipped: Sequence[SkippedFile] = ()) -> None:
        self.done = 0
        self.expected = inputs
        self._inputs = inputs
        self._skipped = tuple(skipped)
        self._failed = 0
        self._images = 0
        self._volumes = 0
        self._findings = 0
        self._detections: Counter[str] = Counter()
        self._path: str | None = None
        self._frames_left = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record of an image, a failed input, or a volume."""
        if is_volume_record(record):
            self._volumes += 1
            self._findings += len(record["findings"])
            return
        is_first = record["path"] != self._path
        self._path = record["path"]
        if "error" in record:
            self._failed += 1
            if is_first:
                self.done += 1
            self.expected -= self._frames_left
            self._frames_left = 0
            return
        self._images += 1
        self.done += 1
        self._detections.update(found["class"] for found in record["detections"])
        if is_first:
            self._frames_left = (record["frame_count"] or 1) - record["frame"]
            self.expected += self._frames_left - 1
        elif record["frame_count"] is None:
            self.expected += 1
            return
        self._frames_left -= 1

    def summary(self, *, stopped: bool = False) -> DetectionSummary:
        """Return the counts."""
        by_count = sorted(self._detections.items(), key=lambda item: (-item[1], item[0]))
        return DetectionSummary(
            self._inputs,
            self._failed,
            self._images,
            dict(by_count),
            stopped,
            self._skipped,
            volumes=self._volumes,
            findings=self._findings,
        )
