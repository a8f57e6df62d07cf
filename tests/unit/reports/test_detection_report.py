"""The report of a detection run: files, policy, escaping, flat memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tracemalloc
from pathlib import Path

import pytest

from detect_fixtures import folder_bytes
from medrov_cli.core.reports.detection_report import (
    MAX_DETECTIONS,
    RECORDS_PER_FILE,
    DetectionReport,
    write_detection_report,
)
from report_fixtures import HOSTILE, SLICES, image_record, write_report


def policy_of(page: str) -> str:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found
    return found[1].replace("&#39;", "'")


def test_below_200_images_the_page_is_one_file(tmp_path: Path) -> None:
    page = write_report(tmp_path / "r", 20).read_text(encoding="utf-8")
    assert not (tmp_path / "r" / "data").exists()
    assert page.count("data:image/jpeg;base64,") == 20 + 2 + SLICES
    assert re.findall(r"<script src=|<img [^>]*src=|<link [^>]*href=[^>]*>", page) == [
        '<link rel="icon" href="data:,">'
    ]
    assert "file:" not in policy_of(page)
    again = write_report(tmp_path / "again", 20).read_text(encoding="utf-8")
    assert again == page


def test_from_200_images_on_data_and_pictures_are_files(tmp_path: Path) -> None:
    page = write_report(tmp_path / "r", 600).read_text(encoding="utf-8")
    sources = re.findall(r'<script src="([^"]*)">', page)
    assert sources == ["data/00000.js", "data/00001.js", "data/00002.js"]
    parts = []
    for source in sources:
        text = (tmp_path / "r" / source).read_text(encoding="ascii")
        assert "<" not in text
        parts.append(json.loads(re.fullmatch(r"medrovReport\((.*)\);\n", text)[1]))
    assert [len(part.get("images", ())) for part in parts] == [RECORDS_PER_FILE - 1, 115, 0]
    assert len(parts[0]["failures"]) == len(parts[2]["volumes"]) == 1
    row = parts[0]["images"][0]
    assert row[:6] == ["case/00000.png", 0, 1, 80, 60, "microscopy"]
    assert row[7:9] == [f"{HOSTILE} center 40, width 400 (tag)", [0.5, 0.5]]
    assert row[10:] == [
        "thumbnails/1.jpg",
        [[1, 0.5, 5, 6, 35, 26, 15, 10], [0, 0.3, 6, 6, 36, 26, 15, 10]],
        2,
    ]
    assert parts[2]["volumes"][0][8:10] == [["volume.nii"], [[0, frame] for frame in range(SLICES)]]


def test_the_policy_names_style_and_script_by_their_hashes(tmp_path: Path) -> None:
    page = write_report(tmp_path / "r", 600).read_text(encoding="utf-8")
    policy = policy_of(page)
    for element in ("style", "script"):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy
    assert policy.startswith("default-src 'none'; ")
    assert " style=" not in page
    assert "onclick" not in page


def test_no_name_comes_into_the_page_as_markup(tmp_path: Path) -> None:
    page = write_report(tmp_path / "r", 20).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert page.count("</script>") == len(re.findall(r"<script[ >]", page))
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page  # model and class
    assert "\\u003c/script\\u003e\\u003cimg src=x" in page


def test_summary_states_limits_and_use(tmp_path: Path) -> None:
    page = write_report(tmp_path / "r", 20).read_text(encoding="utf-8")
    assert "Research use only; not a medical device." in page
    assert "An object without a box is not proven to be absent" in page
    assert "<strong>34</strong><span>images</span>" in page
    assert "failed inputs, of 24" in page


def test_many_detections_of_an_image_are_limited_and_counted(tmp_path: Path) -> None:
    record = image_record("slide.svs", *[("polyp", 0.5)] * (MAX_DETECTIONS + 7))
    one = write(tmp_path, [record])
    (part,) = re.findall(r'class="part">(.*?)</script>', one, flags=re.DOTALL)
    row = json.loads(part)["images"][0]
    assert (len(row[11]), row[12]) == (MAX_DETECTIONS, MAX_DETECTIONS + 7)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    peaks = []
    for count in (1_000, 8_000):
        records = (image_record(f"{number}.png", ("polyp", 0.5)) for number in range(count))
        tracemalloc.start()
        write(tmp_path / str(count), records, count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(folder_bytes(tmp_path / "8000")) == 17
    assert peaks[1] < 1.3 * peaks[0]


def write(folder: Path, records: object, count: int = 1) -> str:
    summary = {
        "inputs": count, "failed": 0, "images": count, "detections": count,
        "detections_by_class": {"polyp": count},
    }  # fmt: skip
    report = DetectionReport(
        lambda: records, tuple, ("polyp",), summary, {}, "ab", lambda record: Path("a.jpg")
    )
    write_detection_report(folder, report)
    return (folder / "index.html").read_text(encoding="utf-8")
