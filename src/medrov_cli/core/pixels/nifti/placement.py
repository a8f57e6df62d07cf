"""Orientation and voxel size of NIfTI and Analyze headers.

The rule is that of nibabel (sform, else qform, else voxel sizes), but a transform that is unusable is left
out: the next one is used, with a warning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from nibabel.quaternions import quat2mat

from medrov_cli.core.pixels.nifti.header import ANALYZE, NiftiHeader, unit_mm
from medrov_cli.core.pixels.volumes.volume import no_orientation

_DEGENERATE = 1e-5
"""Smallest ratio of the singular values of a usable matrix."""
_QUATERNION_EXCESS = 1e-5
"""By how much the squares of b, c and d may exceed 1, by rounding of float32."""
_SIZE_TOLERANCE = 0.01

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the voxels of a file are.

    Attributes
    ----------
    affine
        4 x 4, from voxel indices to mm in RAS+.
    zooms_mm
        Voxel size along x, y, z; NaN where it is not known.
    is_placed
        Whether the file states the orientation.
    """

    affine: Matrix
    zooms_mm: tuple[float, float, float]
    is_placed: bool


def place(header: NiftiHeader) -> Placement:
    """Return orientation and voxel size; repairs are added to the warnings of the header."""
    unit = unit_mm(header)
    zooms = np.abs(np.array(header.fields["pixdim"][1:4], dtype=np.float64)) * unit
    is_known = np.isfinite(zooms) & (zooms > 0)
    sizes = np.where(is_known, zooms, 1.0)
    transform = None if header.format == ANALYZE else _stated(header, sizes, unit)
    used_axes = [axis for axis in range(3) if header.shape[axis] > 1]
    if transform is None:
        if not is_known[used_axes].all():
            header.warnings.append(f"The {header.format} header states no valid voxel size.")
        header.warnings.append(no_orientation(header.format))
        return Placement(_assumed(header, sizes), _triple(np.where(is_known, zooms, np.nan)), False)
    lengths = np.linalg.norm(transform[:3, :3], axis=0)
    if not is_known[used_axes].all():
        header.warnings.append("The NIfTI voxel size is missing; that of the transform was used.")
    elif (np.abs(lengths - sizes) > _SIZE_TOLERANCE * sizes)[used_axes].any():
        header.warnings.append("The NIfTI transform and voxel size differ; the stated voxel size was used.")
    return Placement(transform, _triple(np.where(is_known, zooms, lengths)), True)


def _triple(values: Matrix) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _stated(header: NiftiHeader, sizes: Matrix, unit: float) -> Matrix | None:
    """Return the first usable transform of the header, in mm; null if there is none."""
    unusable: list[str] = []
    for name, code in (("sform", "sform_code"), ("qform", "qform_code")):
        if int(header.fields[code]) <= 0:
            continue
        transform = _sform(header, unit) if name == "sform" else _qform(header, sizes, unit)
        if transform is not None:
            if unusable:
                header.warnings.append("The NIfTI sform is unusable; the qform was used.")
            return transform
        unusable.append(name)
    if unusable:
        header.warnings.append(f"The NIfTI {' and '.join(unusable)} cannot be used.")
    return None


def _sform(header: NiftiHeader, unit: float) -> Matrix | None:
    affine = np.eye(4)
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        affine[row] = np.asarray(header.fields[name], dtype=np.float64) * unit
    return affine if _is_usable(affine) else None


def _is_usable(affine: Matrix) -> bool:
    if not np.isfinite(affine).all():
        return False
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() <= 0:
        return False
    singular = np.linalg.svd(affine[:3, :3] / lengths, compute_uv=False)
    return bool(singular[-1] > _DEGENERATE * singular[0])


def _qform(header: NiftiHeader, sizes: Matrix, unit: float) -> Matrix | None:
    """Return the transform of a quaternion (nifti1.h, method 2)."""
    bcd = np.array([float(header.fields[f"quatern_{name}"]) for name in "bcd"])
    offset = np.array([float(header.fields[f"qoffset_{name}"]) for name in "xyz"]) * unit
    squares = float(bcd @ bcd)
    if not math.isfinite(squares) or squares > 1 + _QUATERNION_EXCESS:
        return None
    rotation = np.asarray(quat2mat([math.sqrt(max(1 - squares, 0.0)), *bcd]))  # type: ignore[no-untyped-call]
    affine = np.eye(4)
    affine[:3, :3] = rotation * (sizes * np.array([1.0, 1.0, _qfac(header)]))
    affine[:3, 3] = np.where(np.isfinite(offset), offset, 0.0)
    return affine


def _qfac(header: NiftiHeader) -> float:
    """Return the handedness of the qform, which is 1 where the header has neither 1 nor -1 (nifti1.h)."""
    stated = float(header.fields["pixdim"][0])
    if stated not in (1.0, -1.0):
        header.warnings.append("The NIfTI qfac is neither 1 nor -1; its sign was used, 1 for 0.")
    return -1.0 if stated < 0 else 1.0


def _assumed(header: NiftiHeader, sizes: Matrix) -> Matrix:
    """Return a transform by voxel sizes alone: nibabel's, which flips x in Analyze files only."""
    flip = -1.0 if header.format == ANALYZE else 1.0
    affine = np.diag([flip * sizes[0], sizes[1], sizes[2], 1.0])
    centre = (np.array(header.shape[:3]) - 1) / 2
    affine[:3, 3] = -affine[:3, :3] @ centre
    return affine
