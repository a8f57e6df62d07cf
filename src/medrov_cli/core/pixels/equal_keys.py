"""Equal keys among many items: numbers of the items, found part by part with flat memory."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

import numpy as np

_PARTS = 32
_IN_MEMORY_BYTES = 1 << 14
_ROW = np.dtype([("high", "<u8"), ("low", "<u8"), ("number", "<i8")])
"""128 bits of a SHA-256, and the number of the item."""


class EqualKeys:
    """Keys of items, as digests in `_PARTS` temporary files without names."""

    def __init__(self) -> None:
        self._files: list[IO[bytes]] = [
            tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - as long as the object
            for _ in range(_PARTS)
        ]
        for file in self._files:
            weakref.finalize(self, file.close)

    def add(self, key: str, number: int) -> None:
        """Add the key of an item. Numbers may occur several times, and be negative."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:16]
        self._files[digest[0] % _PARTS].write(digest + number.to_bytes(8, "little", signed=True))

    def groups(self) -> Iterator[list[int]]:
        """Yield the numbers of each key with several, in order; keys are in no order."""
        for file in self._files:
            file.seek(0)
            rows = np.frombuffer(file.read(), dtype=_ROW)
            rows = rows[np.lexsort((rows["number"], rows["low"], rows["high"]))]
            is_same = (rows["high"][1:] == rows["high"][:-1]) & (rows["low"][1:] == rows["low"][:-1])
            bounds = np.flatnonzero(np.diff(np.concatenate(([False], is_same, [False])).astype(np.int8)))
            for start, end in bounds.reshape(-1, 2):
                yield rows["number"][start : end + 1].tolist()
