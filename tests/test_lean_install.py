"""The lean installation: refusals, ``doctor`` and ``weights prepare``, with torch hidden."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from conftest import Medrov
from lean_runs import EXAMPLES, REFUSED, check_refusal, files_below

ABSENT = (
    "torch",
    "torchvision",
    "ultralytics",
    "accelerate",
    "open_clip",
    "transformers",
    "sklearn",
)


@pytest.mark.parametrize("name", REFUSED)
def test_command_without_its_packages_is_refused(
    name: str, medrov: Medrov, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ABSENT:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "polyp.png", "image.png")
    check_refusal(medrov(*REFUSED[name], "--json"))
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_refusal_names_only_missing_packages(medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    error = medrov(*REFUSED["train"], "--json").json["error"]
    assert error["message"] == "medrov train needs accelerate, which is not installed"
    assert re.fullmatch(r'Run: pip install "accelerate>=[\d.]+"', error["hint"])


def test_doctor_without_torch_says_lean(medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ABSENT:
        monkeypatch.setitem(sys.modules, module, None)
    done = medrov("doctor")
    assert done.exit_code == 0, done.stdout
    assert "lean install: detect, eval" in done.stdout.replace("\n", " ")
    assert "medrov detect works here." in done.stdout


def test_doctor_without_any_engine_fails(medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("torch", "openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    done = medrov("doctor", "--json")
    assert (done.exit_code, done.json["works"]) == (1, False)
    assert done.json["installation"]["kind"] == "lean"
    engines = {check["name"]: check["needed"] for check in done.json["engines"]}
    assert engines == {"openvino": False, "onnx": True, "torch": False}


@pytest.mark.slow
def test_prepared_cache_is_complete(medrov: Medrov, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run after ``weights prepare`` writes nothing to the cache, also with the requested class."""
    monkeypatch.setattr("medrov_cli.core.base.files._SETTLED_NS", 0)
    image = str(EXAMPLES / "polyp.png")
    done = medrov(
        *("weights", "prepare", "--cache", tmp_path / "cache", "--imgsz", 64, "--cores", "1,3", "--json"),
        *("--classes", "an unheard class"),
    )
    assert done.exit_code == 0, done.stderr
    made = done.json
    assert (made["schema"], made["cores"]) == ("medrov.weights.prepare/1", [1, 3])
    assert made["compiled"] == 6, "for each number of cores 64 x 64, 32 x 64 and 64 x 32 pixels"
    assert made["imgsz"] == 64
    before = files_below(tmp_path / "cache")
    assert sum(len(content) for content in before.values()) == made["bytes"]
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "cache"))
    for cores in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        run = medrov("detect", image, "--imgsz", 64, "--classes", "an unheard class", "--json")
        assert run.exit_code == 0
    assert files_below(tmp_path / "cache") == before
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    medrov("detect", image, "--imgsz", 64, "--json")
    assert len(files_below(tmp_path / "cache")) == len(before) + 1, "the test does not see new files"


def test_prepare_refuses_a_folder_that_cannot_be_written(medrov: Medrov, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = medrov("weights", "prepare", "--cache", tmp_path / "file" / "cache", "--json")
    assert (done.exit_code, done.json["error"]["code"]) == (1, "output_failed")


@pytest.mark.parametrize("cores", ["0", "2,x", "", ",".join(map(str, range(1, 66)))])
def test_prepare_refuses_wrong_cores(medrov: Medrov, tmp_path: Path, cores: str) -> None:
    done = medrov("weights", "prepare", "--cache", tmp_path, "--cores", cores, "--json")
    assert done.exit_code == 2
    assert "--cores" in done.json["error"]["message"]
