"""Headers of NIfTI-1, NIfTI-2 and Analyze 7.5: fields with the repairs of nibabel and niftilib.

A repair is a warning. Fields that say nothing usable about the orientation or the voxel size are not
guessed: the orientation is then assumed, the size is not known. The repairs are written by hand, because
nibabel repairs without a message that reaches the user, and refuses the transforms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.spm2analyze import Spm2AnalyzeHeader

from medrov_cli.core.pixels.nifti.recognition import nifti_byte_order, nifti_version
from medrov_cli.core.pixels.volumes.volume import bad_header, unsupported

NIFTI1_BYTES, NIFTI2_BYTES = 348, 540
ANALYZE = "Analyze"

_SINGLE_MAGIC = (b"n+1\x00", b"n+2\x00")
_VECTOR_INTENTS = frozenset({1004, 1005, 1006, 1007, 1008, 2003, 2004})
"""Intents of nifti1.h whose fifth dimension counts the values of a voxel."""
_COLOR_INTENTS = frozenset({2003, 2004})

_UNIT_BITS = 7
_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Millimetres of the spatial units of ``xyzt_units``: unknown, metre, millimetre, micrometre."""
_ANALYZE_UNITS_MM = {b"m": 1000.0, b"cm": 10.0, b"mm": 1.0, b"um": 0.001}


@dataclass(slots=True)
class NiftiHeader:
    """Header of a NIfTI or Analyze file after repair.

    Attributes
    ----------
    format
        ``NIfTI`` or ``Analyze``.
    size
        Bytes of the header.
    is_pair
        Whether the header states that the voxels are in a file of their own.
    offset
        Position of the voxels as stated; 0 where that is unusable.
    dtype
        Of a stored value, or structured (R, G, B) for colours.
    shape
        (x, y, z, volumes, components).
    is_color
        Whether the components are colours.
    fields
        The header of nibabel.
    warnings
        Repairs.
    """

    format: str
    size: int
    is_pair: bool
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, int, int, int, int]
    is_color: bool
    fields: Any
    warnings: list[str] = field(default_factory=list)

    @property
    def minimal_offset(self) -> int:
        """Return the lowest position of voxels: behind the header and four bytes, or 0 in their own file."""
        return 0 if self.is_pair else self.size + 4


def parse_header(block: bytes) -> NiftiHeader:
    """Parse a header without its extensions, which may have any content.

    Raises
    ------
    MedrovError
        ``bad_metadata`` or ``unsupported_format``.
    EOFError
        If the bytes end before the header.
    """
    version = nifti_version(block)
    if version is None:
        raise bad_header("NIfTI", "its magic or its number of dimensions is invalid")
    size = NIFTI2_BYTES if version == 2 else NIFTI1_BYTES
    if len(block) < size:
        raise EOFError
    order = nifti_byte_order(block, version)
    header_class: Any = (Spm2AnalyzeHeader, nib.Nifti1Header, nib.Nifti2Header)[version]
    fields = header_class(block[:size], endianness=order, check=False)
    name = "NIfTI" if version else ANALYZE
    warnings: list[str] = []
    if int(fields["sizeof_hdr"]) != size:
        warnings.append(f"The {name} header states a wrong size of itself; {size} bytes were read.")
    dtype = _dtype(fields, name, warnings)
    shape, is_color = _shape(fields, name, warnings)
    magic = block[4:8] if version == 2 else block[344:348]
    header = NiftiHeader(name, size, magic not in _SINGLE_MAGIC, 0, dtype, shape, is_color, fields, warnings)
    header.offset = _stated_offset(header)
    return header


def _dtype(fields: Any, name: str, warnings: list[str]) -> np.dtype[Any]:
    dtype: np.dtype[Any]
    try:
        dtype = np.dtype(nib.Nifti1Header.get_data_dtype(fields))  # type: ignore[no-untyped-call]
    except (HeaderDataError, KeyError):
        dtype = np.dtype(np.void)
    if dtype.kind == "V" and dtype.fields is None:
        raise unsupported(
            name, "has a data type that is not supported", "Convert the voxels to integers or floats."
        )
    if int(fields["bitpix"]) != 8 * dtype.itemsize:
        warnings.append(
            f"The {name} header states {int(fields['bitpix'])} bits for {dtype.itemsize} bytes per voxel."
        )
    return dtype


def _shape(fields: Any, name: str, warnings: list[str]) -> tuple[tuple[int, int, int, int, int], bool]:
    """Return (x, y, z, volumes, components), and whether the components are stated to be colours."""
    count = int(fields["dim"][0])
    sizes = [int(size) for size in fields["dim"][1 : count + 1]]
    if sizes[0] < 1:
        raise bad_header(name, "its dimensions are invalid")
    if min(sizes) < 1:
        warnings.append(f"The {name} header has a dimension below 1, which was read as 1.")
        sizes = [max(size, 1) for size in sizes]
    sizes += [1] * (7 - count)
    volumes, components, others = sizes[3], sizes[4], sizes[5] * sizes[6]
    intent = int(fields["intent_code"]) if name != ANALYZE else 0
    if components == others == 1 and intent in _VECTOR_INTENTS:  # written one dimension too low
        volumes, components = 1, volumes
    if others > 1:  # more than one value per voxel, in more than one way: all are volumes
        volumes, components = volumes * components * others, 1
        warnings.append("The dimensions after the third were read as volumes.")
    return (sizes[0], sizes[1], sizes[2], volumes, components), intent in _COLOR_INTENTS


def _stated_offset(header: NiftiHeader) -> int:
    """Return the stated position of the voxels; 0 where it is inside the header or no number."""
    stated = float(header.fields["vox_offset"])
    if header.is_pair:
        # Analyze: "if the value is negative, its absolute value is that of every volume".
        return int(abs(stated)) if math.isfinite(stated) else 0
    return int(stated) if math.isfinite(stated) and stated >= header.size else 0


def scaling_of(header: NiftiHeader) -> tuple[float, float]:
    """Return slope and intercept: 1 and 0 unless the slope is finite and not 0 (nifti1.h)."""
    if header.format == ANALYZE:
        slope, intercept = header.fields.get_slope_inter()
        return 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)
    slope, intercept = float(header.fields["scl_slope"]), float(header.fields["scl_inter"])
    if not math.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    if not math.isfinite(intercept):
        header.warnings.append("The NIfTI intercept is not a number and was read as 0.")
        return slope, 0.0
    return slope, intercept


def unit_mm(header: NiftiHeader) -> float:
    """Return millimetres per stated unit of length; unknown units are taken as mm."""
    if header.format == ANALYZE:
        unit = header.fields.binaryblock[56:60].split(b"\0")[0].strip().lower()
        return _ANALYZE_UNITS_MM.get(unit, 1.0)
    code = int(header.fields["xyzt_units"]) & _UNIT_BITS
    if code not in _UNITS_MM:
        header.warnings.append("The NIfTI unit of length is not known and was read as mm.")
    return _UNITS_MM.get(code, 1.0)
