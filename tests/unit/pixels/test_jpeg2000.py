"""JPEG 2000: files and codestreams, depth, colours, transparency and channels."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from image_files import error_of, grey, read_all, read_one
from medrov_cli.core.base.errors import ErrorCode

RNG = np.random.default_rng(3)


def save(tmp_path: Path, data: bytes, name: str = "a.jp2") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def encoded(values: np.ndarray[Any, Any], codec: str = "jp2", **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(values, level=0, reversible=True, codecformat=codec, **options))


@pytest.mark.parametrize("codec", ["jp2", "j2k"])
def test_eight_bits_are_unchanged(tmp_path: Path, codec: str) -> None:
    color = RNG.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    assert read_one(save(tmp_path, encoded(color, codec))).pixels_rgb.tolist() == color.tolist()
    values = RNG.integers(0, 256, (9, 7)).astype(np.uint8)
    assert grey(read_one(save(tmp_path, encoded(values, codec)))) == values.tolist()


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_deep_values_get_a_window(tmp_path: Path, kind: Any) -> None:
    values = RNG.integers(-500 if kind is np.int16 else 0, 4000, (9, 7)).astype(kind)
    frame = read_one(save(tmp_path, encoded(values)), "4096,1748")
    expected = np.clip((values - 1747.5) / 4095 + 0.5, 0, 1) * 255
    assert np.abs(np.array(grey(frame)) - expected).max() <= 0.5


def test_fewer_bits_are_spread(tmp_path: Path) -> None:
    values = np.array([[0, 5], [10, 15]] * 8, dtype=np.uint8)
    frame = read_one(save(tmp_path, encoded(values, bitspersample=4)))
    assert grey(frame)[:2] == [[0, 85], [170, 255]]


def test_channels_that_are_no_transparency_are_frames(tmp_path: Path) -> None:
    values = RNG.integers(0, 256, (9, 7, 2)).astype(np.uint8)
    frames = read_all(save(tmp_path, encoded(values)))
    assert [grey(frame) for frame in frames] == [values[..., 0].tolist(), values[..., 1].tolist()]
    assert any("channels" in warning for warning in frames[0].warnings)


def test_transparency_is_left_out(tmp_path: Path) -> None:
    """Pillow writes the definition of the channels (cdef)."""
    color = RNG.integers(0, 256, (9, 7, 4)).astype(np.uint8)
    path = tmp_path / "a.jp2"
    Image.fromarray(color).save(path)
    assert b"cdef" in path.read_bytes()
    frame = read_one(path)
    assert frame.pixels_rgb.tolist() == color[..., :3].tolist()
    assert ["transparency" in warning for warning in frame.warnings] == [True]


def test_limits_and_damage(tmp_path: Path) -> None:
    data = bytearray(encoded(RNG.integers(0, 256, (9, 7, 3)).astype(np.uint8)))
    path = save(tmp_path, bytes(data[:100]))
    assert error_of(path).code in (ErrorCode.TRUNCATED, ErrorCode.DECODE_FAILED)
    path = save(tmp_path, bytes(data))
    assert error_of(path, pixels_per_frame=62).code is ErrorCode.TOO_LARGE
    assert error_of(path, inflated_bytes=9 * 7 * 3 * 4 - 1).code is ErrorCode.TOO_LARGE
    at = data.find(b"\xff\x4f\xff\x51")
    struct.pack_into(">2I", data, at + 8, 1 << 31, 1 << 31)
    assert error_of(save(tmp_path, bytes(data))).code is ErrorCode.TOO_LARGE
