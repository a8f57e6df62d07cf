"""Measure the report of ``medrov detect --format html`` in Chromium, with many images.

::

    python benchmarks/report_gallery.py --images 10000

The script writes a report of synthetic images, opens it from the file system, and prints one JSON object:
milliseconds until the first picture is decoded and until all data are read, milliseconds of a move of the
score slider (median), and frames per second while the gallery scrolls by 40 pixels a frame. Chromium is
found as by the tests; it draws without a graphics card.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medrov_cli.core.pixels.encode import encode_jpeg
from medrov_cli.core.reports.detection_report import DetectionReport, write_detection_report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

CLASSES = tuple(f"class {number}" for number in range(20))
SIDE_PX = 512
DISTINCT = 32

FIRST_PICTURE = """
new Promise(done => {
  const look = () => {
    const first = document.querySelector("#gallery img");
    if (first && first.naturalWidth) done(performance.now()); else requestAnimationFrame(look);
  };
  look();
})
"""

ALL_READ = """
new Promise(done => {
  const rows = () => Number(document.documentElement.dataset.rows);
  const look = () => rows() >= COUNT ? done(performance.now()) : setTimeout(look, 5);
  look();
})
"""

SLIDER = """
new Promise(done => {
  const slider = document.getElementById("threshold"), times = [];
  const move = step => {
    if (step === 21) return done(times.sort((a, b) => a - b)[10]);
    const start = performance.now();
    slider.value = step / 40;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(() => { times.push(performance.now() - start); move(step + 1); });
  };
  move(0);
})
"""

SCROLL = """
new Promise(done => {
  const start = performance.now();
  let frames = 0;
  const step = () => {
    scrollBy(0, 40);
    frames += 1;
    const seconds = (performance.now() - start) / 1000;
    if (seconds < 5) requestAnimationFrame(step); else done(frames / seconds);
  };
  requestAnimationFrame(step);
})
"""


def write_report(folder: Path, count: int) -> None:
    """Write a report of synthetic images with five detections each."""
    random = np.random.default_rng(0)
    for number in range(DISTINCT):
        coarse = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        image = np.asarray(
            cv2.resize(coarse, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC), dtype=np.uint8
        )
        path = folder / _picture(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(image, 80))
    for number in range(DISTINCT, count):
        path = folder / _picture(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(folder / _picture(number % DISTINCT))
    summary = {
        "inputs": count, "failed": 0, "images": count, "detections": 5 * count,
        "detections_by_class": dict.fromkeys(CLASSES, 5 * count // len(CLASSES)),
    }  # fmt: skip
    report = DetectionReport(
        lambda: _records(count),
        tuple,
        CLASSES,
        summary,
        {},
        "0" * 64,
        lambda record: _picture(record["number"]),
    )
    write_detection_report(folder, report)


def _picture(number: int) -> Path:
    return Path("thumbnails", f"{number % 256:02x}", f"{number}.jpg")


def _records(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        random = np.random.default_rng(number)
        scores = np.sort(random.uniform(0.05, 1, 5))[::-1]
        corners = random.uniform(0, SIDE_PX / 2, (5, 2))
        boxes = np.hstack([corners, corners + random.uniform(10, SIDE_PX / 2, (5, 2))])
        labels = random.integers(0, len(CLASSES), 5)
        yield {
            "number": number, "path": f"study-{number // 50:04d}/image-{number:05d}.png",
            "frame": 0, "frame_count": 1, "width": SIDE_PX, "height": SIDE_PX,
            "modality": ("CT", "X-ray", "MRI")[number % 3], "image_kind": None,
            "window": None, "pixel_spacing_mm": None, "warnings": [],
            "detections": [
                {
                    "class": CLASSES[label], "score": round(float(score), 5),
                    "box_xyxy": np.round(box, 2).tolist(), "size_mm": None,
                }
                for label, score, box in zip(labels, scores, boxes, strict=True)
            ],
        }  # fmt: skip


def measure(page: Path, count: int, profile: Path) -> dict[str, float]:
    """Return the figures of an open page."""
    from chromium import browser

    with browser(profile) as tab:
        tab.call(
            "Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False
        )
        tab.open(page, wait=False)
        first = tab.evaluate(FIRST_PICTURE)
        complete = tab.evaluate(ALL_READ.replace("COUNT", str(count)))
        return {
            "first_picture_ms": round(first),
            "all_data_ms": round(complete),
            "slider_ms": round(tab.evaluate(SLIDER), 1),
            "scroll_frames_per_second": round(tab.evaluate(SCROLL), 1),
            "elements": tab.evaluate("document.querySelectorAll('*').length"),
        }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        write_report(Path(folder, "report"), count)
        figures = measure(Path(folder, "report", "index.html"), count, Path(folder, "profile"))
    sys.stdout.write(json.dumps({"images": count, **figures}) + "\n")


if __name__ == "__main__":
    main()
