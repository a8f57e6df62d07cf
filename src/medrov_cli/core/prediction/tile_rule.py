"""Rule of tiles: whether an image is cut, at which scale, and what the record says about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.prediction.tile_grid import EDGE_PX, LEVEL_FACTOR, TileGrid, TilePlan
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.records.tiling import Box
from medrov_cli.core.settings.tile_groups import MIN_TILE_PX, TileJob, TileMode
from medrov_cli.core.settings.values import Shard
from medrov_cli.core.weights.metadata import WeightsMetadata

DEFAULT_MPP = 0.36
"""Micrometres per pixel of the model's input for slides, if the weights state none: MoNuSeg's 500 pixels of
0.25 um in an input of 352."""

DEFAULT_TILE_PX = 512
"""Side of a tile of an image of unknown scale: about that of the histology tiles of the training."""

AUTO_SIDE_PX = 8000
"""Longer side above which an image that is no slide is cut: no radiograph has it (the largest mammograms
have 5,928 pixels)."""

AUTO_RATIO = 2.0
"""Number of tile sides in the longer side of an image from which it is cut."""

MOST_ENLARGED = 4.0
"""Largest ratio of the pixels of an image to those of the model's input at training: objects of a class that
was trained at a finer scale cannot be made out in the image, and its tiles would be without number."""

WHOLE_OBJECT_SHARE = 0.25
"""Median side of a class, as a share of the model's input at training, above which it fills the image: an
image of unknown scale is not cut for it."""


@dataclass(frozen=True, slots=True)
class ClassScale:
    """Scale of a class at training.

    Attributes
    ----------
    mpp
        Micrometres per pixel of the model's input; null if it is unknown.
    object_px
        Median side of its objects, in pixels of the model's input; null if it is unknown.
    """

    mpp: float | None = None
    object_px: float | None = None


def class_scales(
    texts: Sequence[Sequence[str]], metadata: WeightsMetadata, kinds: Sequence[Sequence[str]] = ()
) -> tuple[ClassScale, ...]:
    """Return the scale of each class at training; an unknown one for texts that are no class of the weights.

    Parameters
    ----------
    texts
        Of each class: its name and synonyms.
    metadata
        Metadata of the weights.
    kinds
        Of each class: the classes of the weights that stand for it; the finest scale and the smallest objects
        of them count. Empty: none does.
    """
    known = {
        text: ClassScale(entries[0].mpp, entries[0].object_px)
        for text, entries in metadata.entries_by_text().items()
    }
    scales = []
    for own, below in zip(texts, kinds or ((),) * len(texts), strict=True):
        if below:
            found = [known[name.casefold()] for name in below]
            scales.append(
                ClassScale(_least(one.mpp for one in found), _least(one.object_px for one in found))
            )
        else:
            names = (text.casefold() for text in own)
            scales.append(next((known[name] for name in names if name in known), ClassScale()))
    return tuple(scales)


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Side of the finest tile in source pixels, the reason, and the finest level of each class."""

    side: int
    reason: str
    first_levels: np.ndarray


def plan_tiles(
    frame: Frame, imgsz: int, scales: Sequence[ClassScale], job: TileJob | None, input_px: int | None = None
) -> TilePlan | None:
    """Return the tiles of an image; null if it is searched whole.

    Parameters
    ----------
    frame
        The image.
    imgsz
        Side of the model input, in pixels.
    scales
        Scale of each class at training.
    job
        Settings of tiles; null: no image is cut.
    input_px
        Side of the model input for the finest level, in pixels; null: ``imgsz``. Scale and overlap do not
        depend on it, except for rounding.

    Raises
    ------
    MedrovError
        ``BAD_METADATA`` if ``--mpp`` is given and the scale of the image is unknown, or if the region lies
        outside of the image.
    """
    if job is None or job.settings.tile.mode is TileMode.OFF:
        return None
    image = (0, 0, frame.width, frame.height)
    settings = job.settings
    region = frame.search_xyxy or image if settings.region is None else _region(job, frame)
    scale = _scale(frame, imgsz, scales, job)
    is_part = settings.region is not None or frame.search_xyxy is not None
    is_asked = settings.tile.mode is TileMode.SIZE or settings.mpp is not None or is_part
    longest = max(frame.width, frame.height)
    if scale is None or not (is_asked or frame.regions is not None or longest > AUTO_RATIO * scale.side):
        return None
    mpp = frame_mpp(frame)
    grids = _grids(frame, region, scale, settings.overlap, imgsz, input_px or imgsz)
    strip, numbers = region, tuple(tuple(range(len(grid))) for grid in grids)
    if job.shard is not None:
        strip = _strip(region, job.shard)
        numbers = tuple(tuple(grid.numbers_in(_grow(strip, grid.side, image))) for grid in grids)
    return TilePlan(
        grids=grids,
        region=strip,
        numbers=numbers,
        rule=scale.reason if input_px is None else f"{scale.reason}; model input of {input_px} pixels",
        first_levels=np.minimum(scale.first_levels, len(grids) - 1),
        mpp=None if mpp is None else mpp * scale.side / imgsz,
        shard=None if job.shard is None else str(job.shard),
    )


def frame_mpp(frame: Frame) -> float | None:
    """Return the micrometres per pixel of an image, the mean of both axes; null if they are unknown."""
    if frame.pixel_spacing_mm is None:
        return None
    return sum(frame.pixel_spacing_mm) / 2 * 1000


def _scale(frame: Frame, imgsz: int, scales: Sequence[ClassScale], job: TileJob) -> _Scale | None:
    """Return the scale of the finest tiles; null if the image is not cut."""
    settings = job.settings
    one_level = np.zeros(len(scales), dtype=np.int64)
    if settings.tile.side is not None:
        return _Scale(settings.tile.side, "--tile", one_level)
    mpp = frame_mpp(frame)
    if settings.mpp is not None:
        if mpp is None:
            raise MedrovError(
                ErrorCode.BAD_METADATA,
                "The image does not state the size of its pixels, which --mpp needs.",
                "Give --tile with the side of a tile in pixels.",
            )
        side = _side(imgsz, settings.mpp, mpp)
        if side < MIN_TILE_PX:
            raise MedrovError(
                ErrorCode.BAD_METADATA,
                f"--mpp {settings.mpp:g} makes tiles of {side} pixels, because a pixel has {mpp:.3g} um; "
                f"the smallest tile has {MIN_TILE_PX}.",
                "Give a larger --mpp, or --tile.",
            )
        return _Scale(side, "--mpp", one_level)
    trained = np.array([np.nan if scale.mpp is None else scale.mpp for scale in scales])
    if mpp is not None:
        trained[trained < mpp / MOST_ENLARGED] = np.nan
    if mpp is not None and np.isfinite(trained).any():
        finest = float(np.nanmin(trained))
        steps = np.log(np.where(np.isfinite(trained), trained, finest) / finest) / np.log(LEVEL_FACTOR)
        reason = f"auto: {finest:.3g} um per pixel of the model input, as in the training of the classes"
        return _Scale(_side(imgsz, finest, mpp), reason, np.floor(steps + 1e-9).astype(np.int64))
    if frame.regions is not None and mpp is not None:
        reason = f"auto: slide, {DEFAULT_MPP} um per pixel of the model input (scale of training unknown)"
        return _Scale(_side(imgsz, DEFAULT_MPP, mpp), reason, one_level)
    sizes = [scale.object_px for scale in scales if scale.object_px is not None]
    is_huge = max(frame.width, frame.height) > AUTO_SIDE_PX
    if frame.regions is None and (not is_huge or (sizes and np.median(sizes) > WHOLE_OBJECT_SHARE * imgsz)):
        return None
    what = "slide" if frame.regions is not None else f"longer side above {AUTO_SIDE_PX} pixels"
    return _Scale(DEFAULT_TILE_PX, f"auto: {what}, size of the pixels unknown", one_level)


def _side(imgsz: int, model_mpp: float, mpp: float) -> int:
    return max(1, round(imgsz * model_mpp / mpp))


def _grids(
    frame: Frame, region: Box, scale: _Scale, overlap: float, imgsz: int, input_px: int
) -> tuple[TileGrid, ...]:
    """Return the levels, finest first: up to the one whose tile contains the region."""
    image = (0, 0, frame.width, frame.height)
    longest = max(region[2] - region[0], region[3] - region[1])
    side = scale.side
    grids = []
    while True:
        edge = round(EDGE_PX * side / imgsz)
        margin = min(max(1, round(side * overlap)) + 2 * edge + 2, side // 2)
        area = _grow(region, margin, image) if region != image else image
        grids.append(TileGrid.fit(area, round(side * input_px / imgsz), margin, input_px))
        input_px = imgsz  # objects of coarser levels can be as large as the region
        if side >= max(longest, area[2] - area[0], area[3] - area[1]):
            return tuple(grids)
        side = min(side * LEVEL_FACTOR, max(frame.width, frame.height))


def _grow(box: Box, margin: int, image: Box) -> Box:
    return (
        max(box[0] - margin, image[0]),
        max(box[1] - margin, image[1]),
        min(box[2] + margin, image[2]),
        min(box[3] + margin, image[3]),
    )


def _region(job: TileJob, frame: Frame) -> Box:
    """Return the region inside the image."""
    asked = job.settings.region
    if asked is None:
        raise ValueError("no region was asked")
    box = (
        asked.left,
        asked.top,
        min(asked.left + asked.width, frame.width),
        min(asked.top + asked.height, frame.height),
    )
    if box[2] <= box[0] or box[3] <= box[1]:
        raise MedrovError(
            ErrorCode.BAD_METADATA,
            f"The region {asked} lies outside of the image of {frame.width} x {frame.height} pixels.",
            "Give a region inside the image, in pixels of its finest level.",
        )
    return box


def _strip(region: Box, shard: Shard) -> Box:
    """Return the rows of a region that one job searches."""
    left, top, right, bottom = region
    height = bottom - top
    start, end = (top + height * number // shard.count for number in (shard.number - 1, shard.number))
    return left, start, right, end
