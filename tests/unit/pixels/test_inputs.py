"""From arguments to an ordered list of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_files import row, write_dicom
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.inputs import expand_inputs, visible_files
from medrov_cli.core.pixels.names import natural_key

PIXELS = row([0, 50, 100], "uint16")
AXIAL = [1, 0, 0, 0, 1, 0]


def names(*arguments: str | Path, stdin: list[str] | None = None, below: Path | None = None) -> list[str]:
    found = [found.path for found in expand_inputs([str(argument) for argument in arguments], stdin=stdin)]
    return found if below is None else [os.path.relpath(path, below) for path in found]


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    return path


def test_what_does_not_exist_stays() -> None:
    assert names("no/such.png", "none/*.png") == ["no/such.png", "none/*.png"]


def test_a_path_keeps_the_spelling_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    png(tmp_path / "a" / "1.png")
    monkeypatch.chdir(tmp_path)
    assert names("./a/1.png") == ["./a/1.png"]
    assert names("./a") == ["./a/1.png"]


def test_each_file_once_at_its_first_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = png(tmp_path / "1.png"), png(tmp_path / "2.png")
    assert names(second, tmp_path, f"{tmp_path}//2.png", below=tmp_path) == ["2.png", "1.png"]
    assert first.exists()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.png").symlink_to(first)
    assert names("1.png", first, "./1.png", "link.png", tmp_path) == ["1.png", "link.png", str(second)]


def test_a_folder_is_searched_recursively_in_natural_order(tmp_path: Path) -> None:
    for name in ("slice_10.png", "slice_2.png", "B.png", "a.png", "sub10/x.png", "sub9/x.png"):
        png(tmp_path / name)
    assert names(tmp_path, below=tmp_path) == [
        "a.png", "B.png", "slice_2.png", "slice_10.png", "sub9/x.png", "sub10/x.png",
    ]  # fmt: skip


def test_what_is_no_image_is_left_out_of_a_folder_but_not_of_the_arguments(tmp_path: Path) -> None:
    png(tmp_path / "a.png")
    (tmp_path / "labels.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("BMX and other text")
    (tmp_path / ".hidden.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "DICOMDIR").write_bytes(Path(write_dicom(tmp_path / "b.dcm", PIXELS)).read_bytes())
    (tmp_path / ".cache").mkdir()
    png(tmp_path / ".cache" / "thumb.png")
    assert names(tmp_path, below=tmp_path) == ["a.png", "b.dcm"]
    assert names(tmp_path / "labels.json", below=tmp_path) == ["labels.json"]


def test_content_counts_before_the_name_and_the_name_keeps_broken_files(tmp_path: Path) -> None:
    write_dicom(tmp_path / "IM0001", PIXELS)
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "text.png").write_text("no image")
    assert names(tmp_path, below=tmp_path) == ["empty.dcm", "IM0001", "text.png"]


def test_a_folder_without_images_stays_as_one_input(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing here")
    assert names(tmp_path) == [str(tmp_path)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    for name in ("a.png", "b.hdr", "c"):  # without a writer: opening one would not end
        os.mkfifo(tmp_path / name)
    pipes = [tmp_path / name for name in ("a.png", "b.hdr", "c")]
    assert names(*pipes, below=tmp_path) == ["a.png", "b.hdr", "c"]
    assert names(tmp_path, below=tmp_path) == ["a.png"]


def test_patterns(tmp_path: Path) -> None:
    for name in ("10.png", "9.png", "sub/1.png", "odd[1].png"):
        png(tmp_path / name)
    assert names(tmp_path / "*0.png", below=tmp_path) == ["10.png"]
    assert names(tmp_path / "[0-9]*.png", below=tmp_path) == ["9.png", "10.png"]
    assert names(tmp_path / "**" / "1.png", below=tmp_path) == ["sub/1.png"]
    assert names(tmp_path / "odd[1].png", below=tmp_path) == ["odd[1].png"]  # exists: no pattern


def test_a_dash_reads_paths_one_a_line(tmp_path: Path) -> None:
    png(tmp_path / "a b.png")
    lines = [f"{tmp_path}/a b.png\r\n", "\n", "missing.png\n", "*.png"]
    assert names("-", "last.png", stdin=lines) == [f"{tmp_path}/a b.png", "missing.png", "*.png", "last.png"]


def test_a_dash_without_standard_input_is_a_usage_error() -> None:
    with pytest.raises(MedrovError) as caught:
        expand_inputs(["-"])
    assert caught.value.code is ErrorCode.USAGE


def test_a_null_character_does_no_harm() -> None:
    assert names("a\0b.png") == ["a\0b.png"]


def slice_file(
    folder: Path, name: str, z: float | None, number: int, series: str = "1.2", **more: object
) -> None:
    position = {} if z is None else {"ImagePositionPatient": [0, 0, z], "ImageOrientationPatient": AXIAL}
    write_dicom(
        folder / name, PIXELS, SeriesInstanceUID=series, InstanceNumber=number, **{**position, **more}
    )


def test_a_series_is_ordered_by_position(tmp_path: Path) -> None:
    for name, z, number in (("a.dcm", 30, 1), ("b.dcm", -10, 2), ("c.dcm", 5.5, 3)):
        slice_file(tmp_path, name, z, number)
    assert names(tmp_path, below=tmp_path) == ["b.dcm", "c.dcm", "a.dcm"]


def test_the_position_is_taken_along_the_slice_normal(tmp_path: Path) -> None:
    # Sagittal slices: the normal is row x column = (0, 1, 0) x (0, 0, -1) = (-1, 0, 0).
    for name, x in (("a.dcm", -5), ("b.dcm", 0), ("c.dcm", 5)):
        slice_file(
            tmp_path,
            name,
            None,
            1,
            ImagePositionPatient=[x, 0, 0],
            ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        )
    assert names(tmp_path, below=tmp_path) == ["c.dcm", "b.dcm", "a.dcm"]


def test_series_and_orientations_are_kept_apart(tmp_path: Path) -> None:
    slice_file(tmp_path, "1.dcm", 9, 1, "1.1")
    slice_file(tmp_path, "2.dcm", 9, 1, "1.2")
    slice_file(tmp_path, "3.dcm", 3, 2, "1.1")
    slice_file(tmp_path, "4.dcm", 3, 2, "1.2")
    slice_file(tmp_path, "5.dcm", 0, 3, "1.1", ImageOrientationPatient=[0, 1, 0, 0, 0, -1])  # a localizer
    png(tmp_path / "1.png")
    assert names(tmp_path, below=tmp_path) == ["3.dcm", "1.dcm", "1.png", "4.dcm", "2.dcm", "5.dcm"]


def test_without_positions_the_instance_number_decides(tmp_path: Path) -> None:
    slice_file(tmp_path, "a.dcm", 1, 3)
    slice_file(tmp_path, "b.dcm", None, 1)
    slice_file(tmp_path, "c.dcm", None, 2)
    # One file without an orientation is another stack; give all three the same.
    for name in ("b.dcm", "c.dcm"):
        slice_file(tmp_path, name, None, {"b.dcm": 1, "c.dcm": 2}[name], ImageOrientationPatient=AXIAL)
    assert names(tmp_path, below=tmp_path) == ["b.dcm", "c.dcm", "a.dcm"]


def test_an_emptied_series_uid_does_not_lose_the_order(tmp_path: Path) -> None:
    for name, z in (("a.dcm", 30), ("b.dcm", -10), ("c.dcm", 5)):
        slice_file(tmp_path, name, z, 1, series="")
    assert names(tmp_path, below=tmp_path) == ["b.dcm", "c.dcm", "a.dcm"]


def test_a_broken_file_stays_and_does_not_disturb_the_series(tmp_path: Path) -> None:
    slice_file(tmp_path, "a.dcm", 30, 1)
    slice_file(tmp_path, "c.dcm", 5, 2)
    (tmp_path / "b.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:150])
    assert names(tmp_path, below=tmp_path) == ["c.dcm", "a.dcm", "b.dcm"]


@given(st.lists(st.text(max_size=8), max_size=8))
def test_natural_order_is_a_total_order(texts: list[str]) -> None:
    backwards = texts[::-1]
    assert sorted(texts, key=natural_key) == sorted(backwards, key=natural_key)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_are_ordered_as_numbers(first: int, second: int) -> None:
    names_in_order = sorted([f"a{first}b", f"a{second}b"], key=natural_key)
    assert names_in_order == [f"a{number}b" for number in sorted([first, second])]


class _Stdin:
    """Standard input of given bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = BytesIO(data)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_list_of_paths_in_any_encoding(encoding: str, end: str) -> None:
    text = f"a.png{end}{end}höhle 1.png{end}"
    inputs = expand_inputs(["-"], stdin=_Stdin(text.encode(encoding)))
    assert [item.path for item in inputs] == ["a.png", "höhle 1.png"]


def test_long_lists_are_read_in_parts() -> None:
    names = [f"{number:06d}-ä.png" for number in range(20_000)]
    stdin = _Stdin("\n".join(names).encode())
    assert [item.path for item in expand_inputs(["-"], stdin=stdin)] == names


def test_lists_without_line_ends_are_refused() -> None:
    with pytest.raises(MedrovError, match="a path of more than"):
        expand_inputs(["-"], stdin=_Stdin(b"a" * (1 << 21)))


def test_list_of_paths_keeps_bytes_that_are_no_text() -> None:
    inputs = expand_inputs(["-"], stdin=_Stdin(b"\xef\xbb\xbfa\xff.png\nb.png\n"))
    assert [os.fsencode(item.path) for item in inputs] == [b"a\xff.png", b"b.png"]


@pytest.mark.parametrize("end", [b"\0", b""])
def test_list_with_null_characters(end: bytes) -> None:
    data = b"a\nb.png\0 c .png\0\0d\xff\r\0a\0b" + end
    inputs = expand_inputs(["-"], stdin=_Stdin(data), ends_with_null=True)
    assert [os.fsencode(item.path) for item in inputs] == [b"a\nb.png", b" c .png", b"d\xff\r", b"a", b"b"]


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    study, pool = tmp_path / "study", tmp_path / "pool"
    for folder in (study / "own", pool / "deep", study / ".hidden"):
        folder.mkdir(parents=True)
    for path in (study / "own/a.png", pool / "deep/b.png", study / ".hidden/c.png"):
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, target in (
        ("alias", study / "own"),  # a folder that has a path of its own below the study
        ("far", pool),
        ("far again", pool),
        ("loop", study),
        ("shown", study / ".hidden"),
        ("nowhere", tmp_path / "missing"),
    ):
        (study / name).symlink_to(target)
    found = [item.path for item in expand_inputs([str(study)])]
    assert found == [str(study / name) for name in ("far/deep/b.png", "own/a.png", "shown/c.png")]
    assert visible_files(study, lambda path: path.suffix == ".png") == [
        "far/deep/b.png",
        "own/a.png",
        "shown/c.png",
    ]


def test_linked_folder_as_an_argument(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [item.path for item in expand_inputs([str(tmp_path / "link")])] == [str(tmp_path / "link/a.png")]
