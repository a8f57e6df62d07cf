"""Presentation states rendered by DCMTK: grey levels equal those that the detector saw."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_results import detection, record_of, write_results
from image_files import write_dicom
from medrov_cli.core.pixels.read import read_frames

pytestmark = pytest.mark.skipif(shutil.which("dcmp2pgm") is None, reason="DCMTK (dcmp2pgm) is not installed")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dcmtk_renders_the_grey_levels_of_the_record(photometric: str, tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "ramp.dcm",
        np.linspace(0, 2000, 48 * 64).reshape(48, 64).astype(np.uint16),
        Modality="CT",
        PhotometricInterpretation=photometric,
        SOPInstanceUID="1.2.3.1",
        SeriesInstanceUID="1.2.3",
        StudyInstanceUID="1.2",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=40,
        WindowWidth=400,
    )
    (frame,) = read_frames(path)
    assert frame.window is not None
    record = record_of(path, detection("lung nodule", 0.9, 1, 1, 9, 9), window=frame.window.as_dict())
    write_results(tmp_path, [record], "gsps")
    (state,) = (tmp_path / "gsps").iterdir()
    subprocess.run(["dcmp2pgm", "-p", state, path, tmp_path / "out.pgm"], check=True)
    rendered = np.asarray(Image.open(tmp_path / "out.pgm")).astype(int)
    assert rendered.shape == (48, 64)
    assert len(np.unique(rendered)) > 200
    assert np.abs(rendered - frame.pixels_rgb[:, :, 0]).max() <= 1
    checked = subprocess.run(["dcmpschk", state], capture_output=True, text=True, check=True)
    assert "Test passed" in checked.stdout + checked.stderr
