"""Checks of encapsulated DICOM pixel data without decoding."""

from __future__ import annotations

import struct
from typing import BinaryIO

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError

_ITEM = (0xFFFE, 0xE000)
_SEQUENCE_END = (0xFFFE, 0xE0DD)

_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""Second bytes of the start-of-frame markers of JPEG (ITU-T T.81, B.1.1.3) and JPEG-LS."""

_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG markers without a length."""


def check_fragments(file: BinaryIO, start: int, frames: int, limits: InputLimits) -> None:
    """Check that encapsulated pixel data is complete and its images are within the limits.

    Parameters
    ----------
    file
        The file; its position changes.
    start
        Offset of the pixel data's value: its first item is the basic offset table (PS3.5, A.4).
    frames
        Number of frames in the header; each frame has at least one fragment.
    limits
        Applied to the image size in each JPEG or JPEG 2000 codestream,
        because a decoder allocates by it and not by the header.

    Raises
    ------
    MedrovError
        ``truncated`` or ``too_large``.
    """
    end = file.seek(0, 2)
    file.seek(start)
    fragments = -1  # the first item is the offset table
    while True:
        head = file.read(8)
        if len(head) < 8 and fragments >= frames and not head:
            return  # only the closing delimiter is missing
        if len(head) < 8:
            raise _truncated(fragments, frames)
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _SEQUENCE_END:
            break
        value_at = file.tell()
        if (group, element) != _ITEM or value_at + length > end:
            raise _truncated(fragments, frames)
        fragments += 1
        if fragments > 0:
            _check_size(codestream_size_hw(file, value_at, length), limits)
        file.seek(value_at + length)
    if fragments < frames:
        raise _truncated(fragments, frames)


def _truncated(fragments: int, frames: int) -> MedrovError:
    return MedrovError(
        ErrorCode.TRUNCATED,
        "The compressed pixel data ends early or is damaged "
        f"({max(fragments, 0)} whole fragments for {frames} frames).",
        "Copy or export the file again.",
    )


def _check_size(size_hw: tuple[int, int] | None, limits: InputLimits) -> None:
    if size_hw is not None and size_hw[0] * size_hw[1] > limits.pixels_per_frame:
        raise MedrovError(
            ErrorCode.TOO_LARGE,
            f"A compressed frame declares {size_hw[0]} x {size_hw[1]} pixels; "
            f"the limit is {limits.pixels_per_frame} pixels.",
            "Export the image at a smaller size.",
        )


def codestream_size_hw(file: BinaryIO, start: int, length: int) -> tuple[int, int] | None:
    """Return the (height, width) in a JPEG, JPEG-LS or JPEG 2000 codestream.

    Null if ``length`` bytes from ``start`` are other data, or a later part of a
    codestream that spans several fragments.
    """
    file.seek(start)
    head = file.read(min(length, 24))
    if head[:4] == b"\xff\x4f\xff\x51" and len(head) == 24:
        right, bottom, left, top = struct.unpack(">4I", head[8:24])  # SIZ: ITU-T T.800, A.5.1
        return max(bottom - top, 0), max(right - left, 0)
    if head[:2] != b"\xff\xd8":
        return None
    return _jpeg_size_hw(file, start + 2, start + length)


def _jpeg_size_hw(file: BinaryIO, position: int, end: int) -> tuple[int, int] | None:
    while position + 9 <= end:
        file.seek(position)
        head = file.read(9)
        if len(head) < 9 or head[0] != 0xFF:
            return None
        marker = head[1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _BARE_MARKERS:
            position += 2
        elif marker in _SIZE_MARKERS:
            height, width = struct.unpack(">HH", head[5:9])
            return height, width
        else:
            position += 2 + struct.unpack(">H", head[2:4])[0]
    return None
