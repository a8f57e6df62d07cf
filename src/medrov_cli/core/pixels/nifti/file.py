"""Opening of NIfTI and Analyze files: header and stored voxels, with size checks before decompression."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.companions import header_of, voxels_of
from medrov_cli.core.pixels.compression import COMPRESSION_BYTES, Compression, compression_of
from medrov_cli.core.pixels.nifti.header import NIFTI2_BYTES, NiftiHeader, parse_header, scaling_of
from medrov_cli.core.pixels.nifti.placement import place
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.pixels.volumes.slices import slices_of
from medrov_cli.core.pixels.volumes.volume import Volume, arrange_components, check_limits
from medrov_cli.core.pixels.volumes.voxel_data import inflate_voxels, map_voxels, open_stream, skip_bytes
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

_ONE_FILE_WARNING = "The NIfTI header states that the voxels are in another file; those behind it were read."
_TWO_FILES_WARNING = "The NIfTI header states that the voxels follow it; those of the .img file were read."
_OFFSET_WARNING = "The {} header states a wrong position of the voxels; that which fits the file was used."


def open_nifti(path: str, limits: InputLimits) -> Volume:
    """Open a NIfTI-1, NIfTI-2 or Analyze file, compressed or not: read its header, and map its voxels.

    Parameters
    ----------
    path
        A single file, or one file of a pair (``.hdr`` and ``.img``).
    limits
        Limits of the input.

    Raises
    ------
    MedrovError
        ``bad_metadata``, ``unsupported_format``, ``too_large``, ``truncated`` or ``not_found``.
    """
    header_path = header_of(path) or path
    with _opened(header_path) as stream:
        header = parse_header(stream.read(NIFTI2_BYTES))
    frames = header.shape[3] * header.shape[4]
    check_limits(header.format, header.shape[:3], frames, header.dtype.itemsize, limits, offset=header.offset)
    voxels, notes = _read_voxels(header, header_path)
    slope, intercept = scaling_of(header)
    placement = place(header)
    return Volume(
        format=header.format,
        voxels=voxels,
        affine=placement.affine,
        zooms_mm=placement.zooms_mm,
        slope=slope,
        intercept=intercept,
        is_placed=placement.is_placed,
        warnings=(*header.warnings, *notes),
    )


def open_nifti_header(path: str) -> Volume:
    """Return orientation, size and spacing of the first volume of a file, without reading its voxels.

    The voxels of the result are zeros in one byte of memory.

    Raises
    ------
    MedrovError
        ``bad_metadata`` or ``unsupported_format``.
    """
    header_path = header_of(path) or path
    with _opened(header_path) as stream:
        header = parse_header(stream.read(NIFTI2_BYTES))
    placement = place(header)
    voxels = np.broadcast_to(np.zeros((), dtype=np.uint8), (*header.shape[:3], 1))
    return Volume(
        header.format,
        voxels,
        placement.affine,
        placement.zooms_mm,
        slope=1.0,
        intercept=0.0,
        is_placed=placement.is_placed,
        warnings=(),
    )


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Open the decompressed bytes of a file."""
    with open(path, "rb") as raw:  # noqa: PTH123 - the path is used unchanged
        compression = compression_of(raw.read(COMPRESSION_BYTES))
        raw.seek(0)
        yield open_stream(raw, compression)


def _read_voxels(header: NiftiHeader, header_path: str) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Return (x, y, z, volumes) or (x, y, z, volumes, 3), and warnings."""
    x, y, z, volumes, components = header.shape
    path = _voxel_file(header, header_path)
    channels = len(header.dtype.fields or ())
    if not channels:
        return arrange_components(_read(header, path, header.shape, header.dtype), is_color=header.is_color)
    shape = (channels, x, y, z, volumes * components)
    values = _read(header, path, shape, np.dtype(np.uint8))
    return arrange_components(np.moveaxis(values, 0, -1), is_color=True)


def _voxel_file(header: NiftiHeader, header_path: str) -> str:
    """Return the file with the voxels, by what the header states and by which files there are."""
    beside = voxels_of(header_path)
    with _opened(header_path) as stream:
        skip = stream.read(header.size + 5)
    is_long = len(skip) > header.size + 4
    if header.is_pair:
        if beside is not None:
            return beside
        if not is_long:
            raise MedrovError(
                ErrorCode.NOT_FOUND,
                f"The file of the voxels of the {header.format} header does not exist.",
                "Put the .img file beside the .hdr file.",
            )
        header.warnings.append(_ONE_FILE_WARNING)
        header.is_pair, header.offset = False, max(header.offset, header.size + 4)
    elif not is_long and beside is not None:
        header.warnings.append(_TWO_FILES_WARNING)
        header.is_pair, header.offset = True, 0
        return beside
    return header_path


def _read(header: NiftiHeader, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Read the voxels at the stated position, or at the usual one if only that fits the file."""
    with open(path, "rb") as raw:  # noqa: PTH123 - the path is used unchanged
        compression = compression_of(raw.read(COMPRESSION_BYTES))
        length = raw.seek(0, 2)
    stated, usual = header.offset, header.minimal_offset
    first, second = max(stated, usual), min(stated, usual) if stated < usual else usual
    is_second = False
    if compression is Compression.NONE:
        count = math.prod(shape) * dtype.itemsize
        is_second = length < first + count and length == second + count
        offset = second if is_second else first
        voxels = map_voxels(path, offset, shape, dtype, format_name=header.format)
    else:
        try:
            voxels = _inflate(path, first, shape, dtype)
        except EOFError:
            if first == second:
                raise
            voxels, is_second = _inflate(path, second, shape, dtype, is_exact=True), True
    if is_second or stated < usual:
        header.warnings.append(_OFFSET_WARNING.format(header.format))
    return voxels


def _inflate(
    path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, is_exact: bool = False
) -> npt.NDArray[Any]:
    """Decompress the voxels at a position; ``is_exact``: behind which nothing may follow."""
    with _opened(path) as stream:
        skip_bytes(stream, offset)
        voxels = inflate_voxels(stream, shape, dtype)
        if is_exact and stream.read(1):
            raise EOFError
    return voxels


def _read_frames(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the slices of a file."""
    yield from slices_of(open_nifti(path, options.limits), path, options.window, options.axis)


READER: ImageReader = _read_frames
