"""The teacher's pass: one forward in evaluation mode, without gradient."""

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
    """Return what a detector sees in a batch, as it stands: it is not changed.

    Parameters
    ----------
    detector
        The teacher, in whatever mode.
    images
        float, (b, 3, size, size), RGB, 0 to 1.
    text
        float32, (b, t, 512): class embeddings.
    classes
        int64, (b, t): the class of each; a column that only fills up answers nothing.
    min_score
        Lower scores are left out.

    Returns
    -------
    list
        A record a sample: one proposal for each anchor and prompt.
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
    """Put the detector into evaluation mode, and every part back into its own mode."""
    modes = [(module, module.training) for module in detector.modules()]
    detector.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
