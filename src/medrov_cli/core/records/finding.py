"""Findings: detections of one object in neighbouring slices or frames, linked to one box in a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from medrov_cli.core.records.frame import ModelIdentity
from medrov_cli.core.records.plane_votes import Box3D, PlaneVote, SearchedPlanes
from medrov_cli.core.records.slice_plane import SlicePlane, Vector
from medrov_cli.core.settings.choices import Modality


class VolumeKind(StrEnum):
    """Origin of the slices of a volume."""

    DICOM_SERIES = "dicom_series"
    """Single-frame files of one DICOM series."""
    DICOM_FRAMES = "dicom_frames"
    """Frames of one DICOM file with positions."""
    DICOM_CINE = "dicom_cine"
    """Frames of one DICOM file without positions: a sequence in time."""
    VOLUME_FILE = "volume_file"
    """NIfTI, Analyze, NRRD or MetaImage."""
    VIDEO = "video"


class LinkRefusal(StrEnum):
    """Reasons for which the slices of a volume are not linked."""

    NO_POSITIONS = "no_positions"
    """The slices have no position, or not all of them."""
    MIXED_SIZES = "mixed_sizes"
    """The slices have different numbers of rows or columns, or different spacings."""
    MIXED_ORIENTATIONS = "mixed_orientations"
    """The slices are not parallel."""
    LOCALIZERS = "localizers"
    """All images are survey images."""
    SHEARED_PIXELS = "sheared_pixels"
    """Rows and columns of the slices are not perpendicular."""


@dataclass(frozen=True, slots=True)
class SliceReference:
    """Image of a slice.

    Attributes
    ----------
    path
        Path of the file, as in the record of its detections.
    frame
        0-based frame number within the file.
    """

    path: str
    frame: int = 0


@dataclass(frozen=True, slots=True)
class VolumeIdentity:
    """Volume, or sequence of frames in time.

    Attributes
    ----------
    path
        Input as given; of a DICOM series, the file of the first slice.
    kind
        Origin of the slices.
    slices
        Images of the slices, ordered along the normal (DICOM), the axis of the cut (volume files) or in time.
    planes
        Place of each slice in the patient; empty: unknown.
    seconds
        Time of each frame from the first one; empty: unknown, or the slices are no sequence in time.
    number, count
        0-based number of the volume among those of its input, and their number: time points of a 4D series.
    modality
        Modality of the slices; null if unknown.
    study_uid, series_uid
        As in the records of the slices: hashed with ``--phi hash``.
    frame_of_reference_uid
        Of DICOM, as in the file; it is never written to JSON.
    is_placed
        Whether the file states the orientation in the patient. Otherwise ``planes`` give sizes alone.
    """

    path: str
    kind: VolumeKind
    slices: tuple[SliceReference, ...]
    planes: tuple[SlicePlane, ...] = ()
    seconds: tuple[float, ...] = ()
    number: int = 0
    count: int = 1
    modality: Modality | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    frame_of_reference_uid: str | None = None
    is_placed: bool = True

    def __post_init__(self) -> None:
        """Check lengths."""
        for name, values in (("planes", self.planes), ("seconds", self.seconds)):
            if values and len(values) != len(self.slices):
                raise ValueError(f"{len(values)} {name} for {len(self.slices)} slices")


@dataclass(frozen=True, slots=True)
class FindingMember:
    """Detection that is part of a finding.

    Attributes
    ----------
    slice_number
        0-based number of the slice in the volume.
    path, frame
        Image of the slice, as in the record of its detections.
    detection
        0-based number in the list ``detections`` of that record.
    """

    slice_number: int
    path: str
    frame: int
    detection: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Detections of one object, linked through the slices of a volume.

    Attributes
    ----------
    class_name, label
        Class, and its index among the classes of the run.
    score
        0 to 1, combined from the scores of the members.
    first_slice, last_slice
        0-based, both included.
    key_slice
        Slice with the highest score; of equal ones, the one with the largest box.
    box_voxels
        Columns and rows in source pixels, slices in steps: a finding in slice 3 alone has z from 3 to 4.
    members
        Detections, at most one a slice, ordered by slice; slices in between may be absent. None if other
        planes alone have the finding.
    extent_mm
        Size along rows, along columns, and along the normal of the slices; null if unknown.
    box_mm
        Smallest box along the patient's axes that contains the finding, LPS; null if the place is unknown.
    center_mm
        Centre of the box along rows, columns and normal of the slices, LPS; null if the place is unknown.
    diameter_mm, diameter_slice
        Longer side of the largest member's box, and its slice; null without a spacing.
    volume_mm3
        Volume of the box: product of the extents; null if unknown.
    seconds
        Start and end, in a sequence in time; null otherwise.
    votes
        Planes that have the finding, in a search of several planes.
    """

    class_name: str
    label: int
    score: float
    first_slice: int
    last_slice: int
    key_slice: int
    box_voxels: Box3D
    members: tuple[FindingMember, ...]
    extent_mm: Vector | None = None
    box_mm: Box3D | None = None
    center_mm: Vector | None = None
    diameter_mm: float | None = None
    diameter_slice: int | None = None
    volume_mm3: float | None = None
    seconds: tuple[float, float] | None = None
    votes: tuple[PlaneVote, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumeFindings:
    """Findings of one volume.

    Attributes
    ----------
    volume
        The volume.
    findings
        Highest score first.
    model
        Weights, vocabulary and engine of the detections; null if unknown.
    refusal
        Reason for which nothing was linked; null if the slices were linked.
    slice_step_mm
        Median distance between neighbouring slices; null if unknown.
    warnings
        Sentences for the user, without patient data.
    planes
        Planes that were searched, if several were wanted; null otherwise.
    """

    volume: VolumeIdentity
    findings: tuple[Finding, ...] = ()
    model: ModelIdentity | None = None
    refusal: LinkRefusal | None = None
    slice_step_mm: float | None = None
    warnings: tuple[str, ...] = ()
    planes: SearchedPlanes | None = None


def sort_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings by descending score, then by place: independent of the given order."""
    return tuple(sorted(findings, key=lambda one: (-one.score, one.class_name, one.box_voxels)))
