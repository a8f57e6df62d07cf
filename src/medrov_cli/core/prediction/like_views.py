"""Model inputs that show examples at the scale of a run: the whole image, or tiles around the boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.prediction.broader_prompts import BroaderPrompts
from medrov_cli.core.prediction.prepared import TiledFrame, apply_letterbox, prepare_tile
from medrov_cli.core.prediction.tile_grid import Tile, TilePlan
from medrov_cli.core.prediction.tile_rule import ClassScale, class_scales, plan_tiles
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.settings.tile_groups import RegionChoice, TileJob
from medrov_cli.core.settings.values import Prompt
from medrov_cli.core.weights.metadata import WeightsMetadata

_NO_EDGES = (False, False, False, False)


@dataclass(frozen=True, slots=True, eq=False)
class LikeView:
    """Model input with examples of one class.

    Attributes
    ----------
    input_rgb
        uint8, (imgsz, imgsz, 3).
    truth_xyxy, ignored_xyxy
        Examples that it shows whole, and others, (n, 4) and (k, 4), in model pixels.
    """

    input_rgb: UInt8Array
    truth_xyxy: FloatArray
    ignored_xyxy: FloatArray


def scales_of_run(
    prompts: Sequence[Prompt], names: Sequence[str], metadata: WeightsMetadata, *, literal: bool
) -> tuple[ClassScale, ...]:
    """Return the scale at training of each class of a run: of its texts, and of learned classes by name."""
    texts = [prompt.synonyms for prompt in prompts]
    broader = None if literal else BroaderPrompts.find(texts, metadata)
    entries = [()] * len(texts) if broader is None else broader.kinds
    kinds = [tuple(entry.name for entry in own) for own in entries]
    return class_scales([*texts, *((name,) for name in names)], metadata, [*kinds, *(() for _ in names)])


def views_of_examples(
    frame: Frame, boxes_xyxy: FloatArray, imgsz: int, scales: Sequence[ClassScale], job: TileJob
) -> Iterator[LikeView]:
    """Yield the model inputs that show examples as a run shows them.

    An image that the run would cut gives a tile around each box that no tile before shows: of the finest
    level whose tiles contain the box. Another image is shown whole.

    Parameters
    ----------
    frame
        The image.
    boxes_xyxy
        Examples, (n, 4), inside the image, in source pixels.
    imgsz
        Side of the model input, in pixels.
    scales
        Scale at training of each class of the run.
    job
        Tiles of the run; its region and its shard do not limit the examples.

    Raises
    ------
    MedrovError
        An input code: see :func:`medrov_cli.core.prediction.tile_rule.plan_tiles`.
    """
    settings = job.settings
    if settings.region is not None:
        settings = replace(settings, region=RegionChoice(0, 0, frame.width, frame.height))
    plan = plan_tiles(frame, imgsz, scales, TileJob(settings=settings))
    if plan is None:
        letterbox = Letterbox.fit((frame.height, frame.width), imgsz)
        yield LikeView(apply_letterbox(letterbox, frame), letterbox.to_model(boxes_xyxy), np.zeros((0, 4)))
        return
    levels = _levels(plan, boxes_xyxy)
    is_shown = np.zeros(len(boxes_xyxy), dtype=bool)
    for number in range(len(boxes_xyxy)):
        if is_shown[number]:
            continue
        tile = _tile_around(plan, int(levels[number]), boxes_xyxy[number], frame)
        left, top, right, bottom = tile.box
        corner, clipped = np.array([left, top, left, top]), boxes_xyxy.copy()
        clipped[:, ::2] = clipped[:, ::2].clip(left, right)
        clipped[:, 1::2] = clipped[:, 1::2].clip(top, bottom)
        is_whole = (clipped == boxes_xyxy).all(1) & (levels == levels[number])
        is_whole[number] = True
        is_part = (clipped[:, 2:] > clipped[:, :2]).all(1) & ~is_whole
        prepared = prepare_tile(TiledFrame(frame, plan), tile)
        truth, ignored = (prepared.letterbox.to_model(clipped[own] - corner) for own in (is_whole, is_part))
        yield LikeView(prepared.input_rgb, truth, ignored)
        is_shown |= is_whole


def _levels(plan: TilePlan, boxes_xyxy: FloatArray) -> IntArray:
    """Return the finest level whose tiles contain each box, int64, (n,); else the coarsest."""
    longest = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(1)
    sides = np.array([grid.side - 2 * grid.edge_px for grid in plan.grids])
    levels = (longest[:, None] > sides[None]).sum(1, dtype=np.int64)
    return np.asarray(np.minimum(levels, len(sides) - 1))


def _tile_around(plan: TilePlan, level: int, box_xyxy: FloatArray, frame: Frame) -> Tile:
    """Return a tile with a box in its middle, moved into the image."""
    side = plan.grids[level].side
    middle = (box_xyxy[:2] + box_xyxy[2:]) / 2
    left, top = (
        max(0, min(round(float(at) - side / 2), length - side))
        for at, length in zip(middle, (frame.width, frame.height), strict=True)
    )
    return Tile(level, (left, top, min(left + side, frame.width), min(top + side, frame.height)), _NO_EDGES)
