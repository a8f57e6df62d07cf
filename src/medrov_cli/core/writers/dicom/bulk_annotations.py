"""Annotations of a slide: a group of rectangles for each class (PS3.3, A.87, and C.37.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence, ann
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medrov_cli.core.base.class_colors import class_color
from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.versions import __version__
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.dicom.class_codes import code_of_class, dicom_text
from medrov_cli.core.writers.dicom.report_groups import CERTAINTY, HEIGHT, PERCENT, WIDTH
from medrov_cli.core.writers.dicom.result_identity import (
    EQUIPMENT,
    MANUFACTURER,
    SERIES_DESCRIPTION,
    content_moment,
    derive_uid,
    result_digest,
)
from medrov_cli.core.writers.dicom.source_studies import SourceStudy

SERIES_NUMBER = 9803
CONTENT_LABEL = "MEDROV"

SINGLE_LIMIT_PX = 65536
"""Coordinate up to which 32-bit numbers keep a box within 0.004 pixels; larger ones have 64 bits."""

MICROMETRE = Code("um", "UCUM", "um")
_LABEL_LENGTH = 64


def bulk_annotations(slide: SourceStudy, patient: Dataset, classes: Sequence[str]) -> Dataset:
    """Return the annotations of a slide.

    UIDs, date and time follow from the slide and the result, so that equal runs give equal bytes.

    Parameters
    ----------
    slide
        One instance of a slide, with at least one detection.
    patient
        Header with the elements of patient and study.
    classes
        All classes of the run, whose order gives their colours.
    """
    digest = result_digest(slide.records)
    source = SourceStudy(slide.instances, patient).lead()
    if "FrameOfReferenceUID" not in source:
        source.FrameOfReferenceUID = source.SeriesInstanceUID  # highdicom asks for one and does not write it
    found: Dataset = ann.MicroscopyBulkSimpleAnnotations(
        source_images=[source],
        annotation_coordinate_type=ann.AnnotationCoordinateTypeValues.SCOORD,
        annotation_groups=_groups(slide.records, classes, digest),
        series_instance_uid=derive_uid("ann series", digest),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derive_uid("ann", digest),
        instance_number=1,
        **EQUIPMENT,
        series_description=SERIES_DESCRIPTION,
        content_label=CONTENT_LABEL,
        content_description=RESEARCH_NOTICE,
        specific_character_set="ISO_IR 192",
    )
    if "SpecimenDescriptionSequence" not in found:
        found.Laterality = ""  # type 2C: a specimen has a side of its own, of other slides it is unknown
    found.ContentDate, found.ContentTime = content_moment(slide.headers)
    return found


def _groups(records: Sequence[JsonRecord], classes: Sequence[str], digest: str) -> list[ann.AnnotationGroup]:
    """Return a group for each class with detections, in the order of the classes."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for row in record["detections"]:
            rows.setdefault(row["class"], []).append(row)
    colors = {name: class_color(name) for name in classes}
    order = [name for name in dict.fromkeys((*classes, *rows)) if name in rows]
    algorithm = _algorithm(records[0]["model"])
    groups = []
    for number, name in enumerate(order, 1):
        code = code_of_class(name)
        group = ann.AnnotationGroup(
            number=number,
            uid=derive_uid("ann group", digest, name),
            label=dicom_text(name, _LABEL_LENGTH),
            annotated_property_category=code.category,
            annotated_property_type=code.finding,
            graphic_type=ann.GraphicTypeValues.RECTANGLE,
            graphic_data=list(_rectangles(rows[name])),
            algorithm_type=ann.AnnotationGroupGenerationTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            measurements=_measurements(rows[name]),
            anatomic_regions=None if code.site is None else [code.site],
            display_color=CIELabColor.from_rgb(*colors[name]) if name in colors else None,
        )
        groups.append(group)
    return groups


def _rectangles(rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """Return the corners of boxes, (n, 4, 2): column, row, clockwise from the top-left one.

    The origin is the top-left corner of the total pixel matrix, like that of a record (PS3.3, C.37.1.1).
    """
    boxes = np.array([row["box_xyxy"] for row in rows], dtype=np.float64)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    return corners if corners.max() >= SINGLE_LIMIT_PX else corners.astype(np.float32)


def _measurements(rows: Sequence[dict[str, Any]]) -> list[ann.Measurements]:
    """Return scores in percent, and the sizes in micrometres if they are known."""
    scores = np.array([100 * row["score"] for row in rows], dtype=np.float32)
    found = [ann.Measurements(CERTAINTY, scores, PERCENT)]
    if all("box_um" in row for row in rows):
        boxes_um = np.array([row["box_um"] for row in rows])
        sides = (boxes_um[:, 2:] - boxes_um[:, :2]).astype(np.float32)
        found += [ann.Measurements(WIDTH, sides[:, 0], MICROMETRE)]
        found += [ann.Measurements(HEIGHT, sides[:, 1], MICROMETRE)]
    return found


def _algorithm(model: dict[str, Any]) -> AlgorithmIdentificationSequence:
    """Return the identification of program, weights and engine."""
    return AlgorithmIdentificationSequence(
        name=dicom_text(f"medrov {model['name']}", _LABEL_LENGTH),
        family=codes.DCM.ArtificialIntelligence,
        version=__version__,
        source=MANUFACTURER,
        parameters={
            "weights sha256": str(model["sha256"]),
            "vocabulary sha256": str(model["vocabulary_sha256"]),
            "text encoder": str(model["text_encoder"]),
            "engine": str(model["engine"]),
            "imgsz": str(model["imgsz"]),
            "scores": str(model["scores"]),
        },
    )
