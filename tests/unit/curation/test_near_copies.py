"""Cases that hang together by near-copies."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.curation.near_copies import join, join_near_copies
from medrov_cli.core.curation.split import case_key
from medrov_cli.core.datasets.source_set import open_source
from medrov_cli.core.settings.data import CopySettings
from source_folders import Picture, write_source

names = st.lists(st.sampled_from("abcdef").map(lambda name: ("case", name)), min_size=1, max_size=12)


@given(names, st.data())
def test_images_are_in_one_group_if_and_only_if_a_chain_leads_from_one_to_the_other(cases, data) -> None:
    rows = st.integers(0, len(cases) - 1)
    pairs = data.draw(st.lists(st.tuples(rows, rows), max_size=8))
    groups = join(cases, pairs)
    reached = {row: {row} for row in range(len(cases))}
    for _ in cases:  # by brute force: whoever is reached from each, over cases and pairs
        for one, other in combinations(range(len(cases)), 2):
            if cases[one] == cases[other] or {(one, other), (other, one)} & set(pairs):
                reached[one] = reached[other] = reached[one] | reached[other]
        reached = {row: set().union(*(reached[k] for k in others)) for row, others in reached.items()}
    for one, other in combinations(range(len(cases)), 2):
        assert (groups[one] == groups[other]) == (other in reached[one])
    assert all(group in cases for group in groups)


@given(names, st.data())
def test_the_order_of_the_pairs_does_not_matter(cases, data) -> None:
    rows = st.integers(0, len(cases) - 1)
    pairs = data.draw(st.lists(st.tuples(rows, rows), max_size=8))
    turned = [(other, one) for one, other in data.draw(st.permutations(pairs))]
    assert join(cases, pairs) == join(cases, turned)


def joined(folder: Path, **rule: float):
    source = open_source(folder)
    return join_near_copies(source, [case_key(image) for image in source.images], CopySettings(**rule))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """001 and 002 are of case p, 003 is a copy of 002, 004 of 001: one group of three cases."""
    first = [Picture(case="p", seed=1), Picture(case="p", seed=2), Picture(seed=2), Picture(case="q", seed=1)]
    return write_source(tmp_path / "s", [*first, *(Picture() for _ in range(20))], ["x"])


def test_a_group_of_three_cases(folder: Path) -> None:
    found = joined(folder)
    assert found.pairs == 2
    assert found.failures == ()
    assert set(found.groups[:4]) == {("case", "p")}
    assert len(set(found.groups)) == 21


def test_what_cannot_be_read_is_told_and_stays_with_its_case(folder: Path) -> None:
    (folder / "images" / "002.png").unlink()
    (folder / "images" / "010.png").write_bytes(b"no image")
    found = joined(folder)
    assert [(path, error.code) for path, error in found.failures] == [
        ("s/002.png", ErrorCode.NOT_FOUND),
        ("s/010.png", ErrorCode.UNREADABLE),
    ]
    assert found.groups[:4] == (("case", "p"), ("case", "p"), ("image", "003.png"), ("case", "p"))


def test_nothing_readable_is_an_error(folder: Path) -> None:
    for image in (folder / "images").iterdir():
        image.unlink()
    with pytest.raises(MedrovError) as caught:
        joined(folder)
    assert caught.value.code is ErrorCode.NO_INPUT
    assert "--no-join-copies" in caught.value.hint
