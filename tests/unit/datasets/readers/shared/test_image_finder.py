"""The image that an address of an annotation tool means."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.shared.image_finder import ImageFinder


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes())
    return folder


def found(folder: Path, address: str) -> str | ErrorCode:
    try:
        return ImageFinder(folder).find(address).relative_to(folder.absolute()).as_posix()
    except MedrovError as error:
        return error.code


@pytest.mark.parametrize(
    "address",
    [
        "set/b 1.png",
        "./set/b 1.png",
        "set/../set/b 1.png",
        "set\\b 1.png",
        "C:\\Users\\x\\set\\b 1.png",
        "\\\\server\\share\\set\\b 1.png",
        "/home/x/set/b 1.png",
        "b 1.png",
        " set/b 1.png ",
        "file:///home/x/set/b%201.png",
        "file:///C:/x/set/b%201.png",
        "https://host/bucket/set/b%201.png?X-Signature=abc&Expires=1",
        "s3://bucket/set/b%201.png",
        "gs://bucket/set/b%201.png#page=1",
        "/data/local-files/?d=set/b%201.png",
        "/data/upload/7/0123abcd-b%201.png",
        "set%2Fb%25201.png",
        "SET/B 1.PNG",
        "C:\\X\\B 1.PNG",
    ],
)
def test_an_address_means_the_one_file_that_fits(tmp_path: Path, address: str) -> None:
    folder = files(tmp_path / "images", "a.png", "set/b 1.png", "set/c.png")
    assert found(folder, address) == "set/b 1.png"


def test_characters_may_be_composed_or_not(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Höhle.png") for form in ("NFC", "NFD"))
    assert composed != apart
    assert found(files(tmp_path / "1", apart), composed) == apart
    assert found(files(tmp_path / "2", composed), apart) == composed
    assert found(files(tmp_path / "3", composed, apart), apart) == apart


def test_a_literal_name_comes_before_its_reading(tmp_path: Path) -> None:
    folder = files(tmp_path, "a%20b.png", "a b.png", "x#1.png", "y?z.png")
    assert found(folder, "a%20b.png") == "a%20b.png"
    assert found(folder, "x#1.png") == "x#1.png"
    assert found(folder, "y?z.png") == "y?z.png"


def test_folders_decide_between_files_of_one_name(tmp_path: Path) -> None:
    folder = files(tmp_path / "images", "p1/a.png", "p2/a.png", "p2/q/a.png")
    assert found(folder, "D:\\set\\p2\\a.png") == "p2/a.png"
    assert found(folder, "/x/P1/A.png") == "p1/a.png"
    assert found(folder, "q/a.png") == "p2/q/a.png"
    for ambiguous in ("a.png", "C:\\set\\a.png", "p3/a.png"):
        assert found(folder, ambiguous) is ErrorCode.NOT_FOUND
    assert found(files(tmp_path / "images", "a.png"), "a.png") == "a.png"
    assert found(folder, "/home/x/images/a.png") == "a.png"  # the folder's own name counts


def test_letter_case_decides_where_it_is_the_only_difference(tmp_path: Path) -> None:
    folder = files(tmp_path, "a.png", "A.png")
    assert (found(folder, "a.png"), found(folder, "A.png")) == ("a.png", "A.png")
    assert found(folder, "A.PNG") is ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    "address",
    [
        "../secret/a.png",
        "..\\secret\\a.png",
        "images/../../secret/a.png",
        "%2e%2e/secret/a.png",
        "{top}/secret/a.png",
    ],
)
def test_nothing_outside_of_the_folder_is_read(tmp_path: Path, address: str) -> None:
    files(tmp_path, "secret/a.png")
    folder = files(tmp_path / "images", "b.png")
    assert found(folder, address.format(top=tmp_path)) in (ErrorCode.NOT_FOUND, ErrorCode.BAD_METADATA)


def test_a_path_from_the_annotation_file_may_lead_to_the_folder(tmp_path: Path) -> None:
    folder = files(tmp_path / "images", "x/a.png", "y/a.png")
    finder = ImageFinder(folder, base=tmp_path / "annotations")
    assert finder.find("../images/y/a.png") == folder / "y" / "a.png"


def test_a_file_belongs_to_one_record(tmp_path: Path) -> None:
    folder = files(tmp_path, "a.png", "b.png")
    first, second, third, fourth = ImageFinder(folder).find_each(["a.png", "p1/a.png", "x/b.png", "y/b.png"])
    assert first == folder / "a.png"
    assert [type(own) for own in (second, third, fourth)] == [MedrovError] * 3
    assert ImageFinder(folder).unused([folder / "a.png"]) == ("b.png",)


def test_an_annotation_file_has_the_image_of_its_folder_or_its_stem(tmp_path: Path) -> None:
    folder = files(tmp_path, "p1/a.png", "p2/a.png", "p2/b.JPG")
    finder = ImageFinder(folder)
    assert finder.find_beside("p1/a.xml", "a.png") == folder / "p1" / "a.png"
    assert finder.find_beside("p2/a.xml", "..\\p2\\a.png") == folder / "p2" / "a.png"
    assert finder.find_beside("p2/B.xml", "") == folder / "p2" / "b.JPG"
    assert finder.find_beside("b.xml", "C:\\x\\renamed.png") == folder / "p2" / "b.JPG"
    with pytest.raises(MedrovError):
        finder.find_beside("c.xml", "c.png")
