"""Segmentations of the boxes of a study: one segment for each finding or detection (PS3.3, A.51).

A segment contains the pixels whose centre is inside a box. Segments of one object do not overlap, and the
pixels of an object are limited: further segments are in further objects of the same series.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from highdicom import AlgorithmIdentificationSequence, seg
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medrov_cli.core.base.class_colors import class_color
from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.writers.dicom.class_codes import code_of_class, dicom_text
from medrov_cli.core.writers.dicom.result_identity import (
    EQUIPMENT,
    SERIES_DESCRIPTION,
    content_moment,
    derive_uid,
    result_digest,
)
from medrov_cli.core.writers.dicom.result_objects import ResultObject, result_objects
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy
from medrov_cli.core.writers.dicom.unlisted_classes import restore_classes
from medrov_cli.core.writers.protocol import RunFacts

SERIES_NUMBER = 9804
CONTENT_LABEL = "MEDROV"
MULTI_FRAME = "a segmentation cannot refer to a multi-frame image without functional groups of its planes"
NO_THICKNESS = "its header has no slice thickness, and it is the only slice of its series"
NO_FRAME = "its header has no Frame of Reference UID"
_PLACED = ("CT", "MR", "PT")
"""Modalities whose images have to have a frame of reference."""
_LABEL_LENGTH = 64
_MOST_SEGMENTS = 100
_MOST_BYTES = 256 << 20
"""Limits of one object: highdicom takes its pixels as one array, and searches it once for each segment."""

Span = tuple[int, int, int, int]
"""First and last column and row, the last ones not included."""


@dataclass(slots=True)
class _Draft:
    """Segments of one object."""

    objects: list[ResultObject] = field(default_factory=list)
    spans: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))

    def has_room(self, own: ResultObject, most_images: int) -> bool:
        """Return whether an object overlaps no other one, and whether the limits hold."""
        images = {key for key, _ in _spans(own)}
        is_small = len(self.objects) < _MOST_SEGMENTS and len(self.spans.keys() | images) <= most_images
        return is_small and not any(
            _overlaps(span, other) for key, span in _spans(own) for other in self.spans.get(key, ())
        )

    def add(self, own: ResultObject) -> None:
        """Add an object."""
        self.objects.append(own)
        for key, span in _spans(own):
            self.spans[key].append(span)


def segmentations(study: SourceStudy, run: RunFacts) -> Iterator[Dataset]:
    """Yield the segmentations of a study; images that no segmentation can refer to are left out."""
    left_out = {one.path: reason for one in study.instances if (reason := _obstacle(study, one))}
    groups: dict[Hashable, list[ResultObject]] = defaultdict(list)
    for own in result_objects(study):
        instance = own.regions[0][0]
        if instance.path not in left_out:
            groups[_place(instance)].append(own)
    for path, reason in sorted(left_out.items()):
        run.leave_out(path, reason)
    numbers: dict[str, int] = defaultdict(int)
    digest = result_digest([*study.records, *study.volumes])
    for objects in groups.values():
        for draft in _drafts(objects):
            series_uid = str(draft.objects[0].regions[0][0].header.SeriesInstanceUID)
            numbers[series_uid] += 1
            yield _segmentation(study, draft.objects, (digest, series_uid, numbers[series_uid]))


def _obstacle(study: SourceStudy, instance: SourceInstance) -> str:
    """Return why no segmentation can refer to an image; empty if one can."""
    if instance.has_frames:
        return "" if _has_planes(instance) else MULTI_FRAME
    if "FrameOfReferenceUID" not in instance.header and instance.header.get("Modality") in _PLACED:
        return NO_FRAME
    if _is_placed(instance) and _thickness_mm(study, instance) is None:
        return NO_THICKNESS
    return ""


def _has_planes(instance: SourceInstance) -> bool:
    groups = instance.header.get("PerFrameFunctionalGroupsSequence")
    return bool(groups) and all("PlanePositionSequence" in group for group in groups)


def _place(instance: SourceInstance) -> Hashable:
    """Return what images of one segmentation share: series, size, and for multi-frame images the image."""
    header = instance.header
    own = instance.uid if instance.has_frames else ""
    look = ("SeriesInstanceUID", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "SOPClassUID")
    return (own, _is_placed(instance), *(str(header.get(keyword)) for keyword in look))


def _drafts(objects: Sequence[ResultObject]) -> list[_Draft]:
    """Return the objects in as few segmentations as the order allows."""
    header = objects[0].regions[0][0].header
    most_images = max(1, _MOST_BYTES // max(int(header.Rows) * int(header.Columns), 1))
    drafts: list[_Draft] = []
    for own in objects:
        found = next((draft for draft in drafts[-8:] if draft.has_room(own, most_images)), None)
        if found is None:
            found = _Draft()
            drafts.append(found)
        found.add(own)
    return drafts


def _spans(own: ResultObject) -> Iterator[tuple[str, Span]]:
    """Yield image and pixels of each box of an object."""
    for instance, record, row in own.regions:
        header = instance.header
        yield (
            _image_key(instance, record["frame"]),
            box_span(row["box_xyxy"], (int(header.Rows), int(header.Columns))),
        )


def _image_key(instance: SourceInstance, frame: int) -> str:
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


def _segmentation(study: SourceStudy, objects: Sequence[ResultObject], key: tuple[str, str, int]) -> Dataset:
    """Return a segmentation.

    Parameters
    ----------
    study
        Study of the images.
    objects
        Its segments.
    key
        Digest of the result, series of the images, and 1-based number of the object.
    """
    digest, series_uid, number = key
    wanted = {key for own in objects for key, _ in _spans(own)}
    instances = {id(region[0]): region[0] for own in objects for region in own.regions}.values()
    used = [one for one in study.instances if any(one is own for own in instances)]
    keys = [
        _image_key(one, frame) for one in used for frame in range(int(one.header.get("NumberOfFrames") or 1))
    ]
    rows = {own: row for row, own in enumerate(keys) if own in wanted or not used[0].has_frames}
    pixels = _pixels(objects, rows, len(keys), used[0])
    lead = study.lead()
    lead.update(used[0].header)
    if not used[0].has_frames and _is_placed(used[0]):
        lead.SliceThickness = _thickness_mm(study, used[0])
    date, time = content_moment(one.header for one in used)
    found = seg.Segmentation(
        source_images=[lead, *(one.header for one in used[1:])],
        pixel_array=pixels,
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(own, index) for index, own in enumerate(objects, 1)],
        series_instance_uid=derive_uid("seg series", digest, series_uid),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derive_uid("seg", digest, series_uid, str(number)),
        instance_number=number,
        **EQUIPMENT,
        series_description=SERIES_DESCRIPTION,
        content_label=CONTENT_LABEL,
        content_description=RESEARCH_NOTICE,
        specific_character_set="ISO_IR 192",
    )
    for name in ("Content", "Series"):
        setattr(found, f"{name}Date", date)
        setattr(found, f"{name}Time", time)
    if not used[0].has_frames and not _is_placed(used[0]):
        found.PatientOrientation = ""  # type 2C without a place in the patient (PS3.3, C.7.6.1)
        shared = found.SharedFunctionalGroupsSequence[0]
        if "PixelMeasuresSequence" in shared:
            del shared.PixelMeasuresSequence  # a spacing of the detector, without a slice thickness
    dimensions = derive_uid("seg dimensions", digest, series_uid, str(number))
    found.DimensionOrganizationSequence[0].DimensionOrganizationUID = dimensions
    for item in found.DimensionIndexSequence:
        item.DimensionOrganizationUID = dimensions
    restore_classes(found, study.unlisted)
    return found


def _is_placed(instance: SourceInstance) -> bool:
    return "ImagePositionPatient" in instance.header and "FrameOfReferenceUID" in instance.header


def _thickness_mm(study: SourceStudy, instance: SourceInstance) -> float | None:
    """Return the slice thickness: that of the image, else the median step of its series; null if unknown."""
    stated = float(instance.header.get("SliceThickness") or 0)
    if stated > 0:
        return stated
    series = [
        np.array(one.header.ImagePositionPatient, dtype=np.float64)
        for one in study.instances
        if one.header.SeriesInstanceUID == instance.header.SeriesInstanceUID and _is_placed(one)
    ]
    axes = np.array(instance.header.get("ImageOrientationPatient") or (1, 0, 0, 0, 1, 0), dtype=np.float64)
    positions = np.sort(np.array(series) @ np.cross(axes[:3], axes[3:]))
    steps = np.diff(positions)
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else None


def _pixels(
    objects: Sequence[ResultObject], rows: dict[str, int], images: int, first: SourceInstance
) -> npt.NDArray[np.uint8]:
    """Return the number of the segment of each pixel, (images, rows, columns); 0 is the background."""
    pixels = np.zeros((images, int(first.header.Rows), int(first.header.Columns)), dtype=np.uint8)
    for number, own in enumerate(objects, 1):
        for key, (left, right, top, bottom) in _spans(own):
            pixels[rows[key], top:bottom, left:right] = number
    return pixels


def _description(own: ResultObject, number: int) -> seg.SegmentDescription:
    code = code_of_class(own.class_name)
    model = own.regions[0][1]["model"]
    return seg.SegmentDescription(
        segment_number=number,
        segment_label=dicom_text(own.class_name, _LABEL_LENGTH),
        segmented_property_category=code.category,
        segmented_property_type=code.finding,
        algorithm_type=seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=dicom_text(f"medrov {model['name']}", _LABEL_LENGTH),
            family=codes.DCM.ArtificialIntelligence,
            version=__version__,
            parameters={"weights sha256": str(model["sha256"])},
        ),
        tracking_uid=own.tracking_uid,
        tracking_id=dicom_text(own.tracking_id, _LABEL_LENGTH),
        display_color=CIELabColor.from_rgb(*class_color(own.class_name)),
    )
