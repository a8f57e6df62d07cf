"""Inputs on object stores: the records of the same files on a disk, and no credentials anywhere."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from conftest import Medrov
from detect_fixtures import folder_bytes, noise_image, write_images
from dicom_objects import write_series

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (pip install medrov[remote])")

SMALL = ("--imgsz", 64, "--max-det", 3, "--device", "cpu", "--conf", 0.01, "--classes", "lung nodule, polyp")


@pytest.fixture
def store() -> Iterator[object]:
    """Yield the store in memory, which is emptied at the end."""
    system = fsspec.filesystem("memory")
    yield system
    for path in system.ls("/", detail=False):
        system.rm(path, recursive=True)


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make files of several kinds, and work in their folder."""
    write_images(tmp_path / "in", 3)
    pages = np.stack([noise_image(number) for number in range(5, 8)])
    tifffile.imwrite(tmp_path / "in" / "pages.tif", pages, photometric="rgb")
    (tmp_path / "in" / "002_broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "in" / ".hidden.png").write_bytes(cv2.imencode(".png", noise_image(9))[1].tobytes())
    (tmp_path / "in" / "notes.txt").write_text("no image")
    write_series(tmp_path / "in" / "series", 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


def records_of(folder: Path, start: str) -> dict[str, bytes]:
    """Return the text files of a run, with the start of all paths replaced."""
    files = folder_bytes(folder)
    names = ("detections.jsonl", "detections.csv", "findings.json")
    return {name: re.sub(rb"\b" + re.escape(start).encode() + b"/", b"START/", files[name]) for name in names}


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_store_gives_the_records_of_a_disk(
    scheme: str, images: Path, store: fsspec.AbstractFileSystem, medrov: Medrov
) -> None:
    if scheme == "memory":
        store.put(str(images), "/bucket/", recursive=True)
        address = "memory://bucket/in"
    else:
        address = images.as_uri()
    formats = ("--format", "csv,png,sr")
    assert medrov("detect", "in", *SMALL, *formats, "--output", "disk").exit_code == 3
    done = medrov("detect", address, *SMALL, *formats, "--output", "store", "--offline")
    assert done.exit_code == 3, done.stderr
    place = images.parent
    assert records_of(place / "store", address) == records_of(place / "disk", "in")
    pictures = [
        sorted(path.read_bytes() for path in (place / name).rglob("*.png")) for name in ("disk", "store")
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 9


def test_objects_patterns_and_absent_objects(
    images: Path, store: fsspec.AbstractFileSystem, medrov: Medrov
) -> None:
    store.put(str(images), "/bucket/", recursive=True)
    options = (*SMALL, "--format", "jsonl")
    one = medrov("detect", "memory://bucket/in/001.png", *options)
    assert [line["path"] for line in one.lines] == ["memory://bucket/in/001.png"]
    many = medrov("detect", "memory://bucket/in/00?.png", *options)
    assert [line["path"] for line in many.lines] == [f"memory://bucket/in/00{n}.png" for n in range(3)]
    none = medrov("detect", "memory://bucket/none.png", *options)
    assert none.exit_code == 4
    assert none.lines[0]["error"]["code"] == "not_found"


def test_compressed_objects_are_read(images: Path, store: fsspec.AbstractFileSystem, medrov: Medrov) -> None:
    store.pipe("/bucket/a.png.gz", gzip.compress((images / "001.png").read_bytes()))
    done = medrov("detect", "memory://bucket/a.png.gz", *SMALL, "--format", "jsonl")
    assert (done.exit_code, done.lines[0]["path"]) == (0, "memory://bucket/a.png.gz")


def test_the_network_is_refused_while_offline(medrov: Medrov) -> None:
    for scheme in ("s3", "gs"):
        done = medrov("detect", f"{scheme}://bucket/in", "--offline")
        assert (done.exit_code, f"an input {scheme}:// needs the network" in done.stderr) == (5, True)


def test_credentials_in_an_address_are_refused_and_not_repeated(medrov: Medrov) -> None:
    done = medrov("detect", "s3://key:secret@bucket/in", "--json")
    assert done.exit_code == 2
    assert "has credentials in its address" in done.json["error"]["message"]
    assert "secret" not in done.stdout + done.stderr


def test_errors_of_a_store_are_records_without_its_words(
    store: fsspec.AbstractFileSystem, medrov: Medrov, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pipe("/bucket/a.png", b"\x89PNG\r\n\x1a\n")

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("AWS_SECRET=abc")

    monkeypatch.setattr(type(store), "open", refuse)
    done = medrov("detect", "memory://bucket/a.png", *SMALL, "--format", "jsonl")
    assert done.exit_code == 4
    assert done.lines[0]["error"]["code"] == "unreadable"
    assert "(RuntimeError)" in done.lines[0]["error"]["message"]
    assert "abc" not in done.stdout + done.stderr


def test_a_missing_package_is_refused(medrov: Medrov, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrov_cli.core.base.optional.is_installed", lambda package: package != "s3fs")
    done = medrov("detect", "s3://bucket/in")
    assert done.exit_code == 2
    assert "needs s3fs, which is not installed" in " ".join(done.stderr.split())
