"""Long lists on a disk, so that memory does not depend on their length."""

from __future__ import annotations

import pickle
import tempfile
import threading
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, Self, TypeVar, overload

Item = TypeVar("Item")

_BLOCK_ITEMS = 256
"""Items that are read together; the list holds one position in memory for each block."""
_IN_MEMORY_BYTES = 1 << 20
"""Size from which the items are in a file. The file has no name, and ends with the process."""


class DiskList(Sequence[Item]):
    """List of items that are appended once, in a temporary file without a name.

    Items are read in any order; successive ones share a read. A list can be read by several threads.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - as long as the list
        weakref.finalize(self, self._file.close)
        self._starts = array("Q")
        self._end = 0
        self._open: list[Any] = []
        self._read: tuple[int, list[Any]] = (-1, [])
        self._free = threading.Lock()

    @classmethod
    def build(cls, items: Iterable[Item]) -> Self:
        """Return a list of items."""
        made = cls()
        for item in items:
            made.append(item)
        return made

    def append(self, item: Item) -> None:
        """Append an item."""
        self._open.append(self.to_row(item))
        if len(self._open) == _BLOCK_ITEMS:
            with self._free:
                self._starts.append(self._end)
                self._file.seek(self._end)
                self._file.write(pickle.dumps(self._open, pickle.HIGHEST_PROTOCOL))
                self._end = self._file.tell()
            self._open = []

    def to_row(self, item: Item) -> Any:
        """Return what is written of an item: a value that pickles in a few bytes."""
        return item

    def from_row(self, row: Any) -> Item:
        """Return the item of a row."""
        item: Item = row
        return item

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._starts) * _BLOCK_ITEMS + len(self._open)

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        """Return an item, or the items of a slice as a list."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        block, place = divmod(number, _BLOCK_ITEMS)
        return self.from_row(self._rows(block)[place])

    def __iter__(self) -> Iterator[Item]:
        """Yield the items."""
        for block in range(-(-len(self) // _BLOCK_ITEMS)):
            yield from map(self.from_row, self._rows(block))

    def __eq__(self, other: object) -> bool:
        """Return whether another list has equal items."""
        if not isinstance(other, DiskList | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def _rows(self, block: int) -> list[Any]:
        """Return the rows of a block: the last that was read stays in memory."""
        if block == len(self._starts):
            return self._open
        with self._free:
            if self._read[0] != block:
                self._file.seek(self._starts[block])
                self._read = (block, pickle.load(self._file))  # noqa: S301 - written by this process
            return self._read[1]
