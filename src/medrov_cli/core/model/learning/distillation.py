"""Learn from what another network sees: soft scores of each class, and where the edges of boxes lie.

Source: knowledge distillation (arXiv 1503.02531); of the box edges, localization distillation
(arXiv 2102.12252). The terms are normed and weighed as those of the training loss, so that the two
speak in one measure. What truth calls one or nothing, the teacher calls more or less alike.
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
"""Where the teacher sees hardly anything, it says nothing of edges."""


class Distillation:
    """Compare a student's raw predictions with a teacher's on the same images and texts.

    Parameters
    ----------
    teacher
        A detector in evaluation mode, of any scale; it is asked without gradient.
    gain
        Weight of the sum of both terms beside the training loss.
    gains
        Those of the training loss.
    """

    def __init__(self, teacher: Detector, gain: float, gains: LossGains) -> None:
        self._teacher = teacher
        self._gain = gain
        self._gains = gains

    def __call__(self, images: Tensor, text: Tensor, asked: Tensor, student: RawPredictions) -> Tensor:
        """Return the weighted distillation loss, a scalar that carries gradient.

        Parameters
        ----------
        images
            float, (b, 3, height, width), RGB, 0 to 1.
        text
            float32, (b, t, 512): class embeddings, before any adapter.
        asked
            bool, (b, t): columns that count; those that only fill up do not.
        student
            What the student said; columns beyond ``t`` are not compared.
        """
        with torch.no_grad():
            taught = cast(RawPredictions, self._teacher(images, text))
        return self._gain * distillation_loss(student, taught, asked, self._gains)


def distillation_loss(
    student: RawPredictions, teacher: RawPredictions, asked: Tensor, gains: LossGains
) -> Tensor:
    """Return the divergence of a student from its teacher; 0 where they agree.

    Of scores it is the divergence of two yes-or-no answers at each anchor and class, of edges that of the
    distributions over distances, where the teacher sees an object, in proportion to its surest score.
    Both are divided by the sum of the surest scores, as the training loss is by that of its targets.

    Parameters
    ----------
    student, teacher
        Predictions for the same images and texts.
    asked
        bool, (b, t): columns that count.
    gains
        Weights of the terms.
    """
    count = asked.shape[1]
    wanted = teacher.logits[..., :count].float()
    own = student.logits[..., :count].float()
    probability = wanted.sigmoid()
    divergence = (
        functional.softplus(own) - functional.softplus(wanted) - probability * (own - wanted)
    ) * asked[:, None, :]
    surest = (probability * asked[:, None, :]).amax(2)  # (b, a)
    norm = mean_over_processes(surest.sum()).clamp_min(1 / process_count())
    seen = surest >= EDGES_FROM
    weight = surest[seen]
    log_taught = teacher.distances[seen].float().view(-1, 4, REG_MAX).log_softmax(2)
    log_own = student.distances[seen].float().view(-1, 4, REG_MAX).log_softmax(2)
    edges = (log_taught.exp() * (log_taught - log_own)).sum(2).mean(1) * weight
    return (gains.text * divergence.sum() + gains.distribution * edges.sum()) / norm
