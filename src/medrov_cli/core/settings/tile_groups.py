"""Options on tiles: the cutting of images that are larger than the model's input."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from medrov_cli.core.base.errors import excludes, requires, usage_error
from medrov_cli.core.settings.field import option
from medrov_cli.core.settings.values import Shard

TILES_PANEL = "Slides and large images"

MIN_TILE_PX = 32
"""Smallest tile: one cell of the coarsest grid of the network."""

MPP_RANGE = (0.01, 1000.0)
"""Micrometres per pixel that are accepted: from electron microscopy to radiographs."""

_BOX = re.compile(r"(\d{1,9}),(\d{1,9}),(\d{1,9}),(\d{1,9})")


class TileMode(StrEnum):
    """Ways to choose tiles."""

    AUTO = "auto"
    OFF = "off"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class TileChoice:
    """Choice of the tiles.

    Attributes
    ----------
    mode
        How they are chosen.
    side
        Side of a tile in source pixels, for ``size``.
    """

    mode: TileMode = TileMode.AUTO
    side: int | None = None

    def __str__(self) -> str:
        """Return the text of the option."""
        return self.mode.value if self.side is None else str(self.side)


@dataclass(frozen=True, slots=True)
class RegionChoice:
    """Part of an image: left, top, width and height in source pixels."""

    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        """Return the text of the option."""
        return f"{self.left},{self.top},{self.width},{self.height}"


class ShardUnit(StrEnum):
    """What the jobs of ``--shard`` share out."""

    INPUTS = "inputs"
    TILES = "tiles"


def parse_tile(text: str) -> TileChoice:
    """Return the choice of ``auto``, ``off`` or a number of pixels.

    Raises
    ------
    MedrovError
        ``USAGE``.
    """
    name = text.strip().casefold()
    if name in (TileMode.AUTO, TileMode.OFF):
        return TileChoice(TileMode(name))
    if not re.fullmatch(r"\d{1,9}", name) or int(name) < MIN_TILE_PX:
        raise usage_error(
            f"--tile {text!r} is no size of a tile",
            f"Give auto, off, or the side of a tile in source pixels, from {MIN_TILE_PX}.",
        )
    return TileChoice(TileMode.SIZE, int(name))


def parse_region(text: str) -> RegionChoice:
    """Return the region of ``x,y,w,h``.

    Raises
    ------
    MedrovError
        ``USAGE`` unless these are four whole numbers, the last two above 0.
    """
    match = _BOX.fullmatch(text.replace(" ", ""))
    if match is None:
        raise usage_error(f"--region {text!r} is not x,y,w,h", "Give whole source pixels: 1000,2000,500,400.")
    region = RegionChoice(*map(int, match.groups()))
    if not region.width or not region.height:
        raise usage_error(f"--region {text!r} is empty", "Give a width and a height above 0.")
    return region


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSettings:
    """Settings of tiles.

    Attributes
    ----------
    tile
        Choice of the tiles.
    overlap
        Smallest overlap of two neighbours, as a share of the tile.
    mpp
        Micrometres per pixel of the model's input; null: from the weights, or a stated default.
    region
        Part of each image that is searched; null: all of it.
    search_glass
        Whether tiles without tissue are searched, too.
    """

    tile: TileChoice = option(
        "--tile",
        given_default="auto",
        parse=parse_tile,
        metavar="auto|off|PIXELS",
        help="Tiles: auto (slides and huge images), off, or the side of a tile in source pixels.",
        panel=TILES_PANEL,
        affects_result=True,
    )
    overlap: float = option(
        "--overlap",
        default=0.2,
        low=0,
        high=0.5,
        help="Overlap of neighbouring tiles, as a share of the tile.",
        panel=TILES_PANEL,
        source="SAHI's default (arXiv 2202.06934)",
        affects_result=True,
    )
    mpp: float | None = option(
        "--mpp",
        default=None,
        metavar="UM",
        help="Micrometres per pixel of the model input. Default: from the weights, else 0.36.",
        panel=TILES_PANEL,
        affects_result=True,
    )
    region: RegionChoice | None = option(
        "--region",
        default=None,
        parse=parse_region,
        metavar="X,Y,W,H",
        help="Search this part of each image (source pixels); objects count by their centre.",
        panel=TILES_PANEL,
        affects_result=True,
    )
    search_glass: bool = option(
        "--search-glass",
        default=False,
        help="Search the tiles of a slide that show glass, too.",
        panel=TILES_PANEL,
        affects_result=True,
    )

    def check(self) -> None:
        """Refuse invalid values and contradictions.

        Raises
        ------
        MedrovError
            ``USAGE``, naming the option.
        """
        low, high = MPP_RANGE
        if self.mpp is not None and not (math.isfinite(self.mpp) and low <= self.mpp <= high):
            raise usage_error(
                f"--mpp {self.mpp:g} is not from {low:g} to {high:g}", "Give micrometres per pixel: 0.5."
            )
        if self.tile.mode is TileMode.SIZE and self.mpp is not None:
            raise excludes("--tile SIZE", "--mpp", "Give the size of a tile, or the scale.")
        if self.tile.mode is TileMode.OFF:
            for flag, given in (("--mpp", self.mpp), ("--region", self.region)):
                if given is not None:
                    raise requires(flag, "tiles", "Leave --tile off out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TileJob:
    """Tiles of a run, and the part of them that this job searches.

    Attributes
    ----------
    settings
        Choice of the tiles.
    shard
        Part of each image; null: all of it.
    """

    settings: TileSettings
    shard: Shard | None = None
