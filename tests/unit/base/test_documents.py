"""The parsers of text from outside: what they read, and the one error that they raise."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medrov_cli.core.base import documents, text_files
from medrov_cli.core.base.csv_files import read_table
from medrov_cli.core.base.documents import (
    MOST_DIGITS,
    parse_json,
    parse_toml,
    read_json,
    read_toml,
)
from medrov_cli.core.base.text_files import MOST_LEVELS, DocumentError, read_lines, read_text
from medrov_cli.core.base.xml_documents import read_xml
from medrov_cli.core.datasets.yaml_files import read_yaml

READERS: dict[str, Callable[[Path], Any]] = {
    "json": read_json,
    "yaml": read_yaml,
    "toml": read_toml,
    "xml": read_xml,
    "table": read_table,
    "lines": read_lines,
}


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(read: Callable[[Any], Any], given: Any) -> str:
    with pytest.raises(DocumentError) as caught:
        read(given)
    return str(caught.value)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_json_of_any_value_is_read_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


@given(VALUES)
def test_yaml_of_any_value_is_read_as_pyyaml_reads_it(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    path = written(tmp_path_factory.mktemp("yaml"), text)
    assert read_yaml(path) == yaml.safe_load(text)


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, content: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("any"), content)
    with contextlib.suppress(DocumentError):
        READERS[kind](path)


@pytest.mark.parametrize("kind", sorted(READERS))
def test_a_file_that_cannot_be_opened_is_an_error_of_the_system(tmp_path: Path, kind: str) -> None:
    for path in (tmp_path / "absent", tmp_path / ("x" * 5000), tmp_path):
        with pytest.raises(OSError, match=r".*"):
            READERS[kind](path)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_path_with_characters_that_no_path_has_is_refused(tmp_path: Path, name: str) -> None:
    assert "path" in refusal(read_json, tmp_path / name)
    assert not text_files.is_file(tmp_path / name)
    assert not text_files.is_folder(tmp_path / name)
    assert not text_files.exists(tmp_path / name)


def test_paths_that_are_too_long_lead_nowhere(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 5000), tmp_path / "/".join(["x"] * 5000)):
        leads = [text_files.is_file(path), text_files.is_folder(path), text_files.exists(path)]
        assert leads == [False, False, False]


@pytest.mark.parametrize("kind", sorted(set(READERS) - {"xml"}))
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a\nb\xe9", "not UTF-8 text: byte 0xe9 in line 2"),
        (b"\xff\xfea", "not UTF-16 text"),
        (b"a = 1\nb = \0", "null character in line 2"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, kind: str, content: bytes, what: str) -> None:
    assert what in refusal(READERS[kind], written(tmp_path, content))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, encoding: str) -> None:
    assert read_json(written(tmp_path, '{"größe": 1}'.encode(encoding))) == {"größe": 1}
    assert read_yaml(written(tmp_path, "größe: 1".encode(encoding))) == {"größe": 1}
    assert read_table(written(tmp_path, "größe\n1\n".encode(encoding))).columns == ("größe",)


def test_a_file_over_its_limit_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, "[" + "1," * 1000 + "1]")
    assert "more than" in refusal(lambda p: read_json(p, 1000), path)
    with path.open("r+b") as stream:
        stream.truncate(documents.JSON_BYTES + 1)  # a sparse file
    assert "more than 1024 MiB" in refusal(read_json, path)
    assert "more than" in refusal(lambda p: read_text(p, 1 << 20), Path("/dev/zero"))


def test_json_is_read_in_one_way_only() -> None:
    for text, what in (
        ('{"a": 1, "b": {"name": "liver", "name": "kidney"}}', "key 'name' twice"),
        ('{"a":', "line 1, column 6"),
        ("[1]]", "not JSON"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("[1e999]", "float64"),
        ('{"a": [{"b": "\\ud800"}]}', "surrogate pair at /a/0/b"),
        ('{"\\udfff": 1}', "surrogate pair"),
        ('{"a": "x\\u0000"}', "null character at /a"),
        ("9" * 5000, f"{MOST_DIGITS} digits"),
        (f"[{10**MOST_DIGITS}]", f"{MOST_DIGITS} digits"),
        (f'{{"a": -{10**MOST_DIGITS}}}', f"{MOST_DIGITS} digits"),
    ):
        assert what in refusal(parse_json, text), text


def test_numbers_that_are_not_json_are_read_where_they_are_allowed() -> None:
    value = parse_json("[NaN, 1e999, -Infinity]", allow_nan=True)
    assert math.isnan(value[0])
    assert value[1:] == [math.inf, -math.inf]
    assert "digits" in refusal(lambda text: parse_json(text, allow_nan=True), "9" * 400)


@pytest.mark.parametrize(
    ("nested", "read"),
    [
        (lambda n: "[" * n + "]" * n, parse_json),
        (lambda n: '{"a":' * n + "1" + "}" * n, parse_json),
        (lambda n: '[{"a":' * (n // 2) + "1" + "}]" * (n // 2), parse_json),
        (lambda n: "x = " + "[" * (n - 1) + "]" * (n - 1), parse_toml),
    ],
)
def test_depth_is_limited(nested: Callable[[int], str], read: Callable[[str], Any]) -> None:
    read(nested(MOST_LEVELS))
    for levels in (MOST_LEVELS + 2, 900, 100_000):
        assert "levels deep" in refusal(read, nested(levels))


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 900, 100_000])
def test_depth_of_files_is_limited(tmp_path: Path, levels: int) -> None:
    assert "deep" in refusal(read_xml, written(tmp_path, "<a>" * levels + "</a>" * levels))
    assert "nest" in refusal(read_yaml, written(tmp_path, "[" * levels + "]" * levels))
    block = "".join(f"{' ' * n}a:\n" for n in range(min(levels, 1000)))
    assert "nest" in refusal(read_yaml, written(tmp_path, block))


def test_yaml_is_read_in_one_way_only(tmp_path: Path) -> None:
    for text, what in (
        ("a: 1\na: 2", "key 'a' twice in line 2"),
        ("names: {0: liver, 1: kidney, 0: spleen}", "key '0' twice"),
        ("? [1]\n: 2", "as a key"),
        ("a: !!python/object/apply:os.system [x]", "tag"),
        ("a: !own b", "tag"),
        ("a: !!binary aGk=", "tag"),
        ("a: !!set {b}", "tag"),
        ("b: {<<: {a: 1}}", "merge key"),
        ("a: !!int liver", "no int"),
        ("a: !!timestamp [2020]", "tag"),
        ("a: &x [*x]", "alias"),
        ("a: *x", "alias"),
        ("--- a\n--- b", "second document"),
        ("a: [", "line"),
        ("a: \x01", "control character"),
        ('a: "\\ud800"', "line 1"),
        ('a: "b\\0"', "null character at /a"),
        (f"a: {'9' * 400}", "digits in line 1"),
        (f"a: {'1:' * 400}1", "digits"),
    ):
        assert what in refusal(read_yaml, written(tmp_path, text)), text


def test_a_date_in_yaml_is_a_text(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "a: 2020-99-99\nb: 2020-01-02")) == {
        "a": "2020-99-99",
        "b": "2020-01-02",
    }


def test_aliases_are_read_within_a_limit_of_what_they_stand_for(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "a: &x [1, 2]\nb: *x")) == {"a": [1, 2], "b": [1, 2]}
    wide = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40)
    )
    deep = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))
    begun = time.process_time()
    assert "values" in refusal(read_yaml, written(tmp_path, wide))
    assert "deep" in refusal(read_yaml, written(tmp_path, deep))
    assert time.process_time() - begun < 2


def test_toml_is_read_in_one_way_only(tmp_path: Path) -> None:
    assert read_toml(written(tmp_path, "a.b = 1.5\nc = [1.5, 2.5]")) == {"a": {"b": 1.5}, "c": [1.5, 2.5]}
    begun = time.process_time()
    for text, what in (
        ("a = 1\na = 2", "not TOML"),
        ("a = 2020-99-99", "not TOML"),
        ("a = " + "9" * 5000, "digits"),
        ("a." * 30_000 + "a = 1", "parts"),
        ("[" + "a." * 30_000 + "a]", "parts"),
        ("x = {" + "a." * 30_000 + "a = 1}", "parts"),
        ("a = 1\n" * 20_000, "more than"),
    ):
        assert what in refusal(read_toml, written(tmp_path, text))
    assert time.process_time() - begun < 2


def test_xml_has_no_document_type(tmp_path: Path) -> None:
    assert read_xml(written(tmp_path, "<a><b c='1'/></a>")).find("b") is not None
    for text, what in (
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "document type"),
        ("<a>&x;</a>", "line 1"),
        ("<a b='1' b='2'/>", "duplicate attribute in line 1"),
        ("<?xml version='1.0' encoding='nothing'?><a/>", "not XML"),
        ("<a>\n<b></a>", "line 2"),
        ("<a>&#xD800;</a>", "not XML"),
        ("<a>\0</a>", "not XML"),
        ("", "not XML"),
    ):
        assert what in refusal(read_xml, written(tmp_path, text)), text


def test_a_table_has_each_column_once(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a, b ,,\n\n1,2\n3,4,5,6,7\n"))
    assert table.columns == ("a", "b", "", "")
    assert list(table.records()) == [
        (3, {"a": "1", "b": "2", "": ""}),
        (4, {"a": "3", "b": "4", "": "6"}),
    ]
    for text, what in (
        ("a,b,a\n", "column 'a' twice"),
        ("", "empty"),
        ("a\n" + "x" * 200_000, "line 2"),
    ):
        assert what in refusal(read_table, written(tmp_path, text))
    begun = time.process_time()
    wide = ",".join(map(str, range(100_000)))
    assert "column '7' twice" in refusal(read_table, written(tmp_path, f"{wide},7\n"))
    keys = ",".join(f'"{number}":1' for number in range(100_000))
    assert "key '99999' twice" in refusal(parse_json, f'{{{keys},"99999":2}}')
    assert time.process_time() - begun < 5
    folded = lambda path: read_table(path, lambda name: name.strip().casefold())  # noqa: E731
    assert "column 'x' twice" in refusal(folded, written(tmp_path, "x, X\n"))
