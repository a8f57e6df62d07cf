"""Findings of ``medrov detect``: series, files with several frames, tables, files, resume, shards."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from conftest import ROOT, Finished, Medrov
from detect_fixtures import noise_image, write_eager_detector, write_images
from dicom_objects import Grid
from image_files import PATIENT, write_dicom

SCHEMAS = ROOT / "docs" / "schemas"
VOLUME, DETECT = (
    jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"medrov.{name}-1.schema.json").read_text("utf-8")))
    for name in ("findings", "detect")
)
GRID = Grid(origin=(-20.0, -30.0, 100.0), spacing=(0.8, 0.5), step_mm=2.0, size=(60, 80))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture
def detect(medrov: Medrov, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Finished:
        return medrov("detect", *arguments, "--weights", weights, "--max-det", 3)

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Let stdout be a terminal, one without colours."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: stream is sys.stdout, raising=False)


def pixels() -> np.ndarray:
    """Return an image on which the detector finds something: the same in each slice, so that it is linked."""
    return noise_image(3)[..., 0]


def write_ct(folder: Path, count: int = 4, series: str = "1.2.3", **changes: Any) -> None:
    """Write a series whose file names run against the order in the body."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        attributes: dict[str, Any] = {
            "Modality": "CT",
            "SOPInstanceUID": f"{series}.{number + 1}",
            "SeriesInstanceUID": series,
            "StudyInstanceUID": "1.2",
            "FrameOfReferenceUID": "1.9.8.7",
            "ImagePositionPatient": GRID.position(number),
            "ImageOrientationPatient": list(GRID.axes),
            "PixelSpacing": list(GRID.spacing),
            "InstanceNumber": number + 1,
            "WindowCenter": 128,
            "WindowWidth": 256,
        }
        attributes |= {key: value(number) if callable(value) else value for key, value in changes.items()}
        kept = {key: value for key, value in attributes.items() if value is not None}
        write_dicom(folder / f"{series}-{count - number}.dcm", pixels(), **kept)


def volumes_of(lines: list[Any]) -> list[Any]:
    found = [line for line in lines if line["schema"] == "medrov.findings/1"]
    for record in found:
        VOLUME.validate(record)
    return found


def test_a_series_has_one_record_after_those_of_its_slices(detect: Any, tmp_path: Path) -> None:
    write_ct(tmp_path / "in")
    lines = detect("in").lines
    assert [line["schema"] for line in lines] == ["medrov.detect/1"] * 4 + ["medrov.findings/1"]
    (volume,) = volumes_of(lines)
    assert (volume["kind"], volume["slice_step_mm"], volume["coordinates"]) == ("dicom_series", 2.0, "LPS")
    assert [image["path"] for image in volume["slices"]] == [line["path"] for line in lines[:4]]
    assert "1.9.8.7" not in json.dumps(lines)
    # Equal slices have equal detections: each is one finding through all of them.
    rows = [line["detections"] for line in lines[:4]]
    assert len(rows[0]) == len(volume["findings"]) > 0
    found = volume["findings"][0]
    own = rows[0][found["members"][0]["detection"]]
    assert [(one["slice"], one["detection"]) for one in found["members"]] == [
        (number, found["members"][0]["detection"]) for number in range(4)
    ]
    x1, y1, x2, y2 = own["box_xyxy"]
    assert found["box_voxels"] == [x1, y1, 0, x2, y2, 4]
    assert found["score"] == pytest.approx(own["score"], abs=1e-5)
    assert found["extent_mm"] == pytest.approx([*own["size_mm"], 8.0], abs=0.02)
    left, top = -20 - 0.25, -30 - 0.4
    exact = [left + x1 / 2, top + 0.8 * y1, 99, left + x2 / 2, top + 0.8 * y2, 107]
    assert found["box_mm"] == pytest.approx(exact, abs=0.01)


def test_a_terminal_gets_findings_or_slices(detect: Any, terminal: None, tmp_path: Path) -> None:
    write_ct(tmp_path / "in")
    write_images(tmp_path / "in", 1)
    shown = detect("in")
    assert "0-3" in shown.stdout
    assert "000.png" in shown.stdout
    assert shown.stdout.count("1.2.3-") == 1
    assert "1 volume(s)" in shown.stderr
    slices = detect("in", "--per-slice").stdout
    assert "0-3" not in slices
    assert slices.count("1.2.3-") == 4


def test_images_that_are_no_volume_have_no_record(detect: Any, tmp_path: Path) -> None:
    write_images(tmp_path / "in", 2)
    views = {"Modality": "CR", "ImagePositionPatient": None, "ImageOrientationPatient": None}
    write_ct(tmp_path / "in", 2, **views)
    assert (
        volumes_of(detect("in", "--output", "out", "--format", "jsonl,json,csv", "--json").json["records"])
        == []
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "detections.csv",
        "detections.json",
        "detections.jsonl",
        "run.json",
    ]


def test_files_of_findings(detect: Any, tmp_path: Path) -> None:
    write_ct(tmp_path / "in")
    done = detect("in", "--output", "out", "--format", "json,csv", "--json")
    DETECT.validate(done.json)
    out = tmp_path / "out"
    lines = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    (volume,) = volumes_of(lines)
    document = json.loads((out / "findings.json").read_text())
    VOLUME.validate(document)
    assert document["volumes"] == [volume]
    assert json.loads((out / "detections.json").read_text()) == done.json
    assert done.json["volumes"] == [volume]
    assert len(done.json["records"]) == 4
    assert done.json["summary"]["findings"] == len(volume["findings"])
    rows = list(csv.DictReader(io.StringIO((out / "findings.csv").read_text())))
    assert [float(row["x1_mm"]) for row in rows] == [one["box_mm"][0] for one in volume["findings"]]
    assert rows[0]["detections"] == "4"
    assert detect("in", "--output", "out", "--overwrite").exit_code == 0
    assert not (out / "findings.csv").exists()


@pytest.mark.parametrize("lines", range(10))
def test_a_run_resumed_after_any_record_has_the_same_bytes(detect: Any, tmp_path: Path, lines: int) -> None:
    for series in ("1.2.3", "1.2.4"):
        write_ct(tmp_path / "in", 3, series)
    write_images(tmp_path / "in", 1)
    assert detect("in", "--output", "whole", "--batch", 2).exit_code == 0
    whole = (tmp_path / "whole" / "detections.jsonl").read_bytes()
    assert whole.count(b"\n") == 9
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_bytes((tmp_path / "whole" / "run.json").read_bytes())
    (out / ".detections.jsonl.partial").write_bytes(b"".join(whole.splitlines(keepends=True)[:lines]))
    assert detect("in", "--output", "out", "--batch", 2, "--resume").exit_code == 0
    for name in ("detections.jsonl", "findings.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_shard_has_whole_series(detect: Any, tmp_path: Path) -> None:
    for series in ("1.2.3", "1.2.4"):
        write_ct(tmp_path / "in", 3, series)
    write_images(tmp_path / "in", 2)
    parts = [detect("in", "--shard", f"{number}/2").lines for number in (1, 2)]
    names = [[Path(line["path"]).name for line in part if "frame" in line] for part in parts]
    series = [[name for name in part if name.endswith(".dcm")] for part in names]
    assert sorted(series) == [[f"{uid}-{number}.dcm" for number in (3, 2, 1)] for uid in ("1.2.3", "1.2.4")]
    assert sorted(map(len, names)) == [4, 4]
    assert [len(volumes_of(part)) for part in parts] == [1, 1]


def test_no_text_of_a_patient_is_in_a_record(detect: Any, tmp_path: Path) -> None:
    write_ct(tmp_path / "in", InstitutionName="CANARY", PatientComments="CANARY")
    text = detect("in", "--phi", "hash", "--json").stdout
    assert "CANARY" not in text
    assert str(PATIENT) not in text
    assert '"series_uid": "1.2.3"' not in text
