"""``medrov merge``: the folders of the jobs of an array give the folder of the whole run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from conftest import Medrov
from detect_fixtures import folder_bytes, noise_image, write_eager_detector, write_images
from dicom_objects import write_series

FORMATS = "json,coco,csv,counts,geojson,yolo,png,html,sr,gsps"
JOBS = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_eager_detector(tmp_path_factory.mktemp("weights") / "eager.safetensors")


def arguments(weights: Path, output: object, *more: object) -> tuple[object, ...]:
    options = ("-w", weights, "--imgsz", 64, "--max-det", 4, "--device", "cpu", "--format", FORMATS)
    return ("detect", "in", *options, "--output", output, *more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make inputs of all kinds: images, pages, two DICOM series, and two inputs that fail."""
    folder = tmp_path_factory.mktemp("merge")
    write_images(folder / "in", 8)
    pages = np.stack([noise_image(number) for number in range(10, 14)])
    tifffile.imwrite(folder / "in" / "002_pages.tif", pages, photometric="rgb")
    (folder / "in" / "004_broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "in" / "zz_broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    for name, uid in (("series a", "1.2.3"), ("series b", "1.2.4")):
        write_series(folder / "in" / name, 4, series=uid)
    (folder / "in" / "notes.rar").write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(40))
    return folder


@pytest.fixture
def parts(made: Path, weights: Path, medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Run the whole run and its shards once, in the folder of the inputs."""
    monkeypatch.chdir(made)
    folders = [made / f"part-{number}" for number in range(1, JOBS + 1)]
    if not (made / "whole").exists():
        assert medrov(*arguments(weights, "whole")).exit_code == 3
        for number, folder in enumerate(folders, 1):
            assert medrov(*arguments(weights, folder, "--shard", f"{number}/{JOBS}")).exit_code in {0, 3}
    return folders


def test_the_parts_give_the_bytes_of_the_whole_run(made: Path, parts: list[Path], medrov: Medrov) -> None:
    done = medrov("merge", *reversed(parts), "--output", made / "joined", "--json")
    assert done.exit_code == 3, done.stderr
    whole = folder_bytes(made / "whole")
    assert {"findings.json", "run.json", "detections.coco.json"} <= whole.keys()
    assert folder_bytes(made / "joined") == whole
    summary = json.loads(whole["detections.json"])["summary"]
    assert done.json["schema"] == "medrov.merge/1"
    assert done.json["parts"] == JOBS
    assert done.json["summary"]["failed"] == summary["failed"] == 2
    assert done.json["summary"]["images"] == summary["images"] == 20
    assert summary["volumes"] == 2
    assert len(summary["skipped"]) == 1

    again = medrov("merge", *parts, "--output", made / "joined")
    assert (again.exit_code, "already contains a run" in again.stderr) == (2, True)
    assert "--overwrite" in again.stderr
    assert "--resume" not in again.stderr  # which `merge` does not have
    again = medrov("merge", *parts, "--output", made / "joined", "--overwrite")
    assert again.exit_code == 3
    assert f"3 part(s): 20 image(s), {summary['detections']} detection(s), 2 failed" in again.stdout
    assert folder_bytes(made / "joined") == whole


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("1 3", "1 part(s) are missing: --shard 2/3"),
        ("1", "2 part(s) are missing: --shard 2/3, 3/3"),
        ("1 2 2", "are both --shard 2/3: they overlap"),
        ("1 2 whole", "is a run without --shard"),
        ("1 2 in", "is no output folder of 'medrov detect --shard'"),
        ("1 2 3 1", "are both --shard 1/3: they overlap"),
    ],
)
def test_parts_that_are_not_the_whole_are_refused_by_name(
    made: Path, parts: list[Path], medrov: Medrov, tmp_path: Path, given: str, words: str
) -> None:
    folders = [made / (f"part-{name}" if name.isdigit() else name) for name in given.split()]
    done = medrov("merge", *folders, "--output", tmp_path / "joined")
    assert (done.exit_code, words in " ".join(done.stderr.split())) == (2, True), done.stderr
    assert not (tmp_path / "joined").exists()


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("settings", "iou"), 0.5, "another settings.iou than"),
        (("settings", "shard"), "3/4", "part-1 is --shard 1/3, and"),
        (("settings", "shard_by"), "tiles", "another settings.shard_by"),
        (("model", "sha256"), "0" * 64, "another model.sha256 than"),
        (("versions", "numpy"), "1.0", "another versions.numpy than"),
        (("inputs", "whole", "sha256"), "0" * 64, "another inputs.whole.sha256 than"),
        (("inputs", "whole"), None, "earlier version"),
    ],
)
def test_parts_of_other_runs_are_refused_by_name(
    parts: list[Path],
    medrov: Medrov,
    tmp_path: Path,
    keys: tuple[str, ...],
    value: object,
    words: str,
) -> None:
    other = tmp_path / "other"
    shutil.copytree(parts[2], other)
    run = json.loads((other / "run.json").read_text())
    owner = run
    for key in keys[:-1]:
        owner = owner[key]
    if value is None:
        del owner[keys[-1]]
    else:
        owner[keys[-1]] = value
    (other / "run.json").write_text(json.dumps(run))
    done = medrov("merge", *parts[:2], other, "--output", tmp_path / "joined")
    assert (done.exit_code, words in " ".join(done.stderr.split())) == (2, True), done.stderr


def test_an_interrupted_part_is_refused(parts: list[Path], medrov: Medrov, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(parts[1], other)
    (other / "detections.jsonl").rename(other / ".detections.jsonl.partial")
    done = medrov("merge", parts[0], other, parts[2], "--output", tmp_path / "joined")
    assert done.exit_code == 2
    assert "its job --shard 2/3 was interrupted or is running" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "broken",
    [{"inputs": None}, {"inputs": {"count": "7", "whole": {"count": 7}}}, {"settings": []}, {"settings": 3}],
)
def test_a_description_with_values_of_another_kind_is_refused(
    parts: list[Path], medrov: Medrov, tmp_path: Path, broken: dict[str, Any]
) -> None:
    own = tmp_path / "part"
    shutil.copytree(parts[0], own)
    run = json.loads((own / "run.json").read_text())
    (own / "run.json").write_text(json.dumps(run | broken))
    done = medrov("merge", own, *parts[1:], "--output", tmp_path / "all")
    assert (done.exit_code, "run.json is absent" in " ".join(done.stderr.split())) == (2, True), done.stderr


@pytest.mark.parametrize("damage", ["lost", "double", "torn"])
def test_records_that_are_not_of_the_inputs_are_refused(
    parts: list[Path], medrov: Medrov, tmp_path: Path, damage: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(parts[1], other)
    lines = (other / "detections.jsonl").read_bytes().splitlines(keepends=True)
    changed = {"lost": lines[:-1], "double": [*lines, lines[0]], "torn": [*lines[:-1], lines[-1][:9]]}
    (other / "detections.jsonl").write_bytes(b"".join(changed[damage]))
    done = medrov("merge", parts[0], other, parts[2], "--output", tmp_path / "joined")
    assert done.exit_code == 4
    assert "does not hold the records of its run.json" in " ".join(done.stderr.split())
    assert not (tmp_path / "joined" / "detections.jsonl").exists()


def test_an_output_that_is_a_part_or_a_file_is_refused(
    parts: list[Path], medrov: Medrov, tmp_path: Path
) -> None:
    assert medrov("merge", *parts, "--output", parts[0]).exit_code == 2
    (tmp_path / "file").write_text("")
    assert medrov("merge", *parts, "--output", tmp_path / "file").exit_code == 2


def test_more_jobs_than_inputs_leave_empty_parts(
    weights: Path, medrov: Medrov, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "in", 2)
    assert medrov(*arguments(weights, "whole")).exit_code == 0
    for number in range(1, 5):
        assert medrov(*arguments(weights, f"p{number}", "--shard", f"{number}/4")).exit_code == 0
    assert medrov("merge", "p1", "p2", "p3", "p4", "--output", "joined").exit_code == 0
    assert folder_bytes(tmp_path / "joined") == folder_bytes(tmp_path / "whole")
