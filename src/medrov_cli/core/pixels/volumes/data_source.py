"""Data of NRRD and MetaImage: behind a text header or in files of their own, raw, compressed or as text."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from medrov_cli.core.base.constants import InputLimits
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.budget import reserved_array
from medrov_cli.core.pixels.companions import file_beside
from medrov_cli.core.pixels.compression import Compression
from medrov_cli.core.pixels.volumes.volume import bad_header
from medrov_cli.core.pixels.volumes.voxel_data import fill, map_voxels, open_stream, skip_bytes

_PATTERN = re.compile(r"(\S*%0?\d*d\S*)\s+(-?\d+)\s+(-?\d+)\s+(-?\d+)(?:\s+\d+)?")
_TEXT_BYTES = 64
"""More bytes than the text of one number needs."""


class TextEncoding(StrEnum):
    """Encodings of values as characters."""

    DECIMAL = "decimal"
    HEX = "hex"


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where the values of a volume are.

    Attributes
    ----------
    format
        Name of the format, for messages.
    paths
        Files with equal parts of the values, in order.
    start
        Position in the file at which data may begin: behind a header in the same file.
    encoding
        Compression of each file, or the encoding of values as text.
    line_skip
        Lines before the data.
    byte_skip
        Bytes before the data, decompressed; -1: the data are at the end of the file.
    """

    format: str
    paths: tuple[str, ...]
    start: int
    encoding: Compression | TextEncoding
    line_skip: int = 0
    byte_skip: int = 0

    def read(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the values in some shape, whose first axis is the fastest; mapped from one raw file.

        Raises
        ------
        MedrovError
            ``truncated`` or ``bad_metadata``.
        EOFError
            If compressed data or text ends early.
        """
        count = math.prod(shape)
        if count % len(self.paths):
            raise bad_header(self.format, "its values cannot be divided among its files")
        share = count // len(self.paths) * dtype.itemsize
        if self.encoding is Compression.NONE and len(self.paths) == 1:
            with open(self.paths[0], "rb") as file:  # noqa: PTH123 - the path is used unchanged
                offset = self._raw_offset(file, share)
            return map_voxels(self.paths[0], offset, shape, dtype, format_name=self.format)
        buffer = reserved_array(count * dtype.itemsize)
        for number, path in enumerate(self.paths):
            with open(path, "rb") as file:  # noqa: PTH123 - the path is used unchanged
                self._fill(file, buffer[number * share : (number + 1) * share], dtype)
        return buffer.view(dtype).reshape(shape, order="F")

    def _raw_offset(self, file: BinaryIO, share: int) -> int:
        if self.byte_skip == -1:
            return max(file.seek(0, os.SEEK_END) - share, self.start)
        self._to_lines(file)
        return file.tell() + self.byte_skip

    def _to_lines(self, file: BinaryIO) -> None:
        file.seek(self.start)
        for _ in range(self.line_skip):
            if not file.readline():
                raise EOFError

    def _fill(self, file: BinaryIO, buffer: npt.NDArray[np.uint8], dtype: np.dtype[Any]) -> None:
        if self.encoding is Compression.NONE:
            file.seek(self._raw_offset(file, len(buffer)))
            fill(file, buffer)
            return
        if self.byte_skip < 0:
            raise bad_header(self.format, "compressed data cannot be at the end of a file")
        self._to_lines(file)
        if isinstance(self.encoding, Compression):
            stream = open_stream(file, self.encoding)
            skip_bytes(stream, self.byte_skip)
            fill(stream, buffer)
            return
        skip_bytes(file, self.byte_skip)
        count = len(buffer) // dtype.itemsize
        text = file.read(count * max(_TEXT_BYTES, 3 * dtype.itemsize))
        values = _decimal(text, count, dtype) if self.encoding is TextEncoding.DECIMAL else _hex(text)
        if len(values) < len(buffer):
            raise EOFError
        buffer[:] = np.frombuffer(values, np.uint8, len(buffer))


def _decimal(text: bytes, count: int, dtype: np.dtype[Any]) -> bytes:
    plain = text.decode("latin-1").replace(",", " ")
    wide = np.int64 if dtype.kind in "iu" and dtype.itemsize < 8 else np.float64
    values = np.fromstring(plain, dtype=wide, sep=" ")  # with a count, numpy would add values to a short text
    return values[:count].astype(dtype).tobytes()


def _hex(text: bytes) -> bytes:
    return bytes.fromhex(text.decode("ascii"))


def named_files(
    format_name: str, header: str, text: str, lines: list[str], limits: InputLimits
) -> tuple[str, ...]:
    """Return the data files that a header names.

    Parameters
    ----------
    format_name
        For messages.
    header
        Path of the header; its files are in its folder or below it.
    text
        A file name; ``LIST`` for the names in ``lines``; or a pattern with first, last number and step.
    lines
        Lines behind the field.
    limits
        Maximum number of files.

    Raises
    ------
    MedrovError
        ``not_found``, ``too_large`` or ``bad_metadata``.
    """
    names = _names(format_name, text.strip(), lines, limits)
    found = [file_beside(header, name) for name in names]
    if None in found or not found:
        raise MedrovError(
            ErrorCode.NOT_FOUND,
            f"A data file that the {format_name} header names does not exist.",
            "Put it into the folder of the header.",
        )
    return tuple(path for path in found if path is not None)


def _names(format_name: str, text: str, lines: list[str], limits: InputLimits) -> list[str]:
    if text.split()[:1] == ["LIST"]:
        names = [line.strip() for line in lines if line.strip()]
        if len(names) > limits.frames:
            raise _too_many(format_name, limits)
        return names
    pattern = _PATTERN.fullmatch(text)
    if pattern is None:
        return [text]
    first, last, step = (int(number) for number in pattern.groups()[1:])
    if step == 0:
        raise bad_header(format_name, "the step of its file numbers is 0")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if len(numbers) > limits.frames:
        raise _too_many(format_name, limits)
    prefix, place, suffix = re.split(r"(%0?\d{0,2}d)", pattern[1], maxsplit=1)
    return [prefix + place % number + suffix for number in numbers]


def _too_many(format_name: str, limits: InputLimits) -> MedrovError:
    return MedrovError(
        ErrorCode.TOO_LARGE,
        f"The {format_name} header names more than {limits.frames} files.",
        "Divide the volume.",
    )
