"""Which proposals become targets: by hand, by brute force, and for any input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.datasets.presence import ANNOTATED, IMPOSSIBLE, NOBODY, POSSIBLE
from medrov_cli.core.records.boxes import iou_matrix
from medrov_cli.core.settings.choices import Modality
from medrov_cli.core.settings.teacher_groups import ProposalSettings
from medrov_cli.core.settings.train_groups import AugmentationSettings
from medrov_cli.core.training.data.augmentation import (
    Canvas,
    TrainingTile,
    place_mosaic,
    place_single,
    turn_and_flip,
)
from medrov_cli.core.training.pseudolabels.proposal_rules import (
    Proposals,
    attribute,
    confident,
    crops_of,
    split_by_presence,
    unannotated,
)
from medrov_cli.core.training.pseudolabels.proposals import select_proposals

SIZE = 96
CONFIG = ProposalSettings(unknown_objects=True)
PAPER = dataclasses.replace(CONFIG)


def boxes_within(rng: np.random.Generator, count: int, size: int = SIZE) -> np.ndarray:
    """Return boxes with whole corners and an area, some of them beyond the edge."""
    corner = rng.integers(-10, size - 2, (count, 2))
    return np.concatenate((corner, corner + rng.integers(1, size, (count, 2))), 1).astype(np.float32)


def some_proposals(seed: int, count: int = 60, prompts: int = 5) -> Proposals:
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1, count).astype(np.float32)
    scores[rng.random(count) < 0.5] = rng.uniform(0.85, 1)
    return Proposals(boxes_within(rng, count), scores, rng.integers(0, prompts, count))


def some_canvas(seed: int) -> tuple[Canvas, list[int]]:
    """Return a canvas whose pixels say which tile they are of (1 to 4), and the tiles' values."""
    rng = np.random.default_rng(seed)
    strong = AugmentationSettings(scale=0.9, translate=0.4, aspect=0.4)
    tiles = []
    count = 4 if rng.random() < 0.8 else 1
    for value in range(1, count + 1):
        height, width = rng.integers(20, 120, 2)
        image = np.full((height, width, 3), value, dtype=np.uint8)
        tile = TrainingTile(image, boxes_within(rng, 2), np.array([0, 0]))
        modality = list(Modality)[rng.integers(9)]
        tiles.append(turn_and_flip(tile, modality, np.array([0]), strong, rng))
    place = (
        place_mosaic(tiles, SIZE, strong, rng)
        if count == 4
        else place_single(tiles[0], (SIZE, SIZE), strong, rng)
    )
    return place, list(range(1, count + 1))


@given(st.integers(0, 100_000))
def test_a_proposal_belongs_to_the_tile_that_holds_most_of_it(seed: int) -> None:
    canvas, values = some_canvas(seed)
    boxes = boxes_within(np.random.default_rng(seed + 1), 20)
    found = attribute(boxes, canvas.regions_xyxy)
    for box, region in zip(boxes.astype(int), found, strict=True):
        left, top, right, bottom = np.clip(box, 0, SIZE)
        mask = canvas.image_rgb[top:bottom, left:right, 0]
        pixels = [int((mask == value).sum()) for value in values]
        if max(pixels) == 0:
            assert region == NOBODY
        else:
            assert pixels[region] == max(pixels)


@given(st.integers(0, 100_000))
def test_the_ghost_of_a_tile_is_the_extent_of_its_pixels(seed: int) -> None:
    canvas, values = some_canvas(seed)
    for value, region in zip(values, canvas.regions_xyxy, strict=True):
        rows, columns = np.nonzero(canvas.image_rgb[..., 0] == value)
        if len(rows) == 0:
            assert (region[2:] - region[:2]).min() <= 0
        else:
            extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_array_equal(region, extent)


@given(st.integers(0, 100_000))
def test_confident_proposals(seed: int) -> None:
    candidates = some_proposals(seed)
    found = confident(candidates, (SIZE, SIZE), CONFIG)
    assert (found.scores >= 0.9).all()
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.boxes_xyxy >= 0) & (found.boxes_xyxy <= SIZE)).all()
    early = confident(candidates.subset(candidates.scores >= CONFIG.min_score), (SIZE, SIZE), CONFIG)
    for one, other in zip(found, early, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_object_has_one_box_whatever_its_class() -> None:
    boxes = np.array([[10, 10, 30, 30], [11, 10, 30, 30], [60, 60, 80, 80]], dtype=np.float32)
    candidates = Proposals(boxes, np.array([0.92, 0.97, 0.95]), np.array([0, 1, 0]))
    found = confident(candidates, (SIZE, SIZE), CONFIG)
    assert found.columns.tolist() == [1, 0]
    assert found.scores.tolist() == [0.97, 0.95]


def test_what_the_ground_truth_explains_is_dropped() -> None:
    truth = np.array([[0, 0, 10, 10]], dtype=np.float32)
    # IoU 100 / 300 = 0.333, 100 / 400 = 0.25, 0.
    boxes = np.array([[0, 0, 10, 30], [0, 0, 20, 20], [40, 40, 50, 50]], dtype=np.float32)
    proposals = Proposals(boxes, np.full(3, 0.95), np.zeros(3, dtype=np.int64))
    np.testing.assert_array_equal(unannotated(proposals, truth, CONFIG).boxes_xyxy, boxes[1:])
    assert len(unannotated(proposals, np.zeros((0, 4)), CONFIG).scores) == 3


@given(st.integers(0, 100_000))
def test_nothing_that_is_left_overlaps_the_truth_or_another(seed: int) -> None:
    truth = boxes_within(np.random.default_rng(seed), 6)
    left = unannotated(confident(some_proposals(seed), (SIZE, SIZE), CONFIG), truth, CONFIG)
    assert (iou_matrix(left.boxes_xyxy, truth) < CONFIG.max_truth_iou).all()


def test_split_by_presence_by_hand() -> None:
    presence = np.array([[ANNOTATED, POSSIBLE, IMPOSSIBLE], [POSSIBLE, ANNOTATED, IMPOSSIBLE]], dtype=np.int8)
    classes = np.array([2, 0, 1])  # the prompts, in the order in which the image is asked
    columns = np.array([0, 1, 2, 1, 2, 2])
    sources = np.array([0, 0, 0, 1, 1, NOBODY])
    proposals = Proposals(np.zeros((6, 4)), np.ones(6), columns)
    known, unknown = split_by_presence(proposals, sources, classes, presence)
    # impossible, annotated, possible, possible, annotated, on padding
    assert known.tolist() == [False, False, True, True, False, False]
    assert unknown.tolist() == [True, True, False, False, True, False]


@given(st.integers(0, 100_000), st.sampled_from([320, 640, 960]))
def test_crops_keep_their_sizes_and_stay_in_their_tile(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = np.clip(boxes_within(rng, 30, size), 0, size)
    regions = np.clip(boxes_within(rng, 30, size), 0, size)
    chosen, crops = crops_of(boxes, regions, size, PAPER)
    assert chosen.sum() <= 5
    sides = boxes[:, 2:] - boxes[:, :2]
    for box, region, crop in zip(sides[chosen], regions[chosen], crops[chosen], strict=True):
        assert (box >= 50 * size / 640).all()
        assert (box <= 320 * size / 640).all()
        assert (crop[2:] - crop[:2] >= 30 * size / 640).all()
        assert (crop[:2] >= region[:2]).all()
        assert (crop[2:] <= region[2:]).all()


def test_a_crop_by_hand() -> None:
    boxes = np.array([[100, 200, 200, 300], [10, 10, 59, 100], [0, 0, 321, 100], [600, 0, 660, 60]], float)
    regions = np.array([[0, 0, 640, 640], [0, 0, 640, 640], [0, 0, 640, 640], [0, 0, 629, 640]], float)
    chosen, crops = crops_of(boxes, regions, 640, PAPER)
    # Good; a side below 50; a side above 320; a crop of 47 px after clipping, which is enough.
    assert chosen.tolist() == [True, False, False, True]
    assert crops[0].tolist() == [70, 170, 230, 330]
    assert crops[3].tolist() == [582, 0, 629, 78]
    regions[3, 2] = 611
    assert crops_of(boxes, regions, 640, PAPER)[0].tolist() == [True, False, False, False]


def test_the_best_five_are_encoded() -> None:
    boxes = np.tile(np.array([[100.0, 100, 200, 200]]), (8, 1))
    boxes[1] = [0, 0, 10, 10]  # too small: does not count
    regions = np.tile([[0.0, 0, 640, 640]], (8, 1))
    chosen, _ = crops_of(boxes, regions, 640, PAPER)
    assert chosen.tolist() == [True, False, True, True, True, True, False, False]
    regions[2] = [0, 0, 95, 640]  # too little of it is seen: does not count, either
    chosen, _ = crops_of(boxes, regions, 640, PAPER)
    assert chosen.tolist() == [True, False, False, True, True, True, True, False]


@given(st.integers(0, 100_000), st.booleans())
def test_examining_changes_no_input_and_invents_nothing(seed: int, unknown_objects: bool) -> None:
    rng = np.random.default_rng(seed)
    canvas, values = some_canvas(seed)
    presence = rng.integers(-1, 2, (3, 6)).astype(np.int8)
    inputs = (
        some_proposals(seed),
        boxes_within(rng, 4),
        np.append(rng.permutation(6)[:4], NOBODY),
        canvas.regions_xyxy,
        rng.integers(0, 3, len(values)),
    )
    before = [np.copy(values) for item in inputs for values in (item if isinstance(item, tuple) else [item])]
    config = dataclasses.replace(CONFIG, unknown_objects=unknown_objects, min_score=0.5)
    found = select_proposals(*inputs, (SIZE, SIZE), presence, config)
    after = [values for item in inputs for values in (item if isinstance(item, tuple) else [item])]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    offered = {tuple(row) for row in np.clip(inputs[0].boxes_xyxy, 0, SIZE).tolist()}
    assert {tuple(row) for row in found.known_classes.boxes_xyxy.tolist()} <= offered
    assert {tuple(row) for row in found.unknown_xyxy.tolist()} <= offered
    for box, column in zip(found.known_classes.boxes_xyxy, found.known_classes.columns, strict=True):
        source = inputs[4][attribute(box[None], canvas.regions_xyxy)[0]]
        assert presence[source, inputs[2][column]] == POSSIBLE
    if not unknown_objects:
        assert len(found.unknown_xyxy) == 0


@pytest.mark.parametrize("value", [1.01, 2.0])
def test_a_threshold_above_one_lets_nothing_pass(value: float) -> None:
    candidates = some_proposals(0)._replace(scores=np.ones(60, dtype=np.float32))
    assert len(confident(candidates, (SIZE, SIZE), dataclasses.replace(CONFIG, min_score=value)).scores) == 0
