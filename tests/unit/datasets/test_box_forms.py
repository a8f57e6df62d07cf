"""Forms of boxes told from the evidence of a whole file."""

from __future__ import annotations

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.box_forms import (
    CORNERS,
    MAY_BE_CORNERS,
    SCALED,
    BoxForm,
    StatedBox,
    judge_form,
    require_pixels,
    require_upright,
)

SIZE = (48, 64)


def stated(*boxes: tuple[float, float, float, float], **more: object) -> list[StatedBox]:
    return [StatedBox(box, SIZE, **more) for box in boxes]  # type: ignore[arg-type]


def test_left_top_width_height_in_pixels() -> None:
    assert judge_form([]) == BoxForm()
    assert judge_form(stated((4, 5, 10, 12), (30, 20, 20, 20))) == BoxForm()
    assert judge_form(stated((0, 0, 1, 1))) == BoxForm()  # one pixel, not the whole image


def test_fractions_are_scaled() -> None:
    form = judge_form(stated((0.0625, 0.25, 0.5, 0.5), (0, 0, 1, 1)))
    assert (form.are_fractions, form.are_corners, form.note) == (True, False, SCALED)
    assert form.box_xywh((0.0625, 0.25, 0.5, 0.5), *SIZE) == (4, 12, 32, 24)
    assert not judge_form(stated((0.0625, 0.25, 0.5, 0.5), (0, 0, 1, 9))).are_fractions


def test_areas_and_segmentations_tell_corners() -> None:
    # As left, top, width, height the box is 50 x 40 and leaves the image; its area is that of 20 x 20.
    form = judge_form(stated((30, 20, 50, 40), area=400))
    assert (form.are_corners, form.note) == (True, CORNERS)
    assert form.box_xywh((30, 20, 50, 40), *SIZE) == (30, 20, 20, 20)
    assert judge_form(stated((10, 8, 30, 34), extent_xywh=(10, 8, 20, 26))).are_corners
    assert judge_form(stated((10, 8, 30, 34), extent_xywh=(10, 8, 30, 34))) == BoxForm()
    assert judge_form(stated((10, 8, 30, 34), area=30 * 34)) == BoxForm()
    assert judge_form(stated((10, 8, 30, 34), area=300)) == BoxForm()  # of a mask: tells neither


def test_areas_of_masks_that_fit_corners_by_chance_are_no_evidence() -> None:
    by_chance = stated((10, 8, 30, 20), area=20 * 12)  # of a mask in a box of 30 x 20
    masks = [StatedBox((10, 8, 30, 20), SIZE, area) for area in (200, 150, 100)]
    assert judge_form(by_chance * 9 + masks) == BoxForm()
    # More than fits into the corners' box: a mask in a box of 30 x 20.
    assert judge_form(by_chance + stated((10, 8, 30, 20), area=400)) == BoxForm()
    assert judge_form(by_chance + stated((10, 8, 30, 20), extent_xywh=(12, 8, 26, 17))) == BoxForm()
    # One wrong area among many does not hide corners, and boxes at the origin are both forms.
    wrong, origin = stated((10, 8, 30, 20), area=500), stated((0, 0, 30, 20), area=600)
    assert judge_form(by_chance * 9 + wrong + origin * 5).are_corners
    # Corners that include their last pixel.
    assert judge_form(stated((10, 8, 30, 20), area=21 * 13)).are_corners


def test_boxes_that_leave_the_image_are_told() -> None:
    assert judge_form(stated((30, 20, 50, 40))) == BoxForm(note=MAY_BE_CORNERS)
    # One box cannot be corners: its right side would be left of its left side.
    assert judge_form(stated((30, 20, 50, 40), (40, 10, 20, 20))) == BoxForm()
    with pytest.raises(ValueError, match="3 of 3 boxes"):
        judge_form(stated((30, 20, 50, 40), (40, 10, 60, 30), (20, 30, 60, 45)))


def test_corners_as_fractions() -> None:
    with pytest.raises(ValueError, match="3 of 3 boxes"):
        judge_form(stated((0.5, 0.5, 0.75, 1), (0.25, 0.5, 0.5, 0.75), (0.5, 0.25, 0.75, 0.5)))


def test_exchanged_corners_and_tiny_boxes_are_refused() -> None:
    require_upright((3, 4, 0, 1))
    require_pixels([(0, 0, 1, 1)])
    require_pixels([(0.1, 0.1, 0.5, 0.5), (3, 3, 4, 4)])
    require_pixels([])
    for refuse in (lambda: require_upright((3, 4, -1, 1)), lambda: require_pixels([(0.1, 0.1, 0.5, 0.5)])):
        with pytest.raises(MedrovError) as caught:
            refuse()
        assert caught.value.code is ErrorCode.BAD_METADATA
