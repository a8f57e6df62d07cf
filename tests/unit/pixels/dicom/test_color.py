"""Colour DICOM images to 8-bit RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from image_files import dicom_dataset, error_of, read_all, read_one, row, write_dicom
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


def segmented(count: int, first: int, bits: int, segments: list[int]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    data = np.array(segments, dtype=f"<u{bits // 8}").tobytes()
    for channel in ("Red", "Green", "Blue"):
        attributes[f"{channel}PaletteColorLookupTableDescriptor"] = [count, first, bits]
        attributes[f"Segmented{channel}PaletteColorLookupTableData"] = data
    return attributes


def test_segmented_palette(tmp_path: Path) -> None:
    # PS3.3 C.7.9.2: discrete segment of 1 entry (0), then a linear one of 3 entries up to 30.
    attributes = segmented(4, 0, 8, [0, 1, 0, 1, 3, 30])
    frame = read_one(write_dicom(tmp_path / "a.dcm", row([0, 1, 2, 3], "uint8"), **attributes))
    assert frame.pixels_rgb[0, :, 2].tolist() == [0, 10, 20, 30]


def test_a_segmented_palette_of_bytes_for_more_than_256_values(tmp_path: Path) -> None:
    attributes = segmented(300, 0, 8, [0, 1, 0, 1, 255, 255, 1, 44, 211])
    frame = read_one(write_dicom(tmp_path / "a.dcm", row([0, 255, 256, 299], "uint16"), **attributes))
    assert frame.pixels_rgb[0, :, 0].tolist() == [0, 255, 254, 211]


def test_the_first_value_of_a_segmented_palette_has_the_sign_of_the_pixels(tmp_path: Path) -> None:
    dataset = dicom_dataset(row([-128, 0, 127], "int8"), **segmented(256, 0, 8, [0, 1, 0, 1, 255, 255]))
    for channel in ("Red", "Green", "Blue"):
        dataset.add_new(f"{channel}PaletteColorLookupTableDescriptor", "US", [256, 65408, 8])
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert read_one(tmp_path / "a.dcm").pixels_rgb[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("unit", [2, 1], ids=["bytes, as the standard", "words, as pydicom"])
def test_an_indirect_segment_repeats_others(tmp_path: Path, unit: int) -> None:
    # Two entries, a line of four down to 0, one of two up; then the line down again, from its place.
    segments = [0, 2, 0, 25600, 1, 4, 0, 1, 2, 25600, 2, 1, 4 * unit, 0]
    attributes = segmented(12, 0, 16, segments)
    frame = read_one(write_dicom(tmp_path / "a.dcm", row(list(range(12)), "uint8"), **attributes))
    assert frame.pixels_rgb[0, :, 0].tolist() == [0, 100, 75, 50, 25, 0, 50, 100, 75, 50, 25, 0]


@pytest.mark.parametrize("segments", [[0, 9, 1], [1, 3, 30], [7, 1, 2], [0, 1]])
def test_malformed_segments(tmp_path: Path, segments: list[int]) -> None:
    error = error_of(write_dicom(tmp_path / "a.dcm", row([0, 1], "uint8"), **segmented(4, 0, 8, segments)))
    assert (error.code, "palette" in error.message) == (ErrorCode.BAD_METADATA, True)


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


@pytest.mark.parametrize("stated", [None, 1, 2])
def test_subsampled_chroma_of_frames_that_are_not_stated(tmp_path: Path, stated: int | None) -> None:
    dataset = dicom_dataset(np.zeros((2, 4, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422")
    if stated is not None:
        dataset.NumberOfFrames = stated
    one = bytes([50, 60, 128, 128] * 4)  # Y1, Y2, Cb, Cr of two pixels
    dataset.PixelData = one + one
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    frames = read_all(tmp_path / "a.dcm")
    assert len(frames) == (stated or 2)
    assert all(frame.pixels_rgb[:, :, 0].tolist() == [[50, 60, 50, 60]] * 2 for frame in frames)
    assert not any("chroma" in warning for warning in frames[0].warnings)


def test_deep_chroma_without_compression_is_refused_by_name(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", COLORS.astype(np.uint16), PhotometricInterpretation="YBR_FULL")
    error = error_of(path)
    assert (error.code, "YBR" in error.message) == (ErrorCode.UNSUPPORTED_FORMAT, True)
