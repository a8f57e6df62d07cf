"""Blocks of a pass: those to compute, those of dead workers, and results until their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from medrov_cli.core.base.errors import ErrorCode, MedrovError

Block = TypeVar("Block")

MAX_ATTEMPTS = 5
"""Workers that a block may lose before the run ends: then the block is the likely cause."""


BLOCK_INPUTS = 32
"""Inputs of a block: many, so that Ray's own time per block is small beside that of their images."""

BLOCKS_A_WORKER = 8
"""Least number of blocks of a worker in a small run, so that all workers end at about the same time."""


def block_size(inputs: int, workers: int, batch: int) -> int:
    """Return the inputs of a block: whole batches if each is one readable image; few in a small run."""
    few = inputs // (workers * BLOCKS_A_WORKER)
    return -(-min(max(few, 1), BLOCK_INPUTS) // batch) * batch


@dataclass(slots=True)
class BlockQueue(Generic[Block]):
    """Blocks of one pass, by number.

    Attributes
    ----------
    waiting
        Blocks that were not given out.
    window
        Blocks that may be given out beyond the last result that was told.
    lost
        Blocks of dead workers.
    attempts
        Number of workers that each block lost.
    results
        Results that wait for those before them.
    given, told
        Numbers of blocks that were given out, and whose results were told.
    is_empty
        Whether no block is waiting.
    """

    waiting: Iterator[Block]
    window: int
    lost: deque[tuple[int, Block]] = field(default_factory=deque)
    attempts: dict[int, int] = field(default_factory=dict)
    results: dict[int, tuple[Block, Any]] = field(default_factory=dict)
    given: int = 0
    told: int = 0
    is_empty: bool = False

    def next(self) -> tuple[int, Block] | None:
        """Return the next block to compute: a lost one first; null at the end, or too far ahead."""
        if self.lost:
            return self.lost.popleft()
        if self.is_empty or self.given - self.told >= self.window:
            return None
        for block in self.waiting:
            self.given += 1
            return self.given - 1, block
        self.is_empty = True
        return None

    def lose(self, number: int, block: Block) -> None:
        """Take a block back from a dead worker."""
        self.attempts[number] = self.attempts.get(number, 0) + 1
        if self.attempts[number] >= MAX_ATTEMPTS:
            raise MedrovError(
                ErrorCode.INTERNAL,
                f"{MAX_ATTEMPTS} workers died while they computed the same inputs: {block}",
                "Leave these inputs out, or give the workers more memory, then run again with --resume.",
            )
        self.lost.append((number, block))
        self.lost = deque(sorted(self.lost, key=lambda item: item[0]))

    def in_order(self) -> Iterator[tuple[Block, Any]]:
        """Yield the results that are next in order."""
        while self.told in self.results:
            result = self.results.pop(self.told)
            self.attempts.pop(self.told, None)
            self.told += 1
            yield result
