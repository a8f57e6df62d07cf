"""Presentation states rendered by DCMTK and pydicom: grey levels equal those that the detector saw."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_voi_lut

from dicom_results import detection, record_of, write_results
from image_files import item, write_dicom
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.settings.io_groups import ReadSettings
from medrov_cli.core.settings.window import parse_window

UIDS = {"SOPInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
RAMP = np.linspace(0, 2000, 48 * 64).reshape(48, 64).astype(np.uint16)


@pytest.mark.skipif(shutil.which("dcmp2pgm") is None, reason="DCMTK (dcmp2pgm) is not installed")
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dcmtk_renders_the_grey_levels_of_the_record(photometric: str, tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "ramp.dcm",
        RAMP,
        Modality="CT",
        PhotometricInterpretation=photometric,
        **UIDS,
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


def voi_table(scale: float) -> Dataset:
    found = Dataset()
    found.add_new("LUTDescriptor", "US", [2001, 0, 12])
    found.add_new("LUTData", "US", (np.arange(2001) * scale).clip(0, 4095).astype(int).tolist())
    return found


WINDOW = {"WindowCenter": 900, "WindowWidth": 700}
SIGMOID = item(**WINDOW, VOILUTFunction="SIGMOID")
SMALL = {"Modality": "MR", "RescaleIntercept": 0, "RescaleSlope": 1e-6}
DIGITAL = {"Modality": "DX"}


@pytest.mark.parametrize(
    ("window", "attributes"),
    [
        ("auto", {"Modality": "MR", "RescaleIntercept": 0, "RescaleSlope": 0.001}),
        ("auto", SMALL),
        ("0.0005,0.001", SMALL),
        ("tag:1", WINDOW | DIGITAL),
        ("tag:1", WINDOW | DIGITAL | {"VOILUTFunction": "LINEAR_EXACT"}),
        ("tag:1", DIGITAL | {"SharedFunctionalGroupsSequence": [item(FrameVOILUTSequence=[SIGMOID])]}),
        ("tag:2", DIGITAL | {"VOILUTSequence": [voi_table(0.3), voi_table(1.7)]}),
        (
            "tag:2",
            DIGITAL
            | {
                "PerFrameFunctionalGroupsSequence": [
                    item(FrameVOILUTSequence=[item(VOILUTSequence=[voi_table(0.3), voi_table(1.7)])])
                ]
            },
        ),
    ],
)
def test_state_has_the_window_that_converted_the_image(
    window: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    path = write_dicom(tmp_path / "ramp.dcm", RAMP, **UIDS, **attributes)
    (frame,) = read_frames(path, ReadSettings(window=parse_window(window)))
    assert frame.window is not None
    record = record_of(path, detection("lung nodule", 0.9, 1, 1, 9, 9), window=frame.window.as_dict())
    (state,), _ = write_results(tmp_path, [record], "gsps")
    (voi,) = state.SoftcopyVOILUTSequence
    slope = float(attributes.get("RescaleSlope", 1))
    voi.BitsStored, voi.PixelRepresentation, voi.PhotometricInterpretation = 16, 0, "MONOCHROME2"
    voi.RescaleSlope, voi.RescaleIntercept = slope, 0
    is_table = "VOILUTSequence" in voi
    white = 4095 if is_table else 65535 * slope
    shown = apply_voi_lut(RAMP if is_table else RAMP * slope, voi) / white * 255
    assert len(np.unique(frame.pixels_rgb)) > 100
    assert np.abs(shown - frame.pixels_rgb[:, :, 0]).max() <= 1


def test_empty_window_is_not_written(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "flat.dcm", np.full((48, 64), 7, np.uint16), Modality="MR", **UIDS)
    (frame,) = read_frames(path)
    assert frame.window is not None
    assert frame.window.width == 0
    record = record_of(path, detection("lung nodule", 0.9, 1, 1, 9, 9), window=frame.window.as_dict())
    (state,), _ = write_results(tmp_path, [record], "gsps")
    assert "SoftcopyVOILUTSequence" not in state
