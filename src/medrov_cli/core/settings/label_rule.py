"""Rule of ``medrov pseudolabel``: conditions of a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medrov_cli.core.base.constants import GRID
from medrov_cli.core.base.errors import usage_error
from medrov_cli.core.settings.field import check_ranges, option
from medrov_cli.core.settings.lists import parse_scales
from medrov_cli.core.settings.teacher_groups import PAPER, ProposalSettings
from medrov_cli.core.settings.values import check_imgsz

RULES_PANEL = "Rules"

AGREE_IOU = 0.5
"""Minimum IoU of boxes of one object in two views (as for a hit in PASCAL VOC)."""

_PAPER = ProposalSettings()


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Conditions of a label. The defaults are those of MedROV (arXiv 2511.20650), with one view.

    Attributes
    ----------
    score
        Minimum score of a label.
    calibrated
        Whether ``score`` and written scores are calibrated, so that each class has its own raw threshold.
    nms_iou
        IoU above which the proposal with the lower score of two proposals of any class is removed.
    max_truth_iou
        Minimum IoU with an annotated box at which a proposal is removed.
    flip
        Whether the mirror image is a further view.
    scales
        Sides of the model input, relative to the usual one.
    agree
        Minimum number of views with a box; null: all possible views.
    """

    score: float = option(
        "--score",
        default=_PAPER.min_score,
        low=0,
        high=1,
        help="Minimum score of a label, 0 to 1.",
        panel=RULES_PANEL,
        source=PAPER,
    )
    calibrated: bool = option(
        "--calibrated",
        default=False,
        help="Apply --score to calibrated scores.",
        panel=RULES_PANEL,
    )
    nms_iou: float = option(
        "--nms-iou",
        default=_PAPER.nms_iou,
        low=0,
        high=1,
        help="IoU above which the box with the lower score of two boxes of any class is removed.",
        panel=RULES_PANEL,
        source=PAPER,
    )
    max_truth_iou: float = option(
        "--truth-iou",
        default=_PAPER.max_truth_iou,
        low=0,
        high=1,
        help="Minimum IoU with an annotated box at which a box is removed.",
        panel=RULES_PANEL,
        source=PAPER,
    )
    flip: bool = option(
        "--flip",
        default=False,
        help="Also detect in the mirror image, with left and right exchanged.",
        panel=RULES_PANEL,
    )
    scales: tuple[float, ...] = option(
        "--scales",
        given_default="1.0",
        parse=parse_scales,
        metavar="LIST",
        help="Sizes of the model input relative to --imgsz, comma separated: 0.8,1.0,1.25.",
        panel=RULES_PANEL,
    )
    agree: int | None = option(
        "--agree",
        default=None,
        low=1,
        metavar="VIEWS",
        help="Minimum number of views (weights, scales, flips) with a box. Default: all.",
        panel=RULES_PANEL,
    )

    def check(self, weights: int) -> None:
        """Refuse invalid values, for a number of weights.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        check_ranges(self)
        if not self.scales or any(not 0.1 <= scale <= 4 for scale in self.scales):
            raise usage_error("--scales are not from 0.1 to 4", "Give numbers with commas: 0.8,1.0,1.25.")
        views = weights * len(self.scales) * (1 + self.flip)
        if self.agree is not None and not 1 <= self.agree <= views:
            raise usage_error(
                f"--agree {self.agree} is not from 1 to {views}, the number of views",
                "Give a smaller number: views are weights x scales, with --flip twice as many.",
            )

    def sides(self, imgsz: int) -> list[int]:
        """Return the sides of the model input, multiples of 32, from the usual one.

        Raises
        ------
        MedrovError
            ``USAGE`` if two scales give the same side, or one gives an invalid side.
        """
        sides = [round(imgsz * scale / GRID) * GRID for scale in self.scales]
        if len(set(sides)) < len(sides):
            raise usage_error(
                f"--scales: two of them give the same side at {imgsz} pixels: {', '.join(map(str, sides))}",
                "Give scales that are further apart: sides are multiples of 32.",
            )
        for side in sides:
            check_imgsz(side)
        return sides


def rule_record(rule: LabelRule, views: int) -> dict[str, Any]:
    """Return a rule in the form of the field ``rule`` of a label."""
    record = {
        "score": rule.score,
        "scores": "calibrated" if rule.calibrated else "raw",
        "nms_iou": rule.nms_iou,
        "truth_iou": rule.max_truth_iou,
    }
    if views > 1:
        record |= {"views": views, "agree": rule.agree or views, "agree_iou": AGREE_IOU}
    return record
