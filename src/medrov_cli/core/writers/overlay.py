"""Detections drawn on the image: boxes and labels, without data of the file's header.

A label is inside the image and covers no other label. A label without a free place is a number, which a
legend beside the image explains; so are all labels of a crowded image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medrov_cli.core.base.class_colors import Color, class_color
from medrov_cli.core.base.files import whole_file
from medrov_cli.core.records.detections import Detections
from medrov_cli.core.records.frame import UInt8Array
from medrov_cli.core.writers.heat_map import draw_heat_map
from medrov_cli.core.writers.naming import output_path
from medrov_cli.core.writers.protocol import Writer

OVERLAY_FOLDER = "overlays"
_LONGEST_SIDE_PER_LINE_PX = 400  # a line as wide as this part of the image stays visible
_MIN_LINE_PX = 2
_LONGEST_SIDE_PER_LETTER_PX = 45
_MIN_LETTER_PX = 11  # smaller letters cannot be read
_LABEL_MARGIN_PX = 2
_CROWDED_SHARE = 0.12
"""Share of the image that all labels may cover; above it they would hide the image, and are numbers."""

_MAX_LEGEND_ROWS = 400
_OUTLINE: Color = (0, 0, 0)  # around each line: visible on bright and on coloured tissue
_LEGEND_BACK: Color = (24, 24, 24)
_LEGEND_INK: Color = (240, 240, 240)

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the canvas."""


class OverlayWriter:
    """Writer of a PNG file for every image."""

    name = "png"
    needs_folder = True
    suffix = ".png"
    files = (f"{OVERLAY_FOLDER}/**/*{suffix}",)

    def write_record(self, folder: Path, name: str, detections: Detections, pixels_rgb: UInt8Array) -> None:
        """Write an image with its detections."""
        frame = detections.frame
        if frame is None:
            raise ValueError("an overlay needs the frame of the detections")
        target = output_path(folder / OVERLAY_FOLDER, name, frame.index, frame.frame_count, self.suffix)
        write_overlay(target, pixels_rgb, detections)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One detection on the canvas: its box, colour, text and number."""

    box: Rectangle
    color: Color
    text: str
    number: int


def draw_detections(image_rgb: UInt8Array, detections: Detections) -> UInt8Array:
    """Return a copy of an image with its detections drawn on it.

    If there are numbers instead of labels, the legend is added at the right side of the image.

    Parameters
    ----------
    image_rgb
        uint8, (height, width, 3), in source pixels.
    detections
        Detections by descending score; those with the highest scores are drawn last, and get the first
        places of labels. The name of the class gives the colour.
    """
    canvas = image_rgb.copy()
    longest = max(canvas.shape[:2])
    line_px = max(_MIN_LINE_PX, round(longest / _LONGEST_SIDE_PER_LINE_PX))
    letter_px = max(_MIN_LETTER_PX, round(longest / _LONGEST_SIDE_PER_LETTER_PX))
    drawn = list(_on_canvas(detections))
    for item in reversed(drawn):
        _draw_box(canvas, item, line_px)
    numbered = _draw_labels(canvas, drawn, letter_px)
    return _with_legend(canvas, numbered, letter_px) if numbered else canvas


def _on_canvas(detections: Detections) -> Iterator[_Drawn]:
    for number, (box, score, label) in enumerate(
        zip(
            detections.boxes_xyxy.tolist(),
            detections.scores.tolist(),
            detections.labels.tolist(),
            strict=True,
        ),
        start=1,
    ):
        left, top, right, bottom = (round(value) for value in box)
        name = detections.classes[label]
        yield _Drawn((left, top, right, bottom), class_color(name), f"{name} {score:.2f}", number)


def _draw_box(canvas: UInt8Array, item: _Drawn, line_px: int) -> None:
    left, top, right, bottom = item.box
    cv2.rectangle(canvas, (left, top), (right, bottom), _OUTLINE, line_px + 2)
    cv2.rectangle(canvas, (left, top), (right, bottom), item.color, line_px)


def _draw_labels(canvas: UInt8Array, drawn: Sequence[_Drawn], letter_px: int) -> list[_Drawn]:
    """Draw the labels where no other label is; return the detections that have a number instead."""
    used: list[Rectangle] = []
    numbered = []
    covered = sum(_label(item.text, letter_px, item.color)[..., 0].size for item in drawn)
    is_crowded = len(drawn) > 1 and covered > _CROWDED_SHARE * canvas[..., 0].size
    for item in drawn:
        if not is_crowded:
            label = _label(item.text, letter_px, item.color)
            place = _free_place(canvas, label, item.box, used)
            if place is not None:
                _paste(canvas, label, place)
                used.append(place)
                continue
        numbered.append(item)
    for item in numbered:
        label = _label(str(item.number), letter_px, item.color)
        place = _free_place(canvas, label, item.box, used)
        if place is not None:  # else only the legend has its number: boxes that lie on one another
            _paste(canvas, label, place)
            used.append(place)
    return numbered


def _free_place(
    canvas: UInt8Array, label: UInt8Array, box: Rectangle, used: Sequence[Rectangle]
) -> Rectangle | None:
    """Return the first place at the box, inside the canvas, without another label; None: there is none."""
    height, width = label.shape[:2]
    rows, columns = canvas.shape[:2]
    if height > rows or width > columns:
        return None
    left, top, right, bottom = box
    corners = (
        (left, top - height),
        (right - width, top - height),
        (left, bottom),
        (right - width, bottom),
        (left, top),
        (right - width, bottom - height),
        (right, top),
        (left - width, top),
    )
    for column, row in corners:
        moved = min(max(column, 0), columns - width)
        if not 0 <= row <= rows - height or abs(moved - column) > width:
            continue
        place = (moved, row, moved + width, row + height)
        if not any(_overlap(place, other) for other in used):
            return place
    return None


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _with_legend(canvas: UInt8Array, numbered: Sequence[_Drawn], letter_px: int) -> UInt8Array:
    """Return the canvas with a legend of numbers, in as many columns as it needs, at its right side."""
    shown = list(numbered[:_MAX_LEGEND_ROWS])
    row_px = letter_px + 2 * _LABEL_MARGIN_PX + 4
    in_column = max(1, (canvas.shape[0] - row_px) // row_px)
    if len(shown) < len(numbered):
        in_column = max(in_column, -(-(len(shown) + 1) // 4))
    texts = [f"{item.number}  {item.text}" for item in shown]
    if len(shown) < len(numbered):
        texts.append(f"and {len(numbered) - len(shown)} more")
    font = _font(letter_px)
    width = round(max(font.getlength(text) for text in texts)) + 2 * row_px
    columns = -(-len(texts) // in_column)
    height = max(canvas.shape[0], (min(in_column, len(texts)) + 1) * row_px)
    legend = Image.new("RGB", (columns * width, height), _LEGEND_BACK)
    pen = ImageDraw.Draw(legend)
    for index, text in enumerate(texts):
        x, y = index // in_column * width + row_px // 2, (index % in_column) * row_px + row_px // 2
        if index < len(shown):
            pen.rectangle((x, y + 2, x + letter_px - 4, y + letter_px - 2), fill=shown[index].color)
        pen.text((x + row_px, y), text, _LEGEND_INK, font)
    both = np.full((height, canvas.shape[1] + legend.width, 3), _LEGEND_BACK, dtype=np.uint8)
    both[: canvas.shape[0], : canvas.shape[1]] = canvas
    both[:, canvas.shape[1] :] = np.asarray(legend)
    return both


def draw_boxes(image_rgb: UInt8Array, detections: Detections) -> UInt8Array:
    """Return a copy of an image with its boxes, and a key with the count of each class at the top left.

    Parameters
    ----------
    image_rgb
        uint8, (height, width, 3), in source pixels.
    detections
        Detections by descending score.
    """
    canvas = image_rgb.copy()
    for item in reversed(list(_on_canvas(detections))):
        left, top, right, bottom = item.box
        cv2.rectangle(canvas, (left, top), (right, bottom), item.color, 1)
    letter_px = max(_MIN_LETTER_PX, round(max(canvas.shape[:2]) / _LONGEST_SIDE_PER_LETTER_PX))
    row = 0
    for label in np.unique(detections.labels).tolist():
        name, count = detections.classes[label], int((detections.labels == label).sum())
        tag = _label(f"{name}: {count}", letter_px, class_color(name))
        tag = tag[: canvas.shape[0] - row, : canvas.shape[1]]
        canvas[row : row + tag.shape[0], : tag.shape[1]] = tag
        row += tag.shape[0]
    return canvas


def write_overlay(path: Path, image_rgb: UInt8Array, detections: Detections) -> None:
    """Write an image with its detections as PNG, in the resolution of the image, with a legend if needed.

    On the thumbnail of a slide, boxes would be dots: it shows the density of detections. On another image
    that was searched in tiles, labels would hide the objects: it has a key of the classes.

    Raises
    ------
    MedrovError
        ``OUTPUT_FAILED``.
    """
    frame = detections.frame
    if frame is not None and image_rgb.shape[:2] != (frame.height, frame.width):
        drawn = draw_heat_map(image_rgb, detections)
    elif detections.tiling is not None:
        drawn = draw_boxes(image_rgb, detections)
    else:
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
    """Return the font of Pillow, which is equal on all machines."""
    return ImageFont.load_default(letter_px)


def _paste(canvas: UInt8Array, label: UInt8Array, place: Rectangle) -> None:
    left, top, right, bottom = place
    canvas[top:bottom, left:right] = label


WRITER: Writer = OverlayWriter()
