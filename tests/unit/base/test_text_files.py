"""Text files in the encodings that editors and spreadsheets write."""

from __future__ import annotations

import codecs

import pytest

from medrov_cli.core.base.text_files import DocumentError, decode_text

TEXT = '{"name": "Höhle 腫瘍"}\n'


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
        codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
    ],
)
def test_a_mark_tells_the_encoding_and_is_no_text(data: bytes) -> None:
    assert decode_text(data) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_zero_bytes_tell_utf_16_without_a_mark(encoding: str) -> None:
    assert decode_text("0 0.5 0.5 1 1\n".encode(encoding)) == "0 0.5 0.5 1 1\n"


@pytest.mark.parametrize("data", [b"\xff\xfe{", b"caf\xe9", b"\xef\xbb\xbf\xff"])
def test_other_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(DocumentError):
        decode_text(data)


def test_short_files() -> None:
    assert [decode_text(data) for data in (b"", b"a", b"\xef\xbb\xbf", b"\xff\xfe")] == ["", "a", "", ""]
