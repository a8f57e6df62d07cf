"""Comparison of DICOM files with one SOP Instance UID."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.budget import reserve
from medrov_cli.core.pixels.dicom.decode import decode_frame
from medrov_cli.core.pixels.dicom.file import open_dicom
from medrov_cli.core.pixels.dicom.frame_memory import frame_bytes
from medrov_cli.core.pixels.quiet import silence_python
from medrov_cli.core.pixels.source import open_source

_CHUNK_BYTES = 1 << 20


def is_same_image(first: str, second: str, limits: InputLimits) -> bool:
    """Return whether two files have equal bytes or equal decoded pixels; false if one cannot be decoded."""
    silence_python()
    try:
        return _same_bytes(first, second, limits) or _same_pixels(first, second, limits)
    except Exception:  # noqa: BLE001 - damaged files raise any exception; reading the file reports it
        return False


def _same_bytes(first: str, second: str, limits: InputLimits) -> bool:
    with open_source(first, limits) as one, open_source(second, limits) as other:
        while True:
            chunk = one.file.read(_CHUNK_BYTES)
            if chunk != other.file.read(_CHUNK_BYTES):
                return False
            if not chunk:
                return True


def _same_pixels(first: str, second: str, limits: InputLimits) -> bool:
    with open_source(first, limits) as one, open_source(second, limits) as other:
        files = open_dicom(one.file, limits), open_dicom(other.file, limits)
        if files[0].frames != files[1].frames:
            return False
        with reserve(sum(map(frame_bytes, files))):
            return all(
                np.array_equal(decode_frame(files[0], index).values, decode_frame(files[1], index).values)
                for index in range(files[0].frames)
            )
