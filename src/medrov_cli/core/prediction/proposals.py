"""Proposals of boxes, compared with the annotations and the presence table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medrov_cli.core.datasets.presence import NOBODY, POSSIBLE, PresenceTable
from medrov_cli.core.records.boxes import FloatArray, IntArray, iou_matrix
from medrov_cli.core.settings.proposals import ProposalSettings


class Proposals(NamedTuple):
    """What a teacher sees in one image.

    Attributes
    ----------
    boxes_xyxy
        float, (n, 4), in model pixels.
    scores
        float, (n,), 0 to 1.
    columns
        int64, (n,): the prompt that each answers.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    columns: IntArray

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> Proposals:
        """Return some of them."""
        return Proposals(self.boxes_xyxy[rows], self.scores[rows], self.columns[rows])


def unannotated(proposals: Proposals, truth_xyxy: FloatArray, config: ProposalSettings) -> Proposals:
    """Return the proposals that no ground-truth box, (m, 4), explains."""
    if not len(truth_xyxy):
        return proposals
    overlap = iou_matrix(proposals.boxes_xyxy, truth_xyxy).max(1)
    return proposals.take(overlap < config.max_truth_iou)


def split_by_presence(
    proposals: Proposals, sources: IntArray, classes: IntArray, presence: PresenceTable
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell which proposals are objects of their class, and which are unknown objects.

    A class that the source image may show without a box of it (P = 0) is believed. A class that
    is annotated there, or impossible there, cannot be right: the object is an unknown one.

    Parameters
    ----------
    proposals
        Of one image.
    sources
        int64, (n,): the dataset's source of each proposal, or `NOBODY`.
    classes
        int64, (t,): the class of each prompt.
    presence
        int8, (sources, classes).

    Returns
    -------
    known, unknown
        bool, (n,). A proposal on padding is neither.
    """
    seen = sources != NOBODY
    believed = presence[sources, classes[proposals.columns]] == POSSIBLE
    return seen & believed, seen & ~believed
