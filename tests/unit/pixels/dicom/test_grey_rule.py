"""The grey range of `auto`: the same for DICOM and NIfTI, and for all slices of a series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from image_files import grey, read_all, read_one, write_dicom
from medrov_cli.core.pixels.inputs import expand_inputs
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.frame import Frame

RNG = np.random.default_rng(3)


def phantom(air: bool) -> np.ndarray[Any, Any]:
    """Return HU of soft tissue with bone, in air or filling the image."""
    y, x = np.mgrid[:64, :64] - 31.5
    hu = np.full((64, 64), -1000.0 if air else 30.0)
    hu[x**2 + y**2 < 28**2] = 40
    hu[x**2 + y**2 < 6**2] = 700
    return (hu + RNG.integers(-15, 15, hu.shape)).astype(np.int16)


def spiked() -> np.ndarray[Any, Any]:
    """Return a magnetic resonance slice with one value far above the others."""
    pixels = RNG.integers(0, 600, (64, 64)).astype(np.int16)
    pixels[3, 3] = 32000
    return pixels


def nifti(path: Path, planes: np.ndarray[Any, Any]) -> Path:
    """Write (slices, rows, columns) so that axial slices are displayed as they are."""
    nibabel.Nifti1Image(np.transpose(planes, (2, 1, 0)), np.diag([-1.0, -1.0, 1.0, 1.0])).to_filename(path)
    return path


HU = {"RescaleSlope": 1, "RescaleIntercept": 0}
LUNG = {"WindowCenter": -600, "WindowWidth": 1500}


@pytest.mark.parametrize(
    ("pixels", "modality", "attributes"),
    [
        pytest.param(phantom(air=True), "CT", {**HU, **LUNG}, id="a window in the header"),
        pytest.param(phantom(air=True), "CT", HU, id="HU"),
        pytest.param(phantom(air=True), "CT", {}, id="no rescale"),
        pytest.param(phantom(air=True), "CT", {**HU, "RescaleType": "US"}, id="no unit"),
        pytest.param(phantom(air=False), "CT", HU, id="no air"),
        pytest.param(phantom(air=False), "CT", LUNG, id="no air, no rescale"),
        pytest.param(spiked(), "MR", {}, id="a spike"),
        pytest.param(spiked(), "MR", LUNG, id="a window of MR"),
        pytest.param(spiked(), "PT", {"RescaleSlope": 0.5, "RescaleIntercept": 0}, id="PET"),
    ],
)
def test_the_picture_does_not_depend_on_the_container(
    tmp_path: Path, pixels: np.ndarray[Any, Any], modality: str, attributes: dict[str, Any]
) -> None:
    dicom = read_one(write_dicom(tmp_path / "a.dcm", pixels, Modality=modality, **attributes))
    volume = read_one(nifti(tmp_path / "a.nii", pixels[None]))
    difference = np.abs(dicom.pixels_rgb.astype(int) - volume.pixels_rgb)
    assert difference.max() <= 1
    assert int(np.ptp(dicom.pixels_rgb)) > 100


def test_the_window_of_a_radiograph_counts(tmp_path: Path) -> None:
    pixels = np.array([[0, 50, 100]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, Modality="DX", WindowCenter=50, WindowWidth=101)
    assert grey(read_one(path)) == [[1, 129, 255]]  # ((x - 49.5) / 100 + 0.5) * 255


def series(folder: Path, slopes: list[float], modality: str) -> list[Frame]:
    """Write and read a folder of slices, 0 to 1000 each before the rescale."""
    folder.mkdir()
    pixels = np.linspace(0, 1000, 64 * 64).reshape(64, 64).astype(np.uint16)
    for number, slope in enumerate(slopes):
        write_dicom(
            folder / f"{number}.dcm",
            pixels,
            Modality=modality,
            SOPInstanceUID=f"1.2.{number + 1}",
            SeriesInstanceUID="1.2.3",
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, number],
            RescaleSlope=slope,
            RescaleIntercept=0,
        )
    return [
        frame
        for found in expand_inputs([str(folder)])
        for frame in read_frames(found.path, series=found.series)
    ]


@pytest.mark.parametrize("modality", ["PT", "MR", "NM"])
def test_slices_of_a_series_have_one_range(tmp_path: Path, modality: str) -> None:
    first, second = series(tmp_path / "a", [1, 0.1], modality)
    assert first.window == second.window
    assert grey(first)[-1][-1] == 255
    assert grey(second)[-1][-1] == pytest.approx(26, abs=1)  # 100 of 1000


def test_a_long_series_has_one_range_by_a_sample(tmp_path: Path) -> None:
    frames = series(tmp_path / "a", [1.0] * 30, "MR")
    assert len({frame.window for frame in frames}) == 1
    assert len(frames) == 30


def test_radiographs_of_a_series_have_ranges_of_their_own(tmp_path: Path) -> None:
    first, second = series(tmp_path / "a", [1, 0.1], "DX")
    assert grey(first) == grey(second)


def test_frames_of_a_file_have_one_range(tmp_path: Path) -> None:
    pixels = np.stack([np.linspace(0, top, 400).reshape(20, 20) for top in (1000, 100)]).astype(np.uint16)
    first, second = read_all(write_dicom(tmp_path / "a.dcm", pixels, Modality="MR"))
    assert first.window == second.window
    assert grey(second)[-1][-1] == pytest.approx(26, abs=1)
