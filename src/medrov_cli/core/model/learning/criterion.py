"""Training loss: region-text contrast, complete IoU and distribution focal loss.

Source: YOLO-World (arXiv 2401.17270) trains the region-text similarity with binary cross
entropy against task-aligned soft targets; the box terms and the gains are ultralytics' v8 loss.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from medrov_cli.core.base.constants import REG_MAX
from medrov_cli.core.model.geometry import complete_iou
from medrov_cli.core.model.head import ContrastiveDetectionHead
from medrov_cli.core.model.learning.assigner import Targets, assign
from medrov_cli.core.model.learning.distributed import mean_over_processes, process_count
from medrov_cli.core.model.network import RawPredictions
from medrov_cli.core.settings.train_groups import LossGains


class Loss(NamedTuple):
    """Weighted terms of the loss, each a scalar with gradient, and their sum."""

    total: Tensor
    box: Tensor
    text: Tensor
    distribution: Tensor


class DetectionCriterion:
    """Loss of raw predictions with respect to targets.

    Parameters
    ----------
    head
        Head of the network, which defines the anchors.
    gains
        Weights of the terms.
    """

    def __init__(self, head: ContrastiveDetectionHead, gains: LossGains | None = None) -> None:
        self._head = head
        self._gains = gains or LossGains()

    def __call__(self, raw: RawPredictions, targets: Targets, ignored: Tensor | None = None) -> Loss:
        """Return the loss, a mean over positive anchors, weighted by their soft targets.

        With several training processes it is the part of this process: the mean over them is the loss.

        Parameters
        ----------
        raw, targets
            Predictions and ground truth of a batch.
        ignored
            bool, (b, t): classes that are not negatives in a sample; their targets count.
        """
        head, gains = self._head, self._gains
        logits = raw.logits.float()
        boxes_xyxy = head.decode(raw.distances, raw.grid_hw)
        found = assign(targets, boxes_xyxy.detach(), logits.detach(), raw.grid_hw, head.strides)
        weight = found.score
        norm = mean_over_processes(weight.sum()).clamp_min(1 / process_count())

        image, anchor = found.image_index, found.anchor_index
        column = targets.labels[found.target_index]
        positive = logits[image, anchor, column]
        negatives = functional.softplus(logits)
        total = negatives.sum()
        if ignored is not None:
            rows, columns = ignored.nonzero(as_tuple=True)
            total = total - negatives[rows, :, columns].sum()
            total = total + functional.softplus(positive)[ignored[image, column]].sum()
        text = (total - (positive * weight).sum()) / norm

        true_xyxy = targets.boxes_xyxy[found.target_index]
        overlap = complete_iou(boxes_xyxy[image, anchor], true_xyxy)
        box = ((1 - overlap) * weight).sum() / norm

        centres, strides = head.anchors(raw.grid_hw, logits)
        centre, stride = centres[anchor], strides[anchor]
        true_cells = torch.cat((centre - true_xyxy[:, :2], true_xyxy[:, 2:] - centre), 1) / stride
        rows = raw.distances[image, anchor].view(-1, 4, REG_MAX)
        distribution = (distribution_focal_loss(rows, true_cells) * weight).sum() / norm

        terms = (gains.box * box, gains.text * text, gains.distribution * distribution)
        return Loss(terms[0] + terms[1] + terms[2], *terms)


def distribution_focal_loss(logits: Tensor, target_cells: Tensor) -> Tensor:
    """Return the distribution focal loss (arXiv 2006.04388) of each row, (n,).

    Parameters
    ----------
    logits
        float, (n, 4, 16), over the bins of each distance.
    target_cells
        float, (n, 4): true distances in cells; the function clips them to the bins.
    """
    target = target_cells.clamp(0, REG_MAX - 1 - 0.01)
    left = target.long().unsqueeze(-1)
    right_share = target - left.squeeze(-1)
    log_p = functional.log_softmax(logits.float(), -1)
    at_left = log_p.gather(-1, left).squeeze(-1)
    at_right = log_p.gather(-1, left + 1).squeeze(-1)
    return -(at_left * (1 - right_share) + at_right * right_share).mean(-1)
