"""Claim, resume, lock and end of an output folder."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.evaluation.run import EVALUATION
from medrov_cli.core.runs.folder import RunFolder
from medrov_cli.core.runs.identity import Refusal
from medrov_cli.core.runs.journal import Journal
from medrov_cli.core.runs.kind import RecordFile, RunKind, exclusive_kind
from medrov_cli.core.runs.locking import FolderLock
from medrov_cli.core.training.training_files import TRAINING

KIND = RunKind(
    taken=Refusal("{folder} is taken", "Resume it."),
    marks=("run.json", "part-*.jsonl"),
    record=RecordFile(
        "run.json",
        changed=Refusal("{folder}: {name} was {old}, now {new}; all: {names}", "Repeat it."),
        ignored=frozenset({"threads"}),
    ),
    foreign=Refusal("{file} is of no run", "Move it."),
    last="last.txt",
    files=("views/**/*.png", "table.csv"),
    files_of=lambda record: ("views/**/*.png", "table.csv") if record["a"] == 1 else ("views/**/*.png",),
)
RECORD = {"a": 1, "nested": {"x": [1], "y": "text"}, "threads": 4}
EXCLUSIVE = exclusive_kind("convert.json", last="last.txt")

needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")


def claimed(path: Path, record: dict[str, Any] = RECORD, kind: RunKind = KIND, **how: bool) -> RunFolder:
    folder = RunFolder(path, kind)
    folder.claim(record, **({"resume": False} | how))
    return folder


def refusal(path: Path, record: dict[str, Any] = RECORD, kind: RunKind = KIND, **how: bool) -> str:
    with pytest.raises(MedrovError) as caught:
        claimed(path, record, kind, **how)
    assert caught.value.code is ErrorCode.USAGE
    assert caught.value.hint
    return caught.value.message


def stay(started: Any) -> None:
    started.set()
    time.sleep(60)


def names(path: Path) -> list[str]:
    return sorted(str(item.relative_to(path)) for item in path.rglob("*"))


def test_claim_of_a_new_folder_writes_the_record_alone(tmp_path: Path) -> None:
    with claimed(tmp_path / "deep" / "out"):
        assert names(tmp_path / "deep" / "out") == ["run.json"]
    assert (tmp_path / "deep" / "out" / "run.json").read_text() == json.dumps(RECORD, indent=2) + "\n"


@pytest.mark.parametrize("mark", ["run.json", "part-3.jsonl"])
def test_claim_of_a_folder_with_a_mark_is_refused(tmp_path: Path, mark: str) -> None:
    (tmp_path / mark).write_text("{}")
    assert refusal(tmp_path) == f"{tmp_path} is taken"
    assert names(tmp_path) == [mark]


def test_resume_with_an_equal_record_writes_nothing(tmp_path: Path) -> None:
    claimed(tmp_path).close()
    before = (tmp_path / "run.json").stat().st_mtime_ns
    claimed(tmp_path, RECORD | {"threads": 9}, resume=True).close()
    assert (tmp_path / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": 2}, "a was 1, now 2; all: a"),
        ({"nested": {"x": [1], "y": "more"}}, 'nested.y was "text", now "more"; all: nested.y'),
        ({"nested": {"x": [1, 2]}}, "nested.x was [1], now [1, 2]; all: nested.x, nested.y"),
        ({"new": None, "a": "z" * 90}, f'a was 1, now "{"z" * 76}...; all: a'),
    ],
)
def test_resume_with_another_record_names_the_first_field(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    claimed(tmp_path).close()
    assert refusal(tmp_path, RECORD | change, resume=True) == f"{tmp_path}: {said}"


def test_resume_of_an_unreadable_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    assert refusal(tmp_path, resume=True).startswith(f"{tmp_path}: run.json was null, now {{")


def test_overwrite_removes_the_files_of_the_kind_alone(tmp_path: Path) -> None:
    claimed(tmp_path).close()
    (tmp_path / "views" / "deep").mkdir(parents=True)
    (tmp_path / "views" / "deep" / "a.png").write_text("")
    for name in ("table.csv", "last.txt", "mine.txt"):
        (tmp_path / name).write_text("")
    claimed(tmp_path, {"a": 2}, overwrite=True).close()
    assert names(tmp_path) == ["mine.txt", "run.json"]
    assert json.loads((tmp_path / "run.json").read_bytes()) == {"a": 2}
    (tmp_path / "views").mkdir()
    for name in ("views/a.png", "views/expert.dcm", "table.csv"):  # the run in the folder writes no table
        (tmp_path / name).write_text("")
    claimed(tmp_path, overwrite=True).close()
    assert names(tmp_path) == ["mine.txt", "run.json", "table.csv", "views", "views/expert.dcm"]


@pytest.mark.parametrize("name", ["last.txt", "table.csv", "views/deep/a.png"])
@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_files_of_no_run_are_refused_if_a_run_would_write_them(
    tmp_path: Path, name: str, how: dict[str, bool]
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    assert refusal(tmp_path, **how) == f"{tmp_path / name} is of no run"
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("kind", "name"),
    [(EVALUATION, "curves/froc.png"), (EVALUATION, "images.csv"), (TRAINING, "best.safetensors")],
)
def test_evaluation_and_training_refuse_files_of_no_run(tmp_path: Path, kind: RunKind, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    for resume in (False, True):
        assert f"{tmp_path / name} exists without" in refusal(tmp_path, kind=kind, resume=resume)
    assert names(tmp_path)[-1] == name


def test_a_kind_without_a_record_replaces_files_of_no_run_if_it_is_told_to(tmp_path: Path) -> None:
    kind = replace(KIND, record=None, files_of=None)
    (tmp_path / "table.csv").write_text("mine")
    for how in ({}, {"resume": True}):
        assert refusal(tmp_path, kind=kind, **how) == f"{tmp_path / 'table.csv'} is of no run"
    claimed(tmp_path, kind=kind, overwrite=True).close()


@pytest.mark.parametrize("resume", [False, True])
def test_exclusive_kind_needs_a_new_or_empty_folder(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("used", "file"):
        said = refusal(tmp_path / name, kind=EXCLUSIVE, resume=resume)
        assert said == f"--output: {tmp_path / name} contains other files"
    assert names(tmp_path) == ["file", "used", "used/mine.txt"]


def test_claim_after_a_kill_while_the_record_was_written(tmp_path: Path) -> None:
    (tmp_path / ".convert.json.0123abcd.tmp").write_text("{")
    with claimed(tmp_path, kind=EXCLUSIVE):
        assert names(tmp_path) == ["convert.json"]


def test_resume_removes_unfinished_files_of_the_kind_alone(tmp_path: Path) -> None:
    claimed(tmp_path).close()
    stale = [".table.csv.0123abcd.tmp", "views/deep/.a.png.0123abcd.tmp"]
    kept = ["other/.a.png.0123abcd.tmp", ".mine.tmp", "views/mine.tmp"]
    for name in stale + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    claimed(tmp_path, resume=True).close()
    assert set(names(tmp_path)) == {*kept, "other", "views", "views/deep", "run.json"}


def test_finish_writes_the_last_file_and_releases_the_folder(tmp_path: Path) -> None:
    folder = claimed(tmp_path)
    folder.finish(lambda path: path.write_text("done") and None)
    assert (tmp_path / "last.txt").read_text() == "done"
    claimed(tmp_path, resume=True).close()


def test_finish_names_the_journal_and_a_complete_run_is_not_locked(tmp_path: Path) -> None:
    kind = replace(KIND, last="records.jsonl")
    folder = RunFolder(tmp_path, kind, Journal(tmp_path / "records.jsonl"))
    folder.claim(RECORD, resume=False)
    assert folder.journal is not None
    folder.journal.open(lambda _: 0)
    folder.journal.append({"a": 1})
    assert not folder.is_complete
    folder.finish()
    again = [RunFolder(tmp_path, kind, Journal(tmp_path / "records.jsonl")) for _ in range(2)]
    with contextlib.ExitStack() as both:
        for other in again:
            both.enter_context(other).claim(RECORD, resume=True)
            assert other.is_complete
    assert names(tmp_path) == ["records.jsonl", "run.json"]


@needs_locks
@pytest.mark.parametrize("how", [{"resume": True}, {"overwrite": True}])
def test_second_claim_is_refused_while_the_first_lasts(tmp_path: Path, how: dict[str, bool]) -> None:
    with claimed(tmp_path):
        temporary = tmp_path / ".table.csv.0123abcd.tmp"
        temporary.write_text("half")
        assert "another process is writing there" in refusal(tmp_path, **how)
        assert temporary.exists()
    claimed(tmp_path, **how).close()


@needs_locks
def test_shared_claims_exclude_exclusive_ones_and_keep_the_files_of_living_runs(tmp_path: Path) -> None:
    shard = replace(KIND, is_shared=True)
    with claimed(tmp_path, kind=shard), whole_file(tmp_path / "table.csv") as living:
        dead = tmp_path / ".table.csv.0123abcd.tmp"
        dead.write_text("half")
        claimed(tmp_path, kind=shard, resume=True).close()
        assert (living.exists(), dead.exists()) == (True, False)
        assert "another process is writing there" in refusal(tmp_path, resume=True)
    with claimed(tmp_path, resume=True):
        assert "another process is writing there" in refusal(tmp_path, kind=shard, resume=True)


@pytest.mark.parametrize(
    ("name", "to"), [("views", "elsewhere"), ("views/deep", "elsewhere"), ("views", "nothing")]
)
def test_claim_of_a_folder_with_a_link_to_a_folder_is_refused(tmp_path: Path, name: str, to: str) -> None:
    link, elsewhere = tmp_path / "out" / name, tmp_path / "elsewhere"
    link.parent.mkdir(parents=True)
    elsewhere.mkdir()
    stale = elsewhere / ".a.png.0123abcd.tmp"
    stale.write_text("")
    link.symlink_to(tmp_path / to)
    assert f"{link} is a symbolic link" in refusal(tmp_path / "out")
    assert names(tmp_path / "out") == sorted({name.split("/", maxsplit=1)[0], name})
    assert stale.exists()


def test_links_that_appear_during_a_run_are_not_followed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with claimed(out):
        (out / "new").symlink_to(elsewhere)
        with pytest.raises(MedrovError) as caught, whole_file(out / "new" / "deep" / "a.txt"):
            raise AssertionError("unreachable")
    assert caught.value.code is ErrorCode.USAGE
    assert str(out / "new") in caught.value.message
    assert list(elsewhere.iterdir()) == []


def test_links_outside_of_the_folder_and_to_it_are_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    with claimed(tmp_path / "out"), whole_file(tmp_path / "out" / "views" / "a.txt") as temporary:
        temporary.write_text("a")
    assert names(tmp_path / "disk") == ["run.json", "views", "views/a.txt"]


def test_claim_that_loses_a_race_leaves_the_files_of_the_winner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The winner runs between the check and the lock of the loser."""
    acquire = FolderLock.acquire
    rivals = iter([{"a": "winner"}])

    def late(self: FolderLock) -> None:
        for record in rivals:
            winner = RunFolder(tmp_path, KIND, Journal(tmp_path / "last.txt"))
            winner.claim(record, resume=False)
            assert winner.journal is not None
            winner.journal.open(lambda _: 0)
            winner.finish()
        acquire(self)

    monkeypatch.setattr(FolderLock, "acquire", late)
    loser = RunFolder(tmp_path, KIND, Journal(tmp_path / "last.txt"))
    with pytest.raises(MedrovError) as caught:
        loser.claim({"a": "loser"}, resume=False)
    assert caught.value.code is ErrorCode.USAGE
    assert json.loads((tmp_path / "run.json").read_text()) == {"a": "winner"}
    assert names(tmp_path) == ["last.txt", "run.json"]


@needs_locks
def test_lock_is_released_when_a_forked_worker_outlives_the_run(tmp_path: Path) -> None:
    folder = claimed(tmp_path)
    fork = multiprocessing.get_context("fork")
    started = fork.Event()
    worker = fork.Process(target=stay, args=(started,))
    worker.start()
    try:
        assert started.wait(30)
        folder.close()
        claimed(tmp_path, resume=True).close()
    finally:
        worker.kill()
        worker.join()
