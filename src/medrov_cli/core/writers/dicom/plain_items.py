"""Items of sequences that occur hundreds of times in an object, without the checks of highdicom.

highdicom searches its tables of the standard for each reference to an image, and pydicom converts and
validates each value. For a report on 300 slices this takes longer than everything else. The items here have
the same elements: tests compare them with those of highdicom.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag, Tag

from medrov_cli.core.writers.dicom.box_coordinates import box_points
from medrov_cli.core.writers.dicom.source_studies import SourceInstance


def plain_item(**values: Any) -> Dataset:
    """Return an item with valid values by keyword; lists of data sets become sequences."""
    elements: dict[BaseTag, DataElement | RawDataElement] = {}
    for keyword, value in values.items():
        tag, vr = _entry(keyword)
        if vr == "SQ":
            elements[tag] = DataElement(tag, vr, value)
        else:
            elements[tag] = DataElement(tag, vr, value, already_converted=True)
    return Dataset(elements)


def image_reference(instance: SourceInstance, frame: int | None) -> Dataset:
    """Return the reference to an image, and to its 0-based frame."""
    frames = {} if frame is None else {"ReferencedFrameNumber": frame + 1}
    return plain_item(
        ReferencedSOPClassUID=str(instance.header.SOPClassUID),
        ReferencedSOPInstanceUID=instance.uid,
        **frames,
    )


def image_item(instance: SourceInstance, name: Code, relationship: str, frame: int | None = None) -> Dataset:
    """Return the content item of an image (IMAGE)."""
    return plain_item(
        RelationshipType=relationship,
        ValueType="IMAGE",
        ConceptNameCodeSequence=[code_item(name)],
        ReferencedSOPSequence=[image_reference(instance, frame)],
    )


def region_item(row: dict[str, Any], name: Code, source: Dataset) -> Dataset:
    """Return the content item of a box on an image (SCOORD).

    Parameters
    ----------
    row
        Element of ``detections``.
    name
        Concept name of the region.
    source
        Content item of its image.
    """
    return plain_item(
        RelationshipType="CONTAINS",
        ValueType="SCOORD",
        ConceptNameCodeSequence=[code_item(name)],
        GraphicType="POLYLINE",
        GraphicData=box_points(row["box_xyxy"]).ravel().tolist(),
        ContentSequence=[source],
    )


@cache
def code_item(code: Code) -> Dataset:
    """Return the item of a code."""
    return plain_item(
        CodeValue=code.value, CodingSchemeDesignator=code.scheme_designator, CodeMeaning=code.meaning
    )


def set_content(container: Dataset, items: Sequence[Dataset]) -> None:
    """Replace the content of a container."""
    tag, vr = _entry("ContentSequence")
    container.add(DataElement(tag, vr, list(items)))


def is_region(item: Dataset) -> bool:
    """Return whether a content item is a region of an image."""
    return bool(item.ValueType == "SCOORD")


@cache
def _entry(keyword: str) -> tuple[BaseTag, str]:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"unknown keyword {keyword}")
    return Tag(tag), dictionary_VR(tag)
