"""Values of text headers (NRRD, MetaImage), and the transform that they state."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from medrov_cli.core.pixels.volumes.volume import bad_header, no_orientation

HEADER_BYTES = 4 << 20
"""Longest header that is read; the longest real ones list thousands of diffusion gradients."""

Matrix = npt.NDArray[np.float64]

_UNITS_MM = {
    "": 1.0,
    "?": 1.0,
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"), 0.001),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 1e-6),
}
"""Millimetres of units of length; a missing unit is taken as mm."""

_DEGENERATE = 1e-5
"""Smallest ratio of the singular values of a usable matrix."""


def floats(format_name: str, text: str) -> list[float]:
    """Return the numbers of a field.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    try:
        return [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise bad_header(format_name, "a field is not a number") from None


def integers(format_name: str, text: str) -> list[int]:
    """Return the whole numbers of a field.

    Raises
    ------
    MedrovError
        ``bad_metadata``.
    """
    if not re.fullmatch(r"[\s,]*([+-]?\d{1,18}[\s,]*)+", text):
        raise bad_header(format_name, "a field is not a whole number")
    return [int(part) for part in text.replace(",", " ").split()]


def unit_mm(unit: str) -> float:
    """Return millimetres per unit of length; NaN for an unknown unit."""
    return _UNITS_MM.get(unit.strip().strip('"').strip().lower(), math.nan)


def complete_directions(vectors: Sequence[Sequence[float]]) -> Matrix:
    """Return three direction vectors as columns: missing ones are perpendicular, of length 1.

    Parameters
    ----------
    vectors
        Of one to three axes, with one to three components (missing ones are 0); further ones are ignored.
    """
    columns = [np.array([*vector[:3], 0.0, 0.0, 0.0][:3], dtype=np.float64) for vector in vectors[:3]]
    if len(columns) == 1:
        least = np.eye(3)[int(np.argmin(np.abs(columns[0])))]
        columns.append(_unit(np.cross(columns[0], least)))
    if len(columns) == 2:
        columns.append(_unit(np.cross(columns[0], columns[1])))
    return np.stack(columns, axis=1)


def _unit(vector: Matrix) -> Matrix:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 and math.isfinite(length) else np.array([0.0, 0.0, 1.0])


def affine_of(directions: Matrix, origin: Iterable[float], to_ras: Matrix) -> Matrix | None:
    """Return the transform from voxel indices to RAS+; null if the directions are degenerate.

    Parameters
    ----------
    directions
        3 x 3: the steps along the axes as columns.
    origin
        Of the first voxel; unusable values become 0.
    to_ras
        3 x 3, from the axes of the file.
    """
    lengths = np.linalg.norm(directions, axis=0)
    if not np.isfinite(directions).all() or lengths.min() <= 0:
        return None
    singular = np.linalg.svd(directions / lengths, compute_uv=False)
    if singular[-1] <= _DEGENERATE * singular[0]:
        return None
    affine = np.eye(4)
    affine[:3, :3] = to_ras @ directions
    place = np.array([*list(origin)[:3], 0.0, 0.0, 0.0][:3], dtype=np.float64)
    affine[:3, 3] = to_ras @ np.where(np.isfinite(place), place, 0.0)
    return affine


def place_axes(
    format_name: str, directions: Matrix, origin: Iterable[float], to_ras: Matrix, *, is_stated: bool
) -> tuple[Matrix, bool, tuple[str, ...]]:
    """Return the transform, whether it is that of the file, and warnings.

    Without a usable one, the axes are taken in the order of DICOM: to the left, to the back, to the head.

    Parameters
    ----------
    format_name
        For the warnings.
    directions, origin, to_ras
        See `affine_of`.
    is_stated
        Whether the file states directions and the space in which they are.
    """
    affine = affine_of(directions, origin, to_ras)
    if affine is not None and is_stated:
        return affine, True, ()
    warnings = [no_orientation(format_name)]
    if affine is None:
        warnings.insert(0, f"The directions in the {format_name} header cannot be used.")
        affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    return affine, False, tuple(warnings)
