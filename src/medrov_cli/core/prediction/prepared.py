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
    input_rgb
        uint8, (height, width, 3).
    on_device
        The same as a tensor on the device of the network, in place of ``input_rgb``; null: on the host.
    """

    frame: Frame
    letterbox: Letterbox
    input_rgb: UInt8Array
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
    input_rgb: UInt8Array


def prepare_image(
    frame: Frame,
    imgsz: int,
    warnings: tuple[str, ...],
    *,
    keep_pixels: bool,
    rectangle: bool = False,
    place: Callable[[UInt8Array, Letterbox], Any] | None = None,
) -> PreparedImage:
    """Return the input of the network for a frame, with more warnings.

    Parameters
    ----------
    frame
        The frame.
    imgsz
        Longest side of the model input, in pixels.
    warnings
        Further warnings.
    keep_pixels
        Whether the frame keeps its pixels.
    rectangle
        Whether the model input has the shape of the image, and is not a square.
    place
        Function of pixels and a letterbox to the square on a device, or null if it does not take the image;
        null: squares are on the host.

    Raises
    ------
    MedrovError
        An input code, if an image that is read by regions cannot be read.
    """
    letterbox = Letterbox.fit((frame.height, frame.width), imgsz, rectangle=rectangle)
    kept = frame if keep_pixels else frame.without_pixels()
    kept = replace(kept, warnings=frame.warnings + warnings)
    if place is not None and frame.regions is None:
        on_device = place(frame.pixels_rgb, letterbox)
        if on_device is not None:
            return PreparedImage(kept, letterbox, _NOT_ON_HOST, on_device)
    return PreparedImage(kept, letterbox, apply_letterbox(letterbox, frame))


def stack_inputs(images: Sequence[PreparedImage]) -> Any:
    """Return the inputs of a batch: an array if they have one shape, else a list, also of tensors."""
    if any(image.on_device is not None for image in images):
        return [image.input_rgb if image.on_device is None else image.on_device for image in images]
    return stack_arrays([image.input_rgb for image in images])


def stack_arrays(inputs_rgb: Sequence[UInt8Array]) -> Any:
    """Return inputs, uint8, (height, width, 3), as one array if they have one shape, or as they are."""
    return np.stack(inputs_rgb) if len({own.shape for own in inputs_rgb}) == 1 else inputs_rgb


def apply_letterbox(letterbox: Letterbox, frame: Frame) -> UInt8Array:
    """Return a frame in its letterbox, uint8, (*input_hw, 3).

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
