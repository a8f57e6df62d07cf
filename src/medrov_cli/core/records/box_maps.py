"""Map from the boxes of a network to those of the people who drew the examples of a class.

A network that has not seen a class gives it boxes by the habits of its training. People include the border of
an organ or not, and mark a point by a square of one size. The map is linear in the logarithms of the sides,
and holds for all engines and sizes of the model input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medrov_cli.core.base.codec import Fields
from medrov_cli.core.records.boxes import FloatArray

MOST_DEVIATIONS = 3.0
"""Boxes beyond this many deviations from the mean of the examples are mapped as those at this distance."""

MOST_CHANGE = 1.5
"""Largest change of the logarithm of a side, and of the centre in sides."""

MAPPED_IOU = 0.5
"""IoU of a suppression after the map, which draws boxes of one object together: a box with a larger IoU with
one of a higher score is removed."""

LEAST_SIDE = 1e-3
"""Smallest side that counts, relative to the longest side of the image."""

_LARGEST = 1e6
_SIDES, _CHANGES, _ROWS = 2, 4, 3


@dataclass(frozen=True, slots=True)
class BoxMap:
    """Map of the boxes of one class.

    Attributes
    ----------
    mean, deviation
        Of the logarithms of width and height of the network's boxes of the examples, relative to the longest
        side of the image.
    coefficients
        12 numbers, (3, 4) row by row. Rows: width and height (in deviations from the mean), and 1. Columns:
        shift of the centre to the right and down in widths and heights of the box, and change of the
        logarithms of width and height.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    coefficients: tuple[float, ...]

    def apply(self, boxes_xyxy: FloatArray, image_side: float | FloatArray) -> FloatArray:
        """Return mapped boxes, float64, (n, 4).

        Parameters
        ----------
        boxes_xyxy
            float, (n, 4), in pixels of any scale.
        image_side
            Longest side of the image, or of the tile, in these pixels; or that of each box, (n, 1).
        """
        centres, sides = centres_and_sides(boxes_xyxy)
        inputs = (log_sides(sides, image_side) - self.mean) / self.deviation
        inputs = np.clip(inputs, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        rows = np.column_stack((inputs, np.ones(len(inputs))))
        changes = rows @ np.reshape(self.coefficients, (_ROWS, _CHANGES))
        changes = np.clip(changes, -MOST_CHANGE, MOST_CHANGE)
        centres = centres + changes[:, :2] * sides
        half = sides * np.exp(changes[:, 2:]) / 2
        return np.concatenate((centres - half, centres + half), axis=1)


def centres_and_sides(boxes_xyxy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return centres and sides of boxes, float64, (n, 2) each, x before y."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def log_sides(sides: FloatArray, image_side: float | FloatArray) -> FloatArray:
    """Return the logarithms of sides relative to the longest side of the image, at least `LEAST_SIDE`."""
    return np.asarray(np.log(np.maximum(sides / image_side, LEAST_SIDE)))


def read_box_map(fields: Fields) -> BoxMap:
    """Return the record of a map.

    Raises
    ------
    MedrovError
        ``weights_corrupt``.
    """
    counts = {"mean": _SIDES, "deviation": _SIDES, "coefficients": _ROWS * _CHANGES}
    values = {}
    for key, count in counts.items():
        own = fields.data.get(key)
        are_numbers = isinstance(own, list) and len(own) == count and all(map(_is_number, own))
        fields.require(are_numbers, key, f"a list of {count} numbers")
        values[key] = tuple(map(float, own))  # type: ignore[arg-type]
    fields.require(min(values["deviation"]) > 0, "deviation", "a list of positive numbers")
    return BoxMap(**values)


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= _LARGEST  # type: ignore[arg-type]
