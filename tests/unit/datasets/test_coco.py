"""The COCO codec: round trips, unknown keys, layouts by hand, and refusals of hostile files."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.coco import (
    CocoResults,
    Layout,
    NotJsonError,
    parse_document,
    read_document,
    read_results,
    write_document,
    write_results,
)
from medrov_cli.core.datasets.coco_records import (
    CocoAnnotation,
    CocoError,
    CocoImage,
    numbered_categories,
)
from medrov_cli.core.datasets.coco_result import CocoResult
from medrov_cli.core.datasets.dataset import load_dataset
from medrov_cli.core.datasets.source_set import open_source

_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")  # others are refused
TEXTS, SHORT_TEXTS = st.text(_CHARACTERS, max_size=5), st.text(_CHARACTERS, max_size=4)
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value."""
KEYS = st.sampled_from(["segmentation", "licence", "ü", "", "source", "score"])
UNKNOWN = st.dictionaries(KEYS, VALUES, max_size=3)
IDS = st.integers(0, 2**60) | SHORT_TEXTS
BOXES = st.lists(NUMBERS, min_size=4, max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a document as a JSON object, with unknown keys anywhere and its keys in any order."""

    def shuffled(fields: dict[str, Any]) -> dict[str, Any]:
        return {key: fields[key] for key in draw(st.permutations(list(fields)))}

    images = draw(st.lists(IDS, unique=True, max_size=3))
    categories = draw(st.lists(IDS, unique=True, max_size=3))
    image = {"file_name": "p/a.png", "width": 3, "height": 4}
    refer = bool(images and categories)
    return shuffled(
        {
            "images": [shuffled({**draw(UNKNOWN), **image, "id": own}) for own in images],
            "categories": [shuffled({**draw(UNKNOWN), "name": draw(TEXTS), "id": own}) for own in categories],
            "annotations": [
                shuffled(
                    {
                        **draw(UNKNOWN),
                        "image_id": draw(st.sampled_from(images)),
                        "category_id": draw(st.sampled_from(categories)),
                        "bbox": draw(BOXES),
                    }
                )
                for _ in range(draw(st.integers(0, 3)) if refer else 0)
            ],
            **draw(st.dictionaries(KEYS, VALUES, max_size=2)),
        }
    )


def written(write: Callable[[Path], None]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "coco.json")
        return (Path(folder) / "coco.json").read_bytes().decode("utf-8")


def load(text: str | bytes, read: Callable[[Path], Any] = read_document) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coco.json"
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return read(path)


@given(value=documents())
def test_a_document_is_written_as_it_was_read(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    document = load(text)
    assert written(lambda path: write_document(path, document.parts)) == text + "\n"
    plain = written(lambda path: write_document(path, document.parts, ascii_only=True))
    assert plain == json.dumps(value) + "\n"


@given(value=documents(), layout=st.sampled_from(Layout))
def test_line_breaks_do_not_change_a_document(value: dict[str, Any], layout: Layout) -> None:
    document = parse_document(value)
    text = written(lambda path: write_document(path, document.parts, layout=layout))
    assert json.loads(text) == value
    assert load(text).parts == document.parts


@given(value=documents())
def test_changed_records_keep_their_unknown_keys(value: dict[str, Any]) -> None:
    document = parse_document(value)
    moved = tuple(own.with_category("other") for own in document.annotations)
    split = tuple(own.replaced(split="val") for own in document.images)
    changed = replace(document, images=split, annotations=moved)
    assert parse_document(value).parts == document.parts, "a change of records changes no record in place"
    for before, after in zip(document.annotations, changed.annotations, strict=True):
        assert after.category_id == "other"
        assert list(after.fields) == list(before.fields)
        assert after.with_category(before.category_id) == before
    for own in changed.images:
        assert own.fields["split"] == "val"
    for own in document.annotations:
        again = own.with_ids((7, 8, 9))
        assert (again.id, again.image_id, again.category_id) == (7, 8, 9)
        assert list(again.fields)[:3] == ["id", "image_id", "category_id"]
        kept = {"id", "image_id", "category_id", "iscrowd", "area"}
        assert {k: v for k, v in again.fields.items() if k not in kept} == {
            k: v for k, v in own.fields.items() if k not in kept
        }
        assert again.box_xywh == own.box_xywh


RESULTS = st.lists(
    st.builds(
        CocoResult,
        IDS,
        IDS,
        st.tuples(NUMBERS, NUMBERS, NUMBERS.map(abs), NUMBERS.map(abs)),
        st.floats(0, 1),
    ),
    max_size=4,
)


@given(results=RESULTS)
def test_results_survive_a_round_trip(results: list[CocoResult]) -> None:
    text = written(lambda path: write_results(path, results))
    assert load(text, read_results) == CocoResults(tuple(results))
    assert len(text.splitlines()) == len(results) + 2 + (not results)


@given(
    value=VALUES
    | documents()
    | st.fixed_dictionaries(dict.fromkeys(("images", "annotations", "categories"), VALUES))
)
def test_any_json_is_a_document_or_is_refused(value: Any) -> None:
    for parse in (parse_document, lambda own: load(json.dumps(own), read_results)):
        with contextlib.suppress(CocoError):
            parse(value)


def test_layouts_by_hand(tmp_path: Path) -> None:
    parts = {
        "info": {"description": "ü"},
        "categories": numbered_categories(["cell", "nucleus"]),
        "images": (CocoImage.make(n, f"{n}.png", 4, 3, split="val") for n in (1, 2)),
        "annotations": iter([CocoAnnotation.make((1, 2, 1), (0, 0.5, 2, 2), 4, is_crowd=True)]),
    }
    categories = '[{"id": 1, "name": "cell"}, {"id": 2, "name": "nucleus"}]'
    images = [
        '{"id": 1, "file_name": "1.png", "width": 4, "height": 3, "split": "val"}',
        '{"id": 2, "file_name": "2.png", "width": 4, "height": 3, "split": "val"}',
    ]
    box = '{"id": 1, "image_id": 2, "category_id": 1, "bbox": [0, 0.5, 2, 2], "area": 4, "iscrowd": 1}'
    write_document(tmp_path / "lines.json", parts, layout=Layout.RECORD_PER_LINE, ascii_only=True)
    assert (tmp_path / "lines.json").read_text("ascii") == (
        '{"info": {"description": "\\u00fc"},\n'
        f'"categories": {categories},\n'
        f'"images": [\n{images[0]},\n{images[1]}\n],\n'
        f'"annotations": [\n{box}\n]' + "}\n"
    )
    parts |= {"images": [], "annotations": [CocoResult(1, 2, (0, 0, 1, 1), 0.5).as_annotation(9)]}
    write_document(tmp_path / "some.json", parts, layout=Layout.ANNOTATION_PER_LINE)
    result = '{"id": 9, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1], "score": 0.5}'
    assert (tmp_path / "some.json").read_text("utf-8") == (
        f'{{"info": {{"description": "ü"}}, "categories": {categories}, "images": [], '
        f'"annotations": [\n{result}\n]' + "}\n"
    )


def test_a_document_that_cannot_be_finished_is_not_there(tmp_path: Path) -> None:
    def broken() -> Iterator[CocoImage]:
        yield CocoImage.make(1, "a.png", 4, 3)
        raise MedrovError(ErrorCode.DECODE_FAILED, "broken", "none")

    with pytest.raises(MedrovError, match="broken"):
        write_document(tmp_path / "a.json", {"images": broken()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_results(tmp_path / "a.json", [CocoResult(1, 1, (0, 0, 1, 1), float("nan"))])
    assert not list(tmp_path.iterdir())


def document(**changes: Any) -> dict[str, Any]:
    value = {
        "info": {"modality": "CT"},
        "images": [{"id": 1, "file_name": "a.png", "width": 4, "height": 3, "split": "train"}],
        "categories": [{"id": 5, "name": "lung"}],
        "annotations": [{"id": 3, "image_id": 1, "category_id": 5, "bbox": [0, 0, 2, 2]}],
    }
    return {key: own for key, own in (value | changes).items() if own is not ...}


def changed(key: str, **changes: Any) -> dict[str, Any]:
    """Return a document with other fields in the first record of a list."""
    (record,) = document()[key]
    return document(**{key: [{k: v for k, v in (record | changes).items() if v is not ...}]})


HOSTILE = [
    ([], "it is not a JSON object"),
    (document(images=...), "'images' is missing"),
    (document(annotations=...), "'annotations' is missing"),
    (document(categories=...), "'categories' is missing"),
    (document(images={"id": 1}), "'images' is not a list of objects"),
    (document(annotations=[3]), "'annotations' is not a list of objects"),
    (document(info="CT"), "'info' is not an object"),
    (document(images=document()["images"] * 2), "two images have the id 1"),
    (document(categories=document()["categories"] * 2), "two categories have the id 5"),
    (changed("categories", name=...), "'name' is missing"),
    (changed("images", id=[1]), "id is [1], neither a number nor a text"),
    (changed("images", id=None), "id is None, neither a number nor a text"),
    (changed("annotations", image_id=7), "annotation 3 has the unknown image_id 7"),
    (changed("annotations", image_id="1"), "annotation 3 has the unknown image_id 1"),
    (changed("annotations", category_id=6), "annotation 3 has the unknown category_id 6"),
    (changed("annotations", category_id=...), "'category_id' is missing"),
]
"""Refused in any case."""
HOSTILE_RECORDS = [
    (changed("images", file_name=...), "'file_name' is missing"),
    (changed("images", file_name="../a.png"), "image 1 has a file_name outside of its folder"),
    (changed("images", file_name="b/../../a.png"), "image 1 has a file_name outside of its folder"),
    (changed("images", file_name="/etc/passwd"), "image 1 has a file_name outside of its folder"),
    (changed("images", file_name=""), "image 1 has a file_name outside of its folder"),
    (changed("images", width=0), "image 1 has no pixels"),
    (changed("images", height=-3), "image 1 has no pixels"),
    (changed("images", height=...), "'height' is missing"),
    (changed("images", width="wide"), "image 1 has the width 'wide'"),
    (changed("images", width=float("inf")), "image 1 has the width inf"),
    (changed("annotations", bbox=...), "'bbox' is missing"),
    (changed("annotations", bbox=[]), "annotation 3 has no box of four numbers"),
    (changed("annotations", bbox=[0, 0, 2]), "annotation 3 has no box of four numbers"),
    (changed("annotations", bbox=[0, 0, 2, None]), "annotation 3 has no box of four numbers"),
    (changed("annotations", bbox=[0, 0, 2, float("nan")]), "annotation 3 has no box of four numbers"),
    (changed("annotations", area="large"), "annotation 3 has an area that is no number"),
]
"""Refused where records are checked."""


@pytest.mark.parametrize(("value", "says"), HOSTILE + HOSTILE_RECORDS)
def test_hostile_documents_are_refused_by_every_reader(tmp_path: Path, value: Any, says: str) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "annotations.json").write_text(json.dumps(value))
    with pytest.raises(CocoError) as refused:
        read_document(folder / "annotations.json")
    assert str(refused.value) == says
    (tmp_path / "data.yaml").write_text("sources: [source]\n")
    for read in (lambda: open_source(folder), lambda: load_dataset(tmp_path / "data.yaml")):
        with pytest.raises(MedrovError) as failure:
            read()
        assert failure.value.code is ErrorCode.DATASET_INVALID
        assert failure.value.message == f"{folder / 'annotations.json'} is not a usable COCO file: {says}"


@pytest.mark.parametrize(("value", "says"), HOSTILE_RECORDS)
def test_records_can_be_checked_one_by_one(value: Any, says: str) -> None:
    read = parse_document(value, check_records=False)
    assert len(read.images) == len(read.annotations) == 1


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe{}", b'\xef\xbb\xbf{"images": ', b"[" * 100_000, b"9" * 5000, b"9" * 400]
)
def test_what_is_not_json_is_refused_as_that(content: bytes) -> None:
    for read in (read_document, read_results):
        with pytest.raises(NotJsonError):
            load(content, read)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (3, "it is neither a list of results nor a document"),
        ([{}], "'image_id' is missing"),
        ([3], "'results' is not a list of objects"),
        ({"annotations": []}, "'images' is missing"),
        (document(images=document()["images"] * 2), "two images have the id 1"),
        (document(), "'score' is missing"),
        (changed("annotations", score=2), "result 1 has the score 2, not from 0 to 1"),
        (changed("annotations", score="high"), "result 1 has the score 'high', not from 0 to 1"),
        (
            changed("annotations", score=1, bbox=[0, 0, -1, 2]),
            "result 1 has the bbox [0, 0, -1, 2], not x, y, width, height",
        ),
    ],
)
def test_hostile_results_are_refused(value: Any, says: str) -> None:
    with pytest.raises(CocoError) as refused:
        load(json.dumps(value), read_results)
    assert str(refused.value) == says


def test_fields_of_an_annotation() -> None:
    fields = {"id": 1, "image_id": "a", "category_id": 2, "bbox": [1, 2, 3, 4.5], "iscrowd": 1}
    own = CocoAnnotation(fields)
    assert (own.image_id, own.category_id, own.box_xywh, own.is_crowd) == ("a", 2, (1, 2, 3, 4.5), True)
    assert own.area is None
    assert own.with_ids((5, 6, 7)).fields == {
        **fields,
        "id": 5,
        "image_id": 6,
        "category_id": 7,
        "area": 13.5,
    }
    assert own.replaced(area=9).area == 9
    assert not own.replaced(iscrowd=0).is_crowd
