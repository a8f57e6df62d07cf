"""Thresholds, calibration and box maps of classes: from scores and boxes of a network to those shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.prediction.classes import list_names
from medrov_cli.core.records.box_maps import MAPPED_IOU, BoxMap
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.score_maps import ClassCalibration
from medrov_cli.core.records.suppression import nms
from medrov_cli.core.settings.groups import DEFAULT_CONF
from medrov_cli.core.text.name_forms import close_name
from medrov_cli.core.weights.metadata import WeightsMetadata

MOST_CLOSE = 20
"""Largest number of unknown names for which a known one is looked up that a mistyped name may mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Scoring:
    """Threshold and calibration of each class.

    Attributes
    ----------
    thresholds
        float, (classes,): the lowest raw score of each.
    maps
        The calibration of each class; null: raw scores are shown.
    warnings
        Sentence about the classes that the weights do not know, and so have no operating point of.
    lowest
        Lowest threshold of the texts of the engine; null: that of all classes.
    box_maps
        Map of the boxes of each class; null: none. They hold for raw scores, too.
    """

    thresholds: FloatArray
    maps: tuple[ClassCalibration, ...] | None = None
    warnings: tuple[str, ...] = ()
    lowest: float | None = None
    box_maps: tuple[BoxMap | None, ...] | None = None

    @property
    def floor(self) -> float:
        """Return the lowest threshold of the texts of the engine; learned classes have their own floor."""
        return float(self.thresholds.min()) if self.lowest is None else self.lowest

    @property
    def kind(self) -> str:
        """Return ``calibrated`` or ``raw``."""
        return "raw" if self.maps is None else "calibrated"

    def without_classes(self) -> Scoring:
        """Return the scoring of no class, calibrated or not as this one."""
        return Scoring(self.thresholds[:0], None if self.maps is None else (), lowest=0.0)

    @classmethod
    def from_metadata(
        cls,
        names: Sequence[Sequence[str]],
        metadata: WeightsMetadata,
        *,
        conf: float | None,
        raw_scores: bool,
        learned: Collection[str] = (),
    ) -> Scoring:
        """Return the scoring of some classes.

        Parameters
        ----------
        names
            Of each class: its name and synonyms. A class of the weights takes its own calibration and
            threshold, or those of all classes together if it was too rare for a fit. Any other text takes
            the calibration of all classes together and the raw threshold `DEFAULT_CONF`.
        metadata
            Metadata of the weights.
        conf
            Lowest score of a detection; null: the operating point of each class.
        raw_scores
            Whether scores are not calibrated.
        learned
            Names that are not searched by their text: no warning is about them.
        """
        calibration = metadata.calibration
        if calibration is None:
            return cls(np.full(len(names), DEFAULT_CONF if conf is None else conf))
        known = {text: entries[0].name for text, entries in metadata.entries_by_text().items()}
        replaced = set(map(str.casefold, learned))
        known |= {own.name.casefold(): own.name for own in calibration.classes}
        own_names = [[known[t.casefold()] for t in texts if t.casefold() in known] for texts in names]
        maps = tuple(calibration.for_name(own) for own in own_names)
        warnings: tuple[str, ...] = ()
        if conf is None:
            thresholds = [
                one.threshold if own else DEFAULT_CONF for one, own in zip(maps, own_names, strict=True)
            ]
            warnings = _without_operating_point(
                [
                    texts[0]
                    for texts, own in zip(names, own_names, strict=True)
                    if not own and texts[0].casefold() not in replaced
                ],
                known,
            )
        elif raw_scores:
            thresholds = [conf] * len(maps)
        else:
            thresholds = [one.raw_threshold(conf) for one in maps]
        shown = None if raw_scores else maps
        box_maps = tuple(one.box_map for one in maps)
        return cls(np.array(thresholds), shown, warnings, box_maps=box_maps if any(box_maps) else None)

    def shown(self, scores: FloatArray, labels: IntArray) -> FloatArray:
        """Return the calibrated scores of detections, (n,), given their classes, (n,)."""
        if self.maps is None:
            return scores
        values = scores.copy()
        for label in np.unique(labels):
            own = labels == label
            values[own] = self.maps[label].apply(scores[own])
        return values

    def mapped(self, boxes_xyxy: FloatArray, labels: IntArray, sides: float | FloatArray) -> FloatArray:
        """Return the boxes of detections, (n, 4), after the maps of their classes, (n,).

        Parameters
        ----------
        boxes_xyxy, labels
            Boxes and classes.
        sides
            Longest side of the image or tile in the pixels of the boxes; one number, or (n, 1).
        """
        if self.box_maps is None:
            return boxes_xyxy
        values = boxes_xyxy.copy()
        by_box = np.broadcast_to(sides, (len(labels), 1))
        for label in np.unique(labels):
            own, known = labels == label, self.box_maps[label]
            if known is not None:
                values[own] = known.apply(boxes_xyxy[own], by_box[own])
        return values

    def distinct(self, boxes_xyxy: FloatArray, scores: FloatArray, labels: IntArray) -> IntArray:
        """Return the rows of detections, int64, in their order, that remain after their boxes were mapped.

        Classes without a map keep all: the usual suppression is before the map, in every engine.
        """
        if self.box_maps is None:
            return np.arange(len(labels))
        has_map = [row for row, own in enumerate(self.box_maps) if own is not None]
        mapped = np.flatnonzero(np.isin(labels, has_map))
        kept = nms(boxes_xyxy[mapped], scores[mapped], labels[mapped], MAPPED_IOU, len(mapped))
        return np.setdiff1d(np.arange(len(labels)), np.delete(mapped, kept))


def _without_operating_point(names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    if not names:
        return ()
    said = [f"no operating point; shown from a raw score of {DEFAULT_CONF}: {list_names(names)}"]
    if len(names) <= MOST_CLOSE:
        close = [(name, close_name(name, known)) for name in names]
        said += [f"{name!r} is not known: is it {meant!r}?" for name, meant in close if meant is not None]
    return tuple(said)
