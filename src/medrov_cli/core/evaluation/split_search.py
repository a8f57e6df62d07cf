"""Detections of a split by a detector, with a journal for ``--resume``: in this process or on a cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from medrov_cli.core.base.progress import Progress
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.datasets.truth import require_readable
from medrov_cli.core.prediction.dataset_model import DatasetModel
from medrov_cli.core.prediction.sample_cluster import SampleCluster
from medrov_cli.core.prediction.sample_search import ModelSearch
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.runs.detection_journal import DetectionJournal
from medrov_cli.core.settings.evaluate import EvaluateSettings
from medrov_cli.core.settings.groups import COCO_BATCH


@dataclass(frozen=True, slots=True)
class SplitSearch:
    """Search of the samples of a split.

    Attributes
    ----------
    config
        All settings.
    samples
        The samples.
    truth_sha256
        Identity of their ground truth.
    detector
        Model with the classes of the dataset.
    search
        How samples are searched.
    cluster
        Workers; null: this process.
    advance
        Function of the progress.
    """

    config: EvaluateSettings
    samples: Sequence[Sample]
    truth_sha256: str
    detector: DatasetModel
    search: ModelSearch
    cluster: SampleCluster | None
    advance: Progress

    def detect(self, names: Sequence[Sequence[str]], suffix: str, what: str) -> Sequence[Detections]:
        """Return the detections of each image.

        Parameters
        ----------
        names
            Of each class: the texts whose embeddings are averaged.
        suffix
            Suffix of the journal's name.
        what
            Name of the stage, for progress.
        """
        config, detector, selection = self.config, self.detector, self.config.selection
        batch = config.runtime.batch or COCO_BATCH
        identity = {
            "weights": detector.file.content_sha256,
            "truth": self.truth_sha256,
            "images": len(self.samples),
            "imgsz": detector.imgsz,
            "rectangles": detector.rectangles,
            "names": hashlib.sha256(
                json.dumps([detector.text_encoder, names, *detector.learned_identity]).encode()
            ).hexdigest(),
            "engine": detector.engine_name,
            "precision": detector.precision,
            "conf": selection.conf,
            "iou": selection.iou,
            "max_det": selection.max_det,
            "batch": batch,
        }
        folder = config.output.folder
        path = None if folder is None else folder / f"predictions{suffix}.jsonl"
        with closing(DetectionJournal(path, identity, resume=config.output.resume)) as journal:
            self.advance(len(journal.items), len(self.samples), what)
            if len(journal.items) < len(self.samples):
                self._detect_rest(names, journal, what, batch)
            journal.finish()
            return journal.detections

    def _detect_rest(
        self, names: Sequence[Sequence[str]], journal: DetectionJournal, what: str, batch: int
    ) -> None:
        """Append the detections of the images that are not in the journal."""
        samples, cluster = self.samples, self.cluster
        stream = self.search.open([self.detector], names) if cluster is None else cluster.open(names)
        with closing(stream(samples[len(journal.items) :], batch=batch)) as items:
            for item in items:
                journal.add(samples[len(journal.items)].localize(require_readable(item)))
                done = len(journal.items)
                if done % batch == 0 or done == len(samples):
                    stage = what if cluster is None else cluster.describe_stage(what)
                    self.advance(done, len(samples), stage)
