"""Average precision source by source: the score of a training epoch and of an exported model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.metrics.average_precision import AveragePrecision, average_precision
from medrov_cli.core.metrics.detection_table import ImageResult


@dataclass(frozen=True, slots=True)
class SourceScore:
    """The AP of one source's own classes.

    Attributes
    ----------
    images
        Number of images scored.
    classes
        AP by class name; a class without a ground-truth box is left out.
    """

    images: int
    classes: Mapping[str, AveragePrecision]

    @property
    def map50(self) -> float:
        """Return the mean AP at IoU 0.5 over the classes."""
        return float(np.mean([score.ap50 for score in self.classes.values()]))

    @property
    def map50_95(self) -> float:
        """Return the mean AP over IoU 0.5 to 0.95 and the classes."""
        return float(np.mean([score.ap for score in self.classes.values()]))


def score_sources(
    results: Sequence[ImageResult],
    source_ids: Sequence[int],
    sources: Sequence[tuple[str, Sequence[int]]],
    classes: Sequence[str],
) -> dict[str, SourceScore]:
    """Return the scores of every source that has a ground-truth box, by name.

    All classes are searched in every image; those that a source does not annotate are left out of its score.

    Parameters
    ----------
    results
        Truth and detections, image by image.
    source_ids
        The source of each image.
    sources
        Name and annotated classes of each source.
    classes
        Names of the classes, by label.
    """
    scores = {}
    for source_id, (name, class_ids) in enumerate(sources):
        own = [result for result, image_of in zip(results, source_ids, strict=True) if image_of == source_id]
        by_class = average_precision(own, class_ids)
        if by_class:
            scores[name] = SourceScore(len(own), {classes[row]: score for row, score in by_class.items()})
    return scores
