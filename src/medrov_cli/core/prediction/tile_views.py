"""Views: what single tiles see of objects.

A box that the inner edge of a tile cuts is dropped if the neighbour sees the whole object, away from its own
edge: it reaches less deep into the tile than the overlap. So a smaller object has whole views alone.
An object that reaches the edges of both tiles keeps both views, which are joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.prediction.tile_grid import Tile, TilePlan
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.detections import Detections

BoolArray = npt.NDArray[np.bool_]

_VIEW_FIELDS = ("boxes_xyxy", "scores", "labels", "is_cut", "levels", "tiles_xyxy")


@dataclass(frozen=True, slots=True, eq=False)
class TileViews:
    """Boxes of several tiles, in source pixels.

    Attributes
    ----------
    boxes_xyxy, scores, labels
        float64, (n, 4); float64, (n,); int64, (n,).
    is_cut
        bool, (n,): whether an inner edge of its tile cuts the box.
    levels
        int64, (n,).
    tiles_xyxy
        int64, (n, 4): place of the tile.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    labels: IntArray
    is_cut: BoolArray
    levels: IntArray
    tiles_xyxy: IntArray

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.scores)

    def subset(self, rows: IntArray | BoolArray) -> TileViews:
        """Return some of the views."""
        return TileViews(*(getattr(self, name)[rows] for name in _VIEW_FIELDS))

    @classmethod
    def join(cls, parts: Sequence[TileViews]) -> TileViews:
        """Return the views of several parts, in their order."""
        parts = [*parts, cls.none()]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in _VIEW_FIELDS))

    def as_lists(self) -> dict[str, Any]:
        """Return the views as lists, for JSON."""
        return {name: getattr(self, name).tolist() for name in _VIEW_FIELDS}

    @classmethod
    def from_lists(cls, lists: Mapping[str, Any]) -> TileViews:
        """Return the views of lists; numbers are exact."""
        count = len(lists["scores"])
        return cls(
            np.array(lists["boxes_xyxy"], dtype=np.float64).reshape(count, 4),
            np.array(lists["scores"], dtype=np.float64),
            np.array(lists["labels"], dtype=np.int64),
            np.array(lists["is_cut"], dtype=bool),
            np.array(lists["levels"], dtype=np.int64),
            np.array(lists["tiles_xyxy"], dtype=np.int64).reshape(count, 4),
        )

    @classmethod
    def none(cls) -> TileViews:
        """Return no views."""
        none, places = np.zeros(0, np.int64), np.zeros((0, 4), np.int64)
        return cls(np.zeros((0, 4)), np.zeros(0), none, np.zeros(0, bool), none, places)


def views_of_tile(found: Detections, tile: Tile, plan: TilePlan) -> TileViews:
    """Return the views of a tile from its detections, in pixels of the tile."""
    left, top, right, bottom = tile.box
    grid = plan.grids[tile.level]
    boxes = np.asarray(found.boxes_xyxy, dtype=np.float64) + np.array([left, top, left, top])
    gaps = np.stack(
        (boxes[:, 0] - left, boxes[:, 1] - top, right - boxes[:, 2], bottom - boxes[:, 3]), axis=1
    )
    touches = (gaps <= grid.edge_px) & np.array(tile.inner_edges)
    depths = np.stack(
        (boxes[:, 2] - left, boxes[:, 3] - top, right - boxes[:, 0], bottom - boxes[:, 1]), axis=1
    )
    seen_better = (touches & (depths < grid.overlap - grid.edge_px)).any(1)
    kept = ~seen_better & (plan.first_levels[found.labels] <= tile.level)
    count = int(kept.sum())
    return TileViews(
        boxes[kept],
        np.asarray(found.scores, dtype=np.float64)[kept],
        found.labels[kept],
        touches.any(1)[kept],
        np.full(count, tile.level, dtype=np.int64),
        np.tile(np.array(tile.box, dtype=np.int64), (count, 1)),
    )
