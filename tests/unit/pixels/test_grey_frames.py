"""Frames that are known to be grey have three equal channels, and the others are not called grey."""

from __future__ import annotations

from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from medrov_cli.core.pixels.read import read_frames

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", ["chest_ct.dcm", "ct_volume.nii.gz"])
def test_scans_are_grey(name: str) -> None:
    for frame in read_frames(str(EXAMPLES / name)):
        assert frame.is_grey
        assert (frame.pixels_rgb == frame.pixels_rgb[:, :, :1]).all()
        assert frame.pixels_rgb.flags.c_contiguous


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_files_of_one_channel_are_grey(tmp_path: Path, suffix: str) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / f"grey.{suffix}"), grey)
    cv2.imwrite(str(tmp_path / f"color.{suffix}"), np.dstack((grey, 255 - grey, grey)))
    (found,) = read_frames(str(tmp_path / f"grey.{suffix}"))
    assert (found.pixels_rgb == found.pixels_rgb[:, :, :1]).all()
    assert found.is_grey or suffix == "bmp"  # OpenCV writes grey BMP files with a palette
    (found,) = read_frames(str(tmp_path / f"color.{suffix}"))
    assert not found.is_grey


def test_volumes_in_colour_are_not_grey(tmp_path: Path) -> None:
    rgb = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    voxels = np.zeros((8, 9, 2), rgb)
    voxels["R"] = np.arange(8, dtype=np.uint8)[:, None, None]
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(tmp_path / "color.nii")
    assert [frame.is_grey for frame in read_frames(str(tmp_path / "color.nii"))] == [False, False]
