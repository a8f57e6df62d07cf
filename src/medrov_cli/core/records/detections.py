"""Candidates of an engine, detections of an image, and inputs that failed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array, Frame, ModelIdentity


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Output of an engine for one image, in model pixels, before selection.

    It differs from :class:`Detections` in both axes: a row has a score for every class.

    Attributes
    ----------
    boxes_xyxy
        float32, (n, 4), in model pixels.
    scores
        float32, (n, classes), 0 to 1. The rows are those of anchors by level, row and column.
    """

    boxes_xyxy: Float32Array
    scores: Float32Array


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Detections of one image.

    Attributes
    ----------
    boxes_xyxy
        float, (n, 4): left, top, right, bottom in source pixels; the origin is the top-left corner of the
        top-left pixel.
    scores
        float, (n,), 0 to 1, as shown: calibrated where the weights have a calibration.
    labels
        int64, (n,): indices of classes.
    classes
        Names of the classes, by label; empty where the labels are indices of a dataset's classes.
    frame
        Path, size and metadata of the image, as a rule without its pixels; null for detections that were
        read from a file.
    model
        Weights, vocabulary and engine; null where they are not known.
    elapsed_ms
        Time of the forward pass, per image of its batch; null where it was not measured.

    Raises
    ------
    ValueError
        Shapes, lengths or dtypes are others, or a label has no name.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    labels: IntArray
    classes: tuple[str, ...] = ()
    frame: Frame | None = None
    model: ModelIdentity | None = None
    elapsed_ms: float | None = None

    def __post_init__(self) -> None:
        """Check shapes, dtypes and lengths."""
        count = len(self.scores)
        for name, values, shape in (
            ("boxes_xyxy", self.boxes_xyxy, (count, 4)),
            ("scores", self.scores, (count,)),
            ("labels", self.labels, (count,)),
        ):
            if values.shape != shape:
                raise ValueError(f"{name} has the shape {values.shape}, not {shape}")
        for name, values in (("boxes_xyxy", self.boxes_xyxy), ("scores", self.scores)):
            if not np.issubdtype(values.dtype, np.floating):
                raise ValueError(f"{name} is {values.dtype}, not a floating-point array")
        if self.labels.dtype != np.int64:
            raise ValueError(f"labels is {self.labels.dtype}, not int64")
        if count and (self.labels.min() < 0 or (self.classes and self.labels.max() >= len(self.classes))):
            raise ValueError(f"labels are not indices of {len(self.classes)} classes")

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.scores)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the class name of each detection."""
        return tuple(self.classes[label] for label in self.labels)

    def subset(self, rows: IntArray | npt.NDArray[np.bool_]) -> Detections:
        """Return some of the detections, by index or by mask."""
        return replace(
            self, boxes_xyxy=self.boxes_xyxy[rows], scores=self.scores[rows], labels=self.labels[rows]
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be used, wholly or from one of its frames on.

    Attributes
    ----------
    path
        The input, as it was given.
    error
        Code, message and hint.
    """

    path: str
    error: MedrovError
