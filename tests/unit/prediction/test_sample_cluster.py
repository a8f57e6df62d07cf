"""Samples on a cluster are searched in the batches of one machine, whatever is cut into tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from medrov_cli.core.base.errors import ErrorCode, MedrovError
from medrov_cli.core.prediction.sample_cluster import FailedSample, SampleBlock, SampleCluster
from medrov_cli.core.records.detections import Detections, Failure
from medrov_cli.core.records.tiling import Tiling

PLAIN, TILED, FAILED = "plain", "tiled", "failed"
TILING = Tiling("a rule", (), (0, 0, 1, 1))


@dataclass(frozen=True)
class StandIn:
    """A sample of a kind."""

    path: str
    kind: str


def one_machine(samples: list[StandIn], batch: int) -> Iterator[tuple[StandIn, tuple[str, ...]]]:
    """Yield each sample with those of its batch."""
    group: list[StandIn] = []
    for sample in [*samples, None]:
        ends = sample is None or sample.kind == TILED or len(group) == batch
        if ends:
            yield from ((own, tuple(item.path for item in group)) for own in group)
            group = []
        if sample is not None and sample.kind == TILED:
            yield sample, (sample.path,)
        elif sample is not None:
            group.append(sample)


class OneByOne:
    """A pool that computes each block when it is wanted; a box names the batch of an image."""

    workers = 2

    def __init__(self, numbers: dict[tuple[str, ...], int]) -> None:
        self.numbers = numbers

    def run(self, blocks: Iterator[SampleBlock]) -> Iterator[tuple[SampleBlock, Any]]:
        for block in blocks:
            yield block, [self.item(*pair) for pair in one_machine(list(block.samples), block.batch)]  # type: ignore[arg-type]

    def item(self, sample: StandIn, batch: tuple[str, ...]) -> Detections | FailedSample:
        if sample.kind == FAILED:
            return FailedSample(sample.path, ErrorCode.NOT_FOUND, "gone", "Find it.")
        number = float(self.numbers.setdefault(batch, len(self.numbers)))
        found = Detections(np.full((1, 4), number), np.ones(1), np.zeros(1, dtype=np.int64))
        return replace(found, tiling=TILING if sample.kind == TILED else None)


@example([PLAIN, TILED, PLAIN, PLAIN, FAILED], 2)
@given(
    st.lists(st.sampled_from([PLAIN, PLAIN, PLAIN, TILED, FAILED]), min_size=1, max_size=90),
    st.integers(1, 9),
)
def test_batches_are_those_of_one_machine(kinds: list[str], batch: int) -> None:
    samples = [StandIn(f"{number}.png", kind) for number, kind in enumerate(kinds)]
    pool = OneByOne({})
    expected = [
        pool.item(sample, own).boxes_xyxy[0, 0] if sample.kind != FAILED else sample.path  # type: ignore[union-attr]
        for sample, own in one_machine(samples, batch)
    ]
    cluster = SampleCluster.__new__(SampleCluster)
    cluster._pool = pool  # type: ignore[assignment]
    found = cluster.open([("polyp",)])(samples, batch=batch)  # type: ignore[arg-type]
    assert [item.path if isinstance(item, Failure) else item.boxes_xyxy[0, 0] for item in found] == expected


def test_failures_keep_code_message_and_hint() -> None:
    cluster = SampleCluster.__new__(SampleCluster)
    cluster._pool = OneByOne({})  # type: ignore[assignment]
    (item,) = cluster.open([("polyp",)])([StandIn("a.png", FAILED)], batch=4)  # type: ignore[list-item]
    assert isinstance(item, Failure)
    assert item.error.as_dict() == MedrovError(ErrorCode.NOT_FOUND, "gone", "Find it.").as_dict()
