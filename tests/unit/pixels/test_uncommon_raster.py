"""PNG with large or damaged chunks, JPEG of more than 8 bits, AVIF, HEIC, and missing values of floats."""

from __future__ import annotations

import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from image_files import error_of, grey, read_all, read_one
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels.stored import stored_pixels

GREY = np.random.default_rng(0).integers(0, 256, (6, 8)).astype(np.uint8)


def png(values: np.ndarray[Any, Any] = GREY, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG", **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes, *, is_damaged: bool = False) -> bytes:
    checksum = zlib.crc32(kind + body) ^ is_damaged
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def insert(data: bytes, *chunks: bytes) -> bytes:
    """Insert chunks behind the header."""
    return data[:33] + b"".join(chunks) + data[33:]


LARGE = zlib.compress(bytes(3_000_000))


@pytest.mark.parametrize(
    ("chunks", "is_repaired"),
    [
        ([chunk(b"zTXt", b"key\0\0" + LARGE)], False),
        ([chunk(b"iTXt", b"key\0\1\0\0\0" + LARGE)], False),
        ([chunk(b"tEXt", b"key\0" + b"a" * 3_000_000)], False),
        ([chunk(b"iCCP", b"name\0\0" + LARGE)], False),
        ([chunk(b"iCCP", b"name\0\7" + LARGE)], False),
        ([chunk(b"iCCP", b"name\0\0 not deflated")], False),
        ([chunk(b"zTXt", b"key\0\0" + LARGE)] * 70, False),
        ([chunk(b"gAMA", b"")], False),
        ([chunk(b"tEXt", b"key\0text", is_damaged=True)], True),
        ([chunk(b"tRNS", b"\0\0", is_damaged=True)], True),
        ([chunk(b"acTL", b"\0\0\0\2\0\0\0\0", is_damaged=True)], True),
    ],
)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_chunks_that_the_pixels_do_not_need(
    tmp_path: Path, chunks: list[bytes], is_repaired: bool, depth: Any
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(insert(png(GREY.astype(depth)), *chunks))
    frame = read_one(path, "256,128" if depth is np.uint16 else "auto")
    assert grey(frame) == GREY.tolist()
    assert ["damaged" in warning for warning in frame.warnings] == [True] * is_repaired
    pixels = stored_pixels(path)
    assert pixels is not None
    assert pixels.shape == (6, 8, 3)


def test_chunks_that_the_pixels_need(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(GREY, transparency=3))
    assert any("transparency" in warning for warning in read_one(path).warnings)
    second = Image.fromarray(255 - GREY)
    Image.fromarray(GREY).save(path, save_all=True, append_images=[second])
    assert [grey(frame) for frame in read_all(path)] == [GREY.tolist(), (255 - GREY).tolist()]
    data = png()
    path.write_bytes(data[: data.find(b"IEND")])
    assert error_of(path).code is ErrorCode.TRUNCATED
    broken = bytearray(data)
    broken[data.find(b"IDAT") + 6] ^= 255
    path.write_bytes(broken)
    assert error_of(path).code is ErrorCode.DECODE_FAILED


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_damaged_exif_does_not_prevent_reading(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.bin"
    color = np.full((16, 16, 3), 90, np.uint8)
    Image.fromarray(color).save(path, kind, exif=b"Exif\0\0 not a TIFF header", quality=100)
    frame = read_one(path)
    assert np.abs(frame.pixels_rgb.astype(int) - color).max() <= 2
    assert ["EXIF" in warning for warning in frame.warnings] == [True] * (kind != "JPEG")


def jpeg(values: np.ndarray[Any, Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, level=100, **options))


def test_jpeg_of_twelve_bits(tmp_path: Path) -> None:
    values = np.add.outer(np.arange(16) * 100, np.arange(16) * 100).astype(np.uint16)
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(values, bitspersample=12))
    frame = read_one(path, "4096,2048")
    assert np.abs(np.array(grey(frame)) - values / 4095 * 255).max() <= 2
    assert error_of(path, pixels_per_frame=255).code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize("name", ["lossless", "ls"])
def test_jpeg_without_loss(tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(1).integers(0, 4000, (16, 16)).astype(np.uint16)
    encode = imagecodecs.jpegls_encode if name == "ls" else imagecodecs.ljpeg_encode
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(values))
    frame = read_one(path, "4096,2048")
    assert np.abs(np.array(grey(frame)) - values / 4095 * 255).max() <= 0.51


def test_cut_jpeg_has_no_stored_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    assert stored_pixels(path) is not None
    path.write_bytes(path.read_bytes()[:-500])
    assert stored_pixels(path) is None


def test_avif(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    color = np.zeros((48, 64, 3), np.uint8)
    color[:, 32:] = (200, 100, 50)
    Image.fromarray(color).save(path, quality=95)
    assert np.abs(read_one(path).pixels_rgb.astype(int) - color)[:, [5, 60]].max() < 8


def test_heic_without_a_decoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    error = error_of(path)
    assert (error.code, "HEIC" in error.message, "JPEG" in error.hint) == (
        ErrorCode.UNSUPPORTED_FORMAT,
        True,
        True,
    )


@pytest.mark.parametrize(
    "missing",
    [np.nan, -np.inf, np.finfo(np.float32).min, np.finfo(np.float32).max, -1e30, np.finfo(float).min],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_missing_values_do_not_count_for_the_window(tmp_path: Path, missing: float, kind: Any) -> None:
    values = np.linspace(0, 100, 400, dtype=kind).reshape(20, 20)
    expected = np.percentile(values[5:], (0.5, 99.5))
    with np.errstate(over="ignore"):
        values[:5] = kind(missing)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values)
    window = read_one(path).window
    assert window is not None
    assert (window.center, window.width) == pytest.approx(
        (expected.mean(), expected[1] - expected[0]), rel=1e-5
    )


def test_missing_value_of_gdal(tmp_path: Path) -> None:
    values = np.linspace(0, 100, 400).astype(np.int16).reshape(20, 20)
    expected = np.percentile(values[5:], (0.5, 99.5))
    values[:5] = -9999
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, extratags=[(42113, "s", 0, "-9999", True)])
    window = read_one(path).window
    assert window is not None
    assert window.center == pytest.approx(expected.mean())
