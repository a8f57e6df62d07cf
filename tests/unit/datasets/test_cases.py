"""Cases are equal where patients are, and say nothing."""

from __future__ import annotations

import hashlib

import pytest

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.datasets.cases import case_in_path, hashed_case, local_case
from medrov_cli.core.settings.data_convert import parse_case_pattern


def test_a_case_is_sixteen_hexadecimal_digits_of_a_hash() -> None:
    assert hashed_case("Doe^Jane") == hashlib.sha256(b"8:Doe^Jane").hexdigest()[:16]
    assert hashed_case("ab", "c") != hashed_case("a", "bc")
    assert hashed_case() != hashed_case("")


def test_a_name_of_a_source_s_own_means_nothing_in_another_source() -> None:
    assert local_case("a", "case_1") == local_case("a", "case_1") == hashed_case("a", "case_1")
    assert len({local_case("a", "case_1"), local_case("b", "case_1"), hashed_case("case_1")}) == 3


def test_a_pattern_finds_the_case_in_a_path() -> None:
    pattern = parse_case_pattern(r"^p(\d+)/")
    assert case_in_path("p12/slice_3.png", pattern) == case_in_path("p12/slice_4.png", pattern)
    assert case_in_path("p12/slice_3.png", pattern) == hashed_case("12")
    assert case_in_path("images/train/p12/slice_3.png", pattern) == hashed_case("12")
    assert case_in_path("xp12/slice_3.png", pattern) is None
    assert case_in_path("x.png", pattern) is None
    assert case_in_path("p12/a.png", parse_case_pattern("^[^/]+")) == hashed_case("p12")
    assert case_in_path("p12/a.png", parse_case_pattern(None)) is None


def test_a_wrong_pattern_is_a_usage_error() -> None:
    with pytest.raises(MedrovError) as caught:
        parse_case_pattern("(")
    assert caught.value.code is ErrorCode.USAGE
