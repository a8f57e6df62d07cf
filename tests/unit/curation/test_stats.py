"""Numbers of a dataset by hand, and the page with its pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medrov_cli.core.base.constants import RESEARCH_NOTICE
from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.stats import stats_of
from medrov_cli.core.curation.stats_page import choose, count_dataset
from medrov_cli.core.datasets.source_set import open_inputs
from medrov_cli.core.settings.data import StatsSettings
from source_folders import Picture, write_source

SPLITS = ("train", "val", "test", "none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = [
        Picture("train", [("cyst", 0, 0, 4, 4), ("cyst", 10, 10, 9, 16)], case="p1"),
        Picture("train", [("cyst", 20, 20, 8, 8)], case="p1"),
        Picture("val", [("<b>&", 60, 0, 8, 9)]),
        Picture(None),
    ]
    return write_source(tmp_path / "src", pictures, ["cyst", "<b>&", "stone"], "ultrasound")


def test_numbers_by_hand(folder: Path) -> None:
    """Boxes of 16, 144 and 64 px: sides of 4, 12 and 8; the image has 48 x 64 px."""
    (own,) = stats_of(open_inputs([folder])).sources
    cyst, other, stone = own.classes
    assert tuple(own.images[s] for s in SPLITS) == (2, 1, 0, 1)
    assert tuple(own.cases[s] for s in SPLITS) == (1, 1, 0, 1)
    assert (own.empty, own.size_px, own.modality) == (1, (48, 64), "ultrasound")
    assert tuple(cyst.boxes[s] for s in SPLITS) == (3, 0, 0, 0)
    assert tuple(cyst.images[s] for s in SPLITS) == (2, 0, 0, 0)
    assert cyst.side_px == (4, 8, 12)
    assert cyst.share == round(64 / (48 * 64), 6)
    assert other.side_px == (6, 6, 6)  # 8 x 9 px, of which 4 x 9 lie inside
    assert (stone.side_px, stone.share, sum(stone.boxes.values())) == (None, None, 0)


def test_the_page_holds_everything_and_asks_for_nothing(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    count_dataset(StatsSettings((folder,), html=page))
    text = page.read_text(encoding="utf-8")
    assert RESEARCH_NOTICE in text
    assert len(re.findall(r'src="data:image/jpeg;base64,', text)) == 4
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert "no boxes" in text  # of the stone
    count_dataset(StatsSettings((folder,), html=tmp_path / "again.html"))
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_an_unreadable_image_has_a_placeholder(folder: Path, tmp_path: Path) -> None:
    (folder / "images" / "003.png").unlink()
    count_dataset(StatsSettings((folder,), html=tmp_path / "page.html"))
    assert "image not readable" in (tmp_path / "page.html").read_text()


def test_boxes_are_drawn_by_the_seed_and_from_each_source_in_turn(tmp_path: Path) -> None:
    many = [("x", n, n, 5, 5) for n in range(30)]
    write_source(tmp_path / "a", [Picture("train", many)], ["x"])
    write_source(tmp_path / "b", [Picture("train", many[:1])], ["x"])
    sources = open_inputs([tmp_path / "a", tmp_path / "b"]).sources
    shown = choose(sources, "x", 4, seed=0)
    assert [source.name for source, _, _ in shown] == ["a", "b", "a", "a"]
    assert choose(sources, "x", 4, seed=0) == shown
    assert choose(sources, "x", 4, seed=1) != shown
    assert len({box for source, _, box in shown if source.name == "a"}) == 3


def test_a_source_that_cannot_be_opened_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MedrovError) as caught:
        count_dataset(StatsSettings((folder, tmp_path / "nowhere")))
    assert caught.value.code is ErrorCode.DATASET_INVALID
