"""PNG files of 8 bits in grey or RGB are decoded by libpng, with the pixels of Pillow."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from image_files import error_of, read_one
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels.png import SIGNATURE, decode_plain, needed_chunks


def png(mode: str, side: int = 20, **options: object) -> bytes:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side + 3, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., :3]).convert(mode).save(file, "PNG", **options)
    return file.getvalue()


def by_pillow(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@given(st.sampled_from(["L", "RGB"]), st.integers(1, 80))
def test_pixels_are_those_of_pillow(mode: str, side: int) -> None:
    found = decode_plain(needed_chunks(png(mode, side))[0])
    assert found is not None
    assert (found == by_pillow(png(mode, side))).all()
    assert found.flags.c_contiguous


@pytest.mark.parametrize("mode", ["P", "1", "LA", "RGBA", "I;16"])
def test_other_forms_are_left_to_pillow(mode: str) -> None:
    image = Image.fromarray(np.zeros((4, 5), np.uint16)) if mode == "I;16" else Image.new(mode, (5, 4))
    file = io.BytesIO()
    image.save(file, "PNG")
    assert decode_plain(needed_chunks(file.getvalue())[0]) is None


def test_transparency_and_animations_are_left_to_pillow() -> None:
    assert decode_plain(needed_chunks(png("RGB", transparency=(1, 2, 3)))[0]) is None
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    assert decode_plain(needed_chunks(file.getvalue())[0]) is None


def test_damaged_files_are_never_read_by_libpng_alone() -> None:
    rng = random.Random(7)
    seeds = [png(mode, side) for mode in ("L", "RGB") for side in (8, 40)]
    refused = 0
    for _ in range(400):
        data = damaged(rng.choice(seeds), rng)
        try:
            whole, _ = needed_chunks(data)
            found = decode_plain(whole)
        except (EOFError, struct.error):
            continue
        if found is None:
            refused += 1
            continue
        with PngImagePlugin.PngImageFile(io.BytesIO(whole)) as image:
            assert (found == np.asarray(image.convert("RGB"))).all()
    assert refused > 50


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return a file with changed bytes behind its header, and often with the checksums of its new chunks."""
    changed = bytearray(data)
    at = rng.randrange(33, len(changed))
    if rng.random() < 0.5:
        changed[at] ^= 1 << rng.randrange(8)
    else:
        del changed[at : at + rng.randrange(1, 9)]
    if rng.random() < 0.3:
        return bytes(changed)
    out, at = [SIGNATURE], len(SIGNATURE)
    while at + 8 <= len(changed):
        length = int.from_bytes(changed[at : at + 4], "big")
        body = bytes(changed[at + 4 : at + 8 + length])
        out += [bytes(changed[at : at + 4]), body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + length
    return b"".join(out)


def test_damaged_pixels_are_an_error(tmp_path: Path) -> None:
    data = bytearray(png("RGB"))
    at = data.index(b"IDAT") + 20
    data[at : at + 4] = bytes(4)
    (tmp_path / "a.png").write_bytes(bytes(data))
    assert error_of(tmp_path / "a.png").code in {ErrorCode.DECODE_FAILED, ErrorCode.TRUNCATED}
    (tmp_path / "b.png").write_bytes(png("L"))
    assert read_one(tmp_path / "b.png").is_grey
