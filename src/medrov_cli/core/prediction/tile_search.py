"""Search of the tiles of one image: read ahead, infer in batches, join at the end.

Tiles are searched in blocks of whole batches. The record of a block can be kept: a search that was
interrupted continues after the last block, with the same batches and equal results.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias

import numpy as np

from medrov_cli.core.prediction.prepared import PreparedTile, TiledFrame, prepare_tile
from medrov_cli.core.prediction.tile_grid import Tile, TilePlan
from medrov_cli.core.prediction.tile_joining import BoxMapping, join_views
from medrov_cli.core.prediction.tile_views import TileViews, views_of_tile
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.detections import AnyCandidates, Detections
from medrov_cli.core.records.frame import Float32Array, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.tiling import TileLevel, Tiling

BLOCK_TILES = 256
"""Smallest number of tiles of a block."""

READ_AHEAD = 1
"""Batches that are read while the one before is computed."""


class TileJournal(Protocol):
    """Store of the blocks of tiles that were searched."""

    def blocks(self, path: str, frame: int) -> Sequence[dict[str, Any]]:
        """Return the blocks of an image from an interrupted run, in order."""

    def append(self, path: str, frame: int, block: dict[str, Any]) -> None:
        """Keep the next block of an image."""

    def advance(self, done: int, total: int) -> None:
        """Report the number of tiles that were searched, and of all tiles of the image."""


_Group: TypeAlias = list[tuple[Tile, Letterbox]]


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
        Function of model inputs, uint8, (n, side, side, 3), to the candidates of each.
    select
        Function of candidates and letterbox to detections in pixels of the tile.
    iou
        IoU of the suppression over all tiles.
    batch
        Function of the side of a model input to the number of tiles per forward pass.
    threads, parallel_calls
        Number of tiles that are read in parallel, and number of threads that may call ``infer`` at a time.
    map_boxes
        Map of the boxes of the objects.
    """

    infer: Callable[[UInt8Array], Sequence[AnyCandidates]]
    select: Callable[[AnyCandidates, Letterbox], Detections]
    iou: float
    batch: Callable[[int], int]
    threads: int
    parallel_calls: int
    map_boxes: BoxMapping


@dataclass(slots=True)
class _Block:
    """Results of consecutive tiles: their views, and the sum of the pooled features of the finest ones."""

    views: list[TileViews]
    pooled: FloatArray | None = None
    pooled_tiles: int = 0

    def add(self, tile: Tile, views: TileViews, pooled: Float32Array | None) -> None:
        """Add the results of one tile."""
        self.views.append(views)
        if pooled is not None and tile.level == 0:
            self.pooled = pooled.astype(np.float64) + (0 if self.pooled is None else self.pooled)
            self.pooled_tiles += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the record of the block."""
        pooled = None if self.pooled is None else self.pooled.tolist()
        views = TileViews.join(self.views).as_lists()
        return {**views, "pooled": pooled, "pooled_tiles": self.pooled_tiles}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Return the block of a record; numbers are exact."""
        pooled = None if record["pooled"] is None else np.array(record["pooled"], dtype=np.float64)
        return cls([TileViews.from_lists(record)], pooled, record["pooled_tiles"])


def search_tiles(item: TiledFrame, steps: TileSteps, journal: TileJournal | None = None) -> TileResults:
    """Return the objects of an image from its tiles.

    Raises
    ------
    MedrovError
        An input code, if a tile cannot be read.
    """
    frame, plan = item.frame, item.plan
    size = _block_size(plan, steps)
    kept = journal.blocks(frame.path, frame.index) if journal is not None else ()
    blocks = [_Block.from_dict(record) for record in kept]
    is_resumed = bool(blocks)
    started = time.perf_counter()
    first = len(blocks) * size
    if journal is not None:
        journal.advance(min(first, len(plan)), len(plan))
    block = _Block([])
    with closing(_computed(item, steps, _groups(plan, steps, first, size))) as computed:
        for stop, group, candidates in computed:
            for (tile, letterbox), own in zip(group, candidates, strict=True):
                block.add(tile, views_of_tile(steps.select(own, letterbox), tile, plan), own.pooled)
            if stop % size == 0 or stop == len(plan):
                blocks.append(block)
                if journal is not None:
                    journal.append(frame.path, frame.index, block.as_dict())
                block = _Block([])
            if journal is not None:
                journal.advance(stop, len(plan))
    elapsed_ms = round((time.perf_counter() - started) * 1000, 1)
    views = TileViews.join([views for own in blocks for views in own.views])
    return TileResults(
        join_views(views, plan, steps.iou, steps.map_boxes),
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


def _block_size(plan: TilePlan, steps: TileSteps) -> int:
    """Return the number of tiles of a block: whole batches, with fewer tiles where they are larger."""
    finest, coarsest = plan.grids[0].input_px, plan.grids[-1].input_px
    batch = steps.batch(finest)
    return -(-BLOCK_TILES * coarsest**2 // (batch * finest**2)) * batch


def _groups(plan: TilePlan, steps: TileSteps, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last place of each batch: of one level, in one block."""
    end = 0
    for grid, own in zip(plan.grids, plan.numbers, strict=True):
        first, end = end, end + len(own)
        place, batch = max(first, start), steps.batch(grid.input_px)
        while place < end:
            stop = min(place + batch, end, (place // size + 1) * size)
            yield place, stop
            place = stop


def _computed(
    item: TiledFrame, steps: TileSteps, groups: Iterator[tuple[int, int]]
) -> Generator[tuple[int, _Group, Sequence[AnyCandidates]], None, None]:
    """Yield the end of each batch, its tiles and their candidates; the next ones are computed meanwhile."""
    reading: deque[tuple[int, list[Future[PreparedTile]]]] = deque()
    computing: deque[tuple[int, _Group, Future[Sequence[AnyCandidates]]]] = deque()
    with (
        ThreadPoolExecutor(steps.threads, "medrov-tiles") as readers,
        ThreadPoolExecutor(steps.parallel_calls, "medrov-engine") as engine,
    ):

        def compute_next() -> None:
            stop, waiting = reading.popleft()
            prepared = [future.result() for future in waiting]
            squares = np.stack([own.input_rgb for own in prepared])
            group = [(own.tile, own.letterbox) for own in prepared]  # without their pixels
            computing.append((stop, group, engine.submit(steps.infer, squares)))

        try:
            for start, stop in groups:
                tiles = item.plan.tiles(start, stop)
                reading.append((stop, [readers.submit(prepare_tile, item, tile) for tile in tiles]))
                if len(reading) > READ_AHEAD:
                    compute_next()
                if len(computing) > steps.parallel_calls:
                    end, group, found = computing.popleft()
                    yield end, group, found.result()
            while reading:
                compute_next()
                if len(computing) > steps.parallel_calls:
                    end, group, found = computing.popleft()
                    yield end, group, found.result()
            for end, group, found in computing:
                yield end, group, found.result()
        finally:
            for _, waiting in reading:
                for future in waiting:
                    future.cancel()


def _mean_pooled(blocks: Sequence[_Block]) -> Float32Array | None:
    sums = [block.pooled for block in blocks if block.pooled is not None]
    if not sums:
        return None
    count = sum(block.pooled_tiles for block in blocks)
    return np.asarray(np.sum(sums, axis=0) / count, dtype=np.float32)
