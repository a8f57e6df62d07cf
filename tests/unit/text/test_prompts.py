"""What users write as classes, and what is made of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.settings.class_groups import ClassSettings
from medrov_cli.core.settings.values import Prompt, parse_classes
from medrov_cli.core.text.prompts import parse_class_lines, read_classes, read_classes_file

WORD = st.text(st.characters(categories=["Ll", "Lo", "Nd"], exclude_characters="ßſ"), min_size=1, max_size=8)
PARTS = st.lists(WORD, min_size=1, max_size=3, unique_by=str.casefold)
CLASSES = st.lists(PARTS, min_size=1, max_size=6, unique_by=lambda parts: frozenset(map(str.casefold, parts)))
SPACE = st.sampled_from(["", " ", "\t", "  \n"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_standard_input_may_have_any_encoding_of_a_file(encoding: str) -> None:
    stdin = io.TextIOWrapper(io.BytesIO("polyp\r\nhöhle # x\n".encode(encoding)), errors="surrogateescape")
    prompts = read_classes(ClassSettings(classes_file=Path("-")), stdin)
    assert [prompt.name for prompt in prompts] == ["polyp", "höhle"]


@pytest.mark.parametrize(("data", "named"), [(b"polyp\xff", "byte 0xff"), (b"pol\0yp is long", "null")])
def test_standard_input_that_is_no_text_is_refused(data: bytes, named: str) -> None:
    with pytest.raises(MedrovError, match=named) as caught:
        read_classes(ClassSettings(classes_file=Path("-")), io.TextIOWrapper(io.BytesIO(data)))
    assert caught.value.code is ErrorCode.USAGE


def test_commas_part_classes_and_slashes_part_synonyms() -> None:
    assert parse_classes(" lung   nodule ,colon polyp / polyp") == (
        Prompt("lung nodule", ("lung nodule",)),
        Prompt("colon polyp/polyp", ("colon polyp", "polyp")),
    )


@given(CLASSES, SPACE, SPACE)
def test_any_classes_come_back_in_order_whatever_the_spaces(classes: list[list[str]], a: str, b: str) -> None:
    text = f"{a},{b}".join(f"{b}/{a}".join(parts) for parts in classes)
    prompts = parse_classes(text)
    assert [list(prompt.synonyms) for prompt in prompts] == classes
    assert parse_classes(",".join(prompt.name for prompt in prompts)) == prompts


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused_as_usage(text: str) -> None:
    try:
        prompts = parse_classes(text)
    except MedrovError as error:
        code = error.code
    else:
        code = None
        assert len(prompts) == text.count(",") + 1
        assert all(synonym and synonym.isprintable() for prompt in prompts for synonym in prompt.synonyms)
    assert code in (None, ErrorCode.USAGE)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no name"),
        ("polyp,", "no name"),
        ("polyp,,liver", "no name"),
        ("polyp/ ", "'polyp/'"),
        ("polyp/Polyp", "'polyp/Polyp'"),
        ("polyp, liver, POLYP", "'POLYP'"),
        ("a/b, c, b/a", "'b/a'"),
        ("red\x1b[31m cell", "control characters"),
    ],
)
def test_empty_and_repeated_classes_are_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(MedrovError) as caught:
        parse_classes(text)
    assert caught.value.code is ErrorCode.USAGE
    assert named in caught.value.message


def test_a_synonym_may_be_shared_by_two_classes() -> None:
    assert len(parse_classes("left kidney/kidney, right kidney/kidney")) == 2


def test_a_file_has_one_class_a_line_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(
        "\ufeff# chest\r\n\r\nlung nodule  # small\r\nHerz/heart\r\ncyst, simple\r\n", encoding="utf-8"
    )
    names = [prompt.name for prompt in read_classes_file(path)]
    assert names == ["lung nodule", "Herz/heart", "cyst, simple"]


def test_lines_from_a_pipe_are_read_the_same_way() -> None:
    assert [prompt.name for prompt in parse_class_lines(["liver\n", "# no\n", " spleen"])] == [
        "liver",
        "spleen",
    ]


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"caf\xe9\n", b"liver\nLiver\n"])
def test_unusable_files_are_refused_as_usage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(content)
    with pytest.raises(MedrovError) as caught:
        read_classes_file(path)
    assert caught.value.code is ErrorCode.USAGE


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MedrovError, match=r"cannot read the classes file .*none\.txt") as caught:
        read_classes_file(tmp_path / "none.txt")
    assert caught.value.code is ErrorCode.USAGE
