"""Images in tiles: every object once, whatever the tiles, batches and shards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_shapes import CLASSES, draw, exact_engine
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.prediction.classes import ClassList
from medrov_cli.core.prediction.open_predictor import PredictorParts
from medrov_cli.core.prediction.predictor import Predictor
from medrov_cli.core.prediction.scoring import Scoring
from medrov_cli.core.prediction.tile_rule import ClassScale
from medrov_cli.core.records.box_maps import BoxMap
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.frame import Frame
from medrov_cli.core.settings.groups import SelectionSettings
from medrov_cli.core.settings.tile_groups import TileJob, TileSettings, parse_region, parse_tile
from medrov_cli.core.settings.values import Shard

NAMES = tuple(f"class {number}" for number in range(CLASSES))


def predictor_of(
    imgsz: int,
    shard: Shard | None = None,
    *,
    batch: int = 4,
    batches: list[int] | None = None,
    scales: tuple[ClassScale, ...] = (),
    is_wide: bool = False,
    box_map: BoxMap | None = None,
    **options: Any,
) -> Predictor:
    """Return a predictor of the exact engine with settings of tiles; if wide, it takes larger inputs."""
    parts = PredictorParts(
        exact_engine(imgsz, batches),
        ClassList.from_embeddings(NAMES),
        Scoring(np.full(CLASSES, 0.25), box_maps=(box_map,) * CLASSES),
        SelectionSettings(max_det=1000),
        batch=batch,
        tiles=TileJob(settings=TileSettings(**options), shard=shard),
        scales=scales,
        open_wide=(lambda side: exact_engine(side, batches)) if is_wide else None,
    )
    return Predictor(parts)


def rows_of(*found: Detections) -> list[tuple[Any, ...]]:
    """Return the boxes with their labels, sorted."""
    return sorted(
        (*np.round(box, 3).tolist(), int(label))
        for one in found
        for box, label in zip(one.boxes_xyxy, one.labels, strict=True)
    )


def expected(boxes: list[tuple[int, int, int, int]]) -> list[tuple[Any, ...]]:
    return sorted((*map(float, box), number % CLASSES) for number, box in enumerate(boxes, 1))


@st.composite
def scenes(draw_value: st.DrawFn, largest: int) -> tuple[int, int, list[tuple[int, int, int, int]]]:
    """Return a size and boxes that do not overlap, none longer than ``largest``."""
    height, width = draw_value(st.integers(20, 230)), draw_value(st.integers(20, 230))
    taken = np.zeros((height, width), bool)
    boxes = []
    for _ in range(draw_value(st.integers(0, 25))):
        side_x, side_y = draw_value(st.integers(2, largest)), draw_value(st.integers(2, largest))
        left = draw_value(st.integers(0, max(width - side_x, 0)))
        top = draw_value(st.integers(0, max(height - side_y, 0)))
        right, bottom = min(left + side_x, width), min(top + side_y, height)
        if not taken[top:bottom, left:right].any():
            taken[top:bottom, left:right] = True
            boxes.append((left, top, right, bottom))
    return height, width, boxes


@given(
    data=st.data(),
    side=st.sampled_from([32, 48, 64, 100]),
    overlap=st.sampled_from([0.2, 0.3, 0.4, 0.5]),
    batch=st.integers(1, 7),
)
def test_objects_smaller_than_the_overlap_are_found_exactly_once(
    data: st.DataObject, side: int, overlap: float, batch: int
) -> None:
    height, width, boxes = data.draw(scenes(int(side * overlap)))
    image = draw(height, width, boxes)
    tile = parse_tile(str(side))
    (found,) = predictor_of(side, batch=batch, tile=tile, overlap=overlap).predict([image])
    assert rows_of(found) == expected(boxes)
    count = data.draw(st.integers(2, 5))
    parts = [
        predictor_of(side, Shard(number, count), batch=batch, tile=tile, overlap=overlap)
        for number in range(1, count + 1)
    ]
    assert rows_of(*(part.predict([image])[0] for part in parts)) == expected(boxes)


@given(data=st.data(), batch=st.integers(1, 7), count=st.integers(2, 4))
@settings(max_examples=10)
def test_larger_model_inputs_find_the_same_objects(data: st.DataObject, batch: int, count: int) -> None:
    """Tiles of 32 pixels, of which a large image has hundreds, are searched as larger ones."""
    _, _, boxes = data.draw(scenes(6))
    image = draw(data.draw(st.integers(240, 420)), data.draw(st.integers(240, 420)), boxes)
    tile = parse_tile("32")
    (usual,) = predictor_of(32, batch=batch, tile=tile).predict([image])
    (found,) = predictor_of(32, batch=batch, tile=tile, is_wide=True).predict([image])
    assert rows_of(found) == rows_of(usual) == expected(boxes)
    assert usual.tiling is not None
    assert found.tiling is not None
    before, after = usual.tiling.levels, found.tiling.levels
    assert before[1:] == after[1:]  # coarser levels, whose objects can be as large as the image
    side = after[0].tile_px  # as in the model input: the scale is 1
    assert found.tiling.rule == f"--tile; model input of {side} pixels"
    assert side in (64, 96)
    assert before[0].tiles * 32**2 - after[0].tiles * side**2 >= 16 * 32**2
    parts = [
        predictor_of(32, Shard(number, count), batch=batch, tile=tile, is_wide=True)
        for number in range(1, count + 1)
    ]
    assert rows_of(*(part.predict([image])[0] for part in parts)) == expected(boxes)


@given(data=st.data(), is_wide=st.booleans())
@settings(max_examples=8)
def test_box_maps_change_objects_once(data: st.DataObject, is_wide: bool) -> None:
    """Every object gets sides of a sixteenth of a tile, however many tiles a model input shows."""
    _, _, boxes = data.draw(scenes(6))
    image = draw(420, 420, boxes)
    one_size = BoxMap((np.log(1 / 16),) * 2, (1.0, 1.0), (0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0))
    options = {"tile": parse_tile("32"), "is_wide": is_wide}
    (found,) = predictor_of(32, box_map=one_size, **options).predict([image])
    (before,) = predictor_of(32, **options).predict([image])
    assert len(found) == len(before) == len(boxes)
    centres = (before.boxes_xyxy[:, :2] + before.boxes_xyxy[:, 2:]) / 2
    wanted = np.clip(np.concatenate((centres - 1, centres + 1), 1), 0, 420)
    np.testing.assert_allclose(found.boxes_xyxy, wanted, atol=1e-6)


def test_mapped_boxes_that_come_together_are_one_object() -> None:
    """The first and the last shape are of one class, side by side; their boxes grow over each other."""
    image = draw(90, 90, [(10, 10, 12, 12), (50, 50, 52, 52), (70, 20, 72, 22), (12, 10, 14, 12)])
    one_size = BoxMap((np.log(1 / 4),) * 2, (1.0, 1.0), (0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0))
    (before,) = predictor_of(32, tile=parse_tile("32")).predict([image])
    (found,) = predictor_of(32, tile=parse_tile("32"), box_map=one_size).predict([image])
    assert rows_of(before) == expected(
        [(10, 10, 12, 12), (50, 50, 52, 52), (70, 20, 72, 22), (12, 10, 14, 12)]
    )
    assert rows_of(found) == [(9, 7, 17, 15, 1), (47, 47, 55, 55, 2), (67, 17, 75, 25, 0)]


def test_an_image_with_few_tiles_keeps_the_model_input() -> None:
    (found,) = predictor_of(32, tile=parse_tile("32"), is_wide=True).predict([draw(100, 100, [])])
    assert found.tiling is not None
    assert (found.tiling.rule, found.tiling.levels[0].tile_px) == ("--tile", 32)


def test_an_object_at_the_edges_of_both_tiles_is_found() -> None:
    """The tiles are 45 to 93 and 68 to 116: the object is two pixels from an edge of each."""
    image = draw(20, 116, [(70, 0, 91, 2)])
    (found,) = predictor_of(48, tile=parse_tile("48"), overlap=0.5).predict([image])
    assert rows_of(found) == [(70, 0, 91, 2, 1)]


@given(data=st.data())
@settings(max_examples=15)
def test_a_region_holds_the_objects_whose_centres_lie_in_it(data: st.DataObject) -> None:
    height, width, boxes = data.draw(scenes(12))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    region = parse_region(f"{left},{top},{right - left},{bottom - top}")
    predictor = predictor_of(64, tile=parse_tile("64"), region=region)
    (found,) = predictor.predict([draw(height, width, boxes)])
    inside = [
        row
        for row in expected(boxes)
        if left <= (row[0] + row[2]) / 2 < right and top <= (row[1] + row[3]) / 2 < bottom
    ]
    assert rows_of(found) == inside


@pytest.mark.parametrize("box", [(10, 10, 200, 60), (30, 5, 90, 240), (3, 3, 250, 250), (60, 60, 130, 130)])
def test_a_large_object_comes_once_from_a_coarser_level_or_its_parts(box: tuple[int, ...]) -> None:
    image = draw(256, 256, [box])  # type: ignore[list-item]
    (found,) = predictor_of(64, tile=parse_tile("64"), overlap=0.2).predict([image])
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes_xyxy[0], box, atol=4)  # a pixel of the level with tiles of 256


def test_tiles_at_another_scale_give_boxes_in_source_pixels() -> None:
    boxes = [(20, 20, 40, 40), (118, 50, 140, 66), (200, 200, 216, 220)]
    (found,) = predictor_of(64, tile=parse_tile("128")).predict([draw(256, 256, boxes)])
    assert rows_of(found) == expected(boxes)  # even corners fall on whole pixels of the model


def test_the_record_states_rule_levels_and_coverage() -> None:
    (found,) = predictor_of(64, tile=parse_tile("64"), overlap=0.25).predict([draw(100, 250, [])])
    assert found.tiling is not None
    document = found.tiling.as_dict()
    assert (document["rule"], document["region"], document["coverage"]) == ("--tile", [0, 0, 250, 100], 1.0)
    finest, coarsest = document["levels"]
    assert finest == {"tile_px": 64, "overlap_px": 22, "tiles": 2 * 6}  # 16 of --overlap, and 6 at edges
    assert coarsest["tiles"] == 1
    assert document["mpp"] is None


def test_ordinary_images_are_searched_whole() -> None:
    image = draw(200, 300, [(10, 10, 80, 80)])
    (found,) = predictor_of(64).predict([image])
    assert found.tiling is None
    off = predictor_of(64, tile=parse_tile("off"))
    frame = Frame(image, "a", pixel_spacing_mm=(0.0005, 0.0005))
    assert off.predict([frame])[0].tiling is None


def test_auto_cuts_at_the_scale_of_the_training() -> None:
    frame = Frame(draw(300, 300, [(5, 5, 9, 9)]), "a", pixel_spacing_mm=(0.0005, 0.0005))
    known = (ClassScale(mpp=0.5, object_px=10.0), ClassScale(), ClassScale())
    (found,) = predictor_of(64, scales=known).predict([frame])
    assert found.tiling is not None
    assert found.tiling.levels[0].tile_px == 64
    assert "0.5 um" in found.tiling.rule
    coarse = replace(frame, pixel_spacing_mm=(0.5, 0.5))  # a radiograph: one tile would be larger than it
    assert predictor_of(64, scales=(ClassScale(mpp=2000.0),) * 3).predict([coarse])[0].tiling is None


def test_a_scale_far_finer_than_the_image_cuts_nothing() -> None:
    known = (ClassScale(mpp=0.36), ClassScale(), ClassScale())
    slice_of_ct = Frame(draw(300, 300, []), "a", pixel_spacing_mm=(0.7, 0.7))  # tiles would have 0.03 pixels
    assert predictor_of(64, scales=known).predict([slice_of_ct])[0].tiling is None
    frame = Frame(draw(300, 300, []), "a", pixel_spacing_mm=(0.00143, 0.00143))  # nearly four times as coarse
    (found,) = predictor_of(64, scales=known).predict([frame])
    assert found.tiling is not None
    assert found.tiling.levels[0].tile_px == 16


def test_an_mpp_without_sense_for_the_image_is_refused() -> None:
    frame = Frame(draw(300, 300, []), "a", pixel_spacing_mm=(0.0005, 0.0005))
    assert predictor_of(64, mpp=0.25).predict([frame])[0].tiling is not None  # tiles of 32 pixels
    with pytest.raises(MedrovError, match="tiles of 31 pixels") as caught:
        predictor_of(64, mpp=0.24).predict([frame])
    assert caught.value.code is ErrorCode.BAD_METADATA


def test_a_class_of_a_coarser_scale_is_found_at_its_level_alone() -> None:
    scales = (ClassScale(mpp=0.5), ClassScale(mpp=2.0), ClassScale(mpp=0.5))
    boxes = [(20, 20, 32, 32), (80, 80, 92, 92)]  # class 1 and class 2
    frame = Frame(draw(256, 256, boxes), "a", pixel_spacing_mm=(0.0005, 0.0005))
    (found,) = predictor_of(64, scales=scales).predict([frame])
    assert rows_of(found) == [(20.0, 20.0, 32.0, 32.0, 1), (80.0, 80.0, 92.0, 92.0, 2)]
    assert found.tiling is not None
    assert [level.tile_px for level in found.tiling.levels] == [64, 256]


def test_mpp_needs_an_image_with_a_pixel_size() -> None:
    predictor = predictor_of(64, mpp=0.5)
    with pytest.raises(MedrovError) as caught:
        predictor.predict([draw(100, 100, [])])
    assert caught.value.code is ErrorCode.BAD_METADATA
    frame = Frame(draw(256, 256, [(4, 4, 24, 24)]), "a", pixel_spacing_mm=(0.00025, 0.00025))
    (found,) = predictor.predict([frame])
    assert found.tiling is not None
    assert found.tiling.levels[0].tile_px == 128  # 64 pixels of 0.5 um
    assert found.tiling.mpp == pytest.approx(0.5)


def test_a_region_outside_of_the_image_is_a_failure_and_the_rest_goes_on() -> None:
    predictor = predictor_of(64, region=parse_region("90,90,20,20"), tile=parse_tile("64"))
    small, large = draw(50, 50, []), draw(120, 120, [(95, 95, 105, 105)])
    failed, found = predictor.stream([small, large])
    assert isinstance(failed, Failure)
    assert failed.error.code is ErrorCode.BAD_METADATA
    assert isinstance(found, Detections)
    assert rows_of(found) == [(95.0, 95.0, 105.0, 105.0, 1)]


def test_tiles_do_not_change_the_batches_of_other_images() -> None:
    batches: list[int] = []
    predictor = predictor_of(64, batch=4, batches=batches)
    frame = Frame(draw(60, 20000, []), "wide")
    small = draw(60, 60, [])
    items = list(predictor.stream([small, small, frame, small]))
    assert [item.tiling is not None for item in items if isinstance(item, Detections)] == [
        False, False, True, False,
    ]  # fmt: skip
    assert batches[0] == 2
    assert batches[-1] == 1
    assert max(batches) == 4
