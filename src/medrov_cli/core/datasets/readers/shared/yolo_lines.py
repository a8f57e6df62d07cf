"""Lines of YOLO label files: boxes, polygons, boxes with keypoints, and predictions with a confidence.

The numbers after the class are fractions of the image. ``kpt_shape`` of data.yaml states the keypoints;
without it the number of columns and the values decide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.box_forms import EDGE_SLACK, MAY_BE_CORNERS
from medrov_cli.core.datasets.readers.shared.polygons import crosses_itself
from medrov_cli.core.datasets.segmentations import polygon_area
from medrov_cli.core.records.annotations import Annotation

_DIGITS = 4  # in pixels: the six digits that YOLO files have are worth no more in images up to 100 Mpx
_LOWEST, _HIGHEST = -0.5, 1.5
"""Coordinates beyond these are pixels or percents; nearer ones belong to a box that leaves the image."""
_VISIBILITIES = frozenset({0.0, 1.0, 2.0})
_MOST_INSIDE = 0.8
"""Share of the keypoints of a box that are inside of it, at least."""
_CONFIDENCE = "label files contain confidences of predictions, which were left out"
_KEYPOINTS = "label files contain keypoints, which were left out"


@dataclass(frozen=True, slots=True)
class LabelForm:
    """What data.yaml states about label files.

    Attributes
    ----------
    names
        Class names by number.
    keypoints
        Number of keypoints and of the values of one (``kpt_shape``); None where it is not stated.
    """

    names: Mapping[int, str]
    keypoints: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Shape:
    """One line: the numbers of a box (centre, size) or of a polygon, and a note for the user."""

    numbers: Sequence[float]
    is_box: bool
    note: str = ""


def parse_labels(
    text: str, form: LabelForm, height: int, width: int
) -> tuple[tuple[Annotation, ...], list[str]]:
    """Return the annotations of a label file, and notes for the user. Equal lines are one object.

    Raises
    ------
    MedrovError
        ``bad_metadata``: a line has another form, or its coordinates are no fractions.
    """
    lines = [line for line in dict.fromkeys(text.splitlines()) if line.strip()]
    found: list[Annotation] = []
    shapes: list[_Shape] = []
    for line in lines:
        name, numbers = _parts(line, form)
        shape = _shape(numbers, form)
        _require_fractions(shape)
        shapes.append(shape)
        found.append(_annotation(name, shape, height, width))
    notes = [shape.note for shape in shapes if shape.note]
    plain = [shape.numbers for shape in shapes if shape.is_box]
    if any(_leaves(own) for own in plain) and all(own[2] > own[0] and own[3] > own[1] for own in plain):
        notes.append(MAY_BE_CORNERS)
    return tuple(found), list(dict.fromkeys(notes))


def is_label_text(text: str) -> bool:
    """Tell whether a text has the lines of a label file: a class number and four or more numbers."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return all(len(parts) >= 5 and all(map(_is_number, parts)) for parts in lines)


def _parts(line: str, form: LabelForm) -> tuple[str, list[float]]:
    parts = line.split()
    number = re.fullmatch(r"(\d{1,18})(\.0*)?", parts[0])
    if number is None or int(number[1]) not in form.names:
        raise _bad("names a class that data.yaml does not")
    if not all(map(_is_number, parts[1:])):
        raise _bad("has a line that is neither a box nor a polygon")
    return form.names[int(number[1])], [float(part) for part in parts[1:]]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _shape(numbers: Sequence[float], form: LabelForm) -> _Shape:
    count = len(numbers)
    if count == 4:
        return _Shape(numbers, is_box=True)
    if _is_prediction(numbers):
        return _Shape(numbers[:4], is_box=True, note=_CONFIDENCE)
    if form.keypoints is not None:
        expected = 4 + form.keypoints[0] * form.keypoints[1]
        if count != expected and not (count == expected + 1 and _is_share(numbers[-1])):
            raise _bad(f"has a line of {count + 1} columns; kpt_shape needs {expected + 1}")
        return _Shape(numbers[:4], is_box=True, note=_KEYPOINTS)
    if _has_visibilities(numbers):
        return _Shape(numbers[:4], is_box=True, note=_KEYPOINTS)
    more = _numbers_behind(numbers)
    if count - more < 6:
        raise _bad("has a line that is neither a box nor a polygon")
    return _Shape(numbers[: count - more], is_box=False, note=_CONFIDENCE if more else "")


def _numbers_behind(numbers: Sequence[float]) -> int:
    """Return how many numbers follow the corners of a polygon: a confidence, the number of a track, or both.

    Raises
    ------
    MedrovError
        ``bad_metadata``: an odd number of other values; or the last two may as well be a corner.
    """
    *before, last = numbers
    if len(numbers) % 2:
        if not _is_share(last) and not _is_identifier(last):
            raise _bad("has a line that is neither a box nor a polygon")
        return 1
    if len(numbers) < 8 or not _is_share(before[-1]) or not _is_identifier(last):
        return 0
    xs, ys = before[:-1:2], before[1::2]
    is_far = not (min(xs) - EDGE_SLACK <= before[-1] <= max(xs) + EDGE_SLACK and last <= max(ys) + EDGE_SLACK)
    if last == 1 and is_far:
        raise _bad("has a line that ends in a corner at the lower edge, or in a confidence and a track")
    return 2 if last > 1 else 0


def _is_prediction(numbers: Sequence[float]) -> bool:
    """Tell whether a confidence, the number of a track, or both follow a box."""
    if len(numbers) == 5:
        return _is_share(numbers[4]) or _is_identifier(numbers[4])
    return len(numbers) == 6 and _is_share(numbers[4]) and _is_identifier(numbers[5]) and numbers[5] > 1


def _has_visibilities(numbers: Sequence[float]) -> bool:
    """Tell whether numbers are a box and keypoints of x, y and visibility.

    Raises
    ------
    MedrovError
        ``bad_metadata``: they may as well be a polygon.
    """
    seen = numbers[6::3]
    if len(numbers) < 7 or (len(numbers) - 4) % 3:
        return False
    are_visibilities = _VISIBILITIES.issuperset(seen)
    if are_visibilities and (2.0 in seen or not any(seen)):
        return 2.0 in seen or len(numbers) % 2 == 1
    x, y, w, h = numbers[:4]
    points = [(px, py) for px, py, is_seen in zip(numbers[4::3], numbers[5::3], seen, strict=True) if is_seen]
    inside = [abs(px - x) <= w / 2 + EDGE_SLACK and abs(py - y) <= h / 2 + EDGE_SLACK for px, py in points]
    if are_visibilities:
        is_polygon = not all(inside)
    else:  # confidences of keypoints; read as corners, the edges cross
        is_polygon = not all(map(_is_share, seen)) or sum(inside) < _MOST_INSIDE * len(inside)
        end = len(numbers) - len(numbers) % 2
        is_polygon = is_polygon or not crosses_itself(numbers[:end:2], numbers[1:end:2])
    if is_polygon:
        return False
    raise _bad("has a line that may be a polygon or a box with keypoints: state kpt_shape in data.yaml")


def _is_share(number: float) -> bool:
    return 0 <= number <= 1


def _is_identifier(number: float) -> bool:
    return number >= 1 and number.is_integer()


def _require_fractions(shape: _Shape) -> None:
    numbers = shape.numbers
    is_small = all(_LOWEST <= number <= _HIGHEST for number in (numbers[:2] if shape.is_box else numbers))
    if not is_small or (shape.is_box and max(numbers[2:]) > _HIGHEST - _LOWEST):
        raise _bad("has coordinates that are no fractions of the image: pixels or percents")
    if shape.is_box and min(numbers[2:]) < 0:
        raise _bad("has a box of a negative size")


def _leaves(box: Sequence[float]) -> bool:
    x, y, w, h = box
    return max(x + w / 2, y + h / 2) > 1 + EDGE_SLACK or min(x - w / 2, y - h / 2) < -EDGE_SLACK


def _annotation(name: str, shape: _Shape, height: int, width: int) -> Annotation:
    if shape.is_box:
        x, y, w, h = shape.numbers
        return Annotation(name, _rounded(((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)))
    xs = [x * width for x in shape.numbers[::2]]
    ys = [y * height for y in shape.numbers[1::2]]
    box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    return Annotation(name, _rounded(box), round(polygon_area(xs, ys), _DIGITS))


def _rounded(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, w, h = (round(value, _DIGITS) + 0.0 for value in box)  # no negative zeros
    return x, y, w, h


def _bad(what: str) -> MedrovError:
    return MedrovError(ErrorCode.BAD_METADATA, f"The label file {what}.", "Correct it, or export it again.")
