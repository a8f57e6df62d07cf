"""Statistics of the values of a DICOM series, so that its slices have one grey range, as in a volume file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock

import numpy as np

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.budget import reserve
from medrov_cli.core.pixels.dicom.decode import decode_frame
from medrov_cli.core.pixels.dicom.file import open_dicom
from medrov_cli.core.pixels.dicom.frame_memory import frame_bytes
from medrov_cli.core.pixels.dicom.grey import ValueStatistics
from medrov_cli.core.pixels.dicom.scale import grey_scale
from medrov_cli.core.pixels.greyscale import Values, looks_like_hu, percentile_range
from medrov_cli.core.pixels.source import open_source, signature

SAMPLED_FRAMES = 24
"""Maximum number of frames of a series that are decoded for its statistics, evenly spaced."""

_SAMPLED_VALUES = 2_000_000
"""Maximum number of values of these frames; above it an even sample is used."""

_CACHED_SERIES = 4

_lock = Lock()


def series_statistics(paths: tuple[str, ...], limits: InputLimits) -> ValueStatistics:
    """Return the statistics of the values of up to `SAMPLED_FRAMES` frames; files that fail are left out.

    They depend on the files alone, not on the one that is read, so that all slices have the same grey range.

    Parameters
    ----------
    paths
        Files of the series, in order.
    limits
        As for reading.
    """
    with _lock:  # several threads read slices of one series: it is sampled once
        return _statistics(paths, limits, tuple(map(signature, {paths[0], paths[-1]})))


@lru_cache(maxsize=_CACHED_SERIES)
def _statistics(
    paths: tuple[str, ...], limits: InputLimits, _signatures: tuple[object, ...]
) -> ValueStatistics:
    step = math.ceil(len(paths) / SAMPLED_FRAMES)
    chosen = paths[::step]
    frames_per_file = max(SAMPLED_FRAMES // len(chosen), 1)
    samples = [values for path in chosen for values in _sample(path, frames_per_file, limits)]
    values = np.concatenate(samples) if samples else np.zeros(0)
    return ValueStatistics(*percentile_range(values), looks_like_hu(values))


def _sample(path: str, count: int, limits: InputLimits) -> Iterator[Values]:
    """Yield the values of some frames of a file, as float64 (n,)."""
    try:
        with open_source(path, limits) as source:
            file = open_dicom(source.file, limits)
            for index in range(0, file.frames, math.ceil(file.frames / count)):
                with reserve(frame_bytes(file)):
                    stored = decode_frame(file, index).values
                    if stored.ndim != 2:
                        continue
                    values = grey_scale(file, index).image_values(stored).reshape(-1)
                    sample = values[:: _step(values.size, stored.shape[1])].astype(np.float64)
                    del stored, values
                yield sample
    except Exception:  # noqa: BLE001 - damaged files raise any exception; reading this file reports it
        return


def _step(size: int, columns: int) -> int:
    """Return the step of an even sample that visits all columns."""
    step = math.ceil(size * SAMPLED_FRAMES / _SAMPLED_VALUES)
    while math.gcd(step, columns) > 1:
        step += 1
    return step
