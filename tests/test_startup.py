"""The command line is there at once: nothing heavy is imported before a command does its work."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import command_paths

HEAVY = frozenset(
    {"torch", "torchvision", "numpy", "cv2", "ultralytics", "open_clip", "transformers", "pydicom"}
)
FRAMEWORKS = frozenset({"torch", "torchvision", "ultralytics", "open_clip", "transformers", "sklearn"})
EXAMPLES = Path(__file__).parents[1] / "examples"

HELP_RATIO = 3.0
"""Largest processor time of ``medrov --help`` over that of `TINY_PROGRAM`; measured: 1.9. A framework that is
imported by mistake (torch, scipy, pydicom) adds more than the rest."""

TINY_PROGRAM = """
import typer
app = typer.Typer()
@app.command()
def first(count: int = 1) -> None:
    "Do one thing."
@app.command()
def second() -> None:
    "Do another thing."
app()
"""
"""A program of two commands on the same libraries."""
"""From the first issue: ``medrov --help`` takes less, on two cores."""

LOADED_AFTER = """
import json, sys
from medrov_cli import cli
code = cli.run(json.loads(sys.argv[1]))
sys.stderr.write(json.dumps({"code": int(code), "modules": sorted(sys.modules)}))
"""


def loaded_after(*arguments: str) -> set[str]:
    """Run the command line in a process of its own; return the modules that it has imported."""
    command = [sys.executable, "-c", LOADED_AFTER, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    report = json.loads(done.stderr.splitlines()[-1])
    assert report["code"] == 0
    assert done.stdout.strip()
    return set(report["modules"])


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_help_imports_nothing_heavy(path: tuple[str, ...]) -> None:
    assert not loaded_after(*path, "--help") & HEAVY


def test_version_imports_nothing_heavy() -> None:
    assert not loaded_after("--version") & HEAVY


def test_a_command_imports_no_other_command() -> None:
    loaded = {name for name in loaded_after("detect", "--help") if name.startswith("medrov_cli.commands.")}
    shared = ("completion", "detection_views", "signature")
    assert loaded == {f"medrov_cli.commands.{name}" for name in ("detect", *shared)}


def test_the_probe_sees_what_is_imported() -> None:
    assert "numpy" in loaded_after("weights", "list")


@pytest.mark.parametrize(
    "module",
    [
        "datasets.dataset",
        "datasets.sample_images",
        "engines.exported.open_exported",
        "engines.open_engine",
        "metrics.average_precision",
        "metrics.calibration",
        "model.loading",
        "pixels.read",
        "prediction.dataset_model",
        "prediction.ensemble",
        "prediction.predictor",
        "text.embedding",
        "text.encoders",
        "weights.container",
        "weights.resolution",
    ],
)
def test_the_entry_of_a_package_imports_no_framework(module: str) -> None:
    code = (
        f"import sys, medrov_cli.core.{module}; sys.exit(bool({{'torch', 'ultralytics'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("threads", [None, "3"])
@pytest.mark.slow
def test_ultralytics_does_not_take_our_cores_away(threads: str | None) -> None:
    script = "import os, medrov_cli.core.model.blocks; print(os.environ.get('OMP_NUM_THREADS'))"
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    own |= {} if threads is None else {"OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(threads)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [(), ("--classes", "a class that no vocabulary has")])
def test_detect_on_a_cpu_imports_no_framework(
    classes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path))  # neither an embedding nor a compiled model is there
    picture = str(EXAMPLES / "blood_smear.png")
    modules = loaded_after("detect", picture, "--device", "cpu", *classes)
    assert "openvino" in modules
    assert not modules & FRAMEWORKS
    assert not modules & {"nibabel", "pydicom", "scipy.optimize"}, "imported for a picture"
    again = loaded_after("detect", picture, "--device", "cpu", *classes)
    assert not again & (FRAMEWORKS | {"onnx", "tokenizers"}), "what is cached is made again"


def processor_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.slow
def test_help_costs_little_more_than_that_of_a_tiny_program() -> None:
    """Processor time, the best of five in turn: the ratio hardly depends on machine and other work."""
    ours = [sys.executable, "-m", "medrov_cli", "--help"]
    tiny = [sys.executable, "-c", TINY_PROGRAM, "--help"]
    pairs = [(processor_seconds(ours), processor_seconds(tiny)) for _ in range(5)]
    own, peer = map(min, zip(*pairs, strict=True))
    assert own < HELP_RATIO * peer
