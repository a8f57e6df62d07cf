"""Place of the frames of DICOM images in the patient, and in time (PS3.3, C.7.6.2, C.7.6.16 and C.7.6.5)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pydicom

from medrov_cli.core.pixels.dicom.elements import number, numbers
from medrov_cli.core.pixels.dicom.header import functional_group
from medrov_cli.core.records.slice_plane import PlacedSlice, SlicePlane, Vector

_DIRECTION_SLACK = 0.01
"""Direction cosines may be off by this much from unit length and a right angle: they are rounded decimals."""

_MS = 1000.0


def placed_slice(header: pydicom.Dataset, frame: int) -> PlacedSlice:
    """Return the place of a frame, 0-based, by its functional groups or by the header."""
    rows, columns = number(header, "Rows"), number(header, "Columns")
    position = functional_group(header, "FrameContentSequence", frame)
    order = number(position, "TemporalPositionIndex")
    image_type = [str(value).strip().upper() for value in _texts(header, "ImageType")]
    return PlacedSlice(
        plane=_plane(header, frame),
        size_hw=None if rows is None or columns is None else (int(rows), int(columns)),
        number=number(header, "InstanceNumber") if order is None else order,
        is_localizer="LOCALIZER" in image_type,
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID") or "").strip(" \0"),
    )


def frame_seconds(header: pydicom.Dataset, frames: int) -> tuple[float, ...]:
    """Return the time of each frame from the first one; empty if the header has no frame times.

    The source is the first of Frame Time Vector, Frame Time, Cine Rate and Recommended Display Frame Rate.
    """
    vector = numbers(header, "FrameTimeVector")
    if len(vector) == frames and min(vector, default=-1.0) >= 0:
        return tuple((np.cumsum([0.0, *vector[1:]]) / _MS).tolist())
    step_ms = number(header, "FrameTime")
    if not step_ms or step_ms < 0:
        rate = number(header, "CineRate") or number(header, "RecommendedDisplayFrameRate")
        step_ms = _MS / rate if rate and rate > 0 else None
    if step_ms is None:
        return ()
    return tuple(index * step_ms / _MS for index in range(frames))


def _plane(header: pydicom.Dataset, frame: int) -> SlicePlane | None:
    axes = numbers(functional_group(header, "PlaneOrientationSequence", frame), "ImageOrientationPatient")
    origin_mm = numbers(functional_group(header, "PlanePositionSequence", frame), "ImagePositionPatient")
    spacing_mm = numbers(functional_group(header, "PixelMeasuresSequence", frame), "PixelSpacing")
    if (len(axes), len(origin_mm), len(spacing_mm)) != (6, 3, 2) or min(spacing_mm) <= 0:
        return None
    right, down = np.array(axes[:3]), np.array(axes[3:])
    lengths = (float(np.linalg.norm(right)), float(np.linalg.norm(down)))
    is_unit = all(math.isclose(length, 1, abs_tol=_DIRECTION_SLACK) for length in lengths)
    if not is_unit or abs(float(right @ down)) > _DIRECTION_SLACK:
        return None
    right /= lengths[0]
    down -= (down @ right) * right
    down /= np.linalg.norm(down)
    return SlicePlane(_vector(origin_mm), _vector(right), _vector(down), (spacing_mm[0], spacing_mm[1]))


def _vector(values: list[float] | npt.NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _texts(header: pydicom.Dataset, keyword: str) -> list[str]:
    value = header.get(keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(part) for part in value]
