"""Selection of the proposals that become targets: pure functions on the arrays of one image.

The rules are those of the text of MedROV (arXiv 2511.20650), from which its released code differs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medrov_cli.core.datasets.presence import NOBODY, POSSIBLE, PresenceTable
from medrov_cli.core.records.boxes import FloatArray, IntArray, clip_boxes, overlaps_any
from medrov_cli.core.records.suppression import nms
from medrov_cli.core.settings.teacher_groups import ProposalSettings


class Proposals(NamedTuple):
    """Proposals of a teacher in one image.

    Attributes
    ----------
    boxes_xyxy
        float, (n, 4), in model pixels.
    scores
        float, (n,), 0 to 1.
    columns
        int64, (n,): the column of the prompt of each.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    columns: IntArray

    def subset(self, rows: IntArray | npt.NDArray[np.bool_]) -> Proposals:
        """Return some proposals, by index or by mask."""
        return Proposals(self.boxes_xyxy[rows], self.scores[rows], self.columns[rows])


def confident(candidates: Proposals, size_hw: tuple[int, int], config: ProposalSettings) -> Proposals:
    """Return the proposals with a high score after suppression, best first, clipped to the model input.

    Parameters
    ----------
    candidates
        Proposals of all anchors and prompts, or only those with at least ``min_score``: the result is equal,
        as suppression runs from the highest score to the lowest.
    size_hw
        Height and width of the model input, in pixels.
    config
        Thresholds.
    """
    found = candidates.subset(candidates.scores >= config.candidate_score)
    count = len(found.scores)
    kept = nms(
        found.boxes_xyxy, found.scores, found.columns, config.nms_iou, max_det=count, class_agnostic=True
    )
    found = found.subset(kept)
    found = found.subset(found.scores >= config.min_score)
    return found._replace(boxes_xyxy=clip_boxes(found.boxes_xyxy, *size_hw))


def unannotated(proposals: Proposals, truth_xyxy: FloatArray, config: ProposalSettings) -> Proposals:
    """Return the proposals that overlap no ground-truth box, (m, 4)."""
    return proposals.subset(~overlaps_any(proposals.boxes_xyxy, truth_xyxy, config.max_truth_iou))


def split_by_presence(
    proposals: Proposals, sources: IntArray, classes: IntArray, presence: PresenceTable
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return masks of the proposals that are objects of their class, and of unknown objects.

    A proposal is accepted as its class if the source image may show the class without a box (P = 0). If the
    class is annotated or impossible in the source, the proposal is an unknown object.

    Parameters
    ----------
    proposals
        Proposals of one image.
    sources
        int64, (n,): the dataset's source of each proposal, or `NOBODY`.
    classes
        int64, (t,): the class of each prompt.
    presence
        int8, (sources, classes).

    Returns
    -------
    known, unknown
        bool, (n,). A proposal on padding is neither.
    """
    seen = sources != NOBODY
    believed = presence[sources, classes[proposals.columns]] == POSSIBLE
    return seen & believed, seen & ~believed


def attribute(boxes_xyxy: FloatArray, regions_xyxy: FloatArray) -> IntArray:
    """Return for each box the region with the largest part of it, int64, (n,).

    Parameters
    ----------
    boxes_xyxy, regions_xyxy
        (n, 4) and (k, 4), in the same pixels. Of equal parts the first region is returned.

    Returns
    -------
    ndarray
        `NOBODY` for a box that lies on padding only.
    """
    low = np.maximum(boxes_xyxy[:, None, :2], regions_xyxy[None, :, :2])
    high = np.minimum(boxes_xyxy[:, None, 2:], regions_xyxy[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(-1)  # (n, k)
    return np.where(shared.max(1) > 0, shared.argmax(1), NOBODY).astype(np.int64)


def crops_of(
    boxes_xyxy: FloatArray, regions_xyxy: FloatArray, size: int, config: ProposalSettings
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return a mask of the unknown objects that are encoded, and their crops.

    Parameters
    ----------
    boxes_xyxy
        (n, 4), in model pixels, best score first.
    regions_xyxy
        (n, 4): visible region of the source image of each.
    size
        Longer side of the model input, in pixels.
    config
        Sizes of crops, and their maximum number.

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
