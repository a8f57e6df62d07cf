"""The grey-scale chain of DICOM, on files with a few pixels and results computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from image_files import dicom_dataset, grey, item, read_all, read_one, row, write_dicom
from medrov_cli.core.records.frame import Window
from medrov_cli.core.settings.choices import Modality

HU = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}


def lut(entries: list[int], first: int, bits: int, vr: str = "US") -> Any:
    table = item(LUTData=entries)
    table["LUTData"].VR = vr
    table.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    return table


def test_stored_rescale_window(tmp_path: Path) -> None:
    # -160..240 HU: stored 864 is black, stored 1064 is 40 HU: (0.5 / 399 + 0.5) * 255 = 127.8
    path = write_dicom(
        tmp_path / "a.dcm", row([0, 864, 1064, 1263, 4000], "uint16"), WindowCenter=40, WindowWidth=400, **HU
    )
    frame = read_one(path, "tag")
    assert grey(frame) == [[0, 0, 128, 255, 255]]
    assert frame.window == Window("tag", "tag:1", 40, 400)
    assert frame.modality is Modality.CT


def test_monochrome1_is_inverted_last(tmp_path: Path) -> None:
    pixels = row([0, 864, 1064, 1263], "uint16")
    path = write_dicom(
        tmp_path / "a.dcm",
        pixels,
        WindowCenter=40,
        WindowWidth=400,
        PhotometricInterpretation="MONOCHROME1",
        **HU,
    )
    assert grey(read_one(path, "tag")) == [[255, 255, 127, 0]]


def test_signed_twelve_bits(tmp_path: Path) -> None:
    # Bit 12 to 15 are not part of the value: 0x0FFF is -1, 0x1001 is 1.
    pixels = row([0x0800, 0x0FFF, 0x0000, 0x1001, 0x07FF], "uint16").view("int16")
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=11, WindowCenter=0.5, WindowWidth=5)
    # LINEAR: (x / 4 + 0.5) * 255 for x = -2048, -1, 0, 1, 2047
    assert grey(read_one(path)) == [[0, 64, 128, 191, 255]]


@pytest.mark.parametrize(
    ("function", "expected"),
    [("LINEAR", [0, 64, 128, 191]), ("LINEAR_EXACT", [0, 51, 102, 153]), ("SIGMOID", [30, 59, 102, 153])],
)
def test_voi_lut_functions(tmp_path: Path, function: str, expected: list[int]) -> None:
    # By hand, of 255: linear x / 4 + 1/2, exact (x - 1/2) / 5 + 1/2, sigmoid 1 / (1 + exp(4/5 (1/2 - x))).
    pixels = row([-2, -1, 0, 1], "int16")
    path = write_dicom(tmp_path / "a.dcm", pixels, WindowCenter=0.5, WindowWidth=5, VOILUTFunction=function)
    assert grey(read_one(path)) == [expected]


def test_modality_lut_then_voi_lut(tmp_path: Path) -> None:
    # stored 10..13 -> 0, 100, 200, 300 -> clamped to entries at 100..102 -> 0, 0, 255 of 255
    path = write_dicom(
        tmp_path / "a.dcm",
        row([5, 10, 11, 12, 13], "uint8"),
        ModalityLUTSequence=[lut([0, 100, 101, 300], 10, 16)],
        VOILUTSequence=[lut([0, 51, 255], 100, 8)],
    )
    frame = read_one(path)
    assert grey(frame) == [[0, 0, 0, 51, 255]]
    assert frame.window == Window("tag", "tag:1")


def test_voi_lut_of_ten_bits_is_scaled_by_its_bits(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", row([0, 1, 2], "uint8"), VOILUTSequence=[lut([0, 511, 1023], 0, 10)]
    )
    # 511 / 1023 * 255 = 127.4
    assert grey(read_one(path)) == [[0, 127, 255]]


def test_voi_lut_comes_before_windows_and_tag_counts_both(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        row([0, 1, 2], "uint8"),
        VOILUTSequence=[lut([0, 0, 255], 0, 8)],
        WindowCenter=[1, 2],
        WindowWidth=[1, 1],
    )
    assert grey(read_one(path)) == [[0, 0, 255]]
    assert grey(read_one(path, "tag:2")) == [[0, 255, 255]]
    third = read_one(path, "tag:3")
    assert (grey(third), third.window) == ([[0, 0, 255]], Window("tag", "tag:3", 2, 1))


def test_a_tag_that_is_missing_falls_back_with_a_sentence(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([0, 50, 100], "uint16"))
    frame = read_one(path, "tag:2")
    assert grey(frame) == [[0, 128, 255]]
    assert frame.window == Window(
        "percentile", None, 50, 99
    )  # the 0.5th and the 99.5th of 0, 50, 100: 0.5, 99.5
    assert any("no valid window of that number" in warning for warning in frame.warnings)


def test_ct_without_a_window_gets_the_soft_tissue_preset(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([0, 874, 1274], "uint16"), **HU)
    frame = read_one(path)
    assert grey(frame) == [[0, 0, 255]]  # -150 and 250 HU
    assert frame.window == Window("preset", "soft", 50, 400)


def test_presets_are_in_hu(tmp_path: Path) -> None:
    # lung: -1350..150 HU; -600 HU is stored 424
    path = write_dicom(
        tmp_path / "a.dcm", row([0, 424, 1173], "uint16"), WindowCenter=40, WindowWidth=80, **HU
    )
    frame = read_one(path, "lung")
    # -1024: ((-1024 + 600.5) / 1499 + 0.5) * 255 = 55.46
    assert grey(frame) == [[55, 128, 255]]
    assert frame.window == Window("preset", "lung", -600, 1500)


@pytest.mark.parametrize(
    "attributes",
    [{"Modality": "MR"}, {"Modality": "CT"}, {"RescaleType": "US", **HU}],
    ids=["no CT", "no rescale", "not in HU"],
)
def test_a_preset_without_hu_falls_back_with_a_sentence(tmp_path: Path, attributes: dict[str, Any]) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([0, 50, 100], "uint16"), **attributes)
    frame = read_one(path, "lung")
    assert grey(frame) == [[0, 128, 255]]
    assert frame.window is not None
    assert frame.window.source == "percentile"
    assert any("Hounsfield" in warning for warning in frame.warnings)


def test_a_custom_window_is_in_rescaled_units(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", row([1024, 1123, 2000], "uint16"), WindowCenter=40, WindowWidth=80, **HU
    )
    frame = read_one(path, "100,50")
    assert grey(frame) == [[0, 255, 255]]  # 0 and 99 HU are the ends of LINEAR c 50 w 100
    assert frame.window == Window("custom", None, 50, 100)


def test_eight_bits_without_a_window_are_left_alone(tmp_path: Path) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", row([3, 100, 200], "uint8")))
    assert grey(frame) == [[3, 100, 200]]
    assert frame.window == Window("none")


def test_seven_bits_are_spread_over_all_that_they_can_hold(tmp_path: Path) -> None:
    frame = read_one(write_dicom(tmp_path / "a.dcm", row([0, 64, 127], "uint8"), BitsStored=7, HighBit=6))
    assert grey(frame) == [[0, 129, 255]]  # 64 / 127 * 255 = 128.5, to even


def test_one_bit_segmentation(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        np.packbits(np.array([[1, 0, 0, 1], [0, 1, 1, 0]], np.uint8).reshape(-1), bitorder="little").reshape(
            1, 1
        ),
        Rows=2,
        Columns=4,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
    )
    assert grey(read_one(path)) == [[255, 0, 0, 255], [0, 255, 255, 0]]


def test_the_percentiles_leave_padding_out(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([-2000, 0, 50, 100], "int16"), PixelPaddingValue=-2000)
    frame = read_one(path)
    assert grey(frame) == [[0, 0, 128, 255]]
    assert frame.window == Window(
        "percentile", None, 50, 99
    )  # the 0.5th and the 99.5th of 0, 50, 100: 0.5, 99.5


def test_a_negative_slope_keeps_the_grey_upright(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([0, 50, 100], "uint16"), RescaleSlope=-2, RescaleIntercept=10)
    frame = read_one(path)
    assert grey(frame) == [[255, 128, 0]]
    assert frame.window == Window("percentile", None, -90, 198)  # -189 to 9


def test_an_invalid_window_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", row([0, 50, 100], "uint16"), WindowCenter=[0, 50], WindowWidth=[0, 101]
    )
    frame = read_one(path)
    assert grey(frame) == [[1, 129, 255]]  # ((x - 49.5) / 100 + 0.5) * 255
    assert frame.window == Window("tag", "tag:2", 50, 101)
    assert any("invalid" in warning for warning in frame.warnings)


@pytest.mark.parametrize(
    ("spec", "window"), [("tag", "tag:2"), ("tag:2", "tag:2"), ("tag:3", "tag:3"), ("tag:4", None)]
)
def test_windows_keep_their_number_in_the_file(tmp_path: Path, spec: str, window: str | None) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        row([0, 50, 100], "uint16"),
        WindowCenter=[0, 50, 70],
        WindowWidth=[0, 101, 11],
        Modality="MR",
    )
    found = read_one(path, spec).window
    assert found is not None
    assert found.name == window


def test_an_unknown_voi_function_is_said_and_its_window_used(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        row([0, 50, 100], "uint16"),
        WindowCenter=50,
        WindowWidth=101,
        VOILUTFunction="LOG",
    )
    frame = read_one(path)
    assert frame.window == Window("tag", "tag:1", 50, 101)
    assert [("VOI LUT Function" in warning, "ignored" in warning) for warning in frame.warnings] == [
        (True, False)
    ]


def test_a_secondary_capture_of_ct_is_not_taken_for_hu(tmp_path: Path) -> None:
    attributes: dict[str, Any] = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": 0}
    pixels = row([0, 64, 128, 252], "uint8")
    captured = read_one(
        write_dicom(tmp_path / "a.dcm", pixels, **attributes, SOPClassUID=SecondaryCaptureImageStorage)
    )
    assert grey(captured) == [[0, 64, 128, 252]]
    original = read_one(write_dicom(tmp_path / "b.dcm", pixels, **attributes))
    assert original.window is not None
    assert original.window.name == "soft"


def test_padding_of_an_unsigned_short_beside_signed_words_of_32_bits(tmp_path: Path) -> None:
    dataset = dicom_dataset(row([-2000, 0, 50, 100], "int32"))
    dataset.add_new("PixelPaddingValue", "US", 63536)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert grey(read_one(tmp_path / "a.dcm")) == [[0, 0, 128, 255]]


def test_an_invalid_rescale_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", row([0, 50, 100], "uint16"), RescaleSlope=0, RescaleIntercept=5)
    frame = read_one(path)
    assert grey(frame) == [[0, 128, 255]]
    assert any("rescale" in warning for warning in frame.warnings)


def enhanced(pixels: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Two frames: a shared rescale and spacing, a window of its own for each."""
    shared = item(
        PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-10, RescaleType="HU")],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75])],
    )
    frames = [
        item(FrameVOILUTSequence=[item(WindowCenter=center, WindowWidth=101)])
        for center in range(50, 50 + 100 * len(pixels), 100)
    ]
    return {
        "Modality": "CT",
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": frames,
    }


def test_functional_groups_of_enhanced_frames(tmp_path: Path) -> None:
    pixels = np.array([[[5, 30, 55, 55]], [[5, 55, 105, 105]]], dtype=np.uint16)
    # After the rescale 0, 50, 100, 100 and 0, 100, 200, 200.
    frames = read_all(write_dicom(tmp_path / "a.dcm", pixels, **enhanced(pixels)), "tag")
    assert [grey(frame) for frame in frames] == [[[1, 129, 255, 255]], [[0, 1, 255, 255]]]
    assert [frame.window for frame in frames] == [
        Window("tag", "tag:1", 50, 101),
        Window("tag", "tag:1", 150, 101),
    ]
    assert [(frame.index, frame.frame_count) for frame in frames] == [(0, 2), (1, 2)]
    assert frames[0].pixel_spacing_mm == (0.5, 0.75)
    assert read_all(tmp_path / "a.dcm", "soft")[0].window == Window("preset", "soft", 50, 400)


def test_float_pixels_use_their_percentiles_unless_asked(tmp_path: Path) -> None:
    pixels = row([0, 0.5, 2], "float32")
    path = tmp_path / "a.dcm"
    dataset = dicom_dataset(pixels, WindowCenter=0.5, WindowWidth=1)
    dataset.FloatPixelData = dataset.PixelData
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    dataset.save_as(path, enforce_file_format=True)
    frame = read_one(path)
    assert grey(frame) == [[0, 64, 255]]
    assert frame.window == Window("percentile", None, pytest.approx(0.995), pytest.approx(1.98))
    assert grey(read_one(path, "tag")) == [[0, 128, 255]]
