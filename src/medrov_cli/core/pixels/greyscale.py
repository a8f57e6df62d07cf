"""Conversion of stored values to 8-bit grey: lookup tables, windows and ranges as pure functions.

They are written by hand because pydicom's functions compute every pixel in float64 and raise on invalid
windows. Here each distinct integer is converted once, and the functions also serve NIfTI, PNG and TIFF.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.frame import UInt8Array

Values = npt.NDArray[Any]
"""Stored or rescaled values of any real dtype and any shape."""

PERCENTILES = (0.5, 99.5)
"""Percentiles of an image's values that become 0 and 255, in every format."""

_HU_AIR = (-1200.0, -700.0)
_HU_SOFT = (-200.0, 300.0)
_HU_SHARE = 0.01
"""Values are treated as HU if at least this fraction of them is air or lung, and the same fraction is fat or
soft tissue (ranges in HU, chosen here and checked on CT and MR volumes)."""

_HU_TISSUE = (10.0, 70.0)
_HU_SPREAD = 45.0
_HU_BONE = (300.0, 3100.0)
_HU_BONE_SHARE = 0.005
_HU_FLAT_SHARE = 0.1
"""Without air, values are treated as HU if their median is that of soft tissue, half of them lie within this
spread, some are bone, none is above bone or below air, and there is no flat background as in MR."""

_MISSING = 1e30
"""Absolute value from which a float stands for a missing pixel; programs use -1e30 or the lowest float."""

_TABLE_ENTRIES = 1 << 17
"""Maximum range of integers for a conversion once per value instead of once per pixel."""


IDENTITY = (1.0, 0.0)
"""Slope and intercept without rescaling."""


class VoiFunction(StrEnum):
    """Function of a window from values to grey (VOI LUT Function, PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class LookupTable:
    """Modality or VOI lookup table (PS3.3 C.11.1.1 and C.11.2.1.1).

    Attributes
    ----------
    entries
        Unsigned integers, (count,).
    first_mapped
        Input value of the first entry, which also applies to smaller values; the last entry applies to
        values beyond the table.
    bits
        Bits per entry: outputs range from 0 to 2 ** bits - 1.
    """

    entries: npt.NDArray[np.uint16]
    first_mapped: int
    bits: int

    def apply(self, values: Values) -> npt.NDArray[np.uint16]:
        """Return the entries of values, in their shape."""
        indices = np.rint(np.asarray(values, dtype=np.float64) - self.first_mapped)
        return self.entries[np.clip(indices, 0, len(self.entries) - 1).astype(np.intp)]


def rescale(stored: Values, slope: float, intercept: float) -> Values:
    """Return ``stored * slope + intercept``; the stored values if that is the identity."""
    if (slope, intercept) == IDENTITY:
        return stored
    return np.asarray(stored, dtype=np.float64) * slope + intercept


def apply_window(
    values: Values, center: float, width: float, function: VoiFunction = VoiFunction.LINEAR
) -> UInt8Array:
    """Map values to 0..255 by a window, rounded to the nearest integer.

    Parameters
    ----------
    values
        Any shape, in the units of ``center`` and ``width``; NaN becomes 0.
    center, width
        Of the window. ``LINEAR`` requires a width of at least 1; a smaller width is treated as
        ``LINEAR_EXACT``, which differs by the half-unit shift of integers only.
    function
        LINEAR and LINEAR_EXACT clip outside the window; SIGMOID approaches its ends.

    Returns
    -------
    ndarray
        uint8, same shape.
    """
    with np.errstate(all="ignore"):  # NaN and infinity are replaced at the end
        x = np.asarray(values, dtype=np.float64)
        if function is VoiFunction.SIGMOID:
            grey = 255.0 / (1.0 + np.exp(-4.0 * (x - center) / width))
        elif function is VoiFunction.LINEAR and width >= 1:
            grey = _ramp(x, center - 0.5, width - 1.0)
        else:
            grey = _ramp(x, center, width)
    return np.rint(np.nan_to_num(grey, nan=0.0)).astype(np.uint8)


def _ramp(x: npt.NDArray[np.float64], middle: float, width: float) -> npt.NDArray[np.float64]:
    if width == 0:
        return np.where(x > middle, 255.0, 0.0)
    return np.clip((x - middle) / width + 0.5, 0.0, 1.0) * 255.0


def apply_range(values: Values, low: float, high: float) -> UInt8Array:
    """Map ``low`` to 0 and ``high`` to 255 linearly; an empty range gives zeros."""
    if not high > low:
        return np.zeros(np.shape(values), dtype=np.uint8)
    return apply_window(values, *center_width(low, high), VoiFunction.LINEAR_EXACT)


def center_width(low: float, high: float) -> tuple[float, float]:
    """Return the centre and width of the window from ``low`` to ``high``."""
    return low / 2 + high / 2, high - low


def full_range(values: Values) -> tuple[float, float]:
    """Return the smallest and the largest real value; zeros without any."""
    finite = _real(values)
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def percentile_range(values: Values) -> tuple[float, float]:
    """Return the values at `PERCENTILES`, or the full range if these are equal."""
    finite = _real(values)
    if not finite.size:
        return 0.0, 0.0
    low, high = (float(value) for value in np.percentile(finite, PERCENTILES))
    return (low, high) if high > low else full_range(finite)


def looks_like_hu(values: Values) -> bool:
    """Return whether values of any shape are Hounsfield units: of air and soft tissue, or of tissue alone."""
    if not values.size:
        return False
    shares = [_share(values, *_HU_AIR), _share(values, *_HU_SOFT)]
    return min(shares) >= _HU_SHARE or _is_tissue_alone(values)


def _is_tissue_alone(values: Values) -> bool:
    low, high = full_range(values)
    if low < _HU_AIR[0] or high > _HU_BONE[1] or _share(values, *_HU_BONE) < _HU_BONE_SHARE:
        return False
    lower, middle, upper = (float(value) for value in np.percentile(_real(values), (25, 50, 75)))
    is_tissue = _HU_TISSUE[0] <= middle <= _HU_TISSUE[1] and upper - lower <= _HU_SPREAD
    return is_tissue and _share(values, low, low) <= _HU_FLAT_SHARE


def _share(values: Values, low: float, high: float) -> float:
    return float(np.count_nonzero((values >= low) & (values <= high)) / values.size)


def _real(values: Values) -> Values:
    """Return values without those that stand for missing pixels: not finite, or above `_MISSING`."""
    if not np.issubdtype(values.dtype, np.inexact):
        return values
    limit = min(_MISSING, float(np.finfo(values.dtype).max))
    with np.errstate(invalid="ignore"):
        return values[np.abs(values) < limit]


def map_values(stored: Values, chain: Callable[[Values], UInt8Array]) -> UInt8Array:
    """Apply an elementwise function to stored values, once per distinct integer if that is faster.

    Parameters
    ----------
    stored
        Any shape. Integers of a narrow range are mapped by a table, with the same result.
    chain
        Elementwise function of an array of values to uint8 of the same shape.
    """
    if not stored.size or not np.issubdtype(stored.dtype, np.integer):
        return chain(stored)
    low, high = int(stored.min()), int(stored.max())
    if high - low >= min(_TABLE_ENTRIES, stored.size) or high > np.iinfo(np.int64).max:
        return chain(stored)
    table = chain(np.arange(low, high + 1))
    return table[np.subtract(stored, low, dtype=np.int64)]


def to_rgb(grey: UInt8Array) -> UInt8Array:
    """Convert a grey image of shape (height, width) to C-contiguous RGB."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(grey), cv2.COLOR_GRAY2RGB), dtype=np.uint8)
