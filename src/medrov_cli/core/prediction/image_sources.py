"""Images that a predictor takes, as sources of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.pixels.read import read_frames
from medrov_cli.core.records.frame import Frame, ImageSource, UInt8Array
from medrov_cli.core.settings.io_groups import ReadSettings

Image: TypeAlias = str | Path | Frame | UInt8Array | ImageSource
"""An input of a predictor: a path, a frame, pixels as uint8 (height, width, 3) RGB, or a source."""


@dataclass(frozen=True, slots=True)
class _File:
    """An image file; see :class:`medrov_cli.core.records.frame.ImageSource`."""

    path: str

    def frames(self) -> Iterator[Frame]:
        return read_frames(self.path, ReadSettings(by_region=True))


@dataclass(frozen=True, slots=True)
class _OneFrame:
    """A frame in memory; see :class:`medrov_cli.core.records.frame.ImageSource`."""

    frame: Frame

    @property
    def path(self) -> str:
        return self.frame.path

    def frames(self) -> Iterator[Frame]:
        yield self.frame


@dataclass(frozen=True, slots=True)
class _Refused:
    """An object that is no image; see :class:`medrov_cli.core.records.frame.ImageSource`."""

    path: str
    reason: str

    def frames(self) -> Iterator[Frame]:
        raise MedrovError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"The input is no image: {self.reason}.",
            "Give a path or an RGB array.",
        )


def to_source(image: Image) -> ImageSource:
    """Return an input as a source.

    Raises
    ------
    ValueError
        An array is not uint8 of shape (height, width, 3).
    TypeError
        An object of another type.
    """
    if isinstance(image, str | Path):
        return _File(str(image))
    if isinstance(image, Frame):
        return _OneFrame(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"an image is uint8, (height, width, 3) in RGB, not {image.dtype} {image.shape}")
        return _OneFrame(Frame(image, "array"))
    if not callable(getattr(image, "frames", None)):
        kind = type(image).__name__
        raise TypeError(f"an image is a path, a frame or an array of uint8, (height, width, 3), not {kind}")
    return image


def to_readable(image: Image) -> ImageSource:
    """Return an input as a source; that of an object that is no image fails when it is read."""
    try:
        return to_source(image)
    except (TypeError, ValueError) as error:
        return _Refused(type(image).__name__, str(error))


def list_images(images: Image | Iterable[Image]) -> Iterable[Image]:
    """Return one or several images as an iterable; an array with four axes is several images."""
    if isinstance(images, np.ndarray):
        return images if images.ndim == 4 else [images]
    if isinstance(images, Iterable) and not isinstance(images, str | bytes):
        return images
    return [images]
