"""The steps and thresholds of pseudo-labelling, each with its source."""

from __future__ import annotations

from dataclasses import dataclass

from medrov_cli.core.settings.choices import Teacher


@dataclass(frozen=True, slots=True)
class PseudoLabelConfig:
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

    teacher: Teacher = Teacher.AVERAGE
    first_epoch: int = 1
    candidate_score: float = 0.001
    nms_iou: float = 0.3
    min_score: float = 0.9
    max_truth_iou: float = 0.3
    unknown_objects: bool = False
    max_unknown: int = 5
    min_side: float = 50 / 640
    max_side: float = 320 / 640
    expansion: float = 0.3
    min_crop: float = 30 / 640
