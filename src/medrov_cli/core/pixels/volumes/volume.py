"""Voxels of a volume file with their place in the body, whatever the format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.channels import ALPHA_WARNING

COLOR_GUESS_WARNING = "The three 8-bit values of each voxel were read as red, green and blue."
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
"""From the axes of NRRD, MetaImage and DICOM (left, posterior, superior) to those of NIfTI."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Stored voxels of a file.

    Attributes
    ----------
    format
        Name of the format, for messages.
    voxels
        (x, y, z, volumes) in file order, unscaled; (x, y, z, volumes, 3) for colours. Read from disk on
        access for an uncompressed file, else in memory.
    affine
        4 x 4, from voxel indices to mm in RAS+.
    zooms_mm
        Voxel size along x, y, z; NaN where it is not known.
    slope, intercept
        Of the map from stored values to real values.
    is_placed
        Whether the file states the orientation, so that left and right are known.
    warnings
        Warnings for the user.
    """

    format: str
    voxels: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]
    zooms_mm: tuple[float, float, float]
    slope: float
    intercept: float
    is_placed: bool
    warnings: tuple[str, ...]

    @property
    def is_color(self) -> bool:
        """Return whether each voxel is red, green and blue."""
        return self.voxels.ndim == 5


def no_orientation(format_name: str) -> str:
    """Return the warning for a file without an orientation."""
    return f"The {format_name} file has no orientation; left and right are assumed."


def bad_header(format_name: str, what: str) -> MedrovError:
    """Return the error for a header that contradicts itself or the format."""
    return MedrovError(
        ErrorCode.BAD_METADATA, f"The {format_name} header is wrong: {what}.", "Convert the file again."
    )


def unsupported(format_name: str, what: str, hint: str) -> MedrovError:
    """Return the error for a part of a format that is not supported."""
    return MedrovError(ErrorCode.UNSUPPORTED_FORMAT, f"The {format_name} file {what}.", hint)


def check_limits(
    format_name: str,
    sizes: tuple[int, int, int],
    frames: int,
    item_bytes: int,
    limits: InputLimits,
    *,
    offset: int = 0,
) -> None:
    """Check the sizes in a header before its voxels are read.

    Parameters
    ----------
    format_name
        For the message.
    sizes
        Voxels along x, y, z.
    frames
        Values per voxel: volumes and components.
    item_bytes
        Size of a value.
    limits
        Limits of the input.
    offset
        Bytes before the voxels.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    pixels = math.prod(sorted(sizes)[1:])  # the largest slice of the three planes
    found = None
    if pixels > limits.pixels_per_frame:
        found = f"has slices of {pixels} pixels; the limit is {limits.pixels_per_frame}"
    elif max(sizes) * frames > limits.frames:
        found = f"has {max(sizes) * frames} slices; the limit is {limits.frames}"
    elif offset + math.prod(sizes) * frames * item_bytes > limits.inflated_bytes:
        found = f"holds more than {limits.inflated_bytes} bytes of voxels"
    if found is not None:
        raise MedrovError(ErrorCode.TOO_LARGE, f"The {format_name} file {found}.", "Crop or resample it.")


def arrange_components(
    values: npt.NDArray[Any], *, is_color: bool = False
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Arrange several values per voxel: as colours, or as one volume per component.

    Parameters
    ----------
    values
        (x, y, z, volumes, components).
    is_color
        Whether the file states that the components are colours. Otherwise three or four components of
        8 bits are colours, with a warning, and other components are volumes, with a warning.

    Returns
    -------
    tuple
        (x, y, z, volumes) or (x, y, z, volumes, 3), a view where possible; warnings for the user.
    """
    components = values.shape[4]
    if components == 1:
        return values[..., 0], ()
    if components in (3, 4) and (is_color or values.dtype == np.uint8):
        warnings = () if is_color else (COLOR_GUESS_WARNING,)
        return values[..., :3], (*warnings, *([ALPHA_WARNING] if components == 4 else []))
    volumes = values.reshape((*values.shape[:3], -1), order="F")
    sentence = f"Each voxel is a vector of {components} values; each component is a volume of its own."
    return volumes, (sentence,)
