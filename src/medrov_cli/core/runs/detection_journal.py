"""Journal of detections by image, which a later run resumes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError, usage_error
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.image_kinds import ImageKind
from medrov_cli.core.runs.identity import Refusal, require_equal
from medrov_cli.core.runs.journal import Journal, json_line, read_records
from medrov_cli.core.settings.choices import Modality

_CHANGED = Refusal(
    "--resume: the predictions in {folder} were made with another {names}",
    "Repeat the settings of that run, give another --output, or --overwrite.",
)


class DetectionJournal:
    """Journal of detections by image; without a path, in memory alone.

    Parameters
    ----------
    path
        Final name of the file; null: nothing is written.
    identity
        Record of the run, the first line of the file: a file with another record is refused. ``batch`` is
        the number of images per forward pass.
    resume
        Whether to continue an earlier file.

    Raises
    ------
    MedrovError
        ``USAGE``: the earlier file is of another detector, dataset or selection.
    """

    def __init__(self, path: Path | None, identity: Mapping[str, Any], *, resume: bool) -> None:
        self.items: list[Detections | Failure] = []
        """Result of each image."""
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
        if not self.items:
            self._journal.open(lambda _: 0)
            self._journal.append(self._identity)

    def _take(self, records: Iterator[dict[str, Any]], path: Path) -> int:
        """Take the detections of an earlier run; return the number of records that are kept.

        Only complete batches are kept: the composition of a batch changes the last bits of its scores.
        """
        try:
            first = next(records, None)
            if first is None:
                return 0
            require_equal(first, self._identity, _CHANGED, folder=path.parent)
            items = [_from_record(record) for record in records]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise usage_error(f"{path} is damaged", "Give another --output, or --overwrite.") from error
        batch, total = self._identity["batch"], self._identity["images"]
        kept = len(items) if len(items) == total else len(items) // batch * batch
        self.items += items[:kept]
        return kept + 1

    @property
    def detections(self) -> list[Detections]:
        """Return the detections of each image, none for an image that could not be read."""
        return [_NOTHING if isinstance(item, Failure) else item for item in self.items]

    @property
    def failures(self) -> dict[int, MedrovError]:
        """Return the errors of images that could not be read, by number of the image."""
        return {row: item.error for row, item in enumerate(self.items) if isinstance(item, Failure)}

    def add(self, item: Detections | Failure) -> None:
        """Append the result of the next image."""
        record = _to_record(item)
        if self._journal is not None:
            self._journal.append(record)
        self.items.append(_from_record(record))

    def finish(self) -> None:
        """Give the file its name."""
        if self._journal is not None:
            self._journal.publish()
            self._journal = None

    def replace(self, items: Mapping[int, Detections | Failure]) -> None:
        """Replace the results of some images in a finished file.

        Parameters
        ----------
        items
            New results by number of the image.
        """
        records = [_to_record(items.get(row, own)) for row, own in enumerate(self.items)]
        self.items = [_from_record(record) for record in records]
        if self._path is not None:
            with whole_file(self._path) as temporary:
                lines = [json_line(record) for record in (self._identity, *records)]
                temporary.write_text("".join(lines), encoding="ascii", newline="\n")

    def close(self) -> None:
        """Close the file; the next run can resume it."""
        if self._journal is not None:
            self._journal.close()


_NOTHING = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))


def _to_record(item: Detections | Failure) -> dict[str, Any]:
    """Return the record of a result, with rounded numbers."""
    if isinstance(item, Failure):
        return {"error": item.error.as_dict()}
    kind = {} if item.kind is None else {"kind": dataclasses.asdict(item.kind)}
    return {
        "boxes_xyxy": np.round(item.boxes_xyxy.astype(np.float64), 2).tolist(),
        "scores": np.round(item.scores.astype(np.float64), 6).tolist(),
        "labels": item.labels.tolist(),
        **kind,
    }


def _from_record(record: Mapping[str, Any]) -> Detections | Failure:
    """Return the result of a record; its position in the file is the number of the image."""
    if "error" in record:
        error = record["error"]
        return Failure("", MedrovError(ErrorCode(error["code"]), error["message"], error["hint"]))
    return Detections(
        np.array(record["boxes_xyxy"], dtype=np.float64).reshape(-1, 4),
        np.array(record["scores"], dtype=np.float64),
        np.array(record["labels"], dtype=np.int64),
        kind=_kind_of(record.get("kind")),
    )


def _kind_of(record: Mapping[str, Any] | None) -> ImageKind | None:
    if record is None:
        return None
    modality = record["modality"]
    return ImageKind(record["name"], None if modality is None else Modality(modality), record["probability"])
