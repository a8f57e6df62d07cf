"""How an image was cut into tiles: the ``tiling`` object of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

Box = tuple[int, int, int, int]
"""left, top, right, bottom in whole source pixels."""


@dataclass(frozen=True, slots=True)
class TileLevel:
    """One scale at which an image was searched.

    Attributes
    ----------
    tile_px, overlap_px
        Side of a tile, and smallest overlap of two neighbours, in source pixels.
    tiles
        Number of tiles that were searched.
    """

    tile_px: int
    overlap_px: int
    tiles: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of one image.

    Attributes
    ----------
    rule
        Reason of the tiles and of their scale, for the user.
    levels
        Scales, finest first.
    region_xyxy
        Part of the image whose objects are reported, by their centres.
    mpp
        Micrometres per pixel of the model's input at the finest scale; null if it is unknown.
    skipped
        Number of tiles that were left out because they show glass.
    coverage
        Share of the region that tiles of the finest scale cover, 0 to 1.
    shard
        ``i/n``: the region is this part of the image; null if the run has all parts.
    """

    rule: str
    levels: tuple[TileLevel, ...]
    region_xyxy: Box
    mpp: float | None = None
    skipped: int = 0
    coverage: float = 1.0
    shard: str | None = None

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Return the tiles of a ``tiling`` object."""
        left, top, width, height = record["region"]
        return cls(
            rule=record["rule"],
            levels=tuple(TileLevel(**level) for level in record["levels"]),
            region_xyxy=(left, top, left + width, top + height),
            mpp=record["mpp"],
            skipped=record["skipped_tiles"],
            coverage=record["coverage"],
            shard=record["shard"],
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the ``tiling`` object of a JSON record."""
        left, top, right, bottom = self.region_xyxy
        return {
            "rule": self.rule,
            "levels": [
                {"tile_px": level.tile_px, "overlap_px": level.overlap_px, "tiles": level.tiles}
                for level in self.levels
            ],
            "region": [left, top, right - left, bottom - top],
            "mpp": None if self.mpp is None else round(self.mpp, 4),
            "skipped_tiles": self.skipped,
            "coverage": round(self.coverage, 4),
            "shard": self.shard,
        }
