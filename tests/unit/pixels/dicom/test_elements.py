"""Numbers in a form or value representation that the standard forbids, by the frames that they change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dicom_bytes import write_text_numbers
from image_files import grey, read_one, row

STORED = row([864, 1064, 1263], "uint16")
"""-160, 40 and 239 HU with intercept -1024: 0, (0.5 / 399 + 0.5) * 255 = 127.8, 255 by 40, 400."""


@pytest.mark.parametrize(
    ("slope", "intercept", "word"),
    [
        (("DS", "1,0"), ("DS", "-1024,0"), "decimal comma"),
        (("DS", "1\\1"), ("DS", "-1024\\-1024"), "repeated value"),
        (("LO", "1"), ("LO", "-1024"), "VR LO instead of DS"),
        (("ST", "1"), ("SH", "-1,024E3"), "VR ST instead of DS"),
        (("DS", " 1.0 "), ("DS", "-1024\0"), ""),
        (("DS", ""), ("DS", "-1024"), "slope 1"),
    ],
)
def test_rescale_in_a_wrong_form_is_read(
    tmp_path: Path, slope: tuple[str, str], intercept: tuple[str, str], word: str
) -> None:
    path = write_text_numbers(
        tmp_path / "a.dcm", STORED, {"RescaleSlope": slope, "RescaleIntercept": intercept}, Modality="CT"
    )
    frame = read_one(path, "400,40")
    assert grey(frame) == [[0, 128, 255]]
    assert read_one(path).window is not None
    assert read_one(path).window.name == "soft"  # type: ignore[union-attr]
    assert (word in " ".join(frame.warnings), bool(frame.warnings)) == (True, bool(word))


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [("1\\2", "-1024"), ("one", "-1024"), ("0", "-1024"), ("1,024.5", "-1024"), ("NaN", "0"), ("1", "1 024")],
)
def test_rescale_that_says_nothing_leaves_stored_values(tmp_path: Path, slope: str, intercept: str) -> None:
    texts = {"RescaleSlope": ("DS", slope), "RescaleIntercept": ("DS", intercept)}
    frame = read_one(write_text_numbers(tmp_path / "a.dcm", row([0, 50, 100], "uint16"), texts), "101,50")
    assert grey(frame) == [[1, 129, 255]]  # ((x - 49.5) / 100 + 0.5) * 255
    assert any("stored values" in warning for warning in frame.warnings)


def test_an_empty_intercept_does_not_make_hounsfield_units(tmp_path: Path) -> None:
    texts = {"RescaleSlope": ("DS", "1"), "RescaleIntercept": ("DS", "")}
    frame = read_one(write_text_numbers(tmp_path / "a.dcm", STORED, texts, Modality="CT"))
    assert frame.window is not None
    assert frame.window.source == "percentile"
    assert any("intercept 0" in warning for warning in frame.warnings)


@pytest.mark.parametrize("vr", ["LO", "SH", "IS", "CS", "DS"])
def test_a_window_is_never_read_letter_by_letter(tmp_path: Path, vr: str) -> None:
    texts = {"WindowCenter": (vr, "40\\50"), "WindowWidth": (vr, "400\\500")}
    path = write_text_numbers(tmp_path / "a.dcm", row([0, 100], "int16"), texts)
    for number, (center, width) in enumerate([(40, 400), (50, 500)]):
        window = read_one(path, f"tag:{number + 1}").window
        assert window is not None
        assert (window.center, window.width) == (center, width)


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("0,7\\0,65", (0.7, 0.65)),
        ("0.7\\0.65\\", (0.7, 0.65)),
        ("0.7,0.65", None),
        ("0.7", None),
        ("-0.7\\0.65", None),
        ("0.7\\0.65\\0.5", None),
    ],
)
@pytest.mark.parametrize("vr", ["DS", "ST"])
def test_spacing_is_plain_or_unknown_with_a_warning(
    tmp_path: Path, vr: str, text: str, spacing: tuple[float, float] | None
) -> None:
    path = write_text_numbers(tmp_path / "a.dcm", np.zeros((2, 2), np.uint8), {"PixelSpacing": (vr, text)})
    frame = read_one(path)
    assert frame.pixel_spacing_mm == spacing
    is_plain = spacing is not None and vr == "DS" and "," not in text
    assert bool(frame.warnings) is not is_plain


def test_no_text_of_the_file_is_in_a_warning(tmp_path: Path) -> None:
    texts = {"RescaleSlope": ("LO", "SECRET"), "RescaleIntercept": ("DS", "-77,125")}
    frame = read_one(write_text_numbers(tmp_path / "a.dcm", STORED, texts))
    assert frame.warnings
    assert not any("SECRET" in warning or "77" in warning for warning in frame.warnings)
