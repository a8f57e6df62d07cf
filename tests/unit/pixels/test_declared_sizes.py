"""Small files that state large images: they are refused before a decoder allocates by what they state."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom import uid

from dicom_bytes import fragments, write_encapsulated
from image_files import dicom_dataset, error_of, read_one
from medrov_cli.core.base.errors import ErrorCode
from medrov_cli.core.pixels.budget import limit_memory
from medrov_cli.core.pixels.jpeg import JpegFrame
from medrov_cli.core.pixels.jpeg2000_stream import find_codestream, is_whole, walk_boxes
from medrov_cli.core.pixels.stream_size import holds_jpeg

SIDE = 24
GREY = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)
BYTES = (GREY // 3).astype(np.uint8)
HUGE = 14_000
REFUSED = {ErrorCode.TOO_LARGE, ErrorCode.BAD_METADATA, ErrorCode.TRUNCATED, ErrorCode.DECODE_FAILED}

j2k = imagecodecs.jpeg2k_encode

STREAMS: dict[str, tuple[str, Callable[[], bytes], np.ndarray[Any, Any]]] = {
    "jpeg": (uid.JPEGBaseline8Bit, lambda: imagecodecs.jpeg8_encode(BYTES), BYTES),
    "jpeg 12 bit": (uid.JPEGExtended12Bit, lambda: imagecodecs.jpeg8_encode(GREY, bitspersample=12), GREY),
    "jpeg lossless": (uid.JPEGLosslessSV1, lambda: imagecodecs.ljpeg_encode(GREY, bitspersample=12), GREY),
    "jpeg-ls": (uid.JPEGLSLossless, lambda: imagecodecs.jpegls_encode(GREY), GREY),
    "jpeg 2000": (uid.JPEG2000Lossless, lambda: j2k(GREY, level=0, codecformat="j2k"), GREY),
    "jpeg 2000 in boxes": (uid.JPEG2000Lossless, lambda: j2k(GREY, level=0, codecformat="jp2"), GREY),
    "htj2k": (uid.HTJ2KLossless, lambda: imagecodecs.htj2k_encode(GREY), GREY),
}


@pytest.fixture(autouse=True)
def _large_budget(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The checks hold on a machine with any memory."""
    limit_memory(1 << 50)
    yield
    limit_memory(None)


def with_size(stream: bytes, height: int, width: int) -> bytes:
    """Return a stream that states another size."""
    start = stream.find(b"\xff\x4f\xff\x51")
    if start >= 0:
        sizes = struct.pack(">II", width, height)
        return stream[: start + 8] + sizes + stream[start + 16 : start + 24] + sizes + stream[start + 32 :]
    at = next(
        stream.find(bytes([0xFF, mark])) for mark in (0xC0, 0xC1, 0xC3, 0xF7) if bytes([0xFF, mark]) in stream
    )
    return stream[: at + 5] + struct.pack(">HH", height, width) + stream[at + 9 :]


def write_stream(path: Path, kind: str, stream: list[bytes], **attributes: Any) -> Path:
    syntax, _, values = STREAMS[kind]
    dataset = dicom_dataset(values, **{"BitsStored": 12 if values.dtype == np.uint16 else 8, **attributes})
    dataset.HighBit = dataset.BitsStored - 1
    return write_encapsulated(path, dataset, syntax, fragments([stream]))


@pytest.mark.parametrize("kind", STREAMS)
def test_stream_of_the_stated_size_is_read(tmp_path: Path, kind: str) -> None:
    assert read_one(write_stream(tmp_path / "a.dcm", kind, [STREAMS[kind][1]()])).height == SIDE


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("size", [(SIDE + 8, SIDE), (SIDE, SIDE - 8), (HUGE, HUGE)])
def test_stream_of_another_size_than_the_header_is_refused(
    tmp_path: Path, kind: str, size: tuple[int, int]
) -> None:
    stream = with_size(STREAMS[kind][1](), *size)
    assert error_of(write_stream(tmp_path / "a.dcm", kind, [stream])).code is ErrorCode.BAD_METADATA


@pytest.mark.parametrize("kind", STREAMS)
def test_few_bytes_for_the_pixels_of_header_and_stream_are_refused(tmp_path: Path, kind: str) -> None:
    stream = with_size(STREAMS[kind][1](), HUGE, HUGE)
    path = write_stream(tmp_path / "a.dcm", kind, [stream], Rows=HUGE, Columns=HUGE)
    assert error_of(path).code in {ErrorCode.TOO_LARGE, ErrorCode.TRUNCATED}


@pytest.mark.parametrize("kind", ["jpeg 2000", "jpeg 2000 in boxes"])
def test_size_of_a_stream_in_two_fragments_counts(tmp_path: Path, kind: str) -> None:
    stream = with_size(STREAMS[kind][1](), 20_000, 20_000)
    cut = stream.find(b"\xff\x4f") + 16
    assert error_of(write_stream(tmp_path / "a.dcm", kind, [stream[:cut], stream[cut:]])).code in REFUSED


def test_decoy_stream_in_a_box_does_not_count(tmp_path: Path) -> None:
    _, make, _ = STREAMS["jpeg 2000 in boxes"]
    real = with_size(make(), 20_000, 20_000)
    small = STREAMS["jpeg 2000"][1]()
    at = next(begin for box, begin, _ in walk_boxes(real, 0, len(real)) if box == b"jp2c") - 8
    decoy = struct.pack(">I4s", 8 + len(small), b"free") + small
    path = write_stream(tmp_path / "a.dcm", "jpeg 2000 in boxes", [real[:at] + decoy + real[at:]])
    assert error_of(path).code in REFUSED


def test_components_must_be_those_of_the_header(tmp_path: Path) -> None:
    colors = np.repeat(BYTES[:, :, None], 3, axis=2)
    for kind, stream in (
        ("jpeg", imagecodecs.jpeg8_encode(colors)),
        ("jpeg 2000", j2k(colors, level=0, codecformat="j2k")),
    ):
        assert error_of(write_stream(tmp_path / "a.dcm", kind, [stream])).code is ErrorCode.BAD_METADATA


@pytest.mark.parametrize("levels", [1, 5])
@pytest.mark.parametrize("side", [1, 7, 64, 300])
def test_is_whole_accepts_constant_images_and_refuses_them_without_packets(side: int, levels: int) -> None:
    stream = j2k(np.zeros((side, side), np.uint8), level=0, codecformat="j2k", resolutions=levels)
    assert is_whole(stream, 0)
    body = stream.find(b"\xff\x93") + 2
    part = stream.find(b"\xff\x90")
    empty = stream[: part + 6] + struct.pack(">I", body - part) + stream[part + 10 : body] + b"\xff\xd9"
    assert not is_whole(empty, 0)
    assert not is_whole(stream[: body + 1], 0)
    assert not is_whole(stream[:part], 0)


def test_every_prefix_of_a_file_is_parsed_without_an_exception() -> None:
    data = j2k(GREY, level=0, codecformat="jp2")
    for end in range(0, len(data), 3):
        start = find_codestream(data[:end])
        assert start is None or not is_whole(data[:end], start)


@pytest.mark.parametrize(
    ("marker", "size", "stream_bytes", "expected"),
    [
        (0xC0, (80, 80), 13, True),
        (0xC0, (80, 80), 12, False),
        (0xC3, (80, 80), 800, True),
        (0xC3, (80, 80), 799, False),
        (0xF7, (80, 80), 10, True),
        (0xF7, (80, 80), 9, False),
        (0xC9, (8000, 8000), 9, True),
    ],
)
def test_holds_jpeg_counts_bits(
    marker: int, size: tuple[int, int], stream_bytes: int, expected: bool
) -> None:
    assert holds_jpeg(JpegFrame(marker, 8, *size, 1), stream_bytes) is expected


def tiff(values: np.ndarray[Any, Any], compression: str) -> bytes:
    target = io.BytesIO()
    tifffile.imwrite(target, values, tile=(16, 16), compression=compression)
    return target.getvalue()


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "jpegxr", "webp", "png"])
def test_tile_with_a_larger_image_is_refused(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(np.repeat(BYTES[:16, :16, None], 3, axis=2), compression))
    assert read_one(path).height == 16
    big = tiff_tile_of(compression)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
        tag = file.pages[0].tags["TileByteCounts"]
    data = bytearray(path.read_bytes())
    data[offset:] = big
    struct.pack_into("<H" if tag.dtype == 3 else "<I", data, tag.valueoffset, len(big))
    path.write_bytes(data)
    assert error_of(path).code is ErrorCode.BAD_METADATA


def tiff_tile_of(compression: str) -> bytes:
    """Return a compressed image of 512 x 512 pixels."""
    values = np.zeros((512, 512, 3), np.uint8)
    encode = {
        "jpeg": imagecodecs.jpeg8_encode,
        "jpeg2000": j2k,
        "jpegxr": imagecodecs.jpegxr_encode,
        "webp": imagecodecs.webp_encode,
        "png": imagecodecs.png_encode,
    }[compression]
    return bytes(encode(values))


def test_tiff_without_most_of_its_strips_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8000, 8000), np.uint8), rowsperstrip=1000, compression="zlib")
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        code = {3: "H", 4: "I"}[tag.dtype]
    data = bytearray(path.read_bytes())
    struct.pack_into(f"<{tag.count}{code}", data, tag.valueoffset, 20, *[0] * (tag.count - 1))
    path.write_bytes(data)
    assert error_of(path).code is ErrorCode.TOO_LARGE


def png(side: int, bits: int) -> bytes:
    """Return a constant grey PNG that is as small as deflate makes it."""
    line = 1 + -(-side * bits // 8)
    packed = zlib.compressobj(9)
    data = b"".join(packed.compress(bytes(line * 100)) for _ in range(side // 100)) + packed.flush()
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)),
        (b"IDAT", data),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def test_png_and_webp_with_thousands_of_pixels_a_byte_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(8000, 1))
    Image.new("L", (8000, 8000)).save(tmp_path / "a.webp", lossless=True, quality=0, method=0)
    for name in ("a.png", "a.webp"):
        assert error_of(tmp_path / name).code is ErrorCode.TOO_LARGE


def test_animation_with_many_large_frames_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("P", (1500, 1500), number) for number in range(20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    limit = (tmp_path / "a.gif").stat().st_size
    assert limit > 20 * 1500 * 1500 // 4096, "the file is not too small for its pixels"
    assert error_of(tmp_path / "a.gif", inflated_bytes=10**8).code is ErrorCode.TOO_LARGE


def test_video_with_many_frames_in_few_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(avi(4000, 4000, [b"\0\1"] * 50))
    assert error_of(tmp_path / "a.avi").code is ErrorCode.TOO_LARGE


def avi(width: int, height: int, frames: list[bytes]) -> bytes:
    """Return an AVI file of Microsoft RLE."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    main = struct.pack("<14I", 100_000, 0, 0, 16, len(frames), 0, 1, 0, width, height, 0, 0, 0, 0)
    stream = b"vidsmrle" + struct.pack("<10I", 0, 0, 0, 1, 10, 0, len(frames), 0, 0, 0) + bytes(8)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024)
    strl = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bitmap))
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + strl)
    movie = chunk(b"LIST", b"movi" + b"".join(chunk(b"00dc", frame) for frame in frames))
    return chunk(b"RIFF", b"AVI " + header + movie)
