"""Look-up tables of grayscale presentation states: the modality LUT of the images, the windows of the run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.writers.dicom.class_codes import dicom_text
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy

_RESCALE = ("RescaleIntercept", "RescaleSlope", "RescaleType")
_TEXT_LENGTH = 64
_DS_DIGITS = 10  # significant digits that always fit the 16 characters of DS


def modality_lut(instance: SourceInstance) -> Hashable:
    """Return the modality LUT of the first frame that was read; images of one state have equal ones."""
    sequence = instance.header.get("ModalityLUTSequence")
    if sequence:
        return str(sequence[0].to_json(suppress_invalid_tags=True))
    group = _rescale_group(instance)
    return tuple(str(group.get(keyword)) for keyword in _RESCALE)


def has_one_modality_lut(instance: SourceInstance) -> bool:
    """Return whether all frames that were read have one rescale: a state describes only one."""
    if not instance.has_frames:
        return True
    found = set()
    for record in instance.records:
        group = functional_group(instance.header, "PixelValueTransformationSequence", record["frame"])
        found.add(tuple(str(group.get(keyword)) for keyword in _RESCALE))
    return len(found) <= 1


def add_modality_lut(state: Dataset, instance: SourceInstance) -> None:
    """Add the modality LUT of the images: without it, a viewer would apply none (PS3.4, N.2.1.1)."""
    sequence = instance.header.get("ModalityLUTSequence")
    if sequence:
        state.ModalityLUTSequence = sequence
        return
    group = _rescale_group(instance)
    intercept, slope = group.get("RescaleIntercept"), group.get("RescaleSlope")
    if intercept is None or not slope:
        return
    state.RescaleIntercept, state.RescaleSlope = intercept, slope
    state.RescaleType = group.get("RescaleType") or (
        "HU" if instance.header.get("Modality") == "CT" else "US"
    )


def add_windows(state: Dataset, part: SourceStudy) -> None:
    """Add the windows that converted the images to 8 bits; none for images that were 8 bits."""
    used: dict[str, tuple[Dataset, list[tuple[SourceInstance, int]]]] = {}
    total = 0
    for instance in part.instances:
        for record in instance.records:
            total += 1
            item = _window(instance, record["window"])
            if item is not None:
                key = item.to_json()
                used.setdefault(key, (item, []))[1].append((instance, record["frame"]))
    items = []
    for item, places in used.values():
        if len(places) < total or _is_partly_read(part):
            item.ReferencedImageSequence = pydicom.Sequence(_references(places))
        items.append(item)
    if items:
        state.SoftcopyVOILUTSequence = pydicom.Sequence(items)


def _rescale_group(instance: SourceInstance) -> Dataset:
    frame = instance.records[0]["frame"]
    group: Dataset = functional_group(instance.header, "PixelValueTransformationSequence", frame)
    return group


def _is_partly_read(part: SourceStudy) -> bool:
    """Return whether frames of a multi-frame image have no record: a window must not apply to them."""
    first = part.instances[0]
    return first.has_frames and len(first.records) < int(first.header.NumberOfFrames)


def _window(instance: SourceInstance, window: dict[str, Any] | None) -> Dataset | None:
    """Return an item of the Softcopy VOI LUT Sequence, or null for an image without a window."""
    if window is None:
        return None
    item = Dataset()
    if window["center"] is None or window["width"] is None:
        sequence = instance.header.get("VOILUTSequence")
        if window["source"] != "tag" or not sequence:
            return None
        item.VOILUTSequence = pydicom.Sequence(list(sequence[:1]))
        return item
    item.WindowCenter = f"{window['center']:.{_DS_DIGITS}g}"
    item.WindowWidth = f"{window['width']:.{_DS_DIGITS}g}"
    if window["name"]:
        item.WindowCenterWidthExplanation = dicom_text(window["name"], _TEXT_LENGTH)
    function = instance.header.get("VOILUTFunction")
    if function and window["source"] == "tag":
        item.VOILUTFunction = function
    return item


def _references(places: list[tuple[SourceInstance, int]]) -> Iterator[Dataset]:
    """Yield a reference to each image of a window, with its frames."""
    frames: dict[str, list[int]] = {}
    instances: dict[str, SourceInstance] = {}
    for instance, frame in places:
        instances[instance.uid] = instance
        frames.setdefault(instance.uid, []).append(frame + 1)
    for uid, numbers in frames.items():
        reference = Dataset()
        reference.ReferencedSOPClassUID = instances[uid].header.SOPClassUID
        reference.ReferencedSOPInstanceUID = uid
        if instances[uid].has_frames:
            reference.ReferencedFrameNumber = numbers
        yield reference
