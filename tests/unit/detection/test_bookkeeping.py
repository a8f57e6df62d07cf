"""What a run counts, where it goes on, and which settings it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from changed_settings import with_changes
from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError
from medrov_cli.core.detection.resume import count_kept, next_position
from medrov_cli.core.detection.shards import describe_inputs
from medrov_cli.core.detection.summary import RunSummary
from medrov_cli.core.pixels.inputs import Input
from medrov_cli.core.settings.detect import DetectSettings
from medrov_cli.core.settings.values import Shard

CONFIG = DetectSettings(inputs=("a.png",))


def record(path: str, frame: int = 0, frames: int | None = 1, *classes: str) -> dict[str, Any]:
    found = [{"class": name} for name in classes]
    return {"path": path, "frame": frame, "frame_count": frames, "detections": found}


def lost(path: str) -> dict[str, Any]:
    return {"path": path, "error": {"code": "truncated"}}


def tally_of(inputs: int, records: Sequence[dict[str, Any]]) -> RunSummary:
    tally = RunSummary(inputs)
    for item in records:
        tally.add(item)
    return tally


def test_a_summary_counts_images_failures_and_classes() -> None:
    records = [
        record("a", 0, 1, "polyp", "nodule", "polyp"),
        lost("b"),
        record("c", 0, 2),
        record("c", 1, 2, "cell"),
    ]
    summary = tally_of(3, records).summary()
    assert (summary.inputs, summary.failed, summary.images) == (3, 1, 3)
    assert list(summary.detections.items()) == [("polyp", 2), ("cell", 1), ("nodule", 1)]
    assert summary.as_dict()["detections"] == 4


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([], ExitCode.OK),
        ([record("a")], ExitCode.OK),
        ([record("a"), lost("b")], ExitCode.PARTIAL),
        ([record("a", 0, 9), lost("a")], ExitCode.PARTIAL),
        ([lost("a"), lost("b")], ExitCode.NO_INPUT),
    ],
)
def test_exit_codes(records: list[dict[str, Any]], code: ExitCode) -> None:
    assert tally_of(len(records), records).summary().exit_code is code


@pytest.mark.parametrize(
    ("records", "progress"),
    [
        ([record("a")], (1, 3)),
        ([lost("a")], (1, 3)),
        ([record("a", 0, 5)], (1, 7)),
        ([record("a", i, 5) for i in range(5)], (5, 7)),
        ([record("a", 0, 5), record("a", 1, 5), lost("a")], (2, 4)),
        ([record("a", i, None) for i in range(3)], (3, 5)),
        ([record("a", 3, 5), record("a", 4, 5), record("b")], (3, 4)),
    ],
)
def test_expected_images_follow_what_is_known(
    records: list[dict[str, Any]], progress: tuple[int, int]
) -> None:
    tally = tally_of(3, records)
    assert (tally.done, tally.expected) == progress


@pytest.mark.parametrize(
    ("kinds", "batch", "kept"),
    [
        ("", 1, 0),
        ("iii", 1, 3),
        ("iei", 1, 3),
        ("iie", 2, 3),
        ("iiei", 2, 3),
        ("iiieie", 2, 6),
        ("ieieie", 4, 0),
        ("eei", 4, 2),
    ],
)
def test_only_whole_batches_are_kept(kinds: str, batch: int, kept: int) -> None:
    records = [record(str(n)) if kind == "i" else lost(str(n)) for n, kind in enumerate(kinds)]
    assert count_kept(records, batch) == kept


INPUTS = [Input("a"), Input("b"), Input("c")]


@pytest.mark.parametrize(
    ("records", "position"),
    [
        ([], (0, 0)),
        ([record("a")], (1, 0)),
        ([lost("a")], (1, 0)),
        ([record("a"), record("b", 0, 3)], (1, 1)),
        ([record("a"), record("b", 0, 3), record("b", 1, 3)], (1, 2)),
        ([record("a"), record("b", 0, None), lost("b")], (2, 0)),
        ([record("a"), lost("b"), record("c")], (3, 0)),
    ],
)
def test_a_run_goes_on_after_its_last_record(
    records: list[dict[str, Any]], position: tuple[int, int]
) -> None:
    assert next_position(records, INPUTS) == position


@pytest.mark.parametrize("paths", ["b", "ac", "abcd"])
def test_records_of_other_inputs_are_refused(paths: str) -> None:
    with pytest.raises(MedrovError, match="are not of this run"):
        next_position([record(path) for path in paths], INPUTS)


def test_a_run_is_described_by_names_and_sizes_of_its_inputs(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"123")

    def described(*paths: Path) -> Any:
        return describe_inputs([Input(str(path)) for path in paths])

    before = described(file, tmp_path / "missing")
    assert before["count"] == 2
    assert described(file, tmp_path / "missing") == before
    assert described(tmp_path / "missing", file) != before
    file.write_bytes(b"1234")
    assert described(file, tmp_path / "missing") != before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"conf": 1.5}, "--conf"),
        ({"iou": -0.1}, "--iou"),
        ({"max_det": 0}, "--max-det"),
        ({"batch": 0}, "--batch"),
        ({"threads": 0}, "--threads"),
        ({"imgsz": 100}, "--imgsz"),
        ({"device": "gpu"}, "--device"),
        ({"text_encoder": "minilm"}, "--text-encoder needs --classes"),
        ({"resume": True, "overwrite": True, "folder": Path("x")}, "--resume and --overwrite"),
        ({"resume": True}, "--resume needs --output"),
        ({"overwrite": True}, "--overwrite needs --output"),
        ({"folder": Path(__file__)}, "--output .* is a file"),
    ],
)
def test_bad_settings_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    CONFIG.check()
    with pytest.raises(MedrovError, match=named) as caught:
        with_changes(CONFIG, **change).check()
    assert caught.value.code is ErrorCode.USAGE
    assert caught.value.hint


def test_a_shard_is_read_from_text() -> None:
    assert Shard.parse(" 2/4 ") == Shard(2, 4)
    assert str(Shard(2, 4)) == "2/4"


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2"])
def test_a_bad_shard_is_refused(text: str) -> None:
    with pytest.raises(MedrovError, match="--shard"):
        Shard.parse(text)
