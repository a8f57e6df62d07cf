"""PNG and JPEG files without metadata: equal pixels, and no text of the file."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from medrov_cli.core.pixels.metadata_removal import without_metadata

NAME = b"DOE^JANE"
PIXELS = np.random.default_rng(1).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6  # orientation
    tags[0x010E] = NAME.decode()  # description
    return tags.tobytes()


def encoded(mode: str, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def jpeg(mode: str = "RGB", **options: Any) -> bytes:
    data = encoded(mode, "JPEG", exif=exif(), comment=NAME, icc_profile=NAME * 9, xmp=NAME, **options)
    return data + NAME  # bytes after the image


def png(mode: str = "RGB", **options: Any) -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("PatientName", NAME.decode())
    texts.add_text("Zipped", NAME.decode() * 20, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", NAME.decode())
    return encoded(mode, "PNG", pnginfo=texts, exif=exif(), icc_profile=NAME * 9, **options) + NAME


def pixels_of(data: bytes) -> list[Any]:
    with Image.open(io.BytesIO(data)) as image:
        return [image.mode, image.size, np.asarray(image).tolist()]


def texts_of(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return repr({**image.info, "exif tags": dict(image.getexif())})


@pytest.mark.parametrize(
    "data",
    [
        jpeg(),
        jpeg("L"),
        jpeg("CMYK"),
        jpeg(progressive=True),
        jpeg(subsampling=0, restart_marker_blocks=1),
        png(),
        png("L"),
        png("1"),
        png("P", transparency=3),
        png("RGBA"),
    ],
    ids=["rgb", "grey", "cmyk", "progressive", "restarts", "png", "png-grey", "png-bit", "palette", "alpha"],
)
def test_without_metadata_keeps_the_pixels_and_no_text(data: bytes) -> None:
    assert NAME in data
    plain = without_metadata(data)
    assert plain is not None
    assert NAME not in plain
    assert pixels_of(plain) == pixels_of(data)
    assert "DOE" not in texts_of(plain)
    assert "274" not in texts_of(plain)  # tag of the orientation
    assert without_metadata(plain) == plain


def test_without_metadata_of_rgb_components_keeps_the_colour_space() -> None:
    """Adobe's segment says that the components are not YCbCr."""
    data = imagecodecs.jpeg_encode(PIXELS, 95, colorspace="RGB", outcolorspace="RGB")
    commented = data[:2] + b"\xff\xfe" + struct.pack(">H", len(NAME) + 2) + NAME + data[2:]
    assert without_metadata(commented) == data


def test_without_metadata_of_jpeg_ls_keeps_the_pixels() -> None:
    data = imagecodecs.jpegls_encode(PIXELS)
    commented = data[:2] + b"\xff\xfe" + struct.pack(">H", len(NAME) + 2) + NAME + data[2:]
    plain = without_metadata(commented)
    assert plain is not None
    assert NAME not in plain
    assert np.array_equal(imagecodecs.jpegls_decode(plain), PIXELS)


def test_without_metadata_removes_a_jfif_thumbnail() -> None:
    data = encoded("RGB", "JPEG")
    thumbnail = bytes(range(1, 4)) * 4
    segment = data[6:18] + b"\x02\x02" + thumbnail
    pictured = data[:4] + struct.pack(">H", len(segment) + 2) + segment + data[20:]
    plain = without_metadata(pictured)
    assert plain is not None
    assert thumbnail not in plain
    assert pixels_of(plain) == pixels_of(data)


def test_without_metadata_removes_private_and_unknown_png_chunks() -> None:
    data = encoded("RGB", "PNG")
    for kind in (b"prVt", b"PRvt"):
        chunk = struct.pack(">I", len(NAME)) + kind + NAME + struct.pack(">I", zlib.crc32(kind + NAME))
        assert NAME not in (without_metadata(data[:33] + chunk + data[33:]) or NAME)


@pytest.mark.parametrize("data", [b"", b"GIF89a", jpeg()[:400], png()[:-40], b"\xff\xd8\xff\x02"])
def test_without_metadata_of_another_or_incomplete_file_is_null(data: bytes) -> None:
    assert without_metadata(data) is None


WHOLE = (jpeg(), png())


@given(st.binary(max_size=60), st.integers(2, 300))
def test_without_metadata_of_any_bytes_returns(noise: bytes, at: int) -> None:
    for whole in WHOLE:
        without_metadata(whole[:at] + noise + whole[at:])
