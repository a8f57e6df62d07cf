"""Objects of a study's result: findings of its volumes, and detections that are part of none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.dicom.box_coordinates import tracking_uid
from medrov_cli.core.writers.dicom.class_codes import dicom_text
from medrov_cli.core.writers.dicom.result_identity import derive_uid
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy

_TEXT_LENGTH = 1024

_Key = TypeVar("_Key", bound=Hashable)

Region = tuple[SourceInstance, JsonRecord, dict[str, Any]]
"""Instance, record of the image, and element of its ``detections``."""


@dataclass(frozen=True, slots=True)
class ResultObject:
    """Finding in a volume, or a detection on one image.

    Attributes
    ----------
    class_name
        Class.
    number
        1-based, among the objects of the class.
    regions
        Its boxes: at least one.
    finding
        Element of ``findings`` of a record of schema ``medrov.findings/1``; null for a single detection.
    whole
        The object of which this one is a part; null for a whole object.
    """

    class_name: str
    number: int
    regions: tuple[Region, ...]
    finding: dict[str, Any] | None = None
    whole: ResultObject | None = None

    @property
    def tracking_uid(self) -> str:
        """Return the UID that follows the object, and its parts, through all DICOM results."""
        if self.whole is not None:
            return self.whole.tracking_uid
        members = [tracking_uid(*region) for region in self.regions]
        return members[0] if self.finding is None else derive_uid("finding", *members)

    @property
    def tracking_id(self) -> str:
        """Return the name of the object in its study: class and number."""
        return f"{dicom_text(self.class_name, _TEXT_LENGTH)} {self.number}"

    def split(self, key: Callable[[SourceInstance], _Key]) -> dict[_Key, ResultObject]:
        """Return the parts of the object in images with equal keys; the object itself if all are equal."""
        parts: dict[_Key, list[Region]] = {}
        for region in self.regions:
            parts.setdefault(key(region[0]), []).append(region)
        if len(parts) == 1:
            return dict.fromkeys(parts, self)
        return {own: replace(self, regions=tuple(regions), whole=self) for own, regions in parts.items()}


def result_objects(study: SourceStudy) -> Iterator[ResultObject]:
    """Yield the findings, then the detections that are part of none, numbered by class."""
    numbers: Counter[str] = Counter()
    linked: set[tuple[str, int, int]] = set()
    images = {(one.path, record["frame"]): (one, record) for one in study.instances for record in one.records}
    for volume in study.volumes:
        places = [(image["path"], image["frame"]) for image in volume["slices"]]
        for finding in volume["findings"]:
            members = [(*places[one["slice"]], one["detection"]) for one in finding["members"]]
            known = [(*images[path, frame], row) for path, frame, row in members if (path, frame) in images]
            regions = tuple((one, record, record["detections"][row]) for one, record, row in known)
            if not members:  # other planes alone have it
                part = places[finding["first_slice"] : finding["last_slice"] + 1]
                regions = tuple((*images[place], _row_of(finding)) for place in part if place in images)
            if not regions or len(known) < len(members):
                continue  # an image was left out: its detections stand alone
            linked.update(members)
            numbers[finding["class"]] += 1
            yield ResultObject(finding["class"], numbers[finding["class"]], regions, finding)
    for (path, frame), (instance, record) in images.items():
        for index, row in enumerate(record["detections"]):
            if (path, frame, index) not in linked:
                numbers[row["class"]] += 1
                yield ResultObject(row["class"], numbers[row["class"]], ((instance, record, row),))


def _row_of(finding: dict[str, Any]) -> dict[str, Any]:
    """Return the box of a finding as a detection on each of its slices."""
    x1, y1, _, x2, y2, _ = finding["box_voxels"]
    extent_mm = finding["extent_mm"]
    return {
        "class": finding["class"],
        "score": finding["score"],
        "box_xyxy": [x1, y1, x2, y2],
        "size_mm": None if extent_mm is None else extent_mm[:2],
    }
