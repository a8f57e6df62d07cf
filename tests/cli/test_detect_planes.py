"""``medrov detect --planes``: volumes that are searched in three planes, and inputs that cannot be."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import nibabel as nib
import numpy as np
import pytest

from conftest import ROOT, Finished, Medrov
from detect_fixtures import noise_image, write_eager_detector, write_images
from dicom_objects import Grid
from image_files import write_dicom

VOLUME = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs" / "schemas" / "medrov.findings-1.schema.json").read_text("utf-8"))
)
PLANES = ("--planes", "axial,coronal,sagittal")
ALL = ["axial", "coronal", "sagittal"]
GRID = Grid(origin=(-20.0, -30.0, 100.0), spacing=(1.0, 1.0), step_mm=8.0, size=(64, 64))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


@pytest.fixture
def detect(medrov: Medrov, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Finished:
        return medrov("detect", *arguments, "--weights", weights, "--max-det", 3, "--imgsz", 64)

    return run


def write_ct(folder: Path, count: int = 6, series: str = "1.2.3", **changes: Any) -> None:
    """Write an axial series; a change is a value, or a function of the number of the slice."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = noise_image(3)[..., 0]
    for number in range(count):
        attributes: dict[str, Any] = {
            "Modality": "CT",
            "SOPInstanceUID": f"{series}.{number + 1}",
            "SeriesInstanceUID": series,
            "StudyInstanceUID": "1.2",
            "ImagePositionPatient": GRID.position(number),
            "ImageOrientationPatient": list(GRID.axes),
            "PixelSpacing": list(GRID.spacing),
            "InstanceNumber": number + 1,
            "WindowCenter": 128,
            "WindowWidth": 256,
        }
        attributes |= {key: value(number) if callable(value) else value for key, value in changes.items()}
        write_dicom(folder / f"{series}-{number}.dcm", pixels, **attributes)


def volume_of(done: Finished) -> Any:
    (record,) = [line for line in done.lines if line["schema"] == "medrov.findings/1"]
    VOLUME.validate(record)
    return record


def test_findings_say_which_planes_have_them(detect: Any, tmp_path: Path) -> None:
    write_ct(tmp_path / "in")
    plain, done = detect("in"), detect("in", *PLANES)
    # The records of the slices are those of a run without planes.
    assert done.stdout.splitlines()[:6] == plain.stdout.splitlines()[:6]
    own, volume = volume_of(plain), volume_of(done)
    assert volume["planes"] == {"searched": ALL, "spacing_mm": 1.0, "step_mm": 8.0, "refusal": None}
    assert {key: volume[key] for key in ("slices", "warnings")} == {
        key: own[key] for key in ("slices", "warnings")
    }
    assert volume["findings"]
    for found in volume["findings"]:
        planes = [vote["plane"] for vote in found["votes"]]
        assert planes == [plane for plane in ALL if plane in planes]
        assert found["score"] == max(vote["score"] for vote in found["votes"])
        assert bool(found["members"]) == ("axial" in planes)
        assert "axial" in planes or len(planes) == 2
        assert found["first_slice"] <= found["key_slice"]
    assert "planes" not in own
    assert all("votes" not in found for found in own["findings"])


def test_a_run_without_planes_has_no_such_setting(detect: Any, tmp_path: Path) -> None:
    write_ct(tmp_path / "in", 2)
    detect("in", "--output", "plain")
    detect("in", "--output", "planes", "--planes", "sagittal,coronal", "--format", "csv")
    settings = [json.loads(Path(name, "run.json").read_text())["settings"] for name in ("plain", "planes")]
    assert "planes" not in settings[0]
    assert settings[1]["planes"] == ["coronal", "sagittal"]
    refused = detect("in", "--output", "plain", "--resume", *PLANES)
    assert refused.exit_code == 2
    rows = list(csv.DictReader(Path("planes", "findings.csv").read_text().splitlines()))
    assert {plane for row in rows for plane in row["planes"].split()} <= set(ALL)


@pytest.mark.parametrize("lines", [0, 5, 6, 7, 8, 13])
def test_a_resumed_run_has_the_same_bytes(detect: Any, tmp_path: Path, lines: int) -> None:
    for series in ("1.2.3", "1.2.4"):
        write_ct(tmp_path / "in", 6, series)
    assert detect("in", "--output", "whole", "--batch", 2, *PLANES).exit_code == 0
    whole = (tmp_path / "whole" / "detections.jsonl").read_bytes()
    assert whole.count(b"\n") == 14
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_bytes((tmp_path / "whole" / "run.json").read_bytes())
    (out / ".detections.jsonl.partial").write_bytes(b"".join(whole.splitlines(keepends=True)[:lines]))
    assert detect("in", "--output", "out", "--batch", 2, "--resume", *PLANES).exit_code == 0
    for name in ("detections.jsonl", "findings.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_shards_are_merged_to_the_whole_run(detect: Any, medrov: Medrov, tmp_path: Path) -> None:
    for series in ("1.2.3", "1.2.4"):
        write_ct(tmp_path / "in", 4, series)
    detect("in", "--output", "whole", *PLANES)
    for number in (1, 2):
        detect("in", "--output", f"part{number}", "--shard", f"{number}/2", *PLANES)
    assert medrov("merge", "part1", "part2", "--output", "all").exit_code == 0
    assert Path("all", "findings.json").read_bytes() == Path("whole", "findings.json").read_bytes()


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("missing_slices", {"ImagePositionPatient": lambda number: GRID.position(number + (number > 3))}),
        ("uneven_steps", {"ImagePositionPatient": lambda number: GRID.position(number + 0.2 * (number > 3))}),
        (
            "tilted_gantry",
            {"ImagePositionPatient": lambda number: [-20.0, -30.0 + number, 100.0 + 8 * number]},
        ),
        ("not_linked", {"PixelSpacing": lambda number: [1.0, 1.0] if number else [2.0, 2.0]}),
    ],
)
def test_irregular_slices_are_refused_by_name(
    detect: Any, tmp_path: Path, reason: str, changes: dict[str, Any]
) -> None:
    write_ct(tmp_path / "in", **changes)
    plain, volume = volume_of(detect("in")), volume_of(detect("in", *PLANES))
    assert volume["planes"]["refusal"] == reason
    assert volume["planes"]["searched"] == ([] if reason == "not_linked" else ["axial"])
    assert volume["findings"] == plain["findings"]
    assert [text for text in volume["warnings"] if "--planes" in text]


def test_a_volume_in_colour_is_refused_by_name(detect: Any, tmp_path: Path) -> None:
    rgb = np.zeros((16, 16, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["R"] = 200
    nib.save(nib.Nifti1Image(rgb, np.eye(4)), tmp_path / "colour.nii")
    assert volume_of(detect("colour.nii", *PLANES))["planes"]["refusal"] == "color"


def test_images_that_are_no_slices_have_a_warning(detect: Any, tmp_path: Path) -> None:
    write_images(tmp_path / "in", 2)
    (first, second) = detect("in", *PLANES).lines
    assert first["warnings"] == second["warnings"] == ["--planes: the image is no slice of a volume."]
    assert all(record["warnings"] == [] for record in detect("in").lines)


def test_an_unknown_plane_and_a_cluster_are_refused(detect: Any, tmp_path: Path) -> None:
    write_images(tmp_path / "in", 1)
    for options, text in (
        (("--planes", "axial,oblique"), "--planes: unknown 'oblique'"),
        ((*PLANES, "--on", "ray"), "--planes and --on"),
        ((*PLANES, "--shard", "1/2", "--shard-by", "tiles"), "--planes and --shard-by tiles"),
    ):
        done = detect("in", *options)
        assert done.exit_code == 2
        assert text in done.stderr
