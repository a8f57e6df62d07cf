"""Geometry of tiles: the scales of an image, and the places of the tiles of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medrov_cli.core.records.letterbox import Letterbox
from medrov_cli.core.records.tiling import Box

LEVEL_FACTOR = 4
"""Ratio of the tile sides of two levels: an object larger than the overlap (a fifth of the tile by default)
covers at least a twentieth of a tile of the next level, 18 pixels of a model input of 352."""

EDGE_PX = 2.0
"""Model pixels from the edge of a tile within which a box counts as cut by it."""


@dataclass(frozen=True, slots=True)
class TileGrid:
    """Tiles of one level.

    Attributes
    ----------
    side, overlap
        Of a tile, in source pixels; tiles at the border of a smaller area are smaller.
    input_px
        Side of the model input that shows a tile, in pixels.
    lefts, tops
        Left edges of the columns, and top edges of the rows.
    area
        Part of the image that the tiles cover.
    """

    side: int
    overlap: int
    input_px: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    area: Box

    @classmethod
    def fit(cls, area: Box, side: int, overlap: int, input_px: int) -> TileGrid:
        """Return the smallest number of tiles that cover an area, evenly spread."""
        left, top, right, bottom = area
        return cls(
            side,
            overlap,
            input_px,
            _starts(left, right - left, side, overlap),
            _starts(top, bottom - top, side, overlap),
            area,
        )

    def __len__(self) -> int:
        """Return the number of tiles."""
        return len(self.lefts) * len(self.tops)

    def box(self, number: int) -> Box:
        """Return the place of a tile; tiles are numbered by rows."""
        row, column = divmod(number, len(self.lefts))
        left, top = self.lefts[column], self.tops[row]
        return left, top, min(left + self.side, self.area[2]), min(top + self.side, self.area[3])

    def neighbours(self, number: int) -> tuple[int | None, ...]:
        """Return the numbers of the neighbours at each edge of a tile: left, top, right, bottom."""
        row, column = divmod(number, len(self.lefts))
        return (
            number - 1 if column else None,
            number - len(self.lefts) if row else None,
            number + 1 if column < len(self.lefts) - 1 else None,
            number + len(self.lefts) if row < len(self.tops) - 1 else None,
        )

    @property
    def edge_px(self) -> float:
        """Return the source pixels from the edge of a tile within which a box counts as cut by it."""
        return EDGE_PX * self.side / self.input_px

    def numbers_in(self, box: Box) -> list[int]:
        """Return the numbers of the tiles that intersect a box."""
        columns = [at for at, left in enumerate(self.lefts) if left < box[2] and left + self.side > box[0]]
        rows = [at for at, top in enumerate(self.tops) if top < box[3] and top + self.side > box[1]]
        return [row * len(self.lefts) + column for row in rows for column in columns]


def _starts(start: int, length: int, side: int, overlap: int) -> tuple[int, ...]:
    if length <= side:
        return (start,)
    count = -(-(length - overlap) // (side - overlap))
    return tuple(start + round(at * (length - side) / (count - 1)) for at in range(count))


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile.

    Attributes
    ----------
    level
        Number of its grid.
    box
        Its place in the image.
    inner_edges
        Whether a neighbour that is searched adjoins each edge: left, top, right, bottom.
    """

    level: int
    box: Box
    inner_edges: tuple[bool, ...]


@dataclass(frozen=True)
class TilePlan:
    """Tiles of one image, in a fixed order.

    Attributes
    ----------
    grids
        Levels, finest first.
    region
        Part of the image whose objects are kept, by their centres: that of the run or of its shard.
    numbers
        Of each level, the numbers of the tiles to search.
    rule, mpp, skipped, shard
        See :class:`medrov_cli.core.records.tiling.Tiling`.
    first_levels
        int64, (classes,): finest level at which each class is searched.
    """

    grids: tuple[TileGrid, ...]
    region: Box
    numbers: tuple[tuple[int, ...], ...]
    rule: str
    first_levels: np.ndarray
    mpp: float | None = None
    skipped: int = 0
    shard: str | None = None

    def __len__(self) -> int:
        """Return the number of tiles to search."""
        return sum(map(len, self.numbers))

    def tiles(self, start: int, stop: int) -> Iterator[Tile]:
        """Yield the tiles from one place in the order to another."""
        for place in range(start, min(stop, len(self))):
            level = int(np.searchsorted(self._ends, place, side="right"))
            before = 0 if level == 0 else int(self._ends[level - 1])
            number = self.numbers[level][place - before]
            yield Tile(level, self.grids[level].box(number), self._inner_edges(level, number))

    def letterbox(self, tile: Tile) -> Letterbox:
        """Return the transform of a tile: its scale is that of the level, whatever the tile's size."""
        left, top, right, bottom = tile.box
        size = self.grids[tile.level].input_px
        scale = size / self.grids[tile.level].side
        height, width = (max(1, round(side * scale)) for side in (bottom - top, right - left))
        offset = ((size - height) // 2, (size - width) // 2)
        return Letterbox((bottom - top, right - left), (size, size), (height, width), offset)

    def _inner_edges(self, level: int, number: int) -> tuple[bool, ...]:
        searched = self._searched[level]
        return tuple(neighbour in searched for neighbour in self.grids[level].neighbours(number))

    @cached_property
    def _searched(self) -> tuple[frozenset[int], ...]:
        return tuple(map(frozenset, self.numbers))

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(numbers) for numbers in self.numbers])

    @property
    def input_pixels(self) -> int:
        """Return the number of pixels of all model inputs."""
        return sum(len(own) * grid.input_px**2 for grid, own in zip(self.grids, self.numbers, strict=True))

    @property
    def coverage(self) -> float:
        """Return the share of the region that tiles of the finest level cover, 0 to 1."""
        grid = self.grids[0]
        left, top, right, bottom = self.region
        edges_x = _edges((*grid.lefts, *(at + grid.side for at in grid.lefts)), left, right)
        edges_y = _edges((*grid.tops, *(at + grid.side for at in grid.tops)), top, bottom)
        covered = np.zeros((len(edges_y) - 1, len(edges_x) - 1), dtype=bool)
        for number in self.numbers[0]:
            x1, y1, x2, y2 = grid.box(number)
            columns = np.searchsorted(edges_x, (x1, x2))
            rows = np.searchsorted(edges_y, (y1, y2))
            covered[rows[0] : rows[1], columns[0] : columns[1]] = True
        area = np.diff(edges_y)[:, None] * np.diff(edges_x)[None, :]
        return float(area[covered].sum() / area.sum())


def _edges(places: tuple[int, ...], low: int, high: int) -> np.ndarray:
    return np.unique([low, high, *(place for place in places if low < place < high)])
