"""Blocks on a cluster hold the batches of one machine, whatever fails and however many frames there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from medrov_cli.core.detection.cluster_search import ClusterSearch, InputBlock
from medrov_cli.core.pixels.inputs import Input

FAILURE, TILED = 0, -1


def search(frames: list[int], names: list[str], first_frame: int, batch: int) -> Iterator[dict[str, Any]]:
    """Yield records as one machine writes them, each with the images of its batch."""
    group: list[dict[str, Any]] = []
    for number, (count, name) in enumerate(zip(frames, names, strict=True)):
        if count == FAILURE:
            group.append({"path": name, "error": {}})
            if all("error" in record for record in group):
                yield from group
                group = []
            continue
        for frame in range(first_frame if number == 0 else 0, max(count, 1)):
            record = {"path": name, "frame": frame, "frame_count": max(count, 1)}
            if count == TILED:
                yield from closed(group)
                group = []
                yield {**record, "tiling": {}}
                continue
            group.append(record)
            if sum("error" not in record for record in group) == batch:
                yield from closed(group)
                group = []
    yield from closed(group)


def closed(group: list[dict[str, Any]]) -> list[dict[str, Any]]:
    companions = [(record["path"], record["frame"]) for record in group if "error" not in record]
    return [record if "error" in record else {**record, "batch": companions} for record in group]


class OneByOne:
    """A pool that computes each block when it is wanted."""

    workers = 2

    def __init__(self, frames: dict[str, int], batch: int) -> None:
        self.frames = frames
        self.batch = batch
        self.computed = 0

    def run(self, blocks: Iterator[InputBlock]) -> Iterator[tuple[InputBlock, Any]]:
        for block in blocks:
            names = [item.path for item in block.inputs]
            frames = [self.frames[name] for name in names]
            self.computed += len(names)
            records = search(frames, names, block.first_frame, self.batch)
            yield block, [(record, {}) for record in records]


@example([9, 1, FAILURE, FAILURE, TILED, 1, FAILURE], 3)
@given(
    st.lists(st.sampled_from([FAILURE, TILED, 1, 1, 1, 1, 2, 5, 9]), min_size=1, max_size=90),
    st.integers(1, 9),
)
def test_the_records_and_their_batches_are_those_of_one_machine(frames: list[int], batch: int) -> None:
    names = [f"{number}.png" for number in range(len(frames))]
    expected = list(search(frames, names, 0, batch))
    pool = OneByOne(dict(zip(names, frames, strict=True)), batch)
    cluster = ClusterSearch.__new__(ClusterSearch)
    cluster._pool, cluster._step = pool, batch  # type: ignore[assignment]
    found = cluster.stream([Input(name) for name in names], 0, 0, {})
    assert [record for record, _ in found] == expected


def test_images_that_are_computed_alone_are_computed_once() -> None:
    frames = [1, FAILURE, 5, 1] * 30
    names = [f"{number}.png" for number in range(len(frames))]
    pool = OneByOne(dict(zip(names, frames, strict=True)), 1)
    cluster = ClusterSearch.__new__(ClusterSearch)
    cluster._pool, cluster._step = pool, 1  # type: ignore[assignment]
    assert len(list(cluster.stream([Input(name) for name in names], 0, 0, {}))) == 30 * 8
    assert pool.computed == len(frames)
