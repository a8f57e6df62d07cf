"""Lists on a disk hold what a list in memory holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.disk_list import DiskList
from medrov_cli.core.pixels.equal_keys import EqualKeys
from medrov_cli.core.pixels.inputs import Input, InputList
from medrov_cli.core.records.slice_plane import PlacedSlice


@given(st.integers(0, 1100), st.integers(-1200, 1200), st.integers(-1200, 1200), st.sampled_from([1, 7, -3]))
def test_items_and_slices_are_those_of_a_list(count: int, start: int, end: int, step: int) -> None:
    items = [f"{number}" * 9 for number in range(count)]
    found = DiskList.build(items)
    assert len(found) == count
    assert list(found) == items
    assert found == items
    assert found[start:end:step] == items[start:end:step]
    if -count <= start < count:
        assert found[start] == items[start]
    else:
        with pytest.raises(IndexError):
            found[start]


def test_inputs_keep_their_fields() -> None:
    series = tuple(f"{number}.dcm" for number in range(700))
    items = [Input(path, series, ("a warning",), PlacedSlice()) for path in series] + [Input("a\udcff.png")]
    assert list(InputList.build(items)) == items


@given(st.lists(st.text("ab\udcff", max_size=3), max_size=60))
def test_equal_keys_are_found(keys: list[str]) -> None:
    found = EqualKeys()
    for number, key in enumerate(keys):
        found.add(key, number - 1)
    places = {key: [number - 1 for number, own in enumerate(keys) if own == key] for key in keys}
    assert sorted(found.groups()) == sorted(own for own in places.values() if len(own) > 1)
