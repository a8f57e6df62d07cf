"""From one frame to the model's input, and from the model's output to one record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.records.boxes import FloatArray, clip_boxes
from medrov_cli.core.records.detections import Candidates, Detection, ImageRecord
from medrov_cli.core.records.frame import Frame, Identifiers, ModelIdentity, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.suppression import select
from medrov_cli.core.settings.choices import Phi

SCORE_DIGITS = 5
BOX_DIGITS = 2
"""Finer digits than these differ between machines and say nothing: a hundredth of a pixel (or mm)."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame on its way through the engine.

    Attributes
    ----------
    blank
        Its record, still without detections.
    letterbox
        The way from source to model pixels.
    square_rgb
        The model's input, uint8, (imgsz, imgsz, 3).
    pixels_rgb
        The source pixels, where an overlay is to be drawn.
    """

    blank: ImageRecord
    letterbox: Letterbox
    square_rgb: UInt8Array
    pixels_rgb: UInt8Array | None


@dataclass(frozen=True, slots=True)
class Selection:
    """How detections are chosen; see :func:`medrov_cli.core.records.suppression.select`."""

    scoring: Scoring
    iou: float
    max_det: int


def prepare(
    frame: Frame, *, model: ModelIdentity, classes: ClassList, phi: Phi, keep_pixels: bool
) -> Prepared:
    """Return a frame, letterboxed and with a blank record."""
    letterbox = Letterbox.fit((frame.height, frame.width), model.imgsz)
    blank = ImageRecord(
        path=frame.path,
        frame=frame.index,
        width=frame.width,
        height=frame.height,
        detections=(),
        model=model,
        frame_count=frame.frame_count,
        modality=frame.modality,
        window=frame.window,
        pixel_spacing_mm=frame.pixel_spacing_mm,
        identifiers=_allowed(frame.identifiers, phi),
        warnings=frame.warnings + classes.warnings(frame.modality),
    )
    square = letterbox.apply(frame.pixels_rgb)
    return Prepared(blank, letterbox, square, frame.pixels_rgb if keep_pixels else None)


def finished(
    prepared: Prepared,
    candidates: Candidates,
    classes: ClassList,
    selection: Selection,
    elapsed_ms: float | None,
) -> ImageRecord:
    """Return the record of a frame.

    Parameters
    ----------
    prepared
        The frame.
    candidates
        The engine's output for it.
    classes
        Of the engine's columns.
    selection
        How detections are chosen.
    elapsed_ms
        Time that the engine took for it.
    """
    blank = prepared.blank
    columns = classes.columns(blank.modality)
    scores = candidates.scores
    if len(columns) < len(classes.names):
        scores = scores[:, columns]
    scoring = selection.scoring
    found, score, label = select(
        candidates.boxes_xyxy,
        scores,
        conf=scoring.thresholds[columns],
        iou=selection.iou,
        max_det=selection.max_det,
    )
    score = scoring.shown(score, columns[label])
    order = np.argsort(-score, kind="stable")  # calibration may change which class is surer
    found, score, label = found[order], score[order], label[order]
    found = clip_boxes(prepared.letterbox.to_source(found), blank.height, blank.width)
    names = [classes.names[column] for column in columns[label]]
    detections = _detections(found, score, names, blank.pixel_spacing_mm)
    return replace(blank, detections=detections, elapsed_ms=elapsed_ms)


def _detections(
    boxes_xyxy: FloatArray,
    scores: FloatArray,
    names: Sequence[str],
    spacing_mm: tuple[float, float] | None,
) -> tuple[Detection, ...]:
    """Return rounded detections; boxes without an area (they lay in the border) are left out."""
    found = []
    for box, score, name in zip(boxes_xyxy.tolist(), scores.tolist(), names, strict=True):
        x1, y1, x2, y2 = (round(value, BOX_DIGITS) for value in box)
        if not (x2 > x1 and y2 > y1):
            continue
        size_mm = None
        if spacing_mm is not None:
            between_rows_mm, between_columns_mm = spacing_mm
            width_mm, height_mm = (x2 - x1) * between_columns_mm, (y2 - y1) * between_rows_mm
            size_mm = (round(width_mm, BOX_DIGITS), round(height_mm, BOX_DIGITS))
        found.append(Detection(name, round(score, SCORE_DIGITS), (x1, y1, x2, y2), size_mm))
    return tuple(found)


def _allowed(identifiers: Identifiers | None, phi: Phi) -> Identifiers | None:
    """Return what may leave the program of the identifiers."""
    if identifiers is None or phi is Phi.KEEP:
        return identifiers
    uids = (identifiers.study_uid, identifiers.series_uid, identifiers.instance_uid)
    return Identifiers(*(hashed_uid(uid) if phi is Phi.HASH else uid for uid in uids))


def hashed_uid(uid: str | None) -> str | None:
    """Return a valid UID that stands for another: the same for the same one, on every machine.

    It is ``2.25.`` and the first 128 bits of the SHA-256 (DICOM PS3.5 B.2). There is no salt, so
    that shards and reruns agree: who has the original UIDs can match them.
    """
    if uid is None:
        return None
    return f"2.25.{int.from_bytes(hashlib.sha256(uid.encode()).digest()[:16], 'big')}"
