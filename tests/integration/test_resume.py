"""A run that is killed at any moment and resumed leaves the bytes of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from changed_settings import with_changes
from conftest import ROOT
from detect_fixtures import folder_bytes, noise_image, write_eager_detector, write_images
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.detection.run import run_detection
from medrov_cli.core.settings.choices import OUTPUT_FORMATS
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.groups import RuntimeSettings, SelectionSettings
from medrov_cli.core.settings.io_groups import OutputSettings
from medrov_cli.core.settings.values import Shard

KILLS = 3
IMAGES = 500
PARTIAL = ".detections.jsonl.partial"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


def start(arguments: Sequence[object], cwd: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-P",
        str(ROOT / "tests" / "offline_medrov.py"),
        "detect",
        *map(str, arguments),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=quiet, stderr=quiet)


def kill_when_written(process: subprocess.Popen[bytes], journal: Path, size_bytes: int) -> int:
    """Kill a run as soon as its journal has a size; return how large it was then."""
    while process.poll() is None:
        if journal.exists() and journal.stat().st_size >= size_bytes:
            break
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(signal.SIGKILL)
    process.wait()
    return journal.stat().st_size if journal.exists() else 0


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_gives_the_same_bytes(tmp_path: Path, weights: Path) -> None:
    write_images(tmp_path / "images", IMAGES)
    (tmp_path / "images" / "250.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    arguments = ["images", "-w", weights, "--imgsz", 64, "--max-det", 5, "--format", "png,csv,coco", "-o"]
    assert start([*arguments, "undisturbed"], tmp_path).wait() == 3
    expected = folder_bytes(tmp_path / "undisturbed")
    assert len(expected) == IMAGES - 1 + 5
    total = len(expected["detections.jsonl"])

    journal = tmp_path / "killed" / PARTIAL
    rng = random.Random(20)
    sizes = [0]
    for number in range(KILLS):
        target = rng.randint(total * number // KILLS + 1, total * (number + 1) // KILLS - total // 20)
        process = start([*arguments, "killed", "--resume"], tmp_path)
        sizes.append(kill_when_written(process, journal, target))
        assert sizes[-2] < sizes[-1] < total
        assert not (tmp_path / "killed" / "detections.jsonl").exists()
    assert start([*arguments, "killed", "--resume"], tmp_path).wait() == 3
    assert folder_bytes(tmp_path / "killed") == expected


@pytest.fixture
def mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make inputs of every kind: single images, pages, and one that fails; work in their folder."""
    write_images(tmp_path / "in", 3)
    pages = np.stack([noise_image(number) for number in range(10, 17)])
    tifffile.imwrite(tmp_path / "in" / "000_pages.tif", pages, photometric="rgb")
    (tmp_path / "in" / "001_broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "in" / "zzz_broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_for(weights: Path, output: str, **changes: Any) -> DetectSettings:
    config = DetectSettings(
        inputs=("in",),
        weights=str(weights),
        selection=SelectionSettings(max_det=3),
        runtime=RuntimeSettings(imgsz=64, device="cpu"),
        formats=OUTPUT_FORMATS,
        output=OutputSettings(folder=Path(output)),
    )
    settings: DetectSettings = with_changes(config, **changes)
    return settings


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.slow
def test_a_run_goes_on_from_a_cut_at_any_byte(mixed: Path, weights: Path, batch: int) -> None:
    records: list[dict[str, Any]] = []
    summary = run_detection(config_for(weights, "whole", batch=batch), on_record=records.append)
    assert (summary.inputs, summary.failed, summary.images) == (6, 2, 10)
    expected = folder_bytes(mixed / "whole")
    lines = expected["detections.jsonl"]
    assert len(records) == lines.count(b"\n") == 12
    rng = random.Random(batch)
    for cut in [0, len(lines), *rng.sample(range(len(lines)), 6)]:
        shutil.rmtree(mixed / "cut", ignore_errors=True)
        (mixed / "cut").mkdir()
        (mixed / "cut" / "run.json").write_bytes(expected["run.json"])
        (mixed / "cut" / PARTIAL).write_bytes(lines[:cut])
        # The page of the report contains the thumbnails of what was done before the cut.
        thumbnails = Path("report", "thumbnails")
        shutil.copytree(mixed / "whole" / thumbnails, mixed / "cut" / thumbnails)
        again: list[dict[str, Any]] = []
        config = config_for(weights, "cut", batch=batch, resume=True)
        assert run_detection(config, on_record=again.append) == summary
        found = folder_bytes(mixed / "cut")
        # Overlays of what was done before the cut were not written here.
        assert found.keys() <= expected.keys()
        assert {name: expected[name] for name in found} == found
        assert found["detections.jsonl"] == lines
        assert again == records


def test_a_finished_run_is_told_again_and_not_written_again(mixed: Path, weights: Path) -> None:
    summary = run_detection(config_for(weights, "whole"))
    stamps = {path: path.stat().st_mtime_ns for path in (mixed / "whole").rglob("*")}
    again: list[dict[str, Any]] = []
    told = run_detection(config_for(weights, "whole", resume=True), on_record=again.append)
    assert told == replace(summary, left_out=())  # no format is written again
    assert len(again) == 12
    assert {path: path.stat().st_mtime_ns for path in (mixed / "whole").rglob("*")} == stamps


def test_shards_share_the_inputs_and_cannot_share_a_folder(mixed: Path, weights: Path) -> None:
    whole: list[dict[str, Any]] = []
    run_detection(config_for(weights, "whole"), on_record=whole.append)
    parts: list[dict[str, Any]] = []
    for number in (1, 2, 3):
        run_detection(config_for(weights, f"part{number}", shard=Shard(number, 3)), on_record=parts.append)

    def key(record: dict[str, Any]) -> tuple[str, int]:
        return record["path"], record.get("frame", 0)

    assert sorted(parts, key=key) == sorted(whole, key=key)
    with pytest.raises(MedrovError, match="another settings.shard"):
        run_detection(config_for(weights, "part1", shard=Shard(2, 3), resume=True))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"conf": 0.5}, "settings.conf: null, now 0.5"),
        ({"imgsz": 96}, "model.imgsz: 64, now 96"),
        ({"inputs": ("in", "more.png")}, "inputs.count: 6, now 7"),
        ({"formats": ("jsonl",)}, "settings.formats"),
    ],
)
def test_a_changed_run_is_not_resumed(mixed: Path, weights: Path, change: dict[str, Any], named: str) -> None:
    run_detection(config_for(weights, "out"))
    before = folder_bytes(mixed / "out")
    with pytest.raises(MedrovError, match=named) as caught:
        run_detection(config_for(weights, "out", resume=True, **change))
    assert caught.value.code is ErrorCode.USAGE
    assert folder_bytes(mixed / "out") == before


def test_other_weights_and_changed_inputs_are_noticed(mixed: Path, weights: Path, tmp_path: Path) -> None:
    run_detection(config_for(weights, "out"))
    other = write_eager_detector(tmp_path / "eager.safetensors", seed=1)
    with pytest.raises(MedrovError, match="settings.weights|model.sha256"):
        run_detection(config_for(other, "out", resume=True))
    (mixed / "in" / "000.png").write_bytes(b"changed")
    with pytest.raises(MedrovError, match="inputs.sha256"):
        run_detection(config_for(weights, "out", resume=True))


def test_a_strict_run_goes_on_when_it_is_no_longer_strict(mixed: Path, weights: Path) -> None:
    run_detection(config_for(weights, "whole"))
    told: list[dict[str, Any]] = []
    stopped = run_detection(config_for(weights, "strict", strict=True), on_record=told.append)
    assert stopped.stopped
    assert told[-1]["error"]["code"] == "truncated"
    assert not (mixed / "strict" / "detections.jsonl").exists()
    run_detection(config_for(weights, "strict", resume=True))
    assert folder_bytes(mixed / "strict") == folder_bytes(mixed / "whole")
