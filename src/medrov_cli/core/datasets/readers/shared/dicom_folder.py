"""The DICOM files of a folder by their headers, and their slices as a stack in the patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.datasets.cases import hashed_case
from medrov_cli.core.datasets.readers.shared.dicom_planes import FloatArray, Plane, plane_of
from medrov_cli.core.pixels.dicom.elements import numbers
from medrov_cli.core.pixels.dicom.encoding import read_header as read_encoded_header
from medrov_cli.core.pixels.names import natural_key
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.sniff import Kind, sniff

_TEXT_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),
    *("PatientID", "Modality", "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence"),
]
_NUMBER_TAGS = [
    *("Rows", "Columns", "NumberOfFrames", "InstanceNumber"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
]
"""Read by `numbers`, which also reads wrong forms."""
_GROUPS = ["PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"]

_SAME_PLACE_MM = 0.01
"""Slices that are closer than this are at one place: phases of a movement, echoes of a sequence."""

_ALONE_MM = 0.5
"""How far from the plane of a lone slice of unknown thickness its contours may be."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomHeader:
    """A file and some elements of its header; none of them is to be shown.

    Attributes
    ----------
    path
        The file.
    relative
        Its name below the folder that was searched.
    dataset
        Without pixels.
    """

    path: Path
    relative: str
    dataset: pydicom.Dataset

    def text(self, keyword: str) -> str:
        """Return an element as text without blanks around it, empty where it is missing."""
        return str(self.dataset.get(keyword) or "").strip()

    @property
    def is_image(self) -> bool:
        """Whether it holds pictures that something may be marked on."""
        return "Rows" in self.dataset and self.text("Modality") not in ("SEG", "RTDOSE")

    @property
    def case(self) -> str | None:
        """The hashed patient, or study where there is no patient; null where there is neither."""
        identity = self.text("PatientID") or self.text("StudyInstanceUID")
        return hashed_case(identity) if identity else None


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One frame of an image file.

    Attributes
    ----------
    file
        Its file.
    frame, frames
        Its number, from 0, and how many the file has.
    plane
        Null where the file does not say.
    size_hw
        Rows, columns.
    """

    file: DicomHeader
    frame: int
    frames: int
    plane: Plane | None
    size_hw: tuple[int, int]

    @property
    def name(self) -> str:
        """A name that says nothing: the hashed instance, and the frame where there are several."""
        own = hashed_case(self.file.text("SOPInstanceUID") or self.file.relative)
        return own if self.frames == 1 else f"{own}-{self.frame:04d}"


class Stack:
    """Slices that something was marked on: those of one series, or of several.

    Parameters
    ----------
    slices
        File by file, along the body where the headers say where they are.
    """

    def __init__(self, slices: Sequence[Slice]) -> None:
        self.slices = tuple(slices)
        self._row_of = {
            (own.file.text("SOPInstanceUID"), own.frame): row for row, own in enumerate(self.slices)
        }
        planes = [(row, own.plane) for row, own in enumerate(self.slices) if own.plane is not None]
        origins = np.array([plane.origin_mm for _, plane in planes]).reshape(-1, 3)
        self._placed = np.array([row for row, _ in planes], dtype=np.int64)
        self._normals = np.array([plane.normal for _, plane in planes]).reshape(-1, 3)
        self._offsets_mm = (self._normals * origins).sum(axis=1)
        self._reach_mm = self._reach(origins)

    def _reach(self, origins: FloatArray) -> float:
        """Return how far from a slice something may be that is on it: just under half the way to the next."""
        if not len(origins):
            return 0.0
        gaps = np.diff(np.sort(origins @ self._normals[0]))
        gaps = gaps[gaps > _SAME_PLACE_MM]
        if len(gaps):
            return 0.49 * float(gaps.min())
        thickness = numbers(self.slices[int(self._placed[0])].file.dataset, "SliceThickness")
        return thickness[0] / 2 if thickness and thickness[0] > 0 else _ALONE_MM

    def referenced(self, items: Iterable[pydicom.Dataset]) -> list[int]:
        """Return the slices that items of reference sequences name, those that are here."""
        found = []
        for item in items:
            uid = str(item.get("ReferencedSOPInstanceUID") or "").strip()
            frames = [int(number) - 1 for number in numbers(item, "ReferencedFrameNumber")]
            if not frames:
                row = self._row_of.get((uid, 0))
                frames = [] if row is None else list(range(self.slices[row].frames))
            found += [self._row_of[uid, frame] for frame in frames if (uid, frame) in self._row_of]
        return list(dict.fromkeys(found))

    def through(self, points_mm: FloatArray, among: Sequence[int] | None = None) -> list[int]:
        """Return the slices in whose plane points, (n, 3), lie; several only where they are at one place.

        Parameters
        ----------
        points_mm
            In patient coordinates.
        among
            Looked at alone; null for all.
        """
        chosen = np.isin(self._placed, among) if among is not None else np.ones(len(self._placed), np.bool_)
        rows = np.flatnonzero(chosen)
        away = np.abs(self._normals[rows] @ points_mm.mean(axis=0) - self._offsets_mm[rows])
        rows, away = rows[away <= self._reach_mm], away[away <= self._reach_mm]
        if not len(rows):
            return []
        rows = rows[away <= away.min() + _SAME_PLACE_MM]
        farthest = np.abs(self._normals[rows] @ points_mm.T - self._offsets_mm[rows, None]).max(axis=1)
        found: list[int] = self._placed[rows[farthest <= self._reach_mm]].tolist()
        return found

    @property
    def is_placed(self) -> bool:
        """Whether at least one slice says where it is."""
        return bool(len(self._placed))


def scan(folder: Path) -> list[DicomHeader]:
    """Read the headers of the DICOM files below a folder, in natural order of names.

    Hidden files, the index of a medium, what is no DICOM file or has no readable header, and second
    copies of an instance are left out.
    """
    found, seen = [], set()
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for relative in sorted(paths, key=natural_key):
        header = read_header(paths[relative], relative)
        if header is None:
            continue
        uid = header.text("SOPInstanceUID")
        if not uid or uid not in seen:
            found.append(header)
        seen.add(uid)
    return found


def read_header(path: Path, relative: str) -> DicomHeader | None:
    """Read the header of a file; null if it is no DICOM file."""
    silence_python()
    is_hidden = any(part.startswith(".") for part in Path(relative).parts)
    if is_hidden or path.name.casefold() == "dicomdir" or not path.is_file():
        return None
    try:
        if sniff(str(path)) is not Kind.DICOM:
            return None
        with path.open("rb") as file:
            header = read_encoded_header(file, InputLimits()).dataset
        frames = numbers(header, "NumberOfFrames")
        is_enhanced = bool(frames) and frames[0] > 1 and "PixelSpacing" not in header
        groups = _GROUPS if is_enhanced and header.get("Modality") != "SEG" else []
        kept = [*_TEXT_TAGS, *_NUMBER_TAGS, *groups]
        elements = [header.get_item(keyword) for keyword in kept if keyword in header]
        dataset = pydicom.Dataset({element.tag: element for element in elements})
        for keyword in _TEXT_TAGS:
            dataset.get(keyword)  # elements are read when they are asked for: those that cannot be fail here
    except Exception:  # noqa: BLE001 - broken headers raise anything; reading such a file as an image says what
        return None
    return DicomHeader(path, relative, dataset)


def stack_of(files: Iterable[DicomHeader]) -> Stack:
    """Put image files into the order of their slices: by place along their normal, else by number."""
    ordered = [(own, slices_of(own)) for own in files]
    planes = [slices[0].plane for _, slices in ordered if slices]
    first = planes[0] if planes and all(plane is not None for plane in planes) else None

    def key(entry: tuple[DicomHeader, tuple[Slice, ...]]) -> tuple[float, float, object]:
        own, slices = entry
        plane = slices[0].plane if slices else None
        position = 0.0 if first is None or plane is None else float(first.normal @ plane.origin_mm)
        number = numbers(own.dataset, "InstanceNumber")
        return position, number[0] if number else np.inf, natural_key(own.relative)

    return Stack(tuple(own for _, slices in sorted(ordered, key=key) for own in slices))


def slices_of(file: DicomHeader) -> tuple[Slice, ...]:
    """Return the frames of an image file; none if the header says no size, or too many frames."""
    size = [int(number) for keyword in ("Rows", "Columns") for number in numbers(file.dataset, keyword)]
    if len(size) != 2 or min(size) < 1:
        return ()
    frames = int((numbers(file.dataset, "NumberOfFrames") or [1])[0])
    if frames > InputLimits().frames:
        return ()
    return tuple(
        Slice(file, frame, frames, plane_of(file.dataset, frame), (size[0], size[1]))
        for frame in range(frames)
    )
