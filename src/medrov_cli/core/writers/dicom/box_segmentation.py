"""Segmentations of the boxes of a study: one segment for each finding or detection (PS3.3, A.51).

A segment contains the pixels whose centre is inside a box. Segments of one object do not overlap, and the
pixels of an object are limited: further segments are in further objects of the same series.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

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
from medrov_cli.core.writers.dicom.segment_drafts import (
    SegmentDraft,
    box_spans,
    image_key,
    segment_drafts,
)
from medrov_cli.core.writers.dicom.segment_sources import SegmentPlace, segment_places
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy
from medrov_cli.core.writers.dicom.unlisted_classes import restore_classes
from medrov_cli.core.writers.protocol import RunFacts

SERIES_NUMBER = 9804
CONTENT_LABEL = "MEDROV"
_LABEL_LENGTH = 64


def segmentations(study: SourceStudy, run: RunFacts) -> Iterator[Dataset]:
    """Yield the segmentations of a study; images that no segmentation can refer to are left out.

    A finding in images of several places has a segment in a segmentation of each.
    """
    places, left_out = segment_places(study)
    groups: dict[SegmentPlace, list[ResultObject]] = defaultdict(list)
    for own in result_objects(study):
        for place, part in own.split(lambda instance: places.get(instance.uid)).items():
            if place is not None:
                groups[place].append(part)
    for path, reason in sorted(left_out.items()):
        run.leave_out(path, reason)
    numbers: dict[str, int] = defaultdict(int)
    digest = result_digest([*study.records, *study.volumes])
    for place, objects in groups.items():
        for draft in segment_drafts(objects, place):
            series_uid = str(place.first.header.SeriesInstanceUID)
            numbers[series_uid] += 1
            used = _used_images(study, draft)
            with run.leaving_out_failures(one.path for one in used):
                found = _segmentation(study, draft, used, (digest, series_uid, numbers[series_uid]))
                yield found


def _used_images(study: SourceStudy, draft: SegmentDraft) -> list[SourceInstance]:
    uids = {region[0].uid for own in draft.objects for region in own.regions}
    return [one for one in study.instances if one.uid in uids]


def _segmentation(
    study: SourceStudy, draft: SegmentDraft, used: Sequence[SourceInstance], key: tuple[str, str, int]
) -> Dataset:
    """Return a segmentation.

    Parameters
    ----------
    study
        Study of the images.
    draft
        Its segments, and their place.
    used
        Images with segments.
    key
        Digest of the result, series of the images, and 1-based number of the object.
    """
    digest, series_uid, number = key
    first, place = used[0], draft.place
    wanted = {key for own in draft.objects for key, _ in box_spans(own)}
    keys = [
        image_key(one, frame) for one in used for frame in range(len(place.planes) if one.has_frames else 1)
    ]
    rows = {own: row for row, own in enumerate(keys) if own in wanted or not first.has_frames}
    date, time = content_moment(one.header for one in used)
    found = seg.Segmentation(
        source_images=[
            place.source_image(one, study.lead(one) if one is first else one.header) for one in used
        ],
        pixel_array=_pixels(draft.objects, rows, len(keys), first),
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(own, index) for index, own in enumerate(draft.objects, 1)],
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
    if not place.planes:
        found.PatientOrientation = ""  # type 2C without a place in the patient (PS3.3, C.7.6.1)
    elif len(keys) == 1 and not place.spacing_between_mm:
        del found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
    dimensions = derive_uid("seg dimensions", digest, series_uid, str(number))
    found.DimensionOrganizationSequence[0].DimensionOrganizationUID = dimensions
    for item in found.DimensionIndexSequence:
        item.DimensionOrganizationUID = dimensions
    restore_classes(found, {one.uid: one.sop_class for one in used})
    return found


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
