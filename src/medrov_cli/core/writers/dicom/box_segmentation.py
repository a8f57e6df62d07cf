"""Segmentations of the boxes of a study: one segment for each finding or detection (PS3.3, A.51).

A segment contains the pixels whose centre is inside a box. Segments of one object do not overlap, and the
pixels of an object are limited: further segments are in further objects of the same series.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

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
from medrov_cli.core.writers.dicom.segment_drafts import box_spans, image_key, segment_drafts
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy
from medrov_cli.core.writers.dicom.unlisted_classes import restore_classes
from medrov_cli.core.writers.protocol import RunFacts

SERIES_NUMBER = 9804
CONTENT_LABEL = "MEDROV"
MULTI_FRAME = "a segmentation cannot refer to a multi-frame image without functional groups of its planes"
SAME_PLANES = "a segmentation cannot refer to a multi-frame image with several frames at one position"
NO_THICKNESS = "its header has no slice thickness, and it is the only slice of its series"
NO_FRAME = "its header has no Frame of Reference UID"
_PLACED = ("CT", "MR", "PT")
"""Modalities whose images have to have a frame of reference."""
_LABEL_LENGTH = 64


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
        for draft in segment_drafts(objects):
            series_uid = str(draft.objects[0].regions[0][0].header.SeriesInstanceUID)
            numbers[series_uid] += 1
            yield _segmentation(study, draft.objects, (digest, series_uid, numbers[series_uid]))


def _obstacle(study: SourceStudy, instance: SourceInstance) -> str:
    """Return why no segmentation can refer to an image; empty if one can."""
    if instance.has_frames:
        positions = _plane_positions(instance)
        if positions is None:
            return MULTI_FRAME
        return "" if len(set(positions)) == len(positions) else SAME_PLANES
    if "FrameOfReferenceUID" not in instance.header and instance.header.get("Modality") in _PLACED:
        return NO_FRAME
    if _is_placed(instance) and _thickness_mm(study, instance) is None:
        return NO_THICKNESS
    return ""


def _plane_positions(instance: SourceInstance) -> list[str] | None:
    """Return the position of each frame; null if a frame has none."""
    groups = instance.header.get("PerFrameFunctionalGroupsSequence")
    if not groups or not all(group.get("PlanePositionSequence") for group in groups):
        return None
    return [str(group.PlanePositionSequence[0].get("ImagePositionPatient")) for group in groups]


def _place(instance: SourceInstance) -> Hashable:
    """Return what images of one segmentation share: series, size, frame of reference.

    An image with frames, and one without a place in the patient, has a segmentation of its own.
    """
    header = instance.header
    own = instance.uid if instance.has_frames or not _is_placed(instance) else ""
    look = ("SeriesInstanceUID", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "SOPClassUID")
    return (own, _is_placed(instance), *(str(header.get(keyword)) for keyword in look))


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
    wanted = {key for own in objects for key, _ in box_spans(own)}
    instances = {id(region[0]): region[0] for own in objects for region in own.regions}.values()
    used = [one for one in study.instances if any(one is own for own in instances)]
    keys = [
        image_key(one, frame) for one in used for frame in range(int(one.header.get("NumberOfFrames") or 1))
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
    found.ContentCreatorName = ""  # type 2: a program made it
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
        for key, (left, right, top, bottom) in box_spans(own):
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
