"""From the network's scores to those that are shown: thresholds and calibration by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.weights.metadata import WeightsMetadata

DEFAULT_CONF = 0.25
"""Lowest score where weights have no operating points (ultralytics' ``predict``)."""


@dataclass(frozen=True, slots=True, eq=False)
class Scoring:
    """What a score must be to be shown, and as what it is shown.

    Attributes
    ----------
    thresholds
        float, (classes,): the lowest raw score of each.
    maps
        The calibration of each class; null: raw scores are shown.
    """

    thresholds: FloatArray
    maps: tuple[ClassCalibration, ...] | None = None

    @property
    def floor(self) -> float:
        """Return the lowest score that any class is shown with."""
        return float(self.thresholds.min())

    @property
    def kind(self) -> str:
        """Return ``calibrated`` or ``raw``."""
        return "raw" if self.maps is None else "calibrated"

    @classmethod
    def from_metadata(
        cls,
        names: Sequence[Sequence[str]],
        metadata: WeightsMetadata,
        *,
        conf: float | None,
        raw_scores: bool,
    ) -> Scoring:
        """Return the scoring of some classes.

        Parameters
        ----------
        names
            Of each class: its name and synonyms. One that weights know takes that class's
            calibration, any other text that of all classes together.
        metadata
            Of the weights.
        conf
            Lowest score as it is shown; null: each class's operating point.
        raw_scores
            Show scores as the network gives them.
        """
        calibration = metadata.calibration
        if calibration is None:
            return cls(np.full(len(names), DEFAULT_CONF if conf is None else conf))
        known = {
            text.casefold(): entry.name
            for entry in metadata.vocabulary
            for text in (*entry.synonyms, entry.name)
        }
        own = tuple(
            calibration.for_name([*texts, *(known[t.casefold()] for t in texts if t.casefold() in known)])
            for texts in names
        )
        if conf is None:
            thresholds = [one.threshold for one in own]
        elif raw_scores:
            thresholds = [conf] * len(own)
        else:
            thresholds = [one.raw_threshold(conf) for one in own]
        return cls(np.array(thresholds), None if raw_scores else own)

    def shown(self, scores: FloatArray, labels: IntArray) -> FloatArray:
        """Return the scores of detections as they are shown, (n,), given their classes, (n,)."""
        if self.maps is None:
            return scores
        values = scores.copy()
        for label in np.unique(labels):
            own = labels == label
            values[own] = self.maps[label].apply(scores[own])
        return values
