"""Differences between an exported model and its weights in torch, and their limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.progress import Progress, no_progress
from medrov_cli.core.engines.exported.export_metadata import Suppression
from medrov_cli.core.engines.interface import Engine
from medrov_cli.core.records.boxes import FloatArray
from medrov_cli.core.records.detections import Candidates
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.records.suppression import select
from medrov_cli.core.settings.choices import ExportPrecision

COUNTED_SCORE = 0.05
"""Smallest best score in torch of the anchors that are compared; also for mean differences of scores."""

_BATCH = 8


@dataclass(frozen=True, slots=True)
class ParityLimits:
    """Limits of the differences of an export; null: no limit.

    Attributes
    ----------
    score_max, score_mean
        Limits of the differences of scores, 0 to 1.
    box_max_px, box_mean_px
        Limits of the differences of box sides, in model pixels.
    map50_drop
        Maximum decrease of mAP50 (in fp32: change), 0 to 1.
    nms_differing
        Fraction of detections that differ between suppression inside and outside the model.
    """

    score_max: float | None
    score_mean: float
    box_max_px: float | None
    box_mean_px: float
    map50_drop: float
    nms_differing: float


LIMITS = {
    ExportPrecision.FP32: ParityLimits(1e-3, 1e-4, 0.1, 0.01, 0.001, 0.01),
    ExportPrecision.FP16: ParityLimits(0.02, 2e-3, 2.0, 0.1, 0.002, 0.02),
    ExportPrecision.BF16: ParityLimits(None, 0.02, None, 0.5, 0.01, 0.05),
    ExportPrecision.INT8: ParityLimits(None, 0.04, None, 1.0, 0.02, 0.05),
}
"""Limits by precision; docs/export.md explains them."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Differences of an exported model from torch.

    Attributes
    ----------
    images, counted
        Number of compared images, and of compared anchors on them.
    score_max, score_mean
        Largest difference over all anchors and classes, and mean where either score is compared.
    box_max_px, box_mean_px
        Differences of the four sides of the boxes of compared anchors, in model pixels.
    """

    images: int
    counted: int
    score_max: float
    score_mean: float
    box_max_px: float
    box_mean_px: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, rounded to digits that do not differ between runs."""
        return {
            "images": self.images,
            "counted_anchors": self.counted,
            "counted_from_score": COUNTED_SCORE,
            "score_max": round(self.score_max, 5),
            "score_mean": round(self.score_mean, 6),
            "box_max_px": round(self.box_max_px, 3),
            "box_mean_px": round(self.box_mean_px, 4),
        }


def compare(
    reference: Engine, exported: Engine, squares_rgb: UInt8Array, progress: Progress = no_progress
) -> Parity:
    """Run both on images, uint8, (n, imgsz, imgsz, 3), and return their differences."""
    totals = _Totals()
    for start in range(0, len(squares_rgb), _BATCH):
        part = squares_rgb[start : start + _BATCH]
        for expected, found in zip(reference.infer(part), exported.infer(part), strict=True):
            totals.add(expected, found)
        progress(min(start + _BATCH, len(squares_rgb)), len(squares_rgb), "comparison with torch")
    return totals.parity()


class _Totals:
    """Accumulated differences."""

    def __init__(self) -> None:
        self._images = self._counted = self._pairs = 0
        self._score_max = self._score_sum = self._box_max = self._box_sum = 0.0

    def add(self, expected: Candidates, found: Candidates) -> None:
        """Add the differences on one image."""
        self._images += 1
        if found.scores.shape != expected.scores.shape or not _is_finite(found):
            self._score_max = self._box_max = 1e9  # above every limit, and valid in JSON
            return
        gaps = np.abs(expected.scores - found.scores)
        self._score_max = max(self._score_max, float(gaps.max()))
        counted = (expected.scores >= COUNTED_SCORE) | (found.scores >= COUNTED_SCORE)
        self._pairs += int(counted.sum())
        self._score_sum += float(gaps[counted].sum())
        anchors = expected.scores.max(1) >= COUNTED_SCORE
        sides = np.abs(expected.boxes_xyxy[anchors] - found.boxes_xyxy[anchors])
        self._counted += len(sides)
        if len(sides):
            self._box_max = max(self._box_max, float(sides.max()))
            self._box_sum += float(sides.mean(1).sum())

    def parity(self) -> Parity:
        """Return the figures."""
        return Parity(
            self._images,
            self._counted,
            self._score_max,
            self._score_sum / max(self._pairs, 1),
            self._box_max,
            self._box_sum / max(self._counted, 1),
        )


def _is_finite(found: Candidates) -> bool:
    return bool(np.isfinite(found.scores).all() and np.isfinite(found.boxes_xyxy).all())


def suppressed_share(
    plain: Engine, suppressed: Engine, own: Suppression, squares_rgb: UInt8Array
) -> tuple[int, float]:
    """Return the number of detections with suppression outside, and the fraction that differs inside.

    Parameters
    ----------
    plain, suppressed
        Model without and with the suppression.
    own
        Suppression inside the model.
    squares_rgb
        uint8, (n, imgsz, imgsz, 3).
    """
    count = differing = 0
    for start in range(0, len(squares_rgb), _BATCH):
        part = squares_rgb[start : start + _BATCH]
        for outside, inside in zip(plain.infer(part), suppressed.infer(part), strict=True):
            boxes, scores, labels = select(
                outside.boxes_xyxy,
                outside.scores,
                conf=np.array(own.thresholds),
                iou=own.iou,
                max_det=own.max_det,
            )
            rows, columns = np.nonzero(inside.scores)
            found = _rows(inside.boxes_xyxy[rows], inside.scores[rows, columns], columns)
            expected = _rows(boxes, scores, labels)
            count += len(expected)
            differing += max(_without_match(expected, found), _without_match(found, expected))
    return count, differing / max(count, 1)


def _rows(boxes: FloatArray, scores: FloatArray, labels: Any) -> FloatArray:
    """Return detections, (n, 6), scaled so that 1 is the tolerance: class, 0.001 score, half a pixel."""
    return np.column_stack((labels, scores * 1000, boxes * 2)).astype(np.float64)


def _without_match(these: FloatArray, others: FloatArray) -> int:
    """Return the number of rows without an equal row in the others."""
    if not len(these) or not len(others):
        return len(these)
    gaps = np.abs(these[:, None] - others[None]).max(2)
    return int((gaps.min(1) >= 1).sum())


def require_within_limits(
    figures: Sequence[tuple[str, float, float | None]], precision: ExportPrecision
) -> None:
    """Check that figures do not exceed their limits.

    Parameters
    ----------
    figures
        Name, value and limit of each figure (null: no limit).
    precision
        Precision, for the message.

    Raises
    ------
    MedrovError
        ``PARITY_FAILED`` with all such figures.
    """
    above = [
        f"{name} {value:.4g}, allowed {limit:g}"
        for name, value, limit in figures
        if limit is not None and value > limit
    ]
    if above:
        raise MedrovError(
            ErrorCode.PARITY_FAILED,
            f"the {precision} model differs from the weights: {'; '.join(above)}",
            "Nothing was written. "
            + (
                "Please report this."
                if precision is ExportPrecision.FP32
                else "Use another --precision, or for int8 other --data or --images."
            ),
        )
