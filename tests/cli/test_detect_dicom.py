"""``medrov detect`` with DICOM results and DICOMweb inputs, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from conftest import Medrov
from detect_fixtures import write_eager_detector, write_images
from dicom_objects import Grid, write_series

NAME, COMMENT = "Canary^Jane", "canary street 7"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


def test_results_are_written_other_images_are_named_and_nothing_else_says_who_it_is(
    medrov: Medrov, weights: Path, tmp_path: Path, empty_cache: Path
) -> None:
    write_series(
        tmp_path / "in",
        2,
        Grid(size=(48, 64)),
        PatientName=NAME,
        PatientComments=COMMENT,
        PatientID="CANARYID",
    )
    (png,) = write_images(tmp_path / "in", 1)
    out = tmp_path / "out"
    done = medrov(
        "detect", tmp_path / "in", "--weights", weights, "--conf", "0.3", "--max-det", 2, "--output", out,
        "--format", "sr,gsps,seg,csv,json,html", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    left_out = done.json["summary"]["left_out"]
    assert {(item["format"], item["path"]) for item in left_out} == {
        (name, str(png)) for name in ("sr", "gsps", "seg")
    }
    assert f"{png}: not in --format sr, it is no DICOM image" in done.stderr
    results = [path for path in out.rglob("*") if path.suffix == ".dcm"]
    assert {path.parent.name for path in results} == {"sr", "gsps", "seg"}
    for path in results:
        content = path.read_bytes()
        assert NAME.encode() in content
        assert COMMENT.encode() in content
    others = [path for folder in (out, empty_cache) for path in folder.rglob("*") if path.is_file()]
    texts = [done.stdout, done.stderr, *(str(path.relative_to(tmp_path)) for path in others)]
    texts += [path.read_bytes().decode("latin-1") for path in others if path not in results]
    assert not any("canary" in text.lower() for text in texts)


def test_findings_of_a_series_are_groups_of_its_report(medrov: Medrov, weights: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "in", 4, Grid(size=(48, 64), spacing=(1.0, 0.5)))
    out = tmp_path / "out"
    done = medrov(
        "detect", tmp_path / "in", "--weights", weights, "--conf", "0.3", "--max-det", 3, "--output", out,
        "--format", "sr,gsps",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    records = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    (volume,) = (record for record in records if "findings" in record)
    linked = sorted(len(finding["members"]) for finding in volume["findings"])
    assert linked[-1] > 1
    (path,) = (out / "sr").iterdir()
    content = highdicom.sr.Comprehensive3DSR.from_dataset(pydicom.dcmread(path)).content
    groups = content.get_volumetric_roi_measurement_groups()
    assert sorted(len(group.roi) for group in groups) == linked
    for group, finding in zip(groups, volume["findings"], strict=True):
        assert extent_mm(group, tmp_path / "in") == pytest.approx(finding["box_mm"], abs=0.01)
    (state,) = (pydicom.dcmread(path) for path in (out / "gsps").iterdir())
    drawn = sorted(
        (one.ReferencedImageSequence[0].ReferencedSOPInstanceUID, *box_of(graphic.GraphicData))
        for one in state.GraphicAnnotationSequence
        for graphic in one.GraphicObjectSequence
    )
    stated = sorted(
        (pydicom.dcmread(record["path"]).SOPInstanceUID, *row["box_xyxy"])
        for record in records
        for row in record.get("detections", ())
    )
    assert [one[0] for one in drawn] == [one[0] for one in stated]
    for one, other in zip(drawn, stated, strict=True):
        assert one[1:] == pytest.approx(other[1:], abs=0.01)
    rows = sum(len(record["detections"]) for record in records if "detections" in record)
    assert sum(linked) + len(content.get_planar_roi_measurement_groups()) == rows


def box_of(graphic: Any) -> list[float]:
    points = np.array(graphic, dtype=np.float64).reshape(-1, 2)
    return [*points.min(0).tolist(), *points.max(0).tolist()]


def extent_mm(group: Any, folder: Path) -> list[float]:
    """Return the box in the patient of the regions of a group, by PS3.3, C.7.6.2.1.1."""
    headers = {own.SOPInstanceUID: own for own in map(pydicom.dcmread, folder.iterdir())}
    step = np.diff(sorted(float(own.ImagePositionPatient[2]) for own in headers.values())).min()
    corners = []
    for region in group.roi:
        header = headers[region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID]
        axes = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        normal = np.cross(*axes)
        for column, row in np.array(region.GraphicData, dtype=np.float64).reshape(-1, 2) - 0.5:
            spacing = header.PixelSpacing
            place = np.array(header.ImagePositionPatient, dtype=np.float64)
            place = place + axes[0] * spacing[1] * column + axes[1] * spacing[0] * row
            corners += [place - normal * step / 2, place + normal * step / 2]
    return [*np.min(corners, 0).tolist(), *np.max(corners, 0).tolist()]


@pytest.mark.parametrize(
    "address", ["dicomweb:http://127.0.0.1:1/studies/1.2/series/1.3", "dicomweb:https://h/studies/1"]
)
def test_a_service_is_not_used_offline(medrov: Medrov, weights: Path, address: str) -> None:
    done = medrov("detect", address, "--weights", weights, "--offline")
    assert done.exit_code == 5
    assert "--offline" in done.stderr


@pytest.mark.parametrize(
    "address", ["dicomweb:", "dicomweb:http://127.0.0.1/dicom-web", "dicomweb:ftp://h/studies/1"]
)
def test_an_address_without_a_study_is_refused(medrov: Medrov, weights: Path, address: str) -> None:
    done = medrov("detect", address, "--weights", weights)
    assert done.exit_code == 2
    assert "dicomweb" in done.stderr
