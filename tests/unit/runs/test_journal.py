"""The file of records: whole under its name, and resumable from a cut at any byte."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.runs.journal import Journal, json_line, read_records

RECORDS = [{"path": f"{number}.png", "note": "é\udce9\n" * number} for number in range(4)]


def all_of(records: Iterator[dict[str, Any]]) -> int:
    return sum(1 for _ in records)


def none_of(records: Iterator[dict[str, Any]]) -> int:
    return 0


def write(path: Path, records: list[dict[str, Any]]) -> None:
    journal = Journal(path)
    journal.open(all_of)
    for record in records:
        journal.append(record)
    journal.publish()


def test_the_name_appears_when_all_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "d.jsonl")
    journal.open(all_of)
    journal.append(RECORDS[0])
    assert [path.name for path in tmp_path.iterdir()] == [".d.jsonl.partial"]
    journal.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]
    assert list(read_records(journal.path)) == RECORDS[:1]


def test_a_run_goes_on_after_a_cut_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    write(path, RECORDS)
    whole = path.read_bytes()
    path.unlink()
    assert len(whole) > 100
    for cut in range(len(whole) + 1):
        journal = Journal(path)
        journal.partial.write_bytes(whole[:cut])
        done: list[dict[str, Any]] = []

        def keep(records: Iterator[dict[str, Any]], done: list[dict[str, Any]] = done) -> int:
            done.extend(records)
            return len(done)

        journal.open(keep)
        assert done == RECORDS[: len(done)]
        assert len(done) == whole[:cut].count(b"\n")
        for record in RECORDS[len(done) :]:
            journal.append(record)
        journal.publish()
        assert path.read_bytes() == whole


def test_records_that_are_not_kept_are_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "d.jsonl")
    journal.partial.write_text("".join(map(json_line, RECORDS)))
    journal.open(lambda _: 2)
    assert list(journal.records()) == RECORDS[:2]
    journal.append(RECORDS[3])
    journal.close()
    assert journal.partial.read_text() == "".join(json_line(RECORDS[i]) for i in (0, 1, 3))


@pytest.mark.parametrize("damage", [b'{"path": \n', b"[1]\n", b"\xff\xfe\n"])
def test_nothing_after_a_damaged_line_is_kept(tmp_path: Path, damage: bytes) -> None:
    journal = Journal(tmp_path / "d.jsonl")
    good = json_line(RECORDS[0]).encode()
    journal.partial.write_bytes(good + damage + good)
    journal.open(all_of)
    journal.close()
    assert journal.partial.read_bytes() == good


def test_two_processes_cannot_write_one_file(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "d.jsonl"), Journal(tmp_path / "d.jsonl")
    first.open(none_of)
    with pytest.raises(MedrovError, match="another process") as caught:
        second.open(none_of)
    assert caught.value.code is ErrorCode.USAGE
    first.close()
    second.close()
    second.open(none_of)
    second.close()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MedrovError) as caught:
        Journal(tmp_path / "file" / "d.jsonl").open(none_of)
    assert caught.value.code is ErrorCode.OUTPUT_FAILED


def test_a_full_disk_is_an_output_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    journal = Journal(Path("unused"))
    journal.partial = full
    journal._stream = full.open("ab", buffering=0)
    with pytest.raises(MedrovError) as caught:
        journal.append(RECORDS[0])
    assert caught.value.code is ErrorCode.OUTPUT_FAILED
    journal.close()


def test_a_number_that_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_line({"score": float("nan")})


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("how", ["symlink", "hardlink", "fifo"])
def test_a_journal_is_not_written_through_a_link_or_a_device(tmp_path: Path, how: str) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    journal = Journal(tmp_path / "out" / "d.jsonl")
    journal.partial.parent.mkdir()
    if how == "symlink":
        journal.partial.symlink_to(precious)
    elif how == "hardlink":
        os.link(precious, journal.partial)
    else:
        os.mkfifo(journal.partial)
    with pytest.raises(MedrovError) as caught:
        journal.open(none_of)
    assert caught.value.code is ErrorCode.USAGE
    assert str(journal.partial) in caught.value.message
    assert precious.read_text() == "precious"
