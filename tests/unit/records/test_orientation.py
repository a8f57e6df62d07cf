"""Boxes of an image as it is stored and as its EXIF orientation shows it, against Pillow."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from medrov_cli.core.pixels.exif_orientation import read_orientation
from medrov_cli.core.records.orientation import box_to_shown, box_to_stored, shown_size


def tagged(orientation: int | None, form: str, size_hw: tuple[int, int] = (7, 11)) -> bytes:
    """Return a file with one bright rectangle: rows 1 and 2, columns 3 to 7."""
    pixels = np.zeros(size_hw, np.uint8)
    pixels[1:3, 3:8] = 255
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    data = BytesIO()
    Image.fromarray(pixels).save(data, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    return data.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_a_box_follows_its_pixels(tmp_path: Path, orientation: int, form: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(tagged(orientation, form))
    assert read_orientation(path) == orientation
    with Image.open(BytesIO(path.read_bytes())) as image:
        image.load()  # turns a TIFF
        shown = np.asarray((image if form == "TIFF" else ImageOps.exif_transpose(image)).convert("L"))
    rows, columns = np.nonzero(shown > 128)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert shown_size((7, 11), orientation) == shown.shape
    assert box_to_stored(box, orientation, (7, 11)) == (3, 1, 5, 2)
    assert box_to_shown((3, 1, 5, 2), orientation, (7, 11)) == box


def test_files_without_an_orientation(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (
        tagged(None, "PNG"),
        tagged(0, "PNG"),
        tagged(9, "PNG"),
        b"",
        b"GIF89a",
        tagged(6, "PNG")[:40],
    ):
        path.write_bytes(content)
        assert read_orientation(path) == 1
