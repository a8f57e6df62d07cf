"""Recognition of NIfTI and Analyze headers by their first bytes. Standard library only."""

from __future__ import annotations

import struct

HEADER_BYTES = 348
_ANALYZE_TYPES = frozenset({1, 2, 4, 8, 16, 32, 64, 128})


def nifti_version(head: bytes) -> int | None:
    """Return 1 or 2 for a header of NIfTI, 0 for one of Analyze, null for other bytes.

    NIfTI is recognised by its magic and its number of dimensions: the size of the header, its first field,
    may be wrong. Analyze has no magic: the size, the number of dimensions and the data type must be right.
    """
    if len(head) < HEADER_BYTES:
        return None
    if head[4:8] in (b"n+2\x00", b"ni2\x00"):
        return None if nifti_byte_order(head, 2) is None else 2
    order = nifti_byte_order(head, 1)
    if order is None:
        return None
    if head[344:348] in (b"n+1\x00", b"ni1\x00"):
        return 1
    size, data_type = struct.unpack_from(f"{order}i66xh", head)
    return 0 if size == HEADER_BYTES and data_type in _ANALYZE_TYPES else None


def nifti_byte_order(head: bytes, version: int) -> str | None:
    """Return the byte order in which the number of dimensions of a header is from 1 to 7; null for none."""
    code, at = ("q", 16) if version == 2 else ("h", 40)
    return next((o for o in "<>" if 1 <= struct.unpack_from(f"{o}{code}", head, at)[0] <= 7), None)
