"""A short campaign for each target: seconds in CI; ``tests/fuzz/run.py`` runs for hours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaign import Child, run_campaign
from targets import TARGETS

SEED = 20261129


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with Child(tmp_path_factory.mktemp("child")) as child:
        yield child


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_hostile_inputs_are_errors_of_their_own(name: str, child: Child, tmp_path: Path) -> None:
    inputs = TARGETS[name].short_inputs
    tally = run_campaign(TARGETS[name], child, seed=SEED, work=tmp_path, inputs=inputs)
    assert tally.inputs == inputs
    assert not tally.faults, tally.as_json()
    assert len(tally.results) > 1, "no input was refused, or none was read"
