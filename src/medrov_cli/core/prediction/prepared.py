"""Inputs of the network: an image, or a tile of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medrov_cli.core.prediction.tile_grid import Tile, TilePlan
from medrov_cli.core.records.frame import Frame, UInt8Array
from medrov_cli.core.records.letterbox import Letterbox

_NOT_ON_HOST: UInt8Array = np.zeros((0, 0, 3), dtype=np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """A frame as the input of the network.

    Attributes
    ----------
    frame
        The frame, with pixels only if they are kept.
    letterbox
        The transform from source to model pixels.
    square_rgb
        uint8, (imgsz, imgsz, 3).
    on_device
        The same as a tensor on the device of the network, in place of ``square_rgb``; null: on the host.
    """

    frame: Frame
    letterbox: Letterbox
    square_rgb: UInt8Array
    on_device: Any = None


@dataclass(frozen=True, slots=True)
class TiledFrame:
    """An image that is searched in tiles."""

    frame: Frame
    plan: TilePlan


@dataclass(frozen=True, slots=True, eq=False)
class PreparedTile:
    """A tile as the input of the network."""

    tile: Tile
    letterbox: Letterbox
    square_rgb: UInt8Array


def prepare_image(
    frame: Frame,
    imgsz: int,
    warnings: tuple[str, ...],
    *,
    keep_pixels: bool,
    place: Callable[[UInt8Array, Letterbox], Any] | None = None,
) -> PreparedImage:
    """Return the input of the network for a frame, with more warnings.

    Parameters
    ----------
    frame
        The frame.
    imgsz
        Side of the square model input, in pixels.
    warnings
        Further warnings.
    keep_pixels
        Whether the frame keeps its pixels.
    place
        Function of pixels and a letterbox to the square on a device, or null if it does not take the image;
        null: squares are on the host.

    Raises
    ------
    MedrovError
        An input code, if an image that is read by regions cannot be read.
    """
    letterbox = Letterbox.fit((frame.height, frame.width), imgsz)
    kept = frame if keep_pixels else frame.without_pixels()
    kept = replace(kept, warnings=frame.warnings + warnings)
    if place is not None and frame.regions is None:
        on_device = place(frame.pixels_rgb, letterbox)
        if on_device is not None:
            return PreparedImage(kept, letterbox, _NOT_ON_HOST, on_device)
    return PreparedImage(kept, letterbox, apply_letterbox(letterbox, frame))


def stack_squares(images: Sequence[PreparedImage]) -> Any:
    """Return the squares of a batch, (n, imgsz, imgsz, 3): an array, or a list of tensors on the device."""
    if any(image.on_device is not None for image in images):
        return [image.square_rgb if image.on_device is None else image.on_device for image in images]
    return np.stack([image.square_rgb for image in images])


def apply_letterbox(letterbox: Letterbox, frame: Frame) -> UInt8Array:
    """Return a frame in the square of its letterbox, uint8, (size, size, 3).

    Raises
    ------
    MedrovError
        An input code, if an image that is read by regions cannot be read.
    """
    whole = (0, 0, frame.width, frame.height)
    return letterbox.place(frame.read_region(whole, letterbox.content_hw))


def prepare_tile(item: TiledFrame, tile: Tile) -> PreparedTile:
    """Return the input of the network for a tile.

    Raises
    ------
    MedrovError
        An input code, if the tile cannot be read.
    """
    letterbox = item.plan.letterbox(tile)
    content = item.frame.read_region(tile.box, letterbox.content_hw, by_halves=True)
    return PreparedTile(tile, letterbox, letterbox.place(content))
