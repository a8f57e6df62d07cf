"""Journal of the tiles of an image: a search that is interrupted continues within the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medrov_cli.core.runs.journal import Journal

TILES_FILE = "tiles.jsonl"

Advance = Callable[[int, int], None]
"""Called with the number of tiles that were searched, and of all tiles of the image."""


class DetectTiles:
    """Blocks of tiles in a hidden file of the output folder; without a folder, only progress.

    A block is a line with the path and frame of its image and its number. The file holds the blocks of the
    image that is searched; it is removed at the end of the run.

    Parameters
    ----------
    folder
        Output folder; null: blocks are not kept.
    on_advance
        Function of the progress within an image.
    """

    def __init__(self, folder: Path | None, on_advance: Advance) -> None:
        self._journal = None if folder is None else Journal(folder / TILES_FILE)
        self._on_advance = on_advance
        self._number = 0

    def blocks(self, path: str, frame: int) -> Sequence[dict[str, Any]]:
        """Return the blocks of an image from an interrupted run, in order."""
        kept: list[dict[str, Any]] = []
        if self._journal is None:
            return kept

        def keep(records: Iterator[dict[str, Any]]) -> int:
            for record in records:
                if (record.get("path"), record.get("frame"), record.get("number")) != (
                    path,
                    frame,
                    len(kept),
                ):
                    break
                kept.append(record["block"])
            return len(kept)

        self._journal.open(keep)
        self._number = len(kept)
        return kept

    def append(self, path: str, frame: int, block: dict[str, Any]) -> None:
        """Keep the next block of an image."""
        if self._journal is not None:
            record = {"path": path, "frame": frame, "number": self._number, "block": block}
            self._journal.append(record)
            self._number += 1

    def advance(self, done: int, total: int) -> None:
        """Report the progress within an image."""
        self._on_advance(done, total)

    def close(self) -> None:
        """Close the file; its blocks stay."""
        if self._journal is not None:
            self._journal.close()

    def remove(self) -> None:
        """Remove the file, at the end of the run."""
        if self._journal is not None:
            self._journal.close()
            self._journal.partial.unlink(missing_ok=True)
