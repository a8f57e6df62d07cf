"""The check of a GPU: it runs on few packages, and its tables contain what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import gpu_check

ROOT = Path(__file__).parents[2]

WITH_FEW_PACKAGES = """
import sys

for name in (
    "accelerate", "imagecodecs", "jinja2", "nibabel", "onnx", "onnxruntime", "openvino", "pydicom",
    "pylibjpeg", "rich", "tifffile", "tokenizers", "typer", "zxingcpp",
):
    sys.modules[name] = None  # an import fails as without the package

import gpu_check

sys.exit(gpu_check.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_it_runs_without_the_other_packages_and_writes_both_files(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        WITH_FEW_PACKAGES,
        "--device",
        "cpu",
        "--tiny",
        "--output",
        str(tmp_path),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT / "benchmarks", timeout=600
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "gpu_check.json").read_text())
    assert document["parity"]["is_equal"]
    assert {row["batch"] for row in document["speed"]} == {1, 2}
    assert [row["classes"] for row in document["speed"]][-1] == 1000
    assert all(row["call_images_per_s"] > 0 for row in document["speed"])
    assert document["training"]["images_per_s"] > 0
    table = (tmp_path / "gpu_check.md").read_text()
    assert table == done.stdout.rstrip("\n") + "\n"
    assert table.count("| n | bf16 |") == 3


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu_check.main([]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_operations_of_a_convolution_are_counted_twice_per_weight() -> None:
    """A row of the arithmetic: at a quarter of the pixels it is a quarter."""
    small, large = (gpu_check.arithmetic(size, ("n",))[0] for size in (320, 640))
    assert large["gflop"] == pytest.approx(4 * small["gflop"], rel=0.02)
    assert large["H100 SXM fp16"] == pytest.approx(4 * small["H100 SXM fp16"], rel=0.1)
