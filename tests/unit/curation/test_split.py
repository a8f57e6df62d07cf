"""Dealing cases into splits: never one case in two, shares met, classes even, always the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.split import case_key, split_source
from medrov_cli.core.curation.split_assignment import IMAGES, SHOWS, assign_splits
from medrov_cli.core.datasets.coco_records import CocoImage
from medrov_cli.core.settings.data_split import Shares, SplitSettings
from source_folders import Picture, read_coco, write_source

CLASSES = ("liver", "kidney", "spleen")

cases = st.dictionaries(
    st.tuples(st.just("case"), st.text("abcdef", min_size=1, max_size=3)),
    st.builds(
        lambda images, shown: Counter(
            {IMAGES: images, **{SHOWS + n: min(images, k) for n, k in shown.items()}}
        ),
        st.integers(1, 9),
        st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 9)),
    ),
    min_size=1,
    max_size=40,
)
shares = st.tuples(st.floats(0, 0.45), st.floats(0, 0.45))


@given(cases, shares, st.integers(0, 5))
def test_every_case_gets_one_split_and_no_split_exceeds_its_share_by_a_case(table, both, seed) -> None:
    config = Shares(val=both[0], test=both[1], seed=seed)
    dealt = assign_splits(table, config, {})
    assert dealt.keys() == table.keys()
    images = Counter()
    for key, split in dealt.items():
        images[split] += table[key][IMAGES]
    total, largest = sum(images.values()), max(own[IMAGES] for own in table.values())
    wanted = {"train": 1 - sum(both), "val": both[0], "test": both[1]}
    for split, share in wanted.items():
        assert images[split] < total * share + largest + 1e-5
        assert images[split] == 0 or share > 0


@given(cases, st.integers(0, 5), st.randoms())
def test_the_order_of_the_cases_does_not_matter(table, seed, random) -> None:
    config = Shares(seed=seed)
    shuffled = list(table.items())
    random.shuffle(shuffled)
    assert assign_splits(dict(shuffled), config, {}) == assign_splits(table, config, {})


def test_single_images_meet_the_shares_and_rare_classes_are_spread() -> None:
    """Of 100 images, 10 show the rare class: 7, 1 and 2 of them, by shares of 0.7, 0.1 and 0.2."""
    table = {
        ("image", f"{n:03}"): Counter({IMAGES: 1, SHOWS + ("rare" if n < 10 else "usual"): 1})
        for n in range(100)
    }
    dealt = assign_splits(table, Shares(), {})
    assert Counter(dealt.values()) == {"train": 70, "val": 10, "test": 20}
    assert Counter(split for (_, n), split in dealt.items() if int(n) < 10) == {
        "train": 7,
        "val": 1,
        "test": 2,
    }


def test_another_seed_deals_otherwise() -> None:
    table = {("image", f"{n:03}"): Counter({IMAGES: 1, SHOWS + "a": 1}) for n in range(50)}
    assert assign_splits(table, Shares(seed=1), {}) == assign_splits(table, Shares(seed=1), {})
    assert assign_splits(table, Shares(seed=1), {}) != assign_splits(table, Shares(seed=2), {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = [
        Picture("test" if n < 6 else None, [("liver", 1, 1, 5, 5)] if n % 2 else [], case=f"p{n // 3}")
        for n in range(30)
    ]
    return write_source(tmp_path / "ct", pictures, CLASSES)


def test_the_file_is_the_same_but_for_its_splits(folder: Path) -> None:
    before = read_coco(folder)
    result = split_source(SplitSettings(folder, val=0.2, test=0.2))
    after = read_coco(folder)
    by_case = {}
    for image in after["images"]:
        by_case.setdefault(image["case"], set()).add(image.pop("split"))
    for image in before["images"]:
        image.pop("split", None)
    assert after == before
    assert all(len(splits) == 1 for splits in by_case.values())
    assert result.images == {"train": 18, "val": 6, "test": 6}
    assert result.cases == {"train": 6, "val": 2, "test": 2}
    assert sum(result.class_boxes["liver"].values()) == 15
    assert result.without_case == 0


def test_a_rerun_gives_the_same_bytes(folder: Path) -> None:
    split_source(SplitSettings(folder))
    first = (folder / "annotations.json").read_bytes()
    split_source(SplitSettings(folder))
    assert (folder / "annotations.json").read_bytes() == first


def test_a_kept_test_split_stays_and_nothing_joins_it(folder: Path) -> None:
    result = split_source(SplitSettings(folder, val=0.2, keep_test=True))
    kept = {image["file_name"] for image in read_coco(folder)["images"] if image["split"] == "test"}
    assert kept == {f"{n:03}.png" for n in range(1, 7)}
    assert result.images == {"train": 18, "val": 6, "test": 6}


def test_the_output_is_written_elsewhere_if_asked(folder: Path, tmp_path: Path) -> None:
    before = (folder / "annotations.json").read_bytes()
    split_source(SplitSettings(folder, output=tmp_path / "new.json"))
    assert (folder / "annotations.json").read_bytes() == before
    assert b'"split"' in (tmp_path / "new.json").read_bytes()


@pytest.mark.parametrize(
    "shares",
    [
        {"val": 0.5, "test": 0.5},
        {"val": float("nan")},
        {"val": -0.1},
        {"val": 0.85, "test": 0, "keep_test": True},
    ],
)
def test_shares_that_leave_nothing_to_train_on_are_refused(folder: Path, shares: dict[str, Any]) -> None:
    before = (folder / "annotations.json").read_bytes()
    with pytest.raises(MedrovError) as caught:
        split_source(SplitSettings(folder, **shares))
    assert caught.value.code is ErrorCode.USAGE
    assert (folder / "annotations.json").read_bytes() == before


def test_an_image_without_a_case_is_its_own() -> None:
    def key(**fields: object) -> tuple[str, str]:
        return case_key(CocoImage(fields))

    assert key(file_name="a.png", case=None) != key(file_name="b.png")
    for empty in ("", " ", float("nan")):
        assert key(file_name="a.png", case=empty) != key(file_name="b.png", case=empty)
    assert key(file_name="a.png", case=" 7") == key(file_name="b.png", case="7")
    assert key(file_name="a.png", case=7) == key(file_name="b.png", case="7")
