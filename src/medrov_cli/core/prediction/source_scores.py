"""Score a detector source by source: the validation of a training epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.metrics.average_precision import AveragePrecision, average_precision
from medrov_cli.core.metrics.detection_table import ImageResult
from medrov_cli.core.prediction.split_detection import Predictor, detect_batch, with_truth
from medrov_cli.core.settings.choices import Split
from medrov_cli.core.settings.groups import COCO_BATCH, COCO_SELECTION, SelectionSettings


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


@dataclass(frozen=True, slots=True)
class Exchange:
    """How several processes share the images of a split.

    Attributes
    ----------
    processes, process
        How many there are, and which this is, from 0.
    gather
        From one process's list to the lists of all, joined.
    """

    processes: int = 1
    process: int = 0
    gather: Callable[[list[Any]], list[Any]] = list


def evaluate(
    predict: Predictor,
    dataset: Dataset,
    split: Split,
    imgsz: int,
    selection: SelectionSettings = COCO_SELECTION,
    progress: Callable[[int, int], None] | None = None,
    exchange: Exchange | None = None,
) -> dict[str, SourceScore]:
    """Return the scores of every source that has a ground-truth box in the split.

    All classes are asked for at once on every image; those that a source does not annotate
    are left out of its score.

    Parameters
    ----------
    predict
        The detector with the dataset's classes, in their order.
    dataset, split
        What to score.
    imgsz
        Side of the square that images are fitted into, in pixels.
    selection
        How detections are chosen.
    progress
        Called with the number of images done and their total.
    exchange
        The processes that share the work; each gets all scores.
    """
    exchange = exchange or Exchange()
    samples = dataset.samples[split]
    mine: list[tuple[int, ImageResult]] = []
    for start in range(exchange.process * COCO_BATCH, len(samples), exchange.processes * COCO_BATCH):
        part = samples[start : start + COCO_BATCH]
        found = detect_batch(predict, part, imgsz, selection)
        mine.extend(enumerate(map(with_truth, part, found), start))
        if progress is not None:
            progress(min(start + exchange.processes * COCO_BATCH, len(samples)), len(samples))
    by_position: dict[int, ImageResult] = dict(exchange.gather(mine))
    results = [by_position[position] for position in range(len(samples))]
    scores = {}
    for source_id, source in enumerate(dataset.sources):
        own = [r for r, s in zip(results, samples, strict=True) if s.source_id == source_id]
        by_class = average_precision(own, source.class_ids)
        if by_class:
            named = {dataset.classes[row]: score for row, score in by_class.items()}
            scores[source.name] = SourceScore(len(own), named)
    return scores
