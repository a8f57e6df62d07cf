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
    """Rules by which proposals become targets.

    The values are those of MedROV (arXiv 2511.20650), except the first epoch. Its pixel sizes are for a model
    input of 640; here they are fractions of the input's side.

    Attributes
    ----------
    teacher
        The moving average of the weights, or the current weights.
    first_epoch
        First epoch with proposals, 0-based. The paper's model is pretrained and starts with epoch 0; an
        untrained one gives high scores to false positives.
    candidate_score, nms_iou
        Minimum score and IoU of the suppression over all classes.
    min_score
        Minimum score of a proposal.
    max_truth_iou
        Minimum IoU with a ground-truth box at which a proposal is removed.
    unknown_objects
        Whether objects of no class become targets with the embedding of their crop; requires an encoder with
        an image tower.
    max_unknown
        Maximum number of unknown objects per image, highest scores first.
    min_side, max_side
        Sides of an unknown object's box: 50 to 320 px at 640.
    expansion
        Enlargement of the crop on each side, relative to the box; clipped to the source image.
    min_crop
        Minimum sides of the crop: 30 px at 640.
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
    """Settings of knowledge distillation: the outputs of another network as a second loss.

    Attributes
    ----------
    weights
        Weights of the teacher; null: no distillation.
    gain
        Weight of that loss relative to the training loss.
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
