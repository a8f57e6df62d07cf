"""Opening of MetaImage files (``.mha``; ``.mhd`` with data files), as ITK reads them.

The header is parsed by hand: no small library reads the format, and SimpleITK (50 MB) allocates what a header
states and follows file names out of the folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.compression import Compression
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.pixels.volumes.data_source import DataSource, TextEncoding, named_files
from medrov_cli.core.pixels.volumes.slices import slices_of
from medrov_cli.core.pixels.volumes.text_header import (
    HEADER_BYTES,
    complete_directions,
    floats,
    integers,
    place_axes,
    unit_mm,
)
from medrov_cli.core.pixels.volumes.volume import (
    LPS_TO_RAS,
    Volume,
    arrange_components,
    bad_header,
    check_limits,
    unsupported,
)
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

_FORMAT = "MetaImage"
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
"""Types of values; MET_LONG has four bytes in MetaIO."""
_SCALE_WARNING = "The MetaImage intensity function was not applied, as in ITK."


@dataclass(frozen=True, slots=True)
class _Header:
    """Fields by name in lower case, the lines behind the last one, and the position behind the header."""

    fields: dict[str, str]
    trailing: list[str]
    data_start: int

    def get(self, *names: str) -> str:
        """Return the first field of these names that is present; empty without one."""
        return next((self.fields[name] for name in names if name in self.fields), "")

    def is_true(self, *names: str) -> bool:
        """Return whether a field is true, which begins with T, t or 1."""
        return self.get(*names)[:1] in ("T", "t", "1")


def open_metaimage(path: str, limits: InputLimits) -> Volume:
    """Open a MetaImage file: read its header, and map its voxels.

    Parameters
    ----------
    path
        A file with header and data, or a header, whose data files are in its folder or below it.
    limits
        Limits of the input.

    Raises
    ------
    MedrovError
        ``bad_metadata``, ``unsupported_format``, ``too_large``, ``truncated`` or ``not_found``.
    """
    header = _read_header(path)
    sizes = _sizes(header)
    components = integers(_FORMAT, header.get("elementnumberofchannels") or "1")[0]
    if components < 1:
        raise bad_header(_FORMAT, "its number of channels is invalid")
    dtype = _dtype(header)
    x, y, z = [*sizes, 1, 1][:3]
    volumes = math.prod(sizes[3:])
    check_limits(_FORMAT, (x, y, z), volumes * components, dtype.itemsize, limits)
    values = _source(path, header, limits).read((components, x, y, z, volumes), dtype)
    voxels, notes = arrange_components(np.moveaxis(values, 0, -1))
    affine, zooms, is_placed, warnings = _place(header, len(sizes))
    if (header.get("elementtointensityfunctionslope") or "1") not in ("1", "1.0"):
        warnings += (_SCALE_WARNING,)
    return Volume(_FORMAT, voxels, affine, zooms, 1.0, 0.0, is_placed, (*warnings, *notes))


def metaimage_data_files(path: str) -> list[str]:
    """Return the data files of a header; empty if the data are behind the header.

    Raises
    ------
    MedrovError
        ``not_found``, ``too_large`` or ``bad_metadata``.
    """
    header = _read_header(path)
    return [] if _is_local(header) else list(_files(path, header, InputLimits()))


def _read_header(path: str) -> _Header:
    """Read the fields up to ``ElementDataFile``, which is the last one."""
    fields: dict[str, str] = {}
    with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
        while (line := file.readline(HEADER_BYTES)) and file.tell() <= HEADER_BYTES:
            name, separator, value = line.decode("utf-8", errors="replace").partition("=")
            if not separator:
                continue
            fields[name.strip().lower()] = value.strip()
            if name.strip().lower() == "elementdatafile":
                start = file.tell()
                is_list = value.split()[:1] == ["LIST"]
                rest = file.read(HEADER_BYTES).decode("utf-8", errors="replace") if is_list else ""
                return _Header(fields, rest.splitlines(), start)
    raise bad_header(_FORMAT, "the field ElementDataFile is missing")


def _sizes(header: _Header) -> list[int]:
    if header.get("objecttype").lower() not in ("image", ""):
        raise unsupported(_FORMAT, "does not contain an image", "Give a file of the type Image.")
    sizes = integers(_FORMAT, header.get("dimsize"))
    count = integers(_FORMAT, header.get("ndims"))[0]
    if len(sizes) < count or not 1 <= count <= 10 or min(sizes[:count]) < 1:
        raise bad_header(_FORMAT, "its dimensions are invalid")
    return sizes[:count]


def _dtype(header: _Header) -> np.dtype[Any]:
    code = _TYPES.get(header.get("elementtype").upper().removesuffix("_ARRAY"))
    if code is None:
        raise unsupported(_FORMAT, "has a type that is not supported", "Save it as integers or floats.")
    is_big = header.is_true("binarydatabyteordermsb", "elementbyteordermsb")
    return np.dtype(code).newbyteorder(">" if is_big else "<")


def _is_local(header: _Header) -> bool:
    return header.get("elementdatafile").upper() == "LOCAL"


def _files(path: str, header: _Header, limits: InputLimits) -> tuple[str, ...]:
    return named_files(_FORMAT, path, header.get("elementdatafile"), header.trailing, limits)


def _source(path: str, header: _Header, limits: InputLimits) -> DataSource:
    encoding: Compression | TextEncoding = Compression.NONE
    if header.is_true("compresseddata"):
        encoding = Compression.ZLIB
    elif header.get("binarydata") and not header.is_true("binarydata"):
        encoding = TextEncoding.DECIMAL
    skip = integers(_FORMAT, header.get("headersize") or "0")[0]
    if skip < -1:
        raise bad_header(_FORMAT, "its HeaderSize is invalid")
    return DataSource(
        format=_FORMAT,
        paths=(path,) if _is_local(header) else _files(path, header, limits),
        start=header.data_start if _is_local(header) else 0,
        encoding=encoding,
        byte_skip=skip,
    )


def _place(
    header: _Header, count: int
) -> tuple[npt.NDArray[np.float64], tuple[float, float, float], bool, tuple[str, ...]]:
    """Return the transform, the voxel sizes, whether the orientation is stated, and warnings."""
    warnings: list[str] = []
    spatial = min(count, 3)
    unit = unit_mm(header.get("distanceunits"))
    stated = [abs(size) for size in floats(_FORMAT, header.get("elementspacing", "elementsize"))[:spatial]]
    sizes = np.array(stated) * unit
    if len(sizes) < spatial or not (np.isfinite(sizes) & (sizes > 0)).all():
        warnings.append("The MetaImage header states no voxel size in a known unit.")
        sizes = np.full(spatial, math.nan)
    zooms = np.array([*sizes, 1.0, 1.0][:3])
    matrix = floats(_FORMAT, header.get("transformmatrix", "rotation", "orientation"))
    is_stated = len(matrix) >= count * count and spatial > 1
    numbers = matrix[: count * count] if is_stated else np.eye(count).ravel()
    rows = np.reshape(np.asarray(numbers, dtype=np.float64), (count, count))[:spatial, :spatial]
    directions = complete_directions([list(row) for row in rows])  # each row is the direction of an axis
    directions = directions * np.where(np.isnan(zooms), 1.0, zooms)
    origin = floats(_FORMAT, header.get("offset", "position", "origin"))
    affine, is_placed, notes = place_axes(
        _FORMAT, directions, [value * unit for value in origin], LPS_TO_RAS, is_stated=is_stated
    )
    return affine, (float(zooms[0]), float(zooms[1]), float(zooms[2])), is_placed, (*warnings, *notes)


def _read_frames(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the slices of a file."""
    yield from slices_of(open_metaimage(path, options.limits), path, options.window, options.axis)


READER: ImageReader = _read_frames
