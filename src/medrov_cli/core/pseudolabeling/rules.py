"""Which proposals on a whole image become labels: pure functions, in pixels of the stored image."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.datasets.presence import PresenceTable
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.prediction.proposals import Proposals, split_by_presence, unannotated
from medrov_cli.core.records.boxes import box_areas
from medrov_cli.core.records.detections import Found
from medrov_cli.core.settings.proposals import ProposalSettings


def labels_for(
    found: Found, sample: Sample, presence: PresenceTable, max_truth_iou: float, least_score: float
) -> Found:
    """Return the proposals that become labels: of classes that are possible but not annotated there.

    Parameters
    ----------
    found
        One proposal an object.
    sample
        The image, with all its boxes.
    presence
        int8, (sources, classes).
    max_truth_iou
        A proposal that overlaps any box by this IoU or more is dropped.
    least_score
        Lower scores are dropped.
    """
    solid = (box_areas(found.boxes_xyxy) > 0) & (found.scores >= least_score)
    proposals = Proposals(found.boxes_xyxy, found.scores, found.labels).take(solid)
    truth = np.concatenate((sample.boxes_xyxy, sample.crowd_xyxy))
    proposals = unannotated(proposals, truth, ProposalSettings(max_truth_iou=max_truth_iou))
    sources = np.full(len(proposals.scores), sample.source_id, dtype=np.int64)
    known, _ = split_by_presence(proposals, sources, np.arange(presence.shape[1]), presence)
    return Found(*proposals.take(known))
