"""Rules by which detections in an image become labels: pure functions, in pixels of the stored image."""

from __future__ import annotations

import numpy as np

from medrov_cli.core.datasets.presence import POSSIBLE, PresenceTable
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.records.boxes import box_areas, overlaps_any
from medrov_cli.core.records.detections import Detections


def labels_for(
    found: Detections, sample: Sample, presence: PresenceTable, max_truth_iou: float, least_score: float
) -> Detections:
    """Return the detections of classes that are possible but not annotated in the source of the image.

    Parameters
    ----------
    found
        Detections, one per object.
    sample
        The image with all its annotations.
    presence
        int8, (sources, classes).
    max_truth_iou
        A detection that overlaps any box by this IoU or more is dropped.
    least_score
        Lower scores are dropped.
    """
    truth = np.concatenate((sample.boxes_xyxy, sample.crowd_xyxy))
    solid = (box_areas(found.boxes_xyxy) > 0) & (found.scores >= least_score)
    is_possible = presence[sample.source_id, found.labels] == POSSIBLE
    return found.subset(solid & is_possible & ~overlaps_any(found.boxes_xyxy, truth, max_truth_iou))
