"""DICOM results of every real DICOM image, checked by dciodvfy and dcentvfy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest

from conftest import SHARED_DATA
from dicom_results import detection, record_of, standard_errors, validation_errors, write_results
from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import MedrovError
from medrov_cli.core.pixels.dicom.header import read_file_header
from medrov_cli.core.pixels.dicom.series import read_place
from medrov_cli.core.writers.dicom.segment_sources import MULTI_FRAME, NO_THICKNESS

pytestmark = pytest.mark.slow

FORMATS = SHARED_DATA / "formats" / "dicom"

if not FORMATS.is_dir():
    pytest.skip("the real images are not here", allow_module_level=True)

MODALITIES = {"CT", "MR", "US", "CR", "NM", "OT"}


def records() -> list[dict[str, Any]]:
    """Return records with two detections in the first frames of each image."""
    found = []
    for path in sorted(FORMATS.glob("*.dcm")):
        try:
            header = read_file_header(str(path))
            width, height = int(header.Columns), int(header.Rows)
        except (MedrovError, AttributeError):
            continue
        if read_place(str(path), InputLimits()).skip_reason:
            continue
        is_grey = header.get("SamplesPerPixel", 1) == 1
        window = {"source": "tag", "name": None, "center": 40.5, "width": 400.0} if is_grey else None
        rows = (
            detection("lung nodule", 0.91234, 1.25, 2.5, width / 2, height / 2, size_mm=[1.2, 3.4]),
            detection("something else", 0.5, 0, 0, width, height),
        )
        fields = {"window": window, "modality": header.get("Modality")}
        frames = range(min(int(header.get("NumberOfFrames") or 1), 2))
        found += [record_of(path, *rows, frame=frame, **fields) for frame in frames]
    return found


def test_validators_find_no_error_in_results_of_real_images(tmp_path: Path) -> None:
    given = records()
    assert {record["modality"] for record in given} >= MODALITIES
    for name in ("sr", "gsps", "seg"):
        objects, left_out = write_results(tmp_path, given, name)
        assert len(objects) >= 20
        assert {reason for _, reason in left_out} <= {
            "its header has no Study Instance UID",
            "its header has no valid Study Instance UID",
            "its header has no valid Series Instance UID",
            "another image of the run has the same SOP Instance UID",
            "its frames differ in their rescale slope or intercept",
            MULTI_FRAME,
            NO_THICKNESS,
        }
    files = sorted(tmp_path.rglob("*.dcm"))
    errors = [line for line in validation_errors(files) if 'Illegal root for UID - "999.' not in line]
    assert errors == []
    assert standard_errors(files) == []
    assert shutil.which("dcentvfy")
    studies: dict[str, list[Path]] = {}
    for path in files:
        studies.setdefault(pydicom.dcmread(path).StudyInstanceUID, []).append(path)
    for own in studies.values():  # one study at a time: some images share the id of a patient, not the name
        done = subprocess.run(["dcentvfy", *own], capture_output=True, text=True, check=False)
        assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")] == []
