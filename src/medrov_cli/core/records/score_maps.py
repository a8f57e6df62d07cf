"""Score calibration and operating points of weights: records, application and strict parser."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from medrov_cli.core.base.codec import Fields, Rule, read_record
from medrov_cli.core.records.box_maps import BoxMap, read_box_map
from medrov_cli.core.records.boxes import FloatArray

METHODS = ("isotonic", "platt")


@dataclass(frozen=True, slots=True)
class ClassCalibration:
    """Score map, operating point and box map of one class.

    Attributes
    ----------
    name
        Name of the class; empty for all classes pooled.
    threshold
        Raw score from which detections are shown, with the best or nearly the best F1.
    f1
        F1 at the threshold, on the images of the fit.
    raw, calibrated
        Knots of a piecewise linear, non-decreasing map, which is constant beyond its ends.
    free_threshold
        The threshold before a limit on false positives of absent classes raised it; null if none did.
    box_map
        Map of its boxes; null: they stay as they are.
    """

    name: str
    threshold: float
    f1: float
    raw: tuple[float, ...]
    calibrated: tuple[float, ...]
    free_threshold: Annotated[float | None, Rule(may_be_absent=True)] = None
    box_map: Annotated[BoxMap | None, Rule(may_be_absent=True)] = None

    def apply(self, scores: FloatArray) -> FloatArray:
        """Return calibrated scores, float, in the shape of ``scores``."""
        return np.asarray(np.interp(scores, self.raw, self.calibrated), dtype=np.asarray(scores).dtype)

    def short_record(self) -> dict[str, Any]:
        """Return the fields, without a box map that is null: as before there were any."""
        record = dataclasses.asdict(self)
        if self.box_map is None:
            del record["box_map"]
        return record

    def raw_threshold(self, calibrated: float) -> float:
        """Return the smallest raw score that is shown as ``calibrated`` or more; above 1 if none is."""
        if calibrated <= self.calibrated[0]:
            return 0.0
        if calibrated > self.calibrated[-1]:
            return float(np.nextafter(1.0, 2.0))
        end = int(np.searchsorted(self.calibrated, calibrated, "left"))
        low, high = self.calibrated[end - 1], self.calibrated[end]
        share = (calibrated - low) / (high - low)
        return self.raw[end - 1] + share * (self.raw[end] - self.raw[end - 1])


@dataclass(frozen=True, slots=True)
class CalibrationInfo:
    """Result of ``medrov eval --fit``.

    Attributes
    ----------
    method
        ``isotonic`` or ``platt``.
    dataset, split
        Dataset and split of the fit.
    imgsz
        Side of the square model input, in pixels.
    classes
        Fitted classes.
    pooled
        Calibration of all classes pooled, for texts that are none of them.
    """

    method: Annotated[str, Rule(among=METHODS)]
    dataset: str
    split: str
    imgsz: Annotated[int, Rule(low=1, high=100_000)]
    classes: tuple[ClassCalibration, ...]
    pooled: ClassCalibration

    def for_name(self, names: Iterable[str]) -> ClassCalibration:
        """Return the calibration of the first class in ``names``; else the pooled one."""
        known = {own.name.casefold(): own for own in self.classes}
        return next((known[n.casefold()] for n in names if n.casefold() in known), self.pooled)


def parse_calibration(data: Any, where: str) -> CalibrationInfo | None:
    """Return the record in the metadata's ``calibration``; null without one.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    if data is None:
        return None
    fields = Fields.from_object(data, where, "calibration.")
    return read_record(
        CalibrationInfo,
        fields,
        classes=tuple(
            read_class_calibration(child, may_be_empty=False) for child in fields.children("classes")
        ),
        pooled=read_class_calibration(fields.child("pooled"), may_be_empty=True),
    )


def read_class_calibration(fields: Fields, *, may_be_empty: bool = False) -> ClassCalibration:
    """Return the record of one class; ``may_be_empty``: its name may be.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    raw, calibrated = fields.shares("raw"), fields.shares("calibrated")
    rising = bool(raw) and all(np.diff(raw) > 0)
    fields.require(rising, "raw", "a list of rising numbers")
    level = len(calibrated) == len(raw) and all(np.diff(calibrated) >= 0)
    fields.require(level, "calibrated", "a list of as many numbers that never fall")
    box_map = None if fields.data.get("box_map") is None else read_box_map(fields.child("box_map"))
    name = fields.text("name", may_be_empty=may_be_empty)
    return read_record(ClassCalibration, fields, name=name, box_map=box_map)
