"""Page of a TIFF file as a level of a pyramid: tiles, strips, and the rows of uncompressed strips."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tifffile

from medrov_cli.core.pixels.budget import reserve
from medrov_cli.core.pixels.tiff_pages import look_up_palette
from medrov_cli.core.records.frame import UInt8Array

_DECODING_COPIES = 2


def segment_bytes(page: Any) -> int:
    """Return the bytes of a decoded segment of 8 bits."""
    rows, columns = _segment_size(page)
    return rows * columns * int(page.samplesperpixel)


def _segment_size(page: Any) -> tuple[int, int]:
    """Return rows and columns of a segment: a tile, a strip, or a row of an uncompressed strip."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return 1 if _has_raw_rows(page) else _rows_per_strip(page), int(page.imagewidth)


def _rows_per_strip(page: Any) -> int:
    return int(min(page.rowsperstrip, page.imagelength))


def _has_raw_rows(page: Any) -> bool:
    """Return whether each row of a strip can be read alone: uncompressed, with the usual order of bits."""
    return bool(not page.is_tiled and page.compression == 1 and page.predictor == 1 and page.fillorder == 1)


@dataclass(frozen=True)
class PageLevel:
    """Page with 8-bit grey, palette or RGB pixels; its segments are decoded on request."""

    page: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Return height and width."""
        return self.page.imagelength, self.page.imagewidth

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        """Return a region; segments without data are white."""
        page = self.page
        rows, columns = _segment_size(page)
        across = -(-page.imagewidth // columns)
        found = np.full((height, width, page.samplesperpixel), 255, dtype=np.uint8)
        for row in range(top // rows, (top + height - 1) // rows + 1):
            for column in range(left // columns, (left + width - 1) // columns + 1):
                segment = self._kept_segment(row * across + column)
                if segment is None:
                    continue
                y, x = row * rows, column * columns
                y1, x1 = max(y, top), max(x, left)
                y2 = min(y + segment.shape[0], top + height)
                x2 = min(x + segment.shape[1], left + width)
                found[y1 - top : y2 - top, x1 - left : x2 - left] = segment[y1 - y : y2 - y, x1 - x : x2 - x]
        return _as_rgb(page, found)

    def _kept_segment(self, number: int) -> np.ndarray | None:
        """Return a segment; the last strip is kept, because a strip can have more rows than a band."""
        if self.page.is_tiled:
            return self._segment(number)
        if _has_raw_rows(self.page):
            return self._row(number)
        if number not in self.kept:
            found = self._segment(number)
            self.kept.clear()
            if found is None:
                return None
            self.kept[number] = found
        return self.kept[number]

    def _row(self, number: int) -> np.ndarray | None:
        """Return a row of an uncompressed strip."""
        page = self.page
        strip, row = divmod(number, _rows_per_strip(page))
        row_bytes = segment_bytes(page)
        if not page.databytecounts[strip]:
            return None
        if (row + 1) * row_bytes > page.databytecounts[strip]:
            raise EOFError
        data = self._bytes(page.dataoffsets[strip] + row * row_bytes, row_bytes)
        return np.frombuffer(data, np.uint8).reshape(1, page.imagewidth, page.samplesperpixel)

    def _segment(self, number: int) -> np.ndarray | None:
        page = self.page
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        if not count:
            return None
        with reserve(count + _DECODING_COPIES * segment_bytes(page), waits=False):
            decoded = page.decode(self._bytes(offset, count), number, jpegtables=page.jpegtables)[0]
        return None if decoded is None else np.asarray(decoded[0])

    def _bytes(self, offset: int, count: int) -> bytes:
        with self.lock:
            file = self.page.parent.filehandle
            file.seek(offset)
            data: bytes = file.read(count)
        if len(data) < count:
            raise EOFError
        return data


def _as_rgb(page: Any, values: np.ndarray) -> UInt8Array:
    if values.shape[2] >= 3:
        return np.ascontiguousarray(values[..., :3])
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        return look_up_palette(page, values[..., 0])
    grey = 255 - values if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else values
    return np.ascontiguousarray(np.broadcast_to(grey, (*grey.shape[:2], 3)))
