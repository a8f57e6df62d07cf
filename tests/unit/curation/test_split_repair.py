"""Mending leaks: nothing that belongs together is parted, nothing leaves the test split, all else stays."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.check import check_dataset
from medrov_cli.core.curation.issues import Code
from medrov_cli.core.curation.split import split_source
from medrov_cli.core.curation.split_repair import Moved, movements, repaired
from medrov_cli.core.settings.data import CheckSettings
from medrov_cli.core.settings.data_split import SplitSettings
from source_folders import Picture, read_coco, write_source

REPAIR = {"repair": True}
ORDER = ("train", "val", "test")

groups = st.sampled_from([("case", name) for name in "abcde"])
images = st.lists(st.tuples(groups, st.sampled_from(ORDER)), max_size=30)


@given(images)
def test_no_group_is_parted_and_nothing_moves_towards_training(table: list[Any]) -> None:
    keys, before = [key for key, _ in table], [split for _, split in table]
    after = repaired(keys, before)
    by_group: dict[Any, set[str]] = {}
    for key, split in zip(keys, after, strict=True):
        by_group.setdefault(key, set()).add(split)
    assert all(len(splits) == 1 for splits in by_group.values())
    assert all(ORDER.index(new) >= ORDER.index(old) for old, new in zip(before, after, strict=True))
    own = {key: {split for other, split in table if other == key} for key in keys}
    assert all(new in own[key] for key, new in zip(keys, after, strict=True))
    whole = [row for row, key in enumerate(keys) if len(own[key]) == 1]
    assert [after[row] for row in whole] == [before[row] for row in whole]
    assert repaired(keys, after) == after


def test_the_reason_of_a_movement() -> None:
    """Case p is in both splits, and hangs by a near-copy of ``b`` on the single image ``c``."""
    cases = [("case", "p"), ("case", "p"), ("image", "c"), ("image", "d")]
    after = repaired([cases[0], cases[0], cases[0], cases[3]], ["test", "train", "val", "val"])
    assert after == ["test", "test", "test", "val"]
    assert movements(["a", "b", "c", "d"], cases, ["test", "train", "val", "val"], after) == (
        Moved("b", "train", "test", Code.CASE_IN_TWO_SPLITS),
        Moved("c", "val", "test", Code.NEAR_DUPLICATE),
    )


pictures = st.lists(
    st.builds(
        lambda split, case, seed: Picture(split, [("x", 1, 1, 9, 9)], case, seed),
        st.sampled_from(ORDER),
        st.sampled_from([None, *"abcdefgh"]),
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=24,
)
both_ways = pytest.mark.parametrize("config", [REPAIR, {"val": 0.2, "test": 0.3}])


@both_ways
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(drawn=pictures)
def test_a_check_finds_no_leak_after_either_way(config: dict[str, Any], drawn: list[Picture]) -> None:
    leaks = {Code.NEAR_DUPLICATE, Code.CASE_IN_TWO_SPLITS}
    with tempfile.TemporaryDirectory() as folder:
        source = write_source(Path(folder) / "s", drawn, ["x"])
        before = read_coco(source)
        result = split_source(SplitSettings(source, **config))
        after = read_coco(source)
        assert leaks.isdisjoint(found.code for found in check_dataset(CheckSettings((source,))).findings)
    changed = [
        (old["split"], new["split"], new["file_name"])
        for old, new in zip(before["images"], after["images"], strict=True)
        if old["split"] != new["split"]
    ]
    if "repair" in config:
        assert result.moved is not None
        assert [(one.before, one.after, one.file_name) for one in result.moved] == changed
        assert all(ORDER.index(new) > ORDER.index(old) for old, new, _ in changed)
    for image in (*before["images"], *after["images"]):
        del image["split"]
    assert after == before


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """Case p in train and val; 003 a copy of 004 in test; five sound images."""
    return write_source(
        tmp_path / "ct",
        [
            Picture("train", case="p"),
            Picture("val", case="p"),
            Picture("train", case="q", seed=77),
            Picture("test", seed=77),
            *(Picture("train", case=f"r{n}") for n in range(5)),
        ],
        ["x"],
    )


def test_what_leaks_is_moved_and_told(leaking: Path) -> None:
    result = split_source(SplitSettings(leaking, **REPAIR))
    assert result.moved == (
        Moved("001.png", "train", "val", Code.CASE_IN_TWO_SPLITS),
        Moved("003.png", "train", "test", Code.NEAR_DUPLICATE),
    )
    assert result.moved_cases == 2
    assert (result.copy_pairs, result.joined_cases, result.joined_groups) == (1, 2, 1)
    assert result.images == {"train": 5, "val": 2, "test": 2}
    assert result.cases == {"train": 5, "val": 1, "test": 2}
    assert split_source(SplitSettings(leaking, **REPAIR)).moved == ()


def test_copies_can_be_left_alone(leaking: Path) -> None:
    for image in (leaking / "images").iterdir():
        image.unlink()  # and then no image is read
    result = split_source(SplitSettings(leaking, repair=True, join_copies=False))
    assert [one.file_name for one in result.moved or ()] == ["001.png"]
    assert (result.copy_pairs, result.joined_cases, result.joined_groups) == (None, None, None)


def test_a_clean_source_stays_byte_for_byte(leaking: Path, tmp_path: Path) -> None:
    file = leaking / "annotations.json"
    split_source(SplitSettings(leaking, **REPAIR))
    file.write_text(json.dumps(json.loads(file.read_text()), indent=3))  # not as we write it
    before, state = file.read_bytes(), file.stat()
    assert split_source(SplitSettings(leaking, **REPAIR)).moved == ()
    assert (file.read_bytes(), file.stat().st_ino) == (before, state.st_ino)
    split_source(SplitSettings(leaking, **REPAIR, output=tmp_path / "new.json"))
    assert (tmp_path / "new.json").read_bytes() == before


def test_a_kept_test_split_takes_in_the_copies_of_its_images(leaking: Path) -> None:
    split_source(SplitSettings(leaking, keep_test=True))
    kept = {image["file_name"] for image in read_coco(leaking)["images"] if image["split"] == "test"}
    assert kept == {"003.png", "004.png"}


def test_images_without_a_split_have_none_to_keep(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "ct", [Picture("train"), Picture(None)], ["x"])
    before = (folder / "annotations.json").read_bytes()
    with pytest.raises(MedrovError) as caught:
        split_source(SplitSettings(folder, **REPAIR))
    assert caught.value.code is ErrorCode.DATASET_INVALID
    assert "002.png" in caught.value.message
    assert (folder / "annotations.json").read_bytes() == before
