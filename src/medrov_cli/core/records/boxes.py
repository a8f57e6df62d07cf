"""Box geometry on arrays: corners are (left, top, right, bottom), in pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def xywh_to_xyxy(boxes_xywh: FloatArray) -> FloatArray:
    """Return corners from COCO's (left, top, width, height), (n, 4)."""
    return np.concatenate((boxes_xywh[..., :2], boxes_xywh[..., :2] + boxes_xywh[..., 2:]), -1)


def xyxy_to_xywh(boxes_xyxy: FloatArray) -> FloatArray:
    """Return COCO's (left, top, width, height) from corners, (n, 4)."""
    return np.concatenate((boxes_xyxy[..., :2], boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]), -1)


def clip_boxes(boxes_xyxy: FloatArray, height: int, width: int) -> FloatArray:
    """Return boxes clipped to an image of ``height`` x ``width`` pixels, (n, 4)."""
    limit = np.array([width, height, width, height], dtype=boxes_xyxy.dtype)
    return np.clip(boxes_xyxy, 0, limit)


def flip_boxes(boxes_xyxy: FloatArray, width: int) -> FloatArray:
    """Return boxes in the horizontally flipped image of ``width`` pixels, (n, 4)."""
    left, top, right, bottom = boxes_xyxy.T
    return np.stack((width - right, top, width - left, bottom), axis=1)


def box_areas(boxes_xyxy: FloatArray) -> FloatArray:
    """Return the area of each box, (n,); 0 for a box with reversed corners."""
    sides = np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def overlaps_any(boxes_xyxy: FloatArray, others_xyxy: FloatArray, iou: float) -> npt.NDArray[np.bool_]:
    """Return a mask, bool, (n,), of boxes, (n, 4), with at least this IoU with one of the others, (m, 4)."""
    if not len(others_xyxy):
        return np.zeros(len(boxes_xyxy), dtype=bool)
    return np.asarray(iou_matrix(boxes_xyxy, others_xyxy).max(1) >= iou)


def iou_matrix(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    """Return the intersection over union of every pair.

    Parameters
    ----------
    first_xyxy, second_xyxy
        float, (n, 4) and (m, 4).

    Returns
    -------
    ndarray
        float, (n, m), 0 to 1; 0 if both boxes are empty.
    """
    low = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    high = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    sides = np.maximum(high - low, 0)
    intersection = sides[..., 0] * sides[..., 1]
    union = box_areas(first_xyxy)[:, None] + box_areas(second_xyxy)[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))
