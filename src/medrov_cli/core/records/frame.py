"""Frames and what describes them: grey-level window, identifiers, identity of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from medrov_cli.core.settings.choices import Modality, Phi

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

    def limit_to(self, phi: Phi) -> Identifiers:
        """Return the identifiers that may leave the program: with ``keep`` all, otherwise the UIDs."""
        if phi is Phi.KEEP:
            return self
        uids = (self.study_uid, self.series_uid, self.instance_uid)
        return Identifiers(*(hash_uid(uid) if phi is Phi.HASH else uid for uid in uids))


def hash_uid(uid: str | None) -> str | None:
    """Return a valid UID that stands for another: the same for the same one, on every machine.

    It is ``2.25.`` and the first 128 bits of the SHA-256 (DICOM PS3.5 B.2). There is no salt, so
    that shards and reruns agree: who has the original UIDs can match them.
    """
    if uid is None:
        return None
    return f"2.25.{int.from_bytes(hashlib.sha256(uid.encode()).digest()[:16], 'big')}"


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded image, or one frame, slice or page of an input.

    Attributes
    ----------
    pixels_rgb
        uint8, (height, width, 3), C-contiguous; of a frame without pixels: all 0, in one byte of memory.
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

    @classmethod
    def of_size(cls, height: int, width: int, path: str, *, index: int, frame_count: int | None) -> Self:
        """Return a frame without pixels."""
        return cls(_no_pixels(height, width), path, index, frame_count)

    def without_pixels(self) -> Frame:
        """Return the frame without its pixels: metadata and size stay."""
        return replace(self, pixels_rgb=_no_pixels(self.height, self.width))

    @property
    def height(self) -> int:
        """Return the number of pixel rows."""
        return int(self.pixels_rgb.shape[0])

    @property
    def width(self) -> int:
        """Return the number of pixel columns."""
        return int(self.pixels_rgb.shape[1])


class ImageSource(Protocol):
    """One input of a predictor: a file, a sample of a dataset, an array."""

    @property
    def path(self) -> str:
        """Return the name of the input, for results and errors."""

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, decoding each when it is asked for.

        Raises
        ------
        MedrovError
            An input error: at the first frame or a later one.
        """


def _no_pixels(height: int, width: int) -> UInt8Array:
    return np.broadcast_to(np.zeros((), dtype=np.uint8), (height, width, 3))


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
