"""What a file is known by: read when it is new or has changed, and not again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medrov_cli.core.base import files
from medrov_cli.core.base.environment import cache_dir
from medrov_cli.core.base.errors import CacheWarning
from medrov_cli.core.base.files import known_sha256

pytestmark = pytest.mark.usefixtures("empty_cache")

LARGE = bytes(2 << 20)
OTHER = LARGE[:-1] + b"x"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that is some seconds old."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(LARGE)
    now = time.time_ns
    monkeypatch.setattr(files.time, "time_ns", lambda: now() + 10_000_000_000)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of files that have been read from end to end."""
    read: list[Path] = []
    real = files.sha256_of_file

    def spy(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(files, "sha256_of_file", spy)
    return read


def test_a_file_that_is_as_it_was_is_read_once(large: Path, reads: list[Path]) -> None:
    assert [known_sha256(large) for _ in range(3)] == [digest(LARGE)] * 3
    assert reads == [large]


def in_place_with_its_old_times(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(OTHER)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def replaced_with_its_old_times(path: Path) -> None:
    before = path.stat()
    new = path.with_name("new")
    new.write_bytes(OTHER)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)


def rewritten(path: Path) -> None:
    path.write_bytes(OTHER)


@pytest.mark.parametrize(
    "change",
    [rewritten, in_place_with_its_old_times, replaced_with_its_old_times],
    ids=lambda change: change.__name__,
)
def test_a_changed_file_is_read_again(large: Path, change: Callable[[Path], None]) -> None:
    assert known_sha256(large) == digest(LARGE)
    time.sleep(0.02)  # longer than a tick of the file system's clock
    change(large)
    assert large.stat().st_size == len(LARGE)
    assert known_sha256(large) == digest(OTHER)


def test_a_file_that_the_disk_has_damaged_is_found_by_reading(large: Path, reads: list[Path]) -> None:
    known_sha256(large)
    (stamp,) = (cache_dir() / "sha256").iterdir()
    known = json.loads(stamp.read_text())
    known["sha256"] = digest(OTHER)
    del known["checksum"]
    text = json.dumps(known, sort_keys=True)
    stamp.write_text(json.dumps({**known, "checksum": digest(text.encode())}))
    assert known_sha256(large) == digest(OTHER)  # the stamp is believed
    assert known_sha256(large, reread=True) == digest(LARGE)
    assert known_sha256(large) == digest(LARGE)  # and is set right
    assert len(reads) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "[]",
        lambda text: "\0",
        lambda text: text.replace(digest(LARGE), digest(OTHER)),
        lambda text: text.replace('"sha256"', '"sha256": "0", "sha256"'),
    ],
)
def test_a_damaged_stamp_is_replaced_after_a_warning(large: Path, change: Callable[[str], str]) -> None:
    known_sha256(large)
    (stamp,) = (cache_dir() / "sha256").iterdir()
    whole = stamp.read_text()
    stamp.write_text(change(whole))
    with pytest.warns(CacheWarning, match="sha256"):
        assert known_sha256(large) == digest(LARGE)
    assert json.loads(stamp.read_text()) == json.loads(whole)


def test_a_stamp_of_an_earlier_version_is_replaced(large: Path) -> None:
    known_sha256(large)
    (stamp,) = (cache_dir() / "sha256").iterdir()
    known = json.loads(stamp.read_text())
    del known["checksum"]
    stamp.write_text(json.dumps(known))
    assert known_sha256(large) == digest(LARGE)
    assert "checksum" in json.loads(stamp.read_text())


def test_a_file_that_may_still_be_changing_gets_no_stamp(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "new"
    path.write_bytes(LARGE)
    assert [known_sha256(path), known_sha256(path)] == [digest(LARGE)] * 2
    assert len(reads) == 2


def test_checking_a_file_makes_no_stamp(large: Path) -> None:
    assert known_sha256(large, reread=True) == digest(LARGE)
    assert not cache_dir().exists() or not list(cache_dir().iterdir())


def test_a_small_file_gets_no_stamp(tmp_path: Path, large: Path) -> None:
    large.write_bytes(b"small")
    assert known_sha256(large) == digest(b"small")
    assert not (cache_dir() / "sha256").exists()


def test_without_a_cache_folder_the_digest_is_the_same(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEDROV_CACHE", str(tmp_path / "file"))
    assert known_sha256(large) == digest(LARGE)


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        known_sha256(tmp_path / "nothing")
