"""The frozen records that travel between the rooms of the core, and their JSON form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medrov_cli.core.config import Modality
from medrov_cli.core.errors import MedrovError

DETECT_SCHEMA = "medrov.detect/1"

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """The grey-level window that made 8-bit pixels out of stored values.

    Attributes
    ----------
    source
        ``tag`` (the file's own window or VOI LUT), ``preset``, ``custom``, ``range`` (the
        values' own minimum and maximum), ``percentile``, or ``none`` (already 8 bit).
    name
        The preset's name or the file's own explanation, when there is one.
    center, width
        In the units after the modality LUT (HU for CT); null where a LUT was applied.
    """

    source: str
    name: str | None = None
    center: float | None = None
    width: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the ``window`` object of a JSON record."""
        return {"source": self.source, "name": self.name, "center": self.center, "width": self.width}


@dataclass(frozen=True, slots=True)
class Identifiers:
    """DICOM identifiers that may leave the program (never a date).

    Attributes
    ----------
    study_uid, series_uid, instance_uid
        UIDs, as in the file or hashed.
    patient_id, patient_name
        Read only where the user asks for them (``--phi keep``).
    """

    study_uid: str | None = None
    series_uid: str | None = None
    instance_uid: str | None = None
    patient_id: str | None = None
    patient_name: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the fields of a JSON record; those of the patient only where they were read."""
        uids = {
            "study_uid": self.study_uid,
            "series_uid": self.series_uid,
            "instance_uid": self.instance_uid,
        }
        patient = {"patient_id": self.patient_id, "patient_name": self.patient_name}
        return {**uids, **{key: value for key, value in patient.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded image, or one frame, slice or page of an input.

    Attributes
    ----------
    pixels_rgb
        uint8, (height, width, 3), C-contiguous.
    path
        The input as the user gave it (or as it was found below a given folder).
    index
        0-based frame, slice or page number within ``path``.
    frame_count
        Number of frames of ``path``; null where it is not known (video).
    modality
        One of the nine, or null where the file does not say.
    window
        How stored values became 8 bit.
    pixel_spacing_mm
        (row spacing, column spacing): the distance in mm between rows, then columns.
    identifiers
        UIDs, for DICOM.
    warnings
        Sentences for the user, without patient data.
    """

    pixels_rgb: UInt8Array
    path: str
    index: int = 0
    frame_count: int | None = 1
    modality: Modality | None = None
    window: Window | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    identifiers: Identifiers | None = None
    warnings: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Return the number of pixel rows."""
        return int(self.pixels_rgb.shape[0])

    @property
    def width(self) -> int:
        """Return the number of pixel columns."""
        return int(self.pixels_rgb.shape[1])


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
class ModelIdentity:
    """Which weights, vocabulary and engine produced a record."""

    name: str
    sha256: str
    vocabulary_sha256: str
    text_encoder: str
    engine: str
    imgsz: int
    scores: str = "raw"

    def as_dict(self) -> dict[str, Any]:
        """Return the ``model`` object of a JSON record."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "vocabulary_sha256": self.vocabulary_sha256,
            "text_encoder": self.text_encoder,
            "engine": self.engine,
            "imgsz": self.imgsz,
            "scores": self.scores,
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
class FoldedText:
    """A set of classes as a network without torch takes it; see :mod:`medrov_cli.core.model.folding`.

    Attributes
    ----------
    kernels, constants
        Of each level, float32, (classes, c) and (classes, 1): logits are ``kernel @ h + constant``.
    guides
        Of each text-guided attention, float32, (heads, texts, width).
    """

    kernels: tuple[Float32Array, ...]
    constants: tuple[Float32Array, ...]
    guides: tuple[Float32Array, ...]

    def inputs(self) -> dict[str, Float32Array]:
        """Return the arrays by the names of a graph's inputs."""
        named = {f"kernel{i}": array for i, array in enumerate(self.kernels)}
        named |= {f"constant{i}": array for i, array in enumerate(self.constants)}
        return named | {f"guide{i}": array for i, array in enumerate(self.guides)}


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
