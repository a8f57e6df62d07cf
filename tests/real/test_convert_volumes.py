"""Real volumes and a real segmentation through ``medrov data convert``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pydicom
import pytest

from image_files import read_all, write_dicom

pytestmark = pytest.mark.slow

CLASSES = ("kidney_left", "liver", "pancreas", "vertebrae_L1")
ABOUT = ("--modality", "ct", "--licence", "see the source", "--json")


def boxes_by_image(output: Path) -> dict[str, list[tuple[Any, ...]]]:
    document = json.loads((output / "annotations.json").read_text(encoding="utf-8"))
    names = {item["id"]: item["name"] for item in document["categories"]}
    found = {item["id"]: (item["file_name"], []) for item in document["images"]}
    for own in document["annotations"]:
        found[own["image_id"]][1].append((names[own["category_id"]], *own["bbox"], own["area"]))
    return dict(found.values())


@pytest.mark.parametrize("axis", ["axial", "coronal"])
def test_organs_of_a_ct(medrov: Any, shared_data: Path, tmp_path: Path, axis: str) -> None:
    """Against nibabel's own reorientation, and against the frames of ``detect``."""
    source = shared_data / "formats" / "nifti" / "totalsegmentator"
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "example_ct.nii.gz").symlink_to(source / "example_ct_sm.nii.gz")  # what the labels were made on
    for name in CLASSES:
        (folder / f"example_ct_seg_{name}.nii.gz").symlink_to(source / f"example_ct_seg_{name}.nii.gz")
    options = ("--axis", axis, "--window", "soft", "--no-components", *ABOUT)
    done = medrov("data", "convert", folder, "--from", "nifti", "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.stderr
    assert tuple(done.json["classes"]) == CLASSES
    assert min(done.json["classes"].values()) > 3
    frames = read_all(folder / "example_ct.nii.gz", "soft", axis=axis)
    found = boxes_by_image(tmp_path / "out")
    assert len(found) == len(frames)
    for (name, _), frame in list(zip(found.items(), frames, strict=True))[::20]:
        written = cv2.imread(str(tmp_path / "out" / "images" / name), cv2.IMREAD_GRAYSCALE)
        assert (written == frame.pixels_rgb[..., 0]).all()
    for class_name in CLASSES:
        canonical = nib.as_closest_canonical(nib.load(folder / f"example_ct_seg_{class_name}.nii.gz"))
        ras = np.asarray(canonical.dataobj) != 0
        shown = (
            ras[::-1, ::-1].transpose(2, 1, 0) if axis == "axial" else ras[::-1, :, ::-1].transpose(1, 2, 0)
        )
        for plane, boxes in zip(shown, found.values(), strict=True):
            expected = []
            if plane.any():
                rows, columns = np.nonzero(plane)
                left, top = int(columns.min()), int(rows.min())
                size = (int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
                expected = [(class_name, left, top, *size, int(plane.sum()))]
            assert [own for own in boxes if own[0] == class_name] == expected


def test_a_liver_segmentation_of_another_program(medrov: Any, shared_data: Path, tmp_path: Path) -> None:
    """Written by DCMTK; the images that it names are not public, so empty ones take their place."""
    path = shared_data / "formats" / "dicom" / "liver.dcm"
    segmentation = pydicom.dcmread(path)
    masks = segmentation.pixel_array
    assert masks.shape == (3, 512, 512)
    (tmp_path / "ct").mkdir()
    series = segmentation.ReferencedSeriesSequence[0]
    names = [
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for group in segmentation.PerFrameFunctionalGroupsSequence
    ]
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    for number, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence):
        write_dicom(
            tmp_path / "ct" / f"{number}.dcm",
            np.full((512, 512), number, np.int16),
            Modality="CT",
            SOPInstanceUID=names[number],
            SeriesInstanceUID=series.SeriesInstanceUID,
            ImagePositionPatient=list(group.PlanePositionSequence[0].ImagePositionPatient),
            ImageOrientationPatient=list(shared.PlaneOrientationSequence[0].ImageOrientationPatient),
            PixelSpacing=list(shared.PixelMeasuresSequence[0].PixelSpacing),
        )
    options = ("--images", tmp_path / "ct", "--no-components", *ABOUT)
    done = medrov("data", "convert", path, "--from", "dicom-seg", "-o", tmp_path / "out", *options)
    assert done.exit_code == 0, done.stderr
    expected = []
    for mask in masks:
        rows, columns = np.nonzero(mask)
        left, top = int(columns.min()), int(rows.min())
        size = (int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)
        expected.append([("Liver", left, top, *size, int(mask.sum()))])
    assert list(boxes_by_image(tmp_path / "out").values()) == expected
