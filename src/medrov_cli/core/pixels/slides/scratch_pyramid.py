"""Pyramid on the disk of an image that can be read from top to bottom alone.

Temporary files without names hold the rows and three coarser levels; they need 3.2 bytes a pixel and end with
the process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.slides.pyramid import PyramidReader
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.image_regions import resize

BAND_ROWS = 64
"""Rows of a band: one row of the coarsest level."""

_FACTORS = (1, 4, 16, 64)


@dataclass(frozen=True)
class _FileLevel:
    """Level in a file, row after row."""

    file: BinaryIO
    size_hw: tuple[int, int]

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        """Return a region."""
        row_bytes = self.size_hw[1] * 3
        rows = [
            os.pread(self.file.fileno(), width * 3, row * row_bytes + left * 3)
            for row in range(top, top + height)
        ]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(height, width, 3)


def build_pyramid(bands: Iterable[UInt8Array], height: int, width: int) -> PyramidReader:
    """Return the reader of an image from its bands of ``BAND_ROWS`` rows, uint8, (rows, width, 3).

    Raises
    ------
    MedrovError
        ``TOO_LARGE`` if the folder of temporary files has too little space.
    """
    factors = [factor for factor in _FACTORS if min(height, width) >= factor]
    sizes = [(-(-height // factor), -(-width // factor)) for factor in factors]
    needed = sum(3 * rows * columns for rows, columns in sizes)
    if shutil.disk_usage(tempfile.gettempdir()).free < needed:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"The image needs {needed / 1e9:.1f} GB of temporary space, which is not free.",
            "Export it in tiles, or set TMPDIR to a larger disk.",
        )
    files = [cast(BinaryIO, tempfile.TemporaryFile()) for _ in factors]  # noqa: SIM115 - open for the levels
    reader = PyramidReader(
        [_FileLevel(file, size) for file, size in zip(files, sizes, strict=True)], files=files
    )
    for band in bands:
        for factor, (_, columns), file in zip(factors, sizes, files, strict=True):
            rows = -(-band.shape[0] // factor)
            file.write(np.ascontiguousarray(resize(band, (rows, columns))).tobytes())
    for file in files:
        file.flush()
    return reader
