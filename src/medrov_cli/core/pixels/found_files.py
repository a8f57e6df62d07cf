"""Image files that were named or found, and files that were skipped."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.records.slice_plane import PlacedSlice


@dataclass(frozen=True, slots=True)
class FoundFile:
    """Image file that was named or found.

    Attributes
    ----------
    path
        The file, or a member of an archive.
    series
        Paths of its DICOM series in the same folder, in order.
    instance_uid
        SOP Instance UID of a DICOM file that was found; empty: unknown, or the file was named.
    place
        Key of its place: series, position, number.
    warnings
        Warnings about the file among the others.
    placed
        Place of a slice of a DICOM series in the patient.
    """

    path: str
    series: tuple[str, ...] = ()
    instance_uid: str = ""
    place: tuple[object, ...] = ()
    warnings: tuple[str, ...] = ()
    placed: PlacedSlice | None = None


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """File that was not read, and why.

    Attributes
    ----------
    path
        The file, or a member of an archive.
    reason
        A clause without a capital and a full stop, without patient data.
    """

    path: str
    reason: str
