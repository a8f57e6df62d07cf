"""Fragments of encapsulated DICOM pixel data, and their assignment to frames.

pydicom follows an offset table even if it contradicts the fragments. Here the fragments decide, and a table
is used only if they leave a choice (PS3.5, A.4).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.pixels.dicom.codestream import HEAD_BYTES, is_rle, read_stream_header, starts_frame
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata, too_large, truncated_frames

_ITEM = (0xFFFE, 0xE000)
_SEQUENCE_END = (0xFFFE, 0xE0DD)

OFFSETS_WARNING = "The offset table of the compressed pixel data is wrong and was ignored."
EXCESS_WARNING = "The compressed pixel data has more images than Number of Frames; the others were left out."


class Fragment(NamedTuple):
    """Position of the value of a fragment in the file, and its length in bytes."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class EncodedFrames:
    """Compressed frames of a file.

    Attributes
    ----------
    frames
        Fragments of each frame.
    warnings
        Warnings for the user.
    """

    frames: tuple[tuple[Fragment, ...], ...]
    warnings: tuple[str, ...] = ()


def find_frames(
    file: BinaryIO,
    start: int,
    frames: int | None,
    limits: InputLimits,
    extended: tuple[bytes, bytes] | None = None,
) -> EncodedFrames:
    """Find the fragments of each frame, and check that they are complete and within the limits.

    Parameters
    ----------
    file
        The file; its position changes.
    start
        Offset of the pixel data's value: its first item is the basic offset table.
    frames
        Number of frames in the header; null: it is not stated.
    limits
        Applied to the image size in each JPEG or JPEG 2000 codestream, because a decoder allocates by it
        and not by the header.
    extended
        Extended Offset Table and its lengths.

    Raises
    ------
    MedrovError
        ``truncated``, ``too_large`` or ``bad_metadata``.
    """
    table, fragments = _scan(file, start, frames or 1, limits)
    starts = [number for number, fragment in enumerate(fragments) if _begins(file, fragment)]
    base = fragments[0].start - 8
    offsets = [fragment.start - 8 - base for fragment in fragments]
    count = frames or max(len(starts), 1)
    if count > limits.frames:
        raise too_large(f"has {count} frames; the limit is {limits.frames}")
    if len(fragments) < count:
        raise truncated_frames(len(fragments), count)
    stated = _table(table, extended)
    from_table = [offsets.index(at) for at in stated if at in offsets]
    is_valid = len(from_table) == len(stated) == count and from_table[:1] == [0] and _ascends(from_table)
    chosen = _first_fragments(len(fragments), count, starts, from_table if is_valid else None)
    warnings: tuple[str, ...] = () if not stated or chosen == from_table else (OFFSETS_WARNING,)
    if len(chosen) > count:
        chosen, fragments = chosen[:count], fragments[: chosen[count]]
        warnings += (EXCESS_WARNING,)
    ends = [*chosen[1:], len(fragments)]
    groups = tuple(tuple(fragments[first:end]) for first, end in zip(chosen, ends, strict=True))
    return EncodedFrames(groups, warnings)


def _first_fragments(
    fragments: int, frames: int, starts: Sequence[int], table: list[int] | None
) -> list[int]:
    """Return the number of the first fragment of each frame; of more frames if there are more images."""
    if fragments == frames:
        return list(range(frames))
    if len(starts) >= frames and starts[0] == 0 and (frames > 1 or len(starts) > 1):
        return list(starts)
    if frames == 1:
        return [0]
    if table is not None:
        return table
    raise bad_metadata("the fragments of the compressed pixel data cannot be assigned to frames")


def _scan(file: BinaryIO, start: int, frames: int, limits: InputLimits) -> tuple[bytes, list[Fragment]]:
    """Return the basic offset table and all fragments."""
    end = file.seek(0, 2)
    file.seek(start)
    items: list[Fragment] = []
    while True:
        head = file.read(8)
        if len(head) < 8 and len(items) > frames and not head:
            break  # only the closing delimiter is missing
        if len(head) < 8:
            raise truncated_frames(max(len(items) - 1, 0), frames)
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _SEQUENCE_END:
            break
        value_at = file.tell()
        if (group, element) != _ITEM or value_at + length > end:
            raise truncated_frames(max(len(items) - 1, 0), frames)
        if items:
            header = read_stream_header(file.read(min(length, HEAD_BYTES)))
            if header is not None:
                check_size_hw(header.size_hw, limits)
        items.append(Fragment(value_at, length))
        file.seek(value_at + length)
    fragments = [item for item in items[1:] if item.length]
    if len(fragments) < frames:
        raise truncated_frames(len(fragments), frames)
    file.seek(items[0].start)
    return file.read(items[0].length), fragments


def check_size_hw(size_hw: tuple[int, int], limits: InputLimits) -> None:
    """Check the height and width in a codestream.

    Raises
    ------
    MedrovError
        ``too_large``.
    """
    if size_hw[0] * size_hw[1] > limits.pixels_per_frame:
        raise too_large(
            f"has a compressed frame of {size_hw[0]} x {size_hw[1]} pixels; "
            f"the limit is {limits.pixels_per_frame}"
        )


def _begins(file: BinaryIO, fragment: Fragment) -> bool:
    file.seek(fragment.start)
    head = file.read(min(fragment.length, 64))
    return starts_frame(head) or is_rle(head)


def _table(basic: bytes, extended: tuple[bytes, bytes] | None) -> list[int]:
    """Return the stated offsets, of the basic table if it is not empty."""
    if basic:
        return list(struct.unpack(f"<{len(basic) // 4}I", basic[: len(basic) // 4 * 4]))
    if extended is None:
        return []
    return list(struct.unpack(f"<{len(extended[0]) // 8}Q", extended[0][: len(extended[0]) // 8 * 8]))


def _ascends(numbers: Sequence[int]) -> bool:
    return all(first < second for first, second in pairwise(numbers))


def read_frame(file: BinaryIO, fragments: Sequence[Fragment]) -> bytes:
    """Return the encoded bytes of a frame."""
    pieces = []
    for fragment in fragments:
        file.seek(fragment.start)
        pieces.append(file.read(fragment.length))
    return b"".join(pieces)
