"""Frames and their metadata: grey-level window, identifiers, identity of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from medrov_cli.core.records.image_regions import RegionReader, resize, resize_by_halves
from medrov_cli.core.settings.choices import Modality, ModalitySource, Phi

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """Grey-level window that converted stored values to 8 bits.

    Attributes
    ----------
    source
        ``tag`` (window or VOI LUT of the file), ``preset``, ``custom``, ``range`` (minimum and maximum of the
        values), ``percentile``, or ``none`` (already 8 bits).
    name
        Name of the preset, or the explanation in the file, if there is one.
    center, width
        Window in the units after the modality LUT (HU for CT); null if a LUT was applied.
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
        Identifiers of the patient, read only with ``--phi keep``.
    """

    study_uid: str | None = None
    series_uid: str | None = None
    instance_uid: str | None = None
    patient_id: str | None = None
    patient_name: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the fields of a JSON record, with those of the patient only if they were read."""
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
    """Return a valid UID that replaces another; equal UIDs have equal replacements on all machines.

    It is ``2.25.`` and the first 128 bits of the SHA-256 (DICOM PS3.5 B.2). There is no salt, so that shards
    and reruns agree; with the original UIDs they can be matched.
    """
    if uid is None:
        return None
    return f"2.25.{int.from_bytes(hashlib.sha256(uid.encode()).digest()[:16], 'big')}"


@dataclass(frozen=True, slots=True)
class SpacingRegion:
    """Part of a frame with its own pixel spacing.

    Attributes
    ----------
    box_xyxy
        In source pixels.
    spacing_mm
        (row spacing, column spacing); null where pixels are no lengths, as in a Doppler curve.
    """

    box_xyxy: tuple[float, float, float, float]
    spacing_mm: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Frame:
    """Decoded image, or one frame, slice or page of an input.

    Attributes
    ----------
    pixels_rgb
        uint8, (height, width, 3), C-contiguous; in a frame without pixels all 0, in one byte of memory.
    path
        Path of the input as given, or below a given folder.
    index
        0-based frame, slice or page number within ``path``.
    frame_count
        Number of frames of ``path``; null if it is unknown (video).
    modality
        One of nine modalities, or null if the file does not state it.
    modality_source
        Origin of the modality; null without a modality, or where the caller gave it.
    window
        Conversion of stored values to 8 bits.
    pixel_spacing_mm
        (row spacing, column spacing): the distance in mm between rows, then columns.
    spacing_regions
        Parts with their own spacing; empty: ``pixel_spacing_mm`` holds for all of the frame.
    identifiers
        UIDs, for DICOM.
    warnings
        Sentences for the user, without patient data.
    regions
        Reader of parts of an image that is not decoded whole; ``pixels_rgb`` then has its size alone.
    search_xyxy
        Part whose objects are wanted, in source pixels; null: all of the frame.
    is_grey
        Whether the three channels are known to be equal.
    """

    pixels_rgb: UInt8Array
    path: str
    index: int = 0
    frame_count: int | None = 1
    modality: Modality | None = None
    modality_source: ModalitySource | None = None
    window: Window | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    spacing_regions: tuple[SpacingRegion, ...] = ()
    identifiers: Identifiers | None = None
    warnings: tuple[str, ...] = ()
    regions: RegionReader | None = None
    search_xyxy: tuple[int, int, int, int] | None = None
    is_grey: bool = False

    @classmethod
    def of_size(cls, height: int, width: int, path: str, *, index: int, frame_count: int | None) -> Self:
        """Return a frame without pixels."""
        return cls(_no_pixels(height, width), path, index, frame_count)

    def spacing_in(self, box_xyxy: Sequence[float]) -> tuple[float, float] | None:
        """Return the (row spacing, column spacing) in mm that holds within a box.

        With regions, it is that of the regions that contain the box; null if there are none, or if they
        differ.
        """
        if not self.spacing_regions:
            return self.pixel_spacing_mm
        x1, y1, x2, y2 = box_xyxy
        found = {
            region.spacing_mm
            for region in self.spacing_regions
            if region.box_xyxy[0] <= x1
            and region.box_xyxy[1] <= y1
            and region.box_xyxy[2] >= x2
            and region.box_xyxy[3] >= y2
        }
        return found.pop() if len(found) == 1 else None

    def without_pixels(self) -> Frame:
        """Return the frame without its pixels and their reader, with its metadata and size."""
        return replace(self, pixels_rgb=_no_pixels(self.height, self.width), regions=None)

    def read_region(
        self, box_xyxy: tuple[int, int, int, int], size_hw: tuple[int, int], *, by_halves: bool = False
    ) -> UInt8Array:
        """Return a part of the image, scaled to a size; see :class:`RegionReader`.

        With ``by_halves``, a part in memory that becomes much smaller is scaled faster, in two steps.
        """
        if self.regions is not None:
            return self.regions.read(box_xyxy, size_hw)
        left, top, right, bottom = box_xyxy
        scale = resize_by_halves if by_halves else resize
        return scale(self.pixels_rgb[top:bottom, left:right], size_hw, is_grey=self.is_grey)

    @property
    def height(self) -> int:
        """Return the number of pixel rows."""
        return int(self.pixels_rgb.shape[0])

    @property
    def width(self) -> int:
        """Return the number of pixel columns."""
        return int(self.pixels_rgb.shape[1])


class ImageSource(Protocol):
    """Input of a predictor: a file, a sample of a dataset, an array."""

    @property
    def path(self) -> str:
        """Return the name of the input, for results and errors."""

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; each is decoded on request.

        Raises
        ------
        MedrovError
            An input error: at the first frame or a later one.
        """


def _no_pixels(height: int, width: int) -> UInt8Array:
    return np.broadcast_to(np.zeros((), dtype=np.uint8), (height, width, 3))


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Weights, vocabulary, engine and form of the model input of a record."""

    name: str
    sha256: str
    vocabulary_sha256: str
    text_encoder: str
    engine: str
    imgsz: int
    scores: str = "raw"
    rectangles: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the ``model`` object of a JSON record."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "vocabulary_sha256": self.vocabulary_sha256,
            "text_encoder": self.text_encoder,
            "engine": self.engine,
            "imgsz": self.imgsz,
            "rectangles": self.rectangles,
            "scores": self.scores,
        }
