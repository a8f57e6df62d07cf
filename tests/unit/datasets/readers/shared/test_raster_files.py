"""Raster files: which there are, which bits they keep, and masks as the integers that they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.readers.shared.raster_files import (
    file_stems,
    raster_files,
    read_mask,
    read_raster_image,
)
from medrov_cli.core.datasets.source_file import png_bytes

DEEP = np.array([[0, 1, 256, 65535], [7, 4096, 300, 2]], np.uint16)


def test_files_come_in_natural_order_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/10.png", "b/2.PNG", "a.tif", ".hidden.png", ".cache/x.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert raster_files(tmp_path) == ["a.tif", "b/2.PNG", "b/10.png"]


def test_stems_are_plain_where_they_can_be() -> None:
    stems = file_stems(["a.png", "p1/img.png", "p2/IMG.png", "x y.png", "con.png", "ü/.png"])
    assert stems["a.png"] == "a"
    assert stems["x y.png"] == "x_y"
    assert stems["p1/img.png"].startswith("img-")
    assert stems["con.png"] != "con"


@given(st.lists(st.text(max_size=90).map(lambda text: text.replace("\0", "") + ".png"), unique=True))
def test_stems_are_safe_and_unique_whatever_the_names(paths: list[str]) -> None:
    stems = file_stems(paths)
    assert len({stem.casefold() for stem in stems.values()}) == len(paths)
    for stem in stems.values():
        assert stem.isascii()
        assert "/" not in stem
        assert 0 < len(stem) <= 80
        assert stem[0] not in ".-"


def test_eight_bit_png_and_jpeg_are_kept_as_they_are(tmp_path: Path) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(pixels).save(tmp_path / name)
        assert read_raster_image(tmp_path / name).original == tmp_path / name
    image = read_raster_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, pixels)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    image = read_raster_image(tmp_path / "a.tif")
    assert image.original is None
    np.testing.assert_array_equal(image.pixels, pixels)


def test_sixteen_bits_of_grey_stay_sixteen(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), DEEP)
    tifffile.imwrite(tmp_path / "b.tif", DEEP)
    tifffile.imwrite(tmp_path / "c.tif", 65535 - DEEP, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "d.tif", (DEEP.astype(np.int32) - 32768).astype(np.int16))
    for name in ("a.png", "b.tif", "c.tif", "d.tif"):
        image = read_raster_image(tmp_path / name)
        assert (image.pixels.dtype, image.original) == (np.uint16, None)
        np.testing.assert_array_equal(image.pixels, DEEP, err_msg=name)


def test_several_pictures_and_other_formats_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((2, 4, 4), np.uint8), photometric="minisblack")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("pages.tif", "text.png"):
        with pytest.raises(MedrovError) as caught:
            read_raster_image(tmp_path / name)
        assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    for number, pixels in enumerate((colour, np.repeat(colour[..., :1], 3, 2), DEEP)):
        (tmp_path / f"{number}.png").write_bytes(png_bytes(pixels))
        np.testing.assert_array_equal(read_raster_image(tmp_path / f"{number}.png").pixels, pixels)


VALUES = np.array([[0, 1, 2], [3, 0, 1]], np.uint8)


def _palette(path: Path) -> None:
    image = Image.fromarray(VALUES, mode="P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.save(path)


def _two_bits(path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + bytes([int(row[0]) << 6 | int(row[1]) << 4 | int(row[2]) << 2]) for row in VALUES)
    header = struct.pack(">IIBBBBB", 3, 2, 2, 0, 0, 0, 0)
    content = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*own) for own in content))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("grey.png", lambda path: Image.fromarray(VALUES).save(path)),
        ("palette.png", _palette),
        ("two_bits.png", _two_bits),
        ("sixteen.png", lambda path: cv2.imwrite(str(path), VALUES.astype(np.uint16))),
        ("rgb.png", lambda path: Image.fromarray(np.repeat(VALUES[..., None], 3, 2)).save(path)),
        ("grey.tif", lambda path: tifffile.imwrite(path, VALUES.astype(np.int32))),
    ],
)
def test_a_mask_is_the_values_of_its_file(tmp_path: Path, name: str, write: Any) -> None:
    write(tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name), VALUES)


def test_a_jpeg_mask_is_cut_at_the_middle(tmp_path: Path) -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    Image.fromarray(mask).save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.jpg"), mask > 0)


def test_a_mask_of_colours_or_floats_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[1, 2, 3]]], np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.full((2, 2), 0.5, np.float32))
    for name in ("a.png", "a.tif"):
        with pytest.raises(MedrovError) as caught:
            read_mask(tmp_path / name)
        assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT
