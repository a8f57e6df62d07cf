"""Find images that stand in two splits nearly the same: copies, neighbours, the same patient again.

Two steps. Perceptual hashes of 64 bits find candidates among all pairs. What confirms them is the
correlation of their thumbnails *after what all images of their source have in common was taken away*:
two eye grounds of different people correlate by 0.99, since both show a bright disc on black; without
that disc they correlate by less than 0.9, and two pictures of one patient still by more than 0.95.

Not found: mirrored and turned copies, crops, and images of one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medrov_cli.core.boxes import IntArray

MAX_HAMMING = 10
"""Bits of 64 in which the hashes of candidates may differ. Scaling, contrast and strong JPEG change 4."""

MIN_CORRELATION = 0.95
"""Of what is left of two thumbnails. On 7,228 images of nine modalities this keeps no false pair
(12 pairs, seen one by one); scaling, other contrast and strong JPEG leave 0.976 at least."""

_SAME = 0.9995
"""From this correlation of whole thumbnails on, two images are the same, whatever else their source holds."""

_ENOUGH = 16
"""So many images have something in common that is not just one of them."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images that are nearly the same: rows, the first one lower, and their correlation."""

    first: int
    second: int
    correlation: float


def near_duplicates(
    thumbnails: npt.NDArray[np.uint8],
    phashes: npt.NDArray[np.uint64],
    splits: Sequence[str],
    sources: Sequence[str],
    modalities: Sequence[str],
    max_hamming: int = MAX_HAMMING,
    min_correlation: float = MIN_CORRELATION,
) -> list[Pair]:
    """Return, for each image, the one of another split that is most like it, if it is like enough.

    Each pair once, in order of its rows: at most as many as there are images.

    Parameters
    ----------
    thumbnails
        uint8, (n, 32, 32).
    phashes
        uint64, (n,).
    splits, sources, modalities
        Of each image.
    """
    whole = _unit(thumbnails.reshape(len(thumbnails), -1).astype(np.float32))
    rest = _residuals(whole, np.asarray(sources), np.asarray(modalities))
    split = np.asarray(splits)
    found: dict[tuple[int, int], float] = {}
    for row in range(len(whole)):
        near = np.bitwise_count(phashes ^ phashes[row]) <= max_hamming
        others = np.flatnonzero(near & (split != split[row]))
        if not len(others):
            continue
        best, value = _best(row, others, whole, rest, min_correlation)
        if value >= min_correlation:
            found[min(row, best), max(row, best)] = value
    return [Pair(first, second, value) for (first, second), value in sorted(found.items())]


def _best(
    row: int, others: IntArray, whole: Floats, rest: Floats, min_correlation: float
) -> tuple[int, float]:
    """Return the row most like this one, and the correlation."""
    values = rest[others] @ rest[row]
    plain = whole[others] @ whole[row]
    values = np.where(plain >= max(_SAME, min_correlation), np.maximum(values, plain), values)
    at = int(np.argmax(values))
    return int(others[at]), float(values[at])


def _residuals(whole: Floats, sources: npt.NDArray[np.str_], modalities: npt.NDArray[np.str_]) -> Floats:
    """Return the thumbnails without the mean one of their source; of their modality if it is small."""
    common = np.zeros_like(whole)
    for groups in (modalities, sources):  # the source counts more, therefore it comes last
        for group in np.unique(groups):
            mine = groups == group
            if mine.sum() >= _ENOUGH:
                common[mine] = whole[mine].mean(axis=0)
    return _unit(whole - common)


def _unit(rows: Floats) -> Floats:
    """Return rows of mean 0 and length 1; zeros where all values are the same."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-5)
    return unit
