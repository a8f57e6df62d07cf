"""Report of a run as a page: thumbnails while the run is computed, the page at its end."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.pixels.encode import encode_jpeg
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.runs.journal import JsonRecord
from medrov_cli.core.writers.protocol import Records, RunFacts, Writer

REPORT_FOLDER = "report"
PICTURE_FOLDER = "thumbnails"

THUMBNAIL_PX = 640
"""Longest side of a thumbnail: a CT or MRI slice is shown in its own resolution."""

JPEG_QUALITY = 80


class HtmlWriter:
    """Writer of a folder with a page and thumbnails."""

    name = "html"
    needs_folder = True
    suffix = ".jpg"
    files = (
        f"{REPORT_FOLDER}/index.html",
        f"{REPORT_FOLDER}/data/*.js",
        f"{REPORT_FOLDER}/{PICTURE_FOLDER}/*/*{suffix}",
    )

    def write_record(self, folder: Path, name: str, detections: Detections, pixels_rgb: UInt8Array) -> None:
        """Write the thumbnail of one image, without its detections."""
        del name  # it can contain the name of a patient
        frame = detections.frame
        if frame is None:
            raise ValueError("a thumbnail needs the frame of the detections")
        path = folder / REPORT_FOLDER / _picture_path(frame.path, frame.index)
        write_thumbnail(path, pixels_rgb)

    def finish(self, folder: Path, records: Records, run: RunFacts) -> None:
        """Write the page and its data."""
        # Every run with an output folder loads the writers; only a report needs the templates.
        from medrov_cli.core.reports.detection_report import DetectionReport, write_detection_report

        report = DetectionReport(
            records,
            run.volumes,
            run.classes,
            run.summary,
            run.description,
            run.records_sha256,
            _picture_of,
        )
        write_detection_report(folder / REPORT_FOLDER, report)


def write_thumbnail(path: Path, image_rgb: UInt8Array) -> None:
    """Write an image as JPEG without metadata, no longer than `THUMBNAIL_PX`.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    height, width = image_rgb.shape[:2]
    scale = min(1.0, THUMBNAIL_PX / max(height, width))
    if scale < 1:
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        image_rgb = cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA).astype("uint8")
    with whole_file(path) as temporary:
        temporary.write_bytes(encode_jpeg(image_rgb, JPEG_QUALITY))


def _picture_of(record: JsonRecord) -> Path:
    return _picture_path(record["path"], record["frame"])


def _picture_path(path: str, frame: int) -> Path:
    """Return the path of a thumbnail in the report: a hash, because names can contain patient names."""
    digest = hashlib.sha256(f"{path}\0{frame}".encode(errors="surrogateescape")).hexdigest()
    return Path(PICTURE_FOLDER, digest[:2], f"{digest[2:26]}.jpg")


WRITER: Writer = HtmlWriter()
