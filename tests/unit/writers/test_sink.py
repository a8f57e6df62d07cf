"""The folder of a run: who may write there, and what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.detection.run import run_detection
from medrov_cli.core.records.detect_json import item_to_record
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame, ModelIdentity
from medrov_cli.core.settings.choices import OUTPUT_FORMATS, parse_formats
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.writers.format_files import all_writers
from medrov_cli.core.writers.protocol import RecordWriter, RunFacts, ViewWriter, Writer
from medrov_cli.core.writers.run_files import is_overlay
from medrov_cli.core.writers.sink import OutputFolder

RUN = {"settings": {"conf": 0.25, "iou": 0.7, "formats": ["csv", "jsonl", "png"]}, "classes": ["polyp"]}
MODEL = ModelIdentity("n", "0", "1", "minilm", "torch", 64)
LOST = item_to_record(Failure("a.png", MedrovError(ErrorCode.NOT_FOUND, "The file does not exist.")))


def keep_all(records: Iterator[dict[str, Any]]) -> int:
    return sum(1 for _ in records)


def opened(path: Path, run: dict[str, Any] = RUN, **how: bool) -> OutputFolder:
    folder = OutputFolder(path, ("jsonl",), ("polyp",))
    folder.claim(run, **({"resume": False, "overwrite": False} | how))
    return folder


def write_run(path: Path) -> None:
    folder = opened(path)
    folder.open(keep_all)
    folder.write(LOST, None)
    folder.finish({})


def test_formats_are_parsed_once_each() -> None:
    assert parse_formats(["jsonl,PNG", " png , coco"]) == ("jsonl", "png", "coco")
    with pytest.raises(MedrovError, match="'xml'") as caught:
        parse_formats(["jsonl,xml"])
    assert caught.value.code is ErrorCode.USAGE


def test_what_made_the_files_is_beside_them(tmp_path: Path) -> None:
    write_run(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["detections.jsonl", "run.json"]
    assert json.loads((tmp_path / "out" / "run.json").read_bytes()) == RUN


def test_a_finished_run_is_complete_and_has_its_records(tmp_path: Path) -> None:
    write_run(tmp_path)
    folder = opened(tmp_path, resume=True)
    assert folder.is_complete
    assert list(folder.records()) == [LOST]


def test_a_folder_with_a_run_is_not_written_again(tmp_path: Path) -> None:
    write_run(tmp_path)
    with pytest.raises(MedrovError, match="--output .* already contains a run") as caught:
        opened(tmp_path)
    assert caught.value.code is ErrorCode.USAGE


def test_results_of_an_unknown_origin_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "detections.jsonl").write_text("mine")
    with pytest.raises(MedrovError, match="run.json"):
        opened(tmp_path)
    assert (tmp_path / "detections.jsonl").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": RUN["settings"] | {"conf": 0.5}}, r"settings\.conf: 0\.25, now 0\.5"),
        ({"classes": ["nodule"]}, r'classes: \["polyp"\], now \["nodule"\]'),
        ({"more": 1}, "more: null, now 1"),
    ],
)
def test_another_run_is_not_resumed(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    write_run(tmp_path)
    with pytest.raises(MedrovError, match=named) as caught:
        opened(tmp_path, RUN | change, resume=True)
    assert caught.value.code is ErrorCode.USAGE


def test_overwriting_removes_the_former_run_and_nothing_else(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "old.png").write_text("")
    (tmp_path / "detections.csv").write_text("old")
    others = ("counts.csv", "overlays/mine.txt", "report/decisions.json", "seg/expert.dcm")
    for name in others:  # of formats that the run did not have, or not of this name
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    folder = opened(tmp_path, RUN | {"more": 1}, overwrite=True)
    folder.open(keep_all)
    folder.finish({})
    kept = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {"detections.jsonl", "notes.txt", "run.json", *others}
    assert (tmp_path / "detections.jsonl").read_text() == ""


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("name", ["detections.csv", "overlays/mine.png"])
def test_files_that_no_run_made_are_not_replaced(tmp_path: Path, name: str, how: dict[str, bool]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(MedrovError, match=f"{name} exists without the run.json") as caught:
        opened(tmp_path, **how)
    assert caught.value.code is ErrorCode.USAGE
    assert (tmp_path / name).read_text() == "mine"
    without = {**RUN, "settings": {"formats": ["jsonl"]}}
    opened(tmp_path, without, **how).close()  # this run writes no file of that name
    assert (tmp_path / name).read_text() == "mine"


def test_temporary_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    opened(tmp_path).close()
    stale = tmp_path / "overlays" / "x" / ".a.png.0123abcd.tmp"
    stale.parent.mkdir(parents=True)
    stale.write_text("half")
    other = tmp_path / ".mine.tmp"
    other.write_text("mine")
    opened(tmp_path, resume=True).close()
    assert not stale.exists()
    assert other.exists()


def test_a_folder_that_another_process_writes_is_not_cleaned(tmp_path: Path) -> None:
    writing = opened(tmp_path)
    writing.open(keep_all)
    temporary = tmp_path / ".detections.csv.0123abcd.tmp"
    temporary.write_text("half")
    with pytest.raises(MedrovError, match="another process"):
        opened(tmp_path, resume=True)
    with pytest.raises(MedrovError, match="another process"):
        opened(tmp_path, overwrite=True)
    assert temporary.exists()
    writing.close()


def test_overwriting_an_interrupted_run_keeps_none_of_its_records(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.open(keep_all)
    folder.write(LOST, None)
    folder.close()
    other = opened(tmp_path, RUN | {"more": 1}, overwrite=True)
    other.open(keep_all)
    assert list(other.records()) == []
    other.close()


def test_resuming_a_killed_overwrite_starts_anew(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "detections.jsonl").unlink()  # as if killed after the first removal
    folder = opened(tmp_path, resume=True)
    assert not folder.is_complete
    folder.close()


@pytest.mark.parametrize("writer", all_writers(), ids=lambda writer: writer.name)
def test_a_format_writes_the_files_that_it_names(tmp_path: Path, writer: Writer) -> None:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    boxes, scores, labels = np.array([[1.0, 2, 5, 6]]), np.array([0.9]), np.zeros(1, np.int64)
    detections = Detections(boxes, scores, labels, ("polyp",), Frame(pixels, "a.png"), MODEL)
    if isinstance(writer, RecordWriter):
        writer.write_record(tmp_path, "scan.png", detections, pixels)
    if isinstance(writer, ViewWriter):
        summary = {
            "inputs": 1,
            "failed": 0,
            "images": 1,
            "detections": 1,
            "detections_by_class": {"polyp": 1},
        }
        writer.finish(tmp_path, lambda: [item_to_record(detections)], RunFacts(("polyp",), summary))
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {path for pattern in writer.files for path in tmp_path.glob(pattern)}
    # The sink itself writes JSONL; DICOM formats write nothing for an image of another format.
    has_none = writer.name in {"jsonl", "sr", "gsps", "ann", "seg"}
    assert bool(written) != has_none


def test_formats_have_different_files() -> None:
    assert [writer.name for writer in all_writers()] == list(OUTPUT_FORMATS)
    files = [name for writer in all_writers() for name in writer.files]
    assert len(files) == len(set(files)) == 18


@pytest.mark.parametrize("name", ["coco", "csv", "yolo", "png", "html"])
def test_formats_that_are_files_alone_need_a_folder(name: str) -> None:
    with pytest.raises(MedrovError, match=f"--format {name} needs --output") as caught:
        run_detection(DetectSettings(inputs=("a.png",), formats=("jsonl", name)))
    assert caught.value.code is ErrorCode.USAGE
    assert caught.value.hint


def test_written_overlays_are_told_from_inputs(tmp_path: Path) -> None:
    assert is_overlay(tmp_path, str(tmp_path / "overlays" / "deep" / "a.png"))
    assert not is_overlay(tmp_path, str(tmp_path / "a.png"))
    assert not is_overlay(tmp_path, str(tmp_path / "overlays.png"))
