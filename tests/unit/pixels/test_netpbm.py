"""Netpbm: text and binary files, sizes of values, several images, and PAM and PFM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_files import error_of, grey, read_all, read_one
from medrov_cli.core.base.errors import ErrorCode

GREY = np.array([[0, 1, 2], [253, 254, 255]], dtype=np.uint8)
COLOR = np.random.default_rng(0).integers(0, 256, (2, 3, 3)).astype(np.uint8)


def save(tmp_path: Path, data: bytes, name: str = "a.pgm") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def text(values: np.ndarray[Any, Any]) -> bytes:
    return " ".join(str(value) for value in values.ravel()).encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"P5\n3 2\n255\n" + GREY.tobytes(), GREY),
        (b"P5 # a comment\n# another\n3\t2 # and\n255\n" + GREY.tobytes(), GREY),
        (b"P2\n3 2\n255\n" + text(GREY), GREY),
        (b"P2\n# made by a test\n3 2 255\n0 1 2 # first row\n253 254 255", GREY),
        (b"P6\n3 2\n255\n" + COLOR.tobytes(), COLOR),
        (b"P3\n3 2\n255\n" + text(COLOR), COLOR),
        (b"P1\n3 2\n1 0 1\n001", np.array([[0, 255, 0], [255, 255, 0]])),
        (b"P4\n3 2\n" + bytes([0b10100000, 0b00100000]), np.array([[0, 255, 0], [255, 255, 0]])),
        (b"P2\n2 1\n15\n0 15", np.array([[0, 255]])),
        (b"P5\n3 1\n100\n\x00\x32\x64", np.array([[0, 128, 255]])),
        (
            b"P7\nWIDTH 3\nHEIGHT 2\n# x\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n" + GREY.tobytes(),
            GREY,
        ),
        (b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + COLOR.tobytes(), COLOR),
        (
            b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\0\1",
            np.array([[0, 255]]),
        ),
    ],
)
def test_values_of_eight_bits(tmp_path: Path, data: bytes, expected: np.ndarray[Any, Any]) -> None:
    frame = read_one(save(tmp_path, data))
    pixels = expected if expected.ndim == 3 else np.repeat(expected[..., np.newaxis], 3, 2)
    assert (frame.pixels_rgb.tolist(), frame.warnings) == (pixels.tolist(), ())


def test_values_of_sixteen_bits_are_most_significant_byte_first(tmp_path: Path) -> None:
    values = np.array([[0, 1000], [2000, 4095]])
    for data in (b"P5\n2 2\n4095\n" + values.astype(">u2").tobytes(), b"P2\n2 2\n4095\n" + text(values)):
        frame = read_one(save(tmp_path, data), "4096,2048")
        assert grey(frame) == np.rint((values + 0.5 - 0.5) / 4095 * 255).tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_begin_at_the_bottom(tmp_path: Path, order: str) -> None:
    values = np.array([[0.0, 0.5], [0.25, 1.0]])
    scale = b"-1.0" if order == "<" else b"1.0"
    data = b"Pf\n2 2\n" + scale + b"\n" + values[::-1].astype(f"{order}f4").tobytes()
    assert grey(read_one(save(tmp_path, data, "a.pfm"), "1,0.5")) == [[0, 128], [64, 255]]


def test_several_images_of_a_file_are_frames(tmp_path: Path) -> None:
    one = b"P5\n3 2\n255\n" + GREY.tobytes()
    frames = read_all(save(tmp_path, one + b"P6\n3 2\n255\n" + COLOR.tobytes()))
    assert [frame.frame_count for frame in frames] == [2, 2]
    assert (grey(frames[0]), frames[1].pixels_rgb.tolist()) == (GREY.tolist(), COLOR.tolist())


def test_channels_of_pam(tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 256, (2, 3, 2)).astype(np.uint8)
    head = b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 2\nMAXVAL 255\n"
    frames = read_all(save(tmp_path, head + b"TUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n" + values.tobytes()))
    assert ([grey(frame) for frame in frames], len(frames[0].warnings)) == ([values[..., 0].tolist()], 1)
    frames = read_all(save(tmp_path, head + b"TUPLTYPE energies\nENDHDR\n" + values.tobytes()))
    assert [grey(frame) for frame in frames] == [values[..., 0].tolist(), values[..., 1].tolist()]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"P5\n3 2\n255\n" + GREY.tobytes()[:-1], ErrorCode.TRUNCATED),
        (b"P2\n3 2\n255\n" + text(GREY)[:-4], ErrorCode.TRUNCATED),
        (b"P5\n3 2", ErrorCode.TRUNCATED),
        (b"P5\n3 2\n70000\n", ErrorCode.BAD_METADATA),
        (b"P5\n3 0\n255\n", ErrorCode.BAD_METADATA),
        (b"P5\n300000 200000\n255\n", ErrorCode.TOO_LARGE),
        (b"P2\n2 1\n255\n-1 3", ErrorCode.BAD_METADATA),
    ],
)
def test_wrong_file(tmp_path: Path, data: bytes, code: ErrorCode) -> None:
    assert error_of(save(tmp_path, data)).code is code
