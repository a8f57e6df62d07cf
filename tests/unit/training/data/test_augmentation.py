"""Pixels and boxes move together, and left and right are the patient's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.datasets.laterality import mirror_rows, mirrored_name
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.train_groups import AugmentationSettings
from medrov_cli.core.training.data.augmentation import TrainingTile, place_mosaic, place_single, turn_and_flip

CONFIG = AugmentationSettings()
BOX_VALUE = 255


def _tile(seed: int, label: int = 0) -> TrainingTile:
    """Return a black image with one white rectangle, and its exact box."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(60, 200, 2)
    left, top = rng.integers(0, width - 24), rng.integers(0, height - 24)
    right, bottom = rng.integers(left + 20, width), rng.integers(top + 20, height)
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[top:bottom, left:right] = BOX_VALUE
    return TrainingTile(image, np.array([[left, top, right, bottom]], dtype=np.float32), np.array([label]))


def _white_extent(image: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(image[..., 0] > 180)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@given(st.integers(0, 10_000), st.sampled_from(list(Modality)))
def test_turned_box_is_the_box_of_the_turned_pixels(seed: int, modality: Modality) -> None:
    tile = _tile(seed)
    before = tile.image_rgb.copy()
    turned = turn_and_flip(tile, modality, np.array([0]), CONFIG, np.random.default_rng(seed))
    np.testing.assert_allclose(turned.boxes_xyxy[0], _white_extent(turned.image_rgb))
    np.testing.assert_array_equal(tile.image_rgb, before)


@given(st.integers(0, 10_000), st.sampled_from([(64, 64), (160, 160), (160, 96), (64, 160)]))
def test_placed_box_is_the_box_of_the_placed_pixels(seed: int, canvas_hw: tuple[int, int]) -> None:
    placed = place_single(_tile(seed), canvas_hw, CONFIG, np.random.default_rng(seed))
    assert placed.image_rgb.shape == (*canvas_hw, 3)
    if len(placed.boxes_xyxy):
        np.testing.assert_allclose(placed.boxes_xyxy[0], _white_extent(placed.image_rgb), atol=1.6)


@given(st.integers(0, 10_000))
def test_a_tile_that_keeps_its_shape_is_never_on_its_side(seed: int) -> None:
    tile = _tile(seed)
    turned = turn_and_flip(
        tile, Modality.ENDOSCOPY, np.array([0]), CONFIG, np.random.default_rng(seed), keep_shape=True
    )
    assert turned.image_rgb.shape == tile.image_rgb.shape
    np.testing.assert_allclose(turned.boxes_xyxy[0], _white_extent(turned.image_rgb))


@given(st.integers(0, 10_000))
def test_mosaic_keeps_what_is_seen(seed: int) -> None:
    tiles = [_tile(seed + i, label=i) for i in range(4)]
    mosaic = place_mosaic(tiles, 128, CONFIG, np.random.default_rng(seed))
    assert ((mosaic.boxes_xyxy >= 0) & (mosaic.boxes_xyxy <= 128)).all()
    assert len(np.unique(mosaic.labels)) == len(mosaic.labels) <= 4
    for left, top, right, bottom in mosaic.boxes_xyxy.round().astype(int):
        inside = mosaic.image_rgb[top + 2 : bottom - 2, left + 2 : right - 2, 0]
        assert inside.size == 0 or inside.mean() > 180, "a kept box holds its object"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left lung", "right lung"),
        ("Left kidney", "Right kidney"),
        ("LEFT_LUNG", "RIGHT_LUNG"),
        ("kidney_left", "kidney_right"),
        ("rib-left-4", "rib-right-4"),
        ("rib_left4", "rib_right4"),
        ("LeftLung", "RightLung"),
        ("lungLeftUpper", "lungRightUpper"),
        ("kidney_l", "kidney_r"),
        ("Lt. kidney", "Rt. kidney"),
        ("kidney (L)", "kidney (R)"),
    ],
)
def test_names_mirrored(left: str, right: str) -> None:
    assert (mirrored_name(left), mirrored_name(right)) == (right, left)
    assert mirror_rows((left, "liver", right)).tolist() == [2, 1, 0]
    assert mirror_rows((right, "liver")).tolist() == [-1, 1]


@pytest.mark.parametrize("name", ["leftover", "Upright", "cleft_lip", "vertebra_L1", "vertebra L 1", "heart"])
def test_names_without_a_side_are_not_mirrored(name: str) -> None:
    assert mirrored_name(name) == name


def test_mirror_rows_of_heart_chambers_are_no_mirror_images() -> None:
    for left, right in (("left ventricle", "right ventricle"), ("heart_atrium_left", "heart_atrium_right")):
        assert mirror_rows((left, right)).tolist() == [-1, -1]
    assert mirror_rows(("LeftVentricle", "RightVentricle")).tolist() == [-1, -1]


def test_flip_exchanges_the_patients_sides() -> None:
    always = AugmentationSettings(flip=1.0)
    tile = _tile(3, label=0)
    flipped = turn_and_flip(tile, Modality.XRAY, np.array([1, 0]), always, np.random.default_rng(0))
    assert flipped.labels.tolist() == [1]
    np.testing.assert_array_equal(flipped.image_rgb, tile.image_rgb[:, ::-1])


def test_no_flip_where_a_class_has_no_mirror_image() -> None:
    always = AugmentationSettings(flip=1.0)
    tile = _tile(3, label=0)
    same = turn_and_flip(tile, Modality.MRI, np.array([-1]), always, np.random.default_rng(0))
    np.testing.assert_array_equal(same.image_rgb, tile.image_rgb)
    assert same.labels.tolist() == [0]
