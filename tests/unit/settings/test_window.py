"""The ``--window`` choice."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.window import AUTO, PRESETS, WindowKind, WindowSpec, parse_window

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_the_words() -> None:
    assert parse_window("auto") == AUTO
    assert parse_window("tag") == WindowSpec(WindowKind.TAG, index=0)
    assert parse_window("tag:3") == WindowSpec(WindowKind.TAG, index=2)
    assert parse_window(" Lung ") == WindowSpec(WindowKind.PRESET, preset="lung")


def test_two_numbers_are_width_then_center() -> None:
    spec = parse_window("1500, -600")
    assert (spec.width, spec.center) == (1500, -600)


@pytest.mark.parametrize(
    ("name", "center_hu", "width_hu"),
    [("lung", -600, 1500), ("bone", 400, 1800), ("brain", 40, 80), ("soft", 50, 400)],
)
def test_presets(name: str, center_hu: float, width_hu: float) -> None:
    assert (PRESETS[name].center_hu, PRESETS[name].width_hu) == (center_hu, width_hu)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tags",
        "tag:",
        "tag:0",
        "tag:-1",
        "tag:1.5",
        "tag:²",
        "liver",
        "1500",
        "1500,",
        "1,2,3",
        "0,40",
        "-5,40",
        "nan,1",
        "1,inf",
    ],
)
def test_anything_else_is_a_usage_error_that_names_the_option(text: str) -> None:
    with pytest.raises(MedrovError) as caught:
        parse_window(text)
    assert caught.value.code is ErrorCode.USAGE
    assert "--window" in caught.value.message
    assert "lung" in caught.value.hint


@given(
    st.one_of(
        st.just(AUTO),
        st.integers(0, 999).map(lambda index: WindowSpec(WindowKind.TAG, index=index)),
        st.sampled_from(sorted(PRESETS)).map(lambda name: WindowSpec(WindowKind.PRESET, preset=name)),
        st.tuples(finite, finite.filter(lambda width: width > 0)).map(
            lambda pair: WindowSpec(WindowKind.CUSTOM, center=pair[0], width=pair[1])
        ),
    )
)
def test_text_form_is_read_back(spec: WindowSpec) -> None:
    assert parse_window(str(spec)) == spec


@given(st.text())
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    with contextlib.suppress(MedrovError):
        assert isinstance(parse_window(text), WindowSpec)
