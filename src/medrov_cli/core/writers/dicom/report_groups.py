"""Measurement groups of a report: detections on one image (TID 1410), findings in a volume (TID 1411)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medrov_cli.core.base.versions import __version__
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.dicom.box_coordinates import box_points
from medrov_cli.core.writers.dicom.class_codes import PRIVATE_SCHEME, code_of_class, dicom_text
from medrov_cli.core.writers.dicom.group_prototypes import fill_group
from medrov_cli.core.writers.dicom.plain_items import image_item, region_item
from medrov_cli.core.writers.dicom.result_objects import Region, ResultObject

BOUNDED_BY = Code("75958009", "SCT", "Bounded by")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
CLASS_NAME = Code("CLASS", PRIVATE_SCHEME, "Class name")
WIDTH = Code("103355008", "SCT", "Width")
HEIGHT = Code("121207", "DCM", "Height")
PERCENT = Code("%", "UCUM", "Percent")
LONG_AXIS = Code("103339001", "SCT", "Long Axis")
VOLUME = Code("118565006", "SCT", "Volume")
LENGTH = Code("410668003", "SCT", "Length")
IMAGE_REGION = Code("111030", "DCM", "Image Region")
SOURCE_IMAGE = Code("260753009", "SCT", "Source")
MILLIMETRE = Code("mm", "UCUM", "mm")
CUBIC_MILLIMETRE = Code("mm3", "UCUM", "mm3")

_TEXT_LENGTH = 1024


def measurement_groups(objects: Iterable[ResultObject]) -> Iterator[Dataset]:
    """Yield the group of each object: of a finding TID 1411, of a detection TID 1410.

    highdicom makes the first group of a kind.
    """
    prototypes: dict[Hashable, Dataset] = {}
    for own in objects:
        measured = _measured(own)
        model = own.regions[0][1]["model"]
        names = tuple((name, unit, type(value)) for name, value, unit in measured)
        key = (own.class_name, own.finding is None, names, *map(str, model.values()))
        if key not in prototypes:
            prototypes[key] = _first_group(own, [sr.Measurement(*one) for one in measured])
        regions = [region_item(region[2], IMAGE_REGION, _source_item(region)) for region in own.regions]
        values = [value for _, value, _ in measured]
        yield fill_group(prototypes[key], (own.tracking_id, own.tracking_uid), values, regions)


def _first_group(own: ResultObject, measurements: Sequence[sr.Measurement]) -> Dataset:
    """Return the container of a group that highdicom makes, with one region."""
    region = own.regions[0]
    common: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(own.tracking_uid, own.tracking_id),
        "measurements": measurements,
        **_class_items(own.class_name),
        "algorithm_id": _algorithm(*_algorithm_texts(region[1]["model"])),
    }
    group: Sequence[Dataset]
    if own.finding is None:
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=_region(region), **common)
    else:
        group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_regions=[_region(region)], **common
        )
    return group[0]


def _measured(own: ResultObject) -> list[tuple[Code, float, Code]]:
    """Return name, value and unit of the measurements of an object."""
    finding = own.finding
    if finding is None:
        row = own.regions[0][2]
        size = row["size_mm"]
        sizes = [] if size is None else [(WIDTH, size[0]), (HEIGHT, size[1])]
        return [_certainty(row["score"]), *((name, value, MILLIMETRE) for name, value in sizes)]
    measured = [_certainty(finding["score"])]
    if finding["extent_mm"] is not None:
        names = (WIDTH, HEIGHT, LENGTH)  # along rows, along columns, through the slices
        pairs = zip(names, finding["extent_mm"], strict=True)
        measured += [(name, value, MILLIMETRE) for name, value in pairs]
    if finding["diameter_mm"] is not None:
        measured.append((LONG_AXIS, finding["diameter_mm"], MILLIMETRE))
    if finding["volume_mm3"] is not None:
        measured.append((VOLUME, finding["volume_mm3"], CUBIC_MILLIMETRE))
    return measured


def _source_item(region: Region) -> Dataset:
    """Return the reference to the image of a box: all boxes of an image share one."""
    instance, record, _ = region
    frame = record["frame"] if instance.has_frames else None
    if frame not in instance.source_items:
        instance.source_items[frame] = image_item(instance, SOURCE_IMAGE, "SELECTED FROM", frame)
    return instance.source_items[frame]


@lru_cache(maxsize=256)
def _class_items(name: str) -> dict[str, Any]:
    """Return what groups of both kinds say of a class; its items are shared by all groups of the class."""
    code = code_of_class(name)
    sites = None if code.site is None else [sr.FindingSite(code.site, code.side)]
    return {
        "finding_type": sr.CodedConcept.from_code(code.finding),
        "finding_category": sr.CodedConcept.from_code(code.category),
        "finding_sites": sites,
        "qualitative_evaluations": [sr.QualitativeEvaluation(CLASS_NAME, code.name)],
        "geometric_purpose": BOUNDED_BY,
    }


def _region(image: Region) -> sr.ImageRegion:
    """Return a box on an image, or on one of its frames."""
    instance, record, row = image
    source = sr.SourceImageForRegion(
        referenced_sop_class_uid=instance.header.SOPClassUID,
        referenced_sop_instance_uid=instance.uid,
        referenced_frame_numbers=[record["frame"] + 1] if instance.has_frames else None,
    )
    return sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, box_points(row["box_xyxy"]), source)


def _certainty(score: float) -> tuple[Code, float, Code]:
    """Return a score, 0 to 1, as the certainty of a finding in percent."""
    return CERTAINTY, round(100 * score, 3), PERCENT


_PARAMETERS = {
    "sha256": "weights sha256",
    "vocabulary_sha256": "vocabulary sha256",
    "text_encoder": "text encoder",
    "engine": "engine",
    "imgsz": "imgsz",
    "rectangles": "rectangles",
    "scores": "scores",
}
"""Names of the parameters of the algorithm, by the keys of ``model`` of a record."""


def _algorithm_texts(model: JsonRecord) -> list[str]:
    """Return the name of the weights, and the parameters that a record has."""
    parameters = [f"{title}={model[key]}" for key, title in _PARAMETERS.items() if key in model]
    return [str(model["name"]), *parameters]


@lru_cache(maxsize=16)
def _algorithm(name: str, *parameters: str) -> sr.AlgorithmIdentification:
    """Return the identification of program, weights and engine (TID 4019), shared by all groups."""
    return sr.AlgorithmIdentification(
        name=dicom_text(f"medrov {name}", _TEXT_LENGTH),
        version=__version__,
        parameters=[dicom_text(text, _TEXT_LENGTH) for text in parameters],
        family=codes.DCM.ArtificialIntelligence,
    )
