"""Which boxes share a segmentation: they do not overlap, and no two images have the same position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from medrov_cli.core.writers.dicom.result_objects import ResultObject
from medrov_cli.core.writers.dicom.segment_sources import SegmentPlace
from medrov_cli.core.writers.dicom.source_studies import SourceInstance

_MOST_SEGMENTS = 100
_MOST_BYTES = 256 << 20
"""Limits of one object: highdicom takes its pixels as one array, and searches it once for each segment."""

Span = tuple[int, int, int, int]
"""First and last column and row, the last ones not included."""


@dataclass(slots=True)
class SegmentDraft:
    """Segments of one object, all in one place."""

    place: SegmentPlace
    objects: list[ResultObject] = field(default_factory=list)
    spans: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    images: dict[float, str] = field(default_factory=dict)  # by position, of images without frames

    def has_room(self, own: ResultObject, most_images: int) -> bool:
        """Return whether an object overlaps no other one, no position is taken, and the limits hold."""
        images = {key for key, _ in box_spans(own)}
        if any(self.images.get(place, key) != key for place, key in self._positions(own).items()):
            return False
        is_small = len(self.objects) < _MOST_SEGMENTS and len(self.spans.keys() | images) <= most_images
        return is_small and not any(
            _overlaps(span, other) for key, span in box_spans(own) for other in self.spans.get(key, ())
        )

    def add(self, own: ResultObject) -> None:
        """Add an object."""
        self.objects.append(own)
        self.images.update(self._positions(own))
        for key, span in box_spans(own):
            self.spans[key].append(span)

    def _positions(self, own: ResultObject) -> dict[float, str]:
        """Return the image at each position; an image with frames, and one without a place, has none."""
        positions_mm = self.place.positions_mm
        return {
            positions_mm[instance.uid]: instance.uid
            for instance, _, _ in own.regions
            if instance.uid in positions_mm
        }


def segment_drafts(objects: Sequence[ResultObject], place: SegmentPlace) -> list[SegmentDraft]:
    """Return the objects of one place in as few segmentations as the order allows."""
    header = objects[0].regions[0][0].header
    most_images = max(1, _MOST_BYTES // max(int(header.Rows) * int(header.Columns), 1))
    drafts: list[SegmentDraft] = []
    for own in objects:
        found = next((draft for draft in drafts[-8:] if draft.has_room(own, most_images)), None)
        if found is None:
            found = SegmentDraft(place)
            drafts.append(found)
        found.add(own)
    return drafts


def box_spans(own: ResultObject) -> Iterator[tuple[str, Span]]:
    """Yield image and pixels of each box of an object."""
    for instance, record, row in own.regions:
        header = instance.header
        yield (
            image_key(instance, record["frame"]),
            box_span(row["box_xyxy"], (int(header.Rows), int(header.Columns))),
        )


def image_key(instance: SourceInstance, frame: int) -> str:
    """Return the identity of an image without frames, or of a 0-based frame of an image with frames."""
    return f"{instance.uid}/{frame}" if instance.has_frames else instance.uid


def box_span(box_xyxy: Sequence[float], size_hw: tuple[int, int]) -> Span:
    """Return the pixels whose centre is inside a box; of a narrower box, the pixel of its centre."""
    x1, y1, x2, y2 = box_xyxy
    spans: list[tuple[int, int]] = []
    for low, high, size in ((x1, x2, size_hw[1]), (y1, y2, size_hw[0])):
        first, last = int(np.ceil(low - 0.5)), int(np.floor(high - 0.5)) + 1
        if last <= first:
            first = int((low + high) / 2)
            last = first + 1
        first = min(max(first, 0), size - 1)
        spans.append((first, max(min(last, size), first + 1)))
    (left, right), (top, bottom) = spans
    return left, right, top, bottom


def _overlaps(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
