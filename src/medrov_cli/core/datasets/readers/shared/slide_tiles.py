"""Units of annotated slides: tiles without overlap, each with the boxes that lie in it.

A tile has the boxes that lie in it by at least a quarter, cut to it, as in the sources of the training, and
those that cover at least a quarter of it: objects may be larger than four tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from medrov_cli.core.datasets.box_forms import as_box
from medrov_cli.core.datasets.cases import case_in_path, local_case
from medrov_cli.core.datasets.class_rules import is_object_name
from medrov_cli.core.datasets.readers.protocol import Reading, Unit
from medrov_cli.core.datasets.readers.shared.raster_files import file_stems
from medrov_cli.core.datasets.slides.objects import SlideObjects
from medrov_cli.core.datasets.slides.pairs import AnnotatedSlide, SlideList
from medrov_cli.core.datasets.split_names import split_named
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.pixels.slides.tissue_mask import tissue_mask
from medrov_cli.core.records.annotations import AnnotatedImage, Annotation
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.data_convert import ReaderSettings
from medrov_cli.core.settings.io_groups import ReadSettings

SMALLEST_SHARE = 0.25
"""Share of a box's area inside a tile from which it counts on the tile (as in MoNuSeg's tiles).

A box that covers this share of the tile counts, too."""

_DIGITS = 2

Tile = tuple[int, int, int, int]
"""Left, top, width and height."""


def tile_reading(found: SlideList, config: ReaderSettings) -> Reading:
    """Return one unit for each annotation file."""
    names = file_stems([slide.file for slide in found.slides])
    units = tuple(_unit(slide, names[slide.file], config) for slide in found.slides)
    return Reading(units, (), found.warnings)


def _unit(annotated: AnnotatedSlide, name: str, config: ReaderSettings) -> Unit:
    def images_of() -> Iterator[AnnotatedImage]:
        objects = annotated.read(())
        frame = next(iter(read_frames(str(annotated.slide), ReadSettings(by_region=True))))
        objects.require_inside(frame.width, frame.height)
        given = case_in_path(annotated.file, config.case)
        case = given or annotated.case or local_case(config.source, name)
        split = split_named(PurePosixPath(annotated.file).parent.name)
        spacing_mm = frame.pixel_spacing_mm
        mpp = None if spacing_mm is None else sum(spacing_mm) / 2 * 1000
        tiles = [(place, _rows_on_tile(objects, place)) for place in _tiles(frame, config.tile)]
        warnings = (*objects.warnings, *_left_out(objects, [rows for _, rows in tiles]))
        for number, ((left, top, width, height), rows) in enumerate(tiles):
            yield AnnotatedImage(
                name=f"{name}-{left}-{top}",
                height=height,
                width=width,
                annotations=_on_tile(objects, rows, (left, top, width, height)),
                read=_reader(frame, (left, top, left + width, top + height)),
                case=case,
                split=split,
                warnings=warnings if number == 0 else (),
                mpp=mpp,
            )

    return Unit(annotated.file, images_of)


def _reader(frame: Frame, box: tuple[int, int, int, int]) -> Any:
    return lambda: frame.read_region(box, (box[3] - box[1], box[2] - box[0]))


def _tiles(frame: Frame, side: int) -> Iterator[Tile]:
    """Yield left, top, width and height of the tiles with tissue; of images that are no slides, of all."""
    mask = None
    if frame.regions is not None and frame.regions.has_glass:
        mask = tissue_mask(frame, (0, 0, frame.width, frame.height))
    for top in range(0, frame.height, side):
        for left in range(0, frame.width, side):
            width, height = min(side, frame.width - left), min(side, frame.height - top)
            if mask is not None:
                rows, columns = mask.shape[0] / frame.height, mask.shape[1] / frame.width
                y, x = int(top * rows), int(left * columns)
                if not mask[y : int((top + height) * rows) + 1, x : int((left + width) * columns) + 1].any():
                    continue
            yield left, top, width, height


def _rows_on_tile(objects: SlideObjects, tile: Tile) -> IntArray:
    """Return the rows of the objects that count on a tile."""
    boxes = objects.boxes_xyxy
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-9)
    common = _cut(boxes, tile)[1].prod(1)
    return np.flatnonzero(common >= SMALLEST_SHARE * np.minimum(areas, tile[2] * tile[3]))


def _on_tile(objects: SlideObjects, rows: IntArray, tile: Tile) -> tuple[Annotation, ...]:
    """Return some objects, cut to a tile, in its pixels."""
    low, sides = _cut(objects.boxes_xyxy[rows], tile)
    numbers = np.hstack((low - tile[:2], sides)).tolist()
    return tuple(
        Annotation(objects.names[row], as_box([round(own, _DIGITS) for own in box]))
        for row, box in zip(rows.tolist(), numbers, strict=True)
    )


def _cut(boxes_xyxy: FloatArray, tile: Tile) -> tuple[FloatArray, FloatArray]:
    """Return left and top, and width and height, (n, 2) each, of boxes cut to a tile."""
    left, top, width, height = tile
    low = np.maximum(boxes_xyxy[:, :2], (left, top))
    return low, np.maximum(np.minimum(boxes_xyxy[:, 2:], (left + width, top + height)) - low, 0)


def _left_out(objects: SlideObjects, rows: Sequence[IntArray]) -> list[str]:
    """Return the number of the objects on no tile, for the user."""
    left = set(range(len(objects.names))).difference(*(own.tolist() for own in rows))
    count = sum(is_object_name(objects.names[row]) for row in left)
    return [f"{count} object(s) count on no tile and were left out"] if count else []
