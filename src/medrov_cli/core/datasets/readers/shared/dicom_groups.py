"""Which series of images an object refers to, and which objects belong together by that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medrov_cli.core.datasets.readers.shared.dicom_folder import DicomHeader


@dataclass(frozen=True, slots=True)
class GroupedObjects:
    """Objects by the series that they refer to.

    Attributes
    ----------
    groups
        Series and their objects.
    alone
        Objects whose series are not there.
    broken
        Objects whose references cannot be read.
    """

    groups: list[DicomGroup]
    alone: list[DicomHeader]
    broken: list[DicomHeader]


@dataclass(slots=True)
class DicomGroup:
    """Series, and the objects that refer to one or several of them.

    Attributes
    ----------
    series
        Their UIDs.
    objects
        In the order in which they were found.
    """

    series: set[str]
    objects: list[DicomHeader]


def group_objects(
    objects: Sequence[DicomHeader], by_series: Mapping[str, Sequence[DicomHeader]]
) -> GroupedObjects:
    """Return objects by series, those that share one together."""
    groups: list[DicomGroup] = []
    alone, broken = list[DicomHeader](), list[DicomHeader]()
    for header in objects:
        try:
            series = _series_of(header, by_series)
        except Exception:  # noqa: BLE001 - sequences are read here, and broken ones raise anything
            broken.append(header)
            continue
        if not series:
            alone.append(header)
            continue
        touched = [group for group in groups if group.series & series]
        groups = [group for group in groups if not group.series & series]
        joined = DicomGroup(series, [header])
        for group in reversed(touched):
            joined.series |= group.series
            joined.objects[:0] = group.objects
        groups.append(joined)
    order = {header.relative: number for number, header in enumerate(objects)}
    for group in groups:
        group.objects.sort(key=lambda header: order[header.relative])
    in_order = sorted(groups, key=lambda group: order[group.objects[0].relative])
    return GroupedObjects(in_order, alone, broken)


def _series_of(header: DicomHeader, by_series: Mapping[str, Sequence[DicomHeader]]) -> set[str]:
    """Return the series that an object refers to, those that are there.

    One that names none belongs to the only series in its frame of reference.
    """
    dataset = header.dataset
    items = list(dataset.get("ReferencedSeriesSequence") or ())
    places = {header.text("FrameOfReferenceUID")}
    for frame_of_reference in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        places.add(str(frame_of_reference.get("FrameOfReferenceUID") or "").strip())
        for study in frame_of_reference.get("RTReferencedStudySequence") or ():
            items += study.get("RTReferencedSeriesSequence") or ()
    named = {str(item.get("SeriesInstanceUID") or "").strip() for item in items}
    if named:
        return named & by_series.keys()
    near = {uid for uid, files in by_series.items() if files[0].text("FrameOfReferenceUID") in places - {""}}
    return near if len(near) == 1 else set()
