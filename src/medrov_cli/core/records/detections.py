"""Candidates of an engine, detections of an image, and inputs that failed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array, Frame, ModelIdentity
from medrov_cli.core.records.image_kinds import ImageKind
from medrov_cli.core.records.tiling import Tiling

NO_CANDIDATE = -1.0
"""Score of a row for a class of which it is no candidate: it is below every threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Output of an engine for one image, in model pixels, before selection.

    It differs from :class:`Detections` in both axes: a row has a score for every class.

    Attributes
    ----------
    boxes_xyxy
        float32, (n, 4), in model pixels.
    scores
        float32, (n, classes), 0 to 1; `NO_CANDIDATE` where a row is no candidate of a class. Rows are
        anchors, ordered by level, row and column, first those of texts, then those of learned classes.
    pooled
        Pooled features of the image, float32, (2 * channels,): the mean of each channel of the backbone, then
        the mean of its squares; null if the engine does not compute them.
    """

    boxes_xyxy: Float32Array
    scores: Float32Array
    pooled: Float32Array | None = None

    def beside(self, other: Candidates) -> Candidates:
        """Return the rows and columns of both: a row has scores for its own columns alone."""
        scores = np.full(
            (len(self.scores) + len(other.scores), self.scores.shape[1] + other.scores.shape[1]),
            NO_CANDIDATE,
            dtype=np.float32,
        )
        scores[: len(self.scores), : self.scores.shape[1]] = self.scores
        scores[len(self.scores) :, self.scores.shape[1] :] = other.scores
        return Candidates(np.concatenate((self.boxes_xyxy, other.boxes_xyxy)), scores, self.pooled)


@dataclass(frozen=True, slots=True, eq=False)
class ClassCandidates:
    """Output of an engine for one image as pairs of an anchor and a class, in model pixels.

    Pairs below the threshold of their class were left out on the device, so that the number of classes does
    not change the number of values that reach the host.

    Attributes
    ----------
    boxes_xyxy
        float32, (n, 4), in model pixels.
    scores
        float32, (n,), 0 to 1.
    labels
        int64, (n,): class of each pair. Pairs are ordered by anchor and class, or by score where suppressed.
    pooled
        Pooled features of the image; see :class:`Candidates`.
    is_suppressed
        Whether non-maximum suppression within each class was applied.
    """

    boxes_xyxy: Float32Array
    scores: Float32Array
    labels: IntArray
    pooled: Float32Array | None = None
    is_suppressed: bool = False

    def beside(self, other: ClassCandidates, classes: int) -> ClassCandidates:
        """Return the pairs of both; the classes of the other follow the ``classes`` of this one."""
        return ClassCandidates(
            np.concatenate((self.boxes_xyxy, other.boxes_xyxy)),
            np.concatenate((self.scores, other.scores)),
            np.concatenate((self.labels, other.labels + classes)),
            self.pooled,
            self.is_suppressed and other.is_suppressed,
        )


AnyCandidates = Candidates | ClassCandidates
"""Output of an engine for one image, in either form."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Detections of one image.

    Attributes
    ----------
    boxes_xyxy
        float, (n, 4): left, top, right, bottom in source pixels; the origin is the top-left corner of the
        top-left pixel.
    scores
        float, (n,), 0 to 1: calibrated if the weights have a calibration.
    labels
        int64, (n,): indices of classes.
    classes
        Names of the classes, by label; empty if the labels are indices of a dataset's classes.
    frame
        Path, size and metadata of the image, usually without pixels; null for detections that were read from
        a file.
    model
        Weights, vocabulary and engine; null if they are unknown.
    elapsed_ms
        Time of the forward pass per image of its batch, in ms; null if it was not measured.
    kind
        Kind of the image; null if the model does not classify kinds.
    tiling
        How the image was cut into tiles; null if it was searched whole.

    Raises
    ------
    ValueError
        If shapes, lengths or dtypes differ from these, or a label has no name.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    labels: IntArray
    classes: tuple[str, ...] = ()
    frame: Frame | None = None
    model: ModelIdentity | None = None
    elapsed_ms: float | None = None
    kind: ImageKind | None = None
    tiling: Tiling | None = None

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
    """Input that failed completely, or from one of its frames on.

    Attributes
    ----------
    path
        Path of the input, as it was given.
    error
        Code, message and hint.
    """

    path: str
    error: MedrovError
