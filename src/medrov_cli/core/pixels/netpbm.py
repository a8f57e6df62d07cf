"""Reader of the Netpbm formats PBM, PGM, PPM and PAM, text and binary, and of PFM.

It is written by hand: Pillow reads neither PAM nor several images of a file, and truncates values of more
than 8 bits in colour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import read_whole, require_plausible, reserve
from medrov_cli.core.pixels.channels import count_images, render_all, spread_bits
from medrov_cli.core.pixels.greyscale import Values
from medrov_cli.core.pixels.image_size import check_size
from medrov_cli.core.pixels.protocol import ImageReader
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.io_groups import ReadSettings

_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])"
_TOKEN = re.compile(_SPACE + rb"+([^\s#]+)")
_PAM_LINE = re.compile(rb"\s*(?:#[^\n]*|([A-Z]+)[ \t]*([^\n]*))\n")
_COMMENT = re.compile(rb"#[^\r\n]*")


_TEXT_VALUE_BYTES = 24
"""Bytes for a value of a text format: its characters, their copy, and the parsed number."""

_RENDERING_BYTES = 24
"""Bytes per pixel for scaling, with the RGB image."""


@dataclass(frozen=True, slots=True)
class _Header:
    """Header of one image.

    Attributes
    ----------
    kind
        Digit or letter after the P.
    largest
        The value that is white; of PFM: the scale, negative for little-endian.
    colors, is_alpha
        See `channels.split_channels`.
    start
        Position of the values.
    """

    kind: str
    height: int
    width: int
    largest: float
    colors: int
    is_alpha: tuple[bool, ...]
    start: int

    @property
    def channels(self) -> int:
        return self.colors + len(self.is_alpha)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Return the type of a binary value."""
        if self.kind in "fF":
            return np.dtype("<f4" if self.largest < 0 else ">f4")
        return np.dtype(np.uint8 if self.largest < 256 else ">u2")

    @property
    def need_bytes(self) -> int:
        """Return what parsing and scaling of the image allocate, in bytes."""
        value = _TEXT_VALUE_BYTES if self.kind in "123" else 12
        return self.height * self.width * (self.channels * value + _RENDERING_BYTES)

    @property
    def end(self) -> int:
        """Return the position behind binary values."""
        if self.kind == "4":
            return self.start + self.height * ((self.width + 7) // 8)
        return self.start + self.height * self.width * self.channels * self.dtype.itemsize


def read_netpbm(path: str, options: ReadSettings) -> Iterator[Frame]:
    """Yield the images of a file, and each channel of an image without colours; see `channels`.

    Values up to 255 are scaled by the largest one of the header, larger ones between percentiles.

    Raises
    ------
    MedrovError
        ``too_large`` by the size in the header; ``truncated``; ``bad_metadata``.
    """
    data = read_whole(path)
    headers = list(_headers(data, options.limits))
    count = sum(count_images(header.colors, header.is_alpha) for header in headers)
    index = 0
    with reserve(len(data) + max(header.need_bytes for header in headers)):
        for header in headers:
            values = _values(data, header)
            if header.kind not in "fF":
                values = spread_bits(values, int(header.largest))
            images = render_all(values, header.colors, header.is_alpha, options.window)
            for pixels, window, warnings in images:
                yield Frame(pixels, path, index, count, window=window, warnings=warnings)
                index += 1


def read_values(path: str) -> Values:
    """Return the values of the first image of a file as they are stored, unscaled.

    Raises
    ------
    MedrovError
        As `read_netpbm`.
    """
    data = read_whole(path)
    return _values(data, next(_headers(data, InputLimits())))


def _headers(data: bytes, limits: InputLimits) -> Iterator[_Header]:
    """Yield the headers of the images of a file: of one in a text format, of any number in a binary one."""
    at, found = 0, 0
    while found == 0 or re.match(rb"P[4-7fF]\s", data[at : at + 3]):
        header = _parse_pam(data, at) if data[at + 1 : at + 2] == b"7" else _parse(data, at)
        check_size(header.height, header.width, limits)
        require_plausible(header.height * header.width, len(data))
        found += 1
        if found * header.channels > limits.frames:
            raise MedrovError(
                ErrorCode.TOO_LARGE, f"The file has more than {limits.frames} images.", "Divide the file."
            )
        if header.kind not in "123" and header.end > len(data):
            raise EOFError
        yield header
        if header.kind in "123":
            return
        at = header.end


def _parse(data: bytes, at: int) -> _Header:
    kind = chr(data[at + 1])
    at += 2
    tokens = []
    for _ in range(2 if kind in "14" else 3):
        token = _TOKEN.match(data, at)
        if token is None:
            raise EOFError
        tokens.append(token[1])
        at = token.end()
    try:
        width, height = int(tokens[0]), int(tokens[1])
        largest = float(tokens[2]) if len(tokens) == 3 else 1.0
    except ValueError:
        raise _bad() from None
    is_float = kind in "fF"
    if not (is_float or 1 <= largest <= 65535) or (is_float and not largest):
        raise _bad()
    return _Header(kind, height, width, largest, 3 if kind in "36F" else 1, (), at + 1)


def _parse_pam(data: bytes, at: int) -> _Header:
    """Parse the header of a PAM image: lines of a name and a value, up to ENDHDR."""
    fields: dict[bytes, bytes] = {}
    at += 3
    while b"ENDHDR" not in fields:
        line = _PAM_LINE.match(data, at)
        if line is None:
            raise EOFError
        at = line.end()
        if line[1]:
            fields[line[1]] = line[2].strip()
    try:
        names = (b"HEIGHT", b"WIDTH", b"MAXVAL", b"DEPTH")
        height, width, largest, depth = (int(fields[name]) for name in names)
    except (KeyError, ValueError):
        raise _bad() from None
    kind = fields.get(b"TUPLTYPE", b"")
    colors = 3 if depth >= 3 and (kind.startswith(b"RGB") or not kind) else 1
    if not (1 <= largest <= 65535 and 1 <= depth <= 65535):
        raise _bad()
    alpha = [kind.endswith(b"_ALPHA") and number == depth - 1 for number in range(colors, depth)]
    return _Header("7", height, width, largest, colors, tuple(alpha), at)


def _values(data: bytes, header: _Header) -> Values:
    """Return the values of an image, (height, width) or (height, width, channels)."""
    count = header.height * header.width * header.channels
    if header.kind in "123":
        values = _text_values(data, header, count)
    elif header.kind == "4":
        rows = np.frombuffer(data, np.uint8, header.end - header.start, header.start)
        bits = np.unpackbits(rows.reshape(header.height, -1), axis=1)
        values = 1 - bits[:, : header.width]  # 1 is black
    else:
        values = np.frombuffer(data, header.dtype, count, header.start)
    shape = (header.height, header.width, header.channels)
    values = values.reshape(shape if header.channels > 1 else shape[:2])
    return values[::-1] if header.kind in "fF" else values  # PFM: the bottom row is first


def _text_values(data: bytes, header: _Header, count: int) -> Values:
    text = _COMMENT.sub(b" ", data[header.start - 1 :]).decode("latin-1")
    values: Values
    if header.kind == "1":  # digits need no space between them
        digits = np.frombuffer(re.sub(r"[^01]", "", text).encode("latin-1"), np.uint8)
        values = (ord("1") - digits[:count]).astype(np.uint8)
    else:
        values = np.fromstring(text, dtype=np.int64, sep=" ")[:count]
    if len(values) < count:
        raise EOFError
    if values.min() < 0:
        raise _bad()
    return np.minimum(values, int(header.largest)).astype(np.uint16)


def _bad() -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, "The Netpbm header or values are invalid.", "Export it again.")


READER: ImageReader = read_netpbm
