"""Search of the tiles of one image: read ahead, infer in batches, join at the end.

Tiles are searched in blocks of whole batches. The views of a block are a plain record, which a caller may
keep: a search that was interrupted continues after the last block, with the same batches and equal results.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from medrov_cli.core.prediction.prepared import PreparedTile, TiledFrame, prepare_tile
from medrov_cli.core.prediction.tile_grid import TilePlan
from medrov_cli.core.prediction.tile_joining import join_views
from medrov_cli.core.prediction.tile_views import TileViews, views_of_tile
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.detections import Candidates, ClassCandidates, Detections
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.tiling import TileLevel, Tiling

BLOCK_TILES = 256
"""Smallest number of tiles of a block."""


class TileJournal(Protocol):
    """Store of the blocks of tiles that were searched."""

    def blocks(self, path: str, frame: int) -> Sequence[dict[str, Any]]:
        """Return the blocks of an image from an interrupted run, in order."""

    def append(self, path: str, frame: int, block: dict[str, Any]) -> None:
        """Keep the next block of an image."""

    def advance(self, done: int, total: int) -> None:
        """Report the number of tiles that were searched, and of all tiles of the image."""


@dataclass(frozen=True, slots=True, eq=False)
class TileResults:
    """Results of all tiles of an image.

    Attributes
    ----------
    objects
        Its objects, in source pixels.
    tiling
        The tiles, for the record.
    pooled
        Mean of the pooled features of the finest tiles, float32; null if the engine computes none.
    elapsed_ms
        Time of all forward passes; null if a part was searched in an earlier run.
    """

    objects: Detections
    tiling: Tiling
    pooled: Float32Array | None
    elapsed_ms: float | None


@dataclass(frozen=True)
class TileSteps:
    """The two steps of a batch of tiles.

    Attributes
    ----------
    infer
        Function of model inputs, uint8, (n, imgsz, imgsz, 3), to the candidates of each.
    select
        Function of candidates and letterbox to detections in pixels of the tile.
    iou
        IoU of the suppression over all tiles.
    batch, threads
        Tiles per forward pass, and number of tiles that are read in parallel.
    """

    infer: Callable[[UInt8Array], Sequence[Candidates | ClassCandidates]]
    select: Callable[[Candidates | ClassCandidates, Letterbox], Detections]
    iou: float
    batch: int
    threads: int


def search_tiles(item: TiledFrame, steps: TileSteps, journal: TileJournal | None = None) -> TileResults:
    """Return the objects of an image from its tiles.

    Raises
    ------
    MedrovError
        An input code, if a tile cannot be read.
    """
    frame, plan = item.frame, item.plan
    size = -(-BLOCK_TILES // steps.batch) * steps.batch
    blocks = list(journal.blocks(frame.path, frame.index)) if journal is not None else []
    is_resumed = bool(blocks)
    started = time.perf_counter()
    if journal is not None:
        journal.advance(min(len(blocks) * size, len(plan)), len(plan))
    for start in range(len(blocks) * size, len(plan), size):
        block = _search_block(item, steps, start, min(start + size, len(plan)), journal)
        blocks.append(block)
        if journal is not None:
            journal.append(frame.path, frame.index, block)
    elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
    views = TileViews.join([TileViews.from_lists(block) for block in blocks])
    return TileResults(
        join_views(views, plan, steps.iou),
        describe_tiling(plan),
        _mean_pooled(blocks),
        None if is_resumed else elapsed_ms,
    )


def describe_tiling(plan: TilePlan) -> Tiling:
    """Return the tiles of an image, for its record."""
    return Tiling(
        rule=plan.rule,
        levels=tuple(
            TileLevel(grid.side, grid.overlap, len(numbers))
            for grid, numbers in zip(plan.grids, plan.numbers, strict=True)
        ),
        region_xyxy=plan.region,
        mpp=plan.mpp,
        skipped=plan.skipped,
        coverage=plan.coverage,
        shard=plan.shard,
    )


def _search_block(
    item: TiledFrame, steps: TileSteps, start: int, stop: int, journal: TileJournal | None
) -> dict[str, Any]:
    """Return the record of a block: its views, and the sum of the pooled features of its finest tiles."""
    views: list[TileViews] = []
    pooled: FloatArray | None = None
    count = 0
    done = start
    for group in _batches(item, steps, start, stop):
        candidates = steps.infer(np.stack([tile.square_rgb for tile in group]))
        for tile, own in zip(group, candidates, strict=True):
            views.append(views_of_tile(steps.select(own, tile.letterbox), tile.tile, item.plan))
            if own.pooled is not None and tile.tile.level == 0:
                pooled = own.pooled.astype(np.float64) + (0 if pooled is None else pooled)
                count += 1
        done += len(group)
        if journal is not None:
            journal.advance(done, len(item.plan))
    block = TileViews.join(views)
    return {
        **block.as_lists(),
        "pooled": None if pooled is None else pooled.tolist(),
        "pooled_tiles": count,
    }


def _batches(item: TiledFrame, steps: TileSteps, start: int, stop: int) -> Iterator[list[PreparedTile]]:
    """Yield batches of prepared tiles; the next ones are read meanwhile."""
    waiting: deque[Future[PreparedTile]] = deque()
    tiles = item.plan.tiles(start, stop)
    with ThreadPoolExecutor(steps.threads, "medrov-tiles") as pool:
        try:
            group: list[PreparedTile] = []
            for tile in tiles:
                waiting.append(pool.submit(prepare_tile, item, tile))
                if len(waiting) > 2 * steps.batch:
                    group.append(waiting.popleft().result())
                if len(group) == steps.batch:
                    yield group
                    group = []
            while waiting:
                group.append(waiting.popleft().result())
                if len(group) == steps.batch:
                    yield group
                    group = []
            if group:
                yield group
        finally:
            for future in waiting:
                future.cancel()


def _mean_pooled(blocks: Sequence[dict[str, Any]]) -> Float32Array | None:
    sums = [np.array(block["pooled"]) for block in blocks if block["pooled"] is not None]
    if not sums:
        return None
    count = sum(block["pooled_tiles"] for block in blocks)
    return np.asarray(np.sum(sums, axis=0) / count, dtype=np.float32)
