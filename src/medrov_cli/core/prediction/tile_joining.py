"""Objects of an image from the views of its tiles.

Two views are of one object if they agree in the area that both tiles see. A view has at most one partner in
another tile. An object without a whole view is the union of its parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from medrov_cli.core.prediction.tile_grid import TilePlan
from medrov_cli.core.prediction.tile_views import BoolArray, TileViews
from medrov_cli.core.records.box_grid import near_pairs, pair_intersections, pair_ious
from medrov_cli.core.records.boxes import FloatArray, IntArray, box_areas
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.grid_suppression import nms_by_grid

SAME_OBJECT = 0.5
"""IoU from which two views are of one object (the usual threshold of a hit)."""

MOSTLY_INSIDE = 0.5
"""Share of a part's area inside a whole object from which the part is dropped."""


BoxMapping: TypeAlias = Callable[[FloatArray, IntArray, FloatArray], FloatArray]
"""Function of boxes, (n, 4), classes, (n,), and source pixels of a model pixel, (n, 1), to mapped boxes."""


def join_views(views: TileViews, plan: TilePlan, iou: float, map_boxes: BoxMapping) -> Detections:
    """Return the objects of an image from the views of its tiles, highest score first.

    Parameters
    ----------
    views
        Views of all tiles, in their order.
    plan
        The tiles.
    iou
        A box with a larger IoU with a box of its class and of a higher score is removed.
    map_boxes
        Map of the boxes of objects; views agree by the boxes of the network.
    """
    objects = [
        _objects_of_level(views.subset(views.levels == level), plan, level)
        for level in range(len(plan.grids))
    ]
    found = _across_levels(TileViews.join(objects))
    left, top, right, bottom = plan.region
    centers = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
    kept = nms_by_grid(found.boxes_xyxy, found.scores, found.labels, iou)
    inside = np.asarray(((centers >= (left, top)) & (centers < (right, bottom))).all(1))
    found = found.subset(kept[inside[kept]])
    scales = np.array([grid.side / grid.input_px for grid in plan.grids])[found.levels]
    boxes = map_boxes(found.boxes_xyxy, found.labels, scales[:, None])
    return Detections(boxes, found.scores, found.labels)


def _objects_of_level(views: TileViews, plan: TilePlan, level: int) -> TileViews:
    """Return one view per object of a level; of coarser levels those too large for finer ones."""
    first, second = _links(views, plan.grids[level].overlap)
    roots = _components(len(views), first, second)
    objects = _represent(views, roots)
    longest = (objects.boxes_xyxy[:, 2:] - objects.boxes_xyxy[:, :2]).max(1, initial=0)
    overlap_below = plan.grids[level - 1].overlap if level else 0
    is_own = plan.first_levels[objects.labels] == level
    return objects.subset(is_own | (longest > overlap_below))


def _links(views: TileViews, overlap: int) -> tuple[IntArray, IntArray]:
    """Return the pairs of views, of different tiles, that are of one object."""
    boxes, labels, tiles = views.boxes_xyxy, views.labels, views.tiles_xyxy
    _, tile_ids = np.unique(tiles, axis=0, return_inverse=True)
    tile_ids = tile_ids.reshape(-1)
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    whole = np.flatnonzero(~views.is_cut)
    for one, two in near_pairs(boxes[whole], labels[whole], SAME_OBJECT):
        first, second = whole[one], whole[two]
        apart = tile_ids[first] != tile_ids[second]
        first, second = first[apart], second[apart]
        found.append((first, second, pair_ious(boxes, first, second)))
    large = np.flatnonzero(views.is_cut | ((boxes[:, 2:] - boxes[:, :2]).max(1, initial=0) > overlap / 2))
    for one, two in near_pairs(boxes[large], labels[large], 0) if views.is_cut.any() else ():
        first, second = large[one], large[two]
        apart = (tile_ids[first] != tile_ids[second]) & (views.is_cut[first] | views.is_cut[second])
        first, second = first[apart], second[apart]
        found.append((first, second, _agreements(views, first, second)))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first, second, agreement = (np.concatenate(parts) for parts in zip(*found, strict=True))
    same = agreement >= SAME_OBJECT
    first, second, agreement = first[same], second[same], agreement[same]
    best = _is_best(first, tile_ids[second], agreement) & _is_best(second, tile_ids[first], agreement)
    return first[best], second[best]


def _agreements(views: TileViews, first: IntArray, second: IntArray) -> FloatArray:
    """Return the IoU of each pair of views inside the area that both tiles see."""
    tiles = views.tiles_xyxy.astype(np.float64)
    low = np.maximum(tiles[first, :2], tiles[second, :2])
    high = np.minimum(tiles[first, 2:], tiles[second, 2:])
    clipped = [
        np.hstack((np.maximum(views.boxes_xyxy[rows, :2], low), np.minimum(views.boxes_xyxy[rows, 2:], high)))
        for rows in (first, second)
    ]
    both = np.vstack(clipped)
    count = np.arange(len(first))
    return pair_ious(both, count, count + len(first))


def _is_best(rows: IntArray, groups: IntArray, values: FloatArray) -> BoolArray:
    """Return a mask, bool, (k,), of the pairs with the highest value for their row and the other's group."""
    order = np.lexsort((-values, groups, rows))
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(rows[order]) != 0) | (np.diff(groups[order]) != 0)
    best = np.zeros(len(order), dtype=bool)
    best[order[is_first]] = True
    return best


def _components(count: int, first: IntArray, second: IntArray) -> IntArray:
    """Return the lowest row, int64, (count,), of the connected rows of each row."""
    roots = np.arange(count)
    while True:
        low = np.minimum(roots[first], roots[second])
        lower = roots.copy()
        np.minimum.at(lower, first, low)
        np.minimum.at(lower, second, low)
        lower = lower[lower]
        if np.array_equal(lower, roots):
            return roots
        roots = lower


def _represent(views: TileViews, roots: IntArray) -> TileViews:
    """Return one view per component: its best whole view, else the union of its parts."""
    order = np.lexsort((np.arange(len(views)), -views.scores, views.is_cut, roots))
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = np.diff(roots[order]) != 0
    best = order[is_first]
    objects = views.subset(best)
    low, high = views.boxes_xyxy[:, :2].copy(), views.boxes_xyxy[:, 2:].copy()
    np.minimum.at(low, roots, views.boxes_xyxy[:, :2])
    np.maximum.at(high, roots, views.boxes_xyxy[:, 2:])
    unions = np.hstack((low[roots[best]], high[roots[best]]))
    objects.boxes_xyxy[objects.is_cut] = unions[objects.is_cut]
    return objects


def _across_levels(objects: TileViews) -> TileViews:
    """Return the objects without second views from other levels and without parts of whole objects."""
    boxes, labels = objects.boxes_xyxy, objects.labels
    removed = np.zeros(len(objects), dtype=bool)
    pairs = [
        (one[apart], two[apart])
        for one, two in near_pairs(boxes, labels, SAME_OBJECT)
        if (apart := objects.levels[one] != objects.levels[two]).any()
    ]
    if pairs:
        first, second = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        agreement = pair_ious(boxes, first, second)
        same = agreement >= SAME_OBJECT
        first, second, agreement = first[same], second[same], agreement[same]
        best = _is_best(first, objects.levels[second], agreement)
        best &= _is_best(second, objects.levels[first], agreement)
        first, second = first[best], second[best]
        worth = np.where(objects.is_cut, objects.scores - 1, objects.scores)
        removed[np.where(worth[first] >= worth[second], second, first)] = True
    removed |= _parts_of_whole(objects, removed)
    return objects.subset(~removed)


def _parts_of_whole(objects: TileViews, removed: BoolArray) -> BoolArray:
    """Return a mask, bool, (n,), of the cut objects that lie mostly inside a whole one."""
    inside = np.zeros(len(objects), dtype=bool)
    if not objects.is_cut.any():
        return inside
    boxes = objects.boxes_xyxy
    smallest = box_areas(boxes[objects.is_cut]).min() * MOSTLY_INSIDE
    rows = np.flatnonzero(~removed & (objects.is_cut | (box_areas(boxes) >= smallest)))
    for one, two in near_pairs(boxes[rows], objects.labels[rows], 0):
        first, second = rows[one], rows[two]
        mixed = objects.is_cut[first] != objects.is_cut[second]
        first, second = first[mixed], second[mixed]
        intersections, areas = pair_intersections(boxes, first, second)
        is_first = objects.is_cut[first]
        part_areas = np.where(is_first, areas[0], areas[1])
        mostly = intersections >= MOSTLY_INSIDE * part_areas
        inside[np.where(is_first, first, second)[mostly]] = True
    return inside
