"""TIFF of every depth, layout and compression that is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_files import error_of, grey, read_all, read_one, row
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.records.frame import Window

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
DEEP = np.arange(1000, 2000, dtype=np.uint16).reshape(20, 50)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd", "lzma", "jpeg2000"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_sixteen_bits_in_every_compression(tmp_path: Path, compression: str | None, bigtiff: bool) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", DEEP, compression=compression, photometric="minisblack", bigtiff=bigtiff
    )
    frame = read_one(tmp_path / "a.tif")
    flat = np.array(grey(frame)).reshape(-1)
    assert (flat[0], flat[500], flat[999]) == (0, 128, 255)
    assert frame.window is not None
    assert (frame.window.source, frame.window.width) == ("percentile", pytest.approx(989.01))


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"planarconfig": "separate"}, {"tile": (16, 16)}, {"byteorder": ">"}],
    ids=["plain", "zlib", "planes", "tiles", "big endian"],
)
def test_eight_bit_rgb_is_left_alone(tmp_path: Path, options: dict[str, Any]) -> None:
    pixels = np.moveaxis(RGB, -1, 0) if "planarconfig" in options else RGB
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", **options)
    frame = read_one(tmp_path / "a.tif")
    assert (frame.pixels_rgb == RGB).all()
    assert frame.window == Window("none")


def test_jpeg_in_tiff_is_rgb(tmp_path: Path) -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    tifffile.imwrite(tmp_path / "ycbcr.tif", red, photometric="rgb", compression="jpeg")
    Image.fromarray(red).save(tmp_path / "rgb.tif", compression="jpeg")
    for name, photometric in (("ycbcr.tif", 6), ("rgb.tif", 2)):
        with tifffile.TiffFile(tmp_path / name) as written:
            assert written.pages[0].photometric == photometric
        assert np.abs(read_one(tmp_path / name).pixels_rgb.astype(int) - red).max() < 4


def test_pages_are_frames_scaled_each_for_itself(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DEEP, DEEP * 2, DEEP * 3]), photometric="minisblack")
    frames = read_all(tmp_path / "a.tif")
    assert [(frame.index, frame.frame_count) for frame in frames] == [(0, 3), (1, 3), (2, 3)]
    widths = [frame.window.width for frame in frames if frame.window]
    assert widths == pytest.approx([989.01, 2 * 989.01, 3 * 989.01])


def test_reduced_pages_are_left_out(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
    assert read_one(tmp_path / "a.tif").height == 20


def test_miniswhite_is_inverted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", row([0, 100, 255], "uint8"), photometric="miniswhite")
    assert grey(read_one(tmp_path / "a.tif")) == [[255, 155, 0]]


def test_palette(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).convert("P")
    image.save(tmp_path / "a.tif")
    assert (read_one(tmp_path / "a.tif").pixels_rgb == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("compression", [None, "group4"])
def test_one_bit(tmp_path: Path, compression: str | None) -> None:
    image = Image.fromarray(RGB[..., 0] > 128)
    image.save(tmp_path / "a.tif", compression=compression)
    assert (read_one(tmp_path / "a.tif").pixels_rgb[..., 0] == np.asarray(image.convert("L"))).all()


def test_floats(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)[None]
    values[0, 500] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    flat = grey(read_one(tmp_path / "a.tif"))[0]
    assert (flat[0], flat[499], flat[500], flat[1000]) == (0, 127, 0, 255)


def test_alpha_is_left_out(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([RGB, RGB[..., :1]])).save(tmp_path / "a.tif")
    frame = read_one(tmp_path / "a.tif")
    assert (frame.pixels_rgb == RGB).all()
    assert any("transparency" in warning for warning in frame.warnings)


def test_cmyk_is_refused(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.tif")
    assert error_of(tmp_path / "a.tif").code is ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_files_cut_short(tmp_path: Path, kept: float, bigtiff: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([DEEP] * 5), photometric="minisblack", bigtiff=bigtiff)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert error_of(path).code is ErrorCode.TRUNCATED


def test_limits(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DEEP] * 3), photometric="minisblack", compression="zlib")
    assert error_of(tmp_path / "a.tif", pixels_per_frame=999).code is ErrorCode.TOO_LARGE
    assert error_of(tmp_path / "a.tif", frames=2).code is ErrorCode.TOO_LARGE


def test_pages_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb")
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[4:8], "little")
    after = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    data[after : after + 4] = first.to_bytes(4, "little")
    path.write_bytes(data)
    error = error_of(path)
    assert (error.code, "circle" in error.message) == (ErrorCode.TOO_LARGE, True)


@pytest.mark.parametrize(
    ("description", "behind"),
    [
        ("ImageJ=1.53\nimages=10\nslices=10\n", b""),
        ('{"shape": [5, 20, 50]}', b""),
        ("ImageJ=1.53\nimages=x\n", bytes(9999)),
        ('{"shape": "x"}', bytes(9999)),
    ],
)
def test_descriptions_of_another_image_are_ignored(tmp_path: Path, description: str, behind: bytes) -> None:
    """As a program leaves them that copies the tags of a stack to one of its planes, or of other text."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP, description=description, metadata=None, photometric="minisblack")
    path.write_bytes(path.read_bytes() + behind)
    assert (read_one(path).frame_count, read_one(path).height) == (1, 20)


def test_a_stack_that_ends_within_a_plane_is_truncated(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DEEP] * 3), imagej=True)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: -DEEP.nbytes * 3 // 2])
    assert error_of(tmp_path / "a.tif").code is ErrorCode.TRUNCATED


def test_an_orientation_is_not_applied_with_a_warning(tmp_path: Path) -> None:
    for value in (1, 6):
        Image.fromarray(RGB).save(tmp_path / "a.tif", tiffinfo={274: value})
        frame = read_one(tmp_path / "a.tif")
        assert (frame.pixels_rgb == RGB).all()
        assert ["orientation" in warning for warning in frame.warnings] == [True] * (value != 1)
