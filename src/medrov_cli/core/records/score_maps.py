"""Score calibration and operating points that weights carry: records, their use and strict reading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from medrov_cli.core.base.codec import Fields, Rule, read_record
from medrov_cli.core.records.boxes import FloatArray

METHODS = ("isotonic", "platt")


@dataclass(frozen=True, slots=True)
class ClassCalibration:
    """The score map and the operating point of one class.

    Attributes
    ----------
    name
        The class; empty for all classes together.
    threshold
        Raw score from which detections are shown: the best F1, or nearly.
    f1
        F1 at the threshold, on the images of the fit.
    raw, calibrated
        Knots of a piecewise linear map that never falls; beyond its ends it is level.
    """

    name: str
    threshold: float
    f1: float
    raw: tuple[float, ...]
    calibrated: tuple[float, ...]

    def apply(self, scores: FloatArray) -> FloatArray:
        """Return calibrated scores, float, the shape of ``scores``."""
        return np.asarray(np.interp(scores, self.raw, self.calibrated), dtype=np.asarray(scores).dtype)

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
    """What ``medrov eval --fit`` found out.

    Attributes
    ----------
    method
        ``isotonic`` or ``platt``.
    dataset, split
        The images of the fit.
    imgsz
        Side of the square model input, in pixels.
    classes
        The classes that were fitted.
    pooled
        All classes together: for a text that is none of them.
    """

    method: Annotated[str, Rule(among=METHODS)]
    dataset: str
    split: str
    imgsz: Annotated[int, Rule(low=1, high=100_000)]
    classes: tuple[ClassCalibration, ...]
    pooled: ClassCalibration

    def for_name(self, names: Iterable[str]) -> ClassCalibration:
        """Return the calibration of the first class that one of ``names`` names; else the pooled one."""
        known = {own.name.casefold(): own for own in self.classes}
        return next((known[n.casefold()] for n in names if n.casefold() in known), self.pooled)


def parse_calibration(data: Any, where: str) -> CalibrationInfo | None:
    """Return the record that the metadata's ``calibration`` holds; null where there is none.

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
        classes=tuple(_class(child, may_be_empty=False) for child in fields.children("classes")),
        pooled=_class(fields.child("pooled"), may_be_empty=True),
    )


def _class(fields: Fields, *, may_be_empty: bool) -> ClassCalibration:
    raw, calibrated = fields.shares("raw"), fields.shares("calibrated")
    rising = bool(raw) and all(np.diff(raw) > 0)
    fields.require(rising, "raw", "a list of rising numbers")
    level = len(calibrated) == len(raw) and all(np.diff(calibrated) >= 0)
    fields.require(level, "calibrated", "a list of as many numbers that never fall")
    return read_record(ClassCalibration, fields, name=fields.text("name", may_be_empty=may_be_empty))
