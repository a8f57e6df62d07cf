"""Average precision after suppression across classes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from medrov_cli.core.evaluation.scored_split import ScoredSplit
from medrov_cli.core.evaluation.sections.coco_ap import Figures, figures
from medrov_cli.core.metrics.average_precision import CocoScorer, mean_of
from medrov_cli.core.records.suppression import nms

NMS_IOU = 0.5
"""IoU of the suppression of NMS-AP, over all classes (OVDEval, arXiv 2308.13177)."""


def nms_section(split: ScoredSplit, macro: Figures) -> dict[str, Any]:
    """Return the AP after suppression across classes, and its difference from the AP before it.

    It measures how much AP depends on several detections of one object under different labels.

    Parameters
    ----------
    split
        The scored split.
    macro
        COCO's figures before the suppression, mean of the classes.
    """
    table = split.table
    kept = np.zeros(len(table.label), dtype=bool)
    bounds = np.searchsorted(table.image, np.arange(table.images + 1))
    for start, end in itertools.pairwise(bounds):
        part = slice(start, end)
        rows = nms(
            table.xyxy[part], table.score[part], table.label[part], NMS_IOU, end - start, class_agnostic=True
        )
        kept[start + rows] = True
    scorer = CocoScorer(table.keep(kept), split.max_det)
    labels = range(len(split.dataset.classes))
    after = figures(mean_of([scorer.of_class(label, split.scored[:, label]) for label in labels]))
    section: dict[str, Any] = {"iou": NMS_IOU, "ap": after["ap"], "ap50": after["ap50"]}
    for key in ("ap", "ap50"):
        before, now = macro[key], after[key]
        section[f"{key}_drop"] = None if before is None or now is None else before - now
    return section
