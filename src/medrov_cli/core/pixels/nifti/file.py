"""Opening of NIfTI files: header and stored voxels, with size checks before decompression."""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError

_HEADER_BYTES = {1: 348, 2: 540}
_CHUNK_BYTES = 1 << 22

NO_ORIENTATION_WARNING = "The NIfTI file has no orientation (qform, sform); left and right are assumed."


@dataclass(frozen=True, slots=True)
class NiftiFile:
    """Stored voxels of a file.

    Attributes
    ----------
    voxels
        (x, y, z, volumes) in file order, unscaled. Read from disk on access
        for an uncompressed file, else in memory. Structured (R, G, B) for colour.
    affine
        4 x 4, from voxel indices to mm in RAS+.
    zooms_mm
        Voxel size along x, y, z.
    slope, intercept
        Of the map from stored values to real values.
    warnings
        Warnings for the user.
    """

    voxels: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]
    zooms_mm: tuple[float, float, float]
    slope: float
    intercept: float
    warnings: tuple[str, ...]


def open_nifti(path: str, limits: InputLimits) -> NiftiFile:
    """Open a NIfTI-1 or NIfTI-2 file, compressed or not: read its header, and map its voxels.

    Raises
    ------
    MedrovError
        ``bad_metadata``, ``unsupported_format``, ``too_large`` or ``truncated``.
    """
    with open(path, "rb") as raw:  # noqa: PTH123 - the path is used unchanged
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not compressed:
            header = _read_header(raw)
            shape, dtype, offset = _layout(header, limits)
            _check_length(offset + math.prod(shape) * dtype.itemsize, raw.seek(0, 2))
            voxels: npt.NDArray[Any] = np.memmap(path, dtype, "r", offset, shape, order="F")
        else:
            with gzip.GzipFile(fileobj=raw) as inflated:
                header = _read_header(inflated)
                shape, dtype, offset = _layout(header, limits)
                _skip(inflated, offset)
                voxels = _inflate(inflated, shape, dtype)
    return _described(header, voxels)


def _read_header(file: BinaryIO | gzip.GzipFile) -> Any:
    """Read the fixed part of the header, without extensions, which may have any content."""
    block = file.read(_HEADER_BYTES[1])
    version = 2 if 540 in struct.unpack("<i", block[:4]) + struct.unpack(">i", block[:4]) else 1
    block += file.read(_HEADER_BYTES[version] - len(block))
    if len(block) < _HEADER_BYTES[version]:
        raise EOFError
    header_class: Any = nib.Nifti2Header if version == 2 else nib.Nifti1Header
    return header_class(block, check=False)


def _layout(header: Any, limits: InputLimits) -> tuple[tuple[int, int, int, int], np.dtype[Any], int]:
    """Return the shape (x, y, z, volumes), the dtype and the offset of the voxels, within the limits."""
    try:
        dtype = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            "The data type of the NIfTI voxels is not supported.",
            "Convert the voxels to integers or floats.",
        ) from None
    sizes = [int(size) for size in header.get_data_shape()]
    offset = int(header.get_data_offset()) or header.single_vox_offset
    if not sizes or min(sizes) < 1 or offset < header.sizeof_hdr:
        raise bad_header("its dimensions or its data offset are invalid")
    sizes += [1] * (3 - len(sizes))
    shape = sizes[0], sizes[1], sizes[2], math.prod(sizes[3:])
    pixels = math.prod(sorted(shape[:3])[1:])  # the largest slice of the three planes
    if pixels > limits.pixels_per_frame:
        raise _too_large(f"has slices of {pixels} pixels; the limit is {limits.pixels_per_frame}")
    if max(shape[:3]) * shape[3] > limits.frames:
        raise _too_large(f"has {max(shape[:3]) * shape[3]} slices; the limit is {limits.frames}")
    if offset + math.prod(shape) * dtype.itemsize > limits.inflated_bytes:
        raise _too_large(f"holds more than {limits.inflated_bytes} bytes of voxels")
    return shape, dtype, offset


def _check_length(expected: int, actual: int) -> None:
    if actual < expected:
        raise MedrovError(
            ErrorCode.TRUNCATED,
            f"The NIfTI file has {actual} of {expected} bytes.",
            "Copy or convert the file again.",
        )


def _skip(file: gzip.GzipFile, offset: int) -> None:
    while file.tell() < offset:
        if not file.read(min(_CHUNK_BYTES, offset - file.tell())):
            raise EOFError


def _inflate(file: gzip.GzipFile, shape: tuple[int, int, int, int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Decompress the voxels of the header's shape, and nothing after them."""
    buffer = np.empty(math.prod(shape) * dtype.itemsize, dtype=np.uint8)
    filled = 0
    view = memoryview(buffer.data)
    while filled < len(buffer):
        count = file.readinto(view[filled : filled + _CHUNK_BYTES])
        if not count:
            raise EOFError
        filled += count
    return buffer.view(dtype).reshape(shape, order="F")


def _described(header: Any, voxels: npt.NDArray[Any]) -> NiftiFile:
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        zooms = [abs(float(zoom)) for zoom in header.get_zooms()[:3]]
        slope, intercept = header.get_slope_inter()
    except (HeaderDataError, ValueError, np.linalg.LinAlgError):
        raise bad_header("its orientation, voxel size or scaling is invalid") from None
    zooms += [1.0] * (3 - len(zooms))
    placed = int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0
    return NiftiFile(
        voxels=voxels,
        affine=affine,
        zooms_mm=(zooms[0], zooms[1], zooms[2]),
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if intercept is None else float(intercept),
        warnings=() if placed else (NO_ORIENTATION_WARNING,),
    )


def bad_header(what: str) -> MedrovError:
    """Return the error for a NIfTI header that contradicts itself or the format."""
    return MedrovError(
        ErrorCode.BAD_METADATA, f"The NIfTI header is wrong: {what}.", "Convert the file again."
    )


def _too_large(what: str) -> MedrovError:
    return MedrovError(ErrorCode.TOO_LARGE, f"The NIfTI file {what}.", "Crop or resample it.")
