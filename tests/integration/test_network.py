"""No command asks or reaches another machine, and none writes a file outside its output and cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from detect_fixtures import write_eager_detector, write_images
from network_witness import WATCHED
from open_clip_models import write_clip
from training_data import make_source

NAMESPACES = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
CLASSES = ("--classes", "red blood cell")


def _can_isolate() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = [*NAMESPACES, "mount", "--bind", "/etc/resolv.conf", "/etc/resolv.conf"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def witnessed(folder: Path, *commands: list[str]) -> list[dict[str, Any]]:
    """Run commands in a network of their own; return code, stderr, access and stray files of each."""
    witness = [sys.executable, str(ROOT / "tests" / "network_witness.py"), str(folder), json.dumps(commands)]
    environment = {
        **os.environ,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "MEDROV_CACHE": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "HF_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    for name in ("home", "temporary", "work"):
        (folder / name).mkdir()
    done = subprocess.run(
        [*NAMESPACES, *witness],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=folder / "work",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: list[dict[str, Any]] = json.loads(done.stdout)
    return report


def medrov(*arguments: object) -> list[str]:
    return [sys.executable, "-c", WATCHED, *map(str, arguments)]


def narrow(*arguments: object) -> list[str]:
    """Return a command with narrow networks."""
    return ["env", "WITNESS_NARROW=1", *medrov(*arguments)]


def _train(folder: Path, tracker: str) -> list[str]:
    quick = ("--imgsz", 64, "--epochs", 1, "--batch", 4, "--workers", 0, "--precision", "fp32")
    own = ("--optimizer", "adamw", "--offline", "--log-to", tracker, "--output", folder / f"run-{tracker}")
    return narrow("train", folder / "data.yaml", *quick, "--device", "cpu", *own)


def _detect(folder: Path, *arguments: object) -> list[str]:
    options = () if "--weights" in arguments else ("--weights", folder / "eager.safetensors")
    return medrov("detect", folder / "images", *options, *arguments)


Commands = Callable[[Path], list[tuple[int, list[str]]]]
"""Expected exit codes and commands for a folder with weights, images, a dataset and an open_clip model."""

COMMANDS: dict[str, Commands] = {
    "onnxruntime": lambda here: [
        (0, _detect(here, "--engine", "onnx")),
        (0, _export(here, "onnx", here / "model.onnx")),
        (0, _detect(here, "--weights", here / "model.onnx")),
    ],
    "openvino": lambda here: [
        (0, _detect(here, "--engine", "openvino", "--format", "json,csv,coco,yolo,png", "-o", here / "out")),
    ],
    # Random weights lose too much in int8: the export is refused after the quantisation.
    "nncf": lambda here: [(1, _export(here, "openvino", here / "int8", "--precision", "int8"))],
    "torch": lambda here: [(0, _detect(here, "--engine", "torch"))],
    "ultralytics": lambda here: [(0, _detect(here, "--engine", "torch", *CLASSES))],
    "open_clip": lambda here: [
        (0, _detect(here, *CLASSES, "--text-encoder", f"local-dir:{here / 'clip'}")),
    ],
    "huggingface_hub": lambda here: [
        (5, _detect(here, *CLASSES, "--offline", "--text-encoder", "hf-hub:nobody/nothing")),
    ],
    "matplotlib": lambda here: [
        (0, medrov("eval", here / "data.yaml", "-w", here / "eager.safetensors", "-o", here / "evaluation")),
    ],
    "tensorboard": lambda here: [(0, _train(here, "tensorboard"))],
    "mlflow": lambda here: [(0, _train(here, "mlflow"))],
    "wandb": lambda here: [(0, _train(here, "wandb"))],
    "medrov": lambda here: [(0, medrov("doctor")), (0, medrov("weights", "list"))],
}
"""Commands that load each library."""


def _export(folder: Path, to: str, output: Path, *options: object) -> list[str]:
    weights = ("--weights", folder / "eager.safetensors", "--imgsz", 64)
    return medrov("export", "--to", to, *weights, "--output", output, *options)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Return expected code and report of each command, by library; one network for all."""
    if not _can_isolate():
        pytest.skip("namespaces of users, networks and mounts are not allowed")
    here = tmp_path_factory.mktemp("witness")
    write_eager_detector(here / "eager.safetensors")
    write_images(here / "images", 2)
    make_source(here, "smear", "microscopy", ["red blood cell"])
    (here / "data.yaml").write_text("sources: [smear]\n")
    (here / "clip").mkdir()
    write_clip(here / "clip")
    lookup = "import ctypes; ctypes.CDLL(None).gethostbyname(b'native.example.org')"
    stray = "from pathlib import Path; (Path.home() / 'stray').touch()"
    chosen = {name: make(here) for name, make in COMMANDS.items() if name == "medrov" or find_spec(name)}
    flat = [command for commands in chosen.values() for _, command in commands]
    control, *found = witnessed(here, [sys.executable, "-c", f"{lookup}; {stray}"], *flat)
    assert "native.example.org" in control["seen"], "the witness must see native look-ups"
    assert control["strays"] == [str(here / "home" / "stray")], "the witness must see stray files"
    rest = iter(found)
    return {name: [(code, next(rest)) for code, _ in commands] for name, commands in chosen.items()}


@pytest.mark.slow
@pytest.mark.parametrize("library", COMMANDS)
def test_no_command_of_a_library_asks_connects_or_writes_elsewhere(
    library: str, reports: dict[str, list[tuple[int, dict[str, Any]]]]
) -> None:
    if library not in reports:
        pytest.skip(f"{library} is not installed")
    for code, report in reports[library]:
        assert report["code"] == code, report["stderr"]
        assert (report["seen"], report["strays"]) == ([], [])
