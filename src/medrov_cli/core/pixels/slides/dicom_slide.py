"""DICOM whole slides (VL Whole Slide Microscopy): tiles of one or several instances as one image.

The tiles are decoded by the decoders of all DICOM images, so that the same syntaxes, repairs and limits hold.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import count_array, reserve
from medrov_cli.core.pixels.dicom.color import color_to_rgb
from medrov_cli.core.pixels.dicom.decode import StoredFrame, decode_frame
from medrov_cli.core.pixels.dicom.elements import number, numbers
from medrov_cli.core.pixels.dicom.encoding import read_header
from medrov_cli.core.pixels.dicom.file import DicomFile, open_dicom
from medrov_cli.core.pixels.dicom.file_errors import bad_metadata
from medrov_cli.core.pixels.dicom.frame_memory import frame_bytes
from medrov_cli.core.pixels.dicom.header import functional_group, identifiers_of, modality_of
from medrov_cli.core.pixels.dicom.slide_class import is_slide, shows_label
from medrov_cli.core.pixels.greyscale import to_rgb
from medrov_cli.core.pixels.slides.pyramid import PyramidReader, plausible_mpp, whole_or_regions
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.settings.choices import ModalitySource
from medrov_cli.core.settings.io_groups import ReadSettings

_TILES_KEPT = 64
"""Decoded tiles that are kept for each level: neighbouring regions share them."""

_KEPT_BYTES = 64 * 1024**2
"""Largest size of these tiles together, but of one."""

_TILE_BYTES = 64 * 1024**2
"""Largest decoded tile."""


def read_slide(path: str, file: BinaryIO, options: ReadSettings, series: Sequence[str]) -> Iterator[Frame]:
    """Yield the slide of an instance and the other instances of its series.

    Raises
    ------
    MedrovError
        ``NO_PIXELS`` for a label or an overview; ``TOO_LARGE`` for a slide that is to be decoded whole and
        exceeds the limits; the codes of DICOM files.
    """
    header = read_header(file, options.limits).dataset
    if shows_label(header):
        raise MedrovError(
            ErrorCode.NO_PIXELS,
            "The image is a label or an overview of a slide, which can show names; it is not read.",
            "Give the instances of the slide itself.",
        )
    if not _is_plain(path):
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT, "Slides in archives are not read.", "Unpack the archive."
        )
    paths = list(series) or _concatenation(path, header)
    levels = _levels(path, paths, header, options.limits)
    files = [part.file.stream for level in levels for part in level.parts]
    height, width = levels[0].size_hw
    spacing_mm, warnings = _spacing(header)
    frame = Frame.of_size(height, width, path, index=0, frame_count=1)
    modality = modality_of(header)
    frame = replace(
        frame,
        regions=PyramidReader(levels, has_glass=True, files=files),
        pixel_spacing_mm=spacing_mm,
        warnings=warnings,
        modality=modality,
        modality_source=None if modality is None else ModalitySource.DICOM,
        identifiers=identifiers_of(header, patient=options.patient),
    )
    yield whole_or_regions(frame, options)


def _is_plain(path: str) -> bool:
    """Return whether a path is that of a DICOM file, not of an archive, its member or a compressed file."""
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        return is_slide(file, InputLimits())


@dataclass(frozen=True)
class _Tiles:
    """Instance with tiles of a level.

    Attributes
    ----------
    file
        The opened instance.
    frame_at
        Number of the frame of each place (top, left), 0-based pixels.
    """

    file: DicomFile
    frame_at: Mapping[tuple[int, int], int]


@dataclass(frozen=True)
class _Level:
    """Level of a slide: the total pixel matrix of one or several instances."""

    size_hw: tuple[int, int]
    tile_hw: tuple[int, int]
    parts: tuple[_Tiles, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: OrderedDict[tuple[int, int], UInt8Array] = field(default_factory=OrderedDict)

    def read(self, left: int, top: int, width: int, height: int) -> UInt8Array:
        """Return a region; places without a tile are white."""
        found = np.full((height, width, 3), 255, dtype=np.uint8)
        rows, columns = self.tile_hw
        for y in range(top // rows * rows, top + height, rows):
            for x in range(left // columns * columns, left + width, columns):
                tile = self._tile(y, x)
                if tile is None:
                    continue
                y1, x1 = max(y, top), max(x, left)
                y2, x2 = min(y + rows, top + height), min(x + columns, left + width)
                found[y1 - top : y2 - top, x1 - left : x2 - left] = tile[y1 - y : y2 - y, x1 - x : x2 - x]
        return found

    def _tile(self, top: int, left: int) -> UInt8Array | None:
        key = (top, left)
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
            for part in self.parts:
                if key in part.frame_at:
                    found = self._decoded(part, part.frame_at[key])
                    self.kept[key] = found
                    if len(self.kept) > max(1, min(_TILES_KEPT, _KEPT_BYTES // found.nbytes)):
                        self.kept.popitem(last=False)
                    return found
        return None

    def _decoded(self, part: _Tiles, index: int) -> UInt8Array:
        """Return a tile, which is counted in the budget as long as it is kept."""
        with reserve(frame_bytes(part.file), waits=False):
            tile = _to_rgb(part.file, decode_frame(part.file, index))
        count_array(tile)
        return tile


def _to_rgb(file: DicomFile, stored: StoredFrame) -> UInt8Array:
    if stored.values.ndim == 2 and stored.photometric in ("MONOCHROME1", "MONOCHROME2"):
        layout = file.layout
        bits = 8 if layout is None else layout.stored
        grey = (stored.values.astype(np.uint32) * 255 // (2**bits - 1)).astype(np.uint8)
        return to_rgb(255 - grey if stored.photometric == "MONOCHROME1" else grey)
    return color_to_rgb(file, stored.values, stored.photometric)[0]


def _levels(path: str, paths: Sequence[str], header: pydicom.Dataset, limits: InputLimits) -> list[_Level]:
    """Return the levels of the instances of a series, finest first; instances of equal size are one level."""
    opened: dict[tuple[int, int, int, int], list[_Tiles]] = defaultdict(list)
    for one in paths:
        tiles = _open_tiles(one, limits, must_open=one == path)
        if tiles is not None:
            own = tiles.file.header
            key = (_count(own, "TotalPixelMatrixRows"), _count(own, "TotalPixelMatrixColumns"))
            opened[(*key, tiles.file.rows, tiles.file.columns)].append(tiles)
    total = _count(header, "TotalPixelMatrixRows"), _count(header, "TotalPixelMatrixColumns")
    levels = [_Level(key[:2], key[2:], tuple(parts)) for key, parts in opened.items()]
    levels = [level for level in levels if _is_same_view(level.size_hw, total)]
    return sorted(levels, key=lambda level: -level.size_hw[1])


def _is_same_view(size_hw: tuple[int, int], total_hw: tuple[int, int]) -> bool:
    """Return whether a level has the aspect ratio of the slide, within one pixel, and is not larger."""
    expected = total_hw[0] * size_hw[1] / total_hw[1]
    return size_hw[1] <= total_hw[1] and abs(expected - size_hw[0]) <= 1 + size_hw[1] / total_hw[1]


def _open_tiles(path: str, limits: InputLimits, *, must_open: bool) -> _Tiles | None:
    """Return an opened instance; null for a label, an overview, or another instance that cannot be read."""
    file = open(path, "rb")  # noqa: SIM115, PTH123 - open as long as the slide; the path is used unchanged
    try:
        header = read_header(file, limits).dataset
        if shows_label(header):
            file.close()
            return None
        file.seek(0)
        tiles = max(_count(header, "NumberOfFrames", 1), 1)
        wide = replace(limits, frames=max(limits.frames, tiles), inflated_bytes=tiles * _TILE_BYTES)
        opened = open_dicom(file, wide)
        if opened.rows * opened.columns * 3 > _TILE_BYTES:
            raise MedrovError(
                ErrorCode.TOO_LARGE, "The tiles of the slide are too large.", "Export it again."
            )
        rows, columns = _count(header, "TotalPixelMatrixRows"), _count(header, "TotalPixelMatrixColumns")
        if rows * columns > limits.pixels_per_slide:
            raise MedrovError(
                ErrorCode.TOO_LARGE,
                f"The slide has {rows} x {columns} pixels; the limit is {limits.pixels_per_slide}.",
                "Export a coarser level.",
            )
        return _Tiles(opened, _places(opened, rows, columns))
    except MedrovError:
        file.close()
        if must_open:
            raise
        return None


def _places(file: DicomFile, rows: int, columns: int) -> dict[tuple[int, int], int]:
    """Return the frame at each place: as stated (sparse), else by rows of tiles (full, PS3.3, C.7.6.17.3)."""
    header = file.header
    across, down = -(-columns // file.columns), -(-rows // file.rows)
    first = _count(header, "ConcatenationFrameOffsetNumber", 0)
    found: dict[tuple[int, int], int] = {}
    for index in range(file.frames):
        position = functional_group(header, "PlanePositionSlideSequence", index)
        top = number(position, "RowPositionInTotalImagePixelMatrix")
        left = number(position, "ColumnPositionInTotalImagePixelMatrix")
        if top is not None and left is not None:
            place = int(top) - 1, int(left) - 1
        else:
            row, column = divmod((first + index) % (across * down), across)
            place = row * file.rows, column * file.columns
        found.setdefault(place, index)  # the first focal plane and optical path count
    return found


def _concatenation(path: str, header: pydicom.Dataset) -> list[str]:
    """Return the files of the folder with the parts of an instance that was split; else the file alone."""
    uid = header.get("ConcatenationUID")
    if not uid:
        return [path]
    found = []
    for other in sorted(item for item in Path(path).parent.iterdir() if item.is_file()):
        with other.open("rb") as file:
            try:
                if not is_slide(file, InputLimits()):
                    continue
                own = read_header(file, InputLimits()).dataset
            except (MedrovError, EOFError):
                continue
            if own.get("ConcatenationUID") == uid:
                found.append(path if other.samefile(path) else str(other))
    return found or [path]


def _spacing(header: pydicom.Dataset) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    spacing_mm = numbers(functional_group(header, "PixelMeasuresSequence", 0), "PixelSpacing")
    if len(spacing_mm) != 2:
        return None, ()
    return plausible_mpp(spacing_mm[1] * 1000, spacing_mm[0] * 1000)


def _count(header: pydicom.Dataset, keyword: str, default: int | None = None) -> int:
    value = number(header, keyword)
    if value is None and default is not None:
        return default
    if value is None or value < 0 or value != int(value) or (default is None and value < 1):
        raise bad_metadata(f"{keyword} is missing or invalid")
    return int(value)
