"""Forward pass of the teacher, in evaluation mode and without gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from medrov_cli.core.datasets.presence import NOBODY
from medrov_cli.core.model.network import Detector
from medrov_cli.core.training.pseudolabels.proposal_rules import Proposals


def predict_candidates(
    detector: Detector, images: Tensor, text: Tensor, classes: Tensor, min_score: float
) -> list[Proposals]:
    """Return the candidates of a detector in a batch; the detector is not changed.

    Parameters
    ----------
    detector
        The teacher, in training or evaluation mode.
    images
        float, (b, 3, size, size), RGB, 0 to 1.
    text
        float32, (b, t, 512): class embeddings.
    classes
        int64, (b, t): the class of each; padding columns are ignored.
    min_score
        Lower scores are left out.

    Returns
    -------
    list
        One record per sample, with a proposal for each anchor and prompt.
    """
    with torch.no_grad(), _evaluating(detector):
        boxes, scores = detector.detect(images, text)
    wanted = (scores >= min_score) & (classes != NOBODY).to(scores.device).unsqueeze(1)
    found = []
    for row in range(len(images)):
        anchors, columns = wanted[row].nonzero(as_tuple=True)
        found.append(
            Proposals(
                boxes[row, anchors].cpu().numpy(),
                scores[row, anchors, columns].cpu().numpy(),
                columns.cpu().numpy(),
            )
        )
    return found


@contextmanager
def _evaluating(detector: Detector) -> Iterator[None]:
    """Set the detector to evaluation mode during the body, and restore the mode of every part."""
    modes = [(module, module.training) for module in detector.modules()]
    detector.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
