"""Knowledge distillation: class scores and box edges of a teacher network as soft targets.

Sources: knowledge distillation (arXiv 1503.02531), and for box edges localization distillation
(arXiv 2102.12252). The terms are normalised and weighted as those of the training loss.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from medrov_cli.core.base.constants import REG_MAX
from medrov_cli.core.model.learning.distributed import mean_over_processes, process_count
from medrov_cli.core.model.network import Detector, RawPredictions
from medrov_cli.core.settings.train_groups import LossGains

EDGES_FROM = 0.01
"""Smallest teacher score of an anchor in the loss of box edges."""


class Distillation:
    """Distillation loss of a student with respect to a teacher on the same images and texts.

    Parameters
    ----------
    teacher
        A detector in evaluation mode, of any scale; it runs without gradient.
    gain
        Weight of the sum of both terms relative to the training loss.
    gains
        Gains of the training loss.
    """

    def __init__(self, teacher: Detector, gain: float, gains: LossGains) -> None:
        self._teacher = teacher
        self._gain = gain
        self._gains = gains

    def __call__(self, images: Tensor, text: Tensor, valid: Tensor, student: RawPredictions) -> Tensor:
        """Return the weighted distillation loss, a scalar with gradient.

        Parameters
        ----------
        images
            float, (b, 3, height, width), RGB, 0 to 1.
        text
            float32, (b, t, 512): class embeddings, before any adapter.
        valid
            bool, (b, t): valid columns; padding columns are ignored.
        student
            Predictions of the student; columns beyond ``t`` are ignored.
        """
        with torch.no_grad():
            taught = cast(RawPredictions, self._teacher(images, text))
        return self._gain * distillation_loss(student, taught, valid, self._gains)


def distillation_loss(
    student: RawPredictions, teacher: RawPredictions, valid: Tensor, gains: LossGains
) -> Tensor:
    """Return the divergence of a student from its teacher; 0 if both are equal.

    The term of scores is the binary divergence at each anchor and class. The term of edges is the divergence
    of the distributions over distances, weighted by the teacher's largest score at the anchor. Both are
    divided by the sum of the largest scores, as the training loss is divided by the sum of its targets.

    Parameters
    ----------
    student, teacher
        Predictions for the same images and texts.
    valid
        bool, (b, t): valid columns.
    gains
        Weights of the terms.
    """
    count = valid.shape[1]
    wanted = teacher.logits[..., :count].float()
    own = student.logits[..., :count].float()
    probability = wanted.sigmoid()
    divergence = (
        functional.softplus(own) - functional.softplus(wanted) - probability * (own - wanted)
    ) * valid[:, None, :]
    surest = (probability * valid[:, None, :]).amax(2)  # (b, a)
    norm = mean_over_processes(surest.sum()).clamp_min(1 / process_count())
    seen = surest >= EDGES_FROM
    weight = surest[seen]
    log_taught = teacher.distances[seen].float().view(-1, 4, REG_MAX).log_softmax(2)
    log_own = student.distances[seen].float().view(-1, 4, REG_MAX).log_softmax(2)
    edges = (log_taught.exp() * (log_taught - log_own)).sum(2).mean(1) * weight
    return (gains.text * divergence.sum() + gains.distribution * edges.sum()) / norm
