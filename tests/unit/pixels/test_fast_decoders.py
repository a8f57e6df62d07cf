"""Decoders of imagecodecs in place of slower ones: equal pixels, also of damaged data."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from medrov_cli.core.pixels.dicom import codec_plugins
from medrov_cli.core.pixels.jpeg import decode_whole
from medrov_cli.core.pixels.pillow_images import decode_frame, open_image
from medrov_cli.core.pixels.sniff import Kind

codec_plugins.register()


def decoded(syntax: UID, plugin: str, data: bytes, image: np.ndarray, bits: int) -> np.ndarray:
    decoder: Any = get_decoder(syntax)
    color = image.ndim == 3
    values, _ = decoder.as_array(
        encapsulate([data]),
        index=0,
        raw=True,
        decoding_plugin=plugin,
        rows=image.shape[0],
        columns=image.shape[1],
        samples_per_pixel=3 if color else 1,
        photometric_interpretation="RGB" if color else "MONOCHROME2",
        planar_configuration=0,
        bits_allocated=8 * image.itemsize,
        bits_stored=bits,
        pixel_representation=0,
        number_of_frames=1,
        transfer_syntax_uid=syntax,
        pixel_keyword="PixelData",
    )
    return np.asarray(values)


def noise(bits: int, *shape: int) -> np.ndarray:
    values = np.random.default_rng(bits).integers(0, 1 << bits, shape)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("bits", [5, 8, 12, 16])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg(bits: int, predictor: int) -> None:
    image = noise(bits, 37, 29)
    data = imagecodecs.jpeg8_encode(image, lossless=True, bitspersample=bits, predictor=predictor)
    np.testing.assert_array_equal(decoded(uid.JPEGLossless, "imagecodecs", data, image, bits), image)


def test_lossless_jpeg_in_color_is_not_converted() -> None:
    image = noise(8, 33, 41, 3)
    data = imagecodecs.jpeg8_encode(image, lossless=True, colorspace="RGB", outcolorspace="RGB")
    np.testing.assert_array_equal(decoded(uid.JPEGLosslessSV1, "imagecodecs", data, image, 8), image)


def segment(literal: bytes) -> bytes:
    """Return PackBits data of literal runs, of even length."""
    parts = [literal[row : row + 128] for row in range(0, len(literal), 128)]
    data = b"".join(bytes([len(part) - 1]) + part for part in parts)
    return data + b"\x80" * (len(data) % 2)


def rle_frame(image: np.ndarray) -> bytes:
    samples = image[..., None] if image.ndim == 2 else image
    width = image.itemsize
    planes = [
        np.ascontiguousarray(samples[..., row]).view(np.uint8).reshape(*image.shape[:2], width)[..., byte]
        for row in range(samples.shape[2])
        for byte in reversed(range(width))
    ]
    segments = [segment(plane.tobytes()) for plane in planes]
    starts = np.cumsum([64, *map(len, segments)])[:-1]
    head = np.zeros(16, "<u4")
    head[0], head[1 : 1 + len(starts)] = len(starts), starts
    return head.tobytes() + b"".join(segments)


@pytest.mark.parametrize(("bits", "shape"), [(8, (9, 15)), (16, (9, 15)), (8, (9, 15, 3)), (16, (4, 5, 3))])
def test_rle(bits: int, shape: tuple[int, ...]) -> None:
    image = noise(bits, *shape)
    data = rle_frame(image)
    for plugin in ("imagecodecs", "pydicom"):
        np.testing.assert_array_equal(decoded(uid.RLELossless, plugin, data, image, bits), image)


@settings(deadline=None)
@given(place=st.integers(0, 200), value=st.integers(0, 255))
def test_damaged_rle_is_refused_or_equal(place: int, value: int) -> None:
    image = noise(16, 8, 8)
    data = bytearray(rle_frame(image))
    data[place % len(data)] = value

    def outcome(plugin: str) -> bytes | None:
        try:
            return decoded(uid.RLELossless, plugin, bytes(data), image, 16).tobytes()
        except Exception:  # noqa: BLE001 - plug-ins raise any exception
            return None

    ours = outcome("imagecodecs")
    assert ours is None or ours == outcome("pydicom")


def jpeg(mode: str, **how: Any) -> bytes:
    shape = (53, 67) if mode == "L" else (53, 67, 3)
    y, x = np.mgrid[:53, :67]
    image = np.broadcast_to((127 + 90 * np.sin(x / 9) * np.cos(y / 7))[..., None], (53, 67, 3))
    file = io.BytesIO()
    pixels = image.astype(np.uint8)[..., 0] if mode == "L" else image.astype(np.uint8)
    Image.fromarray(pixels.reshape(shape)).save(file, "jpeg", **how)
    return file.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    with open_image(Kind.JPEG, data) as image:
        return decode_frame(image, 0)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("how", [{"quality": 90}, {"subsampling": 0}, {"progressive": True}, {"quality": 20}])
def test_jpeg(mode: str, how: dict[str, Any]) -> None:
    data = jpeg(mode, **how)
    np.testing.assert_array_equal(decode_whole(data), by_pillow(data))


@settings(deadline=None)
@given(place=st.integers(200, 3000), value=st.binary(min_size=1, max_size=9))
def test_damaged_jpeg_is_left_to_pillow_or_equal(place: int, value: bytes) -> None:
    whole = jpeg("RGB", quality=90)
    place %= len(whole) - 2
    data = (whole[:place] + value + whole[place + len(value) : -2]) + b"\xff\xd9"
    found = decode_whole(data)
    if found is not None:
        np.testing.assert_array_equal(found, by_pillow(data))


def test_jpeg_without_an_end_is_left_to_pillow() -> None:
    assert decode_whole(jpeg("L")[:-2]) is None
