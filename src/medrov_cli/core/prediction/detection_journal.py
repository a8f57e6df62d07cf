"""Detections by image in a file that survives a kill, and that the next run goes on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.boxes import IntArray
from medrov_cli.core.records.detections import Found
from medrov_cli.core.runs.identity import Refusal, require_equal
from medrov_cli.core.runs.journal import Journal, json_line, read_records

_CHANGED = Refusal(
    "--resume: the predictions in {folder} were made with another {names}",
    "Repeat the settings of that run, give another --output, or --overwrite.",
)

Looked = Found | MedrovError
"""What came of an image: its detections, or why it could not be read."""


class DetectionJournal:
    """Detections by image, in a file that survives a kill; without a folder, in memory alone.

    Parameters
    ----------
    path
        Final name of the file; null: nothing is written.
    identity
        What has to be equal for an earlier file to be of use; ``batch`` is the number of images
        that go through the network together.
    resume
        Whether to use an earlier file.

    Raises
    ------
    MedrovError
        ``USAGE``: the earlier file is of another detector, dataset or selection.
    """

    def __init__(self, path: Path | None, identity: Mapping[str, Any], *, resume: bool) -> None:
        self.found: list[Found] = []
        self.failures: dict[int, MedrovError] = {}
        """By number of the image, which has no detections in ``found``: nobody has looked at it."""
        self._identity = identity
        self._path = path
        self._journal: Journal | None = None
        if path is None:
            return
        if resume and path.exists():
            self._take(read_records(path), path)
            return
        self._journal = Journal(path)
        self._journal.open(lambda records: self._take(records, path) if resume else 0)
        if not self.found:
            self._journal.open(lambda _: 0)
            self._journal.append(self._identity)

    def _take(self, records: Iterator[dict[str, Any]], path: Path) -> int:
        """Take the detections of an earlier run; return how many records stay.

        Only whole batches stay: which images go through the network together shows in the last
        bits of their scores.
        """
        first = next(records, None)
        if first is None:
            return 0
        require_equal(first, self._identity, _CHANGED, folder=path.parent)
        looked = [_from_record(record) for record in records]
        batch, total = self._identity["batch"], self._identity["images"]
        kept = len(looked) if len(looked) == total else len(looked) // batch * batch
        for own in looked[:kept]:
            self._keep(own)
        return kept + 1

    def _keep(self, looked: Looked) -> None:
        if isinstance(looked, MedrovError):
            self.failures[len(self.found)] = looked
            looked = _NOTHING
        self.found.append(looked)

    def add(self, looked: Looked) -> None:
        """Take what came of the next image."""
        record = _to_record(looked)
        if self._journal is not None:
            self._journal.append(record)
        self._keep(_from_record(record))

    def finish(self) -> None:
        """Give the file its name."""
        if self._journal is not None:
            self._journal.publish()
            self._journal = None

    def replace(self, looked: Mapping[int, Looked]) -> None:
        """Take what came of some images instead of what is there, in a finished file.

        Parameters
        ----------
        looked
            By number of the image.
        """
        all_looked: list[Looked] = [self.failures.get(row, own) for row, own in enumerate(self.found)]
        for row, own in looked.items():
            all_looked[row] = own
        records = [_to_record(own) for own in all_looked]
        self.found, self.failures = [], {}
        for record in records:
            self._keep(_from_record(record))
        if self._path is not None:
            with whole_file(self._path) as temporary:
                lines = [json_line(record) for record in (self._identity, *records)]
                temporary.write_text("".join(lines), encoding="ascii", newline="\n")

    def close(self) -> None:
        """Let go of the file; what is in it stays for the next run, also in this process."""
        if self._journal is not None:
            self._journal.close()


_NOTHING = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))


def _to_record(looked: Looked) -> dict[str, Any]:
    """Return a record: numbers are rounded, so that a resumed run has the same."""
    if isinstance(looked, MedrovError):
        return {"error": looked.as_dict()}
    return {
        "boxes_xyxy": np.round(looked.boxes_xyxy.astype(np.float64), 2).tolist(),
        "scores": np.round(looked.scores.astype(np.float64), 6).tolist(),
        "labels": looked.labels.tolist(),
    }


def _from_record(record: Mapping[str, Any]) -> Looked:
    if "error" in record:
        error = record["error"]
        return MedrovError(ErrorCode(error["code"]), error["message"], error["hint"])
    labels: IntArray = np.array(record["labels"], dtype=np.int64)
    return Found(
        np.array(record["boxes_xyxy"], dtype=np.float64).reshape(-1, 4),
        np.array(record["scores"], dtype=np.float64),
        labels,
    )
