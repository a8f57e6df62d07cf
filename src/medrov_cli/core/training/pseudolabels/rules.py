"""Which proposals become targets: pure functions on the arrays of one image.

The rules are MedROV's (arXiv 2511.20650); where its released code departs from them, the text holds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medrov_cli.core.datasets.presence import NOBODY
from medrov_cli.core.prediction.proposals import Proposals
from medrov_cli.core.records.boxes import FloatArray, IntArray, clip_boxes
from medrov_cli.core.records.suppression import nms
from medrov_cli.core.settings.proposals import ProposalSettings


def confident(candidates: Proposals, size: int, config: ProposalSettings) -> Proposals:
    """Return one proposal an object, those with a high score, best first, clipped to the input.

    Parameters
    ----------
    candidates
        One for each anchor and prompt, or only those with at least ``min_score``: the result is
        the same, since suppression goes from the best score to the worst.
    size
        Side of the model input, in pixels.
    config
        Thresholds.
    """
    found = candidates.take(candidates.scores >= config.candidate_score)
    count = len(found.scores)
    kept = nms(
        found.boxes_xyxy, found.scores, found.columns, config.nms_iou, max_det=count, class_agnostic=True
    )
    found = found.take(kept)
    found = found.take(found.scores >= config.min_score)
    return found._replace(boxes_xyxy=clip_boxes(found.boxes_xyxy, size, size))


def attribute(boxes_xyxy: FloatArray, regions_xyxy: FloatArray) -> IntArray:
    """Return for each box the region that holds most of it, int64, (n,).

    Parameters
    ----------
    boxes_xyxy, regions_xyxy
        (n, 4) and (k, 4), in the same pixels. Among equals the first region is taken.

    Returns
    -------
    ndarray
        `NOBODY` for a box that lies on padding alone.
    """
    low = np.maximum(boxes_xyxy[:, None, :2], regions_xyxy[None, :, :2])
    high = np.minimum(boxes_xyxy[:, None, 2:], regions_xyxy[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(-1)  # (n, k)
    return np.where(shared.max(1) > 0, shared.argmax(1), NOBODY).astype(np.int64)


def crops_of(
    boxes_xyxy: FloatArray, regions_xyxy: FloatArray, size: int, config: ProposalSettings
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which unknown objects are encoded, and where to cut them out.

    Parameters
    ----------
    boxes_xyxy
        (n, 4), in model pixels, best score first.
    regions_xyxy
        (n, 4): what is seen of the source image of each.
    size
        Side of the model input, in pixels.
    config
        Sizes.

    Returns
    -------
    chosen
        bool, (n,), with at most ``max_unknown`` true.
    crops_xyxy
        int64, (n, 4), in whole pixels, within the region.
    """
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    margin = np.tile(sides, 2) * np.array([-1, -1, 1, 1]) * config.expansion
    low, high = np.tile(regions_xyxy[:, :2], 2), np.tile(regions_xyxy[:, 2:], 2)
    wide = np.clip(boxes_xyxy + margin, low, high)
    crops = np.concatenate((np.ceil(wide[:, :2]), np.floor(wide[:, 2:])), 1).astype(np.int64)
    fits = ((sides >= config.min_side * size) & (sides <= config.max_side * size)).all(1)
    chosen = fits & (crops[:, 2:] - crops[:, :2] >= config.min_crop * size).all(1)
    return chosen & (np.cumsum(chosen) <= config.max_unknown), crops
