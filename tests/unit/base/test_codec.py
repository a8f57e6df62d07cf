"""Records from and to documents: every type of field, and the message for each that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.codec import Fields, Rule, flat_document, read_record
from medrov_cli.core.base.errors import ErrorCode, MedrovError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    title: str
    share: float = 0.0


@dataclass(frozen=True)
class Outer:
    name: str
    count: Annotated[int, Rule(low=1, high=9)]
    kind: Annotated[str, Rule(among=("a", "b"))]
    note: Annotated[str, Rule(may_be_empty=True)]
    is_open: Annotated[bool, Rule(may_be_absent=True)]
    size: Annotated[int | None, Rule(key="bytes", low=0, high=99)]
    colour: Colour
    colours: tuple[Colour, ...]
    texts: tuple[str, ...]
    shares: tuple[float, ...]
    inner: Inner
    others: tuple[Inner, ...]
    free: dict[str, Any]


DOCUMENT = {
    "name": "x",
    "count": 3,
    "kind": "b",
    "note": "",
    "is_open": True,
    "bytes": None,
    "colour": "red",
    "colours": ["blue", "red"],
    "texts": ["one"],
    "shares": [0, 0.5],
    "inner": {"title": "t", "share": 1},
    "others": [{"title": "u", "share": 0.25, "unknown": 1}],
    "free": {"any": [1]},
    "unknown": 2,
}


def read(document: Any) -> Outer:
    return read_record(Outer, Fields.from_object(document, "x.json"))


def test_every_type_of_field_is_read() -> None:
    assert read(DOCUMENT) == Outer(
        name="x",
        count=3,
        kind="b",
        note="",
        is_open=True,
        size=None,
        colour=Colour.RED,
        colours=(Colour.BLUE, Colour.RED),
        texts=("one",),
        shares=(0.0, 0.5),
        inner=Inner("t", 1.0),
        others=(Inner("u", 0.25),),
        free={"any": [1]},
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "", "field 'name' must be a non-empty text"),
        ("count", 10, "field 'count' must be a whole number from 1 to 9"),
        ("count", True, "field 'count' must be a whole number from 1 to 9"),
        ("kind", "c", "field 'kind' must be one of a, b"),
        ("note", None, "field 'note' must be a text"),
        ("is_open", 1, "field 'is_open' must be true or false"),
        ("bytes", 100, "field 'bytes' must be a whole number from 0 to 99"),
        ("colour", "green", "field 'colour' must be one of red, blue"),
        ("colours", ["green"], "field 'colours' must be a list of red, blue"),
        ("texts", [""], "field 'texts' must be a list of texts"),
        ("shares", [2], "field 'shares' must be a list of numbers from 0 to 1"),
        ("inner", [], "field 'inner' must be an object"),
        ("inner", {"share": 1}, "field 'inner.title' is missing"),
        ("others", [{"title": "u", "share": -1}], "field 'others[0].share' must be a number from 0 to 1"),
        ("free", [], "field 'free' must be an object"),
    ],
)
def test_a_wrong_field_is_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(MedrovError) as caught:
        read(DOCUMENT | {key: value})
    assert caught.value.code is ErrorCode.WEIGHTS_CORRUPT
    assert caught.value.message == f"x.json: {message}"


@pytest.mark.parametrize("key", [key for key in DOCUMENT if key not in ("is_open", "unknown")])
def test_a_missing_field_is_named(key: str) -> None:
    with pytest.raises(MedrovError, match=f"field '{key}' is missing"):
        read({name: value for name, value in DOCUMENT.items() if name != key})


def test_a_field_that_may_be_absent_has_its_default() -> None:
    @dataclass(frozen=True)
    class Small:
        url: Annotated[str | None, Rule(may_be_absent=True)] = None

    assert read_record(Small, Fields.from_object({}, "x")) == Small()


@given(st.text(min_size=1), st.floats(0, 1))
def test_a_flat_record_is_read_from_its_own_document(title: str, share: float) -> None:
    record = Inner(title, share)
    document = flat_document(record)
    assert document == {"title": title, "share": share}
    assert read_record(Inner, Fields.from_object(document, "x")) == record


def test_given_fields_are_not_read() -> None:
    assert read_record(Inner, Fields.from_object({"share": 0.5}, "x"), title="given") == Inner("given", 0.5)
