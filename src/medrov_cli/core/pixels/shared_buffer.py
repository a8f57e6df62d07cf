"""Memory that a decoder process shares with its parent, in which it returns an array (Linux)."""

from __future__ import annotations

import mmap
import os
from typing import Self

import numpy as np
import numpy.typing as npt

LEAST_BYTES = 64 << 10
"""Size of an array from which the shared memory is faster than a pipe."""

MOST_BYTES = 64 << 20
"""Size of the shared memory. Pages are allocated when they are first used; larger arrays take the pipe."""


class SharedBuffer:
    """Shared memory of a fixed size, with one writer and one reader in turn.

    Attributes
    ----------
    file
        File descriptor of the memory.
    """

    def __init__(self, file: int) -> None:
        self.file = file
        self._memory = mmap.mmap(file, MOST_BYTES)

    @classmethod
    def create(cls) -> Self | None:
        """Return new shared memory; null where the system has none, or refuses it."""
        if not hasattr(os, "memfd_create"):
            return None
        try:
            file = os.memfd_create("medrov-decoder")
        except OSError:
            return None
        try:
            os.ftruncate(file, MOST_BYTES)
            return cls(file)
        except OSError:
            os.close(file)
            return None

    @staticmethod
    def takes(count: int) -> bool:
        """Return whether an array of so many bytes is returned in shared memory."""
        return LEAST_BYTES <= count <= MOST_BYTES

    def write(self, values: npt.NDArray[np.uint8]) -> None:
        """Copy bytes, uint8, (n,), to the memory."""
        np.frombuffer(self._memory, np.uint8, len(values))[:] = values

    def read(self, count: int) -> npt.NDArray[np.uint8]:
        """Return a copy of the first bytes."""
        return np.frombuffer(self._memory, np.uint8, count).copy()

    def close(self) -> None:
        """Release the memory."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self.file)
