"""``medrov detect``: what people and scripts see, every exit code, every format."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import ROOT, Finished, Medrov
from detect_fixtures import (
    VOCABULARY,
    detections_of,
    folder_bytes,
    noise_image,
    write_eager_detector,
    write_images,
)
from image_files import PATIENT, PATIENT_ID, dicom_dataset, write_dicom
from medrov_cli.commands import detection_views
from medrov_cli.commands.signature import parameters
from medrov_cli.core.settings.detect import DetectSettings

NAMES = [entry.name for entry in VOCABULARY]
BROKEN = b"\x89PNG\r\n\x1a\nnothing"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with three images and a CT slice in ``in``."""
    write_images(tmp_path / "in", 3)
    values = np.tile(np.arange(64, dtype=np.int16) * 30 - 900, (64, 1))
    write_dicom(
        tmp_path / "in" / "ct.dcm",
        values,
        Modality="CT",
        RescaleIntercept=0,
        RescaleSlope=1,
        PixelSpacing=[0.5, 0.25],
        StudyInstanceUID="1.2.3",
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def detect(medrov: Medrov, weights: Path, folder: Path) -> Any:
    def run(*arguments: object) -> Finished:
        return medrov("detect", *arguments, "--weights", weights)

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Let stdout be a terminal, one without colours."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: stream is sys.stdout, raising=False)


# What is printed


def test_help(medrov: Medrov, golden: Any) -> None:
    found = medrov("detect", "--help")
    assert found.exit_code == 0
    golden("help/detect.txt", found.stdout)


def test_help_fits_80_columns(run_medrov: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = run_medrov("detect", "--help")
    assert found.exit_code == 0
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in found.stdout
    given = [flag for item in parameters(DetectSettings) for flag in item.spec.flags]
    flags = {name for flag in given for name in flag.split("/")}
    assert not [flag for flag in flags if flag not in found.stdout]


def test_a_pipe_gets_json_lines(detect: Any) -> None:
    found = detect("in")
    assert found.exit_code == 0
    assert [line["path"] for line in found.lines] == ["in/000.png", "in/001.png", "in/002.png", "in/ct.dcm"]
    assert all(line["schema"] == "medrov.detect/1" for line in found.lines)
    assert len(detections_of(found.lines)) > 4
    assert "4 image(s)" in found.stderr


def test_a_record_has_the_fields_of_the_contract(detect: Any) -> None:
    (record,) = detect("in/ct.dcm").lines
    (found, *_) = record.pop("detections")
    model = record.pop("model")
    instance = record.pop("instance_uid")
    assert record == {
        "schema": "medrov.detect/1",
        "path": "in/ct.dcm",
        "frame": 0,
        "frame_count": 1,
        "width": 64,
        "height": 64,
        "modality": "CT",
        "modality_source": "dicom",
        "image_kind": None,
        "image_kind_probability": None,
        "window": {"source": "preset", "name": "soft", "center": 50, "width": 400},
        "pixel_spacing_mm": [0.5, 0.25],
        "study_uid": "1.2.3",
        "series_uid": None,
        "elapsed_ms": None,
        "warnings": [],
    }
    assert instance
    assert found.keys() == {"class", "score", "box_xyxy", "size_mm"}
    x1, y1, x2, y2 = found["box_xyxy"]
    assert 0 <= x1 < x2 <= 64
    assert found["size_mm"] == [
        pytest.approx((x2 - x1) / 4, abs=0.01),
        pytest.approx((y2 - y1) / 2, abs=0.01),
    ]
    names = [model[key] for key in ("name", "engine", "text_encoder", "imgsz")]
    assert names == ["eager", "openvino-cpu", "minilm", 96]
    assert len(model["sha256"]) == len(model["vocabulary_sha256"]) == 64


def test_json_is_one_document_of_the_same_records(detect: Any) -> None:
    found = detect("in", "missing.png", "--json")
    assert found.exit_code == 3
    assert found.json["schema"] == "medrov.detect/1"
    assert found.json["records"] == detect("in", "missing.png", "--format", "jsonl").lines
    assert found.json == detect("in", "missing.png", "--format", "json").json
    summary = found.json["summary"]
    assert (summary["inputs"], summary["failed"], summary["images"]) == (5, 1, 4)
    assert summary["detections"] == len(detections_of(found.json["records"]))
    assert sum(summary["detections_by_class"].values()) == summary["detections"]


def test_a_study_is_whole_with_its_report_and_its_archives(detect: Any, folder: Path) -> None:
    study = folder / "study"
    study.mkdir()
    report = dicom_dataset(np.zeros((2, 2), np.uint8), Rows=None, Columns=None, Modality="SR")
    del report.PixelData
    report.save_as(study / "report.dcm", enforce_file_format=True)
    with zipfile.ZipFile(study / "rest.zip", "w") as archive:
        archive.write(folder / "in" / "ct.dcm", "ct.dcm")
    (study / "copy.dcm").write_bytes((folder / "in" / "ct.dcm").read_bytes())
    found = detect("study", "--json")
    assert (found.exit_code, found.json["summary"]["failed"]) == (0, 0)
    assert [record["path"] for record in found.json["records"]] == ["study/copy.dcm"]
    assert [entry["path"] for entry in found.json["summary"]["skipped"]] == [
        "study/report.dcm",
        "study/rest.zip/ct.dcm",
    ]
    assert "modality SR" in found.json["summary"]["skipped"][0]["reason"]
    assert "study/report.dcm: skipped" in found.stderr
    assert PATIENT not in found.stdout + found.stderr


def test_an_archive_is_resumed_and_drawn_like_a_folder(detect: Any, folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "in" / "ct.dcm", "study/ct.dcm")
        archive.write(folder / "in" / "000.png", "000.png")
    first = detect("a.zip", "--output", "out", "--format", "jsonl,png")
    assert first.exit_code == 0
    written = (folder / "out" / "detections.jsonl").read_bytes()
    assert detect("a.zip", "--output", "out", "--format", "jsonl,png", "--resume").exit_code == 0
    assert (folder / "out" / "detections.jsonl").read_bytes() == written
    paths = [json.loads(line)["path"] for line in written.splitlines()]
    assert paths == ["a.zip/000.png", "a.zip/study/ct.dcm"]
    assert all((folder / "out" / "overlays" / f"{path}.png").is_file() for path in paths)
    only = detect("a.zip/study/ct.dcm", "--format", "jsonl").lines
    assert [record["path"] for record in only] == ["a.zip/study/ct.dcm"]


def test_a_terminal_gets_a_table(detect: Any, terminal: None) -> None:
    found = detect("in/000.png", "in/ct.dcm", "missing.png", "--max-det", 2)
    assert found.exit_code == 3
    lines = [line.rstrip() for line in found.stdout.splitlines()]
    assert lines[0].split() == ["image", "class", "score", "box", "(x1", "y1", "x2", "y2)", "size", "mm"]
    rows = [line for line in lines[2:] if line]
    assert [row.split()[0] == "in/000.png" for row in rows] == [True, False, False, False, False]
    assert rows[2].startswith("in/ct.dcm")
    assert " x " in rows[2]
    assert rows[4].split() == ["missing.png", "not_found"]
    assert "3 image(s)" not in found.stderr
    assert "2 image(s), 4 detection(s), 1 failed input(s)" in found.stderr


def test_a_long_table_says_what_it_leaves_out(
    detect: Any, terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection_views, "MAX_TABLE_ROWS", 3)
    found = detect("in", "--max-det", 2)
    assert len([line for line in found.stdout.splitlines() if line.strip()]) == 2 + 3
    assert "and 5 more rows" in found.stderr


def test_the_table_says_that_nothing_was_found(detect: Any, terminal: None) -> None:
    assert "nothing found" in detect("in/002.png", "--conf", 1).stdout


def test_many_failures_are_counted_not_listed(detect: Any) -> None:
    found = detect(*[f"missing{number}.png" for number in range(13)])
    assert found.exit_code == 4
    assert len(found.lines) == 13
    assert found.stderr.count("The file does not exist") == 10
    assert "and 3 more inputs that failed" in found.stderr


def test_file_names_cannot_drive_the_terminal(detect: Any, terminal: None) -> None:
    found = detect("\x1b[31mred.png")
    assert "\x1b[31m" not in found.stdout + found.stderr


# What is searched


def test_classes_are_what_the_user_names(detect: Any) -> None:
    found = detect("in", "--classes", "liver, colon polyp/polyp")
    assert {item["class"] for item in detections_of(found.lines)} == {"liver", "colon polyp/polyp"}


def test_classes_come_from_a_file_or_from_stdin(
    detect: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "classes.txt").write_text("# mine\nliver\n\ncolon polyp/polyp\n")
    expected = detect("in", "--classes", "liver,colon polyp/polyp").lines
    assert detect("in", "--classes-file", "classes.txt").lines == expected
    monkeypatch.setattr(sys, "stdin", io.StringIO("liver\ncolon polyp/polyp\n"))
    assert detect("in", "--classes-file", "-").lines == expected


def test_the_vocabulary_is_limited_to_the_modality(detect: Any) -> None:
    records = detect("in").lines
    assert {item["class"] for item in records[3]["detections"]} == {"lung nodule"}
    assert {item["class"] for item in detections_of(records[:3])} == set(NAMES)


def test_a_class_that_the_modality_cannot_show_is_searched_with_a_warning(detect: Any) -> None:
    found = detect("in/ct.dcm", "--classes", "optic disc,lung nodule")
    (record,) = found.lines
    assert "optic disc" in {item["class"] for item in record["detections"]}
    (warning,) = record["warnings"]
    assert "'optic disc'" in warning
    assert "lung nodule" not in warning
    assert warning in found.stderr


def test_thresholds_are_obeyed(detect: Any) -> None:
    every = detections_of(detect("in", "--conf", 0).lines)
    some = detections_of(detect("in", "--conf", 0.5).lines)
    assert 0 < len(some) < len(every)
    assert min(item["score"] for item in some) >= 0.5
    assert all(len(record["detections"]) <= 2 for record in detect("in", "--max-det", 2).lines)
    apart = detections_of(detect("in", "--conf", 0.5, "--iou", 0).lines)
    assert len(apart) < len(some)


def test_the_window_is_chosen_and_told(detect: Any) -> None:
    (record,) = detect("in/ct.dcm", "--window", "1000,-200").lines
    assert record["window"] == {"source": "custom", "name": None, "center": -200, "width": 1000}


def test_the_size_of_the_model_input_is_chosen_and_told(detect: Any) -> None:
    (record,) = detect("in/000.png", "--imgsz", 160).lines
    assert record["model"]["imgsz"] == 160


def test_timings_are_told_on_demand_only(detect: Any) -> None:
    (record,) = detect("in/000.png", "--timings").lines
    assert record["elapsed_ms"] > 0


def test_paths_come_from_stdin(detect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("in/001.png\n\nmissing.png\n"))
    found = detect("-")
    assert found.exit_code == 3
    assert [line["path"] for line in found.lines] == ["in/001.png", "missing.png"]


def test_shards_share_the_inputs(detect: Any) -> None:
    parts = [detect("in", "--shard", f"{number}/3").lines for number in (1, 2, 3)]
    assert [len(part) for part in parts] == [2, 1, 1]
    assert sorted(line["path"] for part in parts for line in part) == [
        line["path"] for line in detect("in").lines
    ]
    empty = detect("in/000.png", "--shard", "2/2")
    assert (empty.exit_code, empty.stdout) == (0, "")


# Privacy


def test_nothing_of_the_patient_is_shown_unless_asked_for(detect: Any, folder: Path) -> None:
    shown = detect("in", "--output", "out", "--format", "json,csv,coco,yolo,png")
    everything = shown.stdout + shown.stderr
    for path in (folder / "out").rglob("*"):
        everything += str(path) + (path.read_bytes().decode("latin-1") if path.is_file() else "")
    assert "ct.dcm" in everything
    assert PATIENT not in everything
    assert PATIENT_ID not in everything
    (kept,) = detect("in/ct.dcm", "--phi", "keep").lines
    assert (kept["patient_name"], kept["patient_id"]) == (PATIENT, PATIENT_ID)


def test_uids_are_hashed_on_demand(detect: Any) -> None:
    found = detect("in/ct.dcm", "--phi", "hash")
    (record,) = found.lines
    assert record["study_uid"].startswith("2.25.")
    assert '"1.2.3"' not in found.stdout
    assert "patient_id" not in record


# Files


def test_every_format_is_written_and_agrees(detect: Any, folder: Path) -> None:
    expected = detect("in").lines
    found = detect("in", "--output", "out", "-f", "jsonl,json,coco", "-f", "csv,yolo,png")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "results in out" in found.stderr
    out = folder / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "detections.coco-results.json",
        "detections.coco.json",
        "detections.csv",
        "detections.json",
        "detections.jsonl",
        "overlays",
        "run.json",
        "yolo",
    ]
    assert [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()] == expected
    assert json.loads((out / "detections.json").read_text())["records"] == expected
    count = len(detections_of(expected))
    assert len(json.loads((out / "detections.coco-results.json").read_text())) == count
    rows = list(csv.DictReader((out / "detections.csv").read_text().splitlines()))
    assert [(row["class"], float(row["score"])) for row in rows if row["class"]] == [
        (item["class"], item["score"]) for item in detections_of(expected)
    ]
    labels = [path.read_text() for path in sorted((out / "yolo" / "labels").rglob("*.txt"))]
    assert [text.count("\n") for text in labels] == [len(record["detections"]) for record in expected]
    for record in expected:
        overlay = cv2.imread(str(out / "overlays" / f"{record['path']}.png"))
        assert overlay.shape[0] >= record["height"]  # a crowded image has a legend at its right side
        assert overlay.shape[1] >= record["width"]


def test_only_what_is_asked_for_is_written_beside_the_json_lines(detect: Any, folder: Path) -> None:
    detect("in", "--output", "out", "--format", "csv")
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["detections.csv", "detections.jsonl", "run.json"]


def test_a_document_and_a_table_can_go_with_a_folder(detect: Any, terminal: None) -> None:
    assert detect("in", "--output", "one", "--json").json["summary"]["images"] == 4
    assert "in/000.png" in detect("in", "--output", "two").stdout


def test_run_json_says_what_made_the_files(detect: Any, folder: Path, weights: Path) -> None:
    detect("in", "--output", "out", "--conf", 0.3, "--classes", "liver")
    run = json.loads((folder / "out" / "run.json").read_text())
    assert run["settings"]["conf"] == 0.3
    assert run["settings"]["weights"] == str(weights)
    assert run["classes"] == [{"name": "liver", "synonyms": ["liver"]}]
    assert run["model"]["name"] == "eager"
    assert run["inputs"]["count"] == 4
    assert "not a medical device" in run["notice"]


def test_equal_runs_give_equal_bytes(detect: Any, folder: Path) -> None:
    detect("in", "--output", "one", "--threads", 1)
    detect("in", "--output", "two", "--threads", 4)
    for name in ("detections.jsonl", "run.json"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_a_folder_can_hold_its_own_output(detect: Any, folder: Path) -> None:
    assert detect(".", "--output", "out", "--format", "png").exit_code == 0
    assert detect(".", "--output", "out", "--format", "png", "--resume").exit_code == 0
    assert len((folder / "out" / "detections.jsonl").read_text().splitlines()) == 4


def test_pictures_of_earlier_runs_are_no_inputs(detect: Any, folder: Path) -> None:
    assert detect("in", "--output", "in/out", "--format", "png,html").exit_code == 0
    for other in ("overlays", "own/report"):  # not beside a run
        write_images(folder / "in" / other, 1)
    done = detect("in", "--output", "in/out2", "--json")
    images = ["000.png", "001.png", "002.png", "ct.dcm", "overlays/000.png", "own/report/000.png"]
    lines = (folder / "in" / "out2" / "detections.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["path"] for line in lines) == [f"in/{name}" for name in images]
    skipped = [file["path"] for file in done.json["summary"]["skipped"]]
    assert skipped == ["in/out/overlays", "in/out/report"]
    assert detect("in", "--output", "in/out2", "--resume").exit_code == 0
    named = detect("in/out/overlays", "--format", "jsonl")
    assert len(named.lines) == 4


def test_an_earlier_run_is_resumed_or_replaced_but_not_mixed(detect: Any, folder: Path) -> None:
    assert detect("in", "--output", "out").exit_code == 0
    refused = detect("in", "--output", "out")
    assert refused.exit_code == 2
    assert "already contains a run" in refused.stderr
    assert detect("in", "--output", "out", "--resume").exit_code == 0
    changed = detect("in", "--output", "out", "--resume", "--conf", 0.9)
    assert changed.exit_code == 2
    assert "settings.conf" in changed.stderr
    assert detect("in", "--output", "out", "--overwrite", "--conf", 0.9).exit_code == 0
    assert json.loads((folder / "out" / "run.json").read_text())["settings"]["conf"] == 0.9


# Failures


def test_a_failed_input_is_a_record(detect: Any, folder: Path) -> None:
    (folder / "in" / "001_broken.png").write_bytes(BROKEN)
    found = detect("in")
    assert found.exit_code == 3
    (record,) = [line for line in found.lines if "error" in line]
    assert record.keys() == {"schema", "path", "error"}
    assert record["path"] == "in/001_broken.png"
    assert record["error"].keys() == {"code", "message", "hint"}
    assert "in/001_broken.png" in found.stderr
    assert "Traceback" not in found.stderr


def test_strict_stops_at_the_first_failed_input(detect: Any, folder: Path) -> None:
    (folder / "in" / "001_broken.png").write_bytes(BROKEN)
    found = detect("in", "--strict")
    assert found.exit_code == 3
    assert [line["path"] for line in found.lines] == ["in/000.png", "in/001.png", "in/001_broken.png"]
    assert "stopped at the first failed input" in found.stderr
    assert detect("missing.png", "in", "--strict").exit_code == 4


def test_no_usable_input(detect: Any, folder: Path) -> None:
    (folder / "empty").mkdir()
    found = detect("empty", "missing.png")
    assert found.exit_code == 4
    assert [line["error"]["code"] for line in found.lines] == ["unreadable", "not_found"]


def test_an_empty_list_of_inputs(detect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    found = detect("-")
    assert found.exit_code == 4
    assert "no input" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--conf", "2"], "--conf"),
        (["--imgsz", "100"], "--imgsz"),
        (["--device", "gpu"], "--device"),
        (["--window", "dark"], "--window"),
        (["--axis", "up"], "--axis"),
        (["--phi", "all"], "--phi"),
        (["--shard", "3/2"], "--shard"),
        (["--format", "xml"], "--format"),
        (["--format", "png"], "--format png needs --output"),
        (["--format", "jsonl", "--json"], "--format jsonl and --json"),
        (["--resume"], "--resume needs --output"),
        (["--resume", "--overwrite", "--output", "out"], "--resume and --overwrite"),
        (["--classes", "a,,b"], "class"),
        (["--classes", "a", "--classes-file", "b"], "--classes and --classes-file"),
        (["--classes-file", "missing.txt"], "--classes-file"),
        (["--classes-file", "-", "-"], "--classes-file"),
        (["--text-encoder", "minilm"], "--text-encoder needs --classes"),
        (["--output", "in/000.png"], "--output"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_usage_errors_name_the_option_and_write_nothing(
    detect: Any, folder: Path, arguments: list[str], named: str
) -> None:
    before = sorted(folder.rglob("*"))
    found = detect("in", *arguments)
    assert found.exit_code == 2
    assert named in found.stderr
    assert sorted(folder.rglob("*")) == before
    if "--json" not in arguments:
        assert found.stdout == ""


def test_an_error_is_a_document_with_json(detect: Any) -> None:
    found = detect("in", "--json", "--device", "gpu")
    assert found.exit_code == 2
    assert found.json["error"]["code"] == "usage"


def test_weights_that_are_missing_or_pickled(medrov: Medrov, folder: Path) -> None:
    assert medrov("detect", "in", "--weights", "nothing").exit_code == 5
    (folder / "model.pt").write_bytes(b"PK")
    assert medrov("detect", "in", "--weights", "model.pt").exit_code == 5


def test_a_text_encoder_that_needs_the_network(detect: Any) -> None:
    found = detect("in", "--classes", "liver", "--text-encoder", "hf-hub:some/encoder", "--offline")
    assert found.exit_code == 5
    assert "offline" in found.stderr


def test_weights_without_a_vocabulary_need_classes(medrov: Medrov, folder: Path) -> None:
    bare = write_eager_detector(folder / "bare.safetensors", vocabulary=())
    found = medrov("detect", "in", "--weights", bare)
    assert found.exit_code == 2
    assert "--classes is required" in found.stderr
    assert medrov("detect", "in", "--weights", bare, "--classes", "liver").exit_code == 0


def test_a_folder_that_cannot_be_written(detect: Any, folder: Path) -> None:
    (folder / "file").write_text("")
    found = detect("in", "--output", "file/out")
    assert found.exit_code == 1
    assert "cannot write" in found.stderr


@pytest.mark.parametrize("name", [".detections.jsonl.partial", "overlays", "yolo"])
def test_detect_with_a_link_in_the_output_is_refused(detect: Any, folder: Path, name: str) -> None:
    target = folder / "elsewhere"
    if name.startswith("."):
        target.write_text("precious")
    else:
        target.mkdir()
    (folder / "out").mkdir()
    (folder / "out" / name).symlink_to(target)
    found = detect("in", "--output", "out", "--format", "yolo,png")
    assert found.exit_code == 2
    assert name in found.stderr
    assert [path.name for path in (folder / "out").iterdir()] == [name]
    assert target.read_text() == "precious" if target.is_file() else list(target.iterdir()) == []


def test_detect_replaces_a_link_in_the_place_of_a_file(detect: Any, folder: Path) -> None:
    (folder / "precious").write_text("precious")
    run, out = ("in", "--output", "out", "--format", "csv"), folder / "out"
    assert detect(*run).exit_code == 0
    (out / "detections.jsonl").rename(out / ".detections.jsonl.partial")
    (out / "detections.csv").unlink()
    (out / "detections.csv").symlink_to(folder / "precious")
    assert detect(*run, "--resume").exit_code == 0
    assert (folder / "precious").read_text() == "precious"
    assert (folder / "out" / "detections.csv").read_text().startswith("path,")


def test_detect_writes_files_of_its_own_for_each_image(detect: Any, folder: Path) -> None:
    """A video and a folder of its frames, images that differ in suffix, letter case and composed letters."""
    write_images(folder / "v", 2)
    for number, path in enumerate(sorted((folder / "v").iterdir())):
        path.rename(folder / "v" / f"frame-0000{number}.png")
    video = cv2.VideoWriter(str(folder / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (80, 60))
    for number in range(2):
        video.write(noise_image(number))
    video.release()
    image = (folder / "v" / "frame-00000.png").read_bytes()
    twins = ["a.png", "a.jpg", "A.png", "\u00e9.png", "e\u0301.png"]
    for name in twins:
        (folder / name).write_bytes(image)
    inputs = ["v", "v.avi", *twins]
    assert detect(*inputs, "--output", "out", "--format", "yolo,png").exit_code == 0
    lines = (folder / "out" / "detections.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if "findings" not in record]
    assert len(records) == 9
    for files in (
        (folder / "out" / "overlays").rglob("*.png"),
        (folder / "out" / "yolo" / "labels").rglob("*.txt"),
    ):
        names = [str(path).casefold() for path in files]
        assert len({unicodedata.normalize("NFC", name) for name in names}) == len(records)
    assert (folder / "out" / "yolo" / "labels" / "v" / "frame-00000.txt").is_file()  # of the image
    before = folder_bytes(folder / "out")
    shards = [f"{number}/2" for number in (1, 2)]
    parts = {}
    for number, shard in enumerate(shards):
        assert detect(*inputs, "--shard", shard, "-o", f"part{number}", "--format", "png").exit_code == 0
        parts |= folder_bytes(folder / f"part{number}" / "overlays")
    assert {f"overlays/{name}": data for name, data in parts.items()} == {
        name: data for name, data in before.items() if name.startswith("overlays")
    }


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("limit_bytes", [4000, 9000])
def test_a_full_disk_ends_the_run_and_a_resumed_run_completes_it(
    detect: Any, folder: Path, limit_bytes: int
) -> None:
    import resource

    arguments = ("in", "--format", "png,csv,json", "--conf", 0, "--max-det", 20)
    assert detect(*arguments, "--output", "whole").exit_code == 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        found = detect(*arguments, "--output", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.exit_code == 1
    assert "cannot write out" in found.stderr
    assert [str(path) for path in (folder / "out").rglob("*.tmp")] == []
    assert detect(*arguments, "--output", "out", "--resume").exit_code == 0
    assert folder_bytes(folder / "out") == folder_bytes(folder / "whole")


# The process


def process(
    weights: Path, folder: Path, *arguments: object, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    script = [sys.executable, "-P", str(ROOT / "tests" / "offline_medrov.py")]
    command_line = [*script, "detect", *map(str, arguments), "--weights", str(weights)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command_line, cwd=folder, stdin=stdin, stdout=pipe, stderr=pipe)


@pytest.mark.skipif(sys.platform == "win32", reason="a working folder cannot be removed there")
def test_a_removed_working_folder_is_said(weights: Path, folder: Path) -> None:
    script = [sys.executable, "-P", str(ROOT / "tests" / "offline_medrov.py")]
    words = ["detect", str(folder / "in"), "--weights", str(weights), "--output", "out"]
    (folder / "gone").mkdir()
    command = 'cd gone && rmdir ../gone && exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *script, *words], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"error: the working folder does not exist any more\n" in done.stderr


@pytest.mark.parametrize(("closed", "options"), [("stderr", ()), ("stdout", ("--json",))])
def test_a_reader_that_has_enough_does_not_end_a_run_that_writes_to_a_folder(
    weights: Path, folder: Path, closed: str, options: tuple[str, ...]
) -> None:
    (folder / "in" / "broken.png").write_bytes(BROKEN)
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, closed: writer}
    script = [sys.executable, "-P", str(ROOT / "tests" / "offline_medrov.py")]
    words = ["detect", "in", "--weights", str(weights), "--output", "out", *options]
    done = subprocess.run([*script, *words], cwd=folder, check=False, **streams)
    os.close(writer)
    assert done.returncode == 3, done.stderr  # of the broken input
    assert len((folder / "out" / "detections.jsonl").read_text().splitlines()) == 5


def test_a_reader_that_has_enough_ends_the_run_quietly(weights: Path, folder: Path) -> None:
    write_images(folder / "many", 200)
    running = process(weights, folder, "many")
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdout.readline().startswith(b'{"schema": "medrov.detect/1"')
    running.stdout.close()
    assert running.wait(300) == 0
    assert b"error" not in running.stderr.read()
    running.stderr.close()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing_half_and_goes_on(
    number: signal.Signals, code: int, weights: Path, folder: Path, detect: Any
) -> None:
    write_images(folder / "many", 200)
    running = process(weights, folder, "many", "--output", "out")
    journal = folder / "out" / ".detections.jsonl.partial"
    while running.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.01)
    running.send_signal(number)
    _, stderr = running.communicate(timeout=300)
    assert running.returncode == code
    assert b"interrupted" in stderr
    assert b"Traceback" not in stderr
    assert not (folder / "out" / "detections.jsonl").exists()
    assert not list((folder / "out").glob(".*.tmp"))
    assert detect("many", "--output", "out", "--resume").exit_code == 0
    assert len((folder / "out" / "detections.jsonl").read_text().splitlines()) == 200


def test_a_list_of_paths_need_not_be_utf8(weights: Path, folder: Path) -> None:
    name = b"caf\xe9.png"
    (folder / "in" / "000.png").rename(folder / os.fsdecode(name))
    running = process(
        weights, folder, "-", "--output", "out", "--format", "csv,yolo,png", stdin=subprocess.PIPE
    )
    _, stderr = running.communicate(name + b"\n", timeout=300)
    assert running.returncode == 0, stderr
    record = json.loads((folder / "out" / "detections.jsonl").read_text())
    assert os.fsencode(record["path"]) == name
    assert (folder / "out" / "overlays" / os.fsdecode(name + b".png")).is_file()


def test_defaults_of_the_command_are_those_of_the_procedure() -> None:
    config = DetectSettings(inputs=())
    defaults = {option.name: option.given_default for option in parameters(DetectSettings)}
    for group, names in (
        (config, ("weights", "text_encoder")),
        (config.selection, ("conf", "iou", "max_det")),
        (config.runtime, ("imgsz", "device", "batch")),
        (config.read, ("threads",)),
    ):
        for name in names:
            assert defaults[name] == getattr(group, name), name
    assert (defaults["window"], defaults["axis"]) == (str(config.read.window), config.read.axis)
    assert (defaults["precision"], defaults["phi"]) == (config.runtime.precision.value, config.phi.value)
