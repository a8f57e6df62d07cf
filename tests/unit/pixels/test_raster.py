"""PNG, JPEG, WebP, BMP and GIF."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from image_files import error_of, grey, read_all, read_one, row
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.records.frame import Window

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize(("name", "options"), [("a.png", {}), ("a.bmp", {}), ("a.webp", {"lossless": True})])
def test_eight_bits_are_left_alone(tmp_path: Path, name: str, options: dict[str, bool]) -> None:
    Image.fromarray(RGB).save(tmp_path / name, **options)
    frame = read_one(tmp_path / name)
    assert (frame.pixels_rgb == RGB).all()
    assert frame.window == Window("none")
    assert (frame.modality, frame.pixel_spacing_mm, frame.identifiers, frame.warnings) == (
        None,
        None,
        None,
        (),
    )
    assert frame.pixels_rgb.flags.c_contiguous


def test_jpeg(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(0, 240, 8, dtype=np.uint8)[None, :, None], (20, 30, 3))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    difference = read_one(tmp_path / "a.jpg").pixels_rgb.astype(int) - smooth
    assert np.abs(difference).max() < 8


def test_colours_are_in_the_order_red_green_blue(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[[255, 0, 0]]], dtype=np.uint8))  # OpenCV: blue
    assert read_one(tmp_path / "a.png").pixels_rgb.tolist() == [[[0, 0, 255]]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    image.save(tmp_path / "a.png")
    frame = read_one(tmp_path / "a.png")
    assert (frame.pixels_rgb == np.asarray(image.convert("RGB"))).all()
    assert any("transparency" in warning for warning in frame.warnings) is (mode in ("LA", "RGBA"))


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = read_one(tmp_path / "a.jpg").pixels_rgb[8, 8].tolist()
    assert red > 250
    assert max(green, blue) < 5


def test_exif_orientation_leaves_the_pixel_grid_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    frame = read_one(tmp_path / "a.jpg")
    assert (frame.height, frame.width) == (20, 30)
    assert any("EXIF" in warning for warning in frame.warnings)


def test_sixteen_bits_keep_their_contrast(tmp_path: Path) -> None:
    # 1000..1999 would be one grey level of the high byte, and noise of the low byte.
    values = np.arange(1000, 2000, dtype=np.uint16).reshape(20, 50)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    frame = read_one(tmp_path / "a.png")
    # Percentiles of 0..999 at 0.5 and 99.5: 4.995 and 994.005.
    assert frame.window is not None
    assert (frame.window.source, frame.window.center, frame.window.width) == (
        "percentile", pytest.approx(1499.5), pytest.approx(989.01),
    )  # fmt: skip
    flat = np.array(grey(frame)).reshape(-1)
    assert (flat[0], flat[500], flat[999]) == (0, 128, 255)  # (1500 - 1004.995) / 989.01 * 255 = 127.6
    assert (np.diff(flat) >= 0).all()


def test_sixteen_bit_colour_keeps_its_balance(tmp_path: Path) -> None:
    values = np.zeros((10, 10, 3), dtype=np.uint16)
    values[:5] = (60_000, 30_000, 0)
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    frame = read_one(tmp_path / "a.png")
    assert frame.pixels_rgb[0, 0].tolist() == [255, 128, 0]
    assert frame.pixels_rgb[9, 9].tolist() == [0, 0, 0]


def test_sixteen_bit_alpha_is_left_out(tmp_path: Path) -> None:
    values = np.full((4, 4, 4), 65535, dtype=np.uint16)
    values[0, :, :3] = 0
    values[..., 3] = 5
    cv2.imwrite(str(tmp_path / "a.png"), values)
    frame = read_one(tmp_path / "a.png")
    assert grey(frame)[:2] == [[0] * 4, [255] * 4]
    assert any("transparency" in warning for warning in frame.warnings)


def test_windows_on_images_that_are_not_dicom(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), row([0, 100, 199, 60_000], "uint16"))
    custom = read_one(tmp_path / "deep.png", "100,150")
    assert grey(custom) == [[0, 0, 255, 255]]
    assert custom.window == Window("custom", None, 150, 100)
    preset = read_one(tmp_path / "deep.png", "lung")
    assert preset.window is not None
    assert preset.window.source == "percentile"
    assert any("Hounsfield" in warning for warning in preset.warnings)
    Image.fromarray(RGB).save(tmp_path / "a.png")
    plain = read_one(tmp_path / "a.png", "lung")
    assert (plain.pixels_rgb == RGB).all()
    assert any("window" in warning for warning in plain.warnings)


@pytest.mark.parametrize(("name", "options"), [("a.gif", {}), ("a.webp", {"lossless": True}), ("a.png", {})])
def test_animations_give_frames(tmp_path: Path, name: str, options: dict[str, bool]) -> None:
    images = [Image.fromarray(np.full((8, 8), level, np.uint8)).convert("RGB") for level in (10, 100, 200)]
    images[0].save(tmp_path / name, save_all=True, append_images=images[1:], **options)
    frames = read_all(tmp_path / name)
    assert [(frame.index, frame.frame_count) for frame in frames] == [(0, 3), (1, 3), (2, 3)]
    assert [int(frame.pixels_rgb[4, 4, 0]) for frame in frames] == [10, 100, 200]
    assert error_of(tmp_path / name, frames=2).code is ErrorCode.TOO_LARGE


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def turned_exif() -> bytes:
    """Return EXIF data with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize(
    ("kind", "data", "word"),
    [
        (b"eXIf", turned_exif(), "EXIF orientation"),
        (b"eXIf", b"MM\0*\0", "EXIF data are damaged"),
        (b"acTL", struct.pack(">II", 2, 0), "first frame"),
        (b"acTL", struct.pack(">II", 1, 0), None),
    ],
)
def test_what_is_not_applied_to_sixteen_bits_is_a_warning(
    tmp_path: Path, kind: bytes, data: bytes, word: str | None
) -> None:
    written = cv2.imencode(".png", row([0, 100, 60_000], "uint16"))[1].tobytes()
    (tmp_path / "a.png").write_bytes(written[:33] + chunk(kind, data) + written[33:])
    warnings = read_one(tmp_path / "a.png").warnings
    assert len(warnings) == (word is not None)
    assert word is None or word in warnings[0]


def png(width: int, height: int, depth: int = 8) -> bytes:
    """Return a PNG that declares a size and holds a kilobyte of compressed zeros."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [8, 16])
def test_the_declared_size_is_checked_before_decoding(tmp_path: Path, depth: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png(100_000, 100_000, depth))
    error = error_of(tmp_path / "bomb.png")
    assert (error.code, "100000 x 100000" in error.message) == (ErrorCode.TOO_LARGE, True)


@pytest.mark.parametrize("name", ["a.webp", "a.bmp", "a.jpg", "a.gif", "a.png"])
def test_limits_hold_for_every_format(tmp_path: Path, name: str) -> None:
    Image.fromarray(RGB).save(tmp_path / name)
    assert error_of(tmp_path / name, pixels_per_frame=599).code is ErrorCode.TOO_LARGE
    assert read_one(tmp_path / name).height == 20


@pytest.mark.parametrize("name", ["a.webp", "a.bmp", "a.jpg", "a.png", "deep.png"])
def test_files_cut_short(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "deep.png":
        cv2.imwrite(str(path), RGB.astype(np.uint16) * 257)
    else:
        Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert error_of(path).code is ErrorCode.TRUNCATED


@pytest.mark.parametrize("depth", [8, 16])
def test_damaged_data(tmp_path: Path, depth: int) -> None:
    (tmp_path / "a.png").write_bytes(png(100, 100, depth))
    assert error_of(tmp_path / "a.png").code is ErrorCode.DECODE_FAILED
