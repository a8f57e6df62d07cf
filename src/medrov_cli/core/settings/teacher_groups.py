"""Settings of ``train``: pseudo-labels and distillation."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.settings.choices import Teacher
from medrov_cli.core.settings.field import option

DISTILLATION_PANEL = "Distillation"
PSEUDO_PANEL = "Pseudo-labels"
PAPER = "MedROV, arXiv 2511.20650"


@dataclass(frozen=True, slots=True)
class ProposalSettings:
    """How proposals become targets.

    The values are MedROV's (arXiv 2511.20650), but for the first epoch. Its pixel sizes are for a
    model input of 640; here they are shares of the input's side.

    Attributes
    ----------
    teacher
        The moving average of the weights, or the weights as they are.
    first_epoch
        Proposals begin with this epoch, 0-based. The paper's model is pretrained and begins at once;
        one from random weights is sure of boxes that are none, until it has seen some images.
    candidate_score, nms_iou
        Suppression, whatever the class: one object, one box.
    min_score
        A proposal needs at least this.
    max_truth_iou
        A proposal that overlaps a ground-truth box by this IoU or more is dropped.
    unknown_objects
        Whether what no class may explain becomes a target with the embedding of its own image;
        needs an encoder with an image tower.
    max_unknown
        Unknown objects an image, best scores first.
    min_side, max_side
        Sides of an unknown object's box: 50 to 320 px at 640.
    expansion
        Its crop is larger than the box by this share on each side, clipped to its source image.
    min_crop
        Sides of the crop: at least 30 px at 640.
    """

    unknown_objects: bool = option(
        "--unknown-objects/--no-unknown-objects",
        default=False,
        help="Add boxes of no class with their image embedding; --text-encoder needs an image tower.",
        panel=PSEUDO_PANEL,
    )
    min_score: float = option(
        "--pseudo-score",
        default=0.9,
        low=0,
        help="Minimum score of a pseudo-label; above 1: none.",
        panel=PSEUDO_PANEL,
        source=PAPER,
    )
    first_epoch: int = option(
        "--pseudo-after",
        default=1,
        low=0,
        help="Epochs without pseudo-labels at the start; 0 is suitable for pretrained weights.",
        panel=PSEUDO_PANEL,
    )
    teacher: Teacher = option(
        "--teacher",
        default=Teacher.AVERAGE,
        help="Network that predicts pseudo-labels: moving average of the weights, or current weights.",
        panel=PSEUDO_PANEL,
    )
    candidate_score: float = 0.001
    nms_iou: float = 0.3
    max_truth_iou: float = 0.3
    max_unknown: int = 5
    min_side: float = 50 / 640
    max_side: float = 320 / 640
    expansion: float = 0.3
    min_crop: float = 30 / 640


@dataclass(frozen=True, slots=True)
class DistillationSettings:
    """Knowledge distillation: another network's outputs as a second loss.

    Attributes
    ----------
    weights
        Those of the teacher; null: no distillation.
    gain
        Weight of that loss beside the training loss.
    """

    weights: str | None = option(
        "--distill",
        default=None,
        metavar="NAME|FILE",
        help="Teacher weights for knowledge distillation; any scale.",
        panel=DISTILLATION_PANEL,
    )
    gain: float = option(
        "--distill-gain",
        default=1.0,
        low=0,
        help="Weight of the distillation loss relative to that of the annotations.",
        panel=DISTILLATION_PANEL,
    )
