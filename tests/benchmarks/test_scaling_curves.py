"""``benchmarks/scaling_curves.py``: a table and a picture for each curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scaling_curves
from benchmark_documents import QUICK, measured, sections


@pytest.mark.slow
def test_curves(script: Any, weights: Path, images: Path, tmp_path: Path) -> None:
    options = ("--output", tmp_path / "curves", "--engine", "onnx", *QUICK[:-1], 1)
    document = measured(script(scaling_curves, images, "-w", weights, *options, "--json"))
    assert sections(document) == {"scaling"}
    values = {axis: [point["value"] for point in points] for axis, points in document["scaling"].items()}
    assert values["classes"] == [1, 10, 100, 1000, 2000]
    assert values["imgsz"] == [224, 320, 416, 512, 640]
    assert values["batch"] == [1, 2, 4, 8, 16]
    for axis in values:
        assert (tmp_path / "curves" / f"{axis}.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_of_curves_is_no_file(script: Any, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = script(scaling_curves, "-w", weights, "--output", tmp_path / "file")
    assert done.exit_code == 2
    assert "--output" in done.stderr
