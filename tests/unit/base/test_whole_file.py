"""Atomic writes: links are replaced, unfinished files of dead processes are removed, folders are locked."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.base.locks import folder_beside
from medrov_cli.core.base.scratch import scratch_file, scratch_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks and links there")


def names(path: Path) -> list[str]:
    return sorted(str(item.relative_to(path)) for item in path.rglob("*"))


def write_and_wait(path: Path, started: Any) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half")
        started.set()
        time.sleep(60)


def test_whole_file_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    with whole_file(tmp_path / "out") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "out").read_text() == "new"
    assert not (tmp_path / "out").is_symlink()


def test_whole_file_removes_what_a_killed_process_left_of_the_same_file(tmp_path: Path) -> None:
    """Another living writer of the file keeps its own."""
    fork = multiprocessing.get_context("fork")
    started = fork.Event()
    killed = fork.Process(target=write_and_wait, args=(tmp_path / "a.txt", started))
    killed.start()
    assert started.wait(30)
    (living,) = names(tmp_path)
    with whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("second")
    assert names(tmp_path) == [living, "a.txt"]
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    (tmp_path / ".b.txt.0123abcd.tmp").write_text("of another file")
    with whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("third")
    assert names(tmp_path) == [".b.txt.0123abcd.tmp", "a.txt"]
    assert (tmp_path / "a.txt").read_text() == "third"


def test_folder_beside_is_empty_and_of_one_process(tmp_path: Path) -> None:
    left = tmp_path / ".model.onnx.tmp" / "deep"
    left.mkdir(parents=True)
    (left / "half.onnx").write_text("half")
    with folder_beside(tmp_path / "model.onnx") as folder:
        assert list(folder.iterdir()) == []
        with pytest.raises(MedrovError) as caught, folder_beside(tmp_path / "model.onnx"):
            raise AssertionError("unreachable")
        assert caught.value.code is ErrorCode.USAGE
        with folder_beside(tmp_path / "other.onnx"):
            pass
        assert folder.is_dir()
    assert names(tmp_path) == []


@pytest.mark.parametrize("to", ["elsewhere", "nothing"])
def test_folder_beside_does_not_follow_a_link(tmp_path: Path, to: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("precious")
    (tmp_path / ".model.onnx.tmp").symlink_to(tmp_path / to)
    with pytest.raises(MedrovError) as caught, folder_beside(tmp_path / "model.onnx"):
        raise AssertionError("unreachable")
    assert caught.value.code is ErrorCode.USAGE
    assert (tmp_path / "elsewhere" / "precious").read_text() == "precious"


def test_scratch_of_killed_processes_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "medrov-scratch-dead").mkdir()
    (tmp_path / "medrov-scratch-dead" / "image").write_text("of a patient")
    (tmp_path / "medrov-scratch-dead.mp4").write_text("of a patient")
    (tmp_path / "medrov-scratch-young").write_text("not locked yet")
    (tmp_path / "other").write_text("of another program")
    for name in ("medrov-scratch-dead", "medrov-scratch-dead.mp4", "other"):
        os.utime(tmp_path / name, (1, 1))
    with scratch_folder() as living:
        os.utime(living, (1, 1))
        with scratch_file(".mp4") as (stream, path):
            stream.write(b"video")
            assert path.endswith(".mp4")
            kept = sorted(["medrov-scratch-young", "other", living.name, Path(path).name])
            assert names(tmp_path) == kept
    assert names(tmp_path) == ["medrov-scratch-young", "other"]
