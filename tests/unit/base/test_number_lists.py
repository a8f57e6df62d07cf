"""Checks of long lists of numbers."""

from __future__ import annotations

import math

import pytest

from medrov_cli.core.base.number_lists import are_shares


@pytest.mark.parametrize("value", [[], [0], [0.5, 1, 0.0]])
def test_shares(value: object) -> None:
    assert are_shares(value)


@pytest.mark.parametrize(
    "value",
    [None, "0", (0.5,), [True], [0.5, "a"], [1.1], [-0.1], [0.5, math.nan], [math.nan, 0.5], [math.inf]],
)
def test_other_values(value: object) -> None:
    assert not are_shares(value)
