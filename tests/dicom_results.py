"""Records of invented detections on DICOM images, the results made of them, and their validation."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_standard_tables import standard_info
from medrov_cli.core.pixels.dicom.header import read_file_header
from medrov_cli.core.settings.choices import Phi
from medrov_cli.core.writers.format_files import find_writer
from medrov_cli.core.writers.protocol import RunFacts, ViewWriter

MODEL = {
    "name": "tiny",
    "sha256": "ab" * 32,
    "vocabulary_sha256": "cd" * 32,
    "text_encoder": "minilm",
    "engine": "onnx",
    "imgsz": 64,
    "scores": "calibrated",
}
NO_WINDOW = {"source": "none", "name": None, "center": None, "width": None}


def detection(name: str, score: float, *box: float, size_mm: list[float] | None = None) -> dict[str, Any]:
    return {"class": name, "score": score, "box_xyxy": list(box), "size_mm": size_mm}


def record_of(path: Path | str, *rows: dict[str, Any], frame: int = 0, **fields: Any) -> dict[str, Any]:
    """Return the record of one frame of a DICOM file."""
    header = read_file_header(str(path))
    uids = {
        key: str(header.get(keyword) or "") or None
        for key, keyword in (
            ("study_uid", "StudyInstanceUID"),
            ("series_uid", "SeriesInstanceUID"),
            ("instance_uid", "SOPInstanceUID"),
        )
    }
    return {
        "schema": "medrov.detect/1",
        "path": str(path),
        "frame": frame,
        "frame_count": int(header.get("NumberOfFrames") or 1),
        "width": int(header.Columns),
        "height": int(header.Rows),
        "modality": "CT",
        "window": NO_WINDOW,
        **uids,
        "detections": list(rows),
        "model": MODEL,
        "elapsed_ms": None,
        "warnings": [],
        **fields,
    }


def write_results(
    folder: Path, records: Sequence[Any], name: str, phi: Phi = Phi.DROP
) -> tuple[list[Dataset], list[tuple[str, str]]]:
    """Write one format; return its objects, ordered by series and number, and what was left out."""
    left_out: list[tuple[str, str]] = []
    writer = find_writer(name)
    assert isinstance(writer, ViewWriter)
    images = [record for record in records if "findings" not in record]
    volumes = [record for record in records if "findings" in record]
    facts = RunFacts((), {}, phi, lambda path, reason: left_out.append((path, reason)), lambda: iter(volumes))
    writer.finish(folder, lambda: iter(images), facts)
    objects = [pydicom.dcmread(path) for path in sorted((folder / name).glob("*.dcm"))]
    return sorted(objects, key=lambda one: (one.SeriesInstanceUID, one.InstanceNumber)), left_out


def validation_errors(paths: Iterable[Path]) -> list[str]:
    """Return the errors of dciodvfy; skip the test where Debian's dicom3tools are not installed."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    found = []
    for path in paths:
        output = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
        assert output.strip(), f"dciodvfy says nothing of {path}"
        lines = output.splitlines()
        found += [f"{path.name}: {line}" for line in lines if line.startswith(("Error", "Abort"))]
    return found


def standard_errors(paths: Iterable[Path]) -> list[str]:
    """Return the errors of dicom-validator, by module and attribute."""
    info = standard_info()
    from dicom_validator.validator.error_handler import ValidationResultHandler
    from dicom_validator.validator.iod_validator import IODValidator

    class Silent(ValidationResultHandler):  # type: ignore[misc]
        """Print nothing."""

        def handle_validation_start(self, result: Any) -> None:
            """Do nothing."""

        def handle_validation_result(self, result: Any) -> None:
            """Do nothing."""

    found = []
    for path in paths:
        result = IODValidator(pydicom.dcmread(path), info, error_handler=Silent()).validate()
        assert result.status.name in ("Passed", "Failed"), f"{path}: {result.status}"
        found += [
            f"{path.name}: {module}: {tag} {error.code.name}"
            for module, errors in result.module_errors.items()
            for tag, error in errors.items()
        ]
    return found
