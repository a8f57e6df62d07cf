"""Choice of the tiles that are searched: without glass, and several in one forward pass.

The overlap is a constant number of source pixels, so that larger tiles have fewer pixels in common. The
network is convolutional: a larger input at the same scale gives the same boxes, except near edges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from medrov_cli.core.base.constants import STRIDES
from medrov_cli.core.pixels.slides.tissue_mask import tissue_mask
from medrov_cli.core.prediction.tile_grid import TilePlan
from medrov_cli.core.prediction.tile_rule import ClassScale, plan_tiles
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.records.tiling import Box
from medrov_cli.core.settings.tile_groups import TileJob

FACTORS = (2.8, 2.6, 2.4, 2.2, 2)
"""Sides of a larger model input in that of the training. Several, because one more tile in a row can cost
what larger tiles save. Three times the side saves 1.5 points more, and takes 14 MiB more memory at
100,000 x 100,000 pixels."""

WORTH_ANOTHER = 0.97
"""Share of the pixels from which another size is chosen, so that most slides share a size: each is a compiled
network."""

MAX_INPUT_PX = 1280
"""Largest side of a model input, in pixels, because each image in parallel takes memory."""

MIN_SAVED = 16
"""Forward passes of a tile that larger tiles must save: opening the network for them takes as long on one
core."""


def choose_plan(
    frame: Frame, imgsz: int, scales: Sequence[ClassScale], job: TileJob, *, may_widen: bool
) -> TilePlan | None:
    """Return the plan with the smallest number of pixels for the network; null if the image is not cut.

    All jobs that share out the tiles of an image have equal tiles.

    Parameters
    ----------
    frame, imgsz, scales, job
        See :func:`medrov_cli.core.prediction.tile_rule.plan_tiles`.
    may_widen
        Whether the network takes larger inputs.

    Raises
    ------
    MedrovError
        ``BAD_METADATA`` if the settings of tiles do not fit the image.
    """
    whole = replace(job, shard=None)
    plan = plan_tiles(frame, imgsz, scales, whole)
    if plan is None:
        return None
    mask = None
    if not job.settings.search_glass and frame.regions is not None and frame.regions.has_glass:
        mask = tissue_mask(frame, plan.grids[0].area)
    best, chosen = _without_glass(plan, mask), None
    limit = best.input_pixels - MIN_SAVED * imgsz**2
    for side in _larger_inputs(imgsz) if may_widen and limit > 0 else ():
        wide = plan_tiles(frame, imgsz, scales, whole, side)
        if wide is not None and len(wide.grids) == len(plan.grids) > 1:
            wide = _without_glass(wide, mask)
            share = 1 if chosen is None else WORTH_ANOTHER
            if wide.input_pixels <= min(limit, share * best.input_pixels):
                best, chosen = wide, side
    if job.shard is None:
        return best
    own = plan_tiles(frame, imgsz, scales, job, chosen)
    return None if own is None else _without_glass(own, mask)


def _larger_inputs(imgsz: int) -> Iterator[int]:
    """Yield the larger sides of the model input, in pixels."""
    coarsest = STRIDES[-1]
    for factor in FACTORS:
        side = coarsest * round(imgsz * factor / coarsest)
        if side <= MAX_INPUT_PX:
            yield side


def _without_glass(plan: TilePlan, mask: np.ndarray | None) -> TilePlan:
    """Return a plan without the tiles of a slide that show no tissue; without a mask, the plan."""
    if mask is None:
        return plan
    area = plan.grids[0].area
    numbers = tuple(
        tuple(number for number in own if _shows(mask, area, grid.box(number)))
        for grid, own in zip(plan.grids, plan.numbers, strict=True)
    )
    left = replace(plan, numbers=numbers)
    return replace(left, skipped=len(plan) - len(left))


def _shows(mask: np.ndarray, area: Box, tile: Box) -> bool:
    """Return whether a mask of an area is set anywhere in a tile."""
    scale_y, scale_x = mask.shape[0] / (area[3] - area[1]), mask.shape[1] / (area[2] - area[0])
    rows = slice(max(int((tile[1] - area[1]) * scale_y), 0), math.ceil((tile[3] - area[1]) * scale_y))
    columns = slice(max(int((tile[0] - area[0]) * scale_x), 0), math.ceil((tile[2] - area[0]) * scale_x))
    return bool(mask[rows, columns].any())
