"""Lookup tables whose descriptor does not fit their data, and padding with the wrong sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from image_files import dicom_dataset, grey, item, read_one, row, write_dicom


def table(
    entries: bytes, descriptor: tuple[int, int, int], vr: str = "OW", descriptor_vr: str = "US"
) -> Dataset:
    """Return a VOI LUT item with any data and descriptor."""
    found = Dataset()
    found.add_new("LUTDescriptor", descriptor_vr, list(descriptor))
    found.add_new("LUTData", vr, entries if vr in ("OW", "OB") else np.frombuffer(entries, "<u2").tolist())
    return found


def words(*values: int) -> bytes:
    """Return 16-bit little-endian words."""
    return np.array(values, "<u2").tobytes()


@pytest.mark.parametrize(
    ("lut", "expected", "word"),
    [
        (table(words(0, 341, 682, 1023), (4, 0, 16)), [0, 85, 170, 255], "descriptor"),
        (table(words(0, 341, 682, 1023), (4, 0, 8)), [0, 85, 170, 255], "descriptor"),
        (table(words(0, 341, 682, 1023), (4, 0, 10)), [0, 85, 170, 255], ""),
        (table(words(0, 341, 682, 511), (4, 0, 10)), [0, 85, 170, 127], ""),
        (table(words(0, 341, 1023), (4, 0, 10)), [0, 85, 255, 255], "fewer entries"),
        (table(words(0, 341, 682, 1023, 7, 7), (4, 0, 10)), [0, 85, 170, 255], ""),
        (table(bytes([0, 85, 170, 255]), (4, 0, 8)), [0, 85, 170, 255], ""),
        (table(bytes([0, 85, 170, 255]), (4, 0, 8), "US"), [0, 85, 170, 255], ""),
        (table(bytes([0, 85, 170, 255]), (4, 0, 8), "OB"), [0, 85, 170, 255], ""),
        (table(words(0, 85, 170, 255), (4, 0, 8), "US"), [0, 85, 170, 255], ""),
    ],
)
def test_the_entries_decide(tmp_path: Path, lut: Dataset, expected: list[int], word: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([0, 1, 2, 3], "uint16"), VOILUTSequence=[lut])
    frame = read_one(path, "tag")
    assert grey(frame) == [expected]
    assert (word in " ".join(frame.warnings), bool(frame.warnings)) == (True, bool(word))


def test_packed_entries_of_big_endian_have_the_first_in_the_low_byte(tmp_path: Path) -> None:
    pixels = row([0, 1, 2, 3], "uint16")
    dataset = dicom_dataset(pixels, VOILUTSequence=[table(bytes([85, 0, 255, 170]), (4, 0, 8))])
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = pixels.astype(">u2").tobytes()
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert grey(read_one(tmp_path / "a.dcm", "tag")) == [[0, 85, 170, 255]]


@pytest.mark.parametrize(
    ("pixels", "first", "vr", "rescale"),
    [
        (row([40000, 40001], "uint16"), 40000 - 65536, "SS", {}),
        (row([-1000, -999], "int16"), 65536 - 1000, "US", {}),
        (row([24, 25], "uint16"), 65536 - 1000, "US", {"RescaleSlope": 1, "RescaleIntercept": -1024}),
        (row([0, 1], "uint16"), 40000 - 65536, "SS", {"RescaleSlope": 1, "RescaleIntercept": 40000}),
    ],
)
def test_the_first_value_has_the_sign_of_its_inputs(
    tmp_path: Path, pixels: Any, first: int, vr: str, rescale: dict[str, int]
) -> None:
    lut = table(words(0, 255), (2, first, 8), descriptor_vr=vr)
    assert grey(
        read_one(write_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=[lut], **rescale), "tag")
    ) == [[0, 255]]


def test_a_modality_lut_of_16_bits_keeps_its_values(tmp_path: Path) -> None:
    lut = table(words(0, 50, 100), (3, 0, 16))
    path = write_dicom(tmp_path / "a.dcm", row([0, 1, 2], "uint16"), ModalityLUTSequence=[lut])
    frame = read_one(path, "101,50")
    assert grey(frame) == [[1, 129, 255]]  # ((x - 49.5) / 100 + 0.5) * 255
    assert frame.warnings == ()


@pytest.mark.parametrize(
    ("pixels", "padding"),
    [
        (row([63536, 0, 50, 100], "uint16"), {"PixelPaddingValue": ("SS", -2000)}),
        (row([-2000, 0, 50, 100], "int16"), {"PixelPaddingValue": ("US", 63536)}),
        (row([200, 0, 50, 100], "uint8"), {"PixelPaddingValue": ("US", 200)}),
        (
            row([63530, 63536, 0, 50, 100], "uint16"),
            {"PixelPaddingValue": ("SS", -2000), "PixelPaddingRangeLimit": ("SS", -2010)},
        ),
    ],
)
def test_padding_has_the_sign_of_the_pixels(
    tmp_path: Path, pixels: Any, padding: dict[str, tuple[str, int]]
) -> None:
    dataset = dicom_dataset(pixels, RescaleSlope=2, RescaleIntercept=0)
    for keyword, (vr, value) in padding.items():
        dataset.add_new(keyword, vr, value)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert grey(read_one(tmp_path / "a.dcm"))[0][-3:] == [0, 128, 255]


@pytest.mark.parametrize(("dtype", "prefix"), [("float32", "Float"), ("float64", "DoubleFloat")])
def test_padding_of_floating_point_pixels(tmp_path: Path, dtype: str, prefix: str) -> None:
    pixels = row([-1e6, -2e6, 0, 50, 100], dtype)
    dataset = dicom_dataset(pixels)
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    setattr(dataset, f"{prefix}PixelData", pixels.tobytes())
    setattr(dataset, f"{prefix}PixelPaddingValue", -1e6)
    setattr(dataset, f"{prefix}PixelPaddingRangeLimit", -2e6)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert grey(read_one(tmp_path / "a.dcm"))[0][-3:] == [0, 128, 255]


def test_palettes_of_different_lengths_repeat_their_last_entry(tmp_path: Path) -> None:
    palettes = {}
    for name, entries in (("Red", [0, 85, 170, 255]), ("Green", [10, 20]), ("Blue", [1, 2, 3, 4])):
        palettes[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        palettes[f"{name}PaletteColorLookupTableData"] = bytes(entries)
    path = write_dicom(
        tmp_path / "a.dcm",
        row([0, 1, 2, 3], "uint8"),
        PhotometricInterpretation="PALETTE COLOR",
        **palettes,
    )
    frame = read_one(path)
    assert frame.pixels_rgb[0].tolist() == [[0, 10, 1], [85, 20, 2], [170, 20, 3], [255, 20, 4]]
    assert any("fewer entries" in warning for warning in frame.warnings)


def test_a_window_of_a_sequence_item_is_repaired_too(tmp_path: Path) -> None:
    shared = item(FrameVOILUTSequence=[item(WindowCenter=50, WindowWidth=101)])
    path = write_dicom(
        tmp_path / "a.dcm", row([0, 50, 100], "uint16"), SharedFunctionalGroupsSequence=[shared]
    )
    assert grey(read_one(path, "tag")) == [[1, 129, 255]]
