"""Small DICOM series in a known place of the patient, and the objects that mark something on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from image_files import dicom_dataset, item, write_dicom

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SIZE = (7, 9)  # rows, columns: 63 bits a frame, so that packed frames do not begin at a byte


@dataclass(frozen=True)
class Grid:
    """How slices lie; by default axial, 2 mm between rows, 0.5 mm between columns, 3 mm between slices."""

    origin: tuple[float, float, float] = (-10.0, 20.0, 100.0)
    axes: tuple[float, ...] = STRAIGHT
    spacing: tuple[float, float] = (2.0, 0.5)
    step_mm: float = 3.0
    size: tuple[int, int] = SIZE

    def position(self, slice_number: int) -> list[float]:
        normal = np.cross(self.axes[:3], self.axes[3:])
        place = np.array(self.origin) + slice_number * self.step_mm * normal
        return [round(float(value), 8) for value in place]

    def point(self, column: float, row: float, slice_number: int) -> np.ndarray[Any, Any]:
        """Return where a pixel lies: PS3.3, C.7.6.2.1.1, written out."""
        along_row, along_column = np.array(self.axes[:3]), np.array(self.axes[3:])
        start = np.array(self.position(slice_number))
        return start + along_row * self.spacing[1] * column + along_column * self.spacing[0] * row


def uid_of(series: str, number: int) -> str:
    return f"{series}.{number + 1}"


def write_series(
    folder: Path, count: int = 3, grid: Grid | None = None, series: str = "1.2.3", **attributes: Any
) -> None:
    """Write slices whose names run against their order in the body, each of one grey: 10 times its number.

    An attribute of None is left out.
    """
    own = grid or Grid()
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        header = {
            "Modality": "CT",
            "SOPInstanceUID": uid_of(series, number),
            "SeriesInstanceUID": series,
            "StudyInstanceUID": "1.2",
            "FrameOfReferenceUID": "1.9",
            "ImagePositionPatient": own.position(number),
            "ImageOrientationPatient": list(own.axes),
            "PixelSpacing": list(own.spacing),
            "WindowCenter": 128,
            "WindowWidth": 256,
            **attributes,
        }
        present = {keyword: value for keyword, value in header.items() if value is not None}
        pixels = np.full(own.size, 10 * number, np.uint8)
        write_dicom(folder / f"{series}-{count - number}.dcm", pixels, **present)


def reference(uid: str, frame: int | None = None) -> Dataset:
    found = item(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=uid)
    if frame is not None:
        found.ReferencedFrameNumber = frame
    return found


@dataclass(frozen=True)
class SegmentFrame:
    """A frame of a segmentation: its segment, its mask, the slice it lies on, the instances it names."""

    segment: int | None
    mask: np.ndarray[Any, Any]
    position: Sequence[float] | None = None
    sources: tuple[Dataset, ...] = ()

    def groups(self) -> Dataset:
        found = Dataset()
        if self.segment is not None:
            found.SegmentIdentificationSequence = [item(ReferencedSegmentNumber=self.segment)]
        if self.position is not None:
            found.PlanePositionSequence = [item(ImagePositionPatient=list(self.position))]
        if self.sources:
            found.DerivationImageSequence = [item(SourceImageSequence=list(self.sources))]
        return found


def segment(number: int, label: str = "", meaning: str = "") -> Dataset:
    found = item(SegmentNumber=number)
    if label:
        found.SegmentLabel = label
    if meaning:
        found.SegmentedPropertyTypeCodeSequence = [item(CodeValue="1", CodeMeaning=meaning)]
    return found


def write_segmentation(
    path: Path,
    frames: Sequence[SegmentFrame],
    segments: Sequence[Dataset],
    grid: Grid | None = None,
    kind: str = "BINARY",
    series: Sequence[str] = ("1.2.3",),
    **attributes: Any,
) -> None:
    """Write a segmentation; binary frames are packed without gaps, first pixel in the lowest bit."""
    own = grid or Grid()
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(own.axes))],
        PixelMeasuresSequence=[item(PixelSpacing=list(own.spacing))],
    )
    pixels = np.stack([frame.mask for frame in frames]).astype(np.uint8)
    dataset = dicom_dataset(
        pixels,
        Modality="SEG",
        SOPClassUID=LABEL_MAP if kind == "LABELMAP" else SEGMENTATION,
        SOPInstanceUID=f"1.2.66.{int.from_bytes(path.stem.encode()[:8])}",
        FrameOfReferenceUID="1.9",
        SegmentationType=kind,
        SegmentSequence=list(segments),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[frame.groups() for frame in frames],
        **{"ReferencedSeriesSequence": [item(SeriesInstanceUID=uid) for uid in series], **attributes},
    )
    if kind == "BINARY":
        dataset.BitsAllocated = dataset.BitsStored = 1
        dataset.HighBit = 0
        data = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset.save_as(path, enforce_file_format=True)


def contour(points_mm: Any, uid: str | None = None, kind: str = "CLOSED_PLANAR") -> Dataset:
    points = np.asarray(points_mm, dtype=float)
    found = item(
        ContourGeometricType=kind,
        NumberOfContourPoints=len(points),
        ContourData=[f"{value:.10g}" for value in points.ravel()],
    )
    if uid is not None:
        found.ContourImageSequence = [reference(uid)]
    return found


def write_structures(
    path: Path,
    regions: Sequence[tuple[str, Sequence[Dataset]]],
    series: str | None = "1.2.3",
    **attributes: Any,
) -> None:
    """Write a structure set of named regions."""
    frame_of_reference = item(FrameOfReferenceUID="1.9")
    if series is not None:
        study = item(RTReferencedSeriesSequence=[item(SeriesInstanceUID=series)])
        frame_of_reference.RTReferencedStudySequence = [study]
    dataset = dicom_dataset(np.zeros((1, 1), np.uint8), SOPClassUID=STRUCTURE_SET, SOPInstanceUID="1.2.481")
    for keyword in ("Rows", "Columns", "PixelData", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(dataset, keyword)
    dataset.Modality = "RTSTRUCT"
    dataset.ReferencedFrameOfReferenceSequence = [frame_of_reference]
    # Numbers that do not count from 1, in another order than the contours: they alone say which is which.
    dataset.StructureSetROISequence = [
        item(ROINumber=10 + number, ROIName=name) for number, (name, _) in enumerate(regions)
    ][::-1]
    dataset.ROIContourSequence = [
        item(ReferencedROINumber=10 + number, ContourSequence=list(contours))
        for number, (_, contours) in enumerate(regions)
    ]
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
