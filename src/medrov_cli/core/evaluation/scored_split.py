"""Ground truth and detections of a split, and the classes that are scored on each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medrov_cli.core.datasets.dataset import Dataset
from medrov_cli.core.datasets.presence import ANNOTATED, POSSIBLE
from medrov_cli.core.datasets.sources import Sample
from medrov_cli.core.datasets.truth import with_truth
from medrov_cli.core.metrics.average_precision import CocoScorer
from medrov_cli.core.metrics.bootstrap import draw_weights, units_of
from medrov_cli.core.metrics.detection_table import BoolArray, DetectionTable
from medrov_cli.core.metrics.error_analysis import absent_mask
from medrov_cli.core.metrics.froc import FrocScorer
from medrov_cli.core.metrics.matching import FOUND, IGNORED
from medrov_cli.core.metrics.operating import ClassScores
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.values import HitRule


@dataclass(frozen=True, eq=False)
class ScoredSplit:
    """A split with detections: all sections of the report are computed from it.

    Attributes
    ----------
    dataset, samples
        The dataset, and the samples of the split.
    detections
        Detections, image by image.
    max_det
        Largest number of detections per image and class that is scored.
    plain
        Score every class on every image, without the presence table.
    """

    dataset: Dataset
    samples: Sequence[Sample]
    detections: Sequence[Detections]
    max_det: int
    plain: bool = False

    def with_detections(self, detections: Sequence[Detections]) -> ScoredSplit:
        """Return the split with other detections."""
        return ScoredSplit(self.dataset, self.samples, detections, self.max_det, self.plain)

    @cached_property
    def table(self) -> DetectionTable:
        """Return ground truth and detections as arrays."""
        return DetectionTable.from_images(list(map(with_truth, self.samples, self.detections)))

    @cached_property
    def scorer(self) -> CocoScorer:
        """Return the matches by COCO's rule."""
        return CocoScorer(self.table, self.max_det)

    @cached_property
    def sources(self) -> IntArray:
        """Return the source of each image, int64, (images,)."""
        return np.array([sample.source_id for sample in self.samples], dtype=np.int64)

    @property
    def scored(self) -> BoolArray:
        """Return whether a class is scored on an image, bool, (images, classes)."""
        return self.everything if self.plain else self.is_known

    @cached_property
    def is_known(self) -> BoolArray:
        """Return whether the presence of a class in an image is known, bool, (images, classes).

        It is not known where the source of the image can show the class without annotating it. In the
        presence-aware protocol, detections of the class there are neither right nor wrong.
        """
        return np.asarray(self.dataset.presence[self.sources] != POSSIBLE)

    @cached_property
    def absent(self) -> BoolArray:
        """Return whether a scored class is absent from an image, bool, (images, classes)."""
        return absent_mask(self.table, self.scored)

    @cached_property
    def annotated(self) -> BoolArray:
        """Return whether FROC scores a class on an image, bool, (images, classes)."""
        if self.plain:
            return self.everything
        return np.asarray(self.dataset.presence[self.sources] == ANNOTATED)

    @cached_property
    def everything(self) -> BoolArray:
        """Return the mask of the plain protocol, all True, bool, (images, classes)."""
        return np.ones_like(self.is_known)

    @cached_property
    def units(self) -> IntArray:
        """Return the bootstrap unit of each image, int64, (images,): its case, or the image."""
        return units_of([s.case if s.case is None else f"{s.source_id}/{s.case}" for s in self.samples])

    @property
    def unit(self) -> str:
        """Return the unit of the bootstrap: ``case`` or ``image``."""
        return "case" if any(sample.case is not None for sample in self.samples) else "image"

    def folds(self, count: int, seed: int = 0) -> list[BoolArray]:
        """Return disjoint parts of the images, bool, (images,) each; none with fewer than two units.

        A unit is in one part.
        """
        units = int(self.units.max(initial=-1)) + 1
        count = min(count, units)
        if count < 2:
            return []
        part_of = np.random.default_rng(seed).permutation(units) % count
        return [part_of[self.units] == part for part in range(count)]

    def weights(self, samples: int, seed: int) -> FloatArray:
        """Return the counts of the images in each bootstrap sample, (samples, images)."""
        return draw_weights(self.units, samples, seed)

    def froc(self, rule: HitRule) -> FrocScorer:
        """Return the matches by FROC's rule."""
        return FrocScorer(self.table, rule, self.max_det)

    def images_of(self, modality: Modality) -> BoolArray:
        """Return whether an image is of a modality, bool, (images,)."""
        own = np.array([source.modality is modality for source in self.dataset.sources])
        return np.asarray(own[self.sources])

    def class_scores(self, label: int, on: BoolArray | None = None) -> ClassScores:
        """Return the detections of a class where it is scored, matched at IoU 0.5, without those on crowds.

        Parameters
        ----------
        label
            Row of the class.
        on
            bool, (images,): images that are scored; null: all.
        """
        matches, table = self.scorer.matches, self.table
        counts = self.scored[:, label] if on is None else self.scored[:, label] & on
        own = (table.label[matches.rows] == label) & counts[table.image[matches.rows]]
        status = matches.status[0, 0]
        counted = own & (status != IGNORED)
        here = (table.truth_label == label) & ~table.is_crowd & counts[table.truth_image]
        rows = matches.rows[counted]
        return ClassScores(
            table.score[rows],
            status[counted] == FOUND,
            int(here.sum()),
            self.absent[table.image[rows], label],
        )
