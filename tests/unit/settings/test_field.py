"""Options as fields: their definition, ranges, groups and copies."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.field import (
    GroupField,
    OptionField,
    check_ranges,
    given_flags,
    group,
    option,
    option_of,
    spec_of,
)


@dataclass(frozen=True)
class Inner:
    share: float = option("--share", "-s", default=0.5, low=0, high=1, help="A share.", before="--name")
    count: int = option("--count", default=3, low=1, help="A number.")
    hidden: int = 7


@dataclass(frozen=True)
class Outer:
    path: str = option("--path", metavar="FILE", help="A file.")
    inner: Inner = group(Inner(count=5), omit=("share",), help={"count": "Another number."}, panel="Numbers")
    pair: tuple[int, int] = option(
        "--pair",
        given_default="1,2",
        parse=lambda text: tuple(map(int, text.split(","))),
        help="Two numbers.",
    )
    share: float = option_of(Inner, "share", default=0.25, help="Its own share.")


def test_a_default_stands_in_the_field() -> None:
    own = Outer(path="x")
    assert (own.inner, own.pair, own.share) == (Inner(0.5, 5, 7), (1, 2), 0.25)
    with pytest.raises(FrozenInstanceError):
        own.share = 1.0  # type: ignore[misc]


def test_an_option_without_a_default_is_required() -> None:
    with pytest.raises(TypeError, match="path"):
        Outer()  # type: ignore[call-arg]


def test_a_copied_option_keeps_what_is_not_changed_but_its_place() -> None:
    spec = spec_of(fields(Outer)[3])
    assert spec == OptionField(flags=("--share", "-s"), low=0, high=1, help="Its own share.")


def test_only_options_can_be_copied() -> None:
    with pytest.raises(TypeError, match="Outer.inner is no option"):
        option_of(Outer, "inner")


def test_a_group_changes_help_and_heading() -> None:
    spec = spec_of(fields(Outer)[1])
    assert isinstance(spec, GroupField)
    adapted = spec.adapt("count", OptionField(flags=("--count",), help="A number.", panel="Other"))
    assert (adapted.flags, adapted.help, adapted.panel) == (("--count",), "Another number.", "Numbers")
    assert spec_of(fields(Inner)[2]) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Inner(share=1.5), "--share 1.5 is not from 0 to 1"),
        (Inner(share=float("nan")), "--share nan is not from 0 to 1"),
        (Inner(count=0), "--count 0 is below 1"),
        (Outer("x", inner=Inner(count=-1)), "--count -1 is below 1"),
    ],
)
def test_a_number_outside_its_range_is_refused_by_name(settings: object, message: str) -> None:
    with pytest.raises(MedrovError) as caught:
        check_ranges(settings)
    assert (caught.value.code, caught.value.message) == (ErrorCode.USAGE, message)
    assert caught.value.hint


def test_the_ends_of_a_range_belong_to_it() -> None:
    for share in (0, 1):
        check_ranges(Outer("x", inner=Inner(share=share, count=1)))


def test_given_flags_are_those_that_differ_from_the_defaults() -> None:
    assert given_flags(Inner()) == []
    assert given_flags(Inner(share=0.1, hidden=1)) == ["--share"]
