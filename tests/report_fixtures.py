"""Reports of detection runs from records that are made by hand: images, a volume, failures, hostile names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medrov_cli.core.pixels.encode import encode_jpeg
from medrov_cli.core.reports.detection_report import DetectionReport, write_detection_report

HOSTILE = "</script><img src=x onerror=alert(1)>"
"""A text that would run a script if it came into a page as markup."""

CLASSES = ("polyp", "red blood cell", HOSTILE)
SLICES = 12
WIDTH, HEIGHT = 80, 60


def image_record(path: str, *rows: tuple[str, float], frame: int = 0, frames: int = 1) -> dict[str, Any]:
    """Return the record of an image with detections of these classes and scores, which descend."""
    return {
        "path": path,
        "frame": frame,
        "frame_count": frames,
        "width": WIDTH,
        "height": HEIGHT,
        "modality": "CT" if frames > 1 else "microscopy",
        "image_kind": None,
        "window": {"source": "tag", "name": HOSTILE, "center": 40.0, "width": 400.0},
        "pixel_spacing_mm": [0.5, 0.5],
        "warnings": [HOSTILE],
        "detections": [
            {
                "class": name,
                "score": score,
                "box_xyxy": [5.0 + number, 6.0, 35.0 + number, 26.0],
                "size_mm": [15.0, 10.0],
            }
            for number, (name, score) in enumerate(rows)
        ],
    }


def records_of(count: int) -> list[dict[str, Any]]:
    """Return a hostile failure, ``count`` images with scores 0.5 to 1, and the slices of a volume."""
    error = {"code": "not_an_image", "message": HOSTILE, "hint": "Repair the file."}
    images = [
        image_record(
            f"case/{number:05d}.png", ("red blood cell", round(0.5 + number / 2 / count, 5)), ("polyp", 0.3)
        )
        for number in range(count)
    ]
    images.append(image_record("empty.png"))
    images.append(image_record(f"{HOSTILE}.png", (HOSTILE, 0.999), ("polyp", 0.1)))
    slices = [image_record("volume.nii", ("polyp", 0.2), frame=k, frames=SLICES) for k in range(SLICES)]
    return [{"path": f"{HOSTILE}.bad", "error": error}, *images, *slices]


def volume_record() -> dict[str, Any]:
    """Return the record of the volume: one finding in the slices 3 to 5, with key slice 4."""
    finding = {
        "class": "polyp", "score": 0.77, "first_slice": 3, "last_slice": 5, "key_slice": 4,
        "extent_mm": [15.0, 10.0, 6.0], "diameter_mm": 15.5, "volume_mm3": 450.0, "seconds": None,
        "members": [{"slice": one, "detection": 0} for one in (3, 4, 5)],
    }  # fmt: skip
    return {
        "path": "volume.nii", "kind": "nifti", "volume": 0, "volume_count": 1, "modality": "CT",
        "slice_step_mm": 2.0, "refusal": None, "warnings": [HOSTILE],
        "slices": [{"path": "volume.nii", "frame": frame} for frame in range(SLICES)],
        "findings": [finding],
    }  # fmt: skip


def write_report(folder: Path, count: int, *, records_sha256: str = "ab") -> Path:
    """Write a report with ``count`` + 2 + `SLICES` images; return the page."""
    records = records_of(count)
    names = [name for record in records for name in (d["class"] for d in record.get("detections", ()))]
    picture = encode_jpeg(np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8), 80)
    (folder / "thumbnails").mkdir(parents=True)
    for number in range(len(records)):
        (folder / "thumbnails" / f"{number}.jpg").write_bytes(picture)
    summary = {
        "inputs": count + 4, "failed": 1, "images": len(records) - 1, "detections": len(names),
        "detections_by_class": {name: names.count(name) for name in CLASSES}, "volumes": 1, "findings": 1,
        "skipped": [],
    }  # fmt: skip
    place = {(r["path"], r.get("frame")): Path("thumbnails", f"{i}.jpg") for i, r in enumerate(records)}
    report = DetectionReport(
        lambda: records,
        lambda: [volume_record()],
        CLASSES,
        summary,
        {"model": {"name": HOSTILE}, "settings": {"conf": 0.05}},
        records_sha256,
        lambda record: place[record["path"], record["frame"]],
    )
    write_detection_report(folder, report)
    return folder / "index.html"
