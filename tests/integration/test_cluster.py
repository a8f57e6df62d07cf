"""``--on ray``: the bytes of one machine, whatever dies: a worker, a node, the driver."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from conftest import ROOT
from detect_fixtures import folder_bytes, noise_image, write_eager_detector, write_images
from dicom_objects import write_series
from training_data import make_source

pytest.importorskip("ray", reason="Ray is not installed (pip install medrov[cluster])")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc"),
]

IMAGES = 2000
"""Images of the test of losses."""
DATASET_IMAGES = 100
"""Images of each split of each source of the dataset."""
NODES = 3
LIMIT_S = 600
Command = Callable[[str], str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    write_eager_detector(folder / "eager.safetensors")
    write_images(folder / "in", IMAGES)
    (folder / "in" / "150.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    pages = np.stack([noise_image(number) for number in range(7)])
    tifffile.imwrite(folder / "in" / "010_pages.tif", pages, photometric="rgb")
    write_series(folder / "in" / "series", 5)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, Command]]:
    """Start a cluster of three nodes; yield its address and a function that gives it a command."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "ray_nodes.py"), str(NODES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def tell(command: str) -> str:
        stdin.write(f"{command}\n")
        stdin.flush()
        return stdout.readline().strip()

    address = stdout.readline().strip()
    try:
        if not address:
            pytest.skip("a Ray cluster cannot be started here")
        yield address, tell
    finally:
        stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        stdout.close()


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}


def start(place: Path, *arguments: object, inputs: str = "in") -> subprocess.Popen[str]:
    options = ("--imgsz", 64, "--max-det", 4, "--device", "cpu", "--format", "csv,coco,png")
    return run(place, "detect", inputs, "-w", "eager.safetensors", *options, *arguments)


def run(place: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "medrov_cli", *map(str, arguments)],
        cwd=place,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, stderr = process.communicate(timeout=LIMIT_S)
    return process.returncode, stderr


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, bytes]:
    """Return the folder of one machine."""
    code, stderr = finish(start(place, "--output", "one"))
    assert code == 3, stderr
    return folder_bytes(place / "one")


def wait_for(journal: Path, size_bytes: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + LIMIT_S
    while not (journal.exists() and journal.stat().st_size >= size_bytes):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < until
        time.sleep(0.02)


def test_killed_workers_nodes_and_drivers_change_no_byte(
    place: Path, cluster: tuple[str, Command], expected: dict[str, bytes]
) -> None:
    address, tell = cluster
    on = ("--on", f"ray://{address}", "--output", "many", "--resume")
    journal = place / "many" / ".detections.jsonl.partial"
    total = len(expected["detections.jsonl"])

    driver = start(place, *on)
    wait_for(journal, 1, driver)
    assert tell("kill worker") == "killed"
    wait_for(journal, total // 3, driver)
    assert tell("kill node") == "killed"
    wait_for(journal, total // 2, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    written = journal.stat().st_size
    assert total // 2 <= written < total

    code, stderr = finish(start(place, *on))
    assert code == 3, stderr
    assert "worker(s)" in stderr
    assert folder_bytes(place / "many") == expected


DATASET_COMMANDS = {
    "eval": (
        ("--split", "val", "--conf", 0.2, "--synonyms", "--bootstrap", 0, "--imgsz", 160),
        ".predictions.jsonl.partial",
        0,
    ),
    "pseudolabel": (
        ("--score", 0.1, "--flip", "--imgsz", 160, "--splits", "train,val"),
        ".proposals.jsonl.partial",
        3,
    ),
}
"""Options of each command, its journal, and its exit code."""


@pytest.fixture(scope="module")
def dataset(place: Path) -> str:
    """Write a dataset with two sources, one image of which cannot be read; return the name of its yaml."""
    counts = {"train": DATASET_IMAGES, "val": DATASET_IMAGES, "test": 1}
    make_source(place / "data", "smear", "microscopy", ["polyp"], counts)
    make_source(place / "data", "slides", "histopathology", ["red blood cell", "lung nodule"], counts)
    (place / "data" / "smear" / "images" / "20.png").write_bytes(b"no image")
    (place / "data.yaml").write_text(
        "name: toy\nroot: data\nsources: [smear, slides]\nclasses: {polyp: bump}\npresence: presence.csv\n"
    )
    (place / "presence.csv").write_text(
        "dataset,polyp,lung nodule,red blood cell\nsmear,1,0,0\nslides,-1,1,1\n"
    )
    return "data.yaml"


@pytest.mark.parametrize("command", DATASET_COMMANDS)
def test_searches_of_datasets_survive_workers_and_drivers(
    place: Path, cluster: tuple[str, Command], dataset: str, command: str
) -> None:
    options, journal_name, code = DATASET_COMMANDS[command]
    settings = (command, dataset, "-w", "eager.safetensors", "--device", "cpu", *options)
    address, tell = cluster
    assert finish(run(place, *settings, "--output", f"{command} one"))[0] == code
    expected = folder_bytes(place / f"{command} one")

    on = ("--on", f"ray://{address}", "--output", f"{command} many", "--resume")
    journal = place / f"{command} many" / journal_name
    total = len(expected[journal_name.removeprefix(".").removesuffix(".partial")])
    driver = run(place, *settings, *on)
    wait_for(journal, 1, driver)
    assert tell("kill worker") == "killed"
    wait_for(journal, total // 4, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert journal.is_file(), "it was killed before its end"

    ended, stderr = finish(run(place, *settings, *on))
    assert ended == code, stderr
    assert "worker(s)" in stderr
    assert folder_bytes(place / f"{command} many") == expected


def test_batches_are_those_of_one_machine(place: Path, cluster: tuple[str, Command]) -> None:
    (place / "few").mkdir()
    for name in ("149.png", "150.png", "151.png", "010_pages.tif"):
        (place / "few" / name).write_bytes((place / "in" / name).read_bytes())
    options = ("--engine", "onnx", "--batch", 4)
    on = ("--on", f"ray://{cluster[0]}", "--workers", 1)
    for output, more in (("few one", ()), ("few many", on)):
        code, stderr = finish(start(place, "--output", output, *options, *more, inputs="few"))
        assert code == 3, stderr
    assert folder_bytes(place / "few many") == folder_bytes(place / "few one")


def test_a_worker_that_fits_on_no_node_is_refused(place: Path, cluster: tuple[str, Command]) -> None:
    code, stderr = finish(
        start(place, "--output", "none", "--on", f"ray://{cluster[0]}", "--worker-cpus", 64)
    )
    assert code == 2
    assert "no node has 64 CPU(s) and 0 GPU(s) for a worker" in " ".join(stderr.split())
    assert not (place / "none").exists()
