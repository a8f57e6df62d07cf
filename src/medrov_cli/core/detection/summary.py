"""What came of a run so far, counted from its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.errors import ExitCode


@dataclass(frozen=True, slots=True)
class DetectionSummary:
    """What came of a run.

    Attributes
    ----------
    inputs
        Inputs of the run; with a shard, of the shard.
    failed
        Inputs that could not be used, or not to their end.
    images
        Images and frames that were searched.
    detections
        By class name, most frequent first.
    stopped
        A failed input ended the run early (``--strict``).
    """

    inputs: int
    failed: int
    images: int
    detections: Mapping[str, int]
    stopped: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of a command that ends with this."""
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
        }


class RunSummary:
    """Count records as they come.

    Parameters
    ----------
    inputs
        Inputs of the run.

    Attributes
    ----------
    done, expected
        Images, for a progress bar: an input counts as one until its number of frames is known.
    """

    def __init__(self, inputs: int) -> None:
        self.done = 0
        self.expected = inputs
        self._inputs = inputs
        self._failed = 0
        self._images = 0
        self._detections: Counter[str] = Counter()
        self._path: str | None = None
        self._frames_left = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record of schema ``medrov.detect/1``."""
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
        return DetectionSummary(self._inputs, self._failed, self._images, dict(by_count), stopped)
