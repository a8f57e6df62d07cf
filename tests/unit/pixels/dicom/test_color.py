"""Colour DICOM images to 8-bit RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_files import error_of, read_all, read_one, row, write_dicom
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.records.frame import Window

COLORS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]], dtype=np.uint8)


def palette(entries: dict[str, list[int]], first: int, bits: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel, values in entries.items():
        attributes[f"{channel}PaletteColorLookupTableDescriptor"] = [len(values), first, bits]
        attributes[f"{channel}PaletteColorLookupTableData"] = np.array(
            values, dtype=f"<u{bits // 8}"
        ).tobytes()
    return attributes


def test_rgb_is_left_alone(tmp_path: Path) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", COLORS))
    assert (frame.pixels_rgb == COLORS).all()
    assert frame.window == Window("none")
    assert frame.pixels_rgb.flags.c_contiguous


def test_rgb_by_plane(tmp_path: Path) -> None:
    planes = np.ascontiguousarray(np.moveaxis(COLORS, -1, 0)).reshape(2, 2, 3)
    frame = read_one(write_dicom(tmp_path / "a.dcm", planes, PlanarConfiguration=1))
    assert (frame.pixels_rgb == COLORS).all()


@pytest.mark.parametrize("bits", [12, 16])
def test_deep_rgb_is_scaled(tmp_path: Path, bits: int) -> None:
    full = 2**bits - 1
    pixels = np.array([[[0, full // 2, full]]], dtype=np.uint16)
    frame = read_one(write_dicom(tmp_path / "a.dcm", pixels, BitsStored=bits, HighBit=bits - 1))
    assert frame.pixels_rgb.tolist() == [[[0, 127, 255]]]  # half of full, less than half of a step


def test_ybr_full(tmp_path: Path) -> None:
    # PS3.3 C.7.6.3.1.2: red is Y 76.2, Cb 84.97, Cr 255.5
    pixels = np.array([[[76, 85, 255], [128, 128, 128]]], dtype=np.uint8)
    frame = read_one(write_dicom(tmp_path / "a.dcm", pixels, PhotometricInterpretation="YBR_FULL"))
    assert frame.pixels_rgb.tolist() == [[[254, 0, 0], [128, 128, 128]]]
    assert frame.warnings == ()


@pytest.mark.parametrize("factor", [1, 256, 257], ids=["8 bit in 16", "high byte", "full scale"])
def test_palette_of_16_bits_whatever_its_scale(tmp_path: Path, factor: int) -> None:
    entries = {
        name: [value * factor for value in values]
        for name, values in {"Red": [255, 0, 200], "Green": [0, 100, 201], "Blue": [7, 8, 129]}.items()
    }
    frame = read_one(
        write_dicom(tmp_path / "a.dcm", row([0, 5, 6, 7, 9], "uint8"), **palette(entries, 5, 16))
    )
    # The first mapped value is 5; values outside get the ends.
    assert frame.pixels_rgb.tolist() == [
        [[255, 0, 7], [255, 0, 7], [0, 100, 8], [200, 201, 129], [200, 201, 129]]
    ]


def test_palette_with_more_than_256_entries_of_8_bits(tmp_path: Path) -> None:
    ramp = [index % 256 for index in range(300)]
    entries = {"Red": ramp, "Green": ramp, "Blue": ramp}
    frame = read_one(
        write_dicom(tmp_path / "a.dcm", row([0, 255, 256, 299], "uint16"), **palette(entries, 0, 8))
    )
    assert frame.pixels_rgb[0, :, 0].tolist() == [0, 255, 0, 43]


def test_segmented_palette(tmp_path: Path) -> None:
    # PS3.3 C.7.9.2: discrete segment of 1 entry (0), then a linear one of 3 entries up to 30.
    segments = bytes([0, 1, 0, 1, 3, 30])
    attributes: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel in ("Red", "Green", "Blue"):
        attributes[f"{channel}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        attributes[f"Segmented{channel}PaletteColorLookupTableData"] = segments
    frame = read_one(write_dicom(tmp_path / "a.dcm", row([0, 1, 2, 3], "uint8"), **attributes))
    assert frame.pixels_rgb[0, :, 2].tolist() == [0, 10, 20, 30]


def test_a_palette_image_without_its_palette(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([0, 1], "uint8"), PhotometricInterpretation="PALETTE COLOR")
    error = error_of(path)
    assert (error.code, "palette" in error.message) == (ErrorCode.BAD_METADATA, True)


def test_a_window_is_left_out_of_colour_with_a_sentence(tmp_path: Path) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", COLORS), "lung")
    assert (frame.pixels_rgb == COLORS).all()
    assert any("colour" in warning for warning in frame.warnings)


def test_frames(tmp_path: Path) -> None:
    frames = read_all(write_dicom(tmp_path / "a.dcm", np.stack([COLORS, 255 - COLORS])))
    assert [frame.index for frame in frames] == [0, 1]
    assert (frames[1].pixels_rgb == 255 - COLORS).all()
