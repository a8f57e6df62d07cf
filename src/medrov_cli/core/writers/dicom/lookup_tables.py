"""Look-up tables of grayscale presentation states: the modality LUT of the images, the windows of the run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.pixels.greyscale import VoiFunction
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.dicom.class_codes import dicom_text
from medrov_cli.core.writers.dicom.source_studies import SourceInstance, SourceStudy

_RESCALE = ("RescaleIntercept", "RescaleSlope", "RescaleType")
_EXACT_SOURCES = ("percentile", "range")
"""Sources of windows whose ends are values of the image: they become black and white."""
_TAG = "tag:"
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
            item = _window(instance, record)
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


def _window(instance: SourceInstance, record: JsonRecord) -> Dataset | None:
    """Return an item of the Softcopy VOI LUT Sequence; null for an image without a window, or an empty one.

    Without the function that converted the image, a viewer would apply LINEAR.
    """
    window = record["window"]
    if window is None:
        return None
    source = functional_group(instance.header, "FrameVOILUTSequence", record["frame"])
    item = Dataset()
    if window["center"] is None or window["width"] is None:
        table = _voi_table(source, window)
        if table is None:
            return None
        item.VOILUTSequence = pydicom.Sequence([table])
        return item
    if not window["width"] > 0:
        return None
    item.WindowCenter = f"{window['center']:.{_DS_DIGITS}g}"
    item.WindowWidth = f"{window['width']:.{_DS_DIGITS}g}"
    if window["name"]:
        item.WindowCenterWidthExplanation = dicom_text(window["name"], _TEXT_LENGTH)
    function = _function(instance, source, window)
    if function is not VoiFunction.LINEAR:
        item.VOILUTFunction = function.value
    return item


def _voi_table(source: Dataset, window: Mapping[str, Any]) -> Dataset | None:
    """Return the VOI LUT of a window ``tag:N``, by its number in the file; null if it cannot be written."""
    name = str(window["name"] or "")
    if window["source"] != "tag" or not name.startswith(_TAG):
        return None
    tables = source.get("VOILUTSequence") or ()
    found = list(tables)[int(name.removeprefix(_TAG)) - 1 :][:1]
    return found[0] if found and {"LUTDescriptor", "LUTData"} <= set(found[0].dir()) else None


def _function(instance: SourceInstance, source: Dataset, window: Mapping[str, Any]) -> VoiFunction:
    """Return the function of a window that :mod:`medrov_cli.core.pixels.dicom.grey` applies."""
    if window["source"] in _EXACT_SOURCES:
        return VoiFunction.LINEAR_EXACT
    function = VoiFunction.LINEAR
    if window["source"] == "tag":
        name = str(source.get("VOILUTFunction") or "").strip(" \0").upper()
        function = VoiFunction(name) if name in set(VoiFunction) else function
    is_float = "BitsStored" not in instance.header  # PS3.3, C.7.6.24 and C.7.6.25
    if function is VoiFunction.LINEAR and (is_float or window["width"] < 1):
        return VoiFunction.LINEAR_EXACT
    return function


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
