"""Opening of NRRD files, attached or detached: header and stored voxels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.compression import Compression
from medrov_cli.core.pixels.nrrd.header import FORMAT, NrrdHeader, read_header
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.pixels.volumes.data_source import DataSource, TextEncoding, named_files
from medrov_cli.core.pixels.volumes.slices import slices_of
from medrov_cli.core.pixels.volumes.text_header import (
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

_ENCODINGS: dict[str, Compression | TextEncoding] = {
    "raw": Compression.NONE,
    **dict.fromkeys(("gz", "gzip"), Compression.GZIP),
    **dict.fromkeys(("bz2", "bzip2"), Compression.BZIP2),
    **dict.fromkeys(("txt", "text", "ascii"), TextEncoding.DECIMAL),
    "hex": TextEncoding.HEX,
}
_COLOR_KINDS = frozenset({"rgb-color", "rgba-color", "3-color", "4-color"})
_VOLUME_KINDS = frozenset({"time", "list", "domain", "space"})


def open_nrrd(path: str, limits: InputLimits) -> Volume:
    """Open a NRRD file: read its header, and map its voxels.

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
    header = read_header(path)
    sizes, spatial, dtype = header.sizes, header.spatial_axes(), header.dtype
    others = [axis for axis in range(len(sizes)) if axis not in spatial]
    if not spatial:
        raise bad_header(FORMAT, "no axis is a direction in space")
    x, y, z = [*(sizes[axis] for axis in spatial), 1, 1][:3]
    frames = math.prod(sizes[axis] for axis in others)
    check_limits(FORMAT, (x, y, z), frames, dtype.itemsize, limits)
    values = _source(path, header, limits).read(tuple(sizes), dtype)
    values = values.transpose([*spatial, *others]).reshape((x, y, z, *(sizes[axis] for axis in others)))
    voxels, notes = _arranged(values, header, others)
    affine, zooms, is_placed, warnings = _place(header, spatial)
    return Volume(FORMAT, voxels, affine, zooms, 1.0, 0.0, is_placed, (*warnings, *notes))


def nrrd_data_files(path: str) -> list[str]:
    """Return the data files of a detached header; empty if the data are behind the header.

    Raises
    ------
    MedrovError
        ``not_found``, ``too_large`` or ``bad_metadata``.
    """
    header = read_header(path)
    return list(_files(path, header, InputLimits())) if "data file" in header.fields else []


def _files(path: str, header: NrrdHeader, limits: InputLimits) -> tuple[str, ...]:
    return named_files(FORMAT, path, header.text("data file"), header.trailing, limits)


def _source(path: str, header: NrrdHeader, limits: InputLimits) -> DataSource:
    encoding = _ENCODINGS.get(header.text("encoding").lower())
    if encoding is None:
        raise unsupported(FORMAT, "has an encoding that is not supported", "Save it with the encoding gzip.")
    is_detached = "data file" in header.fields
    line_skip, byte_skip = (
        integers(FORMAT, header.fields.get(f"{unit} skip", "0"))[0] for unit in ("line", "byte")
    )
    if line_skip < 0 or byte_skip < -1:
        raise bad_header(FORMAT, "its skips are invalid")
    return DataSource(
        format=FORMAT,
        paths=_files(path, header, limits) if is_detached else (path,),
        start=0 if is_detached else header.data_start,
        encoding=encoding,
        line_skip=line_skip,
        byte_skip=byte_skip,
    )


def _arranged(
    values: npt.NDArray[Any], header: NrrdHeader, others: list[int]
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Return the voxels with the axes that are no directions in space as volumes, components or colours."""
    if len(others) == 1:
        kinds = header.kinds if len(header.kinds) == len(header.sizes) else []
        kind = kinds[others[0]] if kinds else ""
        if kind not in _VOLUME_KINDS and (kind or others[0] == 0):
            return arrange_components(values[:, :, :, np.newaxis, :], is_color=kind in _COLOR_KINDS)
    return values.reshape((*values.shape[:3], -1), order="F"), ()


def _place(
    header: NrrdHeader, spatial: list[int]
) -> tuple[npt.NDArray[np.float64], tuple[float, float, float], bool, tuple[str, ...]]:
    """Return the transform, the voxel sizes, whether the orientation is stated, and warnings."""
    stated = header.directions if len(header.directions) == len(header.sizes) else []
    to_ras = LPS_TO_RAS if header.to_ras is None else header.to_ras
    space_units = [unit_mm(text) for text in header.quoted("space units")]
    axis_units = [unit_mm(text) for text in header.quoted("units")]
    warnings: list[str] = []
    if stated:
        unit = np.array([*space_units, 1.0, 1.0, 1.0][:3] if space_units else [1.0] * 3)
        vectors = complete_directions([stated[axis] or [] for axis in spatial])
        directions = vectors * np.where(np.isnan(unit), 1.0, unit)[:, np.newaxis]
        is_known = not np.isnan(unit).any()
        lengths = np.linalg.norm(directions, axis=0)
    else:
        factors = [axis_units[axis] if axis < len(axis_units) else 1.0 for axis in spatial]
        lengths = np.array([header.spacing(axis) * f for axis, f in zip(spatial, factors, strict=True)])
        is_known = not np.isnan(lengths).any()
        lengths = np.array([*lengths, 1.0, 1.0][:3])
        directions = np.diag(np.where(np.isnan(lengths), 1.0, lengths))
        unit = np.ones(3)
    if not is_known:
        warnings.append("The NRRD header states no voxel size in a known unit.")
        lengths = np.full(3, math.nan)
    origin = floats(FORMAT, header.fields.get("space origin", "").strip().strip("()"))
    placed = [value * factor for value, factor in zip(origin, unit, strict=False)]
    affine, is_placed, notes = place_axes(
        FORMAT, directions, placed, to_ras, is_stated=bool(stated) and header.to_ras is not None
    )
    zooms = float(lengths[0]), float(lengths[1]), float(lengths[2])
    return affine, zooms, is_placed, (*warnings, *notes)


def _read_frames(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the slices of a file."""
    yield from slices_of(open_nrrd(path, options.limits), path, options.window, options.axis)


READER: ImageReader = _read_frames
