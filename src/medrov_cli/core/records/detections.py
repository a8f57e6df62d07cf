"""Records of detections, candidates and failed inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.records.boxes import FloatArray, IntArray
from medrov_cli.core.records.frame import Float32Array, Identifiers, ModelIdentity, Window
from medrov_cli.core.settings.choices import Modality

DETECT_SCHEMA = "medrov.detect/1"


@dataclass(frozen=True, slots=True)
class Detection:
    """One found object, in source pixels.

    Attributes
    ----------
    class_name
        The prompt as the user named it.
    score
        0 to 1.
    box_xyxy
        Left, top, right, bottom; origin at the top-left corner of the top-left pixel.
    size_mm
        (width, height) in mm where the spacing is known.
    """

    class_name: str
    score: float
    box_xyxy: tuple[float, float, float, float]
    size_mm: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the element of ``detections`` of a JSON record."""
        return {
            "class": self.class_name,
            "score": self.score,
            "box_xyxy": list(self.box_xyxy),
            "size_mm": None if self.size_mm is None else list(self.size_mm),
        }


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """The result for one image or frame."""

    path: str
    frame: int
    width: int
    height: int
    detections: tuple[Detection, ...]
    model: ModelIdentity
    elapsed_ms: float | None = None
    frame_count: int | None = 1
    modality: Modality | None = None
    window: Window | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    identifiers: Identifiers | None = None
    warnings: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON record of schema ``medrov.detect/1``."""
        return {
            "schema": DETECT_SCHEMA,
            "path": self.path,
            "frame": self.frame,
            "frame_count": self.frame_count,
            "width": self.width,
            "height": self.height,
            "modality": None if self.modality is None else self.modality.value,
            "window": None if self.window is None else self.window.as_dict(),
            "pixel_spacing_mm": None if self.pixel_spacing_mm is None else list(self.pixel_spacing_mm),
            **(self.identifiers or Identifiers()).as_dict(),
            "detections": [d.as_dict() for d in self.detections],
            "model": self.model.as_dict(),
            "elapsed_ms": self.elapsed_ms,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """The result for an input that could not be used."""

    path: str
    error: MedrovError

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON record of schema ``medrov.detect/1``."""
        return {"schema": DETECT_SCHEMA, "path": self.path, "error": self.error.as_dict()}


Record = ImageRecord | ErrorRecord


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What an engine found in one image, before suppression.

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
class Found:
    """The detections of one image, best score first, in pixels of the stored image.

    Attributes
    ----------
    boxes_xyxy, scores, labels
        float, (n, 4); float, (n,); int64, (n,), rows of the dataset's classes.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    labels: IntArray
