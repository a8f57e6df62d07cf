"""``medrov data convert`` from volumes and DICOM: whole runs, and that nothing of a patient comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pytest

from dicom_objects import (
    Grid,
    SegmentFrame,
    contour,
    segment,
    write_segmentation,
    write_series,
    write_structures,
)
from image_files import PATIENT, PATIENT_ID

ABOUT = ("--modality", "ct", "--licence", "CC0")
GRID = Grid()
BLOCK = np.zeros(GRID.size, np.uint8)
BLOCK[2:5, 1:3] = 1
BOX = [1, 2, 2, 3]
OUTLINE = [GRID.point(x, y, 1) for x, y in ((0.6, 1.6), (2.4, 1.6), (2.4, 4.4), (0.6, 4.4))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for inputs: three slices, on the second of which something is marked."""
    path = tmp_path / "in"
    write_series(path)
    return path


def nifti(folder: Path) -> tuple[Any, ...]:
    voxels = np.zeros((9, 7, 3), np.int16)
    voxels[..., 0], voxels[..., 1], voxels[..., 2] = 0, 10, 20
    marked = np.zeros((9, 7, 3), np.uint8)
    marked[..., 1] = BLOCK[::-1, ::-1].T  # right and front come first on the slice
    for name, values in (("p", voxels), ("p_seg", marked)):
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"{name}.nii.gz")
    return ("--from", "nifti", "--labels", "liver", "--window", "256,128")


def dicom_seg(folder: Path) -> tuple[Any, ...]:
    frame = SegmentFrame(1, BLOCK, GRID.position(1))
    write_segmentation(folder / "seg.dcm", [frame], [segment(1, "liver")])
    return ("--from", "dicom-seg")


def rtstruct(folder: Path) -> tuple[Any, ...]:
    write_structures(folder / "rs.dcm", [("liver", [contour(OUTLINE)])])
    return ("--from", "rtstruct")


def dicom_csv(folder: Path) -> tuple[Any, ...]:
    lines = ["1.2.3.1,,,,,0", "1.2.3.2,1,2,2,3,1", "1.2.3.3,,,,,0"]
    table = folder.parent / "boxes.csv"
    table.write_text("\n".join(["patientId,x,y,width,height,Target", *lines, ""]))
    return ("--from", "dicom-csv", "--csv", table, "--labels", "liver")


FORMS = [nifti, dicom_seg, rtstruct, dicom_csv]


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_run(medrov: Any, folder: Path, tmp_path: Path, form: Any) -> None:
    output, options = tmp_path / "out", form(folder)
    done = medrov("data", "convert", folder, "-o", output, *options, *ABOUT, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["classes"] == {"liver": 1}
    document = json.loads((output / "annotations.json").read_text())
    greys = {}
    for image in document["images"]:
        pixels = cv2.imread(str(output / "images" / image["file_name"]), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (image["height"], image["width"]) == (7, 9)
        greys[image["id"]] = int(pixels[0, 0])
    assert sorted(greys.values()) == [0, 10, 20]
    (own,) = document["annotations"]
    assert own["bbox"] == BOX
    assert greys[own["image_id"]] == 10
    assert len({image["case"] for image in document["images"]}) == 1
    everything = done.stdout + done.stderr
    for path in output.rglob("*"):
        everything += path.name + (path.read_text("latin-1") if path.is_file() else "")
    for secret in (PATIENT, PATIENT_ID, "1.2.3"):
        assert secret not in everything


@pytest.mark.parametrize("form", FORMS)
def test_empty_slices_left_out(medrov: Any, folder: Path, tmp_path: Path, form: Any) -> None:
    options = (*form(folder), "--skip-empty", "--json")
    done = medrov("data", "convert", folder, "-o", tmp_path / "out", *options, *ABOUT)
    assert done.exit_code == 0, done.stderr
    assert (done.json["images"], done.json["boxes"], done.json["skipped_empty"]) == (1, 1, 2)
    assert len(list((tmp_path / "out" / "images").iterdir())) == 1


@pytest.mark.parametrize("form", FORMS)
def test_resumed_runs_give_the_same_bytes(medrov: Any, folder: Path, tmp_path: Path, form: Any) -> None:
    options = form(folder)
    runs = []
    for name in ("a", "b"):
        output = tmp_path / name / "source"
        assert medrov("data", "convert", folder, "-o", output, *options, *ABOUT).exit_code == 0
        runs.append({path.name: path.read_bytes() for path in output.rglob("*") if path.is_file()})
    assert runs[0] == runs[1]
    output = tmp_path / "a" / "source"
    (output / "annotations.json").unlink()
    min((output / "images").iterdir()).unlink()
    again = medrov("data", "convert", folder, "-o", output, *options, *ABOUT, "--resume")
    assert again.exit_code == 0, again.stderr
    assert {path.name: path.read_bytes() for path in output.rglob("*") if path.is_file()} == runs[0]
    other = medrov("data", "convert", folder, "-o", output, *options, *ABOUT, "--resume", "--every", "2")
    assert other.exit_code == 2


def cases_of(folder: Path) -> set[str]:
    return {image["case"] for image in json.loads((folder / "annotations.json").read_text())["images"]}


def test_equal_stems_of_two_sources_are_two_patients(medrov: Any, folder: Path, tmp_path: Path) -> None:
    options = nifti(folder)
    for name, about in (
        ("train", ("--split", "train")),
        ("test", ("--split", "test")),
        ("named", ("--source", "Liver 2017")),
        ("again", ("--source", "Liver 2017")),
    ):
        done = medrov("data", "convert", folder, "-o", tmp_path / name, *options, *ABOUT, *about)
        assert done.exit_code == 0, done.stderr
    cases = {name: cases_of(tmp_path / name) for name in ("train", "test", "named", "again")}
    assert all(len(own) == 1 for own in cases.values())
    assert len(set.union(*cases.values())) == 3
    assert cases["named"] == cases["again"]  # who says that it is one source has one patient
    found = medrov("data", "check", tmp_path / "train", tmp_path / "test", "--json").json["findings"]
    assert "case_in_two_splits" not in [finding["code"] for finding in found]


@pytest.mark.parametrize("form", [dicom_seg, rtstruct, dicom_csv])
def test_a_patient_of_dicom_is_one_in_every_source(
    medrov: Any, folder: Path, tmp_path: Path, form: Any
) -> None:
    options = form(folder)
    for name in ("train", "test"):
        about = (*ABOUT, "--split", name, "--source", name)
        assert medrov("data", "convert", folder, "-o", tmp_path / name, *options, *about).exit_code == 0
    assert cases_of(tmp_path / "train") == cases_of(tmp_path / "test") != {None}
    found = medrov("data", "check", tmp_path / "train", tmp_path / "test", "--json").json["findings"]
    assert "case_in_two_splits" in [finding["code"] for finding in found]


def test_boxes_of_several_readers(medrov: Any, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text(
        "image_id,class_name,rad_id,x_min,y_min,x_max,y_max\n"
        "1.2.3.1,nodule,R1,0,0,4,4\n1.2.3.1,nodule,R2,0,0,4,3\n1.2.3.2,nodule,R1,1,2,3,4\n"
    )
    options = ("--from", "dicom-csv", "--csv", table, *ABOUT, "--json")
    kept = medrov("data", "convert", folder, "-o", tmp_path / "kept", *options)
    assert (kept.exit_code, kept.json["boxes"]) == (0, 3)
    merged = medrov("data", "convert", folder, "-o", tmp_path / "merged", *options, "--readers", "merge")
    assert (merged.exit_code, merged.json["boxes"]) == (0, 2)
    document = json.loads((tmp_path / "merged" / "annotations.json").read_text())
    assert sorted(own["bbox"] for own in document["annotations"]) == [[0, 0, 4, 3.5], [1, 2, 2, 2]]
    # Another choice is another conversion.
    again = medrov(
        "data", "convert", folder, "-o", tmp_path / "kept", *options, "--readers", "merge", "--resume"
    )
    assert again.exit_code == 2


def test_readers_are_refused_where_nobody_says_who_they_are(
    medrov: Any, folder: Path, tmp_path: Path
) -> None:
    for form, said in ((dicom_seg, "--from dicom-csv"), (dicom_csv, "rad_id")):
        options = (*form(folder), *ABOUT, "--readers", "merge")
        done = medrov("data", "convert", folder, "-o", tmp_path / "out", *options)
        assert done.exit_code == 2
        assert "--readers merge" in done.stderr
        assert said in done.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", [nifti, rtstruct])
def test_progress_ends_once(medrov: Any, folder: Path, tmp_path: Path, form: Any) -> None:
    done = medrov("data", "convert", folder, "-o", tmp_path / "out", *form(folder), *ABOUT)
    assert [line.split(" inputs")[0] for line in done.stderr.splitlines()] == ["converting: 1/1"]


def test_what_is_missing_is_told_and_the_rest_written(medrov: Any, folder: Path, tmp_path: Path) -> None:
    off = OUTLINE + np.array([0, 0, 60])
    write_structures(folder / "rs.dcm", [("liver", [contour(OUTLINE), contour(off)])])
    output = tmp_path / "out"
    done = medrov("data", "convert", folder, "-o", output, "--from", "rtstruct", *ABOUT, "--json")
    assert done.exit_code == 3
    assert done.json["images"] == 3
    (failure,) = done.json["failures"]
    assert (failure["path"], failure["error"]["code"]) == ("rs.dcm", "not_found")
    assert "rs.dcm: 1 outline(s)" in done.stderr


def test_a_bad_window_is_refused(medrov: Any, folder: Path, tmp_path: Path) -> None:
    options = (*dicom_seg(folder), "--window", "bright")
    done = medrov("data", "convert", folder, "-o", tmp_path / "out", *options, *ABOUT)
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()
