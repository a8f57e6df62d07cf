"""Sentences about the fit of a class, for the user."""

from __future__ import annotations

import math

import numpy as np

from medrov_cli.core.base.constants import GRID
from medrov_cli.core.records.boxes import FloatArray, box_areas
from medrov_cli.core.settings.groups import DEFAULT_CONF
from medrov_cli.core.weights.learned_file import LearnedClass

POOR_AP50 = 0.1
"""AP50 on held-out examples below which the user is warned."""

SMALL_SIDE, GOOD_SIDE = 16, 24
"""Median side of examples in model pixels below which the user is warned, and that of the hint. Of eight
classes that the first edition had not seen, the two below 16 pixels gained with 736 instead of 352 pixels
(AP50 0.04 to 0.38, and 0.39 to 0.68), nothing more with 960 or 1280, and most of the others lost with 640."""

LARGEST_HINT = 960
"""Largest size of a model input in a hint."""


def warnings_of(
    record: LearnedClass, examples_xyxy: FloatArray, imgsz: int, *, validates: bool
) -> tuple[str, ...]:
    """Return the sentences about a class.

    Parameters
    ----------
    record
        The class.
    examples_xyxy
        Its examples, (n, 4), in model pixels.
    imgsz
        Side of the square model input, in pixels.
    validates
        Whether a validation was asked for.
    """
    return (*_of_validation(record, validates=validates), *_of_size(examples_xyxy, imgsz))


def _of_validation(record: LearnedClass, *, validates: bool) -> tuple[str, ...]:
    own = record.validation
    if own is None:
        if not validates:
            return ()
        return (f"all examples are in one image or patient: not validated, shown from {DEFAULT_CONF}",)
    if own.ap50 < POOR_AP50:
        sentence = f"hardly found on held-out examples (AP50 {own.ap50:.2f})"
        return (f"{sentence}: give more examples, or expect false results",)
    if own.text_ap50 > own.ap50:
        return (
            f"the name as text finds more on these images (AP50 {own.text_ap50:.2f}, learned {own.ap50:.2f})",
        )
    return ()


def _of_size(examples_xyxy: FloatArray, imgsz: int) -> tuple[str, ...]:
    if not len(examples_xyxy):
        return ()
    side = float(np.median(np.sqrt(box_areas(examples_xyxy))))
    if side >= SMALL_SIDE or imgsz >= LARGEST_HINT:
        return ()
    wanted = imgsz * GOOD_SIDE / max(side, 1)
    hint = min(LARGEST_HINT, math.ceil(wanted / GRID) * GRID)
    return (
        f"its examples are {side:.0f} pixels wide in the model input: --imgsz {hint} may find more of them",
    )
