"""Changes of valid files, as functions of a seeded random generator."""

from __future__ import annotations

import gzip
import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, 2, 3, 7, 8, 9, 16, 17, 64, 127, 128, 255, 256, 1000, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
LARGE_NUMBERS = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, 2**62, 2**63 - 1, 2**64 - 1)

TEXT_VALUES = (
    *(b"0", b"-1", b"0.5", b"-0.0", b"1e308", b"1e999", b"1e-320", b"NaN", b"Infinity", b"9" * 400),
    *(b"18446744073709551617", b"null", b"true", b"[]", b"{}", b'""', b'"a\\u0000b"', b'"\\ud800"'),
    *(b'"../../x"', b'"/etc/passwd"', b'"=1+1"', b'"' + b"x" * 5000 + b'"', b"[" * 3000, b"*a", b"&a [*a]"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\0", b"\x1b[31m", b"<!DOCTYPE a [<!ENTITY b 'c'>]>"),
)
"""Values that parsers of numbers, JSON, yaml, XML and tables are tried with."""

_TOKEN = re.compile(rb'"[^"]{0,60}"|(?<=>)[^<>]{1,40}(?=<)|-?[0-9]+(?:\.[0-9]+)?')


def mutate(
    data: bytes, rng: random.Random, others: Sequence[bytes] = (), focus: tuple[int, int] | None = None
) -> bytes:
    """Return a copy with a few changes: bits, bytes, numbers, pieces removed, repeated, or of other files.

    Parameters
    ----------
    data
        A valid file.
    rng
        Source of all choices.
    others
        Files whose pieces are inserted.
    focus
        First and last position of four of five changes, for example a header.
    """
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        if changed:
            rng.choice(_CHANGES)(changed, _position(changed, rng, focus), rng, others)
    return bytes(changed)


def mutate_text(data: bytes, rng: random.Random) -> bytes:
    """Return a copy with other values in the places of numbers and texts, so that it stays well formed."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_TOKEN.finditer(data))
        if not places:
            return data
        place = rng.choice(places)
        data = data[: place.start()] + rng.choice(TEXT_VALUES) + data[place.end() :]
    return data


def mutate_gzip(data: bytes, rng: random.Random, focus: tuple[int, int] | None = None) -> bytes:
    """Return a gzip file with changes of its content, which is compressed again."""
    return gzip.compress(mutate(gzip.decompress(data), rng, (), focus), mtime=0)


def fix_png_checksums(data: bytes) -> bytes:
    """Return a PNG file whose chunks have valid checksums, so that a change reaches the decoder."""
    fixed, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        body = data[at + 4 : at + 8 + length]
        fixed += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(fixed) + data[at:]


def _position(data: bytearray, rng: random.Random, focus: tuple[int, int] | None) -> int:
    low, high = focus if focus and rng.random() < 0.8 else (0, len(data))
    high = min(high, len(data))
    return rng.randrange(low, high) if low < high else rng.randrange(len(data))


def _flip_bit(data: bytearray, at: int, rng: random.Random, _: Sequence[bytes]) -> None:
    data[at] ^= 1 << rng.randrange(8)


def _set_byte(data: bytearray, at: int, rng: random.Random, _: Sequence[bytes]) -> None:
    data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _set_number(data: bytearray, at: int, rng: random.Random, _: Sequence[bytes]) -> None:
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(NUMBERS if rng.random() < 0.7 else LARGE_NUMBERS) % (1 << 8 * size)
    data[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))


def _delete(data: bytearray, at: int, rng: random.Random, _: Sequence[bytes]) -> None:
    del data[at : at + rng.randrange(1, 65)]


def _repeat(data: bytearray, at: int, rng: random.Random, _: Sequence[bytes]) -> None:
    data[at:at] = data[at : at + rng.randrange(1, 65)] * rng.choice((1, 2, 12))


def _insert_other(data: bytearray, at: int, rng: random.Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others) if others else bytes(data)
    start = rng.randrange(max(len(other), 1))
    piece = other[start : start + rng.randrange(1, 129)]
    data[at : at + rng.choice((0, len(piece)))] = piece


def _truncate(data: bytearray, at: int, rng: random.Random, _: Sequence[bytes]) -> None:
    if rng.random() < 0.3:
        del data[at:]


def _noise(data: bytearray, at: int, rng: random.Random, _: Sequence[bytes]) -> None:
    data[at : at + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(1, 9))


_Change = Callable[[bytearray, int, random.Random, Sequence[bytes]], None]
_CHANGES: tuple[_Change, ...] = (
    *(_flip_bit, _flip_bit, _set_byte, _set_byte, _set_number, _set_number, _set_number),
    *(_delete, _repeat, _insert_other, _truncate, _noise),
)
