"""Detections drawn on the image: boxes and labels, nothing of the file's header."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.writers.naming import output_path
from medrov_cli.core.writers.protocol import Writer

OVERLAY_FOLDER = "overlays"
_GOLDEN_RATIO = 0.618033988749895  # steps of it spread hues evenly, however many there are
_LONGEST_SIDE_PER_LINE_PX = 500  # a line as wide as this part of the image stays visible
_LONGEST_SIDE_PER_LETTER_PX = 45
_MIN_LETTER_PX = 11  # smaller letters cannot be read
_LABEL_MARGIN_PX = 2

Color = tuple[int, int, int]


class OverlayWriter:
    """Write a PNG file for every image."""

    name = "png"
    needs_folder = True
    files = (OVERLAY_FOLDER,)

    def write_record(self, folder: Path, detections: Detections, pixels_rgb: UInt8Array) -> None:
        """Write the image with its detections."""
        frame = detections.frame
        if frame is None:
            raise ValueError("an overlay needs the frame of the detections")
        target = output_path(folder / OVERLAY_FOLDER, frame.path, frame.index, frame.frame_count, ".png")
        write_overlay(target, pixels_rgb, detections)


def class_color(index: int) -> Color:
    """Return the colour of a class, RGB, 0 to 255: bright, and far from its neighbours'."""
    red, green, blue = colorsys.hsv_to_rgb((index * _GOLDEN_RATIO) % 1.0, 0.75 if index % 2 else 0.9, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_detections(image_rgb: UInt8Array, detections: Detections) -> UInt8Array:
    """Return a copy of an image with its detections drawn on it.

    Parameters
    ----------
    image_rgb
        uint8, (height, width, 3), in source pixels.
    detections
        Best first: the best are drawn last, on top. The label of a class gives its colour.
    """
    canvas = image_rgb.copy()
    longest = max(canvas.shape[:2])
    line_px = max(1, round(longest / _LONGEST_SIDE_PER_LINE_PX))
    letter_px = max(_MIN_LETTER_PX, round(longest / _LONGEST_SIDE_PER_LETTER_PX))
    for box, score, label in zip(
        detections.boxes_xyxy[::-1].tolist(),
        detections.scores[::-1].tolist(),
        detections.labels[::-1].tolist(),
        strict=True,
    ):
        color = class_color(label)
        left, top, right, bottom = (round(value) for value in box)
        cv2.rectangle(canvas, (left, top), (right, bottom), color, line_px)
        text = f"{detections.classes[label]} {score:.2f}"
        _paste_label(canvas, _label(text, letter_px, color), left, top)
    return canvas


def write_overlay(path: Path, image_rgb: UInt8Array, detections: Detections) -> None:
    """Write an image with its detections as PNG, in the image's own resolution.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    drawn = draw_detections(image_rgb, detections)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    with whole_file(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


@lru_cache(maxsize=4096)
def _label(text: str, letter_px: int, color: Color) -> UInt8Array:
    """Return a label's pixels, uint8, (h, w, 3), RGB: black or white letters on the class colour."""
    font = _font(letter_px)
    left, top, right, bottom = font.getbbox(text)
    width, height = round(right - left), round(bottom - top)
    size = (width + 2 * _LABEL_MARGIN_PX, height + 2 * _LABEL_MARGIN_PX)
    image = Image.new("RGB", size, color)
    red, green, blue = color
    is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 140  # luma of ITU-R BT.601
    ink = (0, 0, 0) if is_light else (255, 255, 255)
    ImageDraw.Draw(image).text((_LABEL_MARGIN_PX - left, _LABEL_MARGIN_PX - top), text, ink, font)
    return np.asarray(image, dtype=np.uint8)


@lru_cache(maxsize=64)
def _font(letter_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow: the same on every machine."""
    return ImageFont.load_default(letter_px)


def _paste_label(canvas: UInt8Array, label: UInt8Array, left: int, top: int) -> None:
    """Put a label above a box's corner, or below its top edge where there is no room."""
    height, width = min(label.shape[0], canvas.shape[0]), min(label.shape[1], canvas.shape[1])
    row = top - height if top >= height else top
    row = min(max(row, 0), canvas.shape[0] - height)
    column = min(max(left, 0), canvas.shape[1] - width)
    canvas[row : row + height, column : column + width] = label[:height, :width]


WRITER: Writer = OverlayWriter()
