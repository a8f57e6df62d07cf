"""Structure of JPEG 2000 files and codestreams: boxes, sizes, and whether all tiles have their packets.

A decoder allocates by the sizes in a codestream before it finds that there is no data. Here they are read
without decoding (ITU-T T.800, annexes A, B and I; HTJ2K, ITU-T T.814, has the same structure).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

CODESTREAM = b"\xff\x4f\xff\x51"
"""Start of a codestream: the markers SOC and SIZ."""

FILE_START = b"\x00\x00\x00\x0cjP  "
"""Start of a file with boxes."""

_COD, _COC, _POC, _SOT, _SOD, _END = 0x52, 0x53, 0x5F, 0x90, 0x93, 0xD9
_TILE_PART_BYTES = 12
_MAX_TILES = 65_535


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """Sizes in a codestream, in samples of the reference grid.

    Attributes
    ----------
    origin_xy, end_xy
        Corners of the image.
    tile_xy, tile_origin_xy
        Size and position of the tiles.
    components
        Bits (with the sign in the highest bit), and the two steps of each component.
    """

    origin_xy: tuple[int, int]
    end_xy: tuple[int, int]
    tile_xy: tuple[int, int]
    tile_origin_xy: tuple[int, int]
    components: tuple[tuple[int, int, int], ...]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Return height and width; 0 if the corners are in the wrong order."""
        (left, top), (right, bottom) = self.origin_xy, self.end_xy
        return max(bottom - top, 0), max(right - left, 0)

    @property
    def tiles(self) -> int:
        """Return the number of tiles; 0 if their size is 0."""
        if 0 in self.tile_xy:
            return 0
        counts = (
            math.ceil((end - start) / size)
            for end, start, size in zip(self.end_xy, self.tile_origin_xy, self.tile_xy, strict=True)
        )
        return max(math.prod(counts), 0)


def walk_boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, beginning and end of the content of boxes; a codestream without boxes has none."""
    while at + 8 <= end and data[at : at + 4] != CODESTREAM:
        length, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if length == 1:
            if begin + 8 > end:
                return
            (length,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        stop = end if length == 0 else at + length
        if stop < begin:
            return
        yield kind, begin, min(stop, end)
        at = stop


def find_codestream(data: bytes) -> int | None:
    """Return the position of the codestream of a file or of bare data; null without one."""
    if data.startswith(CODESTREAM):
        return 0
    start = next((begin for kind, begin, _ in walk_boxes(data, 0, len(data)) if kind == b"jp2c"), None)
    return start if start is not None and data.startswith(CODESTREAM, start) else None


def read_sizes(data: bytes, start: int) -> ImageSizes:
    """Return the sizes of a codestream (A.5.1).

    Raises
    ------
    struct.error
        The data end before.
    """
    right, bottom, left, top, *tile = struct.unpack_from(">8I", data, start + 8)
    (count,) = struct.unpack_from(">H", data, start + 40)
    components = []
    for number in range(count):
        depth, step_x, step_y = struct.unpack_from(">3B", data, start + 42 + 3 * number)
        components.append((depth, step_x, step_y))
    return ImageSizes((left, top), (right, bottom), (tile[0], tile[1]), (tile[2], tile[3]), tuple(components))


def is_whole(data: bytes, start: int) -> bool:
    """Return whether each tile of a codestream has at least the bytes that its packets need.

    Each resolution of each component has a packet for each precinct, of at least one byte, even if all of
    its samples are zero (B.9 and B.10). Quality layers after the first may be missing.
    """
    try:
        sizes = read_sizes(data, start)
        if not 0 < sizes.tiles <= _MAX_TILES or any(0 in sample[1:] for sample in sizes.components):
            return False
        style, at = _main_header(data, start)
        present = _tile_bytes(data, at)
    except (struct.error, IndexError):
        return False
    if len(present) < sizes.tiles:
        return False
    packets = len(sizes.components) if style is None else _packets(sizes, style)
    return all(count >= packets for count in present.values())


def _main_header(data: bytes, start: int) -> tuple[bytes | None, int]:
    """Return the coding style of all tiles, null if parts have their own, and where the tile-parts begin."""
    style: bytes | None = None
    has_exceptions = False
    at = start + 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:
            raise IndexError
        if kind == _SOT:
            return (None if has_exceptions else style), at
        if kind == _COD:
            style = data[at + 4 : at + 2 + length]
        has_exceptions |= kind in (_COC, _POC)
        at += 2 + max(length, 2)


def _tile_bytes(data: bytes, at: int) -> dict[int, int]:
    """Return the number of bytes behind the start of the tile-parts of each tile.

    Raises
    ------
    IndexError
        A tile-part ends behind the data, or is none.
    """
    found: dict[int, int] = {}
    while at + _TILE_PART_BYTES <= len(data) and data[at : at + 2] == b"\xff\x90":
        tile, length = struct.unpack_from(">HI", data, at + 4)
        end = len(data) if length == 0 else at + length
        if end > len(data) or end < at + _TILE_PART_BYTES:
            raise IndexError
        body = data.find(b"\xff\x93", at + _TILE_PART_BYTES, end)
        if body < 0:
            raise IndexError
        has_end = length == 0 and data[end - 2 : end] == b"\xff\xd9"
        header_bytes = body - at - _TILE_PART_BYTES  # packet headers may be there (PPT)
        found[tile] = found.get(tile, 0) + header_bytes + end - body - 2 - 2 * has_end
        at = end
    return found


def _packets(sizes: ImageSizes, style: bytes) -> int:
    """Return the number of packets of one layer of the only tile (A.6.1), or a lower bound for several.

    Tiles at the edges can be so small that only one packet of each component counts.
    """
    levels = style[5]
    if sizes.tiles > 1:
        return len(sizes.components)
    has_precincts = style[0] & 1
    (left, top), (right, bottom) = sizes.origin_xy, sizes.end_xy
    count = 0
    for _, step_x, step_y in sizes.components:
        for level in range(levels + 1):
            exponents = style[10 + level] if has_precincts else 0xFF
            scale = 1 << (levels - level)
            count += _precincts(left, right, step_x * scale, exponents & 15) * _precincts(
                top, bottom, step_y * scale, exponents >> 4
            )
    return count


def _precincts(start: int, end: int, step: int, exponent: int) -> int:
    """Return the number of precincts of a resolution along one axis (B.6)."""
    first, last = -(-start // step), -(-end // step)
    return -(-last // (1 << exponent)) - first // (1 << exponent) if last > first else 0
