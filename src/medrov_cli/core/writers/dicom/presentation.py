"""Softcopy presentation states: boxes and labels over the images of a series, and their window."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from copy import copy
from typing import Any

from highdicom import PresentationLUTShapeValues, PresentationLUTTransformation, pr
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset

from medrov_cli.core.base.class_colors import class_color
from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.dicom.box_coordinates import box_points, tracking_uid
from medrov_cli.core.writers.dicom.class_codes import dicom_text
from medrov_cli.core.writers.dicom.color_profile import srgb_profile
from medrov_cli.core.writers.dicom.lookup_tables import add_modality_lut, add_windows, modality_lut
from medrov_cli.core.writers.dicom.plain_items import image_reference, plain_item
from medrov_cli.core.writers.dicom.result_identity import (
    EQUIPMENT,
    SERIES_DESCRIPTION,
    content_moment,
    derive_uid,
    result_digest,
)
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy
from medrov_cli.core.writers.dicom.unlisted_classes import restore_classes

SERIES_NUMBER = 9802
CONTENT_LABEL = "MEDROV"
_MEANING_LENGTH = 64
_LUT_ELEMENTS = frozenset(
    {"RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "VOILUTFunction"}
    | {"VOILUTSequence", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"}
)


def split_by_appearance(series: SourceStudy) -> list[SourceStudy]:
    """Return the parts of a series that one presentation state can describe.

    Images of one state have one size, one photometric interpretation and one modality LUT; a multi-frame
    image has a state of its own.
    """
    return series.split(_appearance)


def presentation_state(part: SourceStudy, series_digest: str, number: int) -> Dataset:
    """Return the presentation state of images of one appearance: grayscale, or color.

    Parameters
    ----------
    part
        See `split_by_appearance`; at least one image has a detection.
    series_digest
        Of the results of the complete series: its states share a series.
    number
        1-based number of the state.
    """
    digest = result_digest(part.records)
    first = part.instances[0]
    layers = class_layers(part.records)
    common: dict[str, Any] = {
        "referenced_images": [_whole_image(part.lead())],
        "series_instance_uid": derive_uid("pr series", series_digest),
        "series_number": SERIES_NUMBER,
        "sop_instance_uid": derive_uid("pr", digest),
        "instance_number": number,
        **EQUIPMENT,
        "series_description": SERIES_DESCRIPTION,
        "content_label": CONTENT_LABEL,
        "content_description": RESEARCH_NOTICE,
        "graphic_layers": list(layers.values()),
        "specific_character_set": "ISO_IR 192",
    }
    if is_color(first):
        for image in common["referenced_images"]:
            image.SamplesPerPixel = 3  # of a palette, too: highdicom knows none
        state: Dataset = pr.ColorSoftcopyPresentationState(**common, icc_profile=srgb_profile())
    else:
        is_inverse = first.header.get("PhotometricInterpretation") == "MONOCHROME1"
        shape = PresentationLUTShapeValues.INVERSE if is_inverse else PresentationLUTShapeValues.IDENTITY
        state = pr.GrayscaleSoftcopyPresentationState(
            **common, presentation_lut_transformation=PresentationLUTTransformation(shape)
        )
        add_modality_lut(state, first)
        add_windows(state, part)
    _reference_all(state, part)
    state.GraphicAnnotationSequence = list(_annotations(part, layers))
    state.PresentationCreationDate, state.PresentationCreationTime = content_moment(part.headers)
    state.Laterality = ""  # type 2C: a class knows its side, a series does not
    _set_aspect(state, first)
    restore_classes(state, part.unlisted)
    return state


def is_color(instance: SourceInstance) -> bool:
    """Return whether images are colour, or a palette."""
    is_palette = instance.header.get("PhotometricInterpretation") == "PALETTE COLOR"
    return is_palette or int(instance.header.get("SamplesPerPixel") or 1) > 1


def has_detections(part: SourceStudy) -> bool:
    """Return whether an image has a detection."""
    return any(record["detections"] for record in part.records)


def class_layers(records: Sequence[JsonRecord]) -> dict[str, pr.GraphicLayer]:
    """Return a graphic layer for each class, in the colour of the class, by order of appearance."""
    names = dict.fromkeys(row["class"] for record in records for row in record["detections"])
    return {
        name: pr.GraphicLayer(
            layer_name=f"CLASS{number}",
            order=number,
            description=dicom_text(name, _MEANING_LENGTH),
            display_color=CIELabColor.from_rgb(*class_color(name)),
        )
        for number, name in enumerate(names, 1)
    }


def _annotations(part: SourceStudy, layers: dict[str, pr.GraphicLayer]) -> Iterator[Dataset]:
    """Yield the boxes and labels of each image or frame, one item a class (PS3.3, C.10.5)."""
    for instance in part.instances:
        for record in instance.records:
            frame = record["frame"] if instance.has_frames else None
            for name in dict.fromkeys(row["class"] for row in record["detections"]):
                rows = [row for row in record["detections"] if row["class"] == name]
                yield plain_item(
                    ReferencedImageSequence=[image_reference(instance, frame)],
                    GraphicLayer=str(layers[name].GraphicLayer),
                    GraphicObjectSequence=[_box(instance, record, row) for row in rows],
                    TextObjectSequence=[_label(row) for row in rows],
                )


def _box(instance: SourceInstance, record: JsonRecord, row: dict[str, Any]) -> Dataset:
    """Return the polyline of a box.

    Its origin is the top-left corner of the top-left pixel (PS3.3, C.10.5.1.2), like that of a record.
    """
    points = box_points(row["box_xyxy"])
    return plain_item(
        GraphicAnnotationUnits="PIXEL",
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(points),
        GraphicData=points.ravel().tolist(),
        GraphicType="POLYLINE",
        GraphicFilled="N",
        TrackingID=dicom_text(row["class"], _MEANING_LENGTH),
        TrackingUID=tracking_uid(instance, record, row),
    )


def _label(row: dict[str, Any]) -> Dataset:
    """Return class and score, at the top-left corner of the box."""
    return plain_item(
        AnchorPointAnnotationUnits="PIXEL",
        UnformattedTextValue=f"{dicom_text(row['class'], _MEANING_LENGTH)} {row['score']:.2f}",
        AnchorPoint=[float(value) for value in row["box_xyxy"][:2]],
        AnchorPointVisibility="N",
    )


def _reference(header: Dataset) -> Dataset:
    """Return what a reference needs of a header: highdicom would convert its look-up tables its own way."""
    found = Dataset()
    for element in header:
        if element.keyword not in _LUT_ELEMENTS:
            found.add(copy(element))
    found.SamplesPerPixel = 1
    return found


def _reference_all(state: Dataset, part: SourceStudy) -> None:
    """Refer to all images of a part; highdicom was given the first one, because it checks each."""
    (series,) = state.ReferencedSeriesSequence
    series.ReferencedImageSequence = [image_reference(instance, None) for instance in part.instances]


def _whole_image(header: Dataset) -> Dataset:
    """Return what a reference to all frames needs, with functional groups without look-up tables."""
    found = _reference(header)
    found.SharedFunctionalGroupsSequence = [Dataset()]
    found.PerFrameFunctionalGroupsSequence = []
    return found


def _set_aspect(state: Dataset, instance: SourceInstance) -> None:
    """Set the pixel aspect ratio of the images, so that viewers do not draw rectangular pixels square."""
    header = functional_group(instance.header, "PixelMeasuresSequence", 0)
    spacing = header.get("PixelSpacing") or instance.header.get("ImagerPixelSpacing")
    ratio = instance.header.get("PixelAspectRatio")
    area = state.DisplayedAreaSelectionSequence[0]
    if spacing and len(spacing) == 2 and min(spacing) > 0:
        del area.PresentationPixelAspectRatio
        area.PresentationPixelSpacing = list(spacing)
    elif ratio and len(ratio) == 2 and min(ratio) > 0:
        area.PresentationPixelAspectRatio = list(ratio)


def _appearance(instance: SourceInstance) -> Hashable:
    header = instance.header
    own = instance.uid if instance.has_frames else ""
    look = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PixelSpacing")
    return (own, *(str(header.get(keyword)) for keyword in look), modality_lut(instance))
